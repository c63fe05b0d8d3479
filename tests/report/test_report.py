from __future__ import annotations

import json
import sys

import pytest
from typer.testing import CliRunner

from partitioner.errors import ConfigError, MissingDependency, RunFailed
from partitioner.report.report import Report, reported_if_stopped
from partitioner.store.run_directory import RunDirectory


def test_the_text_shows_predicted_beside_actual(troubled):
    lines = [" ".join(line.split()) for line in str(Report.of(troubled())).splitlines()]
    assert lines[0] == "run run-1: complete, 4 of 4 sub-tasks committed"
    assert "makespan 6 s 12 s +100.0 %" in lines
    assert "busy share of slots 100.0 % 58.3 % 10.4 % on failed or lost attempts" in lines
    assert "retries 0 2 1 failed, 1 lost with their worker, 0 cancelled" in lines
    assert "straggler t000003 2 s 4 s +100.0 % on worker w0" in lines


def test_write_leaves_json_and_a_page_in_the_run_directory(troubled):
    run = troubled()
    Report.of(run).write()
    facts = json.loads(run.files.get("report.json"))
    assert facts["sub_task_columns"]["seconds"] == [2.0, 4.0, 4.0, 4.0]
    assert {a["attempt_id"]: a["outcome"] for a in facts["unsuccessful"]} == {
        "t000001-a0": "failed",
        "t000003-a0": "lost",
    }
    assert run.files.get("report.html").startswith(b"<!doctype html>")


def test_json_of_a_partial_run_holds_no_nan(hands, tmp_path):
    run = hands.write_run(tmp_path / "r", None, [], [])
    Report.of(run).write(html=False)
    facts = json.loads(run.files.get("report.json"), parse_constant=pytest.fail)
    assert facts["sub_task_columns"]["seconds"] == [None, None, None]
    assert not run.files.exists("report.html")


def test_without_plotly_json_is_written_with_a_note(troubled, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    run = troubled()
    Report.of(run).write()
    assert 'pip install "batch-partitioner[report]"' in json.loads(run.files.get("report.json"))["note"]
    assert not run.files.exists("report.html")


def test_without_plotly_a_page_asked_for_is_an_error_with_the_remedy(troubled, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(MissingDependency, match=r'pip install "batch-partitioner\[report\]"'):
        Report.of(troubled()).save(tmp_path / "page.html")


def test_a_directory_without_a_run_is_named(tmp_path):
    with pytest.raises(ConfigError, match="holds no run"):
        Report.of(RunDirectory(str(tmp_path)))


def test_a_missing_directory_is_named_and_not_made(tmp_path):
    with pytest.raises(ConfigError, match="typo does not exist"):
        Report.of(RunDirectory(str(tmp_path / "typo")))
    assert not (tmp_path / "typo").exists()


def test_quarantined_errors_that_differ_in_numbers_are_one_kind(troubled):
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    run, buffer = troubled(quarantined=3), io.BytesIO()
    errors = ["ValueError: row 7", "ValueError: row 12", "KeyError: 'x'"]
    pq.write_table(pa.table({"x": [7, 12, 13], "_error": errors}), buffer)
    run.files.put("quarantine/t000001.parquet", buffer.getvalue())
    assert Report.of(run).to_json()["quarantine"] == [
        {"error": "ValueError: row 7", "rows": 2},
        {"error": "KeyError: 'x'", "rows": 1},
    ]


def test_a_run_that_stops_with_an_error_gets_its_report(hands, tmp_path):
    run = hands.write_run(tmp_path / "r", hands.plan_of([1.0]), [], [])
    with pytest.raises(RunFailed, match="sub-task t000000"), reported_if_stopped(run, html=False):
        raise RunFailed("sub-task t000000 failed")
    assert json.loads(run.files.get("report.json"))["status"] == "unfinished"


def test_a_report_that_cannot_be_written_does_not_hide_the_error(tmp_path):
    with pytest.raises(RunFailed) as caught, reported_if_stopped(RunDirectory(str(tmp_path)), html=False):
        raise RunFailed("the cause")
    assert caught.value.__notes__[0].startswith("The report could not be written: ConfigError:")


@pytest.fixture
def command():
    import typer

    from partitioner.commands.report import report

    app = typer.Typer()
    app.command()(report)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def test_the_command_prints_json_and_nothing_else(command, troubled):
    result = command(troubled().url, "--json")
    assert (result.exit_code, json.loads(result.stdout)["attempts"]) == (0, 6)


def test_the_command_writes_the_page_where_asked(command, troubled, tmp_path):
    result = command(troubled().url, "--html", tmp_path / "deep" / "page.html")
    assert f"page: {tmp_path / 'deep' / 'page.html'}" in result.stdout
    assert (tmp_path / "deep" / "page.html").stat().st_size > 1_000_000
