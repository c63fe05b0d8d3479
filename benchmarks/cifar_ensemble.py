"""CIFAR-10: six partial models in a soft vote against each of them; serial and Dask give the same predictions.

python -m benchmarks.cifar_ensemble [FOLDER] [--trees 40]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import partitioner as pt
from benchmarks.versions import versions
from jobs.batch_inference import Predict, matrix
from jobs.train_ensemble import TrainPartial

DATA = Path(__file__).parents[2] / "shared" / "data" / "cifar10"
PARTS = 6


def train(folder: Path, engine: Any, checkpoint: str, trees: int) -> pt.Run:
    """Partial models on sub-tasks of equal cost, combined by soft vote."""
    return pt.run(
        str(folder / "train.parquet"),
        TrainPartial,
        arguments={
            "features": "pixels",
            "label": "label",
            "model": "sklearn.ensemble:ExtraTreesClassifier",
            "options": {"n_estimators": trees},
        },
        columns=["pixels", "label"],
        batch_format="arrow",
        cost="rows",
        max_tasks=PARTS,
        min_tasks_per_slot=PARTS,
        reducer="soft_vote",
        engine=engine,
        checkpoint=checkpoint,
        seed=7,
        progress=False,
        report=False,
    )


def predict(folder: Path, ensemble: Any, engine: Any, checkpoint: str) -> np.ndarray:
    """The second mapped pass, over the test images."""
    run = pt.run(
        str(folder / "test.parquet"),
        Predict,
        arguments={"model": ensemble, "features": "pixels"},
        columns=["pixels"],
        batch_format="arrow",
        cost="rows",
        max_tasks=8,
        engine=engine,
        checkpoint=checkpoint,
        progress=False,
        report=False,
    )
    return np.asarray(run.result.to_table()["prediction"])


def main() -> None:
    """Print accuracies, and whether the engines agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=DATA)
    parser.add_argument("--trees", type=int, default=40)
    options = parser.parse_args()
    print(versions("dask", "scikit-learn", "pyarrow"))
    test = pq.read_table(options.folder / "test.parquet")
    x, y = matrix(pa.Table.to_batches(test.combine_chunks())[0], "pixels"), test["label"].to_numpy()
    predictions = {}
    with tempfile.TemporaryDirectory() as checkpoint:
        for name, engine in (("serial", "serial"), ("dask", {"engine": "dask", "workers": 2})):
            begin = time.perf_counter()
            trained = train(options.folder, engine, checkpoint, options.trees)
            predictions[name] = predict(options.folder, trained.result, engine, checkpoint)
            print(f"{name}: {len(trained.records)} partial models, {time.perf_counter() - begin:.1f} s")
    members = [float(np.mean(member.predict(x) == y)) for member in trained.result.members]
    ensemble = float(np.mean(predictions["dask"] == y))
    for i, value in enumerate(members):
        print(f"partial model {i}  accuracy {value:.4f}")
    print(
        f"ensemble         accuracy {ensemble:.4f} on {len(y)} test images; beats every member: {ensemble > max(members)}"
    )
    same = np.array_equal(predictions["serial"], predictions["dask"])
    print(f"serial and dask predict identically: {same}")


if __name__ == "__main__":
    main()
