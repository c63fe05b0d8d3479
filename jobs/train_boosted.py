"""Boosted trees over all partitions by xgboost's own distributed training, each partition where the plan puts it.

    python -m jobs.train_boosted conf/train_boosted.yaml [--set arguments.rounds=50]

xgboost sums the histograms of every level itself, so the model is that of all rows. All of its workers hold their part to
the end, and one that dies stops them all: the model is kept every ``every`` rounds below ``output``, and the same command
goes on from the last one there. Dask alone: the engine is a cluster started here, or an ``address``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import partitioner as pt
from jobs.session import job_main
from jobs.training import configured
from partitioner.errors import ConfigError, MissingDependency
from partitioner.training import Design, Partition, keep_card, partitions


def rows_of(part: Partition, design: Design) -> tuple[Any, Any]:
    """Features float32[n, f] and labels of one partition, read where this runs."""
    table = part.table().combine_chunks()
    (batch,) = table.to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
    return np.asarray(design.matrix(batch), np.float32), np.asarray(design.labels(batch), np.float32)


def placed(client: Any, held: Sequence[Partition], design: Design) -> tuple[Any, Any]:
    """The rows of every partition of a plan as Dask arrays, each on the worker of the plan."""
    import dask.array as da

    named = client.run(lambda dask_worker: str(dask_worker.name))
    address = {name: where for where, name in named.items()}
    parts = [client.submit(rows_of, part, design, workers=[address[part.worker]], pure=False) for part in held]
    shapes = client.gather([client.submit(lambda part: part[0].shape, part) for part in parts])
    x, y = [], []
    for part, shape in zip(parts, shapes, strict=True):
        if shape[0]:
            first, second = (client.submit(lambda p, k=k: p[k], part, pure=False) for k in (0, 1))
            x.append(da.from_delayed(first, shape, np.float32))
            y.append(da.from_delayed(second, shape[:1], np.float32))
    return da.concatenate(x), da.concatenate(y)


def newest(place: Path) -> tuple[int, str | None]:
    """Rounds of the last model that is kept, and its file."""
    kept = sorted(place.glob("round-*.ubj"))
    return (int(kept[-1].stem[6:]), str(kept[-1])) if kept else (0, None)


def train(client: Any, x: Any, y: Any, given: dict[str, Any], place: Path) -> tuple[Any, dict[str, float]]:
    """The booster after all rounds, kept on the way; its metrics on the training rows, none where nothing was left to do."""
    import xgboost
    from xgboost import dask as distributed

    data = distributed.DaskDMatrix(client, x, y)
    done, file = newest(place)
    metrics: dict[str, float] = {}
    booster = None if file is None else xgboost.Booster(model_file=file)
    while done < given["rounds"]:
        count = min(given["every"], given["rounds"] - done)
        told = distributed.train(client, given["params"], data, count, evals=[(data, "train")], xgb_model=booster)
        metrics = {name: values[-1] for name, values in told["history"]["train"].items()}
        booster, done = told["booster"], done + count
        scratch = place / "unfinished.ubj"
        booster.save_model(scratch)
        scratch.replace(place / f"round-{done:06d}.ubj")  # whole or not at all
        print(f"round {done}: " + ", ".join(f"{name} {value:.6f}" for name, value in metrics.items()), flush=True)
    return booster, metrics


def cluster_of(engine: Any) -> tuple[str | None, int]:
    """The address of a running cluster, or None and how many workers to start. Raises ConfigError for another engine."""
    if isinstance(engine, str):
        engine = {"engine": "dask", "address": engine} if "://" in engine else {"engine": engine}
    wanted = {"engine": "dask", "address": None, "workers": 2, **engine}
    if wanted["engine"] != "dask":
        raise ConfigError(
            "the engine is not dask; xgboost's own training on Spark is xgboost.spark, given the session."
        )
    if unknown := sorted(set(wanted) - {"engine", "address", "workers"}):
        raise ConfigError(f"engine has no option {unknown[0]!r} here; it takes address or workers.")
    return wanted["address"], int(wanted["workers"])


def check_same(place: Path, dataset: Any, given: dict[str, Any]) -> None:
    """Models below ``place`` are of the same training. Raises ConfigError for those of another one."""
    asked = {name: value for name, value in given.items() if name not in ("rounds", "every")}
    text = json.dumps({"dataset": dataset, "arguments": asked}, sort_keys=True, default=str)
    file = place / "asked.json"
    if newest(place)[0] and file.exists() and file.read_text() != text:
        raise ConfigError(
            f"{place} holds models of another training, {file.read_text()}; this one is {text}. Give another output, or "
            "delete them."
        )
    file.write_text(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Plan, place, train, keep the model and what it was made of."""
    dataset, given, settings = configured(arguments, "Boosted trees by xgboost's own distributed training.")
    try:
        import xgboost  # noqa: F401  # before a cluster is started
    except ModuleNotFoundError as error:
        raise MissingDependency('boosted trees need xgboost: pip install "batch-partitioner[boosting]"') from error
    from distributed import Client, LocalCluster

    if "resume" in settings:
        raise ConfigError(
            "boosted rounds have no run to go on with; the same command goes on from the last model below output."
        )
    if "label" not in given or "output" not in settings:
        raise ConfigError("it needs 'label' below 'arguments:', and 'output', a local folder for the model.")
    place, (address, workers) = Path(settings.pop("output")), cluster_of(settings.pop("engine", "dask"))
    given = {"rounds": 50, "every": 10, "params": {"tree_method": "hist"}, **given}
    place.mkdir(parents=True, exist_ok=True)
    check_same(place, dataset, given)
    with ExitStack() as closing:
        if address is None:
            options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
            address = closing.enter_context(LocalCluster(**options))
        client = closing.enter_context(Client(address))
        plan = pt.plan(dataset, engine=client, **settings)
        print(f"{plan.explain(limit=0)}\n", flush=True)
        began = time.perf_counter()
        design = Design.of(given.get("features"), given["label"], given.get("width"))
        x, y = placed(client, partitions(plan, dataset), design)
        booster, metrics = train(client, x, y, given, place)
        seconds = time.perf_counter() - began
    booster.save_model(place / "model.ubj")
    card = {"dataset": dataset, "arguments": given, "rows": int(x.shape[0]), "partitions": len(plan.tasks)}
    keep_card("model.ubj", str(place), {**card, "seconds": seconds, "metrics": metrics}, "xgboost.Booster")
    said = f"{card['rows']} rows, {len(plan.tasks)} partitions, {given['rounds']} rounds, {seconds:.2f} s"
    print(f"{place / 'model.ubj'}: {said}")
    return 0


if __name__ == "__main__":
    job_main(main)
