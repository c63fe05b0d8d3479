"""The array types that values are made of, and what fragments cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """Seconds and peak memory of every fragment, n of them, from one cost model.

    ``seconds`` float64[n] at reference speed and ``memory_bytes`` float64[n] (an upper quantile where measured).
    ``seconds_low`` and ``seconds_high`` bound ``seconds`` where the model knows its uncertainty.
    A sub-task costs ``fixed_seconds`` plus the sum of its fragments; its memory is ``fixed_memory_bytes`` plus the sum
    of its fragments' (``memory_combines="sum"``, the rows are held at once) or their largest (``"max"``).
    ``unit`` is ``"seconds"`` when seconds are real, or the name of the stand-in they are proportional to.
    ``process_memory``: the fixed part holds what the worker process itself takes, not its data alone;
    ``memory_declared``: the user said what memory is needed, and is taken at their word.
    ``record_seconds`` float64[rows] in input order where the model looked at every row (sums to ``seconds``).
    ``details`` is what ``plan.explain()`` shows: source, coefficients with units, quantiles.
    """

    seconds: Floats
    memory_bytes: Floats
    seconds_low: Floats | None = None
    seconds_high: Floats | None = None
    seconds_by_class: Mapping[str, Floats] = field(default_factory=dict)
    fixed_seconds: float = 0.0
    fixed_memory_bytes: float = 0.0
    memory_combines: str = "sum"
    unit: str = "seconds"
    source: str = "declared"
    details: Mapping[str, Any] = field(default_factory=dict)
    record_seconds: Floats | None = None
    process_memory: bool = False
    memory_declared: bool = False

    def __len__(self) -> int:
        return len(self.seconds)
