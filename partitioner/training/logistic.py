"""Logistic regression in rounds: gradients summed over partitions, scipy's L-BFGS-B on the driver.

The objective is scikit-learn's, for the same C: the mean of the log losses plus |w|^2 / (2 C n), or |w|_1 / (C n); the
intercept is free. L1 is minimised over w = u - v with u, v >= 0, which makes it smooth (Schmidt, Fung and Rosales 2007).
The minimum is looked for in coordinates that a first round over the features finds, see ``training.curvature``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import fsum
from typing import Any

import numpy as np

from partitioner import config as configuration
from partitioner.attempt.rounds import RoundProgram
from partitioner.errors import ConfigError, DataError
from partitioner.iteration.page import write_report
from partitioner.iteration.progress import RoundLine
from partitioner.iteration.session import Round, Session, opened
from partitioner.model.data import Floats
from partitioner.model.given import check_number
from partitioner.reducers.models.rows import class_labels
from partitioner.reducers.tree_sum import TreeSum
from partitioner.sizes import parse_bytes
from partitioner.training.curvature import FULL, Coordinates, Spread
from partitioner.training.design import Design

PIECE_ROWS = 16_384
"""Rows whose losses are computed together: arrays of 128 kB, where those of all rows would go through memory each time."""

PENALTIES = ("l2", "l1", None)

KEPT_STEPS, KEPT_NUMBERS = (10, 100), 1_000_000
"""Steps that L-BFGS remembers, within so many numbers: an evaluation is a round over all data, so fewer of them are worth
memory on the driver."""


class Losses(TreeSum):
    """Sums of losses and gradients; what the first round found out about labels and features is joined."""

    name = "losses"

    def merge_accumulators(self, left: Any, right: Any) -> Any:
        """The sum; of findings their union."""
        if left is not None and right is not None and "classes" in left:
            return {
                "classes": np.union1d(left["classes"], right["classes"]),
                "spread": left["spread"].merged(right["spread"]),
            }
        return super().merge_accumulators(left, right)


class LogisticLoss(RoundProgram):
    """Loss and gradient of one partition; with a state without weights its classes, and the spread of its features."""

    def __init__(self, design: Design) -> None:
        self.design = design

    def prepare(self, batch: Any) -> Any:
        """Matrix, labels, and room for their codes, which are known after the first round."""
        labels = class_labels(self.design.labels(batch), self.design.label)
        return {"x": self.design.matrix(batch), "y": labels, "codes": None}

    def __call__(self, data: Any, state: Any) -> Any:
        """Sums over the rows of the partition."""
        x, y = data["x"], data["y"]
        if "weights" not in state:
            return {"classes": np.unique(y), "spread": Spread.of(x, state["full"] and x.shape[1] <= FULL)}
        classes, weights = state["classes"], state["weights"]
        if data["codes"] is None:
            data["codes"] = np.searchsorted(classes, y)
            data["x"] = x = _widened(x, weights.shape[0] - 1)
        return (_binary if len(classes) == 2 else _multinomial)(x, data["codes"], weights)


def _widened(x: Any, width: int) -> Any:
    """Sparse rows of a partition that does not hold the last features."""
    if isinstance(x, np.ndarray) or x.shape[1] == width:
        return x
    from scipy.sparse import csr_matrix

    return csr_matrix((x.data, x.indices, x.indptr), (x.shape[0], width))


def _binary(x: Any, codes: Any, weights: Floats) -> dict[str, Any]:
    """Sums over all rows; what lies between the two products by ``x`` goes in pieces that stay in the processor's cache."""
    rest, losses = np.asarray(x @ weights[:-1, 0] + weights[-1, 0]), list[float]()
    for start in range(0, len(rest), PIECE_ROWS):
        piece = slice(start, start + PIECE_ROWS)
        loss, rest[piece] = _of_scores(rest[piece], codes[piece])
        losses.append(loss)
    gradient = np.append(x.T @ rest, rest.sum())[:, None]
    return {"loss": fsum(losses), "gradient": gradient, "n": len(codes)}


