"""``pca``: a fitted ``PCA`` of all rows, from the singular vectors of the centred triangular factor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from partitioner.errors import ConfigError
from partitioner.model.data import Floats
from partitioner.reducers.models.estimator import with_features
from partitioner.reducers.models.linear import Factor, FactorReducer
from partitioner.reducers.models.rows import Layout


class Pca(FactorReducer):
    """The program returns tables or float64[n, f]. ``components`` 1 or more; all of them by default.

    ``whiten`` as in scikit-learn, ``features`` as in ``Layout``.
    """

    name = "pca"

    def __init__(
        self, components: int | None = None, features: str | Sequence[str] | None = None, whiten: bool = False
    ) -> None:
        if components is not None and components < 1:
            raise ConfigError(f"components is {components}; give 1 or more, or None for all.")
        self.components, self.whiten = components, whiten
        self.layout = Layout.of(features)

    def extract_output(self, accumulator: Factor | None) -> Any:
        """The fitted model; None of no rows. Raises ConfigError for more components than features or rows."""
        if accumulator is None:
            return None
        rows, wide = accumulator.rows, accumulator.width
        most = min(rows, wide)
        if self.components is not None and self.components > most:
            raise ConfigError(
                f"components is {self.components}; give from 1 to the smaller of {rows} rows and {wide} features."
            )
        _, values, vectors = np.linalg.svd(_padded(accumulator.r, most), full_matrices=False)
        signs = np.sign(vectors[np.arange(len(vectors)), np.argmax(np.abs(vectors), axis=1)])
        model = self._fitted(values, vectors * signs[:, None], rows, self.components or most)
        model.mean_ = accumulator.mean
        return with_features(model, accumulator.names, wide)

    def _fitted(self, values: Floats, vectors: Floats, rows: int, components: int) -> Any:
        from sklearn.decomposition import PCA

        model = PCA(self.components, whiten=self.whiten)
        variances = values**2 / max(rows - 1, 1)
        model.components_, model.singular_values_ = vectors[:components], values[:components]
        model.explained_variance_ = variances[:components]
        model.explained_variance_ratio_ = variances[:components] / variances.sum()
        model.noise_variance_ = float(variances[components:].mean()) if len(variances) > components else 0.0
        model.n_samples_, model.n_components_ = rows, components
        return model


def _padded(body: Floats, rows: int) -> Floats:
    """The centred factor with as many rows as there are components; it has one row less than there were rows."""
    return np.vstack([body, np.zeros((max(0, rows - len(body)), body.shape[1]))])
