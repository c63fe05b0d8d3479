"""One run whose reducer gives the fitted model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from partitioner.errors import DataError
from partitioner.reducers.base import Reducer
from partitioner.running import run
from partitioner.runs.run import Run
from partitioner.training.design import Design


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A fitted scikit-learn ``model``, the ``run`` that made it, and ``metrics`` on its own rows where asked for."""

    model: Any
    run: Run
    metrics: Mapping[str, float] = field(default_factory=dict)


class Features:
    """A batch as (X, y), float64[n, f] and n labels; as X where the ``design`` has no label."""

    def __init__(self, design: Design) -> None:
        self.design = design

    def __call__(self, batch: Any) -> Any:
        """What the reducers of models take."""
        x = self.design.matrix(batch)
        weights = () if self.design.weight is None else (self.design.weights(batch),)
        if self.design.label is None:
            return (x, *weights) if weights else x
        return (x, self.design.labels(batch), *weights)


def as_it_is(batch: Any) -> Any:
    """A program for reducers that read columns by themselves."""
    return batch


def one_pass(
    dataset: Any, design: Design | None, reducer: Reducer, options: dict[str, Any], program: Any = Features
) -> Trained:
    """The model that ``reducer`` makes of the features of a dataset. Raises DataError for an empty one."""
    settings: dict[str, Any] = {"batch_format": "arrow", "reducer": reducer}
    if design is not None:
        settings["arguments"] = {"design": design}
    finished = run(dataset, program, **{**settings, **options})
    if finished.result is None:
        raise DataError("the dataset is empty; there is nothing to fit.")
    return Trained(finished.result, finished)
