"""What is told of a confusion matrix, with scikit-learn's definitions; a division by zero is 0, as there."""

from __future__ import annotations

from math import nan, sqrt
from typing import Any

import numpy as np

Matrix = Any
"""int64 or float64[true, predicted]."""
AVERAGED = ("precision", "recall", "f1")


def scores(confusion: Matrix) -> dict[str, Any]:
    """``accuracy``, by class ``precision``, ``recall``, ``f1`` and ``support``, their ``macro``, ``micro`` and ``weighted``
    means, ``balanced_accuracy``, ``matthews`` and ``kappa``. Without rows all of them are NaN.
    """
    right, said, there = np.diagonal(confusion), confusion.sum(axis=0), confusion.sum(axis=1)
    each = {
        "precision": share(right, said),
        "recall": share(right, there),
        "f1": share(2.0 * right, said + there),
    }
    total = confusion.sum().item()
    accuracy = right.sum().item() / total if total else nan
    known = there > 0
    return {
        "accuracy": accuracy,
        "balanced_accuracy": float(each["recall"][known].mean()) if total else nan,
        **each,
        "support": there,
        "macro": {name: float(each[name].mean()) if total else nan for name in AVERAGED},
        "micro": dict.fromkeys(AVERAGED, accuracy),
        "weighted": {name: float(np.average(each[name], weights=there)) if total else nan for name in AVERAGED},
        "matthews": matthews(confusion),
        "kappa": kappa(confusion),
    }


def share(part: Any, whole: Any) -> Any:
    """float64[k]: 0 where ``whole`` is."""
    part = np.asarray(part, np.float64)
    return np.divide(part, whole, out=np.zeros(part.shape), where=np.asarray(whole) > 0)


def matthews(confusion: Matrix) -> float:
    """Matthews' correlation of k classes (Gorodkin 2004); 0 where one of the two never changes."""
    right, said, there, total = _counts(confusion)
    if not total:
        return nan
    together = right * total - sum(a * b for a, b in zip(said, there, strict=True))
    apart = (total * total - sum(a * a for a in said)) * (total * total - sum(a * a for a in there))
    return float(together / sqrt(apart)) if apart > 0 else 0.0


def kappa(confusion: Matrix) -> float:
    """Cohen's kappa; NaN where agreement is all that can be."""
    right, said, there, total = _counts(confusion)
    chance = sum(a * b for a, b in zip(said, there, strict=True))
    left = total * total - chance
    return float(1.0 - (total * total - right * total) / left) if left > 0 else nan


def _counts(confusion: Matrix) -> tuple[Any, list[Any], list[Any], Any]:
    """As Python's numbers, which do not overflow."""
    said, there = confusion.sum(axis=0).tolist(), confusion.sum(axis=1).tolist()
    return np.trace(confusion).item(), said, there, confusion.sum().item()
