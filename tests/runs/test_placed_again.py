"""What a resume plans: the sub-tasks that are left, in their places among those that are committed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from partitioner.model import Edges, Plan, SubTasks, Workers
from partitioner.placement.algorithms.lpt import Lpt
from partitioner.runs.resume import placed
from tests.store.records import record

FOUR = SubTasks.build([4.0, 3.0, 2.0, 1.0])
KEYS = FOUR.task_id.to_pylist()


class Placing:
    """Places on two workers, and keeps the seconds that it is given."""

    def __init__(self) -> None:
        self.given: list[list[float]] = []

    def __call__(self, tasks: SubTasks) -> Plan:
        self.given.append(tasks.seconds.tolist())
        plan = Lpt().place(tasks, Workers.identical(2), "makespan", 0, None)
        return replace(plan, devices={len(tasks) - 1: (7,)})


def test_only_what_is_left_is_placed_and_what_is_committed_takes_no_time() -> None:
    place = Placing()
    plan = placed(FOUR, {KEYS[0]: record(KEYS[0]), KEYS[2]: record(KEYS[2])}, place)
    assert place.given == [[3.0, 1.0]]
    assert plan.tasks.task_id.to_pylist() == KEYS
    assert plan.tasks.seconds.tolist() == [0.0, 3.0, 0.0, 1.0]
    assert plan.finish.tolist() == [0.0, 3.0, 0.0, 1.0]
    assert plan.start.tolist() == [0.0] * 4
    assert plan.worker[1] != plan.worker[3]
    assert plan.devices == {3: (7,)}  # of the second that is left, by its number among all


def test_where_nothing_is_committed_the_plan_is_what_was_placed() -> None:
    place = Placing()
    plan = placed(FOUR, {}, place)
    assert place.given == [[4.0, 3.0, 2.0, 1.0]]
    assert plan.tasks.seconds.tolist() == [4.0, 3.0, 2.0, 1.0]


@pytest.mark.parametrize("done", [KEYS[:1], []])
def test_sub_tasks_that_wait_for_each_other_are_placed_with_those_that_are_committed(done: list[str]) -> None:
    edges = Edges(np.array([0]), np.array([1]), np.array([5.0]), np.array([0.0]))
    place = Placing()
    plan = placed(SubTasks.build([4.0, 3.0, 2.0, 1.0], edges=edges), {key: record(key) for key in done}, place)
    assert place.given == [[0.0 if done else 4.0, 3.0, 2.0, 1.0]]
    assert plan.tasks.seconds.tolist() == place.given[0]
