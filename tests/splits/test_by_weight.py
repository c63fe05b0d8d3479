"""Rows of like weight together across fragments, and their output back in order, through whole runs."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import partitioner as pt
from partitioner.commands.quarantine import retry
from partitioner.costs.resolve import resolve as cost_of
from partitioner.errors import ConfigError, DataError
from partitioner.model import Limits
from partitioner.splits.by_weight import ByWeight
from partitioner.splits.weighed import Kept

LENGTHS = [5, 1, 9, 2, 8, 3, 7, 4, 6, 10, 1, 9]
TABLE = pa.table({"x": range(12), "text": ["a" * n for n in LENGTHS]})


def run(table: Any, program: Any, checkpoint: str, **options: Any) -> pt.Run:
    given = {"split": "by_weight", "weight": "len(text)", "cost": "rows", "engine": "serial", "max_tasks": 3}
    given |= {"min_tasks_per_slot": 3, "progress": False, "report": False, "checkpoint": checkpoint}
    return pt.run(table, program, **{**given, **options})


def with_lengths(batch: pd.DataFrame) -> pd.DataFrame:
    """What the program saw beside each row: how long the longest of its call was."""
    lengths = batch["text"].str.len()
    return pd.DataFrame({"x": batch["x"], "own": lengths, "longest": lengths.max(), "first": batch["x"].iloc[0]})


def test_rows_of_like_weight_share_a_sub_task_and_come_back_in_order(checkpoint: str) -> None:
    rows = run(TABLE, with_lengths, checkpoint).result.to_pandas()
    assert rows["x"].tolist() == list(range(12))
    assert rows["own"].tolist() == LENGTHS
    by_task = rows.groupby("first")["own"].agg(["max", "min"]).sort_values("max")
    assert (by_task["max"].to_numpy()[:-1] <= by_task["min"].to_numpy()[1:]).all()
    assert rows.groupby("first")["own"].sum().tolist() == pytest.approx([65 / 3] * 3, abs=6)


def test_a_call_of_a_sub_task_gets_its_heaviest_rows_first(checkpoint: str) -> None:
    rows = run(TABLE, with_lengths, checkpoint, batch_size=2, padded=True).result.to_pandas()
    assert (rows["longest"] - rows["own"]).max() <= 1


def test_the_output_folder_is_in_order_too(checkpoint: str, tmp_path: Path) -> None:
    finished = run(TABLE, with_lengths, checkpoint, output=tmp_path / "out")
    assert pq.read_table(tmp_path / "out")["x"].to_pylist() == list(range(12))
    assert finished.result.to_table()["x"].to_pylist() == list(range(12))
    assert finished.result.to_dask().compute()["x"].tolist() == list(range(12))
    assert finished.result.head(3)["x"].tolist() == [0, 1, 2]


def test_without_order_the_files_are_those_of_the_sub_tasks(checkpoint: str, tmp_path: Path) -> None:
    finished = run(TABLE, with_lengths, checkpoint, output=tmp_path / "out", preserve_order=False)
    assert sorted(finished.result.to_table()["x"].to_pylist()) == list(range(12))
    assert len(finished.result.paths) == 3
    assert all(Path(path).parent == tmp_path / "out" for path in finished.result.paths)


def fails_on_the_longest(batch: pd.DataFrame) -> pd.DataFrame:
    if (batch["text"].str.len() == 10).any() or (batch["x"] == 6).any():
        raise ValueError("too long")
    return batch[["x"]]


@pytest.mark.parametrize("sort", [False, True])
def test_order_holds_around_rows_set_aside(checkpoint: str, tmp_path: Path, sort: bool) -> None:
    options = {"on_error": "quarantine", "batch_size": 2, "sort_by_weight": sort, "output": tmp_path / "out"}
    finished = run(TABLE, fails_on_the_longest, checkpoint, **options)
    kept = [x for x in range(12) if x not in (6, 9)]
    assert finished.result.to_table()["x"].to_pylist() == kept
    assert pq.read_table(tmp_path / "out")["x"].to_pylist() == kept
    assert finished.quarantined == 2


def test_rows_of_a_retry_are_not_merged_into_files_out_of_order(checkpoint: str, tmp_path: Path) -> None:
    finished = run(TABLE, fails_on_the_longest, checkpoint, on_error="quarantine", output=tmp_path / "out")
    with pytest.raises(ConfigError, match="put the rows of its sub-tasks back in order one by one"):
        retry(finished.directory, merge=True)
    assert pq.read_table(tmp_path / "out")["x"].to_pylist() == [x for x in range(12) if x not in (6, 9)]


def dies_with_two(batch: pd.DataFrame, folder: str) -> pd.DataFrame:
    """Kills its process where it gets more than one row of a sub-task that holds row 9."""
    if (batch["x"] == 9).any() and len(batch) > 1 and pt.task_context().task_key != "trial":
        os.kill(os.getpid(), 9)
    return batch[["x"]]


def test_order_holds_where_deaths_split_a_sub_task(dask_engine: Any, checkpoint: str, tmp_path: Path) -> None:
    options = {"engine": {"engine": "dask", "workers": 2}, "arguments": {"folder": str(tmp_path)}}
    finished = run(TABLE, dies_with_two, checkpoint, **options)
    assert finished.result.to_table()["x"].to_pylist() == list(range(12))
    assert any(record.part is not None for record in finished.records)


def several_files(folder: Path) -> str:
    for i in range(4):
        part = pa.table({"x": range(30 * i, 30 * i + 30), "text": ["b" * ((7 * j) % 31 + i) for j in range(30)]})
        pq.write_table(part, folder / f"{i}.parquet", row_group_size=10)
    return f"{folder}/*.parquet"


def test_rows_of_all_files_find_each_other(checkpoint: str, tmp_path: Path) -> None:
    rows = run(
        several_files(tmp_path), with_lengths, checkpoint, max_tasks=10, min_tasks_per_slot=10
    ).result.to_pandas()
    assert rows["x"].tolist() == list(range(120))
    by_task = rows.groupby("first")["own"].agg(["max", "min"]).sort_values("max")
    assert (by_task["max"].to_numpy()[:-1] <= by_task["min"].to_numpy()[1:]).all()
    files = rows.assign(file=rows["x"] // 30).groupby("first")["file"].nunique()
    assert files.min() >= 3


def test_within_a_reach_only_and_neighbours_are_alike(tmp_path: Path) -> None:
    from connectors.resolve import resolve

    dataset = resolve(several_files(tmp_path)).describe()
    one_file = int(dataset.fragments.bytes.reshape(4, 3).sum(axis=1).max())
    splitter = ByWeight("len(text)", reach=one_file)
    seen, _ = splitter.prepare(dataset)
    assert sorted(set(seen.fragments.section.tolist())) == [0, 1, 2, 3]
    rows = [b.to_pydict() for i in range(len(seen.fragments)) for b in seen.source.read(seen.fragments[i])]
    lengths = [len(text) for row in rows for text in row["text"]]
    assert lengths[:30] == sorted(lengths[:30], reverse=True)
    assert lengths[30:60] == sorted(lengths[30:60])
    assert lengths[60:90] == sorted(lengths[60:90], reverse=True)


def test_only_what_is_needed_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from connectors.parquet import ParquetSource
    from connectors.resolve import resolve

    asked: list[tuple[str, int, Any]] = []
    plainly = ParquetSource.read

    def noted(self: Any, fragment: Any, columns: Any = None) -> Any:
        asked.append((Path(fragment.path).name, fragment.section, columns))
        return plainly(self, fragment, columns)

    monkeypatch.setattr(ParquetSource, "read", noted)
    table = pa.table({"x": range(20), "n": [*range(10), *range(100, 110)], "wide": ["w"] * 20})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=10)
    dataset = resolve(f"{tmp_path}/t.parquet").describe()
    splitter = ByWeight("n")
    seen, costs = splitter.prepare(dataset, cost_of("rows").estimate(dataset))
    assert sorted(asked) == [("t.parquet", 0, ["n"]), ("t.parquet", 1, ["n"])]
    tasks = splitter.split(seen, costs, Limits(max_tasks=10, min_tasks_per_slot=10))
    asked.clear()
    heaviest = tasks.fragments[int(tasks.fragments_of(0)[0])]
    assert [b["x"].to_pylist() for b in seen.source.read(heaviest, ["x"])] == [[19]]
    assert asked == [("t.parquet", 1, ["x"])]
    list(seen.source.read(heaviest, ["x"]))
    assert len(asked) == 1  # kept by the process


def test_what_is_kept_is_bounded_and_the_reach_in_use_stays() -> None:
    one = pa.table({"x": range(100)})  # 800 bytes
    kept, made = Kept(2000), list[str]()

    def get(reach: int, key: str) -> None:
        def make() -> pa.Table:
            made.append(key)
            return one

        assert kept.get(reach, key, make).equals(one)

    for reach, key in [(0, "a"), (0, "b"), (0, "c"), (0, "a"), (0, "b"), (1, "d"), (0, "b"), (1, "d")]:
        get(reach, key)
    assert made == ["a", "b", "c", "d"]  # no room for c; d takes that of a
    assert pickle.loads(pickle.dumps(kept)).most_bytes == 2000


def prefixes_seen(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"x": batch["x"], "task": pt.task_context().task_key, "prefix": batch["text"].str[:2]})


def test_rows_of_one_prefix_stay_in_one_sub_task(checkpoint: str) -> None:
    texts = [f"{'abcdefgh'[i % 8]}:{'z' * (i * 13 % 40)}" for i in range(96)]
    table = pa.table({"x": range(96), "text": texts})
    split = {"split": "by_weight", "prefix": "text", "prefix_length": 2}
    rows = run(table, prefixes_seen, checkpoint, split=split, max_tasks=4, min_tasks_per_slot=4).result.to_pandas()
    assert rows["x"].tolist() == list(range(96))
    assert rows.groupby("prefix")["task"].nunique().max() == 1
    assert rows["task"].nunique() == 4


def test_a_prefix_larger_than_a_sub_task_is_parted(checkpoint: str) -> None:
    table = pa.table({"x": range(90), "text": ["a:" + "z" * (i % 7) for i in range(90)]})
    split = {"split": "by_weight", "prefix": "text", "prefix_length": 2}
    rows = run(table, prefixes_seen, checkpoint, split=split, max_tasks=3).result.to_pandas()
    assert rows["task"].nunique() == 3
    assert rows["x"].tolist() == list(range(90))


def test_a_run_goes_on_where_it_stopped(checkpoint: str, tmp_path: Path) -> None:
    def program(batch: pd.DataFrame, folder: str) -> pd.DataFrame:
        if not Path(folder, "mended").exists() and (batch["x"] == 1).any():
            raise ValueError("not yet")
        return batch[["x"]]

    options = {"arguments": {"folder": str(tmp_path)}, "max_retries": 0, "name": "again"}
    with pytest.raises(pt.PartitionerError, match="not yet"):
        run(TABLE, program, checkpoint, **options)
    (tmp_path / "mended").touch()
    finished = run(TABLE, program, checkpoint, resume="auto", **options)
    assert finished.result.to_table()["x"].to_pylist() == list(range(12))
    assert finished.attempted < 3


def test_costs_follow_the_weight_where_the_model_knows_no_rows() -> None:
    from connectors.resolve import resolve

    dataset = resolve(TABLE).describe()
    splitter = ByWeight("len(text)")
    seen, costs = splitter.prepare(dataset, cost_of("rows").estimate(dataset))
    assert costs.seconds.sum() == pytest.approx(12)
    by_row = cost_of("len(text)").estimate(dataset)
    _, exact = splitter.prepare(dataset, by_row)
    assert exact.record_seconds.tolist() == sorted(LENGTHS, reverse=True)
    tasks = splitter.split(seen, exact, Limits(max_tasks=4, min_tasks_per_slot=4))
    assert tasks.seconds.max() <= 65 / 4 + 10


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"weight": None}, ConfigError, "split 'by_weight' needs a weight of rows: give weight="),
        ({"weight": "len(txt)"}, DataError, r"reads column 'txt'; there are x, text\. Did you mean 'text'"),
        ({"split": {"split": "by_weight", "prefix": "tex"}}, DataError, "prefix reads column 'tex'; there are x, text"),
        (
            {"split": {"split": "by_weight", "prefix_length": 3}},
            ConfigError,
            "prefix_length = 3 is how much of prefix=",
        ),
        ({"split": {"split": "by_weight", "reach": 0}}, ConfigError, "reach = 0"),
        ({"allow_row_change": True}, ConfigError, "leave out allow_row_change, or set preserve_order=False"),
        (
            {"mode": "incremental", "output": "out"},
            ConfigError,
            "mode='incremental' keeps what came of single files, and split",
        ),
        ({"mode": "incremental", "output": "out", "preserve_order": False}, ConfigError, "mixes rows of many places"),
    ],
)
def test_what_does_not_go_together_is_refused(
    checkpoint: str, tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    if "output" in options:
        options = {**options, "output": str(tmp_path / options["output"])}
    with pytest.raises(error, match=message):
        run(TABLE, with_lengths, checkpoint, **options)


def test_nothing_to_split(checkpoint: str) -> None:
    finished = run(TABLE.slice(0, 0), lambda batch: batch[["x"]], checkpoint)
    assert len(finished.result) == 0


@settings(max_examples=25, deadline=None)
@given(
    weights=st.lists(st.integers(0, 50), min_size=1, max_size=60),
    groups=st.lists(st.integers(0, 3), min_size=60, max_size=60),
    tasks=st.integers(1, 9),
    reach=st.sampled_from([1, 300, 10_000]),
    prefix=st.booleans(),
)
def test_every_row_is_in_one_sub_task_and_knows_its_place(
    weights: list[int], groups: list[int], tasks: int, reach: int, prefix: bool
) -> None:
    from connectors.memory import MemorySource

    data = pa.table({"x": range(len(weights)), "n": weights, "g": [str(g) for g in groups[: len(weights)]]})
    dataset = MemorySource(data).describe()
    splitter = ByWeight("n", prefix="g" if prefix else None, reach=reach)
    seen, costs = splitter.prepare(dataset, cost_of("rows").estimate(dataset))
    made = splitter.split(seen, costs, Limits(max_tasks=tasks, min_tasks_per_slot=tasks))
    read: list[int] = []
    told: list[int] = []
    for i in made.fragment_index.tolist():
        fragment = made.fragments[i]
        got = [x for batch in seen.source.read(fragment, ["x"]) for x in batch["x"].to_pylist()]
        assert len(got) == fragment.rows
        read += got
        told += seen.source.places(fragment).tolist()
    assert sorted(read) == list(range(len(weights)))
    assert read == told
