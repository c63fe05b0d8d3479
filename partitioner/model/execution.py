"""What happens while a plan runs: attempts, the events engines report, and commit records."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from partitioner.masking import masked
from partitioner.model.workers import Worker


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one sub-task on one worker: the only thing an engine is handed. Small and picklable.

    ``task_key`` is the sub-task's id and ``task`` its index; ``number`` counts the tries from 0; ``worker_id`` is where the
    plan wants it; ``run_url`` is the run directory, from which the worker loads everything else (program, source,
    sub-task table) once per process. ``cpus`` bounds numeric threads.
    Demands are as in ``SubTasks``. ``key`` opens the sealed job; it is written nowhere. ``epoch`` is that of the driver's
    lease: what it submitted is not committed once a later driver has the run (0: nobody holds a lease).
    ``round`` is that of ``pt.iterate``, -1 for a sub-task that runs once. ``devices`` are the worker's GPUs, by number, that
    the coordinator counts as taken by it.
    """

    task_key: str
    task: int
    number: int
    worker_id: str
    run_url: str
    seconds: float = 0.0
    memory_bytes: float = 0.0
    cpus: float = 1.0
    gpus: float = 0.0
    gpu_memory_bytes: float = 0.0
    resources: Mapping[str, float] = field(default_factory=dict)
    key: bytes = field(default=b"", repr=False)
    round: int = -1
    devices: tuple[int, ...] = ()
    epoch: int = 0

    @property
    def attempt_id(self) -> str:
        """Unique within a run: ``t000012-a1`` is the second try at that sub-task."""
        return f"{self.task_key}-a{self.number}"


class EventKind(StrEnum):
    """What engines report. ``failed`` is an error of the program, ``lost`` a death of the process that ran it."""

    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"
    LOST = "lost"
    CANCELLED = "cancelled"
    WORKER_JOINED = "worker_joined"
    WORKER_LOST = "worker_lost"
    ENGINE_LOST = "engine_lost"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt or an engine failed, in plain values that travel from any worker.

    ``type`` the class name of the error, ``message`` and ``traceback`` its text; ``fatal``: no retry can mend it;
    ``memory``: it ran out of memory, so the next try should be promised more.
    """

    message: str = ""
    type: str = ""
    traceback: str = ""
    fatal: bool = False
    memory: bool = False

    @classmethod
    def of(cls, error: BaseException, fatal: bool = False) -> Failure:
        """From an exception, with its traceback, without the secrets that this process knows."""
        text = "".join(traceback.format_exception(error))
        return cls(masked(str(error)), type(error).__name__, masked(text), fatal, isinstance(error, MemoryError))

    def to_json(self) -> dict[str, Any]:
        """What there is to say beside the traceback, which lies in the log of the attempt."""
        return {k: v for k, v in asdict(self).items() if v and k != "traceback"}


@dataclass(frozen=True, slots=True)
class Partial:
    """What a sub-task gave in one round: its accumulator in ``data``, or in the file ``name`` of the run where it is large.

    ``rows`` it was made of; ``seconds`` of the program, ``load_seconds`` of reading and preparing, 0 where they were kept.
    """

    round: int
    task: int
    rows: int
    seconds: float
    load_seconds: float
    data: bytes = field(default=b"", repr=False)
    name: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; ``at`` is seconds on the driver's clock when it was seen.

    ``record`` belongs to ``finished``; ``error`` to ``failed`` and ``engine_lost``, and to ``lost`` where it is known;
    ``worker`` to ``worker_joined``; ``partial`` to ``finished`` in a round of ``pt.iterate``.
    """

    kind: EventKind
    attempt_id: str = ""
    worker_id: str = ""
    record: CommitRecord | None = None
    error: Failure | None = None
    worker: Worker | None = None
    at: float = 0.0
    partial: Partial | None = None


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """What one committed sub-task did. It travels in the footer of the file it describes, and lies beside it.

    ``rows_in`` read, ``rows_out`` whose results are in the output, ``rows_written`` rows of the file, ``quarantined``;
    ``segments`` are (first fragment, rows written) per contiguous run of fragments, in file order; ``seconds`` wall,
    ``cpu_seconds``, ``load_seconds`` to import and build the program, ``read_seconds`` waiting for input;
    ``peak_memory_bytes`` resident at the peak; ``started`` and ``finished`` Unix time on the worker; ``digest`` sha256
    of the rows written; ``measured`` further figures of the attempt. ``size`` bytes of the output file and ``tag`` of the
    store for it (0 and empty where unknown); ``quarantine`` the file of the quarantined rows in the run directory, and
    ``quarantine_digest`` sha256 of those rows (both empty where there are none).
    """

    task_key: str
    attempt_id: str
    worker_id: str
    path: str
    rows_in: int
    rows_out: int
    rows_written: int
    quarantined: int
    segments: tuple[tuple[int, int], ...]
    bytes_read: int
    seconds: float
    cpu_seconds: float
    load_seconds: float
    read_seconds: float
    peak_memory_bytes: int
    started: float
    finished: float
    digest: str
    measured: Mapping[str, float] = field(default_factory=dict)
    size: int = 0
    tag: str = ""
    quarantine: str = ""
    quarantine_digest: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CommitRecord:
        """The inverse of ``to_json``; keys that a later version added are ignored.

        Raises TypeError, KeyError or ValueError for values that are no record.
        """
        known = {f.name for f in fields(cls)}
        kept = {k: v for k, v in values.items() if k in known}
        kept["segments"] = tuple((int(a), int(b)) for a, b in kept["segments"])
        return cls(**kept)
