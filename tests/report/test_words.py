from __future__ import annotations

import pytest

from partitioner.report import words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 s"),
        (0.00042, "0.42 ms"),
        (0.42, "0.42 s"),
        (12.34, "12.3 s"),
        (99.96, "1 min 40 s"),
        (245.0, "4 min 05 s"),
        (11_520.0, "3 h 12 min"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_seconds(value, text):
    assert words.seconds(value) == text


@pytest.mark.parametrize(("value", "text"), [(999.0, "999 B"), (174e6, "174 MB"), (2.5e12, "2.5 TB"), (9e15, "9 PB")])
def test_size(value, text):
    assert words.size(value) == text


@pytest.mark.parametrize(("value", "text"), [(950, "950"), (999.7, "1k"), (12_345, "12.3k"), (4.56e6, "4.56M")])
def test_short(value, text):
    assert words.short(value) == text


def test_change_needs_both_sides():
    assert words.change(11.0, 10.0) == "+10.0 %"
    assert (words.change(99.9, 10.0), words.change(12_345.0, 10.0)) == ("+899.0 %", "1,234 times")
    assert words.change(11.0, 0.0) == words.change(None, 1.0) == "–"
