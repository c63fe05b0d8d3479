"""``average``: an ensemble of regressors whose predictions are averaged."""

from __future__ import annotations

from typing import Any

from partitioner.errors import ProgramError
from partitioner.reducers.ensemble import Member, Vote


class Average(Vote):
    """Each sub-task trains one regressor, or returns (regressor, weight); the result is a fitted ``Averaging``."""

    name = "average"
    needs = ("predict",)

    def add_input(self, accumulator: tuple[Member, ...], value: Any) -> tuple[Member, ...]:
        """One more fitted regressor. Raises ProgramError for a classifier, whose classes have no mean."""
        model = value[0] if isinstance(value, tuple) and len(value) == 2 else value
        if "classes_" in dir(model):
            raise ProgramError(
                f"The program returned {type(model).__name__}, a classifier; average is for regressors. Use soft_vote "
                "or hard_vote."
            )
        return super().add_input(accumulator, value)

    def ensemble(self) -> Any:
        """An empty ``Averaging``."""
        from partitioner.reducers.estimators import Averaging

        return Averaging()
