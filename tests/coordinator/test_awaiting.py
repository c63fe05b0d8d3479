"""Workers that have not joined when the run begins: they get nothing, keep their queue a little, and hold nobody."""

from __future__ import annotations

import pytest

from partitioner.coordinator.driver import _raise_stop
from partitioner.coordinator.machine import step
from partitioner.coordinator.policy import Policy
from partitioner.coordinator.state import Action, Rung, State, Submit, initial
from partitioner.errors import EngineLost
from partitioner.model import Event, EventKind, Failure, Worker
from tests.coordinator.paper import plan_of

LATE = "worker-1"
JOINED = Event(EventKind.WORKER_JOINED, worker_id=LATE, worker=Worker(LATE))


def begun(seconds: list[float]) -> tuple[State, list[Action]]:
    """Two workers, of which the second has not answered; the first step."""
    plan = plan_of(seconds)
    state = initial(plan, "memory://run", Policy(ahead_seconds=0.0, next_seconds=0.0), awaited=[LATE])
    return step(state, [], 0.0)


def sent(actions: list[Action]) -> list[tuple[str, str]]:
    return [(a.attempt.task_key, a.attempt.worker_id) for a in actions if isinstance(a, Submit)]


def ended(key: str, worker: str = "worker-0") -> Event:
    return Event(EventKind.FINISHED, f"{key}-a0", worker)


def rungs(actions: list[Action]) -> list[str]:
    return [a.what for a in actions if isinstance(a, Rung)]


def test_it_gets_nothing_before_it_joins() -> None:
    state, actions = begun([9.0, 8.0, 7.0, 6.0])
    assert sent(actions) == [("t000000", "worker-0")]
    assert [list(h.queue) for h in state.workers.values()] == [[3], [1, 2]]


def test_one_that_joins_soon_finds_its_queue_as_planned() -> None:
    state, _ = begun([9.0, 8.0, 7.0, 6.0])
    _, actions = step(state, [JOINED], 0.5)
    assert sent(actions) == [("t000001", LATE)]
    assert rungs(actions) == ["joined late"]


def test_after_a_while_its_work_goes_to_all() -> None:
    state, _ = begun([9.0, 8.0, 7.0, 6.0])
    assert state.quiet_seconds(0.0) == pytest.approx(1.0)
    _, actions = step(state, [], 1.0)
    assert rungs(actions) == ["not there"]
    _, actions = step(state, [ended("t000000")], 9.0)
    assert sent(actions) == [("t000001", "worker-0")]


def test_of_several_that_do_not_answer_the_work_of_each_goes_to_all() -> None:
    plan = plan_of([9.0, 8.0, 7.0, 6.0, 5.0, 4.0], workers=3)
    state = initial(plan, "memory://run", Policy(ahead_seconds=0.0, next_seconds=0.0), awaited=[LATE, "worker-2"])
    step(state, [], 0.0)
    _, actions = step(state, [], 1.0)
    assert rungs(actions) == ["not there", "not there"]
    assert [len(h.queue) for h in state.workers.values()] == [1, 0, 0]


def test_of_a_long_plan_it_is_waited_for_a_twentieth() -> None:
    state, _ = begun([90.0, 80.0, 70.0, 60.0])
    assert state.quiet_seconds(0.0) == pytest.approx(150.0 / 20)


def test_one_that_never_answers_holds_nobody() -> None:
    state, actions = begun([4.0, 3.0, 2.0, 1.0])
    done, now = 0, 0.0
    while not state.finished:
        now += 5.0
        ends = [ended(key) for key, _ in sent(actions)]
        done += len(ends)
        state, actions = step(state, ends, now)
        assert now < 60.0
    assert done == 4


def test_one_that_fails_its_check_is_left_out_with_a_word() -> None:
    state, _ = begun([4.0, 3.0, 2.0, 1.0])
    why = Failure("worker 1 has numpy 1, the driver 2; install the same version.", charged=False)
    state, actions = step(state, [Event(EventKind.WORKER_LOST, worker_id=LATE, error=why)], 0.5)
    assert [(a.what, a.worker_id, a.reason) for a in actions if isinstance(a, Rung)] == [
        ("left out", LATE, why.message)
    ]
    assert (list(state.workers), state.awaited) == (["worker-0"], set())


def test_a_run_that_only_it_could_go_on_with_stops_and_names_it() -> None:
    plan = plan_of([1.0], 2)
    state, actions = initial(plan, "memory://run", Policy(), awaited=plan.workers.worker_id), list[Action]()
    for now in range(0, 70, 5):
        actions += step(state, [], float(now))[1]
    with pytest.raises(EngineLost, match=r"for 60 s\. Not answered since the run began: worker-0, worker-1\."):
        _raise_stop(actions)
