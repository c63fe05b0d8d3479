"""Every plan is checked where it is made, whoever made it."""

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner import registry
from partitioner.errors import InfeasiblePlan, InvalidPlan
from partitioner.model import Edges, Portfolio, SubTasks, Worker, Workers
from partitioner.placement.algorithms.dp import Dp
from partitioner.placement.algorithms.lpt import Lpt
from partitioner.placement.api import compare, place
from partitioner.placement.base import EVERYTHING, Algorithm
from partitioner.placement.check import violations
from partitioner.placement.objectives import Objective
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule
from partitioner.placement.soundness import sound


class Stated(Algorithm):
    """Returns what the test wrote down, whatever was asked."""

    name = "stated"
    supports = EVERYTHING
    guarantee = "none"
    complexity = "O(1)"
    answer: ClassVar[Any] = None

    def solve(self, problem: Problem, objective: Objective, seed: int, deadline: float) -> Any:
        return self.answer


def stated(worker: list[int], start: list[float], finish: list[float], **more: Any) -> Algorithm:
    answer = Schedule(np.array(worker, np.int32), np.array(start), np.array(finish), **more)
    return type("Made", (Stated,), {"answer": answer})()


SSD = Workers.of([Worker("plain"), Worker("fast", labels=frozenset({"ssd"}))])
PAIR = SubTasks.build([2.0, 3.0], ["a", "b"])


@pytest.mark.parametrize(
    ("tasks", "workers", "columns", "told"),
    [
        (
            PAIR,
            Workers.identical(1),
            ([0, 0], [0.0, 1.0], [2.0, 4.0]),
            "holds 2.0 of cpus, its capacity is 1.0.*'b' on",
        ),
        (PAIR, Workers.identical(2), ([0, 1], [0.0, 0.0], [1.0, 3.0]), "task a lasts 1.0 s instead of 2.0 s"),
        (PAIR, Workers.identical(2), ([0, 1], [0.0, np.nan], [2.0, np.nan]), "task b lasts nan s"),
        (PAIR, Workers.identical(2), ([0, 7], [0.0, 0.0], [2.0, 3.0]), "task b goes to worker number 7 of 2"),
        (PAIR, Workers.identical(2), ([0, 1], [-1.0, 0.0], [1.0, 3.0]), "task a starts at -1.0 before its release"),
        (
            PAIR.with_columns(requires={"ssd": np.array([False, True])}),
            SSD,
            ([1, 0], [0.0, 0.0], [2.0, 3.0]),
            "task b needs label 'ssd'.*'b' on worker 'plain'",
        ),
        (
            PAIR.with_columns(release=np.array([0.0, 5.0])),
            SSD,
            ([0, 1], [0.0, 0.0], [2.0, 3.0]),
            "task b starts at 0.0 before its release 5.0",
        ),
        (
            PAIR.with_columns(edges=Edges(np.array([0]), np.array([1]), np.zeros(1), np.zeros(1))),
            SSD,
            ([0, 1], [0.0, 1.0], [2.0, 4.0]),
            "task b starts before a",
        ),
        (
            SubTasks.build([1.0, 1.0], ["a", "b"], memory_bytes=[6e9, 6e9]),
            Workers.identical(1, cpus=4.0, memory_bytes=8e9),
            ([0, 0], [0.0, 0.0], [1.0, 1.0]),
            "of memory_bytes, its capacity is 8000000000.0",
        ),
    ],
)
def test_a_plan_that_breaks_something_is_refused_by_name(
    tasks: SubTasks, workers: Workers, columns: tuple[list[int], list[float], list[float]], told: str
) -> None:
    with pytest.raises(InvalidPlan, match=f"'stated' is not valid: .*{told}"):
        stated(*columns).place(tasks, workers)


