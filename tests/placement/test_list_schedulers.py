"""What each list scheduler does on an instance small enough to follow by hand."""

import numpy as np
import pytest

from partitioner.errors import ConfigError
from partitioner.model import SubTasks, Worker, Workers
from partitioner.placement.algorithms.dimension_exchange import DimensionExchange
from partitioner.placement.algorithms.locality import Locality
from partitioner.placement.algorithms.priority import Priority
from partitioner.placement.algorithms.proportional import Proportional
from partitioner.placement.algorithms.urgent import Urgent
from partitioner.placement.api import place
from partitioner.placement.check import violations

TWO = Workers.identical(2)


def starts(algorithm: str, workers: Workers = TWO, **columns: object) -> list[float]:
    seconds = columns.pop("seconds", [4.0, 1.0, 3.0, 2.0])
    plan = place(SubTasks.build(seconds, **columns), workers, algorithm=algorithm)  # type: ignore[arg-type]
    assert violations(plan) == []
    return plan.start.tolist()


def test_round_robin_takes_turns_whatever_the_cost() -> None:
    plan = place(SubTasks.build([4.0, 1.0, 3.0, 2.0]), TWO, algorithm="round_robin")
    assert (plan.worker.tolist(), plan.makespan) == ([0, 1, 0, 1], 7.0)


def test_round_robin_passes_over_workers_that_cannot() -> None:
    workers = Workers.of([Worker("a"), Worker("b", labels=frozenset({"x"})), Worker("c", labels=frozenset({"x"}))])
    tasks = SubTasks.build([1.0] * 4, requires={"x": np.array([True, True, True, False])})
    assert place(tasks, workers, algorithm="round_robin").worker.tolist() == [1, 2, 1, 2]


def test_least_loaded_keeps_the_arrival_order() -> None:
    assert starts("least_loaded") == [0.0, 0.0, 1.0, 4.0]


def test_fcfs_starts_in_order_of_release() -> None:
    assert starts("fcfs", Workers.identical(1), seconds=[2.0, 2.0], release=[3.0, 0.0]) == [3.0, 0.0]


def test_sjf_runs_the_shortest_first() -> None:
    assert starts("sjf", Workers.identical(1)) == [6.0, 0.0, 3.0, 1.0]


def test_priority_comes_before_length() -> None:
    assert starts("priority", Workers.identical(1), priority=[0.0, 5.0, 0.0, 5.0]) == [3.0, 2.0, 7.0, 0.0]


def test_waiting_raises_the_priority() -> None:
    tasks = SubTasks.build([1.0, 1.0], release=[0.0, 100.0], priority=[0.0, 1.0])
    worker = Workers.of([Worker("w")])
    patient = Priority(seconds_per_level=1000.0).place(tasks, worker)
    ageing = Priority(seconds_per_level=50.0).place(tasks, worker)
    assert (patient.start.tolist(), ageing.start.tolist()) == ([101.0, 100.0], [0.0, 100.0])


def test_edf_runs_the_earliest_deadline_first() -> None:
    assert starts("edf", Workers.identical(1), deadline=[20.0, 9.0, 3.0, 5.0]) == [6.0, 5.0, 0.0, 3.0]


def test_proportional_weights_can_be_adjusted_while_running() -> None:
    first = Proportional({"worker-0": 1.0, "worker-1": 1.0})
    second = first.adjusted({"worker-1": 3.0}, rate=1.0)
    tasks = SubTasks.build(np.ones(8))
    assert np.bincount(first.place(tasks, TWO).worker).tolist() == [4, 4]
    assert np.bincount(second.place(tasks, TWO).worker).tolist() == [2, 6]


def test_proportional_refuses_a_speed_of_zero() -> None:
    with pytest.raises(ConfigError, match=r"measured speed 0 of worker 'w'"):
        Proportional().adjusted({"w": 0})


def test_locality_waits_for_the_data_only_so_long() -> None:
    workers = Workers.of([Worker("a", host="h1"), Worker("b", host="h2")])
    tasks = SubTasks.build([4.0, 3.0, 2.0], preferred_host=("h1", "h1", "h1"))
    patient = Locality(wait_seconds=10.0).place(tasks, workers)
    hasty = Locality(wait_seconds=0.0).place(tasks, workers)
    assert (patient.worker.tolist(), hasty.worker.tolist()) == ([0, 0, 0], [0, 1, 1])
    assert (patient.reasons["local"], hasty.reasons["local"]) == (3, 1)


def test_locality_by_hosts_of_each_task() -> None:
    workers = Workers.of([Worker("a", host="h1"), Worker("b", host="h2")])
    plan = Locality({"t000000": ["h2"]}).place(SubTasks.build([1.0]), workers)
    assert plan.worker.tolist() == [1]


def test_urgent_tasks_do_not_queue_behind_the_rest() -> None:
    tasks = SubTasks.build([9.0, 9.0, 9.0, 9.0, 1.0, 1.0], priority=[0.0, 0, 0, 0, 1, 1])
    plan = Urgent(share=0.25).place(tasks, Workers.identical(4))
    assert (plan.start[4:].tolist(), plan.reasons["reserved_slots"]) == ([0.0, 0.0], 1)
    assert 3 not in plan.worker[:4].tolist()


def test_random_follows_its_seed() -> None:
    tasks = SubTasks.build(np.ones(50))
    plans = [place(tasks, TWO, algorithm="random", seed=s).worker.tolist() for s in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


def test_dynamic_gives_the_next_task_to_whoever_has_room() -> None:
    assert starts("dynamic", Workers.identical(1, cpus=2.0), cpus=[1.0, 2.0, 1.0, 1.0]) == [0.0, 4.0, 0.0, 5.0]


def test_dimension_exchange_reports_bounded_messages() -> None:
    tasks = SubTasks.build(np.random.default_rng(0).lognormal(1, 1, 4000))
    plan = DimensionExchange(groups=8).place(tasks, Workers.identical(64))
    assert violations(plan) == []
    assert 0 < plan.reasons["messages"] <= 4.5 * 8 * 3
    assert plan.makespan <= 1.05 * place(tasks, Workers.identical(64), algorithm="lpt").makespan


def test_dimension_exchange_keeps_labels() -> None:
    workers = Workers.of(Worker(f"w{j}", labels=frozenset({"x"}) if j < 3 else frozenset()) for j in range(9))
    tasks = SubTasks.build(np.arange(1.0, 31.0), requires={"x": np.arange(30) % 2 == 0})
    assert violations(DimensionExchange(groups=3).place(tasks, workers)) == []
