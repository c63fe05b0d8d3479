"""Laws of the coordinator under any seeded schedule of faults."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.coordinator.driver import drive
from partitioner.coordinator.execute import Collector
from partitioner.coordinator.policy import Policy
from partitioner.coordinator.state import Action, State, initial
from partitioner.coordinator.transitions import DONE
from partitioner.engines.simulated import SimulatedEngine
from partitioner.engines.simulated_world import Faults
from partitioner.errors import RunFailed
from partitioner.model import Event, Plan, Worker, Workers
from partitioner.simulation import simulate
from partitioner.testing.flaky import FlakyEngine, Hostility
from tests.coordinator.paper import PaperEngine, plan_of

PATIENT = Policy(max_retries=10**6, max_deaths=10**6, recall=False)  # an attempt asked back is submitted again
plans = st.builds(
    plan_of,
    st.lists(st.floats(0.001, 10.0), min_size=1, max_size=25),
    st.lists(st.sampled_from([1.0, 2.0]), min_size=1, max_size=4).map(
        lambda speeds: Workers.of(Worker(f"w{j}", cpus=j % 2 + 1, speed=s) for j, s in enumerate(speeds))
    ),
)


class Journal:
    """Every action in order, and how often each sub-task became done."""

    def __init__(self) -> None:
        self.actions: list[str] = []
        self.done: Counter[int] = Counter()
        self._before: bytes = b""

    def observe(self, state: State, events: Sequence[Event], actions: Sequence[Action]) -> None:
        self.actions += [repr(a) for a in actions]
        before = self._before or bytes(len(state.status))
        self.done.update(i for i, s in enumerate(state.status) if s == DONE and before[i] != DONE)
        assert all(state.status[i] == DONE for i, s in enumerate(before) if s == DONE), "a finished sub-task went back"
        self._before = bytes(state.status)


def hostile_run(plan: Plan, seed: int, hostility: Hostility | None = None) -> tuple[Journal, Collector, FlakyEngine]:
    engine = FlakyEngine(PaperEngine(), plan.workers, hostility, seed)
    journal, collector = Journal(), Collector({})
    drive(engine, initial(plan, "memory://run", PATIENT), [journal, collector], engine.clock)
    return journal, collector, engine


@settings(deadline=None, max_examples=60)
@given(plan=plans, seed=st.integers(0, 10**6))
def test_every_subtask_is_done_once_and_recorded_whatever_the_network_does(plan: Plan, seed: int) -> None:
    journal, collector, _ = hostile_run(plan, seed)
    assert journal.done == Counter(range(len(plan)))
    assert sorted(collector.records) == plan.tasks.task_id.to_pylist()


@settings(deadline=None, max_examples=30)
@given(plan=plans, seed=st.integers(0, 10**6))
def test_same_seed_same_actions(plan: Plan, seed: int) -> None:
    assert hostile_run(plan, seed)[0].actions == hostile_run(plan, seed)[0].actions


@settings(deadline=None, max_examples=30)
@given(plan=plans, seed=st.integers(0, 10**6))
def test_repeated_and_unordered_events_alone_cause_no_second_attempt(plan: Plan, seed: int) -> None:
    harmless = Hostility(drop_start=0.5, repeat=0.5, delay=0.5, losses=0)
    _, collector, engine = hostile_run(plan, seed, harmless)
    assert collector.attempted == len(plan)
    assert set(engine.executed.values()) == {1}


@settings(deadline=None, max_examples=60)
@given(
    plan=plans,
    seed=st.integers(0, 10**6),
    noise=st.floats(0.0, 1.0),
    failure_rate=st.floats(0.0, 0.3),
    death=st.floats(0.0, 20.0),
)
def test_simulated_runs_end_with_everything_done_under_deaths_and_failures(
    plan: Plan, seed: int, noise: float, failure_rate: float, death: float
) -> None:
    faults = Faults(noise, failure_rate, deaths=((plan.workers.worker_id[0], death),), restart_seconds=1.0)
    engine = SimulatedEngine(plan.workers, faults, seed)
    journal, collector = Journal(), Collector({})
    drive(engine, initial(plan, "simulated://", PATIENT), [journal, collector], engine.clock)
    assert journal.done == Counter(range(len(plan)))
    assert len(collector.records) == len(plan)


@settings(deadline=None, max_examples=20)
@given(plan=plans, seed=st.integers(0, 100))
def test_same_seed_same_simulation(plan: Plan, seed: int) -> None:
    faults = Faults(noise=0.3, failure_rate=0.1, deaths=((plan.workers.worker_id[0], 1.0),))
    assert simulate(plan, faults, seed) == simulate(plan, faults, seed)


@settings(deadline=None, max_examples=30)
@given(plan=plans)
def test_no_worker_ever_runs_more_cores_than_it_has(plan: Plan) -> None:
    running: dict[str, list[tuple[float, float]]] = {}
    for _, worker, start, finish in simulate(plan, Faults(noise=0.5), 3).timeline:
        running.setdefault(worker, []).append((start, finish))
    for j, name in enumerate(plan.workers.worker_id):
        spans = running.get(name, [])
        for start, _ in spans:
            assert sum(s <= start + 1e-9 < f for s, f in spans) <= plan.workers.cpus[j]


def test_a_subtask_that_always_fails_ends_the_run_after_its_tries() -> None:
    plan = plan_of([1.0])
    engine = SimulatedEngine(plan.workers, Faults(failure_rate=1.0))
    journal = Journal()
    with pytest.raises(RunFailed, match=r"t000000 failed 3 times \(tries allowed: 3\)"):
        drive(engine, initial(plan, "simulated://", Policy(max_retries=2)), [journal], engine.clock)
    assert sum("Submit" in a for a in journal.actions) == 3
