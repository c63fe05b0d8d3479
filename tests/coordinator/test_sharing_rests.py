"""Who is asked for the rest of its rows, what that gains, and who gets the pieces: figures as literals. And back-ups."""

from __future__ import annotations

from dataclasses import replace
from math import exp, expm1, inf
from typing import Any

import pytest

from partitioner.coordinator import backups, handover
from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Cancel, HandOver, Live, State
from partitioner.coordinator.transitions import LIVE
from partitioner.engines.simulated_world import record_of
from partitioner.model import Attempt, Worker, Workers
from tests.coordinator.outcomes import rowed, rungs, submits
from tests.coordinator.paper import by_hand, started, state_of


def one_runs(speeds: list[float], seconds: float = 100.0, **policy: Any) -> tuple[State, Live]:
    """A sub-task of 100 rows that runs on the first worker from second 0 on; the others are idle."""
    table = Workers.of(Worker(f"w{j}", speed=s, memory_bytes=100.0) for j, s in enumerate(speeds))
    plan = rowed([100], table)
    plan = replace(plan, tasks=plan.tasks.with_columns(seconds=plan.tasks.seconds * seconds))
    settings: dict[str, Any] = {"divisible": True, "hand_over_seconds": 5.0, "backup_factor": inf, **policy}
    state = state_of(plan, **settings)
    for name, holder in state.workers.items():
        holder.queue.clear()
        if name == "w0":
            holder.queue.append(0)
    (first,) = submits(step(state, [], 0.0)[1])
    assert first.worker_id == "w0"
    live = state.attempts[first.attempt_id]
    live.started = 0.0
    return state, live


def gain(state: State, live: Live, now: float) -> float:
    idle = [h for name, h in state.workers.items() if name != "w0"]
    return handover._gain(state, live, idle, now)


@pytest.mark.parametrize(
    ("speeds", "now", "gained"),
    [
        ([1.0, 1.0], 20.0, 80 - 0.8 / (1 / 100 + 1 / 100)),
        ([1.0, 1.0], 0.0, 100 - 1.0 / (1 / 100 + 1 / 100)),
        ([1.0, 2.0], 20.0, 80 - 0.8 / (1 / 100 + 1 / 50)),
        ([1.0, 2.0, 1.0], 20.0, 80 - 0.8 / (1 / 100 + 1 / 50)),
        ([1.0, 1.5, 1.0], 20.0, 80 - 0.8 / (1 / 100 + 1.5 / 100 + 1 / 100)),
        ([0.5, 1.0, 1.0], 50.0, 150 - 0.75 / (1 / 200 + 2 / 100)),
        ([1.0, 1.0], 100.0, 0.0),
    ],
)
def test_what_is_gained_where_idle_workers_take_their_share_of_the_rest(
    speeds: list[float], now: float, gained: float
) -> None:
    assert gain(*one_runs(speeds), now) == pytest.approx(gained)


def test_of_a_late_attempt_the_whole_is_what_it_took_so_far() -> None:
    state, live = one_runs([1.0, 1.0])
    rest = 300 * expm1(0.8 * 0.5 * 1.0986122886681098)
    assert gain(state, live, 300.0) == pytest.approx(rest - rest / 300 / (1 / 300 + 1 / 100))


def test_nothing_is_gained_where_nobody_else_could_take_it() -> None:
    state, live = one_runs([1.0, 1.0])
    assert handover._gain(state, live, [state.workers["w0"]], 20.0) == 0.0
    state.demands.memory = [200.0]
    assert gain(state, live, 20.0) == 0.0
    state.demands.memory = [0.0]
    del state.workers["w0"]
    assert gain(state, live, 20.0) == 0.0


def test_sub_tasks_that_take_no_time_gain_nothing() -> None:
    state, live = one_runs([1.0, 1.0], seconds=0.0)
    assert gain(state, live, 0.0) == 0.0


def asked(state: State, now: float) -> list[str]:
    return [a.attempt_id for a in handover.ask(state, now) if isinstance(a, HandOver)]


def test_exactly_the_seconds_that_are_worth_it_are_worth_it() -> None:
    for least, told in ((40.0, ["t000000-a0"]), (40.001, [])):
        state, live = one_runs([1.0, 1.0], hand_over_seconds=least)
        assert asked(state, 20.0) == told
        assert live.asked is bool(told)
        assert state.look_at_rests == 20.5
        assert (20.5, "") in state.alarms


