"""What happens while a plan runs: attempts, the events engines report, and commit records."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from math import inf
from typing import Any

from partitioner.errors import in_one_line, is_users, shortened, text_of
from partitioner.known_secrets import masked
from partitioner.model.merging import Merge
from partitioner.model.workers import Worker

Spans = tuple[tuple[int, int], ...]
"""Positions of rows as [start, stop) spans, in order."""


def spans_of(positions: Iterable[int]) -> Spans:
    """Ascending positions as the fewest spans: 1, 2, 3, 7 become (1, 4), (7, 8)."""
    spans: list[list[int]] = []
    for position in positions:
        if spans and spans[-1][1] == position:
            spans[-1][1] += 1
        else:
            spans.append([position, position + 1])
    return tuple((start, stop) for start, stop in spans)


def part_key(whole: str, start: int, stop: int, rows: int) -> str:
    """The name of a part: ``t000012.0250-0500``, so that names sort by rows; ``rows`` are those of the whole."""
    width = len(str(rows))
    return f"{whole}.{start:0{width}d}-{stop:0{width}d}"


@dataclass(frozen=True, slots=True)
class Care:
    """How an attempt goes about its rows, given what happened to the attempts before it.

    ``whole``: the index of the sub-task that this one is a part of (-1: it is no part), ``rows``: the [start, stop) rows of
    that one which it holds, in reading order (None: all); ``split_from``: sub-tasks that
    were split into this one, which must never be committed as a whole any more; ``count``: no program, only count the
    rows and give the sub-task up to its parts; ``isolate``: where the program fails, find the rows that fail alone;
    ``suspects``: positions of rows that failed alone on another worker: one that does so here too is set aside (None:
    there is no other worker to ask, one failure alone will do); ``condemned``: set all rows aside with this reason and do
    not call the program; ``smaller``: divide every batch into this many.
    """

    whole: int = -1
    rows: tuple[int, int] | None = None
    split_from: tuple[str, ...] = ()
    count: bool = False
    isolate: bool = False
    suspects: Spans | None = None
    condemned: str = ""
    smaller: int = 1


NO_CARE = Care()


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The sub-task (by index) that the slot of an attempt probably runs next; a process keeps what it read ahead for
    ``kept`` of them.
    """

    task: int
    kept: int = 1


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one sub-task on one worker: the only thing an engine is handed. Small and picklable.

    ``task_key`` is the sub-task's id and ``task`` its index; ``number`` counts the tries from 0; ``worker_id`` is where the
    plan wants it; ``run_url`` is the run directory, from which the worker loads everything else (program, source,
    sub-task table) once per process. ``cpus`` bounds numeric threads.
    ``timeout_seconds`` is what it may take. Demands are as in ``SubTasks``. ``key`` opens the sealed job; it is written
    nowhere. ``epoch`` is that of the driver's lease: what it submitted is not committed once a later driver has the run
    (0: nobody holds a lease). ``round`` is that of ``pt.iterate``, -1 for a sub-task that runs once. ``devices`` are the
    worker's GPUs, by number, that the coordinator counts as taken by it. ``avoid``: workers that hand it back where the
    engine brings it to them although another was asked for. ``merge``: partial results to merge, where it is no attempt at
    a sub-task of the input. ``upcoming``: what may be read ahead for while this one runs.
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
    timeout_seconds: float = inf
    care: Care = NO_CARE
    avoid: tuple[str, ...] = ()
    merge: Merge | None = None
    upcoming: Upcoming | None = None

    @property
    def whole(self) -> int:
        """The index of the planned sub-task whose input this attempt reads."""
        return self.task if self.care.whole < 0 else self.care.whole

    @property
    def kind(self) -> str:
        """What a worker does with it: a ``task`` of the input, one of a ``round``, or a ``merge``."""
        return "merge" if self.merge is not None else "task" if self.round < 0 else "round"

    @property
    def attempt_id(self) -> str:
        """Unique within a run: ``t000012-a1`` is the second try at that sub-task."""
        return f"{self.task_key}-a{self.number}"

    @property
    def driver(self) -> tuple[str, int]:
        """The run, and the epoch of the driver that submitted it: one engine object may serve many, one after the other."""
        return self.run_url, self.epoch

    @property
    def label(self) -> str:
        """``attempt_id``, unique over runs and over the drivers of a run."""
        return f"{self.run_url.rsplit('/', 1)[-1]}/{self.epoch}/{self.attempt_id}"

    @staticmethod
    def log_of(attempt_id: str) -> str:
        """The file below the run directory that holds what an attempt printed, its traceback included."""
        return f"attempts/{attempt_id}.log"


class EventKind(StrEnum):
    """What engines report. ``failed`` is an error of the program, ``lost`` a death of the process that ran it."""

    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"
    LOST = "lost"
    CANCELLED = "cancelled"
    WORKER_JOINED = "worker_joined"
    WORKER_LOST = "worker_lost"
    WORKERS_COMING = "workers_coming"
    ENGINE_LOST = "engine_lost"


_GPU_MEMORY = re.compile(r"CUDA(_ERROR)?.{0,20}out.of.memory|RESOURCE_EXHAUSTED|OOM when allocating", re.IGNORECASE)


