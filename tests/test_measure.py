import mmap
import sys
from types import SimpleNamespace

import pytest

from partitioner import measure
from partitioner.measure import measured

MB = 1 << 20


def held_for_a_moment():
    """64 MB of the system's own: an allocator may give those that it has, which the process holds already."""
    with mmap.mmap(-1, 64 * MB) as block:
        for at in range(0, len(block), mmap.PAGESIZE):
            block[at] = 1


def test_the_peak_holds_what_was_freed_before_the_end():
    with measured() as outer:
        held_for_a_moment()
    assert outer.peak_memory_bytes - outer.baseline_memory_bytes >= 60 * MB


def test_the_peak_of_an_earlier_attempt_is_forgotten():
    with measured() as first:
        held_for_a_moment()
    with measured() as second:
        pass
    assert second.peak_memory_bytes < first.peak_memory_bytes - 32 * MB


def test_a_nested_attempt_does_not_lose_the_peak_of_the_outer_one():
    with measured() as outer:
        held_for_a_moment()
        with measured() as inner:
            pass
    assert outer.peak_memory_bytes - outer.baseline_memory_bytes >= 60 * MB
    assert inner.peak_memory_bytes < outer.peak_memory_bytes
    assert outer.shared
    assert inner.shared


def test_an_attempt_alone_is_not_shared():
    with measured() as alone:
        pass
    assert not alone.shared


def test_an_exception_passes_and_is_measured():
    with pytest.raises(ValueError, match="mine"), measured() as attempt:
        raise ValueError("mine")
    assert attempt.wall_seconds > 0


def test_sampling_where_the_kernel_keeps_no_peak(monkeypatch):
    sizes = iter([100, 700, 300])
    monkeypatch.setattr(measure, "_reset_peak", lambda: False)
    monkeypatch.setattr(measure._Sampler, "_run", lambda self: self._look())
    monkeypatch.setattr(measure._Sampler, "_rss", lambda self: next(sizes))
    with measured() as attempt:
        pass
    assert not attempt.exact_peak
    assert (attempt.baseline_memory_bytes, attempt.peak_memory_bytes) == (100, 700)


class FakeCuda:
    """What ``measured`` asks of ``torch.cuda``."""

    def __init__(self, used: bool) -> None:
        self.used, self.resets = used, 0

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return self.used

    def reset_peak_memory_stats(self) -> None:
        self.resets += 1

    def max_memory_allocated(self) -> int:
        return 12345


def test_gpu_memory_is_torchs_peak_since_the_attempt_began(monkeypatch):
    cuda = FakeCuda(used=True)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    with measured() as attempt:
        assert cuda.resets == 1
    assert attempt.gpu_memory_bytes == 12345


def test_a_gpu_that_the_program_does_not_use_is_left_alone(monkeypatch):
    cuda = FakeCuda(used=False)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    with measured() as attempt:
        pass
    assert (attempt.gpu_memory_bytes, cuda.resets) == (0, 0)
