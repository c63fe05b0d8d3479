"""Gaussian mixture in rounds: responsibilities on the workers, weights, means and covariances from their sums.

Expectation and maximisation of Dempster, Laird and Rubin (1977), in the order and with the stopping rule of scikit-learn's
``GaussianMixture``. Covariances are summed around the means of the round before, so that nothing cancels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from partitioner import config as configuration
from partitioner.attempt.rounds import RoundProgram
from partitioner.engines.resolve import resolve as resolve_engine
from partitioner.errors import ConfigError, DataError, nearest
from partitioner.iteration.page import write_report
from partitioner.iteration.progress import RoundLine
from partitioner.iteration.session import Session, opened
from partitioner.model.data import Floats
from partitioner.model.given import check_number
from partitioner.reducers.tree_sum import TreeSum
from partitioner.sizes import parse_bytes
from partitioner.training.clusters import fit_kmeans, nearest_centers
from partitioner.training.design import Design
from partitioner.training.logistic import Fitted

COVARIANCES = ("full", "diag")
LEAST_WEIGHT = 10 * np.finfo(np.float64).eps  # of a component, as in scikit-learn: no division by zero

State = dict[str, Any]


class Responsibilities(RoundProgram):
    """One partition: how much of each row belongs to which component, and what follows from that."""

    def __init__(self, design: Design) -> None:
        self.design = design

    def prepare(self, batch: Any) -> Any:
        """float64[n, f]."""
        x = self.design.matrix(batch)
        return x if isinstance(x, np.ndarray) else x.toarray()

    def __call__(self, data: Any, state: State) -> dict[str, Any]:
        """Sums over rows; ``loss`` is the negative log-likelihood. Without weights each row belongs to its nearest mean."""
        if "weights" not in state:
            near, apart = nearest_centers(data, state["means"])
            return _sums(data, np.eye(len(state["means"]))[near], state, float(apart.sum()))
        scores = log_densities(data, state) + np.log(state["weights"])
        from scipy.special import logsumexp

        norm = logsumexp(scores, axis=1)
        return _sums(data, np.exp(scores - norm[:, None]), state, -float(norm.sum()))


def log_densities(x: Floats, state: State) -> Floats:
    """float64[n, k]: log of the density of each component; ``factors`` turn a deviation into one of variance 1."""
    found = []
    for mean, factor in zip(state["means"], state["factors"], strict=True):
        apart = (x - mean) @ factor if factor.ndim == 2 else (x - mean) * factor
        size = np.log(np.diag(factor) if factor.ndim == 2 else factor).sum()
        found.append(size - 0.5 * (x.shape[1] * np.log(2 * np.pi) + (apart**2).sum(axis=1)))
    return np.column_stack(found)


def _sums(x: Floats, shares: Floats, state: State, loss: float) -> dict[str, Any]:
    shifts, scatter = [], []
    for k, mean in enumerate(state["means"]):
        apart = x - mean
        weighted = shares[:, k, None] * apart
        shifts.append(weighted.sum(axis=0))
        scatter.append(weighted.T @ apart if state["full"] else (weighted * apart).sum(axis=0))
    return {
        "loss": loss,
        "n": len(x),
        "counts": shares.sum(axis=0),
        "shifts": np.stack(shifts),
        "scatter": np.stack(scatter),
    }


def maximised(merged: dict[str, Any], state: State, floor: float) -> State:
    """The parameters that fit the sums best. ``floor`` is added to variances. DataError where a covariance is singular."""
    counts = merged["counts"] + LEAST_WEIGHT
    moved = merged["shifts"] / counts[:, None]
    means = state["means"] + moved
    if state["full"]:
        spread = merged["scatter"] / counts[:, None, None] - moved[:, :, None] * moved[:, None, :]
        spread += floor * np.eye(means.shape[1])
    else:
        spread = merged["scatter"] / counts[:, None] - moved**2 + floor
    return {
        "weights": counts / counts.sum(),
        "means": means,
        "covariances": spread,
        "factors": np.stack([_factor(s) for s in spread]),
        "full": state["full"],
    }


def _factor(covariance: Floats) -> Floats:
    """The upper triangular root of the inverse (full), or one over the deviations (diag)."""
    from scipy.linalg import cholesky, solve_triangular

    if covariance.ndim == 1:
        return np.asarray(1.0 / np.sqrt(covariance))
    try:
        lower = cholesky(covariance, lower=True)
    except np.linalg.LinAlgError as error:
        raise DataError(
            "a component has a singular covariance: too few rows, or features that depend on each other. Give fewer "
            "components, a larger floor, or covariance='diag'."
        ) from error
    return np.asarray(solve_triangular(lower, np.eye(len(lower)), lower=True).T)


def fit_mixture(
    dataset: Any,
    components: int,
    features: Any = None,
    *,
    covariance: str = "full",
    tolerance: float = 1e-3,
    rounds: int = 100,
    floor: float = 1e-6,
    initial: Any = None,
    cache: Any = None,
    resume: str | None = None,
    **options: Any,
) -> Fitted:
    """A Gaussian mixture of all the data, which stays on the workers; the result is a real ``GaussianMixture``.

    ``covariance``: ``"full"`` or ``"diag"``. ``tolerance``: the mean log-likelihood of a row changes by less. ``floor`` is
    added to every variance. ``initial``: float64[components, f] means, each row belonging to its nearest; by default those
    of ``fit_kmeans`` (a resume needs them given). ``loss`` of the result is the negative mean log-likelihood.
    ``features`` and ``options`` as for ``fit_logistic``. Raises ConfigError for settings that cannot be, DataError for a
    singular covariance.
    """
    _check(components, covariance, tolerance, floor, initial, resume)
    program = {"program": Responsibilities, "arguments": {"design": Design.of(features, None)}, "batch_format": "arrow"}
    with resolve_engine(options.pop("engine", configuration.make({}).engine)).opened() as engine:
        if initial is None:
            seeds = fit_kmeans(dataset, components, features, cache=cache, engine=engine, **options)
            initial = seeds.model.cluster_centers_
        config = configuration.make({"dataset": dataset, "reducer": TreeSum(), "engine": engine, **program, **options})
        with opened(config, resume, None if cache is None else parse_bytes(cache)) as session:
            state: State = {"means": np.asarray(initial, np.float64), "full": covariance == "full"}
            with RoundLine(config.progress, rounds) as line:
                state, loss, steps, converged = _rounds(session, state, tolerance, rounds, floor, line)
            directory = session.directory
            if config.report:
                write_report(directory.files, directory.run_id, session.rounds, converged)
            model = _model(state, covariance, loss, steps, converged)
            return Fitted(model, loss, tuple(session.rounds), directory.run_id, directory.url)


def _check(components: int, covariance: str, tolerance: float, floor: float, initial: Any, resume: str | None) -> None:
    for name, value in (("tolerance", tolerance), ("floor", floor)):
        check_number(name, value)
    check_number("components", components, whole=True)
    if components < 1:
        raise ConfigError(f"components is {components}; at least 1 is needed.")
    if covariance not in COVARIANCES:
        raise ConfigError(
            f"covariance is {covariance!r}; it is 'full' or 'diag'.{nearest(str(covariance), list(COVARIANCES))}"
        )
    if not (tolerance >= 0 and floor >= 0):
        raise ConfigError(f"tolerance is {tolerance} and floor {floor}; give numbers of at least 0.")
    if initial is not None and len(initial) != components:
        raise ConfigError(f"initial holds {len(initial)} means for {components} components; give one for each.")
    if resume is not None and initial is None:
        raise ConfigError("a resume needs the means that the first session started from; give initial=.")


def _rounds(
    session: Session, state: State, tolerance: float, rounds: int, floor: float, line: RoundLine
) -> tuple[State, float, int, bool]:
    """Until the mean log-likelihood stays; the loss is that of the parameters before the last step, as scikit-learn's."""
    state = maximised(session(state), state, floor)
    before, loss, step = np.inf, np.inf, 0
    for step in range(1, rounds + 1):
        merged = session(state)
        loss = merged["loss"] / merged["n"]
        session.note_loss(loss)
        line.show(session.rounds)
        state = maximised(merged, state, floor)
        if abs(before - loss) < tolerance:
            return state, float(loss), step, True
        before = loss
    return state, float(loss), step, False


def _model(state: State, covariance: str, loss: float, steps: int, converged: bool) -> Any:
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(len(state["means"]), covariance_type=covariance)
    model.weights_, model.means_, model.covariances_ = state["weights"], state["means"], state["covariances"]
    model.precisions_cholesky_ = factors = state["factors"]
    model.precisions_ = factors @ factors.transpose(0, 2, 1) if state["full"] else factors**2
    model.converged_, model.n_iter_, model.lower_bound_ = converged, steps, -loss
    model.n_features_in_ = state["means"].shape[1]
    return model
