"""Reading overlaps computing: the next item is made in a thread while the present one is worked on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Full, Queue
from typing import Generic, TypeVar

Item = TypeVar("Item")
LOOK_SECONDS = 0.1
"""Between looks of a waiting reader whether anyone still wants what it read."""


class _End(Generic[Item]):
    """The items are over, by an error or not."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items in the same order, one made ahead; an error comes where the items would have raised it.

    At most one item waits and one is being made. The first is made here, so that a single item starts no thread. When the
    caller stops early the thread ends after the item that it is making, and is waited for.
    """
    try:
        first = next(items)
    except StopIteration:
        return
    made: Queue[Item | _End[Item]] = Queue(maxsize=1)
    unwanted = threading.Event()
    reader = threading.Thread(target=_make, args=(items, made, unwanted), name="read-ahead", daemon=True)
    reader.start()
    try:
        yield first
        while not isinstance(item := made.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        unwanted.set()
        reader.join()


def _make(items: Iterator[Item], made: Queue[Item | _End[Item]], unwanted: threading.Event) -> None:
    end: _End[Item] = _End(None)
    try:
        for item in items:
            if not _put(made, item, unwanted):
                return
    except BaseException as error:  # raised again where the item was to come
        end = _End(error)
    _put(made, end, unwanted)


def _put(made: Queue[Item | _End[Item]], item: Item | _End[Item], unwanted: threading.Event) -> bool:
    """False where nobody wants it any more."""
    while not unwanted.is_set():
        try:
            made.put(item, timeout=LOOK_SECONDS)
            return True
        except Full:
            continue
    return False
