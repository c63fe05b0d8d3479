"""What the driver and a seat write to each other: sealed files of the run directory, which both see anyway.

    seats/<token>/<seat>-<n>           letter n: the attempts of a round; empty: nothing more comes
    seats/<token>/answers/<seat>-<n>-<i>   the event that attempt i of letter n ended with

Letters are made by conditional create. A seat that waited long enough makes the next letter itself, and goes: of a driver
that writes and a seat that leaves exactly one wins.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Sequence
from typing import Any

from partitioner.model import Attempt, Event
from partitioner.security.sealing import seal, unseal
from partitioner.storage import Directory

IDLE_SECONDS = 1.0
"""A seat without a letter for so long gives its core back: an update that uses the same session must not wait for ever."""

SHARE = 0.02
"""Of what it has waited, a reader waits again before it looks again, within ``LEAST`` and ``MOST`` seconds."""

LEAST, MOST = 0.001, 0.05

SEATS = "seats"
"""The folder of a run directory that holds them."""


def pause(waited: float) -> float:
    """Seconds until the next look, after ``waited`` seconds: a small share of the whole wait, and few looks."""
    return min(max(waited * SHARE, LEAST), MOST)


class Letters:
    """The letters and answers of the seats of one engine, told apart from those of others by ``token``."""

    def __init__(self, run_url: str, key: bytes, token: str) -> None:
        self._files = Directory(f"{run_url}/{SEATS}/{token}")
        self._key = key

    def post(self, seat: int, number: int, attempts: Sequence[Attempt]) -> bool:
        """Write letter ``number`` to a seat; False where the seat has left."""
        name = _letter(seat, number)
        return self._files.put_new(name, self._sealed(name, list(attempts)))

    def dismiss(self, seat: int, number: int) -> None:
        """Tell a seat that no letter comes any more."""
        if self._there():
            self._files.put_new(_letter(seat, number), b"")

    def taken(self, seat: int, number: int) -> bool:
        """Whether the seat has read that letter: it removes what it reads."""
        return not self._files.exists(_letter(seat, number))

    def clear(self, seat: int, number: int) -> None:
        """Remove a letter that nobody will read."""
        self._files.delete(_letter(seat, number))

    def next(self, seat: int, number: int, sleep: Callable[[float], None] = time.sleep) -> list[Attempt] | None:
        """In the seat: wait for letter ``number``; empty where nothing more comes, None where none came in time."""
        name, began = _letter(seat, number), time.monotonic()
        while True:
            try:
                sealed = self._files.get(name)
                self._files.delete(name)
                attempts: list[Attempt] = self._opened(name, sealed) if sealed else []
                return attempts
            except FileNotFoundError:
                waited = time.monotonic() - began
            if waited > IDLE_SECONDS:
                if not self._there() or self._files.put_new(name, b""):
                    return None
                continue  # the driver was faster
            sleep(pause(waited))

    def answer(self, seat: int, number: int, i: int, event: Event) -> None:
        """In the seat: how attempt ``i`` of a letter ended."""
        name = _answer(seat, number, i)
        self._files.put(name, self._sealed(name, event))

    def arrived(self) -> Callable[[int, int, int], bool]:
        """Which answers are there now: one listing of an object store, one look at each on a disk."""
        if self._files.local_path is not None:
            return lambda seat, number, i: self._files.exists(_answer(seat, number, i))
        names = set(self._files.names("answers"))
        return lambda seat, number, i: _answer(seat, number, i) in names

    def take(self, seat: int, number: int, i: int) -> Event:
        """Read an answer that has arrived, and remove it."""
        name = _answer(seat, number, i)
        event: Event = self._opened(name, self._files.get(name))
        self._files.delete(name)
        return event

    def _there(self) -> bool:
        """False where the run was removed: nothing is written that would bring it back."""
        return self._files.local_path is None or self._files.local_path.exists()

    def _sealed(self, name: str, value: Any) -> bytes:
        return seal(pickle.dumps((name, value), protocol=5), self._key)

    def _opened(self, name: str, sealed: bytes) -> Any:
        """Raises Tampered where it was not sealed with the key of the run."""
        _, value = pickle.loads(unseal(sealed, self._key, f"{name} in {self._files.url}"))
        return value


def _letter(seat: int, number: int) -> str:
    return f"{seat:05d}-{number:06d}"


def _answer(seat: int, number: int, i: int) -> str:
    return f"answers/{seat:05d}-{number:06d}-{i:05d}"
