"""A fitted classifier whose answers are known beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Says:
    """Gives every row the same ``probabilities``, float64[classes]."""

    classes_: npt.NDArray[Any]
    probabilities: npt.NDArray[np.float64]

    @classmethod
    def of(cls, **shares: float) -> Says:
        """``Says.of(cat=0.3, dog=0.7)``."""
        return cls(np.array(list(shares)), np.array(list(shares.values())))

    def predict_proba(self, rows: Any) -> npt.NDArray[np.float64]:
        """float64[rows, classes]."""
        return np.tile(self.probabilities, (len(rows), 1))

    def predict(self, rows: Any) -> npt.NDArray[Any]:
        """The likeliest class for every row."""
        return np.full(len(rows), self.classes_[np.argmax(self.probabilities)])
