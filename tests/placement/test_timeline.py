"""Timelines find the earliest hole, as a search second by second does."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.model import SubTasks, Workers
from partitioner.placement.problem import Problem
from partitioner.placement.schedules.timeline import INSTANT, Capacity, Exclusive

STEPS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 12)), min_size=1, max_size=10)


@settings(deadline=None, max_examples=80)
@given(STEPS)
def test_capacity_agrees_with_a_search_second_by_second(steps: list[tuple[int, int, int]]) -> None:
    tasks = SubTasks.build([float(s) for s, _, _ in steps], cpus=[float(c) for _, c, _ in steps])
    line = Capacity(Problem(tasks, Workers.identical(1, cpus=4.0)), 0)
    used = np.zeros(200)
    for i, (seconds, cpus, ready) in enumerate(steps):
        expected = next(t for t in range(ready, 200) if (used[t : t + seconds] + cpus <= 4).all())
        assert line.earliest(i, float(ready), float(seconds)) == expected
        line.reserve(i, float(expected), float(seconds))
        used[expected : expected + seconds] += cpus


@settings(deadline=None, max_examples=80)
@given(STEPS)
def test_exclusive_agrees_with_a_search_second_by_second(steps: list[tuple[int, int, int]]) -> None:
    line, used = Exclusive(), np.zeros(200, bool)
    for i, (seconds, _, ready) in enumerate(steps):
        expected = next(t for t in range(ready, 200) if not used[t : t + seconds].any())
        assert line.earliest(i, float(ready), float(seconds)) == expected
        line.reserve(i, float(expected), float(seconds))
        used[expected : expected + seconds] = True


@settings(deadline=None, max_examples=40)
@given(STEPS)
def test_release_undoes_a_reservation(steps: list[tuple[int, int, int]]) -> None:
    tasks = SubTasks.build([float(s) for s, _, _ in steps], cpus=[float(c) for _, c, _ in steps])
    line = Capacity(Problem(tasks, Workers.identical(1, cpus=4.0)), 0)
    for i, (seconds, _, ready) in enumerate(steps):
        start = line.earliest(i, float(ready), float(seconds))
        line.release(i, start, float(seconds), line.reserve(i, start, float(seconds)))
    assert (line.free == 4.0).all()


def gpu_line(gpus: list[float], devices: float, memory: list[float] | None = None) -> Capacity:
    tasks = SubTasks.build(
        [10.0] * len(gpus), gpus=gpus, gpu_memory_bytes=memory or [0.0] * len(gpus), cpus=[0.0] * len(gpus)
    )
    return Capacity(Problem(tasks, Workers.identical(1, gpus=devices, gpu_memory_bytes=16.0)), 0)


def test_two_fractions_share_the_fuller_device() -> None:
    line = gpu_line([0.5, 0.3, 0.4], 2.0)
    assert [line.reserve(i, 0.0, 10.0) for i in range(3)] == [(0,), (0,), (1,)]


def test_a_fraction_does_not_spread_over_devices() -> None:
    line = gpu_line([0.6, 0.6, 0.6], 2.0)
    for i in range(2):
        line.reserve(i, 0.0, 10.0)
    assert line.earliest(2, 0.0, 10.0) == 10.0


def test_whole_gpus_need_wholly_free_devices() -> None:
    line = gpu_line([0.1, 2.0, 1.0], 2.0)
    line.reserve(0, 0.0, 10.0)
    assert (line.earliest(1, 0.0, 10.0), line.earliest(2, 0.0, 10.0)) == (10.0, 0.0)


def test_gpu_memory_is_counted_per_device() -> None:
    line = gpu_line([0.2, 0.2, 0.2], 1.0, [9.0, 9.0, 6.0])
    line.reserve(0, 0.0, 10.0)
    assert (line.earliest(1, 0.0, 10.0), line.earliest(2, 0.0, 10.0)) == (10.0, 0.0)


def test_ten_tenths_fit_one_device() -> None:
    line = gpu_line([0.1] * 11, 1.0)
    for i in range(10):
        assert line.earliest(i, 0.0, 10.0) == 0.0
        line.reserve(i, 0.0, 10.0)
    assert line.earliest(10, 0.0, 10.0) == 10.0


def test_what_takes_no_time_is_not_built_over() -> None:
    tasks = SubTasks.build([0.0, 2.0], cpus=[4.0, 1.0])
    for line in (Exclusive(), Capacity(Problem(tasks, Workers.identical(1, cpus=4.0)), 0)):
        line.reserve(0, 6.0, 0.0)
        assert line.earliest(1, 5.0, 2.0) == 6.0 + INSTANT
        line.release(0, 6.0, 0.0)
        assert line.earliest(1, 5.0, 2.0) == 5.0
