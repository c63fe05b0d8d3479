"""Several models on one dataset as a graph: features, models side by side, their combination, its evaluation.

    python -m jobs.pipeline conf/pipeline.yaml [--set parts=8] [--resume RUN_ID]

``steps`` of the configuration are those of ``pt.pipeline``; what is said here (``features``, ``train``, ``vote``,
``evaluate``) serves any table with a column of vectors and a label, and a configuration may name its own project's programs.
``keep`` lists steps whose results are kept below ``output``, each with a model card.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

import partitioner as pt
from jobs.batch_inference import matrix
from jobs.session import job_main
from jobs.train_ensemble import LEARNERS, held_back
from partitioner.errors import ConfigError, nearest
from partitioner.training import keep

Batch = pa.RecordBatch


def features(batch: Batch, column: str, label: str, scale: float = 1.0, one_in: int = 4) -> dict[str, Any]:
    """``x`` divided by ``scale``, ``y``, and ``test``: one row in ``one_in``, by a checksum of its content."""
    x = matrix(batch, column)
    return {"x": x / scale, "y": np.asarray(batch[label]), "test": held_back(x, one_in)}


def train(batch: Batch, model: str, **options: Any) -> Any:
    """A ``model`` (``"package.module:Class"``) fitted to the rows that are not for the test."""
    module, _, name = model.partition(":")
    if module.partition(".")[0] not in LEARNERS:
        raise ConfigError(f"model is {model!r}; a configuration names a model of {', '.join(LEARNERS)}.")
    rows = batch.filter(pa.array(~np.asarray(batch["test"])))
    return vars(importlib.import_module(module))[name](**options).fit(matrix(rows, "x"), np.asarray(rows["y"]))


def vote(batch: Batch, **models: Any) -> dict[str, Any]:
    """The prediction of each model for the rows of the test, and ``together``, that of their mean probability."""
    rows = batch.filter(pa.array(np.asarray(batch["test"])))
    shares = {name: model.predict_proba(matrix(rows, "x")) for name, model in models.items()}
    classes = next(iter(models.values())).classes_
    said = {name: classes[share.argmax(axis=1)] for name, share in shares.items()}
    return {"y": np.asarray(rows["y"]), **said, "together": classes[sum(shares.values()).argmax(axis=1)]}


def evaluate(batch: Batch) -> dict[str, float]:
    """How many of the predictions in each column are right, and how many rows there are: numbers that add up."""
    y = np.asarray(batch["y"])
    right = {name: float((np.asarray(batch[name]) == y).sum()) for name in batch.schema.names if name != "y"}
    return {**right, "rows": float(len(y))}


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the plan, run it, print the last step's result and seconds, keep what was asked for."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("conf")
    parser.add_argument("--set", action="append", default=[], metavar="key=value")
    parser.add_argument("--resume", metavar="RUN_ID", help="go on with an earlier run")
    given = parser.parse_args(arguments)
    values = pt.load_settings(given.conf, given.set, allow_modules=["jobs"])
    values.pop("job", None)
    if "steps" not in values:
        raise ConfigError(f"{given.conf} names no steps.{nearest('steps', list(values))}")
    kept, place = values.pop("keep", []), values.pop("output", None)
    found = pt.pipeline(
        values.pop("steps"),
        values.pop("dataset", None),
        on_plan=lambda plan: print(f"{plan.explain(limit=0)}\n", flush=True),
        resume=given.resume,
        **values,
    )
    for name, seconds in found.seconds.items():
        print(f"{name:12} {seconds:8.3f} s")
    print(f"{found.steps[-1].name}: {json.dumps(found.result, default=str)}\nrun          {found.url}")
    card = {"run": found.url, "dataset": str(values.get("dataset")), "result": found.result, "seconds": found.seconds}
    for name in kept:
        folder = f"{place or f'{found.url}/models'}/{name}"
        print(f"{name:12} {folder}/{keep(found[name], folder, {'step': name, **card})}")
    return found.run.exit_code


if __name__ == "__main__":
    job_main(main)
