"""What a worker process loads before its first sub-task: it is paid once per process, some forty times on a wide cluster."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import partitioner as pt
from partitioner import frames
from tests.test_import import loaded_by, modules_after

WORKER_MODULES = """
import partitioner, partitioner.attempt.run, partitioner.attempt.pilot, partitioner.store.run_directory
import partitioner.reducers.base, partitioner.reducers.concat, partitioner.reducers.mean, partitioner.reducers.by_key
import partitioner.engines.preflight, partitioner.engines.local_slot, partitioner.engines.spark_task
import partitioner.engines.spark_executors, connectors.parquet, connectors.parquet_sink, connectors.csv, connectors.memory
"""
NOT_ON_A_WORKER = {"pandas", "pydantic", "typer", "rich", "dask", "distributed", "yaml", "fsspec", "scipy", "sklearn"}


def test_what_a_worker_imports_is_light() -> None:
    assert NOT_ON_A_WORKER & set(loaded_by(WORKER_MODULES)) == set()


def test_arrows_functions_are_loaded_where_something_is_computed() -> None:
    """``pyarrow.compute`` makes a Python function of each of Arrow's: about half of the CPU seconds of what is loaded."""
    without = WORKER_MODULES.replace(", partitioner.reducers.by_key", "")  # it groups by them
    assert "pyarrow.compute" not in modules_after(without)


ARRAYS = [
    "pa.array([1, 2], pa.int64())",
    "pa.table({'a': np.arange(3)})",
    "frames.to_array(['x', None])",
    "frames.to_array([[1.0], [2.0]])",
    "frames.to_numpy(pa.array(['x', None], pa.string()))",
    "frames.to_numpy(pa.chunked_array([pa.array([1, None], pa.int64())]))",
]


def test_arrays_are_made_without_pandas() -> None:
    steps = "".join(f"\n{array}; assert 'pandas' not in sys.modules, {array!r}" for array in ARRAYS)
    code = f"import sys; from partitioner import frames; frames.on_demand(); import numpy as np, pyarrow as pa{steps}"
    assert "pandas" not in loaded_by(code)


def test_pandas_that_comes_later_is_known_to_arrow() -> None:
    code = """
from partitioner.frames import on_demand; on_demand()
import pyarrow as pa
pa.array([1])
import pandas as pd
assert pa.array(pd.Series(["a", None, float("nan")], dtype=object)).null_count == 2
assert pa.table({"a": [1]}).to_pandas().shape == (1, 1)
assert pd.__spec__.loader is pd.__loader__ and type(pd.__loader__).__name__ == "SourceFileLoader"
"""
    assert "pandas" in loaded_by(code)


def test_a_frame_asked_for_first_is_made() -> None:
    code = """
from partitioner.frames import on_demand; on_demand()
import pyarrow as pa
assert list(pa.table({"a": [1]}).to_pandas()["a"]) == [1]
"""
    assert "pandas" in loaded_by(code)


def test_nothing_is_hidden_where_pandas_is_loaded() -> None:
    import pandas as pd

    before = list(sys.meta_path)
    frames.on_demand()
    assert sys.meta_path == before
    assert frames.is_frame(pd.DataFrame())
    assert frames.is_series(pd.Series(dtype=float))
    assert frames.is_index(pd.Index([]))
    assert not frames.is_frame(pa.table({}))


def loaded_here(batch: pa.RecordBatch) -> list[str]:
    """A program that says which of the heavy modules its process has loaded."""
    names = ",".join(sorted({m.partition(".")[0] for m in sys.modules} & {"pandas", "pydantic", "typer"}))
    return [names] * batch.num_rows


def test_a_run_in_arrow_loads_no_pandas_on_its_workers(checkpoint: str) -> None:
    run = pt.run(
        pa.table({"x": [1, 2]}),
        loaded_here,
        batch_format="arrow",
        cost="rows",
        engine={"engine": "dask", "workers": 1},
        checkpoint=checkpoint,
        progress=False,
        report=False,
    )
    assert run.result.to_table()["result"].to_pylist() == ["", ""]


def test_a_run_in_arrow_loads_no_pandas_in_the_driver_either(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": range(40), "kind": ["a", "b"] * 20}), tmp_path / "in.parquet", row_group_size=5)
    code = f"""
import partitioner as pt
from partitioner import choices
def same(batch): return batch
engine = choices.choose("engines", "dask")
folder = {str(tmp_path)!r}
stratified = {{"split": {{"split": "stratified", "label": "kind"}}, "reducer": "count", "engine": engine}}
for options in [{{}}, stratified, {{"output": folder + "/out", "engine": engine}}]:
    pt.run(folder + "/in.parquet", same, batch_format="arrow", checkpoint=folder + "/runs", progress=False, **options)
engine.close()
"""
    assert "pandas" not in loaded_by(code)
