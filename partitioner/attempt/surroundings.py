"""An attempt is a good guest: threads limited, seed set, prints kept, and nothing of it left afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np

from partitioner.errors import ConfigError
from partitioner.known_secrets import masked
from partitioner.model import Attempt


@dataclass(frozen=True, slots=True)
class TaskContext:
    """What a program may ask about the attempt it runs in; see ``partitioner.task_context``.

    ``devices`` are the addresses the engine assigned by resource name, such as ``{"gpu": ("0",)}``; empty where it assigns
    none. ``run_url`` is the run directory.
    """

    task_key: str
    number: int
    worker_id: str
    cpus: float
    seed: int
    devices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    run_url: str = ""


_current: ContextVar[TaskContext | None] = ContextVar("partitioner_task", default=None)
_NO_DEVICES: Mapping[str, tuple[str, ...]] = {}
_devices: ContextVar[Mapping[str, tuple[str, ...]]] = ContextVar("partitioner_devices", default=_NO_DEVICES)


def task_context() -> TaskContext:
    """The running attempt: sub-task, number of the try, worker, cores and seed. Raises ConfigError outside of one."""
    context = _current.get()
    if context is None:
        raise ConfigError("task_context() is known only inside a program while a sub-task runs.")
    return context


@contextlib.contextmanager
def assigned_devices(devices: Mapping[str, tuple[str, ...]]) -> Iterator[None]:
    """What an engine that assigns devices wraps an attempt in: they are in ``task_context()``, and CUDA sees its GPUs only.

    ``CUDA_VISIBLE_DEVICES`` has no effect once a process has used CUDA; a program that keeps a model on a GPU between
    sub-tasks should therefore go by ``task_context().devices``.
    """
    token = _devices.set(devices)
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    if "gpu" in devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(devices["gpu"])
    try:
        yield
    finally:
        _devices.reset(token)
        if "gpu" in devices:
            if before is None:
                del os.environ["CUDA_VISIBLE_DEVICES"]
            else:
                os.environ["CUDA_VISIBLE_DEVICES"] = before


def seed_of(run_seed: int, task_key: str) -> int:
    """A 32-bit seed that depends on the run's seed and the sub-task only, not on worker, engine or try."""
    return int.from_bytes(hashlib.sha256(f"{run_seed}:{task_key}".encode()).digest()[:4], "big")


class _PerThread(io.TextIOBase):
    """A stream that goes to the buffer of the attempt running in this thread, and else to the original stream.

    What else a program asks of standard output is answered by the original: its name, ``reconfigure``.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, original: Any) -> None:
        self.original = original
        self.local = threading.local()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)

    @property
    def buffer(self) -> _Bytes:
        """What takes bytes."""
        return _Bytes(self)

    def close(self) -> None:
        """Nothing: it is the process's, and that of other attempts."""

    def write(self, text: str) -> int:
        target = getattr(self.local, "target", None)
        (target or self.original).write(text)
        return len(text)

    def flush(self) -> None:
        if getattr(self.local, "target", None) is None:
            self.original.flush()

    def fileno(self) -> int:
        return int(self.original.fileno())

    def isatty(self) -> bool:
        return False


class _Bytes(io.RawIOBase):
    """The same for bytes, which are kept as text."""

    def __init__(self, stream: _PerThread) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._stream.write(bytes(data).decode(errors="backslashreplace"))
        return len(data)


_STREAMS = ("stdout", "stderr")
_guests = 0  # attempts whose prints are kept now, over all threads
_guests_lock = threading.Lock()


def _enter_streams() -> list[_PerThread]:
    global _guests
    with _guests_lock:
        _guests += 1
        for name in _STREAMS:
            if not isinstance(getattr(sys, name), _PerThread):
                setattr(sys, name, _PerThread(getattr(sys, name)))
        return [getattr(sys, name) for name in _STREAMS]


def _leave_streams() -> None:
    """The last attempt to leave puts the process's own streams back."""
    global _guests
    with _guests_lock:
        _guests -= 1
        for name in _STREAMS:
            stream = getattr(sys, name)
            if _guests == 0 and isinstance(stream, _PerThread):
                setattr(sys, name, stream.original)


@contextlib.contextmanager
def kept_prints() -> Iterator[io.StringIO]:
    """Standard output and errors of this thread go to the buffer that is given."""
    kept = io.StringIO()
    streams = _enter_streams()
    before = [getattr(stream.local, "target", None) for stream in streams]
    for stream in streams:
        stream.local.target = kept
    try:
        yield kept
    finally:
        for stream, target in zip(streams, before, strict=True):
            stream.local.target = target
        _leave_streams()


class _Masked(io.StringIO):
    """A stream that passes on what is written to it, without the secrets that this process knows."""

    def __init__(self, original: Any) -> None:
        super().__init__()
        self._original = original

    def write(self, text: str) -> int:
        self._original.write(masked(text))
        return len(text)


@contextlib.contextmanager
def masked_prints() -> Iterator[None]:
    """What this thread prints outside attempts goes where it went, without secrets: the logs of workers keep it."""
    streams = _enter_streams()
    before = [getattr(stream.local, "target", None) for stream in streams]
    for stream, target in zip(streams, before, strict=True):
        stream.local.target = target or _Masked(stream.original)
    try:
        yield
    finally:
        for stream, target in zip(streams, before, strict=True):
            stream.local.target = target
        _leave_streams()


class TimedOut(BaseException):
    """The attempt took longer than it may. No Exception: a program that catches those, to try again, is ended too."""


TOLD_AGAIN = 1.0
"""Seconds until a program that went on in spite of TimedOut is told again."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TimedOut in this thread after so many seconds, and again while that does not end the block.

    Only in the main thread of a process on a system with signals, which is where the serial engine and Spark run attempts;
    elsewhere the coordinator has the process ended.
    """
    able = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not able or not isfinite(seconds):
        yield
        return

    over = threading.Event()

    def on_alarm(number: int, frame: Any) -> None:
        if not over.is_set():
            raise TimedOut(f"it took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds, TOLD_AGAIN)
    try:
        try:
            yield
        finally:
            over.set()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


_threads: dict[int, Any] = {}


def _controller() -> Any:
    """Numeric libraries loaded so far; looked up again only after new modules came in, since that takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    key = len(sys.modules)
    if key not in _threads:
        _threads.clear()
        _threads[key] = ThreadpoolController()
    return _threads[key]


@contextlib.contextmanager
def guest(attempt: Attempt, run_seed: int) -> Iterator[None]:
    """Limit numeric threads to the attempt's cores, seed ``random`` and numpy, and make ``task_context`` known."""
    seed = seed_of(run_seed, attempt.task_key)
    token = _current.set(
        TaskContext(
            attempt.task_key, attempt.number, attempt.worker_id, attempt.cpus, seed, _devices.get(), attempt.run_url
        )
    )
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    try:
        with _controller().limit(limits=max(1, int(attempt.cpus))):
            yield
    finally:
        _current.reset(token)
