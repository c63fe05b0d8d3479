"""The live progress line: sub-tasks, rows, failures, and an ETA from predicted cost."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from partitioner.coordinator.eta import Eta, eta
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
        if now >= self._forecast_at[0] + FORECAST_SECONDS:
            self._forecast_at = (now, eta(state, now))
        at, said = self._forecast_at
        if said is None:
            return "ETA after the first sub-task"
        left, low, high = (_clock_text(max(0.0, end - (now - at))) for end in (said.seconds, said.low, said.high))
        return f"{left} left ({', '.join(part for part in (f'{low} to {high}', said.reason) if part)})"

    def _rows_text(self, state: State) -> str:
        if self._rows is None:
            return f"{words.short(self._rows_seen)} rows" if self._rows_seen else ""
        done = np.frombuffer(state.status, np.uint8) == DONE
        return f"{words.short(self._rows[done].sum())}/{words.short(self._rows.sum())} rows"


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
