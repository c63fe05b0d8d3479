"""What may be sent ahead to wait on a worker, and what fits beside what it holds."""

from __future__ import annotations

import numpy as np
import pytest

from partitioner.coordinator import dispatch
from partitioner.model import Worker, Workers
from tests.coordinator.paper import by_hand, state_of
from tests.coordinator.queues import held, queue_of


@pytest.mark.parametrize(
    ("ahead", "seconds", "speed", "scale", "may"),
    [
        (0.0, 0.24, 1.0, 1.0, True),
        (0.0, 0.25, 1.0, 1.0, False),
        (0.1, 0.14, 1.0, 1.0, True),
        (0.1, 0.16, 1.0, 1.0, False),
        (0.1, 0.3, 2.0, 1.0, True),
        (0.1, 0.14, 1.0, 2.0, False),
        (0.4, 0.05, 1.0, 0.5, True),
    ],
)
def test_short_work_may_wait_up_to_a_quarter_of_a_second(
    ahead: float, seconds: float, speed: float, scale: float, may: bool
) -> None:
    state = queue_of(keep_queued=99)
    holder = state.workers["worker-0"]
    holder.worker, holder.ahead = Worker("worker-0", speed=speed), ahead
    state.predicted_done, state.actual_done = 10.0, 10.0 * scale
    assert dispatch._may_send_ahead(state, holder, 0.0, seconds) is may


@pytest.mark.parametrize(
    ("predicted", "actual", "scale"),
    [(0.0, 5.0, 1.0), (5.0, 0.0, 1.0), (4.0, 6.0, 1.5), (0.5, 1.0, 2.0), (1.0, 0.5, 0.5)],
)
def test_the_scale_is_what_was_seen_over_what_was_predicted(predicted: float, actual: float, scale: float) -> None:
    state = queue_of()
    state.predicted_done, state.actual_done = predicted, actual
    assert state.scale == scale


def test_no_more_attempts_wait_than_the_limit_beside_the_cores() -> None:
    for count, may in ((2, True), (3, False)):
        state = queue_of(ahead_tasks=2)
        for _ in range(count):
            held(state, "worker-0", 0.0)
        assert dispatch._may_send_ahead(state, state.workers["worker-0"], 0.0) is may


def test_nothing_waits_ahead_before_costs_are_known() -> None:
    state = queue_of()
    state.scale_known = False
    assert dispatch._may_send_ahead(state, state.workers["worker-0"], 0.0) is False


@pytest.mark.parametrize(
    ("left", "queued", "ahead", "may"),
    [(2.0, 3, 0.0, True), (2.1, 3, 0.0, False), (2.0, 2, 0.0, False), (1.0, 3, 0.3, False)],
)
def test_one_longer_sub_task_waits_for_what_ends_within_two_seconds_while_others_stay_behind(
    left: float, queued: int, ahead: float, may: bool
) -> None:
    state = queue_of(queued)
    holder = state.workers["worker-0"]
    held(state, "worker-0", 10.0, since=0.0)
    holder.ahead = ahead
    assert dispatch._may_send_ahead(state, holder, 10.0 - left, 1.0) is may


def test_nothing_is_sent_ahead_to_a_worker_that_is_suspected_to_have_become_slow() -> None:
    for short, seconds in ((0.0, 1.0), (0.25, 0.0)):  # a longer sub-task, and one that is short
        for now, may in ((1.3, True), (1.4, False)):
            state = queue_of(ahead_seconds=short)
            held(state, "worker-0", 1.0, since=0.0)
            assert dispatch._may_send_ahead(state, state.workers["worker-0"], now, seconds) is may


def test_the_worker_is_looked_at_again_two_seconds_before_it_is_done() -> None:
    state = queue_of()
    holder = state.workers["worker-0"]
    held(state, "worker-0", 10.0, since=0.0)
    dispatch._may_send_ahead(state, holder, 1.0, 1.0)
    assert (holder.soon, state.alarms) == (8.0, [(8.0, "worker-0")])
    dispatch._may_send_ahead(state, holder, 2.0, 1.0)
    assert state.alarms == [(8.0, "worker-0")]
    holder.soon = 1.0
    dispatch._may_send_ahead(state, holder, 7.99, 1.0)
    assert holder.soon == pytest.approx(8.04)  # not sooner than a twentieth of a second


def test_an_empty_worker_holds_whatever_it_is_given() -> None:
    table = Workers.of([Worker("w", cpus=1, memory_bytes=10.0)])
    state = state_of(by_hand([1.0], table, [0], memory_bytes=[10.0]))
    state.demands.memory = [11.0]
    assert dispatch.fits(state, state.workers["w"], 0, 0.0) is True


def test_an_attempt_that_waits_holds_memory_and_needs_no_core() -> None:
    table = Workers.of([Worker("w", cpus=1, memory_bytes=10.0)])
    for memory, fits in ((4.0, True), (5.0, False)):
        state = state_of(by_hand([0.1] * 4, table, [0] * 4, memory_bytes=[memory] * 4))
        held(state, "w", 0.1, since=0.0, memory_bytes=6.0)
        assert dispatch.fits(state, state.workers["w"], 0, 0.0) is fits


def test_what_is_short_elsewhere_and_long_on_this_class_of_workers_does_not_wait() -> None:
    table = Workers.of([Worker("w", cpus=1, speed=4.0, worker_class="old")])
    for seconds, fits in ((0.2, True), (0.3, False)):
        state = state_of(
            by_hand([0.1] * 4, table, [0] * 4, seconds_by_class={"old": np.full(4, seconds)}), keep_queued=99
        )
        held(state, "w", 5.0, since=0.0)
        assert dispatch.fits(state, state.workers["w"], 0, 0.0) is fits


def test_what_is_short_enough_to_wait_and_what_is_not() -> None:
    for seconds, fits in ((0.2, True), (0.3, False)):
        state = queue_of(3, seconds, keep_queued=99)
        held(state, "worker-0", 5.0, since=0.0)
        assert dispatch.fits(state, state.workers["worker-0"], 0, 0.0) is fits
