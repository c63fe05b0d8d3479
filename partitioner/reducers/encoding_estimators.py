"""What the container writes for models: estimators of scikit-learn, and of what derives from them, through skops."""

from __future__ import annotations

from typing import Any, TypeAlias

from partitioner.errors import ConfigError, MissingDependency

Node: TypeAlias = list[Any]
Encoder: TypeAlias = Any  # of ``encoding``, which imports this module
Decoder: TypeAlias = Any

_HARMLESS = (
    "sklearn.tree._tree.Tree",
    "sklearn.neighbors._",
    "sklearn.linear_model._sgd_fast.",
    "sklearn.metrics._dist_metrics.",
    "sklearn.neural_network._stochastic_optimizers.",
    "sklearn.ensemble._hist_gradient_boosting.",
    "sklearn._loss.",
    "_loss.",
    # not compiled, and as harmless: they are filled, or called by a fit
    "numpy.dtype",
    "sklearn.feature_selection._univariate_selection.",
    "sklearn.gaussian_process._gpc.",
    "sklearn.gaussian_process.kernels.",
    "sklearn.calibration._",
    "sklearn.metrics._scorer.",
    "sklearn.model_selection._split.",
    "sklearn.utils._bunch.Bunch",
    "partitioner.reducers.estimators.",
)
"""Parts of models that skops leaves to the reader to trust: they hold arrays and estimators, and run nothing. Functions in
them are looked at by themselves."""


def write_estimator(encoder: Encoder, value: Any, path: str) -> Node | None:
    """An estimator of scikit-learn (or xgboost's wrappers, which are such) through skops."""
    from sklearn.base import BaseEstimator

    if not isinstance(value, BaseEstimator):
        return None
    return ["skops", encoder.buffer(_skops().dumps(value))]


def read_estimator(decoder: Decoder, index: int) -> Any:
    """The estimator that lies in a buffer. Raises ConfigError for types not known to be safe."""
    return estimator_of(bytes(decoder.buffers[index]))


def estimator_of(data: bytes) -> Any:
    """The model that skops wrote. Raises ConfigError for one that holds types not known to be safe."""
    io = _skops()
    found = io.get_untrusted_types(data=data)
    ours = [name for name in found if name.startswith(_HARMLESS)]
    unknown = sorted(set(found) - set(ours))
    if unknown:
        raise ConfigError(
            f"a model holds {', '.join(unknown)}, which skops does not know to be safe. Name serializer='pickle', which is "
            "signed with your own key, or keep to types of scikit-learn."
        )
    return io.loads(data, trusted=ours)


def _skops() -> Any:
    try:
        import skops.io
    except ModuleNotFoundError as error:
        raise MissingDependency(
            'models of scikit-learn are kept with skops, which is not installed: pip install "batch-partitioner[ml]"; '
            "or name serializer='pickle'."
        ) from error
    return skops.io
