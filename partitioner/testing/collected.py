"""The suites as pytest collects them for ``one_call.check``, whose plugin gives the fixtures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from partitioner.testing.connectors import SOURCE_LAWS, Law, SourceCase
from partitioner.testing.costs import CostModelContract
from partitioner.testing.engines import RealEngineContract
from partitioner.testing.placement import PlacementContract
from partitioner.testing.reducers import ReducerContract
from partitioner.testing.splits import SplitterContract


class TestPlacement(PlacementContract):
    """Of the algorithm given."""

    algorithm = None  # type: ignore[assignment]


class TestCostModel(CostModelContract):
    """Of the cost model given."""


class TestSplitter(SplitterContract):
    """Of the splitter given."""

    splitter = None  # type: ignore[assignment]


class TestEngine(RealEngineContract):
    """Of the engine given, which is left open."""


class TestReducer(ReducerContract):
    """Of the reducer given."""

    reducer = values = expected = None  # type: ignore[assignment]

    @pytest.fixture(autouse=True)
    def _compare(self, same_results: Callable[[Any, Any, bool], bool]) -> None:
        self._same = same_results

    def same(self, left: Any, right: Any, exact: bool) -> bool:
        """As the caller says."""
        return self._same(left, right, exact)


class TestConnector:
    """Of the case given."""

    @pytest.mark.parametrize("law", SOURCE_LAWS, ids=lambda law: law.__name__)
    def test_law(self, law: Law, case: SourceCase, tmp_path: Path) -> None:
        """One law of a source."""
        law(case, tmp_path)
