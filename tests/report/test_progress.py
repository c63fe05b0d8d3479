from __future__ import annotations

import io
import re

import pytest

from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Policy, Submit, initial
from partitioner.model import Event, EventKind
from partitioner.report.progress import Progress, eta


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
    assert line.startswith("1/4 sub-tasks, 2 running, 10/40 rows, 0:20 left (0:")
    assert re.fullmatch(r".* \(\d:\d\d to \d:\d\d, t\d{6} on w\d decides\)", line)


def test_failed_and_lost_attempts_are_told(hands):
    plan = hands.plan_of([10.0] * 4)
    run = Run(plan, hands)
    run.step()
    run.end(EventKind.FAILED)
    run.end(EventKind.LOST)
    assert "1 failed, 1 lost" in Progress(plan, stream=io.StringIO()).line(run.state)


def test_the_eta_follows_observed_durations(hands):
    run = Run(hands.plan_of([10.0] * 6), hands)
    run.step()
    assert eta(run.state, 0.0) == 30.0  # 60 predicted seconds on two workers
    run.finish(20.0)
    assert eta(run.state, 0.0) == 60.0  # five left, each twice as long as predicted: three on one worker


def test_the_eta_takes_off_what_running_sub_tasks_have_done(hands):
    run = Run(hands.plan_of([10.0] * 2), hands)
    run.step()
    assert eta(run.state, 4.0) == 6.0


def test_the_eta_of_many_sub_tasks_is_their_sum_over_the_slots(hands):
    run = Run(hands.plan_of([1.0] * 1000), hands)
    run.step()
    assert eta(run.state, 0.0) == 500.0


def test_the_eta_is_never_below_the_longest_sub_task_left(hands):
    run = Run(hands.plan_of([1.0, 100.0]), hands)
    run.step()
    run.finish(1.0)
    assert eta(run.state, 0.0) == 100.0


def test_no_eta_before_a_completion_has_shown_what_rows_cost(hands):
    plan = hands.plan_of([1000.0] * 4, unit="rows")
    run = Run(plan, hands, seconds_known=False)
    run.step()
    assert eta(run.state, 0.0) is None
    assert Progress(plan, stream=io.StringIO()).line(run.state).endswith("ETA after the first sub-task")
    run.finish(3.0)
    assert eta(run.state, 0.0) == 6.0  # three left of 3 s on two workers


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
