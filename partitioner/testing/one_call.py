"""The published suites on something of one's own, by one call each::

    from partitioner.testing.one_call import check

    check("placements", Mine())
    check("costs", Mine())
    check("splits", Mine())
    check("engines", Mine())
    check("reducers", Mine(), values=[...], expected=..., same=lambda left, right, exact: left == right)
    check("connectors", SourceCase(make, expected, change))

In a project with tests of its own, subclassing the suite of the kind gives every law a test of its own instead.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pytest

from partitioner import choices, registry

# Kind -> the suite in ``collected``, and the fixture that is the thing.
_SUITES = {
    "placements": ("TestPlacement", "algorithm"),
    "costs": ("TestCostModel", "model"),
    "splits": ("TestSplitter", "splitter"),
    "engines": ("TestEngine", "engine"),
    "reducers": ("TestReducer", "reducer"),
    "connectors": ("TestConnector", "case"),
}


def equal(left: Any, right: Any, exact: bool) -> bool:
    """``==``: for results that are plain values and declared exact."""
    return bool(left == right)


def check(
    kind: str,
    thing: Any,
    *,
    values: list[Any] | None = None,
    expected: Any = None,
    same: Callable[[Any, Any, bool], bool] = equal,
) -> int:
    """Run the suite of ``kind`` on ``thing``; how many laws it kept. AssertionError holds the report of those it broke.

    ``thing`` is an instance, or for connectors a ``SourceCase``. For reducers ``values`` are at least four outputs of a
    program, ``expected`` what the reducer makes of them, ``same(left, right, exact)`` whether two results are equal.
    """
    registry.about(kind)
    suite, fixture = _SUITES[kind]
    given = {fixture: thing if kind == "connectors" else choices.adopted(kind, thing)}
    given |= {"values": values, "expected": expected, "same_results": same}
    counted = _Counted()
    said = io.StringIO()
    arguments = ["-q", "--tb=short", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", os.getcwd()]
    with contextlib.redirect_stdout(said):
        code = pytest.main(
            [*arguments, "--pyargs", f"partitioner.testing.collected::{suite}"],
            plugins=[_plugin(given), counted],
        )
    if code != pytest.ExitCode.OK or not counted.passed:
        raise AssertionError(f"{kind}: {counted.passed} laws kept, not all\n{said.getvalue()}")
    return counted.passed


def _plugin(values: Mapping[str, Any]) -> ModuleType:
    """A module whose fixtures give the values: pytest looks for fixtures in modules and classes only."""
    plugin = ModuleType("given")
    for name, value in values.items():
        vars(plugin)[name] = _fixture(name, value)
    return plugin


def _fixture(name: str, value: Any) -> Any:
    @pytest.fixture(name=name)
    def given() -> Any:
        return value

    return given


class _Counted:
    def __init__(self) -> None:
        self.passed = 0

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Counts the laws kept."""
        self.passed += report.when == "call" and report.passed
