"""What the ETA says of real runs: asked when 10 %, 50 % and 90 % of the predicted work are done."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from partitioner import running
from partitioner.coordinator.eta import Eta, eta
from partitioner.coordinator.state import State
from partitioner.report.progress import Progress

SHARES = (0.1, 0.5, 0.9)


class _Asker(Progress):
    """The progress line, which shows nothing here, asks and notes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.asked: list[tuple[float, Eta]] = []
        self.ended = 0.0

    def observe(self, state: State, events: Sequence[Any], actions: Sequence[Any]) -> None:
        super().observe(state, events, actions)
        now, work = time.monotonic(), float(self.plan.tasks.seconds.sum())
        if state.finished:
            self.ended = now
        elif len(self.asked) < len(SHARES) and state.predicted_done >= SHARES[len(self.asked)] * work:
            said = eta(state, now)
            self.asked += [] if said is None else [(now, said)]


@contextmanager
def asking() -> Iterator[list[_Asker]]:
    """Runs in the block are asked; one entry for each."""
    askers: list[_Asker] = []

    def made(*args: Any, **options: Any) -> _Asker:
        askers.append(_Asker(*args, **options))
        return askers[-1]

    before, running.Progress = running.Progress, made  # type: ignore[assignment, misc]
    try:
        yield askers
    finally:
        running.Progress = before  # type: ignore[misc]


def told(askers: Sequence[_Asker]) -> None:
    """Print how often the interval held what was left in truth, and how wide it was."""
    for k, share in enumerate(SHARES):
        pairs = [(a.ended - a.asked[k][0], a.asked[k][1]) for a in askers if len(a.asked) > k]
        inside = sum(said.low <= left <= said.high for left, said in pairs)
        width = np.median([(said.high - said.low) / left for left, said in pairs]) if pairs else 0.0
        print(
            f"ETA asked at {share:.0%}: held {inside} of {len(pairs)}, width {width:.0%} of what was left", flush=True
        )
