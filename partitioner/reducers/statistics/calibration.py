"""``calibration``: whether what is predicted with a probability happens as often: bins, ECE, Brier score, log loss."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan as not_a_number
from typing import Any

import numpy as np

from partitioner.errors import ConfigError
from partitioner.model.data import Floats
from partitioner.model.given import check_number
from partitioner.reducers.base import Reducer
from partitioner.reducers.columns import check_missing
from partitioner.reducers.exact import exact_products, exact_sums, ratio
from partitioner.reducers.statistics.binary import Binary
from partitioner.reducers.statistics.chances import check_chances, surprise

Bins = Mapping[str, tuple[int, ...]]
"""By bin ``rows``, and in units of 2^-1127 ``weight``, ``positives``, ``chances``; ``brier``, ``surprise`` of all."""


class Calibration(Reducer):
    """The program returns tables with ``label`` and ``probability``, that of the label being ``positive``.

    ``bins`` of equal width from 0 to 1, each with its upper edge, as scikit-learn's ``calibration_curve``. ``weight`` names
    a column of weights. Sums are exact and rounded once. ``nan``: ``"raise"`` or ``"omit"``.
    """

    name = "calibration"
    takes = "data"
    commutative = exact = mergeable = True

    def __init__(
        self,
        label: str = "label",
        probability: str = "probability",
        positive: Any = 1,
        bins: int = 10,
        weight: str | None = None,
        nan: str = "raise",
    ) -> None:
        check_number("bins", bins, whole=True)
        if bins < 1:
            raise ConfigError(f"bins is {bins}; give 1 or more.")
        self.columns = Binary(label, probability, positive, weight, check_missing(nan))
        self.bins = bins

    def create_accumulator(self) -> Bins:
        """No rows."""
        return {**dict.fromkeys(_BY_BIN, (0,) * self.bins), "brier": (0,), "surprise": (0,)}

    def add_input(self, accumulator: Bins, value: Any) -> Bins:
        """With the rows of one output. Raises ProgramError where a column is not there or holds no probabilities."""
        positive, chance, weight = self.columns.read(value, self.name)
        check_chances(chance, self.columns.score)
        weight = np.ones(len(chance)) if weight is None else weight
        apart = positive - chance
        lost = surprise(np.where(positive, chance, 1.0 - chance))
        found = _by_bin(np.searchsorted(self._edges()[1:-1], chance), positive, chance, weight, self.bins)
        brier = exact_products(weight[:, None], apart[:, None], apart[:, None])
        found |= {"brier": tuple(brier), "surprise": tuple(exact_products(weight[:, None], lost[:, None]))}
        return self.merge_accumulators(accumulator, found)

    def merge_accumulators(self, left: Bins, right: Bins) -> Bins:
        """The sums added."""
        return {name: tuple(a + b for a, b in zip(left[name], right[name], strict=True)) for name in left}

    def extract_output(self, accumulator: Bins) -> dict[str, Any]:
        """``rows``, ``ece`` and ``mce``, the mean and largest distance of the bins, ``brier``, ``log_loss``, and ``bins``:
        by bin ``low``, ``high``, ``rows``, the mean ``predicted`` and ``observed`` (NaN of an empty bin).
        """
        sums, weights = accumulator, accumulator["weight"]
        predicted, observed = (
            np.array([ratio(a, w) for a, w in zip(sums[name], weights, strict=True)])
            for name in ("chances", "positives")
        )
        edges = self._edges()
        table = {"low": edges[:-1], "high": edges[1:], "rows": np.array(sums["rows"]), "predicted": predicted}
        apart, whole = np.abs(predicted - observed), sum(weights)
        share = np.array([ratio(w, whole) for w in weights])
        used = np.array([w > 0 for w in weights])
        return {
            "rows": sum(sums["rows"]),
            "ece": float((apart * share)[used].sum()) if whole else not_a_number,
            "mce": float(apart[used].max()) if whole else not_a_number,
            "brier": ratio(sums["brier"][0], whole),
            "log_loss": ratio(sums["surprise"][0], whole),
            "bins": {**table, "observed": observed},
        }

    def _edges(self) -> Floats:
        return np.linspace(0.0, 1.0, self.bins + 1)


FEW = 1000  # rows up to which all bins are summed at once; of more each bin sums its own rows
_BY_BIN = ("rows", "weight", "positives", "chances")


def _by_bin(place: Any, positive: Any, chance: Floats, weight: Floats, bins: int) -> dict[str, tuple[int, ...]]:
    if len(chance) <= FEW:  # one column for each bin
        here = place[:, None] == np.arange(bins)
        weights, chances = here * weight[:, None], np.broadcast_to(chance[:, None], here.shape)
        sums = exact_sums(weights), exact_sums(weights * positive[:, None]), exact_products(weights, chances)
        return dict(zip(_BY_BIN, map(tuple, (here.sum(axis=0).tolist(), *sums)), strict=True))
    found: dict[str, list[int]] = {name: [] for name in _BY_BIN}
    for b in range(bins):
        here = place == b
        mine, weights = chance[here][:, None], weight[here][:, None]
        found["rows"].append(int(here.sum()))
        found["weight"] += exact_sums(weights)
        found["positives"] += exact_sums(weights * positive[here][:, None])
        found["chances"] += exact_products(weights, mine)
    return {name: tuple(values) for name, values in found.items()}
