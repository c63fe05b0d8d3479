"""The ledger: what is written, in which order and when, and what is read of torn and earlier ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from partitioner.coordinator import ledger
from partitioner.coordinator.state import Cancel, Rung, Submit
from partitioner.model import Attempt, Event, EventKind, Failure
from partitioner.store.run_directory import RunDirectory
from tests.coordinator.paper import by_hand, state_of


def lines(run: RunDirectory) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k != "time"} for line in ledger.read(run)]


def test_the_ledger_holds_events_submissions_and_rungs_in_order_and_nothing_else(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    book = ledger.Ledger(run)
    state = state_of(by_hand([1.0], 1, [0]))
    attempt = Attempt("t000000", 0, 2, "w", "memory://run")
    events = [
        Event(EventKind.STARTED, "t000000-a1", "w"),
        Event(EventKind.FAILED, "t000000-a1", "w", error=Failure("no", "ValueError")),
    ]
    book.observe(state, events, [Rung("retried", "t000000", "w", "why"), Submit(attempt), Cancel("x")])
    assert list(ledger.read(run)) == []
    book.flush()
    assert lines(run) == [
        {"what": "started", "attempt": "t000000-a1", "worker": "w"},
        {"what": "failed", "attempt": "t000000-a1", "worker": "w", "error": {"message": "no", "type": "ValueError"}},
        {"what": "rung", "rung": "retried", "task": "t000000", "worker": "w", "reason": "why"},
        {"what": "submitted", "attempt": "t000000-a2", "worker": "w"},
    ]


def test_segments_follow_each_other_and_an_empty_one_is_not_written(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    book = ledger.Ledger(run)
    book.flush()
    for k in range(3):
        book.note("n", k=k)
        book.flush()
        book.flush()
    names = sorted(p.name for p in (tmp_path / "ledger").iterdir())
    assert [name.partition("-")[2] for name in names] == ["000000.jsonl", "000001.jsonl", "000002.jsonl"]
    assert [line["k"] for line in lines(run)] == [0, 1, 2]


def test_lines_are_written_once_a_second_has_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("partitioner.coordinator.ledger.time.monotonic", lambda: now[0])
    run = RunDirectory(str(tmp_path))
    book, state = ledger.Ledger(run), state_of(by_hand([1.0], 1, [0]))
    counts = []
    for now[0] in (100.5, 101.0, 101.1, 101.9, 102.05, 102.2):
        book.observe(state, [Event(EventKind.STARTED, "t000000-a0", "w")], [])
        counts.append(len(lines(run)))
    assert counts == [0, 0, 3, 3, 3, 6]


TORN = [
    '{"what": "submi',
    "[1]",
    '{"what": "x"}',
    '{"time": 1.0}',
    "3",
    "[" * 100_000,
    '{"what": 3, "time": 1.0}',
    '{"what": "session", "time": "x"}',
    '{"what": "session", "time": NaN}',
    '{"what": "session", "time": 1e300}',
    '{"what": "session", "time": 1.0, "workers": 3}',
    '{"what": "submitted", "time": 1.0, "attempt": "t000002-a0"}',
    '{"what": "failed", "time": 1.0, "attempt": ["t000002-a0"], "worker": "w"}',
    '{"what": "failed", "time": 1.0, "attempt": "t000002-a0", "worker": "w", "error": "no"}',
    '{"what": "failed", "time": 1.0, "attempt": "t000002-a0", "worker": "w", "error": {"message": []}}',
    '{"what": "rung", "time": 1.0, "rung": "retried", "task": "t000002", "worker": "w"}',
]


@pytest.mark.parametrize("torn", TORN)
def test_a_line_that_was_not_written_whole_or_not_by_us_is_told_and_the_others_count(tmp_path: Path, torn: str) -> None:
    run = RunDirectory(str(tmp_path))
    whole = json.dumps({"what": "submitted", "time": 1.0, "attempt": "t000001-a4", "worker": "w"})
    run.files.put("ledger/1.jsonl", f"{whole}\n{torn}\n".encode())
    assert list(ledger.read(run))[1] == {"what": "torn", "segment": "ledger/1.jsonl", "time": 0.0}
    assert [line["what"] for line in ledger.read(run)] == ["submitted", "torn"]
    assert ledger.next_numbers(run)["t000001"] == 5


def test_the_next_number_is_behind_the_last_that_was_handed_over_or_begun(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    told = [
        ("submitted", "t000001-a4"),
        ("submitted", "t000001-a2"),
        ("started", "t000002-a0"),
        ("finished", "t000003-a7"),
        ("submitted", "t000001.00-05-a1"),
    ]
    text = "\n".join(json.dumps({"what": w, "time": 0.0, "attempt": a}) for w, a in told)
    run.files.put("ledger/1.jsonl", text.encode())
    assert ledger.next_numbers(run) == {"t000001": 5, "t000002": 1, "t000001.00-05": 2}
    assert ledger.next_numbers(run, {"t000002"}) == {"t000002": 1, "t000001.00-05": 2}
