"""What one attempt used: wall and CPU seconds, peak resident memory, GPU memory.

On Linux the kernel keeps the peak: writing 5 to ``/proc/self/clear_refs`` resets ``VmHWM`` of ``/proc/self/status``, which
is then exact, without sampling. Elsewhere a thread samples the resident size with psutil.

A process has one resident size and one peak. Of attempts that overlap in a process each therefore reads the peak and the CPU
seconds of all of them (``shared`` says so); a reset by one never loses the peak of another, because it is noted first.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_SAMPLE_SECONDS = 0.01
_lock = threading.Lock()
_active: list[Measurement] = []


@dataclass(slots=True, eq=False)
class Measurement:
    """What was used inside ``with measured() as m:``; filled in when left, all zero before.

    ``wall_seconds``; ``cpu_seconds`` of the process, all threads; ``thread_cpu_seconds`` of the measuring thread alone;
    ``baseline_memory_bytes`` resident on entry and ``peak_memory_bytes`` resident at the peak, of the process;
    ``gpu_memory_bytes`` allocated at the peak through torch, 0 where it is not loaded; ``started`` Unix time;
    ``shared``: another attempt was measured in this process meanwhile; ``exact_peak``: the kernel's figure, no sample.
    """

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    thread_cpu_seconds: float = 0.0
    baseline_memory_bytes: int = 0
    peak_memory_bytes: int = 0
    gpu_memory_bytes: int = 0
    started: float = 0.0
    shared: bool = False
    exact_peak: bool = False

    def to_measured(self) -> dict[str, float]:
        """What goes beside the named fields of a commit record, as plain numbers."""
        return {
            "thread_cpu_seconds": self.thread_cpu_seconds,
            "baseline_memory_bytes": float(self.baseline_memory_bytes),
            "gpu_memory_bytes": float(self.gpu_memory_bytes),
            "shared": float(self.shared),
            "exact_peak": float(self.exact_peak),
        }


@contextmanager
def measured() -> Iterator[Measurement]:
    """Measure the block; the figures are there once it is left, also by an exception. Costs about 50 microseconds."""
    m = Measurement(started=time.time())
    with _lock:
        sampler = _join(m)
    cuda = _torch_cuda()
    if cuda is not None:
        cuda.reset_peak_memory_stats()
    cpu, thread_cpu, wall = time.process_time(), time.thread_time(), time.perf_counter()
    try:
        yield m
    finally:
        m.wall_seconds = time.perf_counter() - wall
        m.thread_cpu_seconds = time.thread_time() - thread_cpu
        m.cpu_seconds = time.process_time() - cpu
        with _lock:
            _active.remove(m)
            _note(m, sampler.stop() if sampler is not None else _resident())
        if cuda is not None:
            m.gpu_memory_bytes = int(cuda.max_memory_allocated())


def peak_memory_bytes() -> int:
    """Resident bytes of this process at its peak since a measurement last began; 0 where the kernel does not say."""
    reading = _resident()
    return 0 if reading is None else reading[1]


def resident_bytes() -> int:
    """Resident bytes of this process now."""
    reading = _resident()
    if reading is not None:
        return reading[0]
    import psutil

    return int(psutil.Process().memory_info().rss)


def _join(m: Measurement) -> _Sampler | None:
    """Note the peak for those already running, reset it, join them; a sampler where the kernel keeps no peak."""
    reading = _resident()
    for other in _active:
        other.shared = m.shared = True
        _note(other, reading if other.exact_peak else None)
    _active.append(m)
    if reading is not None and _reset_peak():
        m.baseline_memory_bytes = m.peak_memory_bytes = reading[0]
        m.exact_peak = True
        return None
    sampler = _Sampler()
    m.baseline_memory_bytes = m.peak_memory_bytes = sampler.baseline
    return sampler


def _note(m: Measurement, reading: tuple[int, int] | None) -> None:
    if reading is not None:
        m.peak_memory_bytes = max(m.peak_memory_bytes, reading[1])


def _resident() -> tuple[int, int] | None:
    """Resident bytes now and at the peak since the last reset; None where the kernel does not say."""
    try:
        fd = os.open("/proc/self/status", os.O_RDONLY)
    except OSError:
        return None
    try:
        text = os.read(fd, 4096)
    finally:
        os.close(fd)
    peak, now = _field(text, b"VmHWM:"), _field(text, b"VmRSS:")
    return None if peak is None or now is None else (now, max(now, peak))


def _field(text: bytes, name: bytes) -> int | None:
    at = text.find(name)
    return None if at < 0 else int(text[at + len(name) : text.index(b"kB", at)]) * 1024


def _reset_peak() -> bool:
    """Whether the kernel took the reset: not every container allows it."""
    try:
        fd = os.open("/proc/self/clear_refs", os.O_WRONLY)
    except OSError:
        return False
    try:
        os.write(fd, b"5")
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def gpu_memory() -> float:
    """Bytes of the device that torch uses here, 0 where it uses none."""
    cuda = _torch_cuda()
    return 0.0 if cuda is None else float(cuda.mem_get_info()[1])


def release_gpu_memory() -> None:
    """Give back what torch keeps of a device for later, where it uses one."""
    cuda = _torch_cuda()
    if cuda is not None:
        cuda.empty_cache()


def release_memory() -> None:
    """Hand freed memory back to the system: what Arrow and the C library of Linux keep of large blocks for later."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:  # not musl
        trim(0)


def _torch_cuda() -> Any:
    """torch.cuda where the program has loaded torch and uses a GPU; nothing is imported for it."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    return cuda if cuda is not None and cuda.is_available() and cuda.is_initialized() else None


class _Sampler:
    """The largest resident size seen by a thread that looks every 10 ms; a lower bound of the true peak."""

    def __init__(self) -> None:
        import psutil

        self._process = psutil.Process()
        self.baseline = self.peak = self._rss()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="measure-memory", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            self._look()

    def _rss(self) -> int:
        return int(self._process.memory_info().rss)

    def _look(self) -> None:
        self.peak = max(self.peak, self._rss())

    def stop(self) -> tuple[int, int]:
        """Resident bytes now and at the peak, after a last look."""
        self._stop.set()
        self._thread.join()
        self._look()
        return self.peak, self.peak
