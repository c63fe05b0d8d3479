"""Workers: what can run sub-tasks, and how fast."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from partitioner.model.data import Floats


@dataclass(frozen=True, slots=True)
class Worker:
    """One Dask worker or Spark executor; it runs several sub-tasks at once while their demands fit.

    ``cpus`` cores; ``memory_bytes`` and ``gpu_memory_bytes`` (per GPU) with infinity for "no limit known"; ``gpus``
    whole devices; ``resources`` named capacities; ``speed`` relative to the reference worker (2.0 halves the time);
    ``worker_class`` keys ``SubTasks.seconds_by_class``; ``price_per_hour`` in the user's currency.
    """

    worker_id: str
    cpus: float = 1.0
    memory_bytes: float = float("inf")
    gpus: float = 0.0
    gpu_memory_bytes: float = float("inf")
    resources: Mapping[str, float] = field(default_factory=dict)
    speed: float = 1.0
    worker_class: str = ""
    host: str = ""
    labels: frozenset[str] = frozenset()
    price_per_hour: float = 0.0


_NUMBERS = ("cpus", "memory_bytes", "gpus", "gpu_memory_bytes", "speed", "price_per_hour")


@dataclass(frozen=True, slots=True, eq=False)
class Workers:
    """Columnar workers, m of them: the fields of ``Worker``, numbers as float64[m]."""

    worker_id: tuple[str, ...]
    cpus: Floats
    memory_bytes: Floats
    gpus: Floats
    gpu_memory_bytes: Floats
    speed: Floats
    price_per_hour: Floats
    worker_class: tuple[str, ...]
    host: tuple[str, ...]
    labels: tuple[frozenset[str], ...]
    resources: Mapping[str, Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, workers: Iterable[Worker]) -> Workers:
        """Columns from row views."""
        rows = list(workers)
        names = sorted({k for w in rows for k in w.resources})
        return cls(
            worker_id=tuple(w.worker_id for w in rows),
            worker_class=tuple(w.worker_class for w in rows),
            host=tuple(w.host for w in rows),
            labels=tuple(w.labels for w in rows),
            resources={k: np.array([w.resources.get(k, 0.0) for w in rows], np.float64) for k in names},
            **{c: np.array([getattr(w, c) for w in rows], np.float64) for c in _NUMBERS},
        )

    @classmethod
    def identical(cls, count: int, **fields: object) -> Workers:
        """``count`` equal workers named ``worker-0`` and so on; ``fields`` as in ``Worker``."""
        return cls.of(Worker(f"worker-{i}", **fields) for i in range(count))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.worker_id)

    def __getitem__(self, j: int) -> Worker:
        return Worker(
            worker_id=self.worker_id[j],
            worker_class=self.worker_class[j],
            host=self.host[j],
            labels=self.labels[j],
            resources={k: float(v[j]) for k, v in self.resources.items()},
            **{c: float(getattr(self, c)[j]) for c in _NUMBERS},
        )

    def take(self, indices: npt.ArrayLike) -> Workers:
        """The workers at ``indices``, in that order."""
        return Workers.of(self[int(j)] for j in np.asarray(indices, np.int64))

    @property
    def slots(self) -> int:
        """How many one-core sub-tasks run at once, over all workers."""
        return int(np.floor(self.cpus).sum())
