"""Lasso and elastic net in rounds: gradients summed over partitions, accelerated proximal steps on the driver.

FISTA (Beck and Teboulle 2009) with the restart of O'Donoghue and Candès (2015), in the metric of the features' variances,
which makes features of any scale alike and leaves the objective as it is: |y - Xw - b|^2 / (2 n) + alpha (r |w|_1 + (1 - r)
|w|^2 / 2), scikit-learn's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from partitioner import config as configuration
from partitioner.attempt.rounds import RoundProgram
from partitioner.errors import ConfigError, DataError
from partitioner.iteration.page import write_report
from partitioner.iteration.progress import RoundLine
from partitioner.iteration.session import Session, opened
from partitioner.model.data import Floats
from partitioner.model.given import check_number
from partitioner.reducers.tree_sum import TreeSum
from partitioner.sizes import parse_bytes
from partitioner.training.design import Design
from partitioner.training.logistic import Fitted

MOST_FOR_PRODUCTS = 512
"""Features up to which the first round sums their products: 2 MiB a partition, and it finds the largest eigenvalue."""

POWER_ROUNDS = 100
"""Of the search for the largest eigenvalue at most; it stops where it stays within ``POWER_TOLERANCE``."""

POWER_TOLERANCE = 1e-3
STEP_MARGIN = 1.05  # the power method finds the eigenvalue from below


class Residuals(RoundProgram):
    """One partition: moments, or the residuals of a line and their gradient."""

    def __init__(self, design: Design) -> None:
        self.design = design

    def prepare(self, batch: Any) -> Any:
        """Matrix and labels."""
        return self.design.matrix(batch), np.asarray(self.design.labels(batch), np.float64)

    def __call__(self, data: Any, state: Any) -> dict[str, Any]:
        """Sums over the rows of the partition."""
        x, y = data
        if "weights" not in state:
            squares = x.multiply(x).sum(axis=0) if not isinstance(x, np.ndarray) else (x * x).sum(axis=0)
            sums = np.asarray(x.sum(axis=0)).ravel()
            few = isinstance(x, np.ndarray) and x.shape[1] <= MOST_FOR_PRODUCTS
            products = x.T @ x if few else np.zeros((0, 0))
            return {
                "n": len(y),
                "x": sums,
                "xx": np.asarray(squares).ravel(),
                "y": float(y.sum()),
                "products": products,
            }
        rest = x @ state["weights"] + state["intercept"] - state["of_labels"] * y
        return {"loss": float(rest @ rest) / 2, "gradient": np.asarray(x.T @ rest), "rest": float(rest.sum())}


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """The mean of the squared residuals of centred features, as rounds answer it.

    ``scale``: deviations of the features; ``correlation`` float64[f, f] where there are few, else empty.
    """

    session: Session
    n: int
    centre: Floats
    label: float
    scale: Floats
    correlation: Floats

    def gradient(self, weights: Floats, of_labels: float = 1.0) -> tuple[float, Floats]:
        """Loss and gradient where the intercept is the best one."""
        intercept = of_labels * self.label - float(self.centre @ weights)
        merged = self.session({"weights": weights, "intercept": intercept, "of_labels": of_labels})
        return merged["loss"] / self.n, (merged["gradient"] - merged["rest"] * self.centre) / self.n

    def largest(self) -> float:
        """The largest eigenvalue of the features' correlation, by the power method where there are many."""
        if self.correlation.size:
            return float(np.linalg.eigvalsh(self.correlation)[-1])
        v = np.random.default_rng(0).normal(size=len(self.scale))
        value = 0.0
        for _ in range(POWER_ROUNDS):
            v /= np.linalg.norm(v)
            _, image = self.gradient(v / self.scale, of_labels=0.0)
            before, value, v = value, float(v @ (image / self.scale)), image / self.scale
            if abs(value - before) <= POWER_TOLERANCE * value:
                break
        return value