@pytest.mark.parametrize(("rows", "told"), [(1, []), (2, ["t000000-a0"])])
def test_two_rows_can_be_shared_and_one_cannot(rows: int, told: list[str]) -> None:
    state, _ = one_runs([1.0, 1.0])
    assert state.tasks.fragments is not None
    state.tasks.fragments.rows[:] = rows
    assert asked(state, 20.0) == told


def test_the_reason_tells_the_gain_and_the_idle_workers() -> None:
    state, _ = one_runs([1.0, 1.0, 0.1])
    asked(state, 20.0)
    (rung,) = state.rungs
    assert rung.reason == "about 40 s sooner done, for 2 workers are idle"


@pytest.mark.parametrize("off", [{"divisible": False}, {"hand_over_seconds": inf}])
def test_where_it_is_turned_off_nobody_even_looks(off: dict[str, Any]) -> None:
    state, _ = one_runs([1.0, 1.0], **off)
    alarms = list(state.alarms)
    assert asked(state, 20.0) == []
    assert (state.look_at_rests, state.alarms) == (0.0, alarms)


def test_nobody_is_asked_while_costs_are_no_seconds() -> None:
    state, _ = one_runs([1.0, 1.0])
    state.scale_known = False
    assert asked(state, 20.0) == []


@pytest.mark.parametrize("waits", ["in the pool", "in a queue", "until the next look"])
def test_nobody_is_asked_while_other_work_waits_or_before_the_next_look(waits: str) -> None:
    state, _ = one_runs([1.0, 1.0])
    if waits == "in the pool":
        state.pool.append(0)
    elif waits == "in a queue":
        state.workers["w1"].queue.append(0)
    else:
        state.look_at_rests = 20.001
    assert asked(state, 20.0) == []


def test_where_no_worker_is_idle_nobody_looks() -> None:
    state, _ = one_runs([1.0, 1.0])
    state.workers["w1"].used_cpus = 1.0
    assert (asked(state, 20.0), state.look_at_rests) == ([], 0.0)


@pytest.mark.parametrize("why", ["excluded", "suspended", "exclusive", "reserved"])
def test_where_the_only_idle_worker_may_have_nothing_nobody_looks(why: str) -> None:
    state, _ = one_runs([1.0, 1.0])
    holder = state.workers["w1"]
    if why == "excluded":
        state.excluded["w1"] = 9.0
    elif why == "suspended":
        holder.health.suspended = True
    elif why == "exclusive":
        holder.exclusive = True
    else:
        holder.reserved = 0
    state.workers["w0"].used_cpus = 1.0
    assert (asked(state, 20.0), state.look_at_rests) == ([], 0.0)


def test_rows_are_handed_over_by_an_attempt_whose_worker_is_gone() -> None:
    state, live = one_runs([1.0, 1.0])
    del state.workers["w0"]
    handover.handed_over(state, live, replace(record_of(live.attempt, 0.0, 40.0), part=(0, 40)))
    assert (pieces(state), state.completions) == ([(40, 100)], 0)


def test_the_attempt_that_gains_most_is_asked() -> None:
    plan = by_hand([50.0, 90.0, 70.0], Workers.of(Worker(f"w{j}") for j in range(4)), [0, 1, 2])
    ready = rowed([100, 100, 100], 4)
    plan = replace(plan, tasks=ready.tasks.with_columns(seconds=plan.tasks.seconds))
    state = state_of(plan, divisible=True, hand_over_seconds=5.0, backup_factor=inf)
    live = submits(step(state, [], 0.0)[1])
    for attempt in live:
        state.attempts[attempt.attempt_id].started = 0.0
    assert asked(state, 10.0) == ["t000001-a0"]


@pytest.mark.parametrize(
    ("rows", "at", "split", "seconds", "factor"),
    [(100, 50, False, 100.0, 2.0), (100, 25, False, 100.0, 4.0), (100, 50, True, 100.0, 1.0)],
)
def test_how_slow_the_worker_was_is_learned_from_the_rows_that_it_did(
    rows: int, at: int, split: bool, seconds: float, factor: float
) -> None:
    state, live = one_runs([1.0, 1.0])
    part = (at, rows) if split else (0, at)
    record = replace(record_of(live.attempt, 0.0, seconds), part=part, split=split, seconds=seconds)
    handover.handed_over(state, live, record)
    assert exp(state.log_ratios) == pytest.approx(factor)
    assert state.completions == (0 if split else 1)


def pieces(state: State) -> list[tuple[int, int]]:
    return [(p.start, p.stop) for p in state.parts.values()]


