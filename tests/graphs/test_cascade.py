"""A cascade: what the small model is not sure of goes to the large one, and what that saves and loses is told."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from connectors.memory import MemorySource
from partitioner.errors import ConfigError, DataError
from partitioner.graphs.cascade import ChosenSource

N = 1000
FRAME = pd.DataFrame({"x": np.arange(N), "y": np.arange(N) % 10})


def small(batch):
    """Right where x is not in the first hundred; sure from 200 on."""
    return {"prediction": batch["y"].where(batch["x"] >= 100, 99), "confidence": np.where(batch["x"] >= 200, 0.9, 0.1)}


def large(batch):
    return {"prediction": batch["y"]}


def unnamed(batch):
    return {"guess": batch["y"]}


def run(tmp_path, first=small, second=large, dataset=FRAME, **options):
    settings = {
        "checkpoint": str(tmp_path / "runs"),
        "progress": False,
        "report": False,
        "cost": "rows",
        "engine": "serial",
    }
    return pt.cascade(dataset, first, second, **{"threshold": 0.5, **settings, **options})


def test_only_uncertain_records_go_to_the_large_model(tmp_path):
    found = run(tmp_path, audit=0)
    assert found.table["prediction"].to_pylist() == FRAME["y"].tolist()
    assert found.table["stage"].to_pylist() == ["large"] * 200 + ["small"] * 800
    assert found.large.counts["rows_in"] == 200


def test_seconds_and_accuracy_are_told(tmp_path):
    found = run(tmp_path, audit=0.5, label="y")
    assert found.accuracy == {"the small model": 0.9, "the cascade": 1.0, "the large model (by the audit)": 1.0}
    assert found.disagreement == 0.0
    assert found.large.counts["rows_in"] == 200 + found.audited
    assert found.all_large_seconds == pytest.approx(found.large_seconds * 1000 / (200 + found.audited))
    assert found.seconds_saved == found.all_large_seconds - found.small_seconds - found.large_seconds
    assert json.loads(found.large.directory.files.get("cascade.json"))["uncertain"] == 200
    assert "200 of 1000 records (20.0%)" in str(found)


def test_a_cascade_of_a_file_on_dask(tmp_path, dask_engine):
    pq.write_table(pa.Table.from_pandas(FRAME), tmp_path / "in.parquet", row_group_size=70)
    found = run(tmp_path, dataset=str(tmp_path / "in.parquet"), engine=dask_engine)
    assert found.table["prediction"].to_pylist() == FRAME["y"].tolist()


def test_no_record_is_uncertain(tmp_path):
    found = run(tmp_path, audit=0, threshold=0.0)
    assert (found.large, found.uncertain, found.table["prediction"][0].as_py()) == (None, 0, 99)


def test_without_rows_or_an_audit_what_is_not_known_is_null(tmp_path):
    found = run(tmp_path, dataset=FRAME.iloc[:0], label="y")
    assert (found.rows, found.accuracy) == (0, {})
    assert json.loads(found.small.directory.files.get("cascade.json"))["disagreement"] is None
    assert "audited records" not in str(found)


def test_the_audit_says_what_is_lost(tmp_path):
    found = run(tmp_path, audit=1, threshold=0.0, label="y")
    assert found.disagreement == 0.1
    assert found.accuracy == {"the small model": 0.9, "the cascade": 0.9, "the large model (by the audit)": 1.0}


def test_chosen_rows_are_read_once_and_in_order():
    mask = np.zeros(N, bool)
    mask[[0, 7, 8, 333, 999]] = True
    source = ChosenSource.of(MemorySource(FRAME), mask)
    fragments = source.describe().fragments
    rows = [b["x"].to_pylist() for i in range(len(fragments)) for b in source.read(fragments[i], ["x"])]
    assert [x for each in rows for x in each] == [0, 7, 8, 333, 999]
    assert int(fragments.rows.sum()) == 5


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"threshold": float("nan")}, ConfigError, "threshold is nan"),
        ({"audit": 2}, ConfigError, "audit is 2"),
        ({"reducer": "mean"}, ConfigError, "no setting 'reducer'"),
        ({"threshold": "0.5"}, ConfigError, "threshold is '0.5'; give a number"),
        ({"on_error": "quarantine"}, ConfigError, "a cascade has a row for each record"),
        ({"first": unnamed}, DataError, "the small model returns no column 'prediction'"),
        ({"second": unnamed}, DataError, "the large model returns no column 'prediction'"),
    ],
)
def test_a_cascade_that_cannot_be_is_refused(tmp_path, given, error, message):
    with pytest.raises(error, match=message):
        run(tmp_path, **given)
