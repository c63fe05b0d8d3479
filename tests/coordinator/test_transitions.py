import pytest

from partitioner.coordinator.state import State
from partitioner.coordinator.transitions import BLOCKED, DONE, LIVE, READY, Change, IllegalTransition
from tests.coordinator.paper import plan_of, state_of


def in_state(status: int) -> State:
    state = state_of(plan_of([1.0], workers=1))
    state.status[0] = status
    return state


@pytest.mark.parametrize(
    ("start", "change", "finish"),
    [
        (BLOCKED, Change.FREED, READY),
        (READY, Change.SUBMITTED, LIVE),
        (LIVE, Change.RETURNED, READY),
        (LIVE, Change.FINISHED, DONE),
    ],
)
def test_legal_changes(start: int, change: Change, finish: int) -> None:
    state = in_state(start)
    state.change(0, change)
    assert state.status[0] == finish


@pytest.mark.parametrize("change", list(Change))
def test_nothing_changes_a_sub_task_that_is_done(change: Change) -> None:
    with pytest.raises(IllegalTransition, match=f"that is DONE cannot be {change}; legal is nothing"):
        in_state(DONE).change(0, change)


def test_a_blocked_sub_task_is_never_submitted() -> None:
    with pytest.raises(IllegalTransition, match="that is BLOCKED cannot be submitted; legal is freed"):
        in_state(BLOCKED).change(0, Change.SUBMITTED)


def test_the_next_alarm_tells_how_long_nothing_need_happen() -> None:
    state = in_state(READY)
    assert state.quiet_seconds(0.0) == float("inf")
    state.alarm(7.0)
    state.alarm(5.0)
    assert state.quiet_seconds(1.0) == 4.0
    state.hear_alarms(5.0)
    assert state.quiet_seconds(5.0) == 2.0


def test_an_alarm_makes_its_worker_looked_at() -> None:
    state = in_state(READY)
    state.hungry.clear()
    state.alarm(7.0, "worker-0")
    state.hear_alarms(7.0)
    assert list(state.hungry) == ["worker-0"]
