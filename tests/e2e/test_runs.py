"""Whole runs: every engine the same bytes, order restored, object stores, reducers, reports of what happened."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from partitioner.engines.dask import DaskEngine
from partitioner.errors import Interrupted
from partitioner.storage import Directory
from tests import programs

ROWS = 120
TABLE = pa.table({"x": range(ROWS), "name": [f"n{i}" for i in range(ROWS)]})
DOUBLED = [2 * x for x in range(ROWS)]


def run(dataset: Any, program: Any, checkpoint: str, **options: Any) -> pt.Run:
    settings = {"cost": "rows", "max_tasks": 6, "min_tasks_per_slot": 6, "engine": "serial", **options}
    return pt.run(dataset, program, checkpoint=checkpoint, progress=False, report=False, **settings)


def files_of(directory: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in directory.iterdir() if p.name != "_run.json"}


def test_serial_and_dask_write_the_same_bytes(tmp_path: Path, dask_engine: DaskEngine) -> None:
    for name, engine in (("serial", "serial"), ("dask", dask_engine)):
        run(TABLE, programs.double, str(tmp_path / "runs"), engine=engine, output=str(tmp_path / name))
    assert files_of(tmp_path / "serial") == files_of(tmp_path / "dask")
    assert len(files_of(tmp_path / "serial")) == 8


@pytest.mark.parametrize("split", ["ordered", "packed"])
def test_output_keeps_the_order_of_the_input(tmp_path: Path, split: str) -> None:
    pq.write_table(TABLE, tmp_path / "in.parquet", row_group_size=7)
    costs = [1.0 + (i * 7919 % 13) for i in range(18)]
    finished = run(str(tmp_path / "in.parquet"), programs.double, str(tmp_path / "runs"), split=split, cost=costs)
    if split == "packed":
        assert any(len(record.segments) > 1 for record in finished.records)
    assert finished.result.to_pandas()["y"].tolist() == DOUBLED


def test_the_manifest_lists_what_is_there(tmp_path: Path) -> None:
    import json

    run(TABLE, programs.double, str(tmp_path / "runs"), output=str(tmp_path / "out"))
    manifest = json.loads((tmp_path / "out" / "_manifest.json").read_text())
    assert manifest["counts"] == {"rows_in": 120, "rows_out": 120, "rows_written": 120, "quarantined": 0}
    assert [f["path"] for f in manifest["files"]] == [f"part-t{i:06d}.parquet" for i in range(6)]
    assert sum(f["rows"] for f in manifest["files"]) == ROWS


def test_other_readers_see_the_rows_and_nothing_else(tmp_path: Path) -> None:
    run(TABLE, programs.double, str(tmp_path / "runs"), output=str(tmp_path / "out"))
    assert pq.read_table(tmp_path / "out")["y"].to_pylist() == DOUBLED


def test_output_and_checkpoint_on_an_object_store(s3: str) -> None:
    place = f"{s3}/runs-and-output"
    finished = run(TABLE, programs.double, f"{place}/runs", output=f"{place}/out")
    assert finished.result.to_pandas()["y"].tolist() == DOUBLED
    names = Directory(f"{place}/out").names()
    assert {"_SUCCESS", "_manifest.json", "part-t000005.parquet"} <= set(names)
    again = run(TABLE, programs.double, f"{place}/runs", output=f"{place}/out", resume=finished.run_id)
    assert again.attempted == 0


def moments(batch: pd.DataFrame) -> Any:
    return batch[["x"]]


@pytest.mark.parametrize("engine", ["serial", "dask"])
def test_statistics_do_not_depend_on_the_cut(tmp_path: Path, dask_engine: DaskEngine, engine: str) -> None:
    used = dask_engine if engine == "dask" else engine
    variances = [
        run(TABLE, moments, str(tmp_path), reducer="variance", engine=used, max_tasks=n, min_tasks_per_slot=n).result
        for n in (1, 5, 12)
    ]
    assert variances == [{"x": pytest.approx(1210.0, rel=1e-12)}] * 3


def test_the_result_of_a_reducer_is_written_where_asked(tmp_path: Path) -> None:
    import pickle

    finished = run(TABLE, moments, str(tmp_path / "runs"), reducer="count", output=str(tmp_path / "out"))
    assert finished.result == ROWS
    assert pickle.loads((tmp_path / "out" / "result.pkl").read_bytes()) == ROWS
    assert (tmp_path / "out" / "_SUCCESS").exists()


def test_equal_runs_have_equal_plans(tmp_path: Path) -> None:
    one, two = (run(TABLE, programs.double, str(tmp_path)) for _ in range(2))
    assert one.plan.to_json()["assignments"] == two.plan.to_json()["assignments"]
    assert one.run_id != two.run_id


def test_measured_figures_are_kept(tmp_path: Path) -> None:
    finished = run(TABLE, programs.double, str(tmp_path))
    for record in finished.records:
        assert 0 < record.seconds < 60
        assert record.finished >= record.started > 1.6e9
        assert record.peak_memory_bytes > 2**20
        assert record.rows_in == 20


def test_ctrl_c_while_results_merge_says_how_to_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("partitioner.reducers.partials.merged", interrupted)
    with pytest.raises(Interrupted, match=r"stopped by Ctrl-C; resume with: partitioner resume \S+$"):
        run(TABLE, moments, str(tmp_path), reducer="count")


def test_ctrl_c_while_the_report_is_written_says_that_the_run_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt("stopped by SIGTERM")

    monkeypatch.setattr("partitioner.running._write_report", interrupted)
    with pytest.raises(Interrupted, match=r"stopped by SIGTERM; the run is finished, .*: partitioner report \S+$"):
        run(TABLE, moments, str(tmp_path), reducer="count")