def _of_scores(score: Floats, codes: Any) -> tuple[float, Floats]:
    """The sum of the losses, and each row's probability of class 1 less its code.

    With one exponential a row, which nowhere overflows: log(1 + exp(z)) = max(z, 0) + log1p(exp(-|z|)).
    """
    small = np.exp(-np.abs(score))
    loss = float((np.log1p(small) + np.maximum((1.0 - 2.0 * codes) * score, 0.0)).sum())
    return loss, np.where(score >= 0.0, 1.0, small) / (1.0 + small) - codes


def _multinomial(x: Any, codes: Any, weights: Floats) -> dict[str, Any]:
    from scipy.special import logsumexp

    scores = x @ weights[:-1] + weights[-1]
    norm = logsumexp(scores, axis=1)
    rows = np.arange(len(codes))
    rest = np.exp(scores - norm[:, None])
    rest[rows, codes] -= 1.0
    loss = float((norm - scores[rows, codes]).sum())
    return {"loss": loss, "gradient": np.vstack([x.T @ rest, rest.sum(axis=0)]), "n": len(codes)}


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A fitted scikit-learn ``model``, the ``loss`` that was minimised, and the ``rounds`` it took."""

    model: Any
    loss: float
    rounds: tuple[Round, ...]
    run_id: str
    url: str


def fit_logistic(
    dataset: Any,
    label: str,
    features: Any = None,
    *,
    C: float = 1.0,
    penalty: str | None = "l2",
    tolerance: float = 1e-8,
    rounds: int = 1000,
    width: int | None = None,
    cache: Any = None,
    resume: str | None = None,
    **options: Any,
) -> Fitted:
    """Logistic regression, binary or multinomial, on data that stays on the workers; a real ``LogisticRegression``.

    Parameters
    ----------
    label, features, width
        Columns, see ``Design``.
    C, penalty
        As in scikit-learn: ``"l2"``, ``"l1"`` or None.
    tolerance
        The largest element of the projected gradient of the mean loss at which to stop.
    rounds
        Evaluations at most.
    options
        As for ``pt.iterate``.

    Raises ConfigError for settings that cannot be, DataError for data that cannot be fitted.
    """
    if penalty not in PENALTIES:
        raise ConfigError(f"penalty is {penalty!r}; it is 'l2', 'l1' or None.")
    for name, value, whole in (("C", C, False), ("tolerance", tolerance, False), ("rounds", rounds, True)):
        check_number(name, value, whole)
    if not C > 0 or not np.isfinite(C):
        raise ConfigError(f"C is {C}; give a number above 0 (the inverse of the regularisation).")
    if rounds < 2:
        raise ConfigError(f"rounds is {rounds}; the first looks at the labels, so at least 2 are needed.")
    program = {
        "program": LogisticLoss,
        "arguments": {"design": Design.of(features, label, width)},
        "batch_format": "arrow",
    }
    config = configuration.make({"dataset": dataset, "reducer": Losses(), **program, **options})
    with opened(config, resume, None if cache is None else parse_bytes(cache)) as session:
        found = session({"full": penalty != "l1"})  # its bounds are those of single weights
        if len(found["classes"]) < 2:
            raise DataError(f"column {label!r} holds {len(found['classes'])} class; a classifier needs at least 2.")
        with RoundLine(config.progress, rounds) as line:
            weights, loss = _minimised(session, found, C, penalty, tolerance, rounds - 1, line)
        directory = session.directory
        if config.report:
            write_report(directory.files, directory.run_id, session.rounds, len(session.rounds) < rounds)
        model = _model(weights, found["classes"], C, penalty, len(session.rounds) - 1)
        return Fitted(model, loss, tuple(session.rounds), directory.run_id, directory.url)


def _minimised(
    session: Session, found: Any, C: float, penalty: str | None, tolerance: float, rounds: int, line: RoundLine
) -> tuple[Floats, float]:
    """Weights float64[f + 1, k] (the intercepts last) and the objective there, k = 1 for two classes."""
    problem = _Problem(found, C, penalty, tolerance)

    def objective(flat: Floats) -> tuple[float, Floats]:
        merged = session({"weights": problem.weights(flat), "classes": found["classes"]})
        loss, gradient = problem.of(flat, merged)
        session.note_loss(loss)
        line.show(session.rounds)
        return loss, gradient

    return problem.minimised(objective, rounds)


class _Problem:
    """What L-BFGS sees: flat coordinates; of L1 those of u, those of v, and the intercepts."""

    def __init__(self, found: Any, C: float, penalty: str | None, tolerance: float) -> None:
        spread: Spread = found["spread"]
        count = len(found["classes"])
        self.n, self.k, self.tolerance = spread.rows, 1 if count == 2 else count, tolerance
        self.shape = (spread.width + 1, self.k)
        self.size = spread.width * self.k
        self.strength = 0.0 if penalty is None else 1.0 / (C * self.n)
        self.twice = penalty == "l1"
        ridge = 0.0 if self.twice else self.strength
        self.coordinates = Coordinates.of(spread, 0.25 if count == 2 else 1.0 / count, ridge)
        self.steepest = np.inf

    def weights(self, flat: Floats) -> Floats:
        """float64[f + 1, k], the intercepts last."""
        if self.twice:
            size = self.size
            flat = np.concatenate([flat[:size] - flat[size : 2 * size], flat[2 * size :]])
        return self.coordinates.weights(flat.reshape(self.shape))

    def of(self, flat: Floats, merged: Any) -> tuple[float, Floats]:
        """The objective and its gradient; ``steepest`` is the largest element of that by weights."""
        size, strength = self.size, self.strength
        loss, gradient = merged["loss"] / self.n, merged["gradient"] / self.n
        if not self.twice:
            weights = self.weights(flat)
            loss += strength / 2 * float((weights[:-1] ** 2).sum())
            gradient[:-1] += strength * weights[:-1]
            self.steepest = float(np.abs(gradient).max())
            return loss, self.coordinates.gradient(gradient).ravel()
        each = np.repeat(strength / self.coordinates.scale[:-1], self.k)
        loss += float(each @ (flat[:size] + flat[size : 2 * size]))
        moved = self.coordinates.gradient(gradient).ravel()
        moved = np.concatenate([moved[:size] + each, each - moved[:size], moved[size:]])
        held = np.append(flat[: 2 * size] <= 0, np.zeros(self.k, bool)) & (moved > 0)
        scale = np.repeat(self.coordinates.scale, self.k)
        self.steepest = float(np.abs(np.where(held, 0.0, moved * np.append(scale[:size], scale))).max())
        return loss, moved

    def minimised(self, objective: Callable[[Floats], tuple[float, Floats]], rounds: int) -> tuple[Floats, float]:
        """Weights where the objective is least, and the objective there; after so many evaluations at most."""
        from scipy.optimize import minimize

        start = np.zeros((2 if self.twice else 1) * self.size + self.k)
        settings = {
            "maxcor": int(np.clip(KEPT_NUMBERS // len(start), *KEPT_STEPS)),
            "maxiter": rounds,
            "maxfun": rounds,
            "maxls": 50,
            "gtol": 0.0,
            "ftol": 8 * np.finfo(float).eps,
        }
        bounds = [(0.0, None)] * (2 * self.size) + [(None, None)] * self.k if self.twice else None

        def done(found: Floats) -> None:
            if self.steepest <= self.tolerance:
                raise StopIteration

        best = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=settings, callback=done)
        return self.weights(best.x), float(best.fun)


def _model(weights: Floats, classes: Any, C: float, penalty: str | None, rounds: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=C if penalty else np.inf, l1_ratio=1.0 if penalty == "l1" else 0.0)
    model.coef_, model.intercept_ = weights[:-1].T.copy(), weights[-1].copy()
    model.classes_, model.n_features_in_, model.n_iter_ = classes, len(weights) - 1, np.array([rounds], np.int32)
    return model
