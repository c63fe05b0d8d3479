"""What reducers promise where it counts: in a run, with its files, on a worker."""

import pickle

import numpy as np
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.errors import ConfigError, RunFailed
from partitioner.reducers.base import Reducer
from partitioner.reducers.mean import Mean
from partitioner.reducers.partials import dumps
from partitioner.store.run_directory import RunDirectory

DATA = pa.table({"x": np.arange(100.0)})


def run(checkpoint, program, reducer, **options):
    options = {"engine": "serial", "max_tasks": 4, "cost": "rows", "progress": False, "report": False, **options}
    return pt.run(DATA, program, reducer=reducer, checkpoint=checkpoint, **options)


def values(batch):
    return batch["x"].to_numpy()


def nothing(batch):
    values(batch).sum()


def one_nan(batch):
    return np.where(values(batch) == 60.0, np.nan, values(batch))


@pytest.mark.parametrize("reducer", ["mean", "count", "variance"])
def test_a_program_that_returns_none_is_refused(checkpoint, reducer):
    with pytest.raises(RunFailed, match="returned None"):
        run(checkpoint, nothing, reducer)


def test_nan_stops_the_run_and_names_the_sub_task(checkpoint):
    with pytest.raises(RunFailed, match=r"sub-task t0*2 failed.*NaN"):
        run(checkpoint, one_nan, "mean")


class Unmerged(Mean):
    def merge_accumulators(self, left, right):
        if left is not None and right is not None:
            raise ValueError("these do not go together.")
        return super().merge_accumulators(left, right)


class Unmade(Mean):
    def extract_output(self, accumulator):
        return 1 / 0


@pytest.mark.parametrize(
    ("reducer", "said"),
    [(Unmerged(), "ValueError: these do not go together"), (Unmade(), "ZeroDivisionError: division")],
)
def test_a_reducer_that_fails_on_the_driver_is_named_with_what_to_do(checkpoint, reducer, said):
    with pytest.raises(RunFailed, match=rf"the reducer 'mean' failed .*: {said}.*\. Raised at test_through_a_run\.py"):
        run(checkpoint, values, reducer)


def partials_of(finished):
    return RunDirectory(f"{finished.url}/partials").files


def interrupted(checkpoint):
    """A run all of whose sub-tasks are committed, and not yet reduced."""
    finished = run(checkpoint, values, "mean")
    files = partials_of(finished)
    for name in ("_SUCCESS", "_manifest.json"):
        files.delete(name)
    return finished


def resumed(finished):
    return pt.run(
        DATA, values, reducer="mean", cost="rows", max_tasks=4, engine="serial", progress=False, report=False,
        checkpoint=finished.url.rsplit("/", 1)[0], resume=finished.run_id,
    )  # fmt: skip


def test_no_partial_result_is_a_pickle(checkpoint):
    import pyarrow.parquet as pq

    finished = run(checkpoint, values, "mean")
    path = f"{finished.url}/partials/{finished.records[0].path}"
    data = pq.read_table(path)["accumulator"][0].as_py()
    assert data.startswith(b"PTVAL1")
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(data)


def test_a_partial_result_that_is_gone_is_named_and_made_again(checkpoint, capsys):
    finished = interrupted(checkpoint)
    partials_of(finished).delete(finished.records[1].path)
    assert resumed(finished).result == 49.5
    assert finished.records[1].task_key in capsys.readouterr().err


def test_a_torn_partial_result_is_named_and_made_again(checkpoint, capsys):
    finished = interrupted(checkpoint)
    path = finished.records[2].path
    whole = partials_of(finished).get(path)
    partials_of(finished).put(path, whole[: len(whole) // 2])
    assert resumed(finished).result == 49.5
    assert finished.records[2].task_key in capsys.readouterr().err


class Unwritten(Reducer):
    """Its way to write accumulators gives no bytes."""

    mergeable = True

    def create_accumulator(self):
        return 0

    def add_input(self, accumulator, value):
        return accumulator + 1

    def merge_accumulators(self, left, right):
        return left + right

    def extract_output(self, accumulator):
        return accumulator

    def serialize(self, accumulator):
        return accumulator


def test_an_accumulator_that_is_written_as_no_bytes_is_refused():
    with pytest.raises(ConfigError, match="serialize of the reducer 'Unwritten' returned int; it returns bytes"):
        dumps(Unwritten(), 3)