MOST_TRACED = 20_000
"""Characters of a traceback that travel with an event."""

_FRAME = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')


def is_gpu_memory(error: BaseException) -> bool:
    """Whether a device ran out of memory: torch and cupy by the class, CUDA, JAX and TensorFlow by the message."""
    return type(error).__name__ == "OutOfMemoryError" or bool(_GPU_MEMORY.search(text_of(error)))


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt or an engine failed, in plain values that travel from any worker.

    ``type`` the class name of the error, ``message`` and ``traceback`` its text; ``fatal``: no retry can mend it;
    ``memory``: it ran out of memory, so the next try should be promised more; ``gpu``: out of a GPU's memory, so the next
    try should take smaller batches; ``peak_memory_bytes`` resident when it failed, where that was measured; ``suspects``:
    rows that failed alone; ``timeout``: it took longer than it may; ``charged``: False where neither the sub-task nor
    the worker is to blame, such as a worker that was retired; ``raised``: ``module:Class`` of the error of a planned call.
    """

    message: str = ""
    type: str = ""
    traceback: str = ""
    fatal: bool = False
    memory: bool = False
    gpu: bool = False
    peak_memory_bytes: int = 0
    suspects: Spans = ()
    timeout: bool = False
    charged: bool = True
    raised: str = ""

    @property
    def place(self) -> str:
        """``Raised at file.py, line 3, in f. ``: the last line of the user's own code; empty where there is none."""
        frames = _FRAME.findall(self.traceback)
        own = [f for f in frames if is_users(f[0])]
        if not own:
            return ""
        file, line, name = own[-1]
        return f"Raised at {file.rpartition('/')[2]}, line {line}, in {name}. "

    @classmethod
    def of(cls, error: BaseException, fatal: bool = False) -> Failure:
        """From an exception, with its traceback, without the secrets that this process knows, and of bounded length."""
        text = shortened(masked("".join(traceback.format_exception(error))), MOST_TRACED)
        gpu = is_gpu_memory(error)
        said = in_one_line(text_of(error))  # the lines as they were are in the traceback
        return cls(said, type(error).__name__, text, fatal, gpu or isinstance(error, MemoryError), gpu)

    def to_json(self) -> dict[str, Any]:
        """What there is to say beside the traceback, which lies in the log of the attempt."""
        said = {k: v for k, v in asdict(self).items() if v and k not in ("traceback", "charged")}
        return said | ({} if self.charged else {"charged": False})


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
    ``worker`` to ``worker_joined``; ``partial`` to ``finished`` in a round of ``pt.iterate``; ``coming``, how many processes
    are being started, to ``workers_coming``.
    """

    kind: EventKind
    attempt_id: str = ""
    worker_id: str = ""
    record: CommitRecord | None = None
    error: Failure | None = None
    worker: Worker | None = None
    at: float = 0.0
    partial: Partial | None = None
    coming: int = 0


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """What one committed sub-task did. It travels in the footer of the file it describes, and lies beside it.

    ``rows_in`` read, ``rows_out`` whose results are in the output, ``rows_written`` rows of the file, ``quarantined``;
    ``segments`` are (first fragment, rows written) per contiguous run of fragments, in file order; ``seconds`` wall,
    ``cpu_seconds``, ``load_seconds`` to import and build the program, ``read_seconds`` waiting for input;
    ``peak_memory_bytes`` resident at the peak; ``started`` and ``finished`` Unix time on the worker; ``digest`` sha256
    of the rows written; ``measured`` further figures of the attempt. ``size`` bytes of the output file and ``tag`` of the
    store for it (0 and empty where unknown); ``quarantine`` the file of the quarantined rows in the run directory, and
    ``quarantine_digest`` sha256 of those rows (both empty where there are none). ``part``: the [start, stop)
    rows of the sub-task that it holds, None for all; ``split``: it holds nothing, for the sub-task was split into parts that
    commit on their own, and ``part`` says how many rows there are and, where an attempt handed its rest over, from which
    row. ``inputs``, where files of the input are kept apart, (first fragment, rows read, rows quarantined)
    of each segment, and ``contents`` what tells the content of its section apart, empty where that is not known.
    ``left_out``: positions of the rows set aside, among those that it read.
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
    part: tuple[int, int] | None = None
    split: bool = False
    inputs: tuple[tuple[int, int, int], ...] = ()
    left_out: Spans = ()
    contents: tuple[str, ...] = ()

    @property
    def whole(self) -> str:
        """The planned sub-task that it is of, which is itself unless that was split."""
        return self.task_key.partition(".")[0]

    @property
    def cut(self) -> int:
        """The row from which on an attempt handed its sub-task over; 0 where it was not split in that way."""
        return self.part[0] if self.split and self.part is not None else 0

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
        if kept.get("part") is not None:
            kept["part"] = (int(kept["part"][0]), int(kept["part"][1]))
        kept["inputs"] = tuple((int(a), int(b), int(c)) for a, b, c in kept.get("inputs", ()))
        kept["left_out"] = tuple((int(a), int(b)) for a, b in kept.get("left_out", ()))
        kept["contents"] = tuple(map(str, kept.get("contents", ())))
        return cls(**kept)
