"""The driver loop, with an engine that only notes its calls."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from partitioner import interrupts
from partitioner.coordinator import driver
from partitioner.coordinator.policy import Policy
from partitioner.coordinator.state import Cancel, HandOver, Rung, State, Stop, Submit, initial
from partitioner.engines.serial import SerialEngine
from partitioner.errors import Interrupted, RunFailed
from partitioner.model import Attempt, Event, EventKind, Failure
from tests.coordinator.paper import PaperEngine, by_hand


class Noted(PaperEngine):
    """Finishes attempts as they come and notes what it was asked."""

    def __init__(self, real: bool = True, failing: int = 0) -> None:
        super().__init__()
        self.capabilities = replace(SerialEngine.capabilities, real=real)
        self.calls: list[tuple[str, Any]] = []
        self.failing = failing

    def submit(self, attempts: Sequence[Attempt]) -> None:
        self.calls.append(("submit", [a.attempt_id for a in attempts]))
        super().submit(attempts)

    def cancel(self, attempt_ids: Sequence[str]) -> None:
        self.calls.append(("cancel", list(attempt_ids)))

    def kill(self, attempt_ids: Sequence[str]) -> None:
        self.calls.append(("kill", list(attempt_ids)))

    def poll(self, timeout: float) -> list[Event]:
        self.calls.append(("poll", timeout))
        if self.failing:
            self.failing -= 1
            attempt = self._waiting.popleft()
            return [Event(EventKind.FAILED, attempt.attempt_id, error=Failure("no", "E", fatal=True))]
        return super().poll(timeout)


class Watching:
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, int]] = []

    def observe(self, state: State, events: Sequence[Event], actions: Sequence[Any]) -> None:
        self.shown.append((len(events), len(actions)))


def test_the_loop_steps_acts_shows_and_polls_until_nothing_is_left() -> None:
    engine, watching = Noted(), Watching()
    state = initial(by_hand([1.0, 1.0], 1, [0, 0]), "memory://run", Policy(ahead_seconds=0.0))
    assert driver.drive(engine, state, [watching], lambda: 5.0) is state
    assert [what for what, _ in engine.calls] == ["submit", "poll", "submit", "poll"]
    assert watching.shown == [(0, 1), (2, 1), (2, 0)]
    assert state.began == 5.0


@pytest.mark.parametrize(("real", "seconds"), [(True, 0.2), (False, 30.0)])
def test_a_real_engine_is_polled_often_and_a_simulated_one_only_as_time_is_trusted(real: bool, seconds: float) -> None:
    engine = Noted(real)
    driver.drive(engine, initial(by_hand([1.0], 1, [0]), "memory://run", Policy()), [], lambda: 0.0)
    assert ("poll", seconds) in engine.calls


def test_no_poll_lasts_longer_than_until_the_next_alarm() -> None:
    engine = Noted(real=False)
    state = initial(by_hand([1.0], 1, [0]), "memory://run", Policy(silent_seconds=7.0))
    driver.drive(engine, state, [], lambda: 0.0)
    assert ("poll", 7.0) in engine.calls


def test_a_stop_is_raised_after_it_was_shown_and_the_rest_cancelled() -> None:
    engine, watching = Noted(failing=1), Watching()
    state = initial(by_hand([1.0, 1.0], 2, [0, 1]), "memory://run", Policy())
    with pytest.raises(RunFailed, match="t000000 failed 1 time"):
        driver.drive(engine, state, [watching], lambda: 0.0)
    assert engine.calls[-1] == ("cancel", ["t000001-a0"])
    assert watching.shown[-1] == (1, 2)


def test_actions_reach_the_engine_by_kind_and_nothing_is_called_for_nothing() -> None:
    engine = Noted()
    attempt = Attempt("t000000", 0, 0, "w", "memory://run")
    driver._apply(engine, [Cancel("a"), Submit(attempt), Cancel("b", kill=True), HandOver("c"), Cancel("d")])
    assert engine.calls == [("submit", ["t000000-a0"]), ("cancel", ["a", "d"]), ("kill", ["b"])]
    driver._apply(engine, [HandOver("c"), Rung("x", "", "", "")])
    assert len(engine.calls) == 3
    driver._raise_stop([Cancel("a")])
    with pytest.raises(RunFailed, match="over"):
        driver._raise_stop([Cancel("a"), Stop(RunFailed("over"))])


@pytest.mark.parametrize(("number", "name"), interrupts.NAMES.items())
def test_a_signal_ends_the_loop_between_two_steps_and_cancels_what_runs(number: signal.Signals, name: str) -> None:
    class Interrupting(Noted):
        def poll(self, timeout: float) -> list[Event]:
            signal.raise_signal(number)
            return []

    engine = Interrupting()
    before = [signal.getsignal(known) for known in interrupts.NAMES]
    with pytest.raises(Interrupted, match=f"^stopped by {name}$"):
        driver.drive(engine, initial(by_hand([1.0], 1, [0]), "memory://run", Policy()), [], lambda: 0.0)
    assert engine.calls[-1] == ("cancel", ["t000000-a0"])
    assert [signal.getsignal(known) for known in interrupts.NAMES] == before


def test_the_last_step_of_a_run_is_no_interruption() -> None:
    class Late(Noted):
        def poll(self, timeout: float) -> list[Event]:
            signal.raise_signal(signal.SIGTERM)
            return super().poll(timeout)

    state = initial(by_hand([1.0], 1, [0]), "memory://run", Policy())
    assert driver.drive(Late(), state, [], lambda: 0.0).finished


def test_a_second_ctrl_c_interrupts_at_once() -> None:
    with interrupts.noted() as event:
        signal.raise_signal(signal.SIGINT)
        assert event.is_set()
        signal.raise_signal(signal.SIGTERM)  # as systemd sends SIGHUP after SIGTERM: one order, told twice
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert event.why == "stopped by Ctrl-C"


TOLD_OFTEN = """
import sys
from pathlib import Path
from partitioner import interrupts

with interrupts.noted() as asked:
    print("ready", flush=True)
    while not Path(sys.argv[1]).exists():
        pass
print(asked.why)
"""


def test_a_signal_may_come_while_one_is_being_noted(tmp_path: Path) -> None:
    """As ``timeout`` sends SIGTERM to its child and again to the group; with the lock of an Event in it this never ended."""
    end = tmp_path / "end"
    command = [sys.executable, "-c", TOLD_OFTEN, str(end)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for _ in range(20_000):
            os.kill(process.pid, signal.SIGTERM)
        end.touch()
        try:
            assert process.communicate(timeout=60)[0] == "stopped by SIGTERM\n"
        finally:
            process.kill()


@pytest.mark.parametrize("block", [interrupts.noted, interrupts.as_ctrl_c])
def test_what_the_process_was_started_to_ignore_stays_ignored(block: Any) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with block() as event:
            signal.raise_signal(signal.SIGHUP)
            assert event is None or not event.is_set()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_loop_the_other_signals_interrupt_as_ctrl_c_does() -> None:
    with interrupts.as_ctrl_c(), pytest.raises(KeyboardInterrupt, match="stopped by SIGTERM"):
        signal.raise_signal(signal.SIGTERM)


def test_what_is_closed_after_a_signal_is_not_interrupted_by_the_same_order_again() -> None:
    closed = []
    with interrupts.as_ctrl_c():
        with interrupts.noted() as asked:
            signal.raise_signal(signal.SIGTERM)
        assert asked.is_set()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGHUP)
        closed.append(True)
    with interrupts.as_ctrl_c():
        with pytest.raises(KeyboardInterrupt, match="stopped by SIGHUP"):
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        closed.append(True)
    assert closed == [True, True]


def test_a_signal_waits_until_what_is_started_is_up() -> None:
    up = []

    def started() -> None:
        with interrupts.as_ctrl_c(), interrupts.held_back():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGHUP)
            up.append(True)

    with pytest.raises(KeyboardInterrupt, match="stopped by SIGTERM"):
        started()
    assert up


def test_a_loop_in_another_thread_leaves_signals_alone() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def there() -> None:
        with interrupts.noted() as event:
            seen.append((signal.getsignal(signal.SIGINT) is before, event.is_set()))

    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    assert seen == [(True, False)]


def test_a_reason_to_stop_counts_though_the_last_sub_task_gave_it() -> None:
    class Aside(Noted):
        def poll(self, timeout: float) -> list[Event]:
            return [
                e if e.record is None else replace(e, record=replace(e.record, quarantined=1))
                for e in super().poll(timeout)
            ]

    state = initial(by_hand([1.0], 1, [0]), "memory://run", Policy(max_quarantined=0))
    with pytest.raises(RunFailed, match="1 rows are set aside, max_quarantined allows 0"):
        driver.drive(Aside(), state, [], lambda: 0.0)
    assert state.finished
