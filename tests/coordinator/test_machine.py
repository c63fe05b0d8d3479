"""What the machine does after each kind of event, step by step."""

import pytest

from partitioner.config import make
from partitioner.coordinator.execute import policy_for
from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Cancel, State, Stop, Submit
from partitioner.engines.serial import SerialEngine
from partitioner.errors import EngineLost, RunFailed
from partitioner.model import Attempt, Event, EventKind, Failure, Worker, Workers
from tests.coordinator.paper import big_and_small, failed, finish, lost, plan_of, started, state_of


def submitted(actions: list[object]) -> list[tuple[str, str]]:
    return [(a.attempt.attempt_id, a.attempt.worker_id) for a in actions if isinstance(a, Submit)]


def first(state: State) -> list[Attempt]:
    return [a.attempt for a in step(state, [], 0.0)[1] if isinstance(a, Submit)]


def test_first_step_gives_every_worker_the_head_of_its_plan() -> None:
    state = state_of(plan_of([4.0, 3.0, 2.0, 1.0]))
    assert submitted(step(state, [], 0.0)[1]) == [("t000000-a0", "worker-0"), ("t000001-a0", "worker-1")]


def test_short_subtasks_are_sent_ahead_within_a_quarter_of_a_second() -> None:
    state = state_of(plan_of([0.1] * 8, workers=1))
    assert len(submitted(step(state, [], 0.0)[1])) == 2
    assert len(submitted(step(state, [started("t000000-a0")], 0.1)[1])) == 1


def test_one_longer_subtask_waits_on_the_worker_while_others_queue_behind_it() -> None:
    state = state_of(plan_of([2.0] * 5, workers=1))
    assert len(submitted(step(state, [], 0.0)[1])) == 1
    assert submitted(step(state, [started("t000000-a0")], 0.1)[1]) == [("t000001-a0", "worker-0")]
    assert submitted(step(state, [finish("t000000-a0"), started("t000001-a0")], 2.0)[1]) == [("t000002-a0", "worker-0")]
    assert submitted(step(state, [finish("t000001-a0"), started("t000002-a0")], 4.0)[1]) == []


def test_a_long_subtask_is_never_sent_ahead() -> None:
    state = state_of(plan_of([20.0] * 5, workers=1))
    step(state, [], 0.0)
    assert submitted(step(state, [started("t000000-a0")], 0.1)[1]) == []


def test_nothing_is_sent_ahead_while_costs_are_no_seconds() -> None:
    state = state_of(plan_of([0.1] * 8, workers=1))
    state.scale_known = False
    assert len(submitted(step(state, [], 0.0)[1])) == 1


def test_a_failed_subtask_is_tried_again_under_the_next_number() -> None:
    state = state_of(plan_of([1.0], workers=1))
    step(state, [], 0.0)
    _, actions = step(state, [failed("t000000-a0")], 1.0)
    assert submitted(actions) == [("t000000-a1", "worker-0")]


def test_an_error_no_retry_can_mend_stops_at_once_and_cancels_the_rest() -> None:
    state = state_of(plan_of([2.0, 1.0]))
    step(state, [], 0.0)
    _, actions = step(state, [failed("t000001-a0", fatal=True)], 1.0)
    assert Cancel("t000000-a0") in actions
    assert next(str(a.error) for a in actions if isinstance(a, Stop)).startswith(
        "sub-task t000001 failed 1 time (no retry can mend it), last on worker-1: ValueError: no."
    )


def test_retries_are_limited() -> None:
    state = state_of(plan_of([1.0], workers=1), max_retries=1)
    step(state, [], 0.0)
    step(state, [failed("t000000-a0")], 1.0)
    _, actions = step(state, [failed("t000000-a1")], 2.0)
    stop = actions[-1]
    assert isinstance(stop, Stop)
    assert isinstance(stop.error, RunFailed)
    assert "on_error='quarantine'" in str(stop.error)


def test_a_dead_worker_blames_only_what_was_running_there() -> None:
    state = state_of(plan_of([0.1, 0.1, 0.1], workers=1))
    step(state, [started("t000000-a0")], 0.0)
    step(state, [started("t000000-a0")], 0.1)
    step(state, [lost("t000000-a0"), lost("t000001-a0"), lost("t000002-a0")], 0.2)
    assert state.deaths == {0: 1}


