"""Federated averaging of a softmax classifier: every client trains on its own rows, parameters are merged in rounds.

    python -m jobs.train_federated conf/train_federated.yaml [--set rounds=20]

``arguments``: ``client`` and ``label`` columns, ``features`` a column of vectors, ``width`` and ``classes`` how many;
``steps`` and ``rate`` of a client's gradient descent, ``proximal`` for FedProx, ``server`` ``average`` or ``adam``;
``merge`` a reducer of parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.session import job_main
from jobs.training import configured, kept
from partitioner.errors import ConfigError
from partitioner.training import Design, federate


def softmax_steps(
    rows: pa.RecordBatch, parameters: Any, *, design: Design, classes: int, steps: int, rate: float, proximal: float
) -> tuple[Any, float]:
    """``steps`` of full-batch gradient descent from the shared parameters, drawn back to them by ``proximal``."""
    x, y = design.matrix(rows), design.labels(rows).astype(int)
    x = x / max(1.0, float(np.abs(x).max()))
    weights, bias = parameters["weights"].copy(), parameters["bias"].copy()
    wanted = np.eye(classes)[y]
    for _ in range(steps):
        scores = x @ weights + bias
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        rest = (shares / shares.sum(axis=1, keepdims=True) - wanted) / len(x)
        weights -= rate * (x.T @ rest + proximal * (weights - parameters["weights"]))
        bias -= rate * (rest.sum(axis=0) + proximal * (bias - parameters["bias"]))
    return {"weights": weights, "bias": bias}, float(len(x))


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, keep the parameters with their card."""
    dataset, model, settings = configured(arguments, "Federated averaging.")
    needed = ("client", "features", "label", "classes", "width")
    missing = [name for name in needed if name not in model]
    if missing:
        raise ConfigError(f"arguments need {missing[0]!r}; write it below 'arguments:'.")
    place, client = settings.pop("output", None), model["client"]
    design = Design.of(model["features"], model["label"])
    options = {"steps": model.get("steps", 10), "rate": model.get("rate", 0.5), "proximal": model.get("proximal", 0.0)}
    train = partial(softmax_steps, design=design, classes=model["classes"], **options)
    start = {"weights": np.zeros((model["width"], model["classes"])), "bias": np.zeros(model["classes"])}
    server = {name: model[name] for name in ("server", "merge") if name in model}
    found = federate(dataset, train, start, client=client, batch_format="arrow", **server, **settings)
    facts = {"run": found.url, "rounds": len(found.rounds), "rows": found.rounds[0].rows}
    kept(found.state["parameters"], place or f"{found.url}/model", dataset, model, facts)
    return 0


if __name__ == "__main__":
    job_main(main)
