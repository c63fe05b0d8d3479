"""Federated averaging of a softmax classifier: every client trains on its own rows, parameters are merged in rounds.

    python -m jobs.train_federated conf/train_federated.yaml [--set rounds=20]

``arguments``: ``client`` and ``label`` columns, ``features`` a column of vectors, ``width`` and ``classes`` how many;
``scale``, by which features are divided (by default the largest of all rows, which takes a run); ``steps`` and ``rate`` of
a client's gradient descent, ``proximal`` for FedProx, ``server`` ``average`` or ``adam``; ``merge`` a reducer of parameters,
``privacy`` as in ``partitioner.training.federate``.
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
from partitioner.errors import ConfigError, nearest
from partitioner.training import Design, federate


def softmax_steps(
    rows: pa.RecordBatch,
    parameters: Any,
    *,
    design: Design,
    scale: float,
    classes: int,
    steps: int,
    rate: float,
    proximal: float,
) -> tuple[Any, float]:
    """``steps`` of full-batch gradient descent from the shared parameters, drawn back to them by ``proximal``."""
    x, y = design.matrix(rows) / scale, design.labels(rows).astype(int)
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

    def __init__(self, design: Design, scale: float, parameters: Any) -> None:
        self.design, self.scale, self.parameters = design, scale, parameters

    def __call__(self, batch: pa.RecordBatch) -> Any:
        """float64[n] of 0 and 1."""
        x = self.design.matrix(batch) / self.scale
        said = np.argmax(x @ self.parameters["weights"] + self.parameters["bias"], axis=1)
        return (said == self.design.labels(batch).astype(int)).astype(float)


class Largest:
    """The largest size of a feature."""

    def __init__(self, design: Design) -> None:
        self.design = design

    def __call__(self, batch: pa.RecordBatch) -> float:
        """0 of no rows."""
        return float(np.abs(self.design.matrix(batch)).max(initial=0.0))


def over(dataset: Any, program: Any, reducer: str, values: dict[str, Any], settings: dict[str, Any]) -> float:
    """A number of all rows, by a run beside the rounds."""
    about = {name: settings[name] for name in ("engine", "checkpoint", "progress", "report") if name in settings}
    found = pt.run(dataset, program, arguments=values, reducer=reducer, batch_format="arrow", cost="rows", **about)
    return float(found.result)


def scale_of(dataset: Any, design: Design, given: dict[str, Any], settings: dict[str, Any]) -> float:
    """By what features are divided. Raises ConfigError for a scale that is no number above 0."""
    scale = given.get("scale")
    if scale is None:
        return max(1.0, over(dataset, Largest, "max", {"design": design}, settings))
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < float("inf"):
        raise ConfigError(f"scale is {scale!r}; give a number above 0, by which features are divided.")
    return float(scale)


NEEDED = ("client", "features", "label", "classes", "width")
OPTIONS = ("scale", "steps", "rate", "proximal")
OF_SERVER = ("server", "merge", "privacy")
"""Arguments that ``federate`` takes."""


def check(given: dict[str, Any]) -> None:
    """ConfigError for an argument that is missing, or that there is none of."""
    known = [*NEEDED, *OPTIONS, *OF_SERVER]
    for name in given:
        if name not in known:
            raise ConfigError(f"arguments have no {name!r}; they have {', '.join(known)}.{nearest(name, known)}")
    for name in NEEDED:
        if name not in given:
            raise ConfigError(f"arguments need {name!r}; write it below 'arguments:'.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, keep the parameters with their card."""
    dataset, model, settings = configured(arguments, "Federated averaging.")
    check(model)
    place, client = settings.pop("output", None), model["client"]
    design = Design.of(model["features"], model["label"])
    options = {"steps": model.get("steps", 10), "rate": model.get("rate", 0.5), "proximal": model.get("proximal", 0.0)}
    scale = scale_of(dataset, design, model, settings)
    train = partial(softmax_steps, design=design, scale=scale, classes=model["classes"], **options)
    start = {"weights": np.zeros((model["width"], model["classes"])), "bias": np.zeros(model["classes"])}
    server = {name: model[name] for name in OF_SERVER if name in model}
    found = federate(dataset, train, start, client=client, batch_format="arrow", **server, **settings)
    parameters = found.state["parameters"]
    facts = {"run": found.url, "rounds": len(found.rounds), "rows": found.rounds[0].rows, "scale": scale}
    judged = {"design": design, "scale": scale, "parameters": parameters}
    facts["metrics"] = {"accuracy": over(dataset, Right, "mean", judged, settings)}
    if "epsilon" in found.state:
        facts["epsilon"] = found.state["epsilon"]
    kept(parameters, place or f"{found.url}/model", dataset, model, facts)
    return 0


if __name__ == "__main__":
    job_main(main)