def fit_lasso(
    dataset: Any,
    label: str,
    features: Any = None,
    *,
    alpha: float = 1.0,
    l1_ratio: float = 1.0,
    tolerance: float = 1e-8,
    rounds: int = 2000,
    width: int | None = None,
    cache: Any = None,
    resume: str | None = None,
    **options: Any,
) -> Fitted:
    """Linear regression with an L1 penalty on data that stays on the workers; a real ``Lasso``, or ``ElasticNet``.

    ``alpha`` and ``l1_ratio`` as in scikit-learn (1: Lasso). ``tolerance``: no coefficient, times the deviation of its
    feature, moves by more than that share of the largest. ``rounds`` at most. ``label``, ``features`` and ``width`` as for
    ``fit_logistic``; sparse rows need ``width``. Raises ConfigError for settings that cannot be.
    """
    for name, value in (("alpha", alpha), ("l1_ratio", l1_ratio), ("tolerance", tolerance)):
        check_number(name, value)
    check_number("rounds", rounds, whole=True)
    if not (np.isfinite(alpha) and alpha > 0):
        raise ConfigError(f"alpha is {alpha}; give a number above 0, or fit_linear for none.")
    if not 0 < l1_ratio <= 1:
        raise ConfigError(f"l1_ratio is {l1_ratio}; it is above 0 and at most 1. For 0 that is ridge: fit_linear.")
    if rounds < 2 or not tolerance > 0:
        raise ConfigError(f"rounds is {rounds} and tolerance {tolerance}; at least 2, and above 0, are needed.")
    program = {
        "program": Residuals,
        "arguments": {"design": Design.of(features, label, width)},
        "batch_format": "arrow",
    }
    config = configuration.make({"dataset": dataset, "reducer": TreeSum(), **program, **options})
    with opened(config, resume, None if cache is None else parse_bytes(cache)) as session:
        problem = _problem(session)
        with RoundLine(config.progress, rounds) as line:
            weights, loss, converged = _descend(problem, alpha, l1_ratio, tolerance, rounds, line)
        directory = session.directory
        if config.report:
            write_report(directory.files, directory.run_id, session.rounds, converged)
        model = _model(problem, weights, alpha, l1_ratio, len(session.rounds))
        return Fitted(model, loss, tuple(session.rounds), directory.run_id, directory.url)


def _problem(session: Session) -> _Problem:
    found = session({})
    if not found["n"]:
        raise DataError("the dataset has no rows; check its path.")
    centre = found["x"] / found["n"]
    variance = np.maximum(found["xx"] / found["n"] - centre**2, 0.0)
    scale = np.sqrt(variance)
    scale[scale <= 1e-12 * max(1.0, float(scale.max(initial=0.0)))] = 1.0  # a constant feature gets no weight
    products = found["products"] / found["n"]
    correlation = (products - np.outer(centre, centre)) / np.outer(scale, scale) if products.size else products
    return _Problem(session, found["n"], centre, found["y"] / found["n"], scale, correlation)


def _descend(
    problem: _Problem, alpha: float, ratio: float, tolerance: float, rounds: int, line: RoundLine
) -> tuple[Floats, float, bool]:
    """Weights, the objective there, and whether they stay."""
    squared = problem.scale**2
    step = 1.0 / (STEP_MARGIN * problem.largest() * squared + alpha * (1 - ratio))
    old = ahead = np.zeros(len(squared))
    pace, value = 1.0, np.inf
    while len(problem.session.rounds) < rounds:
        loss, gradient = problem.gradient(ahead)
        value = loss + alpha * float(ratio * np.abs(ahead).sum() + (1 - ratio) / 2 * ahead @ ahead)
        problem.session.note_loss(value)
        line.show(problem.session.rounds)
        target = ahead - step * (gradient + alpha * (1 - ratio) * ahead)
        new = np.sign(target) * np.maximum(np.abs(target) - step * alpha * ratio, 0.0)
        moved = np.abs((new - ahead) * problem.scale).max(initial=0.0)
        if moved <= tolerance * max(np.abs(new * problem.scale).max(initial=0.0), 1e-300):
            return new, float(value), True
        if ((ahead - new) * squared) @ (new - old) > 0:  # the way turned: gather pace anew
            pace = 1.0
        faster = (1 + np.sqrt(1 + 4 * pace**2)) / 2
        ahead = new + (pace - 1) / faster * (new - old)
        old, pace = new, faster
    return old, float(value), False


def _model(problem: _Problem, weights: Floats, alpha: float, ratio: float, rounds: int) -> Any:
    from sklearn.linear_model import ElasticNet, Lasso

    model = Lasso(alpha=alpha) if ratio == 1.0 else ElasticNet(alpha=alpha, l1_ratio=ratio)
    model.coef_, model.n_features_in_, model.n_iter_ = weights, len(weights), rounds
    model.intercept_ = problem.label - float(problem.centre @ weights)
    return model
