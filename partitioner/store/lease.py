"""One driver at a time: a lease with an epoch, taken by a conditional create and kept by a heartbeat.

<run>/lease/
  000001.json       who took the first epoch: host, machine, pid, when
  000001.beat       written again and again while that driver lives
  000001.released   written when it ends

Taking the lease is creating the object of the next epoch, which exactly one driver can. Attempts carry the epoch of their
driver, and commit only while there is no later one. Ages are measured by the store's own clock, so that clocks of machines
need not agree.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import socket
import threading
import time
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Any

from partitioner.errors import LeaseLost, RunHeld, StorageFailed
from partitioner.storage import Directory

LEASE_SECONDS = 60.0
"""Without a heartbeat for this long a driver counts as dead: longer than a store's outage that its client rides out."""
BEATS = 6
"""Heartbeats per lease: some may fail."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the lease of an epoch, and since when; ``age`` seconds since its last heartbeat.

    ``alive``: True or False where the process can be looked up on this machine, else None.
    """

    epoch: int
    host: str
    pid: int
    since: str
    age: float
    lease_seconds: float
    alive: bool | None

    @property
    def expired(self) -> bool:
        """No heartbeat for as long as the lease."""
        return self.age > self.lease_seconds

    @property
    def dead(self) -> bool:
        """It is gone, or elsewhere and silent for too long; one that is seen here and silent is asked about."""
        return self.alive is False or (self.expired and self.alive is None)

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host} since {self.since} (epoch {self.epoch}, last heartbeat {self.age:.0f} s ago)"


def holder(run: Directory) -> Holder | None:
    """Who holds the lease of a run directory now, dead or alive; None where nobody does."""
    return _seen(run)[0]


def _seen(run: Directory) -> tuple[Holder | None, int]:
    """The holder and the last epoch, from one listing: a lease that is taken meanwhile must not pass for an old one."""
    there = {entry.name.removeprefix("lease/"): entry for entry in run.entries("lease")}
    epochs = [int(name.removesuffix(".json")) for name in there if _TAKEN.fullmatch(name)]
    if not epochs or f"{max(epochs):06d}.released" in there:
        return None, max(epochs, default=0)
    epoch = max(epochs)
    taken = there.get(f"{epoch:06d}.beat", there[f"{epoch:06d}.json"])
    facts = _read(run, f"lease/{epoch:06d}.json")
    who = Holder(
        epoch,
        str(facts.get("host", "unknown")),
        facts.get("pid", 0),
        str(facts.get("since", "unknown")),
        max(0.0, _store_time(run) - taken.modified),
        facts.get("lease_seconds", LEASE_SECONDS),
        _alive(facts) and (facts["pid"] != os.getpid() or str(facts.get("token")) in _held_here),
    )
    return who, epoch


_TAKEN = re.compile(r"[0-9]{6,9}\.json")


def _read(run: Directory, name: str) -> dict[str, Any]:
    """The facts of a lease; none where they are torn, which leaves only its heartbeat to go by."""
    try:
        facts = dict(json.loads(run.get(name)))
        numbers = {"pid": int(facts.get("pid", 0)), "started": float(facts.get("started", 0))}
        numbers["lease_seconds"] = float(facts.get("lease_seconds", LEASE_SECONDS))
    except (FileNotFoundError, ValueError, TypeError, OverflowError, RecursionError):
        return {}
    return {**facts, **numbers} if numbers["pid"] >= 0 and isfinite(numbers["lease_seconds"]) else {}


def _store_time(run: Directory) -> float:
    """What time it is by the clock that dates the heartbeats."""
    name = f"lease/probe-{secrets.token_hex(8)}"
    run.put(name, b"")
    entry = run.entry(name)
    run.delete(name)
    return time.time() if entry is None else entry.modified


