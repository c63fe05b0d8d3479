"""What a worker can hold and what it holds: exactly full is full, and no more fits than there is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from partitioner.coordinator import capacity
from partitioner.coordinator.capacity import give_back, take
from partitioner.coordinator.demands import Demands, Kind
from partitioner.coordinator.dispatch import release
from partitioner.coordinator.state import Live, State, WorkerState
from partitioner.model import Attempt, SubTasks, Worker, Workers
from tests.coordinator.paper import by_hand, state_of

BIG = Worker(
    "w",
    cpus=4,
    memory_bytes=100.0,
    gpus=2,
    gpu_memory_bytes=16.0,
    resources={"licence": 2.0},
    labels=frozenset(["ssd"]),
)


def one(worker: Worker = BIG, **demand: Any) -> tuple[State, WorkerState]:
    """One worker, and one sub-task of these demands."""
    columns: dict[str, Any] = {k: [v] for k, v in demand.items() if k not in ("resources", "requires", "by_class")}
    columns["resources"] = {k: np.array([v]) for k, v in demand.get("resources", {}).items()}
    columns["requires"] = {k: np.array([v]) for k, v in demand.get("requires", {}).items()}
    columns["seconds_by_class"] = {k: np.array([v]) for k, v in demand.get("by_class", {}).items()}
    plenty = Worker("w", cpus=99, memory_bytes=1e9, gpus=9)
    state = state_of(by_hand([1.0], Workers.of([plenty]), [0], **columns))
    state.workers["w"].worker = worker
    return state, state.workers["w"]


def held(name: str = "x", **demand: Any) -> Live:
    return Live(Attempt(name, 9, 0, "w", "memory://run", **demand), 1.0)


@pytest.mark.parametrize(
    ("demand", "can"),
    [
        ({"cpus": 4.0}, True),
        ({"cpus": 4.001}, False),
        ({"memory_bytes": 100.0}, True),
        ({"memory_bytes": 100.001}, False),
        ({"gpus": 2.0}, True),
        ({"gpus": 3.0}, False),
        ({"gpus": 0.5, "gpu_memory_bytes": 16.0}, True),
        ({"gpu_memory_bytes": 16.001}, False),
        ({"resources": {"licence": 2.0}}, True),
        ({"resources": {"licence": 2.001}}, False),
        ({"resources": {"tape": 1.0}}, False),
        ({"requires": {"ssd": True}}, True),
        ({"requires": {"fast": True}}, False),
        ({"requires": {"fast": False}}, True),
        ({"by_class": {"": np.nan, "other": 3.0}}, False),
        ({"by_class": {"": 2.0}}, True),
    ],
)
def test_what_a_worker_can_hold_at_all(demand: dict[str, Any], can: bool) -> None:
    state, worker = one(**demand)
    assert capacity.can_hold(state, worker, 0) is can
    assert state.demands.holds(worker.worker, 0) is can


@pytest.mark.parametrize("demand", [{"gpus": 0.5}, {"gpu_memory_bytes": 1.0}])
def test_a_worker_without_devices_holds_nothing_that_needs_one(demand: dict[str, float]) -> None:
    state, worker = one(Worker("w", cpus=4), **demand)
    assert capacity.can_hold(state, worker, 0) is False


@pytest.mark.parametrize(
    ("beside", "demand", "fits"),
    [
        ({"cpus": 3.0}, {"cpus": 1.0}, True),
        ({"cpus": 3.0}, {"cpus": 1.001}, False),
        ({"memory_bytes": 60.0}, {"memory_bytes": 40.0}, True),
        ({"memory_bytes": 60.0}, {"memory_bytes": 40.001}, False),
        ({"resources": {"licence": 1.5}}, {"resources": {"licence": 0.5}}, True),
        ({"resources": {"licence": 1.5}}, {"resources": {"licence": 0.501}}, False),
        ({"devices": (0,), "gpus": 0.5}, {"gpus": 2.0}, False),
        ({"devices": (0,), "gpus": 0.5}, {"gpus": 1.0}, True),
        ({"devices": (0, 1), "gpus": 2.0}, {"gpus": 0.001}, False),
        ({"devices": (0, 1), "gpus": 2.0, "gpu_memory_bytes": 6.0}, {"gpu_memory_bytes": 10.0}, True),
        ({"devices": (0, 1), "gpus": 2.0, "gpu_memory_bytes": 6.0}, {"gpu_memory_bytes": 10.001}, False),
    ],
)
def test_what_fits_beside_what_is_held(beside: dict[str, Any], demand: dict[str, Any], fits: bool) -> None:
    state, worker = one(**demand)
    capacity.take(worker, held(**{"cpus": 1.0, **beside}))
    assert capacity.has_room(state, worker, 0) is fits


def test_what_waits_needs_no_free_core_but_memory() -> None:
    state, worker = one(cpus=1.0, memory_bytes=40.0)
    capacity.take(worker, held(cpus=4.0, memory_bytes=60.0))
    assert capacity.has_room(state, worker, 0, ahead=True)
    assert not capacity.has_room(state, worker, 0)
    capacity.take(worker, held("y", cpus=0.0, memory_bytes=1.0))
    assert not capacity.has_room(state, worker, 0, ahead=True)


def test_tenths_of_a_core_fill_it_to_the_last() -> None:
    state, worker = one(Worker("w", cpus=1), cpus=0.1)
    for k in range(9):
        capacity.take(worker, held(str(k), cpus=0.1))
    assert worker.used_cpus != 0.9
    assert capacity.has_room(state, worker, 0)
    capacity.take(worker, held("last", cpus=0.1))
    assert not capacity.has_room(state, worker, 0)


def test_thirds_of_a_device_fill_it_to_the_last() -> None:
    state, worker = one(Worker("w", cpus=8, gpus=1), gpus=0.1)
    for k in range(9):
        capacity.take(worker, held(str(k), gpus=0.1, devices=(0,)))
    assert capacity.devices_for(state, worker, 0) == (0,)
    capacity.take(worker, held("last", gpus=0.1, devices=(0,)))
    assert capacity.devices_for(state, worker, 0) is None


def test_the_fullest_device_that_suffices_is_given() -> None:
    state, worker = one(Worker("w", cpus=8, gpus=4), gpus=0.25)
    for name, device, share in (("a", 1, 0.5), ("b", 2, 0.75), ("c", 3, 0.9)):
        capacity.take(worker, held(name, gpus=share, devices=(device,)))
    assert capacity.devices_for(state, worker, 0) == (2,)


def test_of_equally_full_devices_the_first_are_given_and_as_many_as_asked_for() -> None:
    state, worker = one(Worker("w", cpus=8, gpus=4), gpus=2.0)
    capacity.take(worker, held(gpus=0.5, devices=(1,)))
    assert capacity.devices_for(state, worker, 0) == (0, 2)
    capacity.take(worker, held("y", gpus=2.0, devices=(0, 2)))
    assert capacity.devices_for(state, worker, 0) is None


def test_nothing_is_said_of_devices_where_none_is_needed() -> None:
    state, worker = one(cpus=1.0)
    assert capacity.devices_for(state, worker, 0) == ()


def test_the_devices_of_the_plan_are_given_where_they_are_free_and_on_its_worker_alone() -> None:
    state, worker = one(Worker("w", cpus=8, gpus=3), gpus=0.5)
    capacity.take(worker, held(gpus=0.25, devices=(0,)))
    state.devices[0] = (2,)
    assert capacity.devices_for(state, worker, 0) == (2,)
    state.home[0] = "another"
    assert capacity.devices_for(state, worker, 0) == (0,)
    state.home[0] = "w"
    capacity.take(worker, held("y", gpus=1.0, devices=(2,)))
    assert capacity.devices_for(state, worker, 0) == (0,)


def test_the_devices_of_the_plan_are_given_together_or_not_at_all() -> None:
    state, worker = one(Worker("w", cpus=8, gpus=4), gpus=2.0)
    state.devices[0] = (2, 3)
    assert capacity.devices_for(state, worker, 0) == (2, 3)
    capacity.take(worker, held(gpus=0.5, devices=(3,)))
    assert capacity.devices_for(state, worker, 0) == (0, 1)


def test_what_is_given_back_is_free_again_and_only_once() -> None:
    worker = one()[1]
    first = held(
        cpus=1.0,
        memory_bytes=10.0,
        gpus=0.5,
        gpu_memory_bytes=4.0,
        devices=(1,),
        resources={"licence": 1.0, "tape": 2.0},
    )
    second = held("y", cpus=2.0, memory_bytes=20.0, gpus=2.0, gpu_memory_bytes=1.0, devices=(0, 1))
    capacity.take(worker, first)
    capacity.take(worker, second)
    assert (worker.used_cpus, worker.used_memory, worker.used) == (3.0, 30.0, {"licence": 1.0, "tape": 2.0})
    assert worker.used_devices == {0: (1.0, 1.0), 1: (1.5, 5.0)}
    assert capacity.give_back(worker, first) is True
    assert (worker.used_cpus, worker.used_memory, worker.used) == (2.0, 20.0, {"licence": 0.0, "tape": 0.0})
    assert worker.used_devices == {0: (1.0, 1.0), 1: (1.0, 1.0)}
    assert capacity.give_back(worker, first) is False
    assert worker.used_cpus == 2.0
    capacity.give_back(worker, second)
    assert (worker.used_cpus, worker.used_memory, worker.used, worker.used_devices) == (0.0, 0.0, {}, {})


def test_an_empty_worker_keeps_nothing_that_rounding_left() -> None:
    worker = one()[1]
    lives = [held(str(k), cpus=0.1 * (k + 1), memory_bytes=0.1 * (k + 1)) for k in range(6)]
    for live in lives:
        capacity.take(worker, live)
    for live in lives:
        capacity.give_back(worker, live)
    assert (worker.used_cpus, worker.used_memory) == (0.0, 0.0)


def test_a_release_of_what_waited_takes_its_seconds_off_and_ends_exclusivity() -> None:
    state, worker = one()
    live, other = held(), held("y")
    live.seconds, other.seconds = 3.0, 4.0
    for each in (live, other):
        capacity.take(worker, each)
    worker.ahead, worker.exclusive = 7.0, True
    state.hungry.clear()
    release(state, live)
    assert (worker.ahead, worker.exclusive, list(state.hungry)) == (4.0, False, ["w"])
    other.started = 1.0
    release(state, other)
    assert worker.ahead == 4.0
    state.hungry.clear()
    release(state, other)
    assert list(state.hungry) == []


def kind(**demand: Any) -> Kind:
    plain: dict[str, Any] = {"cpus": 1.0, "gpus": 0.0, "gpu_memory_bytes": 0.0, "resources": {}}
    return Kind(**{**plain, "requires": frozenset(), "barred": frozenset(), **demand})


@pytest.mark.parametrize(
    ("gpus", "devices", "share"), [(0.0, 1, 0.0), (0.25, 1, 0.25), (0.999, 1, 0.999), (1.0, 1, 1.0), (3.0, 3, 1.0)]
)
def test_a_fraction_takes_its_share_of_one_device_and_whole_ones_take_all_of_each(
    gpus: float, devices: int, share: float
) -> None:
    assert (kind(gpus=gpus).devices, kind(gpus=gpus).device_share) == (devices, share)


@pytest.mark.parametrize(
    ("demand", "uses"),
    [
        ({}, False),
        ({"gpus": 0.01}, True),
        ({"gpu_memory_bytes": 1.0}, True),
        ({"gpus": 1.0, "gpu_memory_bytes": 1.0}, True),
    ],
)
def test_a_share_or_memory_of_a_device_needs_one(demand: dict[str, float], uses: bool) -> None:
    assert kind(**demand).uses_gpu is uses


@pytest.mark.parametrize(
    ("demand", "share"),
    [
        ({"cpus": 1.0}, 0.25),
        ({"cpus": 1.0, "gpus": 1.5}, 0.75),
        ({"cpus": 1.0, "resources": {"licence": 1.0}}, 0.5),
        ({"cpus": 3.0, "resources": {"licence": 0.0}}, 0.75),
        ({"cpus": 3.0, "resources": {"tape": 0.0}}, 0.75),
    ],
)
def test_the_largest_share_of_anything_but_memory(demand: dict[str, Any], share: float) -> None:
    assert kind(**demand).share_of(BIG) == share


def test_a_worker_of_no_cores_and_no_devices_is_no_division_by_zero() -> None:
    assert kind(cpus=0.0).share_of(Worker("w", cpus=0.0)) == 0.0


def test_sub_tasks_of_equal_demands_share_a_kind_and_each_difference_makes_another() -> None:
    same: dict[str, Any] = {"cpus": [1.0] * 7, "gpus": [0.0] * 7, "gpu_memory_bytes": [0.0] * 7}
    same["cpus"][1], same["gpus"][2], same["gpu_memory_bytes"][3] = 2.0, 1.0, 5.0
    licence, fast, old = np.zeros(7), np.zeros(7, bool), np.ones(7)
    licence[4], fast[5], old[6] = 1.0, True, np.nan
    tasks = SubTasks.build(
        [1.0] * 7, **same, resources={"licence": licence}, requires={"fast": fast}, seconds_by_class={"old": old}
    )
    demands = Demands.of(tasks)
    kinds = [demands.kinds[k] for k in demands.kind]
    assert len({id(k) for k in kinds}) == 7
    assert [k.cpus for k in kinds] == [1, 2, 1, 1, 1, 1, 1]
    assert [k.gpus for k in kinds] == [0, 0, 1, 0, 0, 0, 0]
    assert [k.gpu_memory_bytes for k in kinds] == [0, 0, 0, 5, 0, 0, 0]
    assert [k.resources["licence"] for k in kinds] == [0, 0, 0, 0, 1, 0, 0]
    assert [sorted(k.requires) for k in kinds] == [[], [], [], [], [], ["fast"], []]
    assert [sorted(k.barred) for k in kinds] == [[], [], [], [], [], [], ["old"]]
    assert len(Demands.of(SubTasks.build([1.0, 2.0, 3.0], cpus=[1.0, 2.0, 1.0])).kinds) == 2


def test_a_worker_that_holds_nothing_has_all_of_its_memory_whatever_rounding_left() -> None:
    holder = WorkerState(Worker("w", cpus=9, memory_bytes=1.0))
    shares = (0.1, 0.2)
    held = [Live(Attempt(f"t{s}", 0, 0, "w", "memory://run", cpus=s, memory_bytes=s), 1.0) for s in shares]
    for live in held:
        take(holder, live)
    assert [give_back(holder, live) for live in held] == [True, True]
    assert (holder.used_cpus, holder.used_memory) == (0.0, 0.0)
