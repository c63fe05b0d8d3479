"""``hard_vote``: an ensemble in which each member has one vote."""

from __future__ import annotations

from typing import Any

from partitioner.reducers.ensemble import Vote


class HardVote(Vote):
    """Each sub-task trains one classifier; the result is a fitted ``HardVoting``, ties to the first class."""

    name = "hard_vote"
    needs = ("classes_", "predict")

    def ensemble(self) -> Any:
        """An empty ``HardVoting``."""
        from partitioner.reducers.estimators import HardVoting

        return HardVoting()
