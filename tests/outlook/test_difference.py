"""Two runs beside each other, from directories made by hand and from real runs."""

import json

import pandas as pd

import partitioner as pt
from partitioner.outlook.difference import Change, difference
from partitioner.outlook.difference_text import text
from tests import programs
from tests.test_cli import call


def finished(hands, path, took, description=(), **plan):
    """A run of sub-tasks on one worker, each ``took`` seconds; ``description`` as ``run.json`` has it."""
    records, now = [], 0.0
    for i, seconds in enumerate(took):
        records.append(hands.record(i, "w0", now, now + seconds))
        now += seconds
    lines = [hands.line("session", 0.0, engine="dask", workers=["w0"]), hands.line("end", now)]
    lines += [line for r in records for line in hands.ran(r)[1:]]
    run = hands.write_run(path, hands.plan_of([2.0] * len(took), workers=1, **plan), lines, records)
    if description:
        run.files.put("run.json", json.dumps(description).encode())
    return run


def described(rows="a.csv", code="c1", modules=(), versions=(), **config):
    prints = {"input": dict.fromkeys(rows.split(), "1"), "code": code, "modules": dict(modules), "libraries": {}}
    return {"config": config, "fingerprints": prints, "versions": dict(versions)}


def test_settings_input_code_and_versions_that_differ(hands, tmp_path):
    was = described("a.csv b.csv", "c1", {"helper": "h1"}, {"pyarrow": "24"}, cost={"model": "rows"}, seed=1)
    now = described("b.csv c.csv", "c2", {"helper": "h2"}, {"pyarrow": "25"}, cost={"model": "bytes"}, seed=1)
    now["fingerprints"]["input"]["b.csv"] = "2"
    found = difference(finished(hands, tmp_path / "r", [2.0], was), finished(hands, tmp_path / "s", [2.0], now))
    assert found.settings == (Change("cost.model", "rows", "bytes"),)
    assert found.code == (Change("program", "c1", "c2"), Change("module helper", "h1", "h2"))
    assert found.versions == (Change("pyarrow", "24", "25"),)
    assert (found.input.same, found.input.added, found.input.removed, found.input.changed) == (
        0,
        ("c.csv",),
        ("a.csv",),
        ("b.csv",),
    )
    told = text(found)
    assert "  cost.model: rows -> bytes" in told
    assert "input: 0 files the same, 1 new, 1 gone, 1 changed" in told
    assert "  pyarrow: 24 -> 25" in told


def test_sub_tasks_that_got_slower_are_told_the_worst_first(hands, tmp_path):
    before = finished(hands, tmp_path / "r", [2.0, 2.0, 2.0, 2.0])
    after = finished(hands, tmp_path / "s", [2.125, 3.0, 5.0, 1.0])
    found = difference(before, after)
    assert (found.matched, found.seconds_before, found.seconds_after) == (4, 8.0, 11.125)
    assert (found.slower_count, found.faster_count) == (2, 1)  # 5 % more is the noise of a machine
    assert [(s.after_key, s.before, s.after, s.predicted) for s in found.slower] == [
        ("t000002", 2.0, 5.0, 2.0),
        ("t000001", 2.0, 3.0, 2.0),
    ]
    assert "sub-tasks: 4 of the same rows in both; together 8 s and 11.1 s (+39.1 %); 2 slower, 1 faster" in text(found)


def test_sub_tasks_of_other_rows_are_not_compared(hands, tmp_path):
    found = difference(finished(hands, tmp_path / "r", [2.0]), finished(hands, tmp_path / "s", [9.0], rows=11))
    assert (found.matched, found.slower) == (0, ())
    assert "none reads the same rows in both runs, so none is compared" in text(found)


def test_predicted_and_actual_rows_and_workers_stand_side_by_side(hands, tmp_path):
    before, after = finished(hands, tmp_path / "r", [2.0, 2.0]), finished(hands, tmp_path / "s", [4.0, 2.0])
    figures = {c.name: (c.before, c.after) for c in difference(before, after).figures}
    assert (figures["predicted_makespan"], figures["makespan"]) == ((4.0, 4.0), (4.0, 6.0))
    assert (figures["rows_in"], figures["quarantined"]) == ((20, 20), (0, 0))
    (worker,) = difference(before, after).workers
    assert (worker.name, worker.before.useful, worker.after.useful) == ("w0", 4.0, 6.0)


def test_the_command_on_two_real_runs(tmp_path, capfd):
    pd.DataFrame({"x": range(40)}).to_parquet(tmp_path / "in.parquet")
    options = {"cost": "rows", "engine": "serial", "checkpoint": str(tmp_path / "runs"), "progress": False}
    runs = [
        pt.run(str(tmp_path / "in.parquet"), programs.double, max_tasks=4, report=False, seed=seed, **options)
        for seed in (1, 2)
    ]
    capfd.readouterr()
    assert call("diff", runs[0].url, runs[1].url, "--json") == 0
    told = json.loads(capfd.readouterr().out)
    assert told["settings"] == {"seed": [1, 2]}
    assert (told["matched"], told["figures"]["rows_out"], told["code"]) == (4, [40, 40], {})
    assert call("diff", runs[0].url, runs[1].url) == 0
    assert "seed: 1 -> 2" in capfd.readouterr().out


def test_a_directory_without_a_run_is_exit_2_and_none_is_made(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert call("diff", "r", "s") == 2
    assert "r does not exist; give the directory of a run" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []
