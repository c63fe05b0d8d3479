"""``soft_vote``: an ensemble that averages the probabilities of its members."""

from __future__ import annotations

from partitioner.reducers.ensemble import SoftVoting, Vote


class SoftVote(Vote):
    """Each sub-task trains one classifier with ``predict_proba``; the result is a fitted ``SoftVoting``."""

    name = "soft_vote"
    needs = ("classes_", "predict_proba")
    ensemble = SoftVoting
