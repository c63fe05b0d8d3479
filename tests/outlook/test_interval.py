"""The interval of a plan: around its makespan, as long a way from zero as the start takes, told where costs are seconds."""

from dataclasses import replace
from math import hypot, log

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


def test_it_is_as_wide_as_the_cost_model_is_unsure_of_the_work() -> None:
    planned = plan(seconds_per_row=0.5)
    cost = planned.about.cost
    assert cost is not None
    assert planned.doubt == 0.0

    def known(high: float) -> pt.Plan:
        work = {"seconds": 200.0, "low": 0.0, "high": high}
        return replace(planned, about=replace(planned.about, cost=replace(cost, details={"work": work})))

    assert known(200.0).interval == planned.interval
    unsure = known(200.0 * (1 + 1.645 * 0.5))
    assert unsure.doubt == pytest.approx(0.472, abs=0.001)  # of a lognormal whose standard deviation is half its mean

    def width(planned: pt.Plan) -> float:
        low, high = planned.interval
        return log(high / low) / (2 * 1.645)

    assert width(unsure) == pytest.approx(hypot(width(planned), 0.472), rel=0.15)


def test_it_is_told_where_costs_are_seconds_alone() -> None:
    assert "nine times in ten it ends after" in plan(seconds_per_row=0.5).explain()
    assert plan(seconds_per_row=0.5).to_json()["interval"] == list(plan(seconds_per_row=0.5).interval)
    assert "nine times in ten" not in plan().explain()
    assert "interval" not in plan().to_json()


def test_an_empty_plan_ends_at_once() -> None:
    assert pt.plan(ROWS.slice(0, 0), cost={"model": "rows", "seconds_per_row": 1.0}, workers=4).interval == (0.0, 0.0)
