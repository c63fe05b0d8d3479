"""filter, sample and limit: less of a dataset, the same on every engine and however it is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from connectors.csv import CsvSource
from connectors.parquet import ParquetSource
from partitioner.errors import ConfigError, DataError
from partitioner.model import Dataset
from partitioner.running import run_config
from partitioner.runs.resume import from_directory
from partitioner.stages.filters import parse
from partitioner.stages.narrowing import less_of

TABLE = pa.table({"x": range(100), "c": ["a", "b"] * 50})


def parquet(folder: Path) -> Dataset:
    pq.write_table(TABLE, folder / "x.parquet", row_group_size=10)
    return ParquetSource(folder).describe()


def csv(folder: Path) -> Dataset:
    (folder / "x.csv").write_text("x,c\n" + "".join(f"{x},{'ab'[x % 2]}\n" for x in range(100)))
    return CsvSource(folder, fragment_bytes=60).describe()


MADE = {"parquet": parquet, "csv": csv}


def x_of(dataset: Dataset) -> list[int]:
    parts = [b for i in range(len(dataset.fragments)) for b in dataset.source.read(dataset.fragments[i], ["x"])]
    return [x for batch in parts for x in batch.column("x").to_pylist()]


FILTERS: dict[str, tuple[Any, list[int]]] = {
    "text": ("x >= 95", [95, 96, 97, 98, 99]),
    "and": ("x > 95 and c == 'a'", [96, 98]),
    "or, not": ("x < 2 or not x < 99", [0, 1, 99]),
    "chain": ("3 <= x < 5", [3, 4]),
    "in": ("x in [7, 8] and c not in ['a']", [7]),
    "value first": ("98 < x", [99]),
    "columns": ("x == x and x < 1", [0]),
    "triples": ([("x", ">", 97)], [98, 99]),
    "triples without tuples": ([["x", ">", 97], ["c", "==", "a"]], [98]),
    "one triple": (["x", ">", 98], [99]),
    "groups of triples": ([[("x", "<", 1)], [("x", ">", 98)]], [0, 99]),
    "expression": (pc.field("x") > 98, [99]),
    "nothing": ("x is None", []),
}


@pytest.mark.parametrize("form", sorted(MADE))
@pytest.mark.parametrize("case", FILTERS)
def test_a_filter_keeps_the_rows_for_which_it_is_true(tmp_path: Path, case: str, form: str) -> None:
    given, expected = FILTERS[case]
    assert x_of(less_of(MADE[form](tmp_path), parse(given), None, None, 0)) == expected


def test_a_sample_is_the_same_wherever_the_data_lies(tmp_path: Path) -> None:
    samples = []
    for name in ("a", "b/c"):
        (tmp_path / name).mkdir(parents=True)
        samples.append(x_of(less_of(parquet(tmp_path / name), None, 0.3, None, 7)))
    assert samples[0] == samples[1]


def test_row_groups_that_statistics_rule_out_are_not_read(tmp_path: Path) -> None:
    dataset = less_of(parquet(tmp_path), parse("x >= 85"), None, None, 0)
    assert dataset.fragments.section.tolist() == [8, 9]


def test_partition_folders_that_are_ruled_out_are_not_read(tmp_path: Path) -> None:
    for year in (2023, 2024):
        (tmp_path / f"year={year}").mkdir()
        pq.write_table(pa.table({"x": [year]}), tmp_path / f"year={year}" / "x.parquet")
    dataset = less_of(ParquetSource(tmp_path).describe(), parse("year > 2023"), None, None, 0)
    assert (len(dataset.fragments), x_of(dataset)) == (1, [2024])


REFUSED = {
    "unknown column": ("y > 1", DataError, "filter names column 'y'; there are x, c"),
    "a part of a text": ("'a' in c", ConfigError, "filter \"'a' in c\" holds \"'a'\", which is not understood"),
    "in a number": ("x in 1", ConfigError, "after 'in' comes a list such as .1, 2., and 1 is none"),
    "in a text": ("c in 'ab'", ConfigError, "after 'in' comes a list such as .1, 2., and 'ab' is none"),
    "a list of several types": ("x in [1, 'a']", ConfigError, "holds values of several types, and a column has one"),
    "no syntax": ("x >", ConfigError, "filter 'x >' cannot be read"),
    "a call": ("len(c) > 1", ConfigError, r"holds 'len\(c\)', which is not understood; compare columns with values"),
    "a number": (5, ConfigError, "filter is a int; give a text"),
    "types": ("c > 1", DataError, "cannot be evaluated"),
    "no triples": ([("x", "~", 1)], ConfigError, "is no list of"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_evaluated_is_refused(tmp_path: Path, case: str) -> None:
    given, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        less_of(parquet(tmp_path), parse(given), None, None, 0)


@pytest.mark.parametrize("form", sorted(MADE))
@pytest.mark.parametrize("limit", [1, 10, 15, 100, 1000])
def test_a_limit_takes_the_first_rows(tmp_path: Path, form: str, limit: int) -> None:
    dataset = less_of(MADE[form](tmp_path), None, None, limit, 0)
    assert x_of(dataset) == list(range(min(limit, 100)))
    assert dataset.rows == min(limit, 100)


DAYS = pa.table({"x": [1, 2, 3, 4], "day": pa.array([19723, 19724, None, 19725], pa.date32())})
"""2024-01-01 and the two days after it; one has none."""

BY_DAY: dict[str, tuple[Any, list[int]]] = {
    "text": ("day >= '2024-01-02'", [2, 4]),
    "value first": ("'2024-01-02' > day", [1]),
    "in": ("day in ['2024-01-01', '2024-01-03']", [1, 4]),
    "triples": ([["day", ">=", "2024-01-02"]], [2, 4]),
    "triples in": ([["day", "in", ["2024-01-01"]]], [1]),
    "equals None": ("day == None", [3]),
    "not equals None": ("day != None and x > 1", [2, 4]),
}


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("us"), pa.timestamp("ns", "UTC")], ids=str)
@pytest.mark.parametrize("case", BY_DAY)
def test_dates_in_a_filter_are_written_as_text(tmp_path: Path, case: str, kind: pa.DataType) -> None:
    naive = DAYS["day"].cast(pa.timestamp("us")).cast(kind) if pa.types.is_timestamp(kind) else DAYS["day"]
    pq.write_table(DAYS.set_column(1, "day", naive), tmp_path / "x.parquet", row_group_size=1)
    given, expected = BY_DAY[case]
    assert x_of(less_of(ParquetSource(tmp_path).describe(), parse(given), None, None, 0)) == expected


def test_a_limit_comes_after_the_filter(tmp_path: Path) -> None:
    assert x_of(less_of(parquet(tmp_path), parse("c == 'b'"), None, 7, 0)) == [1, 3, 5, 7, 9, 11, 13]


def test_a_sample_is_the_same_however_the_rows_are_cut(tmp_path: Path) -> None:
    dataset = less_of(parquet(tmp_path), None, 0.3, None, 7)
    whole = x_of(dataset)
    finer, _ = dataset.fragments.cut(np.full(len(dataset.fragments), 3))
    assert 15 < len(whole) < 45
    assert x_of(Dataset(dataset.source, finer, dataset.schema, "rows")) == whole
    assert x_of(less_of(parquet(tmp_path), None, 0.3, None, 8)) != whole
    assert x_of(less_of(parquet(tmp_path), None, 1.0, None, 7)) == list(range(100))


def same(rows: pd.DataFrame) -> pd.DataFrame:
    return rows


def test_a_run_takes_them_all(checkpoint: str) -> None:
    options: dict[str, Any] = {"engine": "serial", "progress": False, "report": False, "cost": "bytes"}
    finished = pt.run(TABLE, same, filter="x >= 10", limit=5, columns=["c"], checkpoint=checkpoint, **options)
    assert finished.result.to_table().to_pydict() == {"c": ["a", "b", "a", "b", "a"]}
    assert finished.counts["rows_in"] == 5
    sampled = pt.run(TABLE, same, sample=0.5, checkpoint=checkpoint, **options).result.to_table()["x"].to_pylist()
    assert set(sampled) < set(range(100))
    assert 30 < len(sampled) < 70


@pytest.mark.parametrize("split", ["ordered", {"split": "grouped", "key": "c"}])
def test_a_resume_from_the_directory_alone_takes_the_same_rows(checkpoint: str, split: Any) -> None:
    options: dict[str, Any] = {"engine": "serial", "progress": False, "report": False, "cost": "bytes", "max_tasks": 4}
    first = pt.run(TABLE, same, filter="x >= 10", sample=0.5, limit=30, split=split, checkpoint=checkpoint, **options)
    rows = first.result.to_table().to_pylist()
    lost = first.records[-1]
    Path(first.url, "output", lost.path).unlink()
    first.directory.files.delete(f"commits/{lost.task_key}.json")
    again = run_config(from_directory(first.directory, {}), resume=first.run_id)
    assert again.result.to_table().to_pylist() == rows
    assert again.attempted == 1
