"""Every registered cost model keeps the contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from partitioner import registry
from partitioner.costs.auto import Auto
from partitioner.costs.base import CostModel
from partitioner.costs.calibrated import Calibrated
from partitioner.costs.learned import Learned
from partitioner.costs.measuring.measurements import Timing
from partitioner.costs.resolve import resolve
from partitioner.model import Dataset, Fragments
from partitioner.testing.costs import CostModelContract


def timed(dataset: Dataset, pieces: Fragments, seconds_limit: float) -> list[Timing]:
    """A runner whose clock is a formula."""
    sizes = pieces.stop - pieces.start
    return [Timing(0.001 + 0.01 * float(n), peak_memory_bytes=1e8 + 100.0 * float(n)) for n in sizes]


EARLIER = {"n": list(range(40)), "took": [0.1 + 0.01 * n for n in range(40)]}

CASES: dict[str, Callable[[], CostModel]] = {
    "rows": lambda: resolve("rows"),
    "bytes": lambda: resolve("bytes"),
    "declared": lambda: resolve([1.0, 2.0, 3.0, 4.0]),
    "expression": lambda: resolve("2e-6 * len(text) ** 2"),
    "callable": lambda: resolve(lambda fragment: fragment.rows * 0.5),
    "calibrated": lambda: Calibrated().bind(runner=timed),
    "auto": lambda: Auto("no-such-profiles.sqlite", worth_rows=1).bind(runner=timed, program="module:function"),
    "learned": lambda: Learned("no-such-profiles.sqlite").bind(runner=timed, program="module:function"),
    "history": lambda: resolve({"model": "history", "table": EARLIER, "seconds": "took", "numbers": ["n"]}),
}


@pytest.mark.parametrize("name", registry.built_in("costs"))
class TestRegisteredCostModels(CostModelContract):
    @pytest.fixture
    def model(self, name: str) -> CostModel:
        built = CASES[name]()
        assert built.name == name
        return built
