"""``soft_vote``: an ensemble that averages the probabilities of its members."""

from __future__ import annotations

from typing import Any

from partitioner.reducers.ensemble import Vote


class SoftVote(Vote):
    """Each sub-task trains one classifier with ``predict_proba``; the result is a fitted ``SoftVoting``."""

    name = "soft_vote"
    needs = ("classes_", "predict_proba")

    def ensemble(self) -> Any:
        """An empty ``SoftVoting``."""
        from partitioner.reducers.estimators import SoftVoting

        return SoftVoting()
