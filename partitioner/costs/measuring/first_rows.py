"""What the first rows of a job took, where they were tried before the run: enough to tell a dear job from a cheap one."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the program: ``seconds`` wall, with the conversion of its ``rows`` and of what it returned."""

    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class FirstRows:
    """``calls`` that ended, in turn and on one worker: the first pays what a process pays once, such as a model that is
    loaded late. ``begun`` rows were given to the first, and it was waited ``waited`` seconds for all of them;
    ``row_bytes``: bytes of a row in memory; ``together``: rows that wait at once, above 1 of an async program."""

    calls: tuple[Call, ...] = ()
    begun: int = 0
    waited: float = 0.0
    row_bytes: float = 0.0
    together: int = 1

    @property
    def seconds_per_row(self) -> float | None:
        """What one more row costs; None where no call ended.

        Of two calls the second is warm, and tells, unless it has fewer rows and takes as long; of three the last two
        differ in rows alone, so that what a call costs by itself is not taken for the rows. Of rows that wait at once each
        costs its share of what they wait, unless more of them wait longer.
        """
        if not self.calls:
            return None
        if self.together > 1:
            long = self._long
            return max(self._line, long.seconds / ceil(long.rows / self.together) / self.together)
        if len(self.calls) > 1 and (len(self.calls) > 2 or self.calls[1].rows < self.calls[0].rows):
            return min(self._line, self.calls[1].seconds / self.calls[1].rows)
        return self.calls[-1].seconds / self.calls[-1].rows

    @property
    def seconds_per_call(self) -> float:
        """What a sub-task costs beside its rows: its last rows wait no shorter for being few. 0 but for async programs."""
        if self.together <= 1 or not self.calls:
            return 0.0
        long = self._long
        return max(0.0, long.seconds - self._line * long.rows) / 4

    @property
    def at_least(self) -> float:
        """Seconds of one more row; where no call ended, what was waited for the first one."""
        each = self.seconds_per_row
        return each if each is not None else self.waited / max(self.begun, self.together) if self.begun else 0.0

    @property
    def told(self) -> str:
        """In words, such as "2 rows took 0.41 s, then 4 rows 0.8 s"."""
        said = ", then ".join(
            f"{c.rows} row{'s' * (c.rows > 1)}{'' if i else ' took'} {c.seconds:.3g} s"
            for i, c in enumerate(self.calls)
        )
        return said + (f", up to {self.together} at once" if self.together > 1 else "")

    @property
    def _long(self) -> Call:
        """The warm call of most rows; the first where it is alone."""
        return max(self.calls[1:] or self.calls, key=lambda call: call.rows)

    @property
    def _line(self) -> float:
        """Seconds of one more row by the last two calls, which differ in rows; 0 of one call, or where more cost none."""
        if len(self.calls) < 2:
            return 0.0
        short, long = sorted(self.calls[-2:], key=lambda call: call.rows)
        return max(0.0, (long.seconds - short.seconds) / max(long.rows - short.rows, 1))


NOTHING = FirstRows()
"""No row was timed."""