def test_a_suspect_runs_alone_and_asks_for_more_memory() -> None:
    workers = Workers.identical(1, cpus=4, memory_bytes=100)
    state = state_of(plan_of([2.0, 1.0], workers, memory_bytes=[10.0, 10.0]))
    step(state, [], 0.0)
    step(state, [started("t000000-a0"), lost("t000000-a0")], 0.1)
    assert state.demands.memory == [20.0, 10.0]
    _, actions = step(state, [finish("t000001-a0")], 1.0)
    assert submitted(actions) == [("t000000-a1", "worker-0")]
    assert [a.attempt.memory_bytes for a in actions if isinstance(a, Submit)] == [20.0]
    assert state.workers["worker-0"].exclusive


def test_a_subtask_that_keeps_killing_workers_ends_the_run() -> None:
    state = state_of(plan_of([1.0], workers=1), max_deaths=1)
    step(state, [], 0.0)
    step(state, [started("t000000-a0"), lost("t000000-a0")], 0.1)
    _, actions = step(state, [started("t000000-a1"), lost("t000000-a1")], 0.2)
    assert "t000000 was running 2 times when its worker died (limit 1)" in str(actions[-1].error)  # type: ignore[union-attr]


def test_waiting_work_of_a_lost_worker_goes_to_the_others() -> None:
    state = state_of(plan_of([4.0, 3.0, 2.0, 1.0]))
    step(state, [], 0.0)
    step(state, [Event(EventKind.WORKER_LOST, worker_id="worker-1")], 0.1)
    order = []
    for attempt_id in ("t000000-a0", None, None, None):
        live = attempt_id or next(iter(state.attempts))
        order += submitted(step(state, [finish(live)], 1.0)[1])
    assert {worker for _, worker in order} == {"worker-0"}
    assert state.finished


@pytest.mark.parametrize("event", [finish("t000000-a0"), failed("t000000-a0"), lost("t000000-a0")])
def test_events_of_an_attempt_that_ended_change_nothing(event: Event) -> None:
    state = state_of(plan_of([2.0, 1.0, 0.9]))
    step(state, [], 0.0)
    step(state, [finish("t000000-a0")], 1.0)
    assert step(state, [event], 2.0)[1] == []
    assert (state.remaining, state.failures, state.deaths) == (2, {}, {})


def test_a_result_that_comes_after_its_attempt_was_called_lost_is_left_to_the_next_attempt() -> None:
    state = state_of(plan_of([1.0], workers=1))
    step(state, [], 0.0)
    step(state, [lost("t000000-a0")], 0.1)
    step(state, [finish("t000000-a0")], 0.2)
    assert state.remaining == 1
    step(state, [finish("t000000-a1")], 0.3)
    assert state.finished


def test_a_late_start_does_not_revive_an_attempt() -> None:
    state = state_of(plan_of([1.0], workers=1))
    step(state, [], 0.0)
    step(state, [finish("t000000-a0"), started("t000000-a0")], 1.0)
    assert state.attempts == {}


def test_the_head_of_a_queue_is_not_passed_by_smaller_ones() -> None:
    workers = Workers.identical(1, cpus=2)
    plan = plan_of([3.0, 2.0, 1.0], workers, cpus=[1.0, 2.0, 1.0])
    state = state_of(plan)
    state.workers["worker-0"].queue.clear()
    state.workers["worker-0"].queue.extend([0, 1, 2])
    assert submitted(step(state, [], 0.0)[1]) == [("t000000-a0", "worker-0")]
    assert submitted(step(state, [finish("t000000-a0")], 3.0)[1]) == [("t000001-a0", "worker-0")]


def test_an_idle_worker_takes_the_longest_waiting_subtask_of_another() -> None:
    state = state_of(plan_of([9.0, 9.0, 3.0, 5.0, 4.0], workers=2))
    mine, other = state.workers["worker-0"], state.workers["worker-1"]
    mine.queue.clear()
    other.queue.clear()
    mine.queue.append(0)
    other.queue.extend([1, 2, 3, 4])
    mine.backlog, other.backlog = 9.0, 21.0
    state.richest = [(-21.0, "worker-1"), (-9.0, "worker-0")]
    step(state, [], 0.0)
    assert submitted(step(state, [finish("t000000-a0")], 1.0)[1]) == [("t000003-a0", "worker-0")]


