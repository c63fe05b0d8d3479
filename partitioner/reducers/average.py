"""``average``: an ensemble of regressors whose predictions are averaged."""

from __future__ import annotations

from typing import Any

from partitioner.reducers.ensemble import Vote


class Average(Vote):
    """Each sub-task trains one regressor, or returns (regressor, weight); the result is a fitted ``Averaging``."""

    name = "average"
    needs = ("predict",)

    def ensemble(self) -> Any:
        """An empty ``Averaging``."""
        from partitioner.reducers.estimators import Averaging

        return Averaging()
