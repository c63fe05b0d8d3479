"""What the ETA says of a run: asked when 10 %, 50 % and 90 % of the predicted work are done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from partitioner import running
from partitioner.coordinator.eta import Eta, eta
from partitioner.coordinator.state import State
from partitioner.report.progress import Progress

SHARES = (0.1, 0.5, 0.9)


class Asker:
    """An observer of the driver's loop that asks and notes; ``work``: predicted seconds of all sub-tasks."""

    def __init__(self, work: float, clock: Callable[[], float]) -> None:
        self.work, self.clock = work, clock
        self.ended = 0.0
        self._asked: list[tuple[float, Eta]] = []

    def observe(self, state: State, events: Sequence[Any], actions: Sequence[Any]) -> None:
        """Called after every step."""
        if not state.remaining:
            self.ended = self.clock()
        elif len(self._asked) < len(SHARES) and state.predicted_done >= SHARES[len(self._asked)] * self.work:
            said = eta(state, self.clock())
            assert said is not None
            self._asked.append((self.clock(), said))

    @property
    def answers(self) -> list[tuple[float, Eta]]:
        """At each question, seconds that were left in truth, and what was said."""
        return [(self.ended - at, said) for at, said in self._asked]


class _Line(Progress):
    """The progress line of a real run, with an asker behind it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.asker = Asker(float(self.plan.tasks.seconds.sum()), time.monotonic)

    def observe(self, state: State, events: Sequence[Any], actions: Sequence[Any]) -> None:
        super().observe(state, events, actions)
        self.asker.observe(state, events, actions)


@contextmanager
def asking() -> Iterator[list[Asker]]:
    """Runs in the block are asked; one asker for each."""
    askers: list[Asker] = []

    def made(*args: Any, **options: Any) -> _Line:
        line = _Line(*args, **options)
        askers.append(line.asker)
        return line

    before, running.Progress = running.Progress, made  # type: ignore[assignment, misc]
    try:
        yield askers
    finally:
        running.Progress = before  # type: ignore[misc]


def held(answers: Sequence[Sequence[tuple[float, Eta]]]) -> None:
    """Print how often the interval held what was left in truth, and how wide it was."""
    for k, share in enumerate(SHARES):
        pairs = [answer[k] for answer in answers if len(answer) > k]
        inside = np.mean([said.low <= truth <= said.high for truth, said in pairs])
        width = np.median([(said.high - said.low) / truth for truth, said in pairs])
        print(
            f"ETA asked at {share:.0%}: holds {inside:6.1%} of {len(pairs)}, width {width:.0%} of what is left",
            flush=True,
        )
