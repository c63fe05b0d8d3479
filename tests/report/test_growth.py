"""Processes that hold more after every sub-task."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from partitioner.report.growth import sentences


def ran(hands: Any, held: list[float], **measured: float) -> list[Any]:
    """Commit records of one worker that held so many MB before each of its sub-tasks, the last first."""
    records = [hands.record(i, "w0", float(i), i + 1.0) for i in range(len(held))]
    return [
        replace(r, measured={"baseline_memory_bytes": mb * 1e6, **measured})
        for r, mb in zip(records, held, strict=True)
    ][::-1]


def test_a_process_that_grows_from_sub_task_to_sub_task_is_told(hands: Any) -> None:
    (told,) = sentences(ran(hands, [200.0, 230.0, 260.0, 290.0, 320.0, 350.0, 380.0]))
    assert told.startswith("The process of worker w0 held 150 MB more after 6 sub-tasks than after the first: ")


@pytest.mark.parametrize(
    ("held", "measured"),
    [
        ([200.0, 300.0, 301.0, 302.0, 303.0, 304.0, 305.0], {}),  # what the first left, as an allocator does
        ([200.0, 201.0, 250.0, 300.0, 301.0, 302.0, 300.0], {}),  # a cache that is full
        ([200.0, 230.0, 260.0, 290.0, 320.0], {}),  # too few to tell
        ([200.0, 230.0, 260.0, 290.0, 320.0, 350.0, 380.0], {"shared": 1.0}),
    ],
)
def test_one_that_does_not_is_not(hands: Any, held: list[float], measured: dict[str, float]) -> None:
    assert sentences(ran(hands, held, **measured)) == ()


def test_of_nothing_nothing_is_said() -> None:
    assert sentences([]) == ()
