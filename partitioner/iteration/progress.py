"""One line while rounds go by: which round, its loss, seconds of a round."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from partitioner.iteration.session import Round

LIVE_SECONDS = 0.1  # between redraws on a terminal
PLAIN_SECONDS = 10.0  # between lines in a log


class RoundLine:
    """Redrawn in place on a terminal, a line every ten seconds elsewhere; nothing where it is not enabled."""

    def __init__(self, enabled: bool, rounds: int, stream: Any = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._enabled, self._rounds = enabled, rounds
        self._live = bool(self._stream.isatty())
        self._next = 0.0 if self._live else time.monotonic() + PLAIN_SECONDS
        self._last: Sequence[Round] = ()
        self._shown = 0

    def __enter__(self) -> RoundLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._enabled and self._last and self._shown != len(self._last):
            self._write()
        if self._enabled and self._live and self._last:
            self._stream.write("\n")

    def show(self, rounds: Sequence[Round]) -> None:
        """The newest round, if it is time for a line."""
        self._last = rounds
        if self._enabled and time.monotonic() >= self._next:
            self._write()
            self._next = time.monotonic() + (LIVE_SECONDS if self._live else PLAIN_SECONDS)

    def _write(self) -> None:
        self._shown = len(self._last)
        text = line_of(self._last, self._rounds)
        self._stream.write(f"\r{text}\x1b[K" if self._live else f"{text}\n")
        self._stream.flush()


def line_of(rounds: Sequence[Round], at_most: int) -> str:
    """``round 12 of 100  loss 0.325  0.021 s a round``; the seconds are the median of the last ten."""
    newest = rounds[-1]
    recent = sorted(r.seconds for r in rounds[-10:])
    loss = "" if newest.loss is None else f"  loss {newest.loss:.6g}"
    return f"round {newest.number + 1} of {at_most}{loss}  {recent[len(recent) // 2]:.3g} s a round"
