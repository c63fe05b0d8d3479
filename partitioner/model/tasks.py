"""Sub-tasks: what is placed on workers, with their demands, and the limits they are cut to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from partitioner.model.data import Floats, Ints
from partitioner.model.fragments import Fragments

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the splitter keeps every sub-task within; ``None`` means no such limit.

    ``target_task_seconds`` reference seconds; ``allowed_mem`` bytes of predicted peak; ``max_tasks`` a count;
    ``min_tasks_per_slot`` sub-tasks per slot at least, where there are that many rows; ``slots`` of all workers.
    ``divisible`` is the reducer's: whether a group that is larger than a sub-task may be split. ``known_seconds``: all of it
    takes so long by what earlier runs measured of such rows, whatever the cost is in.
    """

    target_task_seconds: float | None = None
    allowed_mem: float | None = None
    max_tasks: int | None = None
    min_tasks_per_slot: int | None = None
    slots: int = 1
    divisible: bool = False
    known_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class SubTask:
    """The row view of a line of ``SubTasks``; ``fragments`` are indices into ``SubTasks.fragments``."""

    task_id: str
    fragments: tuple[int, ...]
    seconds: float
    memory_bytes: float
    cpus: float
    gpus: float
    gpu_memory_bytes: float
    priority: float
    deadline: float
    release: float
    seconds_by_class: Mapping[str, float]
    resources: Mapping[str, float]
    requires: frozenset[str]
    hot_groups: str
    preferred_host: str
    depends_on: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Dependencies: ``target`` starts at least ``delay`` seconds after ``source`` finishes. int64 task indices.

    ``bytes`` are what moves along the edge when the two run on different workers.
    """

    source: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    target: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    delay: Floats = field(default_factory=lambda: np.empty(0, np.float64))
    bytes: Floats = field(default_factory=lambda: np.empty(0, np.float64))

    def __len__(self) -> int:
        return len(self.source)


_DEFAULTS = {
    "memory_bytes": 0.0,
    "cpus": 1.0,
    "gpus": 0.0,
    "gpu_memory_bytes": 0.0,
    "priority": 0.0,
    "deadline": np.inf,
    "release": 0.0,
}


@dataclass(frozen=True, slots=True, eq=False)
class TaskInputs:
    """What each sub-task reads, which is all that a worker has to know of them.

    Fragments of task i are ``fragment_index[offsets[i]:offsets[i + 1]]``, indices into ``fragments``, in input order.
    """

    fragments: Fragments
    offsets: Ints
    fragment_index: Ints

    def fragments_of(self, i: int) -> Ints:
        """Indices into ``fragments`` of task i, in input order."""
        return self.fragment_index[self.offsets[i] : self.offsets[i + 1]]


@dataclass(frozen=True, slots=True, eq=False)
class SubTasks:
    """Columnar sub-tasks, n of them.

    ``task_id`` Arrow string array; ``seconds`` float64[n] at reference speed; ``seconds_by_class`` float64[n] per worker
    class, overriding seconds / speed there (NaN: cannot run on that class); demands ``memory_bytes``, ``cpus``, ``gpus``
    (a fraction shares one device), ``gpu_memory_bytes`` and ``resources``; ``deadline`` seconds (infinity: none);
    ``release`` earliest start, seconds; ``requires`` label -> bool[n]; ``hard_deadline`` bool[n];
    ``hot_groups`` names the large groups that a task holds rows of and ``preferred_host`` the host that holds its data, one
    string per task each ("": none), or nothing at all. ``alike`` int64[n] numbers kinds: tasks of one are expected to take
    as long as the first of them that is done, whatever was predicted (None: no task tells of another); ``traits``
    float64[n, k] tell what kinds differ in, so that kinds that were seen tell of others. Fragments of task i are
    ``fragment_index[offsets[i]:offsets[i + 1]]``, indices into ``fragments``, in input order.
    """

    task_id: pa.Array
    seconds: Floats
    memory_bytes: Floats
    cpus: Floats
    gpus: Floats
    gpu_memory_bytes: Floats
    priority: Floats
    deadline: Floats
    release: Floats
    seconds_by_class: Mapping[str, Floats] = field(default_factory=dict)
    resources: Mapping[str, Floats] = field(default_factory=dict)
    requires: Mapping[str, Bools] = field(default_factory=dict)
    hard_deadline: Bools | None = None
    hot_groups: tuple[str, ...] = ()
    preferred_host: tuple[str, ...] = ()
    alike: Ints | None = None
    traits: Floats | None = None
    edges: Edges = field(default_factory=Edges)
    fragments: Fragments | None = None
    offsets: Ints = field(default_factory=lambda: np.zeros(1, np.int64))
    fragment_index: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    @classmethod
    def build(cls, seconds: npt.ArrayLike, task_id: Any = None, **columns: Any) -> SubTasks:
        """Sub-tasks from columns, with the documented defaults for those not given.

        ``seconds`` float[n]; ``task_id`` n strings, by default ``t000000`` and so on.
        """
        sec = np.asarray(seconds, np.float64)
        n = len(sec)
        if task_id is None:
            width = max(6, len(str(max(n - 1, 0))))
            task_id = np.char.add("t", np.char.zfill(np.arange(n).astype(f"U{width}"), width)) if n else []
        ids = task_id if isinstance(task_id, pa.Array) else pa.array(task_id, pa.string())
        plain: dict[str, Any] = {
            c: np.asarray(columns.pop(c), np.float64) if c in columns else np.full(n, d) for c, d in _DEFAULTS.items()
        }
        return cls(task_id=ids, seconds=sec, **plain, **columns)

    def __len__(self) -> int:
        return len(self.seconds)

    def fragments_of(self, i: int) -> Ints:
        """Indices into ``fragments`` of task i, in input order."""
        return self.fragment_index[self.offsets[i] : self.offsets[i + 1]]

    def __getitem__(self, i: int) -> SubTask:
        parents = np.flatnonzero(self.edges.target == i)
        return SubTask(
            task_id=self.task_id[int(i)].as_py(),
            fragments=tuple(int(f) for f in self.fragments_of(i)) if self.fragments is not None else (),
            seconds=float(self.seconds[i]),
            **{c: float(getattr(self, c)[i]) for c in _DEFAULTS},
            seconds_by_class={k: float(v[i]) for k, v in self.seconds_by_class.items()},
            resources={k: float(v[i]) for k, v in self.resources.items()},
            requires=frozenset(k for k, v in self.requires.items() if v[i]),
            hot_groups=self.hot_groups[i] if self.hot_groups else "",
            preferred_host=self.preferred_host[i] if self.preferred_host else "",
            depends_on=tuple(
                (self.task_id[int(self.edges.source[e])].as_py(), float(self.edges.delay[e])) for e in parents
            ),
        )

    def take(self, indices: npt.ArrayLike) -> SubTasks:
        """The sub-tasks at ``indices``, in that order, as things to be placed: without dependencies and fragments."""
        i = np.asarray(indices, np.int64)
        columns: dict[str, Any] = {c: getattr(self, c)[i] for c in ("seconds", *_DEFAULTS)}
        for several in ("seconds_by_class", "resources", "requires"):
            columns[several] = {name: column[i] for name, column in getattr(self, several).items()}
        for texts in ("hot_groups", "preferred_host"):
            columns[texts] = tuple(getattr(self, texts)[k] for k in i.tolist()) if getattr(self, texts) else ()
        return replace(
            self,
            **columns,
            task_id=self.task_id.take(pa.array(i)),
            hard_deadline=None if self.hard_deadline is None else self.hard_deadline[i],
            alike=None if self.alike is None else self.alike[i],
            traits=None if self.traits is None else self.traits[i],
            edges=Edges(),
            fragments=None,
            offsets=np.zeros(1, np.int64),
            fragment_index=np.empty(0, np.int64),
        )

    def with_columns(self, **columns: Any) -> SubTasks:
        """A copy with some columns replaced."""
        return replace(self, **columns)
