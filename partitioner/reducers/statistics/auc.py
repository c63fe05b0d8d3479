"""``auc``: how well scores put the positive rows before the others: area under the ROC curve, average precision."""

from __future__ import annotations

from math import nan as not_a_number
from typing import Any

import numpy as np

from partitioner.errors import ConfigError
from partitioner.model.given import check_number
from partitioner.reducers.base import Reducer
from partitioner.reducers.columns import check_missing
from partitioner.reducers.statistics.binary import Binary
from partitioner.reducers.statistics.ranks import Ranks


class Auc(Reducer):
    """The program returns tables with ``label`` and ``score``; rows whose label is ``positive`` against all others.

    Every different score is kept with its rows of both kinds, so the result is that of scikit-learn, up to ``max_scores``
    different ones (24 bytes each); of more, scores share buckets and the result says by how much it can be wrong.
    ``weight`` names a column of weights. ``curve``: the points of the ROC curve too. ``nan``: ``"raise"`` or ``"omit"``.
    """

    name = "auc"
    takes = "data"
    commutative = mergeable = True

    def __init__(
        self,
        label: str = "label",
        score: str = "score",
        positive: Any = 1,
        weight: str | None = None,
        max_scores: int = 1_000_000,
        curve: bool = False,
        nan: str = "raise",
    ) -> None:
        check_number("max_scores", max_scores, whole=True)
        if max_scores < 2:
            raise ConfigError(f"max_scores is {max_scores}; keep 2 or more different scores.")
        self.columns = Binary(label, score, positive, weight, check_missing(nan))
        self.max_scores, self.curve = max_scores, curve
        self.exact = weight is None  # counts are whole numbers; weights are added as doubles

    def create_accumulator(self) -> Ranks:
        """No rows."""
        return Ranks.nothing(2, np.int64 if self.exact else np.float64)

    def add_input(self, accumulator: Ranks, value: Any) -> Ranks:
        """With the rows of one output. Raises ProgramError where a column is not there or holds no scores."""
        positive, score, weight = self.columns.read(value, self.name)
        both = np.column_stack([~positive, positive]).astype(accumulator.counts.dtype)
        counts = both if weight is None else both * weight[:, None]
        return self.merge_accumulators(accumulator, Ranks.of(score, counts, self.max_scores))

    def merge_accumulators(self, left: Ranks, right: Ranks) -> Ranks:
        """The counts of equal scores added."""
        return left.merged(right, self.max_scores)

    def extract_output(self, accumulator: Ranks) -> dict[str, Any]:
        """``positives`` and ``negatives`` (rows or weight), ``auc`` and ``auc_error``, the most by which it can be wrong (0
        while all scores are kept), ``average_precision`` and ``average_precision_error``, ``ks``, the largest distance of
        the two distributions, and ``scores``, how many are kept. NaN where one of the classes is empty.
        """
        negative, positive = accumulator.counts.T
        found: dict[str, Any] = {"positives": positive.sum().item(), "negatives": negative.sum().item()}
        found |= _figures(accumulator, negative[::-1].astype(np.float64), positive[::-1].astype(np.float64))
        return {**found, **self._curve(accumulator)} if self.curve else found

    def _curve(self, ranks: Ranks) -> dict[str, Any]:
        """``roc``: ``fpr``, ``tpr`` and ``thresholds``, from the strictest down, as scikit-learn's."""
        shares = [np.concatenate([[0.0], np.cumsum(c[::-1]) / max(c.sum(), 1e-300)]) for c in ranks.counts.T]
        thresholds = np.concatenate([[np.inf], ranks.lows()[::-1]])
        return {"roc": {"fpr": shares[0], "tpr": shares[1], "thresholds": thresholds}}


def _figures(ranks: Ranks, negative: Any, positive: Any) -> dict[str, Any]:
    """From the rows of each score, the highest first."""
    all_negative, all_positive = negative.sum(), positive.sum()
    names = ("auc", "auc_error", "average_precision", "average_precision_error", "ks")
    if not all_negative or not all_positive:
        return {**dict.fromkeys(names, not_a_number), "scores": len(ranks.keys)}
    above, hits = np.cumsum(negative), np.cumsum(positive)
    area = (positive * (all_negative - above + negative / 2)).sum() / (all_positive * all_negative)
    doubt = (positive * negative).sum() / (2 * all_positive * all_negative)
    precision = (positive * hits / (hits + above)).sum() / all_positive
    before = hits - positive
    best = (positive * hits / np.maximum(hits + above - negative, 1e-300)).sum() / all_positive
    worst = (positive * before / np.maximum(before + above, 1e-300)).sum() / all_positive
    values = (
        area,
        0.0 if ranks.exact else doubt,
        precision,
        0.0 if ranks.exact else max(best - precision, precision - worst),
        np.abs(hits / all_positive - above / all_negative).max(),
    )
    return {**{name: float(v) for name, v in zip(names, values, strict=True)}, "scores": len(ranks.keys)}