def _machine() -> str:
    """Tells machines and containers apart whose process numbers mean different processes; empty where nothing does."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _rebooted(facts: dict[str, Any]) -> bool:
    """Whether this machine was started anew since the driver that took a lease worked on it."""
    boot, _, _ = str(facts.get("machine", "")).partition(" ")
    return bool(boot) and facts.get("host") == socket.gethostname() and boot != _machine().partition(" ")[0]


def _started(pid: int) -> float:
    import psutil

    return float(psutil.Process(pid).create_time())


_held_here: set[str] = set()  # tokens of the leases that this process keeps up


def _alive(facts: dict[str, Any]) -> bool | None:
    """Whether the holder's process runs; None where it cannot be looked up from here."""
    import psutil

    if not facts.get("machine") or facts["machine"] != _machine():
        return None
    try:
        process = psutil.Process(facts["pid"])
        same = abs(process.create_time() - facts["started"]) < 1.0
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class Lease:
    """The right to drive a run, while the ``with`` block lasts. Raises RunHeld where another driver has it.

    A holder that is dead is replaced at once: its process is gone from this machine, or it is elsewhere and its heartbeat is
    older than its lease. One that still runs here without a heartbeat (stopped, hung) is replaced only with ``take_over``.
    ``rebooted``: this machine was started anew since the driver before.
    """

    def __init__(self, run: Directory, seconds: float = LEASE_SECONDS, take_over: bool = False) -> None:
        self._run = run
        self._seconds = seconds
        self._take_over = take_over
        self._ended = threading.Event()
        self._lost = False
        self._token = secrets.token_hex(8)
        self._thread: threading.Thread | None = None
        self.epoch = 0
        self.rebooted = False

    def __enter__(self) -> Lease:
        before, last = _seen(self._run)
        if before is not None and not before.dead and not (self._take_over and before.expired):
            raise RunHeld(_held(self._run, before))
        self.epoch = last + 1
        self.rebooted = self.epoch > 1 and _rebooted(_read(self._run, f"lease/{self.epoch - 1:06d}.json"))
        if not self._create():
            now = holder(self._run)
            raise RunHeld(
                _held(self._run, now)
                if now
                else f"run {self._run.url} was taken by another driver; start again once it has ended."
            )
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()
        return self

    def _create(self) -> bool:
        facts = {
            "epoch": self.epoch,
            "host": socket.gethostname(),
            "machine": _machine(),
            "pid": os.getpid(),
            "token": self._token,
            "started": _started(os.getpid()),
            "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "lease_seconds": self._seconds,
        }
        _held_here.add(self._token)  # before it is there, for another thread to see
        name = f"lease/{self.epoch:06d}.json"
        taken = self._run.put_new(name, json.dumps(facts).encode())
        if not taken:  # or a store's first answer was lost, and its second is about what the first had made
            taken = _read(self._run, name).get("token") == self._token
        if not taken:
            _held_here.discard(self._token)
        return taken

    def _beat(self) -> None:
        while not self._ended.wait(self._seconds / BEATS):
            # after a failed one the next may get through; a lease that runs out meanwhile is another's to take
            with contextlib.suppress(StorageFailed):
                self._lost = self._lost or superseded(self._run, self.epoch)
                self._run.put(f"lease/{self.epoch:06d}.beat", b"")

    def check(self, now: bool = False) -> None:
        """Raises LeaseLost where another driver took over; ``now`` asks the store instead of the last heartbeat."""
        if self._lost or (now and superseded(self._run, self.epoch)):
            self._lost = True
            other = holder(self._run)
            state = (
                f"{other} drives run {self._run.url} now" if other else f"it is done with run {self._run.url} by now"
            )
            raise LeaseLost(
                f"this driver (epoch {self.epoch}) was replaced by another: {state}. What this one committed before stays."
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        _held_here.discard(self._token)
        if not self._lost:
            with contextlib.suppress(StorageFailed):  # then the lease ends with this process, or with its time
                self._run.put(f"lease/{self.epoch:06d}.released", b"")


def superseded(run: Directory, epoch: int) -> bool:
    """Whether a later driver has the run: then what an attempt of this epoch made is not committed."""
    return epoch > 0 and run.exists(f"lease/{epoch + 1:06d}.json")


def _held(run: Directory, who: Holder) -> str:
    name = run.url.rpartition("/")[2]
    if who.expired:
        return (
            f"run {name} is held by {who}, which runs on this machine but shows no sign of life for longer than its "
            f"lease of {who.lease_seconds:g} s. End that process, or take the run from it with --take-over."
        )
    return (
        f"run {name} is being worked on by {who}. Wait for it, or stop it. Its lease ends "
        f"{who.lease_seconds - who.age:.0f} s from now if no heartbeat comes; then it can be taken over."
    )
