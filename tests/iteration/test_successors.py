"""Workers that come in the place of those that went, between rounds: where partitions go, and who is told of what."""

from __future__ import annotations

from collections.abc import Sequence

from partitioner.iteration.session import succeeded
from partitioner.model import Event, Plan, SubTasks, Worker, Workers
from partitioner.placement.algorithms.lpt import Lpt


def planned() -> Plan:
    return Lpt().place(SubTasks.build([1.0, 1.0, 1.0]), Workers.of(Worker(name) for name in ("a", "b", "c")))


def where(plan: Plan) -> list[str]:
    return [plan.workers.worker_id[j] for j in plan.worker.tolist()]


def told(events: Sequence[Event]) -> list[tuple[str, str]]:
    return [(str(e.kind), e.worker_id) for e in events]


def test_one_that_came_takes_the_partitions_of_one_that_went() -> None:
    plan, news = succeeded(planned(), [Worker("a"), Worker("c"), Worker("d", cpus=2.0)])
    assert where(plan) == ["a", "d", "c"]
    assert plan.workers.cpus.tolist() == [1.0, 2.0, 1.0]
    assert news == []


def test_one_that_went_without_a_successor_is_told_as_gone() -> None:
    plan, news = succeeded(planned(), [Worker("a"), Worker("c")])
    assert (where(plan), told(news)) == (["a", "b", "c"], [("worker_lost", "b")])


def test_one_more_than_planned_is_told_as_new() -> None:
    plan, news = succeeded(planned(), [Worker(name) for name in "abcd"])
    assert (where(plan), told(news)) == (["a", "b", "c"], [("worker_joined", "d")])


def test_where_all_stay_nothing_changes() -> None:
    plan = planned()
    assert succeeded(plan, [Worker(name) for name in "cba"]) == (plan, [])
