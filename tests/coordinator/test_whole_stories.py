"""Whole runs under the fake clock, each with one thing that goes wrong from its begin to its end."""

from __future__ import annotations

from partitioner.coordinator.driver import drive
from partitioner.coordinator.execute import Collector
from partitioner.coordinator.machine import step
from partitioner.coordinator.policy import Policy
from partitioner.coordinator.state import State, initial
from partitioner.engines.simulated import SimulatedEngine
from partitioner.engines.simulated_world import Faults
from partitioner.model import Event, Worker, Workers
from partitioner.simulation import rows_of, simulate
from tests.coordinator.outcomes import rowed, submits
from tests.coordinator.paper import by_hand, failed, finish, lost, plan_of, started, state_of


class Told:
    """A run of some rows to its end: what is committed, which rows are set aside, and the state then."""

    def __init__(self, rows: list[int], workers: Workers, faults: Faults) -> None:
        plan = rowed(rows, workers)
        self.engine = SimulatedEngine(plan.workers, faults, 3, rows_of(plan))
        self.state = initial(plan, "simulated://", Policy(quarantine=True, divisible=True))
        self.collector = Collector({})
        drive(self.engine, self.state, [self.collector], self.engine.clock)

    @property
    def delivered(self) -> int:
        return sum(record.rows_out for record in self.engine.world.store.values())

    @property
    def aside(self) -> dict[str, tuple[int, ...]]:
        return {key: rows for key, rows in self.engine.world.set_aside.items() if rows}


TWO_SLOTS = Workers.of([Worker("a", cpus=2), Worker("b", cpus=2)])


def test_neighbours_in_the_process_of_a_row_that_kills_lose_no_row() -> None:
    told = Told([16, 16, 16, 16], TWO_SLOTS, Faults(killers=(("t000001", 5),), restart_seconds=0.5))
    assert told.aside == {"t000001.05-06": (5,)}
    assert told.delivered == 63


def test_two_that_ran_in_one_process_that_died_are_tried_alone_one_after_the_other() -> None:
    state = state_of(plan_of([2.0, 1.0], Workers.identical(1, cpus=2)))
    step(state, [], 0.0)
    both = [started("t000000-a0"), started("t000001-a0"), lost("t000000-a0"), lost("t000001-a0")]
    (first,) = submits(step(state, both, 0.5)[1])
    (second,) = submits(step(state, [started(first.attempt_id), finish(first.attempt_id)], 2.5)[1])
    assert [first.attempt_id, second.attempt_id] == ["t000000-a1", "t000001-a1"]
    assert state.workers["worker-0"].exclusive


def test_workers_that_leave_and_come_back_each_second_end_no_run_and_are_charged_to_nobody() -> None:
    comings = tuple((name, at + 0.4 * i) for i, name in enumerate("ab") for at in range(1, 40))
    workers = Workers.of([Worker("a"), Worker("b")])
    told = Told([4] * 12, workers, Faults(retired=comings, restart_seconds=0.3))
    assert (told.delivered, told.aside) == (48, {})
    assert (told.state.failures, told.state.deaths) == ({}, {})


def test_a_large_sub_task_is_not_starved_by_endless_small_ones() -> None:
    workers = Workers.identical(1, cpus=4)
    plan = by_hand([1.0] * 41, workers, [0] * 41, [0.0] * 41, cpus=[4.0] + [1.0] * 40)
    state = state_of(plan)
    ran = ended(state, {"t000000": 1})
    assert ran.index("t000000-a1") <= 5  # behind the failure of its first try, and the four that then ran


def ended(state: State, fails: dict[str, int]) -> list[str]:
    """Attempts in the order of their ends, the first ones of some fail; each takes a second."""
    ran: list[str] = []
    events: list[Event] = []
    for now in range(200):
        state, _ = step(state, events, float(now))
        if state.finished:
            return ran
        live = list(state.attempts.values())
        assert live, "nothing runs"
        ran += [one.attempt.attempt_id for one in live]
        events = [
            failed(one.attempt.attempt_id) if one.attempt.number < fails.get(one.attempt.task_key, 0)
            else finish(one.attempt.attempt_id) for one in live
        ]  # fmt: skip
    raise AssertionError("no end")


def test_costs_that_are_wrong_by_a_hundred_times_charge_nobody_and_lose_nothing() -> None:
    workers = Workers.identical(3)
    told = Told([8] * 30, workers, Faults(wrong=100.0))
    assert (told.delivered, told.aside) == (240, {})
    assert (told.state.failures, told.state.deaths) == ({}, {})
    assert simulate(rowed([8] * 30, workers), Faults(wrong=100.0), 3).attempts < 2 * 30
