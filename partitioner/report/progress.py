"""The live progress line: sub-tasks, rows, failures, and an ETA from predicted cost."""

from __future__ import annotations

import heapq
import math
import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from partitioner.coordinator.eta import Eta
from partitioner.coordinator.eta import eta as interval
from partitioner.coordinator.state import Action, State
from partitioner.coordinator.transitions import DONE
from partitioner.model import Event, EventKind, Plan
from partitioner.report import words

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

LIVE_SECONDS = 0.25  # between redraws on a terminal
FORECAST_SECONDS = 1.0  # between forecasts of the interval, which take about a hundredth of it
PLAIN_SECONDS = 10.0  # between lines in a log
TAIL = 500  # sub-tasks left from which the ETA looks at each


class Progress:
    """An observer of the driver loop: one live line on a terminal, one plain line every ten seconds elsewhere.

    ``enabled=False`` shows nothing. Lines go to ``stream`` (standard error by default), so that standard output stays
    the program's own. Between redraws a step costs only the counting of its events.
    """

    def __init__(
        self,
        plan: Plan,
        enabled: bool = True,
        stream: Any = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan = plan
        self.enabled = enabled
        self._rows_seen = 0
        self._forecast_at: tuple[float, Eta | None] = (-math.inf, None)
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._terminal = bool(getattr(self._stream, "isatty", lambda: False)())
        self._every = LIVE_SECONDS if self._terminal else PLAIN_SECONDS
        self._began = clock()
        self._next = self._began + (0.0 if self._terminal else self._every)
        self._rows = _rows_per_task(plan) if enabled else None
        self._state: State | None = None
        self._bar: tuple[Bar, TaskID] | None = None

    def __enter__(self) -> Self:
        if self.enabled and self._terminal:
            self._bar = _live(self._stream, len(self.plan))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.enabled:
            return
        if self._state is not None:
            self._show(self._state, final=True)
        if self._bar is not None:
            self._bar[0].stop()

    def observe(self, state: State, events: Sequence[Event], actions: Sequence[Action]) -> None:
        """Called after every step."""
        if not self.enabled:
            return
        self._state = state
        for event in events:
            if event.kind is EventKind.FINISHED and event.record is not None:
                self._rows_seen += event.record.rows_in
        now = self._clock()
        if now >= self._next:
            self._next = now + self._every
            self._show(state)

    def _show(self, state: State, final: bool = False) -> None:
        done = len(state.status) - state.remaining
        text = self.line(state, final)
        if self._bar is None:
            print(text, file=self._stream, flush=True)
            return
        bar, task = self._bar
        bar.update(task, completed=done, description=text)
        bar.refresh()

    def line(self, state: State, final: bool = False) -> str:
        """The line without its bar, for example ``12/40 sub-tasks, 4 running, 1.2k/4k rows, 1 failed, 0:31 left``."""
        total = len(state.status)
        parts = [f"{total - state.remaining:,}/{total:,} sub-tasks"]
        running = sum(live.started is not None for live in state.attempts.values())
        parts += [f"{running} running"] if not final else []
        parts.append(self._rows_text(state))
        failed, lost = sum(state.failures.values()), sum(state.deaths.values())
        parts += [f"{failed} failed"] if failed else []
        parts += [f"{lost} lost"] if lost else []
        elapsed = self._clock() - self._began
        if final:
            parts.append(f"{'done' if state.finished else 'stopped'} after {words.seconds(elapsed)}")
        else:
            parts.append(self._left_text(state))
        return ", ".join(part for part in parts if part)

    def _left_text(self, state: State) -> str:
        """For example ``0:31 left (0:27 to 0:40, t000412 on worker-3 decides)``."""
        now = self._clock()
        left = eta(state, now)
        if now >= self._forecast_at[0]:
            self._forecast_at = (now + FORECAST_SECONDS, interval(state, now))
        said = self._forecast_at[1]
        if left is None or said is None:
            return "ETA after the first sub-task"
        ends = f"{_clock_text(min(left, said.low))} to {_clock_text(max(left, said.high))}"
        return f"{_clock_text(left)} left ({', '.join(part for part in (ends, said.reason) if part)})"

    def _rows_text(self, state: State) -> str:
        if self._rows is None:
            return f"{words.short(self._rows_seen)} rows" if self._rows_seen else ""
        done = np.frombuffer(state.status, np.uint8) == DONE
        return f"{words.short(self._rows[done].sum())}/{words.short(self._rows.sum())} rows"


def eta(state: State, now: float) -> float | None:
    """Seconds until the end: what is left, at the observed scale, over all slots.

    The last ``TAIL`` sub-tasks are scheduled one by one, longest first, for near the end whole sub-tasks decide and not
    their sum. None while no completion has shown what the costs mean. ``now`` is on the clock of the driver.
    """
    if state.remaining == 0:
        return 0.0
    observed = state.predicted_done > 0 and state.actual_done > 0
    if not state.workers or not (observed or state.scale_known):
        return None
    left = _left(state) * state.scale
    # Observed seconds hold the speed of the workers already; predicted ones are at reference speed.
    speeds = {name: 1.0 if observed else w.worker.speed for name, w in state.workers.items()}
    cpus = float(state.tasks.cpus.mean()) or 1.0
    free = {name: [0.0] * int(max(1.0, w.worker.cpus // cpus)) for name, w in state.workers.items()}
    slots = [(name, k) for name, row in free.items() for k in range(len(row))]
    for live in state.attempts.values():
        if live.started is not None and live.attempt.worker_id in free:
            i, name = live.attempt.task, live.attempt.worker_id
            rest, left[i] = max(0.0, left[i] - max(0.0, now - live.started)), 0.0
            row = free[name]
            row[row.index(min(row))] += rest / speeds[name]
    ends = [(free[name][k], speeds[name]) for name, k in slots]
    if state.remaining > TAIL:
        work = float(left.sum()) + sum(end * speed for end, speed in ends)
        return max(work / sum(speed for _, speed in ends), float(left.max()) / max(speed for _, speed in ends))
    return _longest_first(ends, left[left > 0])


def _longest_first(ends: list[tuple[float, float]], seconds: Any) -> float:
    """When the last slot is free after each sub-task went to the slot that was free first."""
    heapq.heapify(ends)
    for task in -np.sort(-seconds):
        end, speed = ends[0]
        heapq.heapreplace(ends, (end + float(task) / speed, speed))
    return max(end for end, _ in ends)


def _left(state: State) -> Any:
    """float64[n] predicted seconds of what is not done, zero for what is."""
    done = np.frombuffer(state.status, np.uint8) == DONE
    return np.where(done, 0.0, state.tasks.seconds)


def _rows_per_task(plan: Plan) -> Any:
    """int64[n] rows of every sub-task, or None where only reading tells."""
    tasks = plan.tasks
    if tasks.fragments is None or len(tasks) == 0 or (tasks.fragments.rows < 0).any():
        return None
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(tasks.fragments.rows[tasks.fragment_index])])
    return ends[tasks.offsets[1:]] - ends[tasks.offsets[:-1]]


def _clock_text(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def _live(stream: Any, total: int) -> tuple[Bar, TaskID]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    line = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    columns = (BarColumn(bar_width=24), TextColumn("{task.percentage:>3.0f}%"), line)
    bar = Bar(*columns, console=Console(file=stream), auto_refresh=False)
    bar.start()
    return bar, bar.add_task("starting", total=total)
