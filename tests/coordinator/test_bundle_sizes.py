"""How many sub-tasks go to a worker at once: shares of a bundle, when it is topped up, and its memory."""

from __future__ import annotations

import pytest

from partitioner.coordinator import bundling, dispatch
from partitioner.model import Worker, Workers
from tests.coordinator.paper import by_hand, state_of
from tests.coordinator.queues import held, queue_of


@pytest.mark.parametrize(("bundle", "cpus", "per_cpu"), [(8, 2.0, 4.0), (8, 16.0, 2.0), (40, 4.0, 10.0), (8, 0.5, 8.0)])
def test_each_core_has_its_share_of_the_bundle_and_two_at_least(bundle: int, cpus: float, per_cpu: float) -> None:
    table = Workers.of([Worker("w", cpus=cpus)])
    state = state_of(by_hand([1.0], table, [0], cpus=[0.5]), bundle=bundle)
    bundling.refresh(state)
    assert (state.ahead_per_cpu, state.topping_up) == (per_cpu, True)


@pytest.mark.parametrize(("waiting", "top"), [(4, True), (5, False)])
def test_it_is_topped_up_once_half_has_begun(waiting: int, top: bool) -> None:
    state = queue_of(workers=2, bundle=8)
    for k in range(waiting + 1):
        held(state, "worker-0", since=0.0 if k == 0 else None)
    state.hungry = {}
    bundling.refresh(state)
    assert (state.topping_up, list(state.hungry)) == (top, ["worker-0", "worker-1"] if top else [])


def test_without_bundles_nothing_is_topped_up() -> None:
    state = queue_of(bundle=1)
    state.hungry = {}
    bundling.refresh(state)
    assert (state.topping_up, state.hungry) == (False, {})


@pytest.mark.parametrize(("held_there", "room"), [(4, True), (5, False)])
def test_a_worker_has_what_runs_and_its_share_that_waits(held_there: int, room: bool) -> None:
    state = queue_of(workers=2, bundle=8)
    bundling.refresh(state)
    for _ in range(held_there):
        held(state, "worker-0")
    assert bundling.has_room(state, state.workers["worker-0"]) is room
    assert dispatch._may_send_ahead(state, state.workers["worker-0"], 0.0) is room
    state.topping_up = False
    assert bundling.has_room(state, state.workers["worker-0"]) is False


@pytest.mark.parametrize("who", ["excluded", "suspended"])
def test_nothing_waits_while_any_worker_is_out(who: str) -> None:
    state = queue_of(workers=2, bundle=8)
    bundling.refresh(state)
    if who == "excluded":
        state.excluded["worker-1"] = 3.0
    else:
        state.workers["worker-1"].health.suspended = True
    assert bundling.has_room(state, state.workers["worker-0"]) is False


@pytest.mark.parametrize(
    ("memory", "others", "safe"),
    [
        (25.0, [25.0] * 9, True),
        (26.0, [25.0], True),
        (26.0, [25.0, 25.0, 25.0], False),
        (25.0, [26.0, 49.0], True),
        (25.0, [26.0, 50.0], False),
        (25.0, [25.0, 25.0, 26.0], False),
    ],
)
def test_memory_is_safe_where_any_of_them_fit_together_or_all_do(
    memory: float, others: list[float], safe: bool
) -> None:
    table = Workers.of([Worker("w", cpus=4, memory_bytes=100.0)])
    state = state_of(by_hand([1.0], table, [0]), bundle=8)
    for each in others:
        held(state, "w", memory_bytes=each, cpus=0.1)
    assert bundling.memory_is_safe(state.workers["w"], memory) is safe


@pytest.mark.parametrize("cpus", [1.0, 0.5])
def test_on_one_core_nothing_runs_together(cpus: float) -> None:
    table = Workers.of([Worker("w", cpus=cpus, memory_bytes=100.0)])
    state = state_of(by_hand([1.0], table, [0], cpus=[0.5]), bundle=8)
    held(state, "w", memory_bytes=100.0)
    assert bundling.memory_is_safe(state.workers["w"], 100.0)
    assert not bundling.memory_is_safe(state.workers["w"], 101.0)


@pytest.mark.parametrize(("memory", "fits"), [(4.0, True), (5.0, False)])
def test_a_bundle_is_bounded_by_memory_and_not_by_cores(memory: float, fits: bool) -> None:
    table = Workers.of([Worker("w", cpus=2, memory_bytes=10.0)])
    state = state_of(by_hand([100.0] * 3, table, [0] * 3, memory_bytes=[memory] * 3), bundle=8)
    bundling.refresh(state)
    held(state, "w", since=0.0, memory_bytes=6.0, cpus=2.0)
    assert dispatch.fits(state, state.workers["w"], 0, 0.0) is fits
