import json

import numpy as np
import pandas as pd
import pytest

import partitioner as pt


def spell(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"length": rows["text"].str.len()})


@pytest.fixture
def options(tmp_path, monkeypatch):
    monkeypatch.setenv("PARTITIONER_PROFILES", str(tmp_path / "profiles.db"))
    return {"cost": "learned", "engine": "serial", "checkpoint": str(tmp_path), "report": False, "progress": False}


def texts(n: int) -> pd.DataFrame:
    return pd.DataFrame({"text": ["x" * (i % 97) for i in range(n)]})


def test_the_first_run_begins_a_profile_on_a_pilot_and_the_second_needs_none(options):
    first = pt.run(texts(4000), spell, **options)
    assert "no profile" in first.plan.reasons["profile"]
    second = pt.run(texts(5000), spell, **options)
    assert second.plan.reasons["profile"]["measurements"] == len(first.records)
    assert "pilot" not in second.plan.reasons


def test_a_run_on_a_profile_says_whether_costs_drifted(options):
    pt.run(texts(4000), spell, **options)
    second = pt.run(texts(4000), spell, **options)
    (drift,) = json.loads(second.directory.files.get("drift.json"))
    assert set(drift) == {"drifted", "ratio", "low", "high", "measurements", "message"}


def test_the_report_says_when_costs_drifted(options):
    run = pt.run(texts(4000), spell, **options)
    drift = {"drifted": True, "message": "spell took 2.1 times the predicted seconds."}
    run.directory.files.put("drift.json", json.dumps([drift, {"drifted": False, "message": "no"}]).encode())
    assert str(run.report).splitlines()[-1] == "  spell took 2.1 times the predicted seconds."
    assert run.report.to_json()["notes"] == ["spell took 2.1 times the predicted seconds."]


def test_a_resumed_run_is_learned_from_once(options, tmp_path):
    run = pt.run(texts(4000), spell, **options)
    pt.run(texts(4000), spell, resume=run.run_id, **options)
    third = pt.run(texts(4000), spell, **options)
    assert third.plan.reasons["profile"]["runs"] == 1


def total(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.groupby("key", as_index=False)["x"].sum()


@pytest.mark.parametrize("engine", ["serial", "dask_engine"])
def test_groups_stay_together_on_every_engine(tmp_path, engine, request):
    rows = pd.DataFrame({"key": np.arange(1000) % 17, "x": np.arange(1000)})
    run = pt.run(
        rows,
        total,
        split={"split": "grouped", "key": "key"},
        cost="rows",
        allow_row_change=True,
        engine=engine if engine == "serial" else request.getfixturevalue(engine),
        checkpoint=str(tmp_path),
        report=False,
        progress=False,
    )
    found = run.result.to_pandas().sort_values("key", ignore_index=True)
    pd.testing.assert_frame_equal(found, total(rows))


def read_only(store):
    """Stands for a home that is read-only: there is no place for the file."""
    store.parent.write_bytes(b"")


def torn(store):
    store.parent.mkdir()
    store.write_bytes(b"x" * 4096)


@pytest.mark.parametrize(
    ("harm", "told"), [(read_only, "File exists"), (torn, "cannot be used: file is not a database")]
)
def test_a_place_that_takes_no_profile_is_said_and_the_run_is_done(options, tmp_path, monkeypatch, capsys, harm, told):
    store = tmp_path / "home" / "profiles.db"
    monkeypatch.setenv("PARTITIONER_PROFILES", str(store))

    def harms(rows: pd.DataFrame) -> pd.DataFrame:
        if pt.task_context().task_key != "trial" and not store.parent.exists():
            harm(store)
        return spell(rows)

    done = pt.run(texts(4000), harms, **options)
    assert len(done.result.to_pandas()) == 4000
    assert done.directory.files.exists("report.json")
    said = capsys.readouterr().err
    assert "what this run measured is not kept for the next one" in said
    assert told in said
