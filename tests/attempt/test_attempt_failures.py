"""What an attempt that fails says: the error, its prints, limits and what no retry mends."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from partitioner.attempt import run as module
from partitioner.attempt.run import describe_error
from partitioner.attempt.surroundings import TimedOut
from partitioner.errors import ConfigError, StorageFailed
from partitioner.model import Care, EventKind
from tests.attempt.by_hand import ByHand, doubled
from tests.attempt.poison import fails_on

pytestmark = pytest.mark.usefixtures("no_jobs")


def test_a_failure_says_what_was_raised_and_its_prints_are_kept(tmp_path: Path) -> None:
    def program(batch: Any) -> Any:
        print("before")
        raise KeyError("k")

    made = ByHand(tmp_path, program)
    event = made.run(3)
    assert (event.kind, event.attempt_id, event.worker_id, event.record) == (EventKind.FAILED, "t000000-a3", "w", None)
    assert (event.error.type, event.error.fatal, event.error.timeout) == ("KeyError", False, False)  # type: ignore[union-attr]
    assert event.error.peak_memory_bytes > 0  # type: ignore[union-attr]
    log = made.directory.files.get("attempts/t000000-a3.log").decode()
    assert log.startswith("before\nTraceback")
    assert "KeyError: 'k'" in log


def test_an_attempt_that_says_nothing_leaves_no_log(tmp_path: Path) -> None:
    made = ByHand(tmp_path)
    made.record()
    assert made.directory.files.names("attempts") == []


def test_prints_that_cannot_be_kept_are_said_and_the_event_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def program(batch: Any) -> Any:
        print("before")
        return doubled(batch)

    def full(*_: object) -> None:
        raise StorageFailed("the disk is full.")

    made = ByHand(tmp_path, program)
    monkeypatch.setattr(module, "_keep", full)
    assert made.run().kind is EventKind.FINISHED
    assert "the disk is full. The prints of t000000-a0 are lost." in capfd.readouterr().err


def test_an_interrupt_of_a_person_is_not_the_programs(tmp_path: Path) -> None:
    def program(batch: Any) -> Any:
        raise KeyboardInterrupt

    made = ByHand(tmp_path, program)
    with pytest.raises(KeyboardInterrupt):
        made.run()


def test_what_takes_too_long_is_told_as_that(tmp_path: Path) -> None:
    def program(batch: Any) -> Any:
        time.sleep(20)

    event = ByHand(tmp_path, program).run(timeout_seconds=0.02)
    assert event.error is not None
    assert (event.error.type, event.error.timeout, event.error.message) == (
        "TimedOut",
        True,
        "it took longer than 0.02 s",
    )


def test_failures_carry_suspects_and_what_no_retry_mends(tmp_path: Path) -> None:
    event = ByHand(tmp_path, fails_on(3, 4)).run(care=Care(isolate=True, suspects=()))
    assert event.error is not None
    assert (event.error.type, event.error.suspects, event.error.timeout) == ("RowsFailed", ((3, 5),), False)
    assert (describe_error(ConfigError("x")).fatal, describe_error(ValueError("x")).fatal) == (True, False)
    assert (describe_error(TimedOut("x")).timeout, describe_error(ValueError("x")).timeout) == (True, False)
