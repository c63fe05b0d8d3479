"""The rows of the sub-task that a slot is expected to run next, read while the program works on the present one.

A thread reads the first batch once the present attempt has read its last. An attempt at that sub-task in this process takes
it; what nobody takes is dropped when others come, or with the run. What is read ahead is counted and timed by the attempt
that takes it: it waits less for it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from itertools import chain

import pyarrow as pa

from partitioner.attempt.job import Loaded
from partitioner.model import Attempt, Fragment, Upcoming

Item = tuple[int, pa.RecordBatch | None]
"""A batch with the position of its first row in the sub-task; the end without one."""

Key = tuple[str, int]
"""Run directory and index of the sub-task."""


class Ahead:
    """Reads the first of some items in a thread of its own, or all of them."""

    def __init__(self, fragments: list[Fragment], items: Iterator[Item], everything: bool) -> None:
        self.fragments = fragments
        self._items, self._everything = items, everything
        self._read: list[Item] = []
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="read-next", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for item in self._items:
                self._read.append(item)
                if not self._everything:
                    return
        except Exception:  # the attempt reads by itself, and says what is wrong
            self._failed = True

    def items(self, again: Iterator[Item]) -> Iterator[Item]:
        """All items, the first of them as soon as it is read; those of ``again`` where that went wrong."""
        self._thread.join()
        yield from again if self._failed else chain(self._read, self._items)


_kept: OrderedDict[Key, Ahead] = OrderedDict()
_lock = threading.Lock()


def begin(loaded: Loaded, told: Upcoming, fragments: list[Fragment], items: Iterator[Item], everything: bool) -> None:
    """Read ahead for a sub-task, unless that goes on already; of more than ``told.kept`` of a run the oldest is dropped."""
    key = (loaded.run.url, told.task)
    with _lock:
        if key in _kept:
            return
        _kept[key] = Ahead(fragments, items, everything)
        mine = [k for k in _kept if k[0] == key[0]]
        for old in mine[: len(mine) - told.kept]:
            del _kept[old]


def taken(attempt: Attempt, fragments: list[Fragment], items: Iterator[Item]) -> Iterator[Item]:
    """The ``items`` of an attempt, from what was read ahead where it was for the same rows."""
    with _lock:
        found = _kept.pop((attempt.run_url, attempt.whole), None)
    return items if found is None or found.fragments != fragments else found.items(items)


def forget(run_url: str) -> None:
    """Drop what was read ahead for a run."""
    with _lock:
        for key in [k for k in _kept if k[0] == run_url]:
            del _kept[key]