def test_there_are_as_many_pieces_as_free_cores_that_are_not_slow() -> None:
    state, live = one_runs([1.0, 1.0, 1.0, 0.1])
    state.workers["w1"].worker = Worker("w1", cpus=4, memory_bytes=100.0)
    state.workers["w1"].used_cpus = 1.0
    state.attempts.pop(live.attempt.attempt_id)
    state.workers["w0"].used_cpus = 1.0
    record = replace(record_of(live.attempt, 0.0, 40.0), part=(0, 40))
    state.last_now = 40.0
    assert handover.handed_over(state, live, record) is False
    assert pieces(state) == [(40, 55), (55, 70), (70, 85), (85, 100)]
    assert state.trouble(0).slow_on == frozenset(["w3"])
    assert state.rungs[-1].reason == "at row 40 of 100; the rest in 4 pieces"


def test_part_of_a_core_counts_as_one_and_a_row_is_never_divided() -> None:
    state, live = one_runs([1.0, 1.0, 1.0])
    state.workers["w1"].used_cpus = 0.5
    state.workers["w0"].used_cpus = 1.0
    record = replace(record_of(live.attempt, 0.0, 98.0), part=(0, 98))
    handover.handed_over(state, live, record)
    assert pieces(state) == [(98, 99), (99, 100)]


def test_there_are_no_more_pieces_than_rows() -> None:
    state, live = one_runs([1.0] * 6)
    handover.handed_over(state, live, replace(record_of(live.attempt, 0.0, 98.0), part=(0, 98)))
    assert state.rungs[-1].reason == "at row 98 of 100; the rest in 2 pieces"


def test_where_nobody_is_free_the_rest_is_one_piece() -> None:
    state, live = one_runs([1.0])
    handover.handed_over(state, live, replace(record_of(live.attempt, 0.0, 40.0), part=(0, 40)))
    assert pieces(state) == [(40, 100)]


def test_a_cut_that_alone_was_committed_leaves_the_rows_before_it_as_a_piece() -> None:
    state, live = one_runs([1.0, 1.0])
    record = replace(record_of(live.attempt, 0.0, 40.0), part=(40, 90), split=True)
    assert handover.handed_over(state, live, record) is False
    assert pieces(state) == [(0, 40), (40, 90)]


@pytest.mark.parametrize(
    ("speeds", "took", "slow"),
    [
        ([1.0, 1.0], 100.0, set()),
        ([1.0, 1.0], 150.0, set()),
        ([1.0, 1.0], 151.0, {"w0"}),
        ([1.0, 1.5], 10.0, set()),
        ([1.0, 1.6], 10.0, {"w0"}),
        ([1.0, 0.5, 0.7], 10.0, {"w1"}),
    ],
)
def test_slow_is_who_takes_half_as_long_again_as_the_quickest(speeds: list[float], took: float, slow: set[str]) -> None:
    state, live = one_runs(speeds)
    state.last_now = took
    assert handover._slow(state, live, 0) == slow


def test_an_attempt_of_which_nobody_knows_when_it_began_makes_nobody_slow() -> None:
    state, live = one_runs([1.0, 1.0])
    live.started, state.last_now = None, 500.0
    assert handover._slow(state, live, 0) == frozenset()


def test_an_attempt_of_a_worker_that_is_gone_makes_nobody_slow() -> None:
    state, live = one_runs([1.0, 1.0])
    del state.workers["w0"]
    state.last_now = 500.0
    assert handover._slow(state, live, 0) == frozenset()


# ---- back-ups


def late(cpus: float = 1.0, **policy: Any) -> tuple[State, Live]:
    """An attempt of 1 core on ``w0`` that should have a back-up; w1 and w2 are idle, w2 quicker."""
    table = Workers.of(Worker(f"w{j}", cpus=2, speed=s, memory_bytes=100.0) for j, s in enumerate([1.0, 1.0, 2.0]))
    state = state_of(by_hand([10.0, 10.0], table, [0, 0], cpus=[cpus, 1.0], memory_bytes=[60.0, 50.0]), **policy)
    first = submits(step(state, [], 0.0)[1])[0]
    state.workers["w0"].queue.clear()
    state.late[0] = first.attempt_id
    return state, state.attempts[first.attempt_id]


def copies(state: State, now: float = 50.0) -> list[tuple[str, int]]:
    return [(a.worker_id, a.number) for a in submits(backups.back_up(state, now))]


