"""Drop-in searches: scikit-learn's own logic, scores and attributes, with every fit a sub-task of a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from partitioner.errors import ConfigError
from partitioner.model import Plan
from partitioner.runs.run import Run
from partitioner.search.backend import Costs, OneLoop
from partitioner.search.pilot import DeclaredCosts, LearnedCosts, PilotCosts

Cost = str | Callable[[Mapping[str, Any]], float] | None


class _Planned:
    """What both searches add: ``engine``, ``cost``, ``pilot_fraction``, ``settings``, and after ``fit`` a plan and a run."""

    engine: Any
    cost: Cost
    pilot_fraction: float
    settings: Mapping[str, Any] | None

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Search, and refit the best on everything, as scikit-learn does; the fits run as one plan.

        Raises ConfigError or CostError before any fit; where a fit raises and ``error_score`` is ``"raise"`` its own error,
        after one try as scikit-learn does, from the RunFailed that says which, and where its traceback is.
        """
        settings = {"progress": False, "report": False, **(self.settings or {})}
        with OneLoop(self.engine, self._costs(settings), **settings) as backend:
            super().fit(X, y, **params)  # type: ignore[misc]
        self.run_: Run = backend.runs[-1]
        self.plan_: Plan = self.run_.plan
        return self

    def _costs(self, settings: Mapping[str, Any]) -> Costs | None:
        if self.cost is None:
            return None
        if callable(self.cost):
            return DeclaredCosts(self.cost)
        if self.cost not in ("auto", "pilot"):
            raise ConfigError(
                f"cost is {self.cost!r}; give 'auto', 'pilot', a function of the parameters, or None for equal costs."
            )
        if not 0 < self.pilot_fraction < 1:
            raise ConfigError(f"pilot_fraction is {self.pilot_fraction}; give a share of the rows above 0 and below 1.")
        pilot = PilotCosts(self.pilot_fraction, int(settings.get("seed", 0)))
        return pilot if self.cost == "pilot" else LearnedCosts(pilot)

    def __getstate__(self) -> Any:
        """Without what lives in this process only: an engine, folds that are read once, and the run of an earlier fit."""
        found: Any = super().__getstate__()
        state = dict(found)
        if isinstance(state.get("cv"), Iterator):
            state["cv"] = None
        if not isinstance(state.get("engine"), str | Mapping):
            state["engine"] = "serial"
        return {name: value for name, value in state.items() if name not in ("run_", "plan_")}


class GridSearch(_Planned, GridSearchCV):  # type: ignore[misc]
    """``GridSearchCV`` whose fits are planned by what they cost, and run on any engine.

    Same parameters, same results (``cv_results_``, ``best_estimator_``, ...), and besides:

    engine
        As for ``pt.run``. ``n_jobs`` is not used: the engine has the workers.
    cost
        ``"auto"``: one fit of each set of parameters begins first, those whose parameters are known to take long (more
        trees, a larger C) before the others, and what they took plans the rest while they run; ``"pilot"``: each set is
        fitted on ``pilot_fraction`` of the rows before; a function of the parameters to seconds; None: all fits cost the
        same, and begin in the order of the grid.
    settings
        Further settings of ``RunConfig``, such as checkpoint, placement, max_retries; ``resume``, the id of a run of the
        same search, whose fits are not fitted again.

    After ``fit``: ``plan_``, the plan with its lower bound and gap, and ``run_``.
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: Any = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "all",
        error_score: Any = np.nan,
        return_train_score: bool = False,
        engine: Any = "serial",
        cost: Cost = "auto",
        pilot_fraction: float = 0.1,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.engine, self.cost, self.pilot_fraction, self.settings = engine, cost, pilot_fraction, settings


class RandomizedSearch(_Planned, RandomizedSearchCV):  # type: ignore[misc]
    """``RandomizedSearchCV`` in the same way; see ``GridSearch``."""

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: Any = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "all",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        engine: Any = "serial",
        cost: Cost = "auto",
        pilot_fraction: float = 0.1,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.engine, self.cost, self.pilot_fraction, self.settings = engine, cost, pilot_fraction, settings
