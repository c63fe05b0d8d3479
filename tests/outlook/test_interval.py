"""The interval of a plan: around its makespan, as long a way from zero as the start takes, told where costs are seconds."""

import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.stages.start import delayed

ROWS = pa.table({"x": range(400)})


def plan(**cost: float) -> pt.Plan:
    return pt.plan(ROWS, cost={"model": "rows", **cost}, workers=4)


def test_it_holds_the_makespan() -> None:
    planned = plan(seconds_per_row=0.5)
    low, high = planned.interval
    assert 0.7 * planned.makespan < low < planned.makespan < high < 1.4 * planned.makespan


def test_it_is_the_same_whenever_it_is_asked_for() -> None:
    planned = plan(seconds_per_row=0.5)
    assert planned.interval == planned.interval


def test_a_start_moves_it_and_makes_it_no_wider() -> None:
    planned = plan(seconds_per_row=0.5)
    low, high = planned.interval
    assert delayed(planned, 100.0).interval == pytest.approx((100 + low, 100 + high))


def test_it_is_told_where_costs_are_seconds_alone() -> None:
    assert "nine times in ten it ends after" in plan(seconds_per_row=0.5).explain()
    assert plan(seconds_per_row=0.5).to_json()["interval"] == list(plan(seconds_per_row=0.5).interval)
    assert "nine times in ten" not in plan().explain()
    assert "interval" not in plan().to_json()


def test_an_empty_plan_ends_at_once() -> None:
    assert pt.plan(ROWS.slice(0, 0), cost={"model": "rows", "seconds_per_row": 1.0}, workers=4).interval == (0.0, 0.0)
