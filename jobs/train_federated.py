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

import partitioner as pt
from jobs.session import job_main
from jobs.training import configured, kept
from partitioner.errors import ConfigError
from partitioner.training import Design, federate


def softmax_steps(
    rows: pa.RecordBatch, parameters: Any, *, design: Design, classes: int, steps: int, rate: float, proximal: float
) -> tuple[Any, float]:
    """``steps`` of full-batch gradient descent from the shared parameters, drawn back to them by ``proximal``."""
    x, y = design.matrix(rows), design.labels(rows).astype(int)
    x = _scaled(x)
    weights, bias = parameters["weights"].copy(), parameters["bias"].copy()
    wanted = np.eye(classes)[y]
    for _ in range(steps):
        scores = x @ weights + bias
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        rest = (shares / shares.sum(axis=1, keepdims=True) - wanted) / len(x)
        weights -= rate * (x.T @ rest + proximal * (weights - parameters["weights"]))
        bias -= rate * (rest.sum(axis=0) + proximal * (bias - parameters["bias"]))
    return {"weights": weights, "bias": bias}, float(len(x))


class Right:
    """Of each row whether the class with the highest score is its label."""

    def __init__(self, design: Design, parameters: Any) -> None:
        self.design, self.parameters = design, parameters

    def __call__(self, batch: pa.RecordBatch) -> Any:
        """float64[n] of 0 and 1."""
        x = _scaled(self.design.matrix(batch))
        said = np.argmax(x @ self.parameters["weights"] + self.parameters["bias"], axis=1)
        return (said == self.design.labels(batch).astype(int)).astype(float)


def accuracy(dataset: Any, design: Design, parameters: Any, settings: dict[str, Any]) -> float:
    """The share of the training rows that the shared parameters tell right, by one more run."""
    about = {name: settings[name] for name in ("engine", "checkpoint", "progress", "report") if name in settings}
    values = {"design": design, "parameters": parameters}
    judged = pt.run(dataset, Right, arguments=values, reducer="mean", batch_format="arrow", cost="rows", **about)
    return float(judged.result)


def _scaled(x: Any) -> Any:
    """Pixels as shares of the largest."""
    return x / max(1.0, float(np.abs(x).max(initial=0.0)))


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
    parameters = found.state["parameters"]
    facts = {"run": found.url, "rounds": len(found.rounds), "rows": found.rounds[0].rows}
    facts["metrics"] = {"accuracy": accuracy(dataset, design, parameters, settings)}
    kept(parameters, place or f"{found.url}/model", dataset, model, facts)
    return 0


if __name__ == "__main__":
    job_main(main)