def test_a_missed_hard_deadline_names_the_task() -> None:
    tasks = PAIR.with_columns(deadline=np.array([2.5, 9.0]), hard_deadline=np.array([True, False]))
    with pytest.raises(InfeasiblePlan, match=r"Task 'a' would finish at 5 s, 2\.5 s after its hard.*'stated' found no"):
        stated([0, 0], [3.0, 0.0], [5.0, 3.0]).place(tasks, Workers.identical(1))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, "returned a NoneType"),
        (Schedule(np.zeros(1, np.int32), np.zeros(2), np.ones(2)), r"column 'worker' of shape \(1,\)"),
        (Schedule(np.zeros(2), np.zeros(2), np.ones(2)), "type float64 for 2 tasks; it must hold 2 whole numbers"),
        (Schedule(np.zeros(2, np.int32), np.array(["0", "1"]), np.ones(2)), "column 'start'"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_schedule_is_refused(answer: Any, told: str) -> None:
    with pytest.raises(InvalidPlan, match=f"'stated' returned a .*{told}|'stated' {told}"):
        type("Made", (Stated,), {"answer": answer})().place(PAIR, Workers.identical(2))


def test_a_bound_that_nobody_stands_for_is_refused() -> None:
    """5 s in a row on one of two workers, said to be the best possible: gap 0 for a plan that is 67 % off."""
    made = stated([0, 0], [0.0, 2.0], [2.0, 5.0], bound=5.0)
    with pytest.raises(InvalidPlan, match=r"'stated' claims that no plan ends before 5 s; what can be backed is 3 s"):
        made.place(PAIR, Workers.identical(2))


def test_a_bound_that_a_quick_plan_refutes_is_refused() -> None:
    made = stated([0, 0], [0.0, 2.0], [2.0, 5.0], bound=5.0)
    made.__class__.proves = True
    with pytest.raises(InvalidPlan, match="but 'lpt' has a plan that ends at 3 s"):
        made.place(PAIR, Workers.identical(2))


def test_a_bound_above_its_own_makespan_is_refused() -> None:
    made = stated([0, 0], [0.0, 2.0], [2.0, 5.0], bound=5.5)
    made.__class__.proves = True
    with pytest.raises(InvalidPlan, match="stated"):
        made.place(PAIR, Workers.identical(1))


def test_a_bound_that_is_backed_is_taken() -> None:
    tasks = SubTasks.build([5.0, 4.0, 3.0, 3.3])
    plan = Dp().place(tasks, Workers.identical(2))
    assert (plan.lower_bound, plan.about.bound_by) == (8.0, "exhausted by dynamic programming")


def registered(monkeypatch: pytest.MonkeyPatch, algorithm: Algorithm) -> None:
    table = {**registry.entries("placements"), "stated": registry.Entry("tests:stated")}
    load = registry.load
    monkeypatch.setattr(registry, "entries", lambda kind: table)
    monkeypatch.setattr(registry, "names", lambda kind: list(table))
    monkeypatch.setattr(registry, "load", lambda kind, name: type(algorithm) if name == "stated" else load(kind, name))


def test_auto_leaves_out_a_member_whose_plan_is_not_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once on one core, in 5 s, where the best plan takes 8 s."""
    registered(monkeypatch, stated([0] * 4, [0.0] * 4, [5.0, 4.0, 3.0, 3.3]))
    plan = place(SubTasks.build([5.0, 4.0, 3.0, 3.3]), Workers.identical(2))
    assert violations(plan) == []
    assert plan.about.portfolio is not None
    assert "'stated' is not valid" in plan.about.portfolio.not_run["stated"]


def test_the_winner_of_a_portfolio_is_at_fault() -> None:
    tasks, workers = PAIR, Workers.identical(1)
    both = Schedule(np.zeros(2, np.int32), np.zeros(2), tasks.seconds, portfolio=Portfolio("culprit"))
    with pytest.raises(InvalidPlan, match=r"'culprit' is not valid: worker worker-0 holds 2\.0 of cpus"):
        sound(Problem(tasks, workers), both, "auto", True)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(0, 4), st.sampled_from([0.5, 1.0, 2.0])),
        min_size=1,
        max_size=7,
    )
)
def test_capacity_is_what_a_look_at_every_instant_says(rows: list[tuple[int, int, int, float]]) -> None:
    """Against the definition: at the start of each task, the demands of all that run then (tasks of 0 s alone)."""
    worker, start, lasting, cpus = (np.array(column) for column in zip(*rows, strict=True))
    made = stated(worker.tolist(), start.astype(float).tolist(), (start + lasting).astype(float).tolist())
    running = (worker[:, None] == worker) & (start <= start[:, None]) & (start + lasting > start[:, None])
    broken = bool(((running * cpus).sum(axis=1) > 2.0).any())
    tasks = SubTasks.build(lasting.astype(float), cpus=cpus)
    if not broken:
        assert made.place(tasks, Workers.identical(2, cpus=2.0)).makespan == float((start + lasting).max())
        return
    with pytest.raises(InvalidPlan, match=r"of cpus, its capacity is 2\.0"):
        made.place(tasks, Workers.identical(2, cpus=2.0))


def test_compare_says_why_a_plan_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, stated([0, 0], [0.0, 0.0], [2.0, 3.0]))
    found = compare(PAIR, Workers.identical(2), algorithms=["lpt", "stated"])
    assert [plan.algorithm for plan in found.plans] == ["lpt"]
    assert "'stated' is not valid: worker worker-0 holds 2.0 of cpus" in found.refused["stated"]


def test_a_wrong_proof_that_slots_do_not_overlap_hides_nothing() -> None:
    """The checker believes no certificate: this one says that b follows a, which it does not."""
    plan = Lpt().place(PAIR, Workers.identical(2))
    wrong = replace(plan, worker=np.zeros(2, np.int32))
    for before in ([-1, 0], [1, -1], [1, 0], [5, -1], [-1, -1], [0, 0]):
        assert violations(wrong, before=np.array(before, np.int32))[0].startswith("worker worker-0 holds 2.0 of cpus")


def test_sharing_a_device_is_checked_on_the_devices_that_the_plan_names() -> None:
    tasks = SubTasks.build([1.0] * 3, ["a", "b", "c"], gpus=[0.6, 0.4, 0.6])
    workers = Workers.identical(1, cpus=4.0, gpus=2.0)
    columns = ([0] * 3, [0.0] * 3, [1.0] * 3)
    plan = stated(*columns, devices={0: (0,), 1: (0,), 2: (1,)}).place(tasks, workers)
    assert plan.devices[2] == (1,)
    with pytest.raises(InvalidPlan, match=r"holds 1\.2 of its GPU 0, there is 1\.0"):
        stated(*columns, devices={0: (0,), 1: (1,), 2: (0,)}).place(tasks, workers)
    with pytest.raises(InvalidPlan, match=r"no 1 GPU\(s\) for task c"):
        stated(*columns, devices={0: (0,), 1: (0,), 2: (2,)}).place(tasks, workers)


def test_more_whole_gpus_at_once_than_there_are() -> None:
    tasks = SubTasks.build([1.0] * 3, gpus=[2.0, 1.0, 1.0])
    with pytest.raises(InvalidPlan, match="runs tasks on 4 GPUs at once, it has 3"):
        stated([0] * 3, [0.0] * 3, [1.0] * 3).place(tasks, Workers.identical(1, cpus=4.0, gpus=3.0))


def test_a_transfer_counts_between_two_workers_only() -> None:
    edges = Edges(np.array([0]), np.array([1]), np.zeros(1), np.array([100.0]))
    tasks = PAIR.with_columns(edges=edges)
    assert stated([0, 0], [0.0, 2.0], [2.0, 5.0]).place(tasks, SSD, bandwidth=50.0).makespan == 5.0
    with pytest.raises(InvalidPlan, match="task b starts before a and its delay are over"):
        stated([0, 1], [0.0, 2.0], [2.0, 5.0]).place(tasks, SSD, bandwidth=50.0)
