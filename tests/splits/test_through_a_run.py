from collections import Counter

import numpy as np
import pandas as pd
import pytest

import partitioner as pt
from partitioner.errors import ConfigError


@pytest.fixture
def run(tmp_path):
    """``pt.run`` on the serial engine in a directory of its own."""

    def call(dataset, program, **options):
        quiet = {"engine": "serial", "progress": False, "report": False, "cost": "rows"}
        return pt.run(dataset, program, checkpoint=str(tmp_path), **(quiet | options))

    return call


FRAME = pd.DataFrame({"key": [i * i % 7 for i in range(60)], "x": np.arange(60.0)})


def unchanged(rows):
    return rows


def same_number_of_keys_in_one_call(rows):
    return pd.DataFrame({"key": rows["key"], "rows_of_key": rows.groupby("key")["x"].transform("size")})


def share_of_classes(rows):
    return pd.DataFrame({"key": rows["key"], "rows": rows.groupby("key")["x"].transform("size")})


def spread(rows):
    return pd.DataFrame({"x": rows["x"], "spread": rows["x"].max() - rows["x"].min()})


class Odd(Exception):
    pass


def refuses_multiples_of_seven(rows):
    if (rows["x"] % 7 == 0).any():
        raise Odd
    return rows


def test_a_grouped_call_sees_every_row_of_its_keys(run):
    done = run(FRAME, same_number_of_keys_in_one_call, split={"split": "grouped", "key": "key"}, max_tasks=3)
    found = done.result.to_pandas().groupby("key")["rows_of_key"]
    expected = FRAME.groupby("key").size()
    assert found.min().to_dict() == found.max().to_dict() == expected.to_dict()


@pytest.mark.parametrize("split_hot", [None, False])
def test_a_mean_by_key_is_that_of_pandas_with_and_without_hot_groups_split(run, split_hot):
    split = {"split": "grouped", "key": "key", "split_hot": split_hot}
    done = run(FRAME, unchanged, split=split, reducer={"reducer": "by_key", "key": "key"}, max_tasks=5)
    expected = FRAME.groupby("key")["x"].mean()
    assert done.result["key"].to_pylist() == expected.index.tolist()
    np.testing.assert_allclose(done.result["x"].to_numpy(), expected)


def test_a_program_that_trains_gets_whole_groups_however_large(run):
    clients = pd.DataFrame({"client": ["big"] * 50 + [f"c{i % 9}" for i in range(10)], "x": np.arange(60.0)})
    sizes = clients["client"].value_counts().to_dict()

    def train(rows):
        assert rows["client"].value_counts().to_dict() == {c: sizes[c] for c in rows["client"].unique()}
        return {"total": rows["x"].sum()}, len(rows)

    split = {"split": "grouped", "key": "client"}
    done = run(clients, train, split=split, reducer="weighted_mean", max_tasks=6, min_tasks_per_slot=6)
    assert len(done.records) > 1
    assert max(r.rows_in for r in done.records) >= 50


def test_a_stratified_run_gives_every_call_its_share_of_each_class(run):
    done = run(
        FRAME, share_of_classes, split={"split": "stratified", "label": "key"}, max_tasks=4, min_tasks_per_slot=4
    )
    found = done.result.to_pandas()
    for key, n in Counter(FRAME["key"].tolist()).items():
        assert set(found.loc[found["key"] == key, "rows"]) <= {n // 4, -(-n // 4)}


def test_sorted_batches_come_back_in_input_order(run):
    shuffled = FRAME.sample(frac=1, random_state=0)
    options = {"batch_size": 4, "weight": "x", "sort_by_weight": True, "max_tasks": 3}
    found = run(shuffled, spread, **options).result.to_pandas()
    assert found["x"].tolist() == shuffled["x"].tolist()
    assert found["spread"].max() < 25.0  # batches hold rows of like weight: unsorted ones spread over nearly 60


def test_sorted_batches_without_poison_rows_come_back_in_input_order(run):
    shuffled = FRAME.sample(frac=1, random_state=0)
    options = {"batch_size": 4, "weight": "x", "sort_by_weight": True, "max_tasks": 3, "on_error": "quarantine"}
    found = run(shuffled, refuses_multiples_of_seven, **options).result.to_pandas()
    assert found["x"].tolist() == [x for x in shuffled["x"] if x % 7]


def test_batches_sized_by_the_clock_lose_no_row(run):
    assert run(FRAME, unchanged, batch_size="auto").result.to_pandas()["x"].tolist() == FRAME["x"].tolist()


def test_sorting_without_a_weight_is_refused(run):
    with pytest.raises(ConfigError, match="sort_by_weight = True needs a weight"):
        run(FRAME, unchanged, sort_by_weight=True)


def test_a_weight_of_a_column_that_is_not_read_is_refused(run):
    with pytest.raises(ConfigError, match="weight reads column 'x', which is not among columns"):
        run(FRAME, unchanged, columns=["key"], weight="x", max_batch_weight=5)


def test_sorting_and_changing_the_number_of_rows_is_refused(run):
    with pytest.raises(ConfigError, match="leave out allow_row_change"):
        run(FRAME, unchanged, weight="x", sort_by_weight=True, allow_row_change=True)
