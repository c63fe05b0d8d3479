"""Where workers are idle and a rest is long, an attempt is asked for it; its rows go on as parts, and nothing runs twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from partitioner.coordinator import handover
from partitioner.coordinator.driver import drive
from partitioner.coordinator.execute import resume_parts
from partitioner.coordinator.machine import step
from partitioner.coordinator.policy import Policy
from partitioner.coordinator.state import HandOver, Rung, State, initial
from partitioner.engines.simulated import SimulatedEngine
from partitioner.engines.simulated_world import Faults, record_of
from partitioner.model import Attempt, Event, EventKind, Worker, Workers
from partitioner.simulation import rows_of
from tests.coordinator.outcomes import DEATH, done, ends, rowed, rungs, submits
from tests.coordinator.paper import started, state_of


def asked(actions: Any) -> list[str]:
    return [a.attempt_id for a in actions if isinstance(a, HandOver)]


def straggling(workers: int = 3, **policy: Any) -> tuple[State, Attempt]:
    """Sub-tasks of one second on as many workers; all but the first are done when 1 s is over."""
    settings: dict[str, Any] = {"divisible": True, "hand_over_seconds": 1.0, **policy}
    state = state_of(rowed([100] * workers, workers), **settings)
    first, *others = submits(step(state, [], 0.0)[1])
    step(state, [started(a.attempt_id) for a in (first, *others)], 0.0)
    assert asked(step(state, [done(a, seconds=1.0) for a in others], 1.0)[1]) == []
    return state, first


def part_of(attempt: Attempt, at: int, **facts: Any) -> Event:
    """It has handed over: the rows before ``at`` are committed as a part."""
    record = replace(record_of(attempt, 0.0, 4.0, range(at)), task_key=f"t000000.000-{at:03d}", part=(0, at), **facts)
    return Event(EventKind.FINISHED, attempt.attempt_id, attempt.worker_id, record=record)


def test_a_straggler_is_asked_once_for_its_rest_where_that_saves_enough() -> None:
    state, first = straggling()
    history = [action for now in (2.0, 3.0, 4.0, 5.0, 6.0) for action in step(state, [], now)[1]]
    assert asked(history) == [first.attempt_id]
    (told,) = [a for a in history if isinstance(a, Rung) and a.what == "asked for its rest"]
    assert (told.task_key, told.worker_id) == ("t000000", first.worker_id)
    assert "2 workers are idle" in told.reason
    state, _ = straggling(hand_over_seconds=1000.0)
    assert all(asked(step(state, [], now)[1]) == [] for now in (2.0, 3.0, 4.0, 5.0, 6.0))


@pytest.mark.parametrize("setting", [{"divisible": False}, {"hand_over_seconds": float("inf")}])
def test_nobody_is_asked_where_rows_stay_together_or_that_is_turned_off(setting: Any) -> None:
    state, _ = straggling(**setting)
    assert all(asked(step(state, [], now)[1]) == [] for now in (2.0, 4.0, 8.0, 16.0))


def test_nobody_is_asked_while_work_waits() -> None:
    state = state_of(rowed([100] * 3, 2), divisible=True, hand_over_seconds=0.0, ahead_seconds=0.0)
    live = submits(step(state, [], 0.0)[1])
    _, actions = step(state, [started(a.attempt_id) for a in live], 0.1)
    assert asked(actions) == []


def test_an_excluded_worker_counts_as_no_idle_one() -> None:
    state, _ = straggling(workers=2)
    state.excluded["worker-1"] = 1000.0
    assert all(asked(step(state, [], now)[1]) == [] for now in (2.0, 4.0, 8.0))


def test_the_rest_goes_to_the_idle_workers_in_equal_pieces_and_not_to_the_slow_one() -> None:
    state, first = straggling()
    _, actions = step(state, [part_of(first, 40)], 4.0)
    assert [(a.task_key, a.care.rows, a.care.split_from) for a in submits(actions)] == [
        ("t000000.040-070", (40, 70), ("t000000",)),
        ("t000000.070-100", (70, 100), ("t000000",)),
    ]
    assert first.worker_id not in [a.worker_id for a in submits(actions)]
    assert rungs(actions) == ["handed over"]
    assert not state.finished
    step(state, [done(a, part=a.care.rows) for a in submits(actions)], 5.0)
    assert state.finished


def test_where_only_the_cut_was_committed_the_rows_before_it_run_again_as_a_part() -> None:
    state, first = straggling()
    cut = done(first, split=True, part=(40, 100), rows_in=0)
    step(state, [cut], 4.0)
    ranges = sorted(a.care.rows for a in [live.attempt for live in state.attempts.values()] if a.care.rows)
    waiting = sorted((state.parts[t].start, state.parts[t].stop) for t in state.pool)
    assert sorted([*ranges, *waiting]) == [(0, 40), (40, 70), (70, 100)]


def test_a_piece_is_as_good_as_a_whole_after_a_death() -> None:
    state, first = straggling()
    (one, _) = submits(step(state, [part_of(first, 40)], 4.0)[1])
    _, actions = step(state, [started(one.attempt_id), ends(EventKind.LOST, one, DEATH)], 5.0)
    assert rungs(actions) == ["retried"]
    assert not any("split" in r for r in rungs(actions))


def test_pieces_share_a_worker_with_others() -> None:
    table = Workers.of([Worker("a", cpus=1, memory_bytes=1e9), Worker("b", cpus=4, memory_bytes=1e9)])
    state = state_of(rowed([100, 100], table), divisible=True, hand_over_seconds=1.0)
    live = submits(step(state, [], 0.0)[1])
    first = next(a for a in live if a.task == 0)
    step(state, [started(a.attempt_id) for a in live], 0.0)
    step(state, [done(a, seconds=1.0) for a in live if a.task], 1.0)
    pieces = submits(step(state, [part_of(first, 40)], 30.0)[1])
    assert len(pieces) >= 3


def test_a_resume_keeps_to_the_cut() -> None:
    plan = rowed([100, 1])
    state = initial(plan, "memory://run", state_of(plan, divisible=True).policy)
    attempt = Attempt("t000000", 0, 0, "w", "memory://run")
    cut = replace(record_of(attempt, 0.0, 0.0), split=True, part=(40, 100))
    resume_parts(state, {"t000000": 0, "t000001": 1}, {"t000000": cut})
    assert sorted((p.start, p.stop) for p in state.parts.values()) == [(0, 40), (40, 100)]


def test_attempts_at_parts_of_an_earlier_session_are_numbered_on() -> None:
    plan = rowed([100, 1])
    state = initial(plan, "memory://run", state_of(plan, divisible=True).policy)
    state.part_numbers = {"t000000.040-100": 3}
    attempt = Attempt("t000000", 0, 0, "w", "memory://run")
    cut = replace(record_of(attempt, 0.0, 0.0), split=True, part=(40, 100))
    resume_parts(state, {"t000000": 0, "t000001": 1}, {"t000000": cut})
    made = {a.task_key: a.number for a in submits(step(state, [], 0.0)[1])}
    assert {"t000000.000-040": 0, "t000000.040-100": 3}.items() >= {k: n for k, n in made.items() if "." in k}.items()


def test_a_divided_subtask_that_waits_for_another_goes_on_after_that_is_committed() -> None:
    state = waiting_for_the_first()
    assert [a.task_key for a in submits(step(state, [], 0.0)[1])] == ["t000000"]
    (first,) = [live.attempt for live in state.attempts.values()]
    actions = step(state, [started(first.attempt_id), done(first)], 1.0)[1]
    made = [a.task_key for a in submits(actions)]
    assert made[0] == "t000001.000-040"


def waiting_for_the_first() -> State:
    import numpy as np

    from partitioner.model import Edges

    plan = rowed([1, 100])
    edges = Edges(np.array([0]), np.array([1]), np.zeros(1), np.zeros(1))
    plan = replace(plan, tasks=plan.tasks.with_columns(edges=edges))
    state = initial(plan, "memory://run", state_of(plan, divisible=True).policy)
    cut = replace(record_of(Attempt("t000001", 1, 0, "w", "memory://run"), 0.0, 0.0), split=True, part=(40, 100))
    resume_parts(state, {"t000000": 0, "t000001": 1}, {"t000001": cut})
    return state


def test_what_waits_for_a_subtask_whose_parts_are_all_there_waits_no_more() -> None:
    import numpy as np

    from partitioner.model import Edges

    plan = rowed([100, 1])
    edges = Edges(np.array([0]), np.array([1]), np.zeros(1), np.zeros(1))
    plan = replace(plan, tasks=plan.tasks.with_columns(edges=edges))
    state = initial(plan, "memory://run", state_of(plan, divisible=True).policy)
    empty = record_of(Attempt("t000000", 0, 0, "w", "memory://run"), 0.0, 0.0)
    records = {"t000000": replace(empty, split=True, part=(40, 100))}
    for start, stop in ((0, 40), (40, 100)):
        key = f"t000000.{start:03d}-{stop:03d}"
        records[key] = replace(empty, task_key=key, part=(start, stop))
    resume_parts(state, {"t000000": 0, "t000001": 1}, records)
    assert [a.task_key for a in submits(step(state, [], 0.0)[1])] == ["t000001"]


@pytest.mark.parametrize(("tasks", "seconds"), [(64, 30.0), (24, 20.0)])
def test_a_slot_ten_times_slower_costs_little_beside_the_bound_that_knows_it(tasks: int, seconds: float) -> None:
    bound = tasks * seconds / (7 + 1 / 10)
    assert makespan(tasks, seconds, hand_over_seconds=5.0) <= 1.15 * bound
    assert makespan(tasks, seconds) > makespan(tasks, seconds, hand_over_seconds=5.0)


def makespan(tasks: int, seconds: float, **policy: float) -> float:
    """Simulated seconds on eight slots, the first ten times slower, which the costs do not know."""
    plan = rowed([100] * tasks, 8)
    plan = replace(plan, tasks=plan.tasks.with_columns(seconds=plan.tasks.seconds * seconds))
    faults = Faults(noise=0.05, slowdowns=(("worker-0", 0.0, 10.0),))
    engine = SimulatedEngine(plan.workers, faults, 3, rows_of(plan))
    state = initial(plan, "simulated://", Policy(divisible=True, **policy), seconds_known=False)  # type: ignore[arg-type]
    drive(engine, state, [Asking(engine)], engine.clock)
    return engine.clock()


class Asking:
    """Brings requests to the simulated engine, as a run brings them through its directory."""

    def __init__(self, engine: SimulatedEngine) -> None:
        self._engine = engine

    def observe(self, state: State, events: Any, actions: Any) -> None:
        self._engine.hand_over(asked(actions))


def test_one_attempt_is_asked_at_a_time_with_half_a_second_between() -> None:
    state = state_of(rowed([100] * 4, 4), divisible=True, hand_over_seconds=1.0, backup_factor=1e9)
    live = submits(step(state, [], 0.0)[1])
    step(state, [started(a.attempt_id) for a in live], 0.0)
    step(state, [done(a, seconds=1.0) for a in live[2:]], 1.0)
    told = {now: asked(step(state, [], now)[1]) for now in (8.0, 8.1, 8.4, 8.6)}
    assert [len(told[now]) for now in (8.0, 8.1, 8.4, 8.6)] == [1, 0, 0, 1]
    assert sorted(told[8.0] + told[8.6]) == sorted(a.attempt_id for a in live[:2])


@pytest.mark.parametrize("state_of_the_idle", ["suspended", "reserved", "exclusive"])
def test_a_worker_that_takes_nothing_counts_as_no_idle_one(state_of_the_idle: str) -> None:
    state, _ = straggling(workers=2)
    holder = state.workers["worker-1"]
    if state_of_the_idle == "suspended":
        holder.health.suspended = True
    elif state_of_the_idle == "reserved":
        holder.reserved = 0
    else:
        holder.exclusive = True
    assert all(asked(handover.ask(state, now)) == [] for now in (2.0, 4.0, 8.0))


def in_doubt(state: State) -> None:
    state.trouble(0).losses = 1


def with_a_copy(state: State) -> None:
    state.copies[0] = ["t000000-a0", "t000000-a1"]


def after_a_death(state: State) -> None:
    state.deaths[0] = 1


def being_stopped(state: State) -> None:
    state.attempts["t000000-a0"].why = DEATH


def not_begun(state: State) -> None:
    state.attempts["t000000-a0"].started = None


@pytest.mark.parametrize("condition", [in_doubt, with_a_copy, after_a_death, being_stopped, not_begun])
def test_only_a_first_and_only_attempt_with_which_nothing_is_wrong_is_asked(condition: Any) -> None:
    state, _ = straggling(backup_factor=1e9)
    condition(state)
    assert all(asked(step(state, [], now)[1]) == [] for now in (2.0, 4.0, 8.0))


@pytest.mark.parametrize("rows", [1, -1])
def test_a_subtask_of_one_row_or_of_nobody_knows_how_many_is_not_asked_for(rows: int) -> None:
    state = state_of(rowed([rows, 5, 5], 3), divisible=True, hand_over_seconds=1.0, backup_factor=1e9)
    first, *others = submits(step(state, [], 0.0)[1])
    step(state, [started(a.attempt_id) for a in (first, *others)], 0.0)
    step(state, [done(a, seconds=1.0) for a in others], 1.0)
    assert all(asked(step(state, [], now)[1]) == [] for now in (2.0, 4.0, 8.0))


def test_what_the_slow_worker_took_for_its_share_is_learned() -> None:
    state, first = straggling()
    record = part_of(first, 40).record
    assert record is not None
    event = Event(EventKind.FINISHED, first.attempt_id, first.worker_id, record=replace(record, seconds=4.0))
    step(state, [event], 4.0)
    assert state.workers[first.worker_id].factor > 1.5
    assert state.workers[first.worker_id].weight == 1.0


def test_what_waits_for_a_divided_subtask_that_itself_waits_goes_on_after_all_its_parts() -> None:
    import numpy as np

    from partitioner.model import Edges

    plan = rowed([1, 100, 1])
    edges = Edges(np.array([0, 1]), np.array([1, 2]), np.zeros(2), np.zeros(2))
    plan = replace(plan, tasks=plan.tasks.with_columns(edges=edges))
    state = initial(plan, "memory://run", state_of(plan, divisible=True).policy)
    cut = replace(record_of(Attempt("t000001", 1, 0, "w", "memory://run"), 0.0, 0.0), split=True, part=(40, 100))
    resume_parts(state, {"t000000": 0, "t000001": 1, "t000002": 2}, {"t000001": cut})
    order, events = [], []
    for now in range(4):
        made = submits(step(state, events, float(now))[1])
        order.append(sorted(a.task_key for a in made))
        live = [each.attempt for each in state.attempts.values()]
        events = [e for a in live for e in (started(a.attempt_id), done(a, part=a.care.rows))]
    made_in_turn = [key for keys in order for key in keys]
    assert (order[0], made_in_turn[-1]) == (["t000000"], "t000002")
    assert sorted(made_in_turn[1:-1]) == ["t000001.000-040", "t000001.040-100"]
