"""The signals that end a driver: Ctrl-C, SIGTERM of a scheduler or a container, SIGHUP of a terminal that goes away."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import resource_tracker
from typing import Any

NAMES = {
    getattr(signal, name): told
    for name, told in (("SIGINT", "Ctrl-C"), ("SIGTERM", "SIGTERM"), ("SIGHUP", "SIGHUP"))
    if hasattr(signal, name)  # Windows has no SIGHUP
}

OTHERS = [number for number in NAMES if number != signal.SIGINT]


class Asked:
    """Whether the driver was asked to end; ``why`` says by what.

    No ``threading.Event``: a second signal may come while the handler of the first one holds its lock, and would wait for
    ever. ``timeout`` sends two at a time.
    """

    why = ""

    def is_set(self) -> bool:
        """Whether a signal came."""
        return bool(self.why)


@contextlib.contextmanager
def noted() -> Iterator[Asked]:
    """In the block a signal is noted, so that the loop stops between two steps; a second Ctrl-C interrupts at once."""
    with _order() as asked:

        def on_signal(number: int, frame: Any) -> None:
            if asked.is_set() and number == signal.SIGINT:
                raise KeyboardInterrupt
            asked.why = asked.why or told(number)

        with _handled(NAMES, on_signal):
            yield asked


@contextlib.contextmanager
def as_ctrl_c() -> Iterator[None]:
    """In the block the first of the other signals raises KeyboardInterrupt as Ctrl-C does, so that what was started is
    closed in order; where one was noted before, that order is the same, and closing goes on."""
    with _order() as asked:

        def on_signal(number: int, frame: Any) -> None:
            if not asked.is_set():
                asked.why = told(number)
                raise KeyboardInterrupt(asked.why)

        with _handled(OTHERS, on_signal):
            yield


_orders: list[Asked] = []


@contextlib.contextmanager
def _order() -> Iterator[Asked]:
    """What was asked of the outermost block of the main thread: the order to end comes once."""
    if threading.current_thread() is not threading.main_thread():
        yield Asked()
        return
    if _orders:
        yield _orders[0]
        return
    _orders.append(Asked())
    try:
        yield _orders[0]
    finally:
        _orders.clear()


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """In the block processes are started, which must be up before they can be closed in order: signals wait for its end.

    A terminal sends Ctrl-C to these processes too, which would end with a traceback each before they can leave it to the
    driver; threads and processes that are started meanwhile never get it.
    """
    if sys.platform == "win32":
        yield
        return
    came: list[int] = []
    resource_tracker.ensure_running()  # where multiprocessing starts it, it lets the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _handled(OTHERS, lambda number, frame: came.append(number)):
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number in came[:1]:
            signal.raise_signal(number)


def told(number: int = signal.SIGINT) -> str:
    """What a person reads of a signal."""
    return f"stopped by {NAMES[signal.Signals(number)]}"


@contextlib.contextmanager
def _handled(numbers: Iterable[signal.Signals], handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Only the main thread gets signals; one that the process was started to ignore (``nohup``) stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    mine = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in mine}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
