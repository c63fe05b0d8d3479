"""What a lease on a disk says: literal facts of a holder, and who may take it from there."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from partitioner.errors import LeaseLost, RunHeld, StorageFailed
from partitioner.storage import Directory, Entry
from partitioner.store import lease as leases
from partitioner.store.lease import Holder, Lease, holder, superseded

ELSEWHERE = {"host": "elsewhere", "machine": "other", "pid": 7, "started": 0.0, "since": "yesterday"}


@pytest.fixture
def run(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "run")


def put(run: Directory, epoch: int, facts: Any) -> None:
    run.put(f"lease/{epoch:06d}.json", json.dumps(facts).encode())


def age(run: Directory, name: str, seconds: float) -> None:
    """Let an object be so old."""
    then = time.time() - seconds
    os.utime(Path(run.url, name), (then, then))


def here(**changes: Any) -> dict[str, Any]:
    """The facts that this process writes."""
    started = psutil.Process().create_time()
    facts = {"host": socket.gethostname(), "machine": leases._machine(), "pid": os.getpid(), "started": started}
    return {**facts, "since": "today", "lease_seconds": 60.0, **changes}


def made(epoch: int = 1, age: float = 0.0, seconds: float = 60.0, alive: bool | None = None) -> Holder:
    return Holder(epoch, "h", 7, "today", age, seconds, alive)


def test_a_lease_expires_after_its_seconds_and_not_before() -> None:
    assert [made(age=a).expired for a in (59.0, 60.0, 60.1)] == [False, False, True]


@pytest.mark.parametrize(
    ("age", "alive", "dead"),
    [(0, False, True), (0, None, False), (0, True, False), (99, False, True), (99, None, True), (99, True, False)],
)
def test_dead_is_gone_or_silent_where_nobody_can_look(age: float, alive: bool | None, dead: bool) -> None:
    assert made(age=age, alive=alive).dead is dead


def test_nobody_holds_what_nobody_took(run: Directory) -> None:
    assert holder(run) is None
    assert leases._seen(run) == (None, 0)


def test_the_last_epoch_counts_and_what_was_given_back_is_free(run: Directory) -> None:
    for epoch in (9, 10, 2):
        put(run, epoch, {**ELSEWHERE, "pid": epoch})
    found = holder(run)
    assert found is not None
    assert (found.epoch, found.pid, found.host, found.since) == (10, 10, "elsewhere", "yesterday")
    run.put("lease/000009.released", b"")
    assert holder(run) is not None
    run.put("lease/000010.released", b"")
    assert leases._seen(run) == (None, 10)
    with Lease(run) as lease:
        assert lease.epoch == 11


def test_age_is_that_of_the_heartbeat_else_of_the_lease(run: Directory) -> None:
    put(run, 1, ELSEWHERE)
    age(run, "lease/000001.json", 500)
    found = holder(run)
    assert found is not None
    assert 499 < found.age < 520
    run.put("lease/000001.beat", b"")
    age(run, "lease/000001.beat", 100)
    found = holder(run)
    assert found is not None
    assert 99 < found.age < 120
    assert (found.lease_seconds, found.expired, found.dead) == (60.0, True, True)


def test_a_clock_of_the_store_that_is_behind_makes_no_negative_age(run: Directory) -> None:
    put(run, 1, ELSEWHERE)
    age(run, "lease/000001.json", -1000)
    assert holder(run).age == 0.0  # type: ignore[union-attr]


def test_looking_leaves_no_probe_behind(run: Directory) -> None:
    put(run, 1, ELSEWHERE)
    holder(run)
    assert run.names() == ["lease/000001.json"]


def test_a_wrong_clock_of_this_machine_is_no_matter(run: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    put(run, 1, ELSEWHERE)
    monkeypatch.setattr(leases.time, "time", lambda: 5e9)
    assert holder(run).age < 60  # type: ignore[union-attr]


def test_the_time_is_that_of_the_store(run: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Entry("x", 0, "", 12.0)
    monkeypatch.setattr(Directory, "entry", lambda self, name: entry)
    assert leases._store_time(run) == 12.0
    monkeypatch.setattr(Directory, "entry", lambda self, name: None)
    assert abs(leases._store_time(run) - time.time()) < 5


@pytest.mark.parametrize("content", [b"{", b"[]", b"5", b"\xff", b"[" * 9999])
def test_facts_that_are_torn_leave_the_heartbeat(run: Directory, content: bytes) -> None:
    run.put("lease/000001.json", content)
    found = holder(run)
    assert found is not None
    assert (found.host, found.pid, found.since, found.lease_seconds, found.alive) == (
        "unknown",
        0,
        "unknown",
        60.0,
        None,
    )


@pytest.mark.parametrize(
    ("changes", "alive"),
    [
        ({"token": "mine"}, True),
        ({"token": "nobody's"}, False),
        ({"pid": 1, "started": psutil.Process(1).create_time()}, True),
        ({"pid": 1, "started": psutil.Process(1).create_time() + 2}, False),
        ({"pid": 1, "started": psutil.Process(1).create_time() - 2}, False),
        ({"pid": 1, "started": psutil.Process(1).create_time() + 1.5}, False),
        ({"pid": 1, "started": psutil.Process(1).create_time() + 0.5}, True),
        ({"pid": 2**22 + 1}, False),
        ({"machine": "other"}, None),
        ({"machine": ""}, None),
    ],
)
def test_whether_a_holder_lives_is_looked_up_on_its_own_machine(
    run: Directory, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], alive: bool | None
) -> None:
    monkeypatch.setattr(leases, "_held_here", {"mine"})
    put(run, 1, here(**changes))
    assert holder(run).alive is alive  # type: ignore[union-attr]


def test_a_zombie_is_not_alive(run: Directory) -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    try:
        process = psutil.Process(pid)
        while process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.001)
        put(run, 1, here(pid=pid, started=process.create_time()))
        assert holder(run).alive is False  # type: ignore[union-attr]
    finally:
        os.waitpid(pid, 0)


def test_where_machines_cannot_be_told_apart_nobody_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_machine", lambda: "")
    assert leases._alive(here(machine="")) is None


@pytest.mark.parametrize(
    ("changes", "rebooted"),
    [
        ({"machine": "another-boot pid:[1]"}, True),
        ({"machine": "another-boot pid:[1]", "host": "elsewhere"}, False),
        ({"machine": ""}, False),
        ({}, False),
    ],
)
def test_a_reboot_is_another_boot_of_the_same_host(changes: dict[str, Any], rebooted: bool) -> None:
    assert leases._rebooted(here(**changes)) is rebooted


def test_another_container_of_the_same_boot_is_no_reboot() -> None:
    boot = leases._machine().partition(" ")[0]
    assert not leases._rebooted(here(machine=f"{boot} pid:[1]"))


def test_a_lease_says_who_took_it(run: Directory) -> None:
    with Lease(run, seconds=30.0) as lease:
        facts = json.loads(run.get("lease/000001.json"))
        assert facts.keys() == {"epoch", "host", "machine", "pid", "token", "started", "since", "lease_seconds"}
        assert (facts["epoch"], facts["host"], facts["pid"]) == (1, socket.gethostname(), os.getpid())
        assert (facts["lease_seconds"], facts["token"]) == (30.0, lease._token)
        assert leases._held_here >= {lease._token}
        assert holder(run).alive  # type: ignore[union-attr]
        assert not run.exists("lease/000001.released")
    assert not leases._held_here & {lease._token}
    assert run.exists("lease/000001.released")


def test_a_lease_that_was_not_taken_has_no_epoch(run: Directory) -> None:
    lease = Lease(run)
    assert (lease.epoch, lease.rebooted) == (0, False)


def test_the_heart_beats_in_a_thread_that_ends_with_the_process(run: Directory) -> None:
    with Lease(run) as lease:
        assert lease._thread is not None
        assert lease._thread.daemon


def test_one_elsewhere_that_is_dead_is_replaced(run: Directory) -> None:
    put(run, 1, ELSEWHERE)
    age(run, "lease/000001.json", 99)
    with Lease(run) as lease:
        assert (lease.epoch, lease.rebooted) == (2, False)


def test_who_loses_the_race_for_an_epoch_holds_nothing(run: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    put(run, 1, here(token="another's", pid=1, started=psutil.Process(1).create_time()))
    monkeypatch.setattr(leases, "_seen", lambda _: (None, 0))
    late = Lease(run)
    with pytest.raises(RunHeld, match="was taken by another driver"):
        late.__enter__()
    assert late._token not in leases._held_here
    assert late._thread is None


def test_a_lease_whose_first_answer_was_lost_is_held(run: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    create = run.put_new
    monkeypatch.setattr(run, "put_new", lambda name, data: create(name, data) and False)
    with Lease(run) as lease:
        assert (lease.epoch, lease._token in leases._held_here) == (1, True)
        assert holder(run).alive  # type: ignore[union-attr]


def test_who_loses_the_race_is_told_who_won(run: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    put(run, 1, ELSEWHERE)
    seen = leases._seen
    answers = iter([(None, 0), seen(run)])
    monkeypatch.setattr(leases, "_seen", lambda _: next(answers))
    with pytest.raises(RunHeld, match="is being worked on by pid 7 on elsewhere"):
        Lease(run).__enter__()


@pytest.mark.parametrize(
    ("silent", "take_over", "taken"), [(0, False, False), (0, True, False), (99, False, False), (99, True, True)]
)
def test_one_that_runs_here_is_replaced_only_when_silent_and_on_demand(
    run: Directory, silent: float, take_over: bool, taken: bool
) -> None:
    put(run, 1, here(pid=1, started=psutil.Process(1).create_time()))
    age(run, "lease/000001.json", silent)
    if taken:
        with Lease(run, take_over=take_over) as lease:
            assert lease.epoch == 2
        return
    said = (
        "is held by pid 1 on .* sign of life for longer than its lease of 60 s"
        if silent
        else "is being worked on by pid 1"
    )
    with pytest.raises(RunHeld, match=f"^run run {said}"):
        Lease(run, take_over=take_over).__enter__()


def test_how_long_a_lease_lasts_without_a_heartbeat_is_said(run: Directory) -> None:
    put(run, 1, {**ELSEWHERE, "lease_seconds": 100.0})
    age(run, "lease/000001.json", 40.2)
    with pytest.raises(
        RunHeld, match=r"last heartbeat 40 s ago\)\. Wait for it, or stop it\. Its lease ends 60 s from"
    ):
        Lease(run).__enter__()


def test_superseded_is_one_that_a_later_epoch_follows(run: Directory) -> None:
    put(run, 3, ELSEWHERE)
    assert [superseded(run, epoch) for epoch in (0, 1, 2, 3, 4)] == [False, False, True, False, False]


def test_without_a_lease_nobody_is_superseded(run: Directory) -> None:
    put(run, 1, ELSEWHERE)
    assert not superseded(run, 0)


def test_the_first_epoch_asks_for_no_reboot(run: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_rebooted", lambda facts: True)
    with Lease(run) as first:
        assert not first.rebooted
    with Lease(run) as second:
        assert second.rebooted


class Beats:
    """A lease whose heartbeats a test triggers, and whose writes it may break."""

    def __init__(self, run: Directory, monkeypatch: pytest.MonkeyPatch, beats: int, failing: int = 0) -> None:
        self.lease, self.waited, self.failing = Lease(run, seconds=30.0), list[float](), failing
        self.lease.epoch = 1
        put = run.put

        def wait(seconds: float) -> bool:
            self.waited.append(seconds)
            return len(self.waited) > beats

        def broken(name: str, data: bytes) -> None:
            if self.failing:
                self.failing -= 1
                raise StorageFailed("an outage")
            put(name, data)

        monkeypatch.setattr(self.lease._ended, "wait", wait)
        monkeypatch.setattr(run, "put", broken)


def test_a_lease_beats_six_times_and_a_failed_beat_is_passed_over(
    run: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = Beats(run, monkeypatch, beats=3, failing=2)
    beats.lease._beat()
    assert beats.waited == [5.0] * 4
    assert run.names() == ["lease/000001.beat"]


def test_a_beat_that_finds_the_next_driver_stays_lost(run: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    beats = Beats(run, monkeypatch, beats=1)
    put(run, 2, ELSEWHERE)
    beats.lease._beat()
    assert beats.lease._lost
    run.delete("lease/000002.json")
    with pytest.raises(
        LeaseLost, match=r"this driver \(epoch 1\) was replaced by another: it is done with .*/run by now"
    ):
        beats.lease.check()


def test_a_later_beat_that_finds_no_next_driver_leaves_it_lost(run: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    beats = Beats(run, monkeypatch, beats=2)
    answers = iter([True, False])
    monkeypatch.setattr(leases, "superseded", lambda *_: next(answers))
    beats.lease._beat()
    assert beats.lease._lost


def test_a_check_asks_the_store_only_when_told(run: Directory) -> None:
    lease = Lease(run)
    lease.epoch = 1
    lease.check()
    lease.check(now=True)
    put(run, 2, ELSEWHERE)
    lease.check()
    with pytest.raises(LeaseLost, match="pid 7 on elsewhere since yesterday"):
        lease.check(now=True)
    run.delete("lease/000002.json")
    with pytest.raises(LeaseLost):
        lease.check()


def test_a_lost_lease_is_not_given_back(run: Directory) -> None:
    lease = Lease(run).__enter__()
    lease._lost = True
    lease.__exit__(None, None, None)
    assert not run.exists("lease/000001.released")
    assert lease._thread is not None
    assert not lease._thread.is_alive()


def test_the_last_heartbeat_is_over_before_a_lease_is_given_back(
    run: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    class Thread:
        """Stands for the one of the heartbeats."""

        def join(self) -> None:
            order.append("ended")

    put_there = run.put
    monkeypatch.setattr(run, "put", lambda name, data: (order.append(name), put_there(name, data)))
    lease = Lease(run).__enter__()
    thread = lease._thread
    lease._thread = Thread()  # type: ignore[assignment]
    lease.__exit__(None, None, None)
    assert order[-2:] == ["ended", "lease/000001.released"]
    assert thread is not None
    thread.join()
