from __future__ import annotations

import io
import re

import numpy as np
import pytest

from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Policy, Submit, initial
from partitioner.model import Event, EventKind, Workers
from partitioner.placement.api import place
from partitioner.report.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Run:
    """A coordinator driven by hand: every attempt that is submitted starts at once and ends when told to."""

    def __init__(self, plan, hands, **how) -> None:
        self.hands = hands
        self.now = 0.0
        self.state = initial(plan, "run", Policy(ahead_seconds=0.0), **how)
        self.live: list = []
        self.events: list[Event] = []

    def step(self, *events: Event) -> list[Event]:
        news = list(events)
        while True:
            _, actions = step(self.state, news, self.now)
            attempts = [action.attempt for action in actions if isinstance(action, Submit)]
            if not attempts:
                return list(events)
            self.live += attempts
            news = [Event(EventKind.STARTED, attempt.attempt_id, attempt.worker_id) for attempt in attempts]

    def finish(self, seconds: float) -> list[Event]:
        """The attempt that started first ends well after so many measured seconds."""
        attempt = self.live.pop(0)
        made = self.hands.record(attempt.task, attempt.worker_id, 0.0, seconds, attempt.number)
        return self.step(Event(EventKind.FINISHED, attempt.attempt_id, attempt.worker_id, made))

    def end(self, kind: EventKind) -> list[Event]:
        attempt = self.live.pop(0)
        return self.step(Event(kind, attempt.attempt_id, attempt.worker_id))


def test_the_line_counts_sub_tasks_rows_and_running_attempts(hands):
    plan = hands.plan_of([10.0] * 4)
    run = Run(plan, hands)
    run.step()
    run.finish(10.0)
    progress = Progress(plan, stream=io.StringIO(), clock=lambda: 0.0)
    line = progress.line(run.state)
    assert line.startswith("1/4 sub-tasks, 2 running, 10/40 rows, 0:2")
    assert re.fullmatch(r".* left \(\d:\d\d to \d:\d\d, t\d{6} on w\d decides\)", line)


def test_failed_and_lost_attempts_are_told(hands):
    plan = hands.plan_of([10.0] * 4)
    run = Run(plan, hands)
    run.step()
    run.end(EventKind.FAILED)
    run.end(EventKind.LOST)
    assert "1 failed, 1 lost" in Progress(plan, stream=io.StringIO()).line(run.state)


def left_of(line: str) -> tuple[int, int, int]:
    """Seconds left as the line says, and the ends of their interval."""
    found = re.search(r"(\d+):(\d\d) left \((\d+):(\d\d) to (\d+):(\d\d)", line)
    assert found is not None, line
    numbers = [int(text) for text in found.groups()]
    return numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3], numbers[4] * 60 + numbers[5]


def test_the_time_left_follows_observed_durations(hands):
    run = Run(hands.plan_of([10.0] * 60), hands)
    progress = Progress(hands.plan_of([10.0] * 60), clock=lambda: run.now)
    run.step()
    before, *_ = left_of(progress.line(run.state))
    for _ in range(10):
        run.finish(20.0)
    run.now = 2.0
    after, *_ = left_of(progress.line(run.state))
    assert before == pytest.approx(300, rel=0.1)
    assert after == pytest.approx(500, rel=0.1)


def test_no_eta_before_a_completion_has_shown_what_rows_cost(hands):
    plan = hands.plan_of([1000.0] * 4, unit="rows")
    run = Run(plan, hands, seconds_known=False)
    run.step()
    assert Progress(plan, stream=io.StringIO()).line(run.state).endswith("ETA after the first sub-task")
    run.finish(3.0)
    left, low, high = left_of(Progress(plan, stream=io.StringIO(), clock=lambda: 0.0).line(run.state))
    assert low < left < high
    assert left == pytest.approx(6, abs=2)  # three left of 3 s on two workers


def test_the_time_left_lies_in_its_interval_where_memory_keeps_sub_tasks_apart(hands):
    plan = hands.plan_of([30.0] * 8, workers=4)
    apart = place(plan.tasks.with_columns(memory_bytes=np.full(8, 1e9)), Workers.identical(1, cpus=4, memory_bytes=1e9))
    run = Run(apart, hands)
    run.step()
    left, low, high = left_of(Progress(apart, clock=lambda: 0.0).line(run.state))
    assert low < left < high
    assert left == pytest.approx(240, rel=0.2)


def test_between_two_forecasts_the_seconds_that_pass_are_taken_off(hands):
    plan = hands.plan_of([100.0] * 4)
    run = Run(plan, hands)
    run.step()
    progress = Progress(plan, clock=lambda: run.now)
    before = left_of(progress.line(run.state))
    run.now = 0.9
    after = left_of(progress.line(run.state))
    assert [b - a for b, a in zip(before, after, strict=True)] == pytest.approx([1, 1, 1], abs=1)
    assert after != before


def test_a_resumed_run_counts_what_was_committed_before(hands):
    plan = hands.plan_of([10.0] * 4)
    run = Run(plan, hands, committed=[0, 1, 2])
    run.step()
    progress = Progress(plan, stream=io.StringIO(), clock=lambda: 0.0)
    assert progress.line(run.state).startswith("3/4 sub-tasks, 1 running, 30/40 rows, 0:10 left (0:")


def test_a_log_gets_one_plain_line_every_ten_seconds_and_one_at_the_end(hands):
    plan, log = hands.plan_of([10.0] * 40), io.StringIO()
    run = Run(plan, hands)
    with Progress(plan, stream=log, clock=lambda: run.now) as progress:
        progress.observe(run.state, run.step(), [])
        while not run.state.finished:
            run.now += 1.0
            progress.observe(run.state, run.finish(1.0), [])
    lines = log.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["10/40", "20/40", "30/40", "40/40", "40/40"]
    assert lines[-1] == "40/40 sub-tasks, 400/400 rows, done after 40 s"
    assert "\r" not in log.getvalue()
    assert "\x1b" not in log.getvalue()


def test_a_terminal_gets_a_live_line_four_times_a_second(hands):
    plan, terminal = hands.plan_of([1.0] * 100), Terminal()
    run = Run(plan, hands)
    shown = 0
    with Progress(plan, stream=terminal, clock=lambda: run.now) as progress:
        progress.observe(run.state, run.step(), [])
        while not run.state.finished:
            run.now += 1 / 32
            size = terminal.tell()
            progress.observe(run.state, run.finish(0.05), [])
            shown += terminal.tell() > size
    assert shown == 12  # in 100/32 s
    assert "100/100 sub-tasks" in terminal.getvalue()


def test_a_run_that_stops_says_stopped(hands):
    plan, log = hands.plan_of([1.0] * 2), io.StringIO()
    run = Run(plan, hands)
    progress = Progress(plan, stream=log, clock=lambda: 3.0)
    progress.observe(run.state, run.step(), [])
    with pytest.raises(KeyboardInterrupt), progress:
        raise KeyboardInterrupt
    assert log.getvalue() == "0/2 sub-tasks, 0/20 rows, stopped after 0 s\n"


def test_disabled_shows_nothing(hands):
    plan, log = hands.plan_of([1.0]), io.StringIO()
    run = Run(plan, hands)
    with Progress(plan, enabled=False, stream=log, clock=lambda: run.now) as progress:
        run.now = 100.0
        progress.observe(run.state, run.step(), [])
    assert log.getvalue() == ""
