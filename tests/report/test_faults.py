"""What a report says of failures: by worker, by kind and by row, the rungs with their reasons, and what back-ups cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from partitioner.report.facts import read
from partitioner.report.page import page
from partitioner.report.summary import summarise
from partitioner.report.text import table


def test_failures_are_counted_by_worker_and_kind(troubled: Any) -> None:
    told = summarise(read(troubled())).faults
    assert sorted(told.by_worker) == [("w1", "OSError", 1), ("w1", "its process died", 1)]
    assert sorted(told.by_kind) == [("OSError", 1), ("its process died", 1)]
    assert (told.by_row, told.rungs, told.speculation_seconds) == ((), (), 0.0)


def test_rows_set_aside_are_told_by_subtask_with_the_reason(hands: Any, tmp_path: Path) -> None:
    aside = hands.record(1, "w1", 0.0, 5.0, rows_out=8, quarantined=2)
    one = hands.record(
        2, "w0", 1.0, 2.0, task_key="t000002.3-4", attempt_id="t000002.3-4-a1", rows_out=0, quarantined=1, part=(3, 4)
    )
    why = "its process died on w0 and w1 with this row alone"
    lines = [
        hands.line("session", 0.0, engine="dask", workers=["w0", "w1"]),
        hands.line("rung", 1.0, rung="condemned", task="t000002.3-4", worker="w0", reason=why),
        hands.line("end", 6.0),
    ]
    run = hands.write_run(
        tmp_path / "r", hands.plan_of([1.0] * 3), lines, [hands.record(0, "w0", 0.0, 1.0), aside, one]
    )
    told = summarise(read(run)).faults
    assert told.by_row == (("t000001", 2, ""), ("t000002.3-4", 1, why))


def backed_up(hands: Any, path: Path, waited: bool = True) -> Any:
    """w0 takes 9 s for a sub-task whose back-up on w1 commits after 3; the driver ``waited`` to hear of its end."""
    won = hands.record(0, "w1", 6.0, 9.0, number=1)
    lines = [
        hands.line("session", 0.0, engine="dask", workers=["w0", "w1"]),
        hands.line("submitted", 0.0, attempt="t000000-a0", worker="w0"),
        hands.line("started", 0.0, attempt="t000000-a0", worker="w0"),
        hands.line("rung", 5.9, rung="backed up", task="t000000", worker="w0", reason="longer than expected"),
        *hands.ran(won),
        *([hands.line("cancelled", 9.0, attempt="t000000-a0", worker="w0")] if waited else []),
        hands.line("end", 9.0),
    ]
    return hands.write_run(path, hands.plan_of([3.0]), lines, [won])


def test_what_a_back_up_cost_is_the_time_of_the_attempt_that_lost(hands: Any, tmp_path: Path) -> None:
    assert summarise(read(backed_up(hands, tmp_path / "r"))).faults.speculation_seconds == 9.0


def test_a_run_that_ends_with_its_back_up_counts_the_attempt_that_it_did_not_wait_for(
    hands: Any, tmp_path: Path
) -> None:
    s = summarise(read(backed_up(hands, tmp_path / "r", waited=False)))
    assert (s.faults.speculation_seconds, s.cancelled, s.unfinished) == (9.0, 1, 0)


def test_page_text_and_json_tell_every_rung_with_its_reason(hands: Any, tmp_path: Path) -> None:
    run = backed_up(hands, tmp_path / "r")
    facts = read(run)
    summary = summarise(facts)
    shown, text = page(facts, summary), table(summary)
    assert "Rungs of the failure ladder" in shown
    assert "longer than expected" in shown
    assert "Back-ups cost 9 s of attempts that another overtook." in shown
    assert "backed up 1" in text
    assert "wasted on back-ups" in text
    told = json.loads(json.dumps(summary.to_json()))["faults"]
    assert [(r["what"], r["reason"]) for r in told["rungs"]] == [("backed up", "longer than expected")]


def test_text_counts_failures_by_kind_and_worker(troubled: Any) -> None:
    text = table(summarise(read(troubled())))
    (line,) = [each for each in text.splitlines() if each.strip().startswith("failures")]
    assert "OSError 1" in line
    assert "on workers w1 2" in line


def test_a_divided_subtask_counts_once_and_the_run_is_complete(hands: Any, tmp_path: Path) -> None:
    parts = [
        hands.record(0, "w0", 1.0, 2.0, task_key=f"t000000.{a}-{b}", attempt_id=f"t000000.{a}-{b}-a0", part=(a, b))
        for a, b in ((0, 5), (5, 9))
    ]
    lines = [hands.line("session", 0.0, engine="dask", workers=["w0"]), hands.line("end", 2.0)]
    whole = hands.record(0, "w0", 0.0, 0.0, split=True, rows_in=0, rows_out=0, rows_written=0)
    s = summarise(read(hands.write_run(tmp_path / "r", hands.plan_of([3.0]), lines, [whole, *parts])))
    assert (s.status, s.sub_tasks, s.committed) == ("complete", 1, 1)
    unfinished = hands.write_run(tmp_path / "u", hands.plan_of([3.0]), lines[:1], [whole, parts[0]])
    assert summarise(read(unfinished)).status == "unfinished"
