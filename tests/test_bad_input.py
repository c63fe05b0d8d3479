"""Bad input: a clear error that names the value and the remedy, before anything runs, with nothing left behind."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from partitioner.engines.serial import SerialEngine
from partitioner.errors import (
    ConfigError,
    CostError,
    DataError,
    EngineLost,
    InfeasiblePlan,
    OutputExists,
    PartitionerError,
    ProgramError,
    UnknownName,
)
from partitioner.model import Worker, Workers
from tests.programs import double

TABLE = pa.table({"x": range(100)})


class RefusingEngine(SerialEngine):
    """An engine that must not be asked to run anything."""

    def submit(self, attempts: object) -> None:
        raise AssertionError("something ran")


def refused(error: type[PartitionerError], tmp_path: Path, *args: Any, **options: Any) -> str:
    """The message; checked: nothing ran, and neither run directory nor output were left behind."""
    before = sorted(tmp_path.rglob("*"))
    settings = {"engine": RefusingEngine(), "checkpoint": str(tmp_path / "runs"), "progress": False, **options}
    with pytest.raises(error) as caught:
        pt.run(*args, **settings)
    left = [p for p in sorted(tmp_path.rglob("*")) if p not in before and p != tmp_path / "runs"]
    assert left == []
    return str(caught.value)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.parquet"
    pq.write_table(TABLE, path, row_group_size=10)
    return path


def test_missing_path(tmp_path: Path) -> None:
    assert str(tmp_path / "none.parquet") in refused(DataError, tmp_path, str(tmp_path / "none.parquet"), double)


def test_glob_that_matches_nothing(tmp_path: Path, good: Path) -> None:
    pattern = str(tmp_path / "*.parq")
    assert pattern in refused(DataError, tmp_path, pattern, double)


def test_corrupt_file_among_good_ones_is_named(tmp_path: Path, good: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 this is no parquet PAR1")
    assert "bad.parquet" in refused(DataError, tmp_path, str(tmp_path / "*.parquet"), double)


def test_missing_column_with_the_nearest(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["a"], "label": [1]})
    message = refused(DataError, tmp_path, frame, double, columns=["txt"])
    assert message == "the dataset has no column 'txt'; it has text, label. Did you mean 'text'?"


@pytest.mark.parametrize(("value", "shown"), [(-1.0, "-1"), (float("nan"), "nan"), (float("inf"), "inf")])
def test_invalid_cost_names_the_fragment(tmp_path: Path, good: Path, value: float, shown: str) -> None:
    costs = np.ones(10)
    costs[3] = value
    message = refused(CostError, tmp_path, str(good), double, cost=costs)
    assert f"seconds = {shown}" in message
    assert f"for fragment 3, {good} row group 3" in message
    assert "Mend the cost function or declare the cost" in message


def test_rows_larger_than_every_worker_name_the_memory(tmp_path: Path, good: Path) -> None:
    class Small(RefusingEngine):
        def workers(self) -> Workers:
            return Workers.of([Worker("small", memory_bytes=1000.0)])

    cost = {"model": "declared", "seconds": [1.0] * 10, "memory_bytes": [5000.0] * 10}
    message = refused(InfeasiblePlan, tmp_path, str(good), double, cost=cost, engine=Small(), max_tasks=1)
    assert "800 bytes needs 63 sub-tasks, and max_tasks = 1" in message  # 80 % of 1000
    assert "allow more memory per sub-task" in message


def test_more_cores_than_any_worker_has(tmp_path: Path) -> None:
    message = refused(InfeasiblePlan, tmp_path, TABLE, double, cost="rows", task_cpus=8)
    assert "No worker can hold task 't000000': it needs cpus = 8, the largest worker has 1." in message


def test_misspelt_setting_with_the_nearest(tmp_path: Path) -> None:
    message = refused(ConfigError, tmp_path, TABLE, double, placment="lpt")
    assert message == "unknown setting 'placment'. Did you mean 'placement'?"


@pytest.mark.parametrize(
    ("setting", "value", "known"),
    [
        ("placement", "ltp", "lpt"),
        ("split", "orderd", "ordered"),
        ("reducer", "contat", "concat"),
        ("cost", "byts", "bytes"),
        ("engine", "serail", "serial"),
    ],
)
def test_unknown_names_come_with_the_list(tmp_path: Path, setting: str, value: str, known: str) -> None:
    message = refused(UnknownName, tmp_path, TABLE, double, **{setting: value})
    assert value in message
    assert f"Did you mean '{known}'?" in message


def test_unknown_option_with_the_nearest(tmp_path: Path) -> None:
    message = refused(ConfigError, tmp_path, TABLE, double, engine={"engine": "dask", "worker": 2})
    assert "no option 'worker'" in message
    assert "Did you mean 'workers'?" in message


def test_output_that_holds_another_run(tmp_path: Path) -> None:
    output = tmp_path / "out"
    options: dict[str, Any] = {"cost": "rows", "output": str(output), "engine": "serial", "progress": False}
    pt.run(TABLE, double, checkpoint=str(tmp_path / "runs"), **options)
    message = refused(OutputExists, tmp_path, TABLE, double, cost="rows", output=str(output))
    assert str(output) in message
    assert "name a new directory, or remove it" in message


def test_output_that_holds_anything_else(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    message = refused(OutputExists, tmp_path, TABLE, double, cost="rows", output=str(tmp_path / "out"))
    assert "it holds thesis.tex" in message


def unpicklable() -> Callable[[pd.DataFrame], pd.DataFrame]:
    lock = threading.Lock()

    def locked(batch: pd.DataFrame) -> pd.DataFrame:
        with lock:
            return double(batch)

    return locked


def test_function_that_cannot_be_pickled(tmp_path: Path) -> None:
    message = refused(ProgramError, tmp_path, TABLE, unpicklable(), cost="rows")
    assert "locked" in message
    assert "lock" in message
    assert "Open locks, files and connections inside the function" in message


@pytest.mark.parametrize("program", ["nocolon", "tests.programs:duoble", "no.such.module:f"])
def test_program_that_cannot_be_found(tmp_path: Path, program: str) -> None:
    assert repr(program) in refused(ProgramError, tmp_path, TABLE, program, cost="rows")


@pytest.mark.filterwarnings("default")
def test_unreachable_scheduler_fails_within_the_stated_timeout(tmp_path: Path) -> None:
    engine = {"engine": "dask", "address": "tcp://127.0.0.1:9", "timeout": 1}
    begin = time.monotonic()
    message = refused(EngineLost, tmp_path, TABLE, double, cost="rows", engine=engine)
    assert time.monotonic() - begin < 15
    assert "'tcp://127.0.0.1:9' within 1 s" in message
    assert "Check the address" in message


@pytest.mark.parametrize("setting", [{"allowed_mem": "lots"}, {"max_tasks": 0}, {"max_retries": -1}])
def test_values_out_of_range_are_named(tmp_path: Path, setting: dict[str, Any]) -> None:
    message = refused(ConfigError, tmp_path, TABLE, double, **setting)
    assert repr(next(iter(setting.values()))) in message


def test_run_without_a_program(tmp_path: Path) -> None:
    assert "a run needs a dataset and a program" in refused(ConfigError, tmp_path, TABLE)


def test_program_class_that_cannot_be_built_is_named_and_not_retried(tmp_path: Path) -> None:
    class Broken:
        def __init__(self) -> None:
            raise OSError("no model file")

        def __call__(self, batch: object) -> object:
            return batch

    with pytest.raises(pt.PartitionerError, match="no model file"):
        pt.run(TABLE, Broken, cost="rows", engine="serial", checkpoint=str(tmp_path), progress=False)


EMPTY = pa.table({"x": pa.array([], pa.int64())})


def test_empty_dataset_gives_an_empty_result(tmp_path: Path) -> None:
    run = pt.run(EMPTY, double, engine="serial", checkpoint=str(tmp_path), progress=False)
    assert (len(run.result), run.records, run.exit_code) == (0, (), 0)
    assert run.result.to_table().num_rows == 0
    assert dict(run.counts) == {"rows_in": 0, "rows_out": 0, "rows_written": 0, "quarantined": 0}


def test_empty_dataset_with_count_is_zero(tmp_path: Path) -> None:
    run = pt.run(EMPTY, double, reducer="count", engine="serial", checkpoint=str(tmp_path), progress=False)
    assert run.result == 0


def test_empty_parquet_file(tmp_path: Path) -> None:
    pq.write_table(EMPTY, tmp_path / "empty.parquet")
    run = pt.run(
        str(tmp_path / "empty.parquet"), double, engine="serial", checkpoint=str(tmp_path / "runs"), progress=False
    )
    assert len(run.result) == 0


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        ([Worker("a"), Worker("b"), Worker("a")], "worker 'a' is there 2 times"),
        ([Worker("a", cpus=float("nan"))], "worker 'a' (row 1), column 'cpus': nan is not allowed"),
        ([Worker("a", cpus=float("inf"))], "worker 'a' (row 1), column 'cpus': inf is not allowed"),
        ([Worker("a"), Worker("b", memory_bytes=0)], "worker 'b' (row 2), column 'memory_bytes': 0.0 is not allowed"),
        ([Worker("a", speed=0)], "worker 'a' (row 1), column 'speed': 0.0 is not allowed, it must be above 0"),
    ],
)
def test_workers_that_cannot_be_are_named_by_a_plan(workers: list[Worker], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pt.plan(TABLE, double, workers=workers, cost="rows")
    assert said in str(caught.value)


LONG = "n" * 300


@pytest.mark.parametrize(
    ("setting", "place", "said"),
    [
        ("output", "/proc/nope/x", "No such file"),
        ("output", "/proc/x.csv", "No such file"),
        ("output", "/dev/null/x", "Not a directory"),
        ("output", "{}/none/../../../../../../../../../../proc/x", "No such file"),
        ("output", "{}/good.parquet/x", "Not a directory"),
        ("output", "{}/loop/x", "Too many levels"),
        ("output", "{}/" + LONG, "name too long"),
        ("output", "{}/" + LONG[:251] + ".csv", "name too long"),
        ("output", "o\udcff", "no path is kept that is not text in UTF-8"),
        ("output", "file://host/x", "this machine, and 'host' is another"),
        ("output", "s3://", "name a place after s3://"),
        ("output", "{}", "where readers would find what runs keep"),
        ("checkpoint", "/proc/nope", "No such file"),
        ("checkpoint", "{}/file", "Not a directory"),
        ("checkpoint", "{}/" + LONG, "name too long"),
    ],
)
def test_a_place_that_nothing_can_be_written_to_is_told_before_anything_runs(
    tmp_path: Path, good: Path, setting: str, place: str, said: str
) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").touch()
    places = {"output": str(tmp_path / "out"), setting: place.format(tmp_path)}
    assert said in refused(ConfigError, tmp_path, str(good), double, cost="rows", mode="overwrite", **places)


@pytest.mark.parametrize("dataset", ["a\0b.parquet", ["good.parquet", "a\0b.parquet"], {"path": "a\0b.parquet"}])
def test_no_path_of_a_dataset_holds_a_nul(tmp_path: Path, dataset: Any) -> None:
    message = refused(PartitionerError, tmp_path, dataset, double, cost="rows")
    assert "NUL" in message
