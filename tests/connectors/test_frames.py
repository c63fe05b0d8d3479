"""Spark and Dask DataFrames as input: read from their own files, or written to the run directory, said aloud."""

from __future__ import annotations

import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from connectors.dask_frame import DaskFrameSource
from connectors.parquet import ParquetSource
from connectors.resolve import resolve
from connectors.spark_frame import SparkFrameSource
from partitioner.errors import DataError
from partitioner.testing.connectors import SOURCE_LAWS, SourceCase

ROWS = pa.table({"name": ["ada", "bo", "cy", "di", "ed"], "size": [1, 22, 333, 4444, 55555], "part": [0.5, 1, 2, 3, 4]})
NUMBERS = pd.DataFrame({"x": range(40)})


def double(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"y": batch["x"] * 2})


def written(directory):
    """Two files of numbers below ``directory``."""
    for i in range(2):
        pq.write_table(pa.table({"x": range(20 * i, 20 * i + 20), "z": [0.5] * 20}), directory / f"{i}.parquet")
    return str(directory)


def case(source):
    def make(directory):
        pq.write_table(ROWS.slice(0, 3), directory / "1.parquet", row_group_size=2)
        pq.write_table(ROWS.slice(3), directory / "2.parquet")
        return source(str(directory))

    def change(directory):
        pq.write_table(ROWS.slice(0, 2), directory / "1.parquet")
        return source(str(directory))

    return SourceCase(make, lambda _: ROWS, change)


def run_of(frame, checkpoint, engine="serial", **options):
    return pt.run(frame, double, engine=engine, checkpoint=checkpoint, max_tasks=4, progress=False, **options)


@pytest.mark.parametrize("law", SOURCE_LAWS, ids=lambda law: law.__name__)
def test_law_of_dask_frames(law, tmp_path):
    law(case(lambda path: DaskFrameSource(dd.read_parquet(path))), tmp_path)


@pytest.mark.spark
@pytest.mark.parametrize("law", SOURCE_LAWS, ids=lambda law: law.__name__)
def test_law_of_spark_frames(law, tmp_path, spark):
    law(case(lambda path: SparkFrameSource(spark.read.parquet(path))), tmp_path)


def test_a_dask_scan_is_read_from_its_own_files(tmp_path, capsys):
    frame = dd.read_parquet(written(tmp_path))[["x"]]
    source = resolve(frame).materialise(tmp_path / "run")
    assert source == ParquetSource([str(tmp_path / "0.parquet"), str(tmp_path / "1.parquet")], columns=("x",))
    assert "its own files are read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f[f.x > 3],
        lambda f: f.assign(x=f.x + 1),
        lambda f: f.partitions[1:],
        lambda f: f.repartition(npartitions=1),
        lambda f: f["x"].to_frame().rename(columns={"x": "w"}),
    ],
)
def test_a_computed_dask_frame_is_no_scan(tmp_path, change):
    assert DaskFrameSource(change(dd.read_parquet(written(tmp_path)))).scan is None


def test_filters_given_to_read_parquet_make_it_no_scan(tmp_path):
    assert DaskFrameSource(dd.read_parquet(written(tmp_path), filters=[("x", ">", 3)])).scan is None


def test_a_computed_dask_frame_is_written_and_run_in_its_order(checkpoint, capsys):
    frame = dd.from_pandas(NUMBERS, npartitions=12)
    run = run_of(frame[frame.x >= 4], checkpoint)
    assert run.result.to_pandas()["y"].tolist() == [2 * x for x in range(4, 40)]
    assert "is written to" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of Dask under pandas 3
def test_a_named_dask_index_is_a_column(checkpoint, tmp_path):
    frame = dd.from_pandas(NUMBERS.assign(key=range(40)).set_index("key"), npartitions=2)
    names = DaskFrameSource(frame).materialise(tmp_path).describe().schema.names
    assert sorted(names) == ["key", "x"]


def test_a_completed_copy_is_not_written_again(tmp_path, capsys):
    source = DaskFrameSource(dd.from_pandas(NUMBERS, npartitions=2))
    first = source.materialise(tmp_path).fingerprints()
    assert source.materialise(tmp_path).fingerprints() == first
    assert "was written to" in capsys.readouterr().err


def test_planning_alone_refuses_a_computed_frame(tmp_path):
    with pytest.raises(DataError, match="write it as Parquet and give the path"):
        pt.plan(dd.from_pandas(NUMBERS, npartitions=2))


@pytest.mark.spark
def test_a_spark_scan_is_read_from_its_own_files(spark, tmp_path, capsys):
    frame = spark.read.parquet(written(tmp_path)).select("x")
    source = resolve(frame).materialise(tmp_path / "run")
    assert source == ParquetSource([str(tmp_path / "0.parquet"), str(tmp_path / "1.parquet")], columns=("x",))
    assert "its own files are read" in capsys.readouterr().err


@pytest.mark.spark
@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.where("x > 3"),
        lambda f: f.selectExpr("x + 1 as x"),
        lambda f: f.selectExpr("x as w"),
        lambda f: f.limit(3),
        lambda f: f.union(f),
    ],
)
def test_a_computed_spark_frame_is_no_scan(spark, tmp_path, change):
    assert SparkFrameSource(change(spark.read.parquet(written(tmp_path)))).scan is None


@pytest.mark.spark
def test_a_schema_given_by_hand_is_no_plain_scan(spark, tmp_path):
    assert SparkFrameSource(spark.read.schema("x int").parquet(written(tmp_path))).scan is None


@pytest.mark.spark
def test_partition_columns_are_no_plain_scan(spark, tmp_path):
    spark.range(4).selectExpr("id as x", "id % 2 as part").write.partitionBy("part").parquet(str(tmp_path / "p"))
    assert SparkFrameSource(spark.read.parquet(str(tmp_path / "p"))).scan is None


@pytest.mark.spark
def test_a_computed_spark_frame_is_written_and_run_in_its_order(spark, checkpoint, capsys):
    frame = spark.range(0, 40, 1, 5).selectExpr("id as x").where("x >= 4")
    run = run_of(frame, checkpoint, engine=spark)
    assert run.result.to_pandas()["y"].tolist() == [2 * x for x in range(4, 40)]
    assert "is written to" in capsys.readouterr().err
