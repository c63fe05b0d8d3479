"""Tables in every form, and bad values named by row and column."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partitioner.errors import ConfigError, DataError
from partitioner.model import Worker
from partitioner.placement.tables import edges_from, tasks_from, workers_from

ROWS = [{"task_id": "a", "seconds": 1.5, "cpus": 2}, {"task_id": "b", "seconds": 3, "cpus": None}]


@pytest.mark.parametrize("form", [list, pd.DataFrame, pa.Table.from_pylist], ids=["dicts", "pandas", "arrow"])
def test_tasks_from_tables_in_memory(form: type) -> None:
    tasks = tasks_from(form(ROWS))
    assert tasks.task_id.to_pylist() == ["a", "b"]
    assert (tasks.seconds.tolist(), tasks.cpus.tolist()) == ([1.5, 3.0], [2.0, 1.0])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tasks_from_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"tasks.{suffix}"
    if suffix == "csv":
        path.write_text("task_id,seconds,cpus\na,1.5,2\nb,3,\n")
    else:
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    tasks = tasks_from(path)
    assert (tasks.task_id.to_pylist(), tasks.seconds.tolist(), tasks.cpus.tolist()) == (
        ["a", "b"],
        [1.5, 3.0],
        [2.0, 1.0],
    )


def test_ids_that_look_like_numbers_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "tasks.csv"
    path.write_text("task_id,seconds\n007,1\n7,2\n")
    assert tasks_from(path).task_id.to_pylist() == ["007", "7"]


def test_defaults() -> None:
    tasks, workers = tasks_from([{"task_id": "a", "seconds": 1}]), workers_from([{"worker_id": "w"}])
    assert (tasks.cpus[0], tasks.memory_bytes[0], tasks.gpus[0], tasks.deadline[0]) == (1.0, 0.0, 0.0, np.inf)
    assert workers[0] == Worker("w")


def test_seconds_by_class_with_empty_cells() -> None:
    tasks = tasks_from(
        [{"task_id": "a", "seconds:cpu": 4, "seconds:gpu": ""}, {"task_id": "b", "seconds:gpu": 1, "seconds:cpu": 2}]
    )
    assert np.isnan(tasks.seconds_by_class["gpu"][0])
    assert tasks.seconds_by_class["cpu"].tolist() == [4.0, 2.0]


def test_labels_are_separated_by_semicolon_comma_bar_or_blank() -> None:
    tasks = tasks_from([{"task_id": "a", "seconds": 1, "requires": "ssd;zone-a"}, {"task_id": "b", "seconds": 1}])
    workers = workers_from([{"worker_id": "w", "labels": "ssd, zone-a|x y"}])
    assert {k: v.tolist() for k, v in tasks.requires.items()} == {"ssd": [True, False], "zone-a": [True, False]}
    assert workers.labels[0] == {"ssd", "zone-a", "x", "y"}


def test_named_resources_and_deadlines() -> None:
    row = {
        "task_id": "a",
        "seconds": 1,
        "resource:fpga": 2,
        "deadline_seconds": 9,
        "hard_deadline": "yes",
        "release_seconds": 3,
    }
    tasks = tasks_from([row])
    assert tasks.resources["fpga"].tolist() == [2.0]
    assert (tasks.deadline[0], tasks.release[0], tasks.hard_deadline) == (9.0, 3.0, np.array([True]))


def test_edges_by_name() -> None:
    edges = edges_from([{"source": "b", "target": "a", "delay_seconds": 2}], ["a", "b"])
    assert (edges.source.tolist(), edges.target.tolist(), edges.delay.tolist()) == ([1], [0], [2.0])


def test_an_empty_table_is_no_tasks(tmp_path: Path) -> None:
    path = tmp_path / "tasks.csv"
    path.write_text("task_id,seconds\n")
    assert len(tasks_from(path)) == 0


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_a_file_without_even_columns_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tasks.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"tasks: '.*tasks.csv' is empty. Write the table anew"):
        tasks_from(path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"task_id": "a", "seconds": -1}], r"tasks: row 1, column 'seconds': -1.*at least 0"),
        ([{"task_id": "a", "seconds": "x"}], r"row 1, column 'seconds': 'x'"),
        ([{"task_id": "a", "seconds": "nan"}], r"row 1, column 'seconds': 'nan'"),
        ([{"task_id": "a", "seconds": "inf"}], r"row 1, column 'seconds': 'inf'"),
        ([{"task_id": "a", "seconds": None}], r"row 1, column 'seconds'"),
        (
            [{"task_id": "a", "seconds": 1}, {"task_id": "a", "seconds": 1}],
            r"task_id 'a' appears twice, in rows 1 and 2",
        ),
        ([{"task_id": "", "seconds": 1}], r"row 1, column 'task_id' is empty"),
        ([{"task_id": "a", "secnds": 1}], r"unknown column 'secnds'.*Did you mean 'seconds'"),
        ([{"seconds": 1}], r"no column 'task_id'"),
        ([{"task_id": "a"}], r"no column 'seconds'"),
        ([{"task_id": "a", "seconds": 1, "memory_bytes": -5}], r"row 1, column 'memory_bytes': -5"),
        ([{"task_id": "a", "seconds": 1, "deadline_seconds": 0}], r"row 1, column 'deadline_seconds': 0.*above 0"),
        ([{"task_id": "a", "seconds:x": "", "seconds:y": ""}], r"row 1 \('a'\) has no seconds in any column"),
    ],
)
def test_bad_tasks(rows: list[dict[str, object]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tasks_from(rows)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"worker_id": "w", "speed": 0}], r"workers: row 1, column 'speed': 0.*above 0"),
        ([{"worker_id": "w", "cpus": -1}], r"row 1, column 'cpus': -1"),
        ([{"worker_id": "w", "cpus": "many"}], r"row 1, column 'cpus': 'many'"),
        ([{"worker_id": "w"}, {"worker_id": "w"}], r"worker_id 'w' appears twice"),
        ([{"name": "w"}], r"unknown column 'name'"),
    ],
)
def test_bad_workers(rows: list[dict[str, object]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        workers_from(rows)


def test_an_edge_to_an_unknown_task() -> None:
    with pytest.raises(ConfigError, match=r"edges: row 2, column 'target': no task is called 'c'"):
        edges_from([{"source": "a", "target": "b"}, {"source": "a", "target": "c"}], ["a", "b"])


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(DataError, match=r"no file 'nowhere\.csv'"):
        tasks_from("nowhere.csv")


def test_a_parquet_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "tasks.parquet"
    path.write_text("not parquet")
    with pytest.raises(DataError, match="cannot be read as a table"):
        tasks_from(path)
