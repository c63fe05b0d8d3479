"""What one attempt used: wall and CPU seconds, peak resident memory, GPU memory.

On Linux the kernel keeps the peak: writing 5 to ``/proc/self/clear_refs`` resets ``VmHWM`` of ``/proc/self/status``, which
is then exact, without sampling. Elsewhere a thread samples the resident size with psutil.

A process has one resident size and one peak. Of attempts that overlap in a process each therefore reads the peak and the CPU
seconds of all of them (``shared`` says so); a reset by one never loses the peak of another, because it is noted first.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

_SAMPLE_SECONDS = 0.01
_lock = threading.Lock()
_active: set[Measure] = set()


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was used between entering and leaving a ``Measure``.

    ``seconds`` wall; ``cpu_seconds`` of the process, all threads; ``thread_cpu_seconds`` of the entering thread alone;
    ``baseline_memory_bytes`` resident on entry and ``peak_memory_bytes`` resident at the peak, of the process;
    ``gpu_memory_bytes`` allocated at the peak through torch, 0 where it is not loaded; ``started`` and ``finished`` Unix
    time; ``shared``: another attempt was measured in this process meanwhile; ``exact_peak``: the kernel's figure, no sample.
    """

    seconds: float
    cpu_seconds: float
    thread_cpu_seconds: float
    baseline_memory_bytes: int
    peak_memory_bytes: int
    gpu_memory_bytes: int
    started: float
    finished: float
    shared: bool
    exact_peak: bool


class Measure:
    """A context manager; ``result`` is the Measurement once left, also when left by an exception.

    ``with Measure() as measure: work()`` and then ``measure.result``. Enter and leave it on the same thread.
    """

    def __init__(self) -> None:
        self.peak = 0
        self.shared = False
        self._result: Measurement | None = None
        self._sampler: _Sampler | None = None

    @property
    def result(self) -> Measurement:
        """The measurement; RuntimeError while still inside."""
        if self._result is None:
            raise RuntimeError("Measure.result is known only after its with block has been left.")
        return self._result

    def __enter__(self) -> Self:
        with _lock:
            self._enter_peak()
        self._torch = _torch_cuda()
        if self._torch is not None:
            self._torch.reset_peak_memory_stats()
        self._started = time.time()
        self._cpu, self._thread_cpu = time.process_time(), time.thread_time()
        self._wall = time.perf_counter()
        return self

    def _enter_peak(self) -> None:
        """Note the peak for those already running, reset it, join them."""
        reading = _resident()
        if reading is None or not _reset_peak():
            self._sampler = _Sampler()
            self._baseline = self.peak = self._sampler.peak
            self._exact = False
        else:
            self._baseline = self.peak = reading[0]
            self._exact = True
        for other in _active:
            other.shared = self.shared = True
            if reading is not None:
                other.peak = max(other.peak, reading[1])
        _active.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wall = time.perf_counter() - self._wall
        thread_cpu = time.thread_time() - self._thread_cpu
        cpu = time.process_time() - self._cpu
        with _lock:
            _active.discard(self)
            reading = _resident() if self._exact else None
            last = self._sampler.stop() if self._sampler is not None else 0
            self.peak = max(self.peak, reading[1] if reading else last)
        self._result = Measurement(
            seconds=wall,
            cpu_seconds=cpu,
            thread_cpu_seconds=thread_cpu,
            baseline_memory_bytes=self._baseline,
            peak_memory_bytes=self.peak,
            gpu_memory_bytes=int(self._torch.max_memory_allocated()) if self._torch is not None else 0,
            started=self._started,
            finished=self._started + wall,
            shared=self.shared,
            exact_peak=self._exact,
        )


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
        self.peak = int(self._process.memory_info().rss)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="measure-memory", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            self._look()

    def _look(self) -> None:
        self.peak = max(self.peak, int(self._process.memory_info().rss))

    def stop(self) -> int:
        """The peak, after a last look."""
        self._stop.set()
        self._thread.join()
        self._look()
        return self.peak