def test_a_late_attempt_gets_one_copy_on_the_quickest_idle_worker() -> None:
    state, live = late()
    assert copies(state) == [("w2", 1)]
    assert (state.copies, state.late, state.status[0]) == ({0: ["t000000-a0", "t000000-a1"]}, {}, LIVE)
    assert (rungs(state.rungs), state.rungs[0].reason) == (["backed up"], "it runs longer than expected; w2 is idle")
    assert backups.copy_of(state, 0) is live
    assert state.home[0] == "w0"
    del state.attempts["t000000-a0"]
    assert backups.copy_of(state, 0) is state.attempts["t000000-a1"]
    del state.attempts["t000000-a1"]
    assert backups.copy_of(state, 0) is None


def test_the_last_that_waits_and_a_copy_of_what_is_late_go_out_in_one_step() -> None:
    state, _ = late()
    state.demands.memory[1] = 10.0
    state.pool.append(1)
    state.wake()
    assert sorted((a.task, a.number) for a in submits(step(state, [], 1.0)[1])) == [(0, 1), (1, 0)]


def test_each_that_is_late_gets_its_copy() -> None:
    table = Workers.of(Worker(f"w{j}", cpus=1) for j in range(4))
    state = state_of(by_hand([10.0, 10.0], table, [0, 1]))
    state.late = {a.task: a.attempt_id for a in submits(step(state, [], 0.0)[1])}
    assert copies(state) == [("w2", 1), ("w3", 1)]


@pytest.mark.parametrize("why", ["ended", "has one", "done"])
def test_what_needs_no_copy_any_more_is_forgotten(why: str) -> None:
    state, _ = late()
    if why == "ended":
        state.attempts.clear()
    elif why == "has one":
        state.copies[0] = ["x"]
    else:
        state.status[0] = 2
    assert (copies(state), state.late) == ([], {})


@pytest.mark.parametrize("waits", ["pool", "queue"])
def test_no_copy_is_made_while_other_work_waits_and_the_wish_stays(waits: str) -> None:
    state, _ = late()
    if waits == "pool":
        state.pool.append(1)
    else:
        state.workers["w1"].queue.append(1)
    assert (copies(state), state.late) == ([], {0: "t000000-a0"})


@pytest.mark.parametrize("busy", ["exclusive", "reserved", "cores", "excluded", "awaited", "memory", "small"])
def test_a_worker_that_is_not_free_gets_no_copy(busy: str) -> None:
    state, _ = late()
    holder = state.workers["w2"]
    if busy == "exclusive":
        holder.exclusive = True
    elif busy == "reserved":
        holder.reserved = 1
    elif busy == "cores":
        holder.used_cpus = 2.0
    elif busy == "excluded":
        state.excluded["w2"] = 9.0
    elif busy == "awaited":
        state.awaited.add("w2")
    elif busy == "memory":
        holder.used_memory, holder.live = 41.0, {"x": Live(Attempt("x", 1, 0, "w2", ""), 1.0)}
    else:
        holder.worker = Worker("w2", cpus=2, memory_bytes=59.0, speed=2.0)
    assert copies(state) == [("w1", 1)]


def test_the_copy_of_a_suspect_runs_alone() -> None:
    state, _ = late()
    state.deaths[0] = 1
    state.workers["w2"].live = {"x": Live(Attempt("x", 1, 0, "w2", ""), 1.0)}
    assert copies(state) == [("w1", 1)]
    assert state.workers["w1"].exclusive
    state, _ = late()
    state.workers["w2"].live = {"x": Live(Attempt("x", 1, 0, "w2", ""), 1.0)}
    assert copies(state) == [("w2", 1)]


def test_of_two_equally_quick_workers_the_first_gets_the_copy() -> None:
    state, _ = late()
    state.workers["w2"].worker = Worker("w2", cpus=2, memory_bytes=100.0)
    assert copies(state) == [("w1", 1)]


@pytest.mark.parametrize("number", [0, 1])
def test_whichever_copy_wins_is_told_by_the_machine_and_the_loser_is_unwanted(number: int) -> None:
    state, _ = late()
    copies(state)
    from tests.coordinator.outcomes import done

    winner, loser = (state.attempts[f"t000000-a{k}"] for k in (number, 1 - number))
    _, actions = step(state, [started(winner.attempt.attempt_id), done(winner.attempt)], 51.0)
    assert (loser.unwanted, state.copies, state.status[0]) == (True, {}, 2)
    assert Cancel(loser.attempt.attempt_id) in actions
