"""What was measured on pieces or sub-tasks, as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from partitioner.errors import CostError
from partitioner.model.data import Floats

NUMBERS = (
    "seconds",
    "cpu_seconds",
    "read_seconds",
    "read_cpu_seconds",
    "load_seconds",
    "baseline_memory_bytes",
    "peak_memory_bytes",
    "traced_bytes",
)


@dataclass(frozen=True, slots=True)
class Timing:
    """One execution of the program on one piece.

    ``seconds`` wall without loading; ``cpu_seconds`` of the process; ``read_seconds`` and ``read_cpu_seconds`` of these
    went into reading;
    ``load_seconds`` to import and build the program, on the first piece of a process only, else 0;
    ``baseline_memory_bytes`` resident before and ``peak_memory_bytes`` at the peak; ``traced_bytes`` allocated at the peak
    by the program alone, where it was run once more under tracemalloc, else 0; ``process`` tells processes apart.
    """

    seconds: float
    cpu_seconds: float = 0.0
    read_seconds: float = 0.0
    read_cpu_seconds: float = 0.0
    load_seconds: float = 0.0
    baseline_memory_bytes: float = 0.0
    peak_memory_bytes: float = 0.0
    traced_bytes: float = 0.0
    worker_class: str = ""
    process: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Measurements:
    """n pieces or sub-tasks: what each was (``columns``, float64[n] by term name) and what it took.

    The other columns are those of ``Timing``, float64[n]; ``worker_class`` n strings; ``first`` bool[n]: the first in its
    process, which pays for warming up.
    """

    columns: Mapping[str, Floats]
    seconds: Floats
    cpu_seconds: Floats
    read_seconds: Floats
    read_cpu_seconds: Floats
    load_seconds: Floats
    baseline_memory_bytes: Floats
    peak_memory_bytes: Floats
    traced_bytes: Floats
    worker_class: tuple[str, ...] = ()
    first: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    @classmethod
    def of(cls, columns: Mapping[str, Floats], timings: Sequence[Timing]) -> Measurements:
        """Columns of pieces joined with their timings, in the same order; CostError for an invalid timing."""
        numbers = {name: np.array([getattr(t, name) for t in timings], np.float64) for name in NUMBERS}
        for name, values in numbers.items():
            if len(bad := np.flatnonzero(~(np.isfinite(values) & (values >= 0)))):
                raise CostError(
                    f"measurement {bad[0]}: {name} = {values[bad[0]]}; it is a finite number of at least 0."
                )
        earliest = {t.process: i for i, t in reversed(list(enumerate(timings)))}
        first = [bool(t.process) and earliest[t.process] == i for i, t in enumerate(timings)]
        return cls(
            {k: np.asarray(v, np.float64) for k, v in columns.items()},
            worker_class=tuple(t.worker_class for t in timings),
            first=np.array(first, np.bool_),
            **numbers,
        )

    def __len__(self) -> int:
        return len(self.seconds)

    def take(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Measurements:
        """Those at ``which``, a mask or indices."""
        index = np.arange(len(self))[which]
        return Measurements(
            {k: v[index] for k, v in self.columns.items()},
            worker_class=tuple(self.worker_class[i] for i in index),
            first=self.first[index],
            **{name: getattr(self, name)[index] for name in NUMBERS},
        )

    def times(self, factor: float) -> Measurements:
        """The same with the program's seconds, on both clocks, ``factor`` times as long."""
        wall, cpu = self.read_seconds, self.read_cpu_seconds
        return replace(
            self,
            seconds=wall + (self.seconds - wall) * factor,
            cpu_seconds=cpu + (self.cpu_seconds - cpu) * factor,
        )

    def without_reading(self) -> Measurements:
        """The same with the program's own seconds alone."""
        nothing = np.zeros(len(self))
        return replace(
            self,
            seconds=self.seconds - self.read_seconds,
            cpu_seconds=np.maximum(self.cpu_seconds - self.read_cpu_seconds, 0.0),
            read_seconds=nothing,
            read_cpu_seconds=nothing,
        )

    @staticmethod
    def concat(parts: Sequence[Measurements]) -> Measurements:
        """All of ``parts``, in order; columns that not every part has are left out."""
        names = [name for name in parts[0].columns if all(name in part.columns for part in parts)]
        return Measurements(
            {name: np.concatenate([part.columns[name] for part in parts]) for name in names},
            worker_class=tuple(c for part in parts for c in part.worker_class),
            first=np.concatenate([part.first for part in parts]),
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in NUMBERS},
        )


def program_seconds(m: Measurements, clock: str) -> Floats:
    """float64[n]: wall or CPU seconds that the program itself took, without reading."""
    if clock == "cpu":
        return np.maximum(m.cpu_seconds - m.read_cpu_seconds, 0.0)
    return np.maximum(m.seconds - m.read_seconds, 0.0)


def wall_per_cpu(wall: Floats, cpu: Floats, weight: Floats) -> float:
    """Median of wall / CPU, each counted ``weight`` times."""
    order = np.argsort(wall / cpu, kind="stable")
    half = np.cumsum(weight[order]) >= weight.sum() / 2
    return float((wall / cpu)[order][int(np.argmax(half))])
