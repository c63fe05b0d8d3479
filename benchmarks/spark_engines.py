"""One configuration, three engines: are the outputs byte-identical and the reduced results equal, and was the plan obeyed?

python -m benchmarks.spark_engines [--data ../shared/data] [--executors 3]

Jobs: the digits ensemble (``conf/ensemble.yaml``, train and predict), CIFAR-10 partial models, and the text job. For each
the number of files, and one sha256 over all their bytes per engine; for the reducers sha256 of what every model predicts.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from sklearn.datasets import load_digits

import partitioner as pt
from benchmarks.skewed_text import signatures
from benchmarks.spark_cluster import cluster
from benchmarks.versions import versions
from jobs.batch_inference import Predict
from jobs.train_ensemble import TrainPartial
from partitioner.engines.dask import DaskEngine
from partitioner.output.output import Output
from partitioner.storage import Directory

MODEL = {"model": "sklearn.neural_network:MLPClassifier", "label": "target", "features": "features"}
COMMON: dict[str, Any] = {"progress": False, "report": False, "seed": 7}


def digest_of(run: pt.Run) -> tuple[int, str]:
    """Number of files written, and one digest over names and bytes of all."""
    files = Directory(run.result.url if isinstance(run.result, Output) else f"{run.url}/partials")
    names = [n for n in files.names() if n.endswith(".parquet")]
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode() + files.get(name))
    return len(names), digest.hexdigest()[:16]


def digits(engine: Any, checkpoint: str) -> list[tuple[str, int, str, pt.Run]]:
    """Eight partial classifiers, then every image through all of them."""
    options = {**MODEL, "options": {"hidden_layer_sizes": [32], "max_iter": 60}}
    shared = {"batch_format": "arrow", "engine": engine, "checkpoint": checkpoint, **COMMON}
    trained = pt.run("sklearn://digits", TrainPartial, arguments=options, max_tasks=8, reducer="soft_vote", **shared)
    votes = np.concatenate([m.predict_proba(load_digits().data).ravel() for m in trained.result.members])
    arguments = {"model": trained.result, "features": "features", "keep": ["target"]}
    predicted = pt.run("sklearn://digits", Predict, arguments=arguments, max_tasks=12, **shared)
    voted = hashlib.sha256(votes.tobytes()).hexdigest()[:16]
    return [("digits ensemble, votes", 8, voted, trained), ("digits predicted", *digest_of(predicted), predicted)]


def cifar10(data: Path, engine: Any, checkpoint: str) -> list[tuple[str, int, str, pt.Run]]:
    """Four partial classifiers on 6,000 images."""
    options = {"features": "pixels", "label": "label", "model": "sklearn.linear_model:SGDClassifier"}
    trained = pt.run(
        str(data / "cifar10" / "train.parquet"),
        TrainPartial,
        arguments={**options, "options": {"max_iter": 3, "tol": None}},
        columns=["pixels", "label"],
        batch_format="arrow",
        max_tasks=4,
        reducer="hard_vote",
        engine=engine,
        checkpoint=checkpoint,
        **COMMON,
    )
    rows = pq.read_table(data / "cifar10" / "test.parquet").column("pixels").to_pylist()
    images = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1).astype(np.float64)
    votes = np.concatenate([m.predict(images) for m in trained.result.members])
    return [("CIFAR-10 ensemble, votes", 4, hashlib.sha256(votes.tobytes()).hexdigest()[:16], trained)]


def text(data: Path, engine: Any, checkpoint: str) -> list[tuple[str, int, str, pt.Run]]:
    """Signatures of all documents."""
    run = pt.run(
        str(data / "text" / "php_doc_en.parquet"),
        signatures,
        arguments={"passes": 1},
        cost="1e-6 * len(text)",
        max_tasks=40,
        min_tasks_per_slot=40,
        engine=engine,
        checkpoint=checkpoint,
        **COMMON,
    )
    return [("text signatures", *digest_of(run), run)]


def obeyed(run: pt.Run) -> str:
    """Share of the sub-tasks whose winning attempt ran where the plan put it."""
    asked = [run.plan.workers.worker_id[j] for j in run.plan.worker.tolist()]
    keys = run.plan.tasks.task_id.to_pylist()
    where = {r.task_key: r.worker_id for r in run.records}
    return f"{np.mean([where[key] == worker for key, worker in zip(keys, asked, strict=True)]):.3f}"


def main() -> None:
    """Print the table; an assertion fails where engines differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--executors", type=int, default=3)
    options = parser.parse_args()
    jobs: list[Callable[[Any, str], list[tuple[str, int, str, pt.Run]]]] = [
        digits,
        lambda engine, checkpoint: cifar10(options.data, engine, checkpoint),
        lambda engine, checkpoint: text(options.data, engine, checkpoint),
    ]
    found: dict[str, dict[str, tuple[int, str, str]]] = {}
    with tempfile.TemporaryDirectory() as checkpoint, cluster(options.executors) as spark:
        dask = DaskEngine(workers=2)
        for name, engine in (("serial", "serial"), ("dask", dask), ("spark", spark)):
            for job in jobs:
                for what, files, digest, run in job(engine, checkpoint):
                    found.setdefault(what, {})[name] = (files, digest, obeyed(run))
        dask.close()
    print(versions("pyspark", "distributed", "pyarrow", "scikit-learn"))
    print(f"{'':26}{'engine':>8}{'files':>7}{'sha256':>18}{'as planned':>12}")
    for what, engines in found.items():
        for name, (files, digest, placed) in engines.items():
            print(f"{what:26}{name:>8}{files:>7}{digest:>18}{placed:>12}")
        assert len({facts[:2] for facts in engines.values()}) == 1, f"{what}: the engines differ"
    print("identical on all engines")


if __name__ == "__main__":
    main()
