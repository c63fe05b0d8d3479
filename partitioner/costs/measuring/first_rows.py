"""What the first rows of a job took, where they were tried before the run: enough to tell a dear job from a cheap one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the program: ``seconds`` wall, with the conversion of its ``rows`` and of what it returned."""

    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class FirstRows:
    """``calls`` that ended, in turn and on one worker: the first pays what a process pays once, such as a model that is
    loaded late. ``begun`` rows were given to the first, and it was waited ``waited`` seconds for all of them;
    ``row_bytes``: bytes of a row in memory."""

    calls: tuple[Call, ...] = ()
    begun: int = 0
    waited: float = 0.0
    row_bytes: float = 0.0

    @property
    def seconds_per_row(self) -> float | None:
        """What one more row costs; None where no call ended.

        Of two calls the second is warm, and tells; of three the last two differ in rows alone, so that what a call costs
        by itself is not taken for the rows.
        """
        if not self.calls:
            return None
        if len(self.calls) < 3:
            return self.calls[-1].seconds / self.calls[-1].rows
        long, short = self.calls[1], self.calls[2]
        line = (long.seconds - short.seconds) / max(long.rows - short.rows, 1)
        return min(max(line, 0.0), long.seconds / long.rows)

    @property
    def at_least(self) -> float:
        """The same; where no call ended, what was waited for the first one."""
        each = self.seconds_per_row
        return each if each is not None else self.waited / self.begun if self.begun else 0.0

    @property
    def told(self) -> str:
        """In words, such as "2 rows took 0.41 s, then 4 rows 0.8 s"."""
        return ", then ".join(
            f"{c.rows} rows{'' if i else ' took'} {c.seconds:.3g} s" for i, c in enumerate(self.calls)
        )


NOTHING = FirstRows()
"""No row was timed."""
