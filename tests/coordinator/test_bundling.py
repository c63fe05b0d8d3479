"""Dispatch to an engine that takes many sub-tasks at once and may run them elsewhere than asked."""

from partitioner.coordinator.machine import step
from partitioner.coordinator.state import State, Submit
from partitioner.model import Event, EventKind, Worker, Workers
from tests.coordinator.paper import plan_of, started, state_of


def submitted(actions: list[object]) -> list[str]:
    return [a.attempt.attempt_id for a in actions if isinstance(a, Submit)]


def bundled(seconds: list[float], workers: Workers | int = 2, bundle: int = 8) -> State:
    return state_of(plan_of(seconds, workers), bundle=bundle, rerouted=True)


def test_first_step_hands_over_a_bundle_beside_what_runs() -> None:
    state = bundled([10.0] * 20)
    assert len(submitted(step(state, [], 0.0)[1])) == 2 + 8


def test_nothing_more_is_handed_over_until_half_of_the_bundle_has_begun() -> None:
    state = bundled([10.0] * 20, workers=1)
    sent = submitted(step(state, [], 0.0)[1])
    assert len(sent) == 1 + 8
    for attempt_id in sent[:4]:
        _, actions = step(state, [started(attempt_id), Event(EventKind.FINISHED, attempt_id)], 1.0)
        assert submitted(actions) == []
    _, actions = step(state, [started(sent[4])], 2.0)
    assert len(submitted(actions)) == 4


def test_stand_in_costs_are_bundled_too() -> None:
    state = bundled([10.0] * 20)
    state.scale_known = False
    assert len(submitted(step(state, [], 0.0)[1])) == 2 + 8


def test_large_subtasks_go_ahead_only_while_all_of_them_fit_in_memory() -> None:
    workers = Workers.of([Worker("w", cpus=2, memory_bytes=100)])
    state = state_of(plan_of([1.0] * 6, workers, memory_bytes=[60.0] * 6), bundle=8, rerouted=True)
    assert len(submitted(step(state, [], 0.0)[1])) == 1
    state = state_of(plan_of([1.0] * 6, workers, memory_bytes=[50.0] * 6), bundle=8, rerouted=True)
    assert len(submitted(step(state, [], 0.0)[1])) == 6


def test_an_attempt_that_began_elsewhere_is_held_there() -> None:
    state = bundled([10.0] * 4)
    step(state, [], 0.0)
    step(state, [started("t000000-a0", "worker-1")], 1.0)
    assert "t000000-a0" not in state.workers["worker-0"].live
    assert "t000000-a0" in state.workers["worker-1"].live
    assert state.workers["worker-0"].used_cpus == 1
    assert state.workers["worker-1"].used_cpus == 3


def test_attempts_outlive_a_worker_whose_engine_runs_them_elsewhere() -> None:
    state = bundled([10.0] * 4)
    step(state, [], 0.0)
    _, actions = step(state, [Event(EventKind.WORKER_LOST, worker_id="worker-0")], 1.0)
    assert submitted(actions) == []
    assert len(state.attempts) == 4
    for i in range(4):
        step(state, [Event(EventKind.FINISHED, f"t00000{i}-a0")], 2.0)
    assert state.finished
    assert state.deaths == {}
