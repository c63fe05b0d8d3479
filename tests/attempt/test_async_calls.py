"""Async calls one by one: which errors come again, how often, how long apart, and what is async at all."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from partitioner.attempt import asynchronous
from partitioner.attempt.asynchronous import Concurrency, _Pace, call_all, is_async, pieces
from partitioner.errors import ConfigError


class Busy(ConnectionError):
    """A kind of OSError."""


@pytest.mark.parametrize(
    ("named", "again"),
    [
        ((), False),
        (("Busy",), True),
        (("OSError",), True),
        (("builtins.OSError",), True),
        ((f"{__name__}.Busy",), True),
        (("ValueError",), False),
        (("ValueError", "ConnectionError"), True),
    ],
)
def test_an_error_is_named_by_itself_or_a_base_bare_or_with_its_module(named: tuple[str, ...], again: bool) -> None:
    assert Concurrency(retry_on=named).again(Busy()) is again


async def one(unit: Any) -> Any:
    return unit


def plain(unit: Any) -> Any:
    return unit


async def many(unit: Any) -> AsyncIterator[Any]:
    yield unit


class Called:
    """Its instances are async."""

    async def __call__(self, unit: Any) -> Any:
        return unit


class NotCalled:
    """Its instances are not."""

    def __call__(self, unit: Any) -> Any:
        return unit


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (one, True),
        (plain, False),
        (functools.partial(functools.partial(one)), True),
        (functools.partial(plain), False),
        (Called, True),
        (Called(), True),
        (NotCalled, False),
        (NotCalled(), False),
        (len, False),
    ],
)
def test_what_gives_a_coroutine_is_async(program: Any, expected: bool) -> None:
    assert is_async(program) is expected


def test_an_async_generator_is_refused() -> None:
    with pytest.raises(ConfigError, match="the program is an async generator; write an async function that returns"):
        is_async(many)


class Sleeps:
    """Notes the seconds that are slept, and sleeps none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, random: float = 0.0) -> None:
        self.seconds: list[float] = []

        async def sleep(seconds: float) -> None:
            self.seconds.append(seconds)

        monkeypatch.setattr(asynchronous, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))
        monkeypatch.setattr(asynchronous, "random", SimpleNamespace(random=lambda: random))


def failing(times: int) -> tuple[Any, list[int]]:
    tries: list[int] = []

    async def call(unit: int) -> int:
        tries.append(unit)
        if len(tries) <= times:
            raise Busy("busy")
        return unit

    return call, tries


@pytest.mark.parametrize(("random", "slept"), [(0.0, [0.25, 0.5, 1.0]), (1.0, [0.5, 1.0, 2.0])])
def test_pauses_double_with_a_random_part(monkeypatch: pytest.MonkeyPatch, random: float, slept: list[float]) -> None:
    sleeps = Sleeps(monkeypatch, random)
    call, tries = failing(3)
    assert call_all(call, [7], Concurrency(retry_on=("Busy",))) == [7]
    assert (sleeps.seconds, tries) == (slept, [7] * 4)


def test_a_pause_is_a_minute_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    sleeps = Sleeps(monkeypatch, 1.0)
    call, _ = failing(2)
    call_all(call, [7], Concurrency(retry_on=("Busy",), backoff_seconds=45.0))
    assert sleeps.seconds == [45.0, 60.0]


@pytest.mark.parametrize(("retries", "tried"), [(0, 1), (1, 2), (2, 3)])
def test_retries_are_bounded(monkeypatch: pytest.MonkeyPatch, retries: int, tried: int) -> None:
    sleeps = Sleeps(monkeypatch)
    call, tries = failing(99)
    (found,) = call_all(call, [7], Concurrency(retry_on=("Busy",), retries=retries))
    assert isinstance(found, Busy)
    assert (len(tries), len(sleeps.seconds)) == (tried, retries)


def test_an_error_that_is_not_named_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sleeps = Sleeps(monkeypatch)
    call, tries = failing(99)
    (found,) = call_all(call, [7], Concurrency(retry_on=("ValueError",)))
    assert (type(found), len(tries), sleeps.seconds) == (Busy, 1, [])


def test_one_failure_leaves_the_other_results() -> None:
    async def odd(unit: int) -> int:
        if unit % 2:
            raise ValueError(unit)
        return 10 * unit

    found = call_all(odd, range(4), Concurrency(calls=2))
    assert [found[0], found[2]] == [0, 20]
    assert [str(found[1]), str(found[3])] == ["1", "3"]
    assert call_all(odd, [], Concurrency()) == []


def test_as_many_calls_run_at_once_as_asked() -> None:
    running: list[int] = []
    most: list[int] = []

    async def work(unit: int) -> None:
        running.append(unit)
        most.append(len(running))
        await asyncio.sleep(0)
        running.remove(unit)

    call_all(work, range(9), Concurrency(calls=3))
    assert max(most) == 3
    most.clear()
    call_all(work, range(2), Concurrency(calls=16))
    assert max(most) == 2


def test_starts_are_evenly_spaced(monkeypatch: pytest.MonkeyPatch) -> None:
    sleeps = Sleeps(monkeypatch)
    now = iter([100.0, 100.1, 105.0, 105.0])
    monkeypatch.setattr(asynchronous, "time", SimpleNamespace(monotonic=lambda: next(now)))

    async def turns() -> None:
        pace = _Pace(2.0)
        for _ in range(4):
            await pace.turn()

    asyncio.run(turns())
    assert sleeps.seconds == pytest.approx([0.0, 0.4, 0.0, 0.5])


def test_without_a_rate_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    sleeps = Sleeps(monkeypatch)
    asyncio.run(_Pace(0.0).turn())
    assert sleeps.seconds == []


def test_one_loop_serves_all_calls_of_a_process_and_a_fork_makes_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asynchronous, "_loops", {})

    async def loop(unit: int) -> int:
        return id(asyncio.get_running_loop())

    one, two = (call_all(loop, [1], Concurrency())[0] for _ in range(2))
    assert one == two
    held = asynchronous._loop()
    monkeypatch.setattr(asynchronous.os, "getpid", lambda: -5)
    assert asynchronous._loop() is not held
    assert list(asynchronous._loops) == [-5]
    assert os.getpid() == -5
    threads = [t for t in threading.enumerate() if t.name == "partitioner-async"]
    assert all(t.daemon for t in threads)


def test_an_interrupt_cancels_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    class Future:
        cancelled = False

        def result(self) -> None:
            raise KeyboardInterrupt

        def cancel(self) -> None:
            self.cancelled = True

    future = Future()
    fake = SimpleNamespace(run_coroutine_threadsafe=lambda work, loop: (work.close(), future)[1])
    monkeypatch.setattr(asynchronous, "asyncio", fake)
    monkeypatch.setattr(asynchronous, "_loop", lambda: None)
    with pytest.raises(KeyboardInterrupt):
        asynchronous._on_the_loop(one(1))
    assert future.cancelled


@pytest.mark.parametrize(
    ("rows", "most", "expected"),
    [(5, 2, [(0, 2), (2, 4), (4, 5)]), (4, 2, [(0, 2), (2, 4)]), (1, 3, [(0, 1)]), (0, 3, [])],
)
def test_pieces_cover_all_rows(rows: int, most: int, expected: list[tuple[int, int]]) -> None:
    assert [(p.start, p.stop) for p in pieces(rows, most)] == expected
