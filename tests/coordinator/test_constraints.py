"""Simulated runs keep every constraint of a plan: judged by the same independent checker as plans."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import partitioner as pt
from partitioner.engines.simulated_world import Faults
from partitioner.model import Edges, Plan, SubTasks, Worker, Workers
from partitioner.placement.algorithms.lpt import Lpt
from partitioner.placement.check import violations
from partitioner.simulation import Simulation, simulate
from tests.coordinator.paper import plan_of


def graph(pairs: list[tuple[int, int]], delay: list[float] | None = None) -> Edges:
    source, target = np.array(pairs, np.int64).reshape(-1, 2).T
    return Edges(source, target, np.array(delay or [0.0] * len(pairs)), np.zeros(len(pairs)))


def times(simulation: Simulation) -> dict[str, tuple[float, float]]:
    return {key: (start, finish) for key, _, start, finish in simulation.timeline}


def as_plan(plan: Plan, simulation: Simulation) -> Plan:
    """What the run did, as a plan whose sub-tasks take what they took."""
    index = {key: i for i, key in enumerate(plan.tasks.task_id.to_pylist())}
    names = {name: j for j, name in enumerate(plan.workers.worker_id)}
    worker, start, finish = plan.worker.copy(), plan.start.copy(), plan.finish.copy()
    for key, name, begin, end in simulation.timeline:
        i = index[key]
        worker[i], start[i], finish[i] = names[name], begin, end
    tasks = plan.tasks.with_columns(seconds=(finish - start) * plan.workers.speed[worker], seconds_by_class={})
    span = float(finish.max())
    return replace(
        plan,
        tasks=tasks,
        worker=worker,
        start=start,
        finish=finish,
        makespan=span,
        lower_bound=span,
        gap=0.0,
        devices={},
    )


def test_a_successor_starts_when_its_predecessor_is_committed() -> None:
    tasks = SubTasks.build([5.0, 3.0], edges=graph([(0, 1)]))
    run = times(simulate(pt.place(tasks, Workers.identical(2))))
    assert run == {"t000000": (0.0, 5.0), "t000001": (5.0, 8.0)}


def test_the_delay_after_a_predecessor_is_waited_for() -> None:
    tasks = SubTasks.build([5.0, 3.0], edges=graph([(0, 1)], [10.0]))
    assert times(simulate(pt.place(tasks, Workers.identical(2))))["t000001"] == (15.0, 18.0)


def test_bytes_of_an_edge_take_their_time_between_two_workers() -> None:
    edges = Edges(np.array([0]), np.array([1]), np.zeros(1), np.array([100.0]))
    labels = {"here": np.array([True, False]), "there": np.array([False, True])}
    workers = Workers.of([Worker("a", labels=frozenset(["here"])), Worker("b", labels=frozenset(["there"]))])
    plan = Lpt().place(SubTasks.build([5.0, 3.0], edges=edges, requires=labels), workers, bandwidth=50.0)
    assert times(simulate(plan))["t000001"] == (7.0, 10.0)


def test_nothing_starts_before_its_release() -> None:
    tasks = SubTasks.build([1.0, 1.0], release=[50.0, 0.0])
    run = simulate(pt.place(tasks, Workers.identical(2)))
    assert times(run) == {"t000000": (50.0, 51.0), "t000001": (0.0, 1.0)}


def test_a_release_far_away_is_no_reason_to_give_up() -> None:
    run = simulate(pt.place(SubTasks.build([1.0], release=[5000.0]), Workers.identical(1)))
    assert (run.error, run.makespan) == (None, 5001.0)


def test_a_late_predecessor_lets_later_sub_tasks_pass() -> None:
    tasks = SubTasks.build([5.0, 3.0, 4.0], edges=graph([(0, 1)]))
    plan = replace(
        pt.place(tasks, Workers.identical(2)),
        worker=np.array([0, 1, 1], np.int32),
        start=np.array([0.0, 5.0, 8.0]),
        finish=np.array([5.0, 8.0, 12.0]),
    )
    run = times(simulate(plan, {"slowdowns": [["worker-0", 0, 4]]}))
    assert run["t000002"] == (pytest.approx(5.0), pytest.approx(9.0))
    assert run["t000001"] == (20.0, 23.0)


def test_gpu_memory_of_a_device_is_never_exceeded() -> None:
    workers = Workers.of([Worker("w", cpus=8, gpus=1, gpu_memory_bytes=16.0)])
    tasks = SubTasks.build([2.0, 2.0], gpus=[0.25, 0.25], gpu_memory_bytes=[10.0, 10.0])
    assert simulate(pt.place(tasks, workers)).makespan == 4.0


def test_fractions_share_a_device_only_up_to_its_whole() -> None:
    workers = Workers.of([Worker("w", cpus=8, gpus=2)])
    tasks = SubTasks.build([2.0] * 3, gpus=[0.6] * 3)
    assert simulate(pt.place(tasks, workers)).makespan == 4.0


def test_gpu_memory_without_a_share_needs_a_device_too() -> None:
    workers = Workers.of([Worker("cpu", cpus=8), Worker("gpu", cpus=8, gpus=1, gpu_memory_bytes=16.0)])
    tasks = SubTasks.build([2.0, 2.0], gpu_memory_bytes=[10.0, 10.0])
    assert {worker for _, worker, _, _ in simulate(pt.place(tasks, workers)).timeline} == {"gpu"}


def test_a_custom_resource_is_held() -> None:
    workers = Workers.of([Worker("w", cpus=8, resources={"licence": 1.0})])
    tasks = SubTasks.build([2.0] * 3, resources={"licence": np.ones(3)})
    assert simulate(pt.place(tasks, workers)).makespan == 6.0


def test_seconds_of_a_worker_class_count_there() -> None:
    workers = Workers.of([Worker("a", worker_class="old"), Worker("b", worker_class="new")])
    tasks = SubTasks.build([np.nan], seconds_by_class={"old": np.array([9.0]), "new": np.array([2.0])})
    assert simulate(pt.place(tasks, workers)).timeline == (("t000000", "b", 0.0, 2.0),)


def test_of_what_comes_back_the_highest_priority_goes_first_then_the_earliest_deadline() -> None:
    from partitioner.coordinator.machine import step
    from partitioner.coordinator.state import Submit
    from partitioner.model import Event, EventKind
    from tests.coordinator.paper import state_of

    plan = plan_of([4.0, 3.0, 2.0, 1.0], 1, priority=[0, 0, 0, 5.0], deadline=[np.inf, np.inf, 9.0, np.inf])
    state = state_of(plan)
    step(state, [], 0.0)
    step(state, [Event(EventKind.WORKER_LOST, worker_id="worker-0")], 1.0)
    now, order, event = 2.0, [], Event(EventKind.WORKER_JOINED, worker=Worker("late"))
    for _ in range(3):
        (sent,) = [a.attempt for a in step(state, [event], now)[1] if isinstance(a, Submit)]
        order.append(sent.task)
        event, now = Event(EventKind.FINISHED, sent.attempt_id), now + 1.0
    assert order == [3, 2, 0]


@st.composite
def plans(draw: Any) -> Plan:
    """Small random plans with every kind of constraint."""
    n, m = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    column = lambda values: [draw(st.sampled_from(values)) for _ in range(n)]  # noqa: E731
    workers = Workers.of(
        Worker(
            f"w{j}",
            cpus=4,
            memory_bytes=100.0,
            gpus=2,
            gpu_memory_bytes=16.0,
            resources={"licence": 2.0},
            speed=draw(st.sampled_from([1.0, 2.0, 0.5])),
            labels=frozenset(["fast"]) if j == 0 else frozenset(),
        )
        for j in range(m)
    )
    pairs = [(a, b) for b in range(n) for a in range(b) if draw(st.integers(0, 5)) == 0]
    tasks = SubTasks.build(
        column([0.0, 0.5, 1.0, 3.0, 20.0]),
        cpus=column([1.0, 1.0, 2.0, 4.0, 0.5]),
        memory_bytes=column([0.0, 10.0, 60.0]),
        gpus=column([0.0, 0.0, 0.5, 1.0, 2.0]),
        gpu_memory_bytes=column([0.0, 10.0]),
        release=column([0.0, 0.0, 5.0]),
        priority=column([0.0, 1.0]),
        resources={"licence": np.array(column([0.0, 1.0]))},
        requires={"fast": np.array(column([False, False, True]))},
        edges=graph(pairs, [draw(st.sampled_from([0.0, 2.0])) for _ in pairs]),
    )
    return pt.place(tasks, workers, algorithm=draw(st.sampled_from(["lpt", "heft", "fcfs"])))


@settings(deadline=None, max_examples=40, phases=[Phase.explicit, Phase.generate])
@given(plan=plans())
def test_a_run_as_predicted_is_the_plan(plan: Plan) -> None:
    run = simulate(plan)
    assert run.error is None
    assert run.makespan <= plan.makespan * (1 + 1e-6) + 1e-9
    assert run.moved == 0
    done = as_plan(plan, run)
    assert violations(replace(done, devices=plan.devices)) == []


GIVEN_UP = re.compile(
    r"sub-task (\w+) was ended 4 times \(limit 3\), the last time on (\w+), for it took longer than (\S+) s\."
)


def given_up_rightly(run: Simulation, plan: Plan, noise: float, seed: int) -> bool:
    """Four attempts of a sub-task failed by chance, or four were ended, each of which would have taken longer than it may.

    Nothing else may end a run.
    """
    assert run.error is not None
    if "failed 4 times" in run.error:
        return run.failures >= 4
    said = GIVEN_UP.search(run.error)
    if said is None:
        return False
    i, j = plan.tasks.task_id.to_pylist().index(said[1]), list(plan.workers.worker_id).index(said[2])
    took = plan.tasks.seconds[i] / plan.workers.speed[j] * Faults(noise).noise_of(seed, said[1])
    return bool(took > 0.999 * float(said[3]))


@settings(deadline=None, max_examples=40, phases=[Phase.explicit, Phase.generate])
@given(plan=plans(), noise=st.sampled_from([0.3, 1.0]), seed=st.integers(0, 100))
def test_a_run_that_differs_from_its_plan_keeps_every_constraint(plan: Plan, noise: float, seed: int) -> None:
    run = simulate(plan, Faults(noise, failure_rate=0.1), seed)
    assert run.error is None or given_up_rightly(run, plan, noise, seed)
    if run.error is None:
        assert violations(as_plan(plan, run)) == []
