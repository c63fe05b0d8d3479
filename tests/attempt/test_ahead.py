"""One item is made ahead: same items, same order, errors in their place, nothing left running."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.attempt.ahead import ahead


def readers() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "read-ahead"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(), max_size=20))
def test_the_same_items_in_the_same_order(items: list[int]) -> None:
    assert list(ahead(iter(items))) == items


def test_the_next_item_is_made_while_the_present_one_is_worked_on() -> None:
    second_made = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        second_made.set()
        yield 2

    found = ahead(items())
    assert next(found) == 1
    assert second_made.wait(10.0)
    assert list(found) == [2]


def test_no_more_than_one_waits_while_another_is_made() -> None:
    made = []

    def items() -> Iterator[int]:
        for i in range(10):
            made.append(i)
            yield i

    found = ahead(items())
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert len(made) <= 3


def test_an_error_comes_where_it_was_raised() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("store")

    found = ahead(items())
    assert [next(found), next(found)] == [1, 2]
    with pytest.raises(OSError, match="store"):
        next(found)
    assert readers() == []


def test_nothing_is_left_running_when_the_caller_stops() -> None:
    found = ahead(iter(range(100)))
    assert next(found) == 0
    assert all(reader.daemon for reader in readers())
    found.close()  # type: ignore[attr-defined]
    assert readers() == []


def test_no_items_start_no_thread() -> None:
    assert list(ahead(iter([]))) == []
    assert readers() == []
