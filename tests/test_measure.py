import numpy as np
import pytest

from partitioner import measure
from partitioner.measure import Measure

MB = 1 << 20


def test_the_peak_holds_what_was_freed_before_the_end():
    with Measure() as outer:
        block = np.ones(64 * MB, np.uint8)
        del block
    result = outer.result
    assert result.peak_memory_bytes - result.baseline_memory_bytes >= 60 * MB


def test_the_peak_of_an_earlier_attempt_is_forgotten():
    with Measure() as first:
        block = np.ones(64 * MB, np.uint8)
        del block
    with Measure() as second:
        pass
    assert second.result.peak_memory_bytes < first.result.peak_memory_bytes - 32 * MB


def test_a_nested_attempt_does_not_lose_the_peak_of_the_outer_one():
    with Measure() as outer:
        block = np.ones(64 * MB, np.uint8)
        del block
        with Measure() as inner:
            pass
    assert outer.result.peak_memory_bytes - outer.result.baseline_memory_bytes >= 60 * MB
    assert inner.result.peak_memory_bytes < outer.result.peak_memory_bytes
    assert outer.result.shared
    assert inner.result.shared


def test_an_attempt_alone_is_not_shared():
    with Measure() as alone:
        pass
    assert not alone.result.shared


def test_an_exception_passes_and_is_measured():
    attempt = Measure()
    with pytest.raises(ValueError, match="mine"), attempt:
        raise ValueError("mine")
    assert attempt.result.seconds >= 0


def test_the_result_is_not_known_inside():
    with Measure() as attempt, pytest.raises(RuntimeError, match="only after"):
        _ = attempt.result


def test_sampling_where_the_kernel_keeps_no_peak(monkeypatch):
    monkeypatch.setattr(measure, "_reset_peak", lambda: False)
    with Measure() as attempt:
        block = np.ones(64 * MB, np.uint8)
        attempt._sampler._look()
        del block
    result = attempt.result
    assert not result.exact_peak
    assert result.peak_memory_bytes - result.baseline_memory_bytes >= 60 * MB
