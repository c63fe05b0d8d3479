"""Every registered cost model keeps the contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from partitioner import registry
from partitioner.costs.base import CostModel
from partitioner.costs.resolve import resolve
from partitioner.testing.costs import CostModelContract

CASES: dict[str, Callable[[], CostModel]] = {
    "rows": lambda: resolve("rows"),
    "bytes": lambda: resolve("bytes"),
    "declared": lambda: resolve([1.0, 2.0, 3.0, 4.0]),
    "expression": lambda: resolve("2e-6 * len(text) ** 2"),
    "callable": lambda: resolve(lambda fragment: fragment.rows * 0.5),
}


@pytest.mark.parametrize("name", registry.names("costs"))
class TestRegisteredCostModels(CostModelContract):
    @pytest.fixture
    def model(self, name: str) -> CostModel:
        built = CASES[name]()
        assert built.name == name
        return built
