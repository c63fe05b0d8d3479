import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.errors import ConfigError, InfeasiblePlan
from partitioner.model import Edges, Plan, SubTasks, Worker, Workers
from partitioner.placement.algorithms.cp_sat import CpSat
from partitioner.placement.check import violations


def solve(tasks: SubTasks, workers: Workers, objective: str = "makespan", bandwidth: float = float("inf")) -> Plan:
    plan = CpSat().place(tasks, workers, objective, time_limit=30.0, bandwidth=bandwidth)
    assert violations(plan) == []
    return plan


def chain(*pairs: tuple[int, int], delay: float = 0.0, moved: float = 0.0) -> Edges:
    ends = np.array(pairs, np.int64)
    return Edges(ends[:, 0], ends[:, 1], np.full(len(ends), delay), np.full(len(ends), moved))


def test_worked_example_8_is_proved_optimal() -> None:
    plan = solve(SubTasks.build([7.0, 7, 6, 6, 5, 5, 4, 4, 4]), Workers.identical(4))
    assert (plan.makespan, plan.lower_bound, plan.gap) == (12.0, 12.0, 0.0)
    assert plan.reasons["proven_optimal"]


def test_worked_example_9_uniform_workers() -> None:
    workers = Workers.of(Worker(f"w{s}", speed=float(s)) for s in (1, 2, 3))
    plan = solve(SubTasks.build(np.ones(12)), workers)
    assert plan.makespan == pytest.approx(2.0)
    assert np.bincount(plan.worker).tolist() == [2, 4, 6]


def test_unrelated_workers_are_proved_optimal() -> None:
    times = {"a": np.array([3.0, 9.0, 9.0]), "b": np.array([9.0, 3.0, 4.0])}
    workers = Workers.of(Worker(c, worker_class=c) for c in "ab")
    plan = solve(SubTasks.build(np.ones(3), seconds_by_class=times), workers)
    assert (plan.makespan, plan.lower_bound) == (7.0, 7.0)


def test_times_that_are_no_whole_ticks_keep_a_true_bound() -> None:
    plan = solve(SubTasks.build([np.pi, np.e, np.sqrt(2), 1.1]), Workers.identical(2))
    assert plan.makespan == pytest.approx(np.pi + 1.1)
    assert plan.lower_bound <= plan.makespan
    assert plan.gap < 1e-6


def test_shared_workers_pack_in_time() -> None:
    # two of 2 GB beside each other, then the one of 4 GB
    plan = solve(
        SubTasks.build([3.0, 3.0, 2.0], memory_bytes=[2e9, 2e9, 4e9]), Workers.identical(1, cpus=4, memory_bytes=4e9)
    )
    assert plan.makespan == 5.0


def test_fractions_of_a_gpu_hold_one_device_each() -> None:
    # 0.6 + 0.6 do not fit one device though the worker has 1.2 free in total beside 0.8
    workers = Workers.identical(1, cpus=8, gpus=2)
    plan = solve(SubTasks.build([4.0, 4.0, 4.0], gpus=[0.6, 0.6, 0.6]), workers)
    assert plan.makespan == 8.0


def test_whole_gpus_take_as_many_devices() -> None:
    plan = solve(SubTasks.build([2.0, 2.0, 2.0], gpus=[2.0, 1.0, 1.0]), Workers.identical(1, cpus=8, gpus=2))
    assert plan.makespan == 4.0


def test_delay_and_dependency() -> None:
    plan = solve(SubTasks.build([2.0, 4.0], edges=chain((0, 1), delay=3.0)), Workers.identical(2))
    assert plan.finish.tolist() == [2.0, 9.0]


def test_transfer_is_avoided_on_one_worker() -> None:
    tasks = SubTasks.build([1.0, 3.0, 3.0], edges=chain((0, 1), (0, 2), moved=10.0))
    assert solve(tasks, Workers.identical(2), bandwidth=10.0).makespan == 5.0
    assert solve(tasks, Workers.identical(2), bandwidth=1.0).makespan == 7.0


def test_release_times() -> None:
    plan = solve(SubTasks.build([5.0, 1.0], release=[1.0, 0.0]), Workers.identical(1))
    assert plan.makespan == 6.0


def test_hard_deadline_is_kept() -> None:
    tasks = SubTasks.build([4.0, 2.0], deadline=[np.inf, 2.0], hard_deadline=np.array([False, True]))
    plan = solve(tasks, Workers.identical(1))
    assert plan.finish.tolist() == [6.0, 2.0]


def test_hard_deadlines_that_exclude_each_other_are_proved_infeasible() -> None:
    # together 6 s of work on one worker by 5 s, though each alone would be in time; releases hide it from the area bound
    tasks = SubTasks.build(
        [2.0, 2.0, 2.0],
        release=[0.0, 1.0, 1.0],
        deadline=[6.5, 4.5, 4.5],
        hard_deadline=np.array([True, True, True]),
    )
    with pytest.raises(InfeasiblePlan, match="3 hard deadlines cannot all be met: CP-SAT proved"):
        CpSat().place(tasks, Workers.identical(1), time_limit=30.0)


def test_total_completion_runs_the_short_first() -> None:
    plan = solve(SubTasks.build([3.0, 1.0, 2.0]), Workers.identical(1), "total_completion")
    assert plan.value == 1.0 + 3.0 + 6.0


def test_money_prefers_the_cheap_worker() -> None:
    workers = Workers.of([Worker("dear", price_per_hour=36.0, speed=2.0), Worker("cheap", price_per_hour=3.6)])
    plan = solve(SubTasks.build([10.0, 10.0]), workers, "money")
    assert plan.worker.tolist() == [1, 1]
    assert plan.value == pytest.approx(20 * 0.001)


def test_money_until_last_keeps_idle_time_off_dear_workers() -> None:
    workers = Workers.of([Worker("dear", price_per_hour=36.0), Worker("cheap", price_per_hour=3.6)])
    tasks = SubTasks.build([1.0, 1.0], edges=chain((0, 1)))
    assert solve(tasks, workers, "money_until_last").worker.tolist() == [1, 1]


def test_loss_finishes_the_urgent_in_time() -> None:
    plan = solve(SubTasks.build([4.0, 4.0], deadline=[8.0, 4.0]), Workers.identical(1), "loss")
    assert plan.finish.tolist() == [8.0, 4.0]
    assert plan.value == 0.0


def test_total_time_prefers_the_fast() -> None:
    workers = Workers.of([Worker("slow"), Worker("fast", speed=4.0)])
    assert solve(SubTasks.build([4.0, 4.0]), workers, "total_time").value == 2.0


def test_too_large_a_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="100000 pairs of task and worker"):
        CpSat().place(SubTasks.build(np.ones(1_000)), Workers.identical(100))


@settings(deadline=None, max_examples=15)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=7),
    st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=1, max_size=3),
)
def test_equals_brute_force(seconds: list[int], speeds: list[float]) -> None:
    import itertools

    workers = Workers.of(Worker(f"w{j}", speed=s) for j, s in enumerate(speeds))
    plan = solve(SubTasks.build(np.array(seconds, np.float64)), workers)
    best = min(
        max(sum(p for p, j in zip(seconds, places, strict=True) if j == k) / s for k, s in enumerate(speeds))
        for places in itertools.product(range(len(speeds)), repeat=len(seconds))
    )
    assert plan.makespan == pytest.approx(best)
    assert plan.lower_bound <= best * (1 + 1e-9)
    assert plan.gap < 1e-6