def test_a_worker_takes_nothing_it_cannot_hold() -> None:
    plan = plan_of([5.0, 4.0, 1.0], big_and_small(), memory_bytes=[50.0, 50.0, 5.0], cpus=[4.0, 4.0, 1.0])
    state = state_of(plan)
    placed = dict(submitted(step(state, [], 0.0)[1]))
    assert placed == {"t000000-a0": "big", "t000002-a0": "small"}
    assert submitted(step(state, [finish("t000002-a0")], 1.0)[1]) == []


def test_a_joined_worker_gets_work_at_once() -> None:
    state = state_of(plan_of([3.0, 3.0, 3.0], workers=1))
    step(state, [], 0.0)
    joined = Event(EventKind.WORKER_JOINED, worker_id="late", worker=Worker("late"))
    assert [worker for _, worker in submitted(step(state, [joined], 0.1)[1])] == ["late"]


def test_without_workers_the_run_waits_and_then_stops_resumably() -> None:
    state = state_of(plan_of([1.0], workers=1), no_worker_seconds=30)
    step(state, [], 0.0)
    step(state, [Event(EventKind.WORKER_LOST, worker_id="worker-0")], 1.0)
    assert step(state, [], 30.0)[1] == []
    stop = step(state, [], 31.0)[1][-1]
    assert isinstance(stop, Stop)
    assert isinstance(stop.error, EngineLost)
    assert "1 sub-tasks wait and none of the 0 workers left can hold them for 30 s" in str(stop.error)


def test_while_workers_are_being_started_the_run_waits_ten_times_as_long() -> None:
    state = state_of(plan_of([1.0], workers=1), no_worker_seconds=30)
    step(state, [Event(EventKind.WORKER_LOST, worker_id="worker-0")], 0.0)
    step(state, [Event(EventKind.WORKERS_COMING, coming=1)], 29.0)
    assert [step(state, [], 29.0 * n)[1] for n in range(2, 11)] == [[]] * 9
    error = str(step(state, [], 300.0)[1][-1].error)  # type: ignore[union-attr]
    assert "for 300 s. 1 that are being started did not come. Start workers and resume the run." in error


def test_workers_that_failed_to_start_are_not_waited_for() -> None:
    state = state_of(plan_of([1.0], workers=1), no_worker_seconds=30)
    step(state, [Event(EventKind.WORKER_LOST, worker_id="worker-0"), Event(EventKind.WORKERS_COMING, coming=1)], 0.0)
    assert step(state, [], 29.0)[1] == []
    assert step(state, [], 58.0)[1] == []
    assert "for 30 s. Start workers" in str(step(state, [Event(EventKind.WORKERS_COMING)], 59.0)[1][-1].error)  # type: ignore[union-attr]


def test_workers_that_start_slowly_are_waited_for_longer() -> None:
    config, engine = make({"dataset": "x", "program": "builtins:len"}), SerialEngine()
    assert policy_for(config, engine).no_worker_seconds == 60.0
    assert policy_for(config, engine, start_seconds=3.0).no_worker_seconds == 60.0
    assert policy_for(config, engine, start_seconds=40.0).no_worker_seconds == 400.0


def test_a_lost_engine_stops_the_run() -> None:
    state = state_of(plan_of([1.0]))
    first(state)
    _, actions = step(state, [Event(EventKind.ENGINE_LOST, error=Failure("gone"))], 1.0)
    assert "What is committed stays; resume the run" in str(actions[-1].error)  # type: ignore[union-attr]


def test_committed_subtasks_are_never_submitted() -> None:
    from partitioner.coordinator.state import Policy, initial

    plan = plan_of([1.0, 1.0, 1.0])
    state = initial(plan, "memory://run", Policy(), committed=[0, 2])
    assert [name for name, _ in submitted(step(state, [], 0.0)[1])] == ["t000001-a0"]
