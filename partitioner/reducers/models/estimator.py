"""What the reducers that give a fitted estimator share."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from partitioner.errors import ConfigError, MissingDependency, nearest
from partitioner.reducers.base import Reducer


class EstimatorReducer(Reducer):
    """The result is an estimator of scikit-learn, fitted; None of no rows. ``by_key`` has no place for it in a table."""

    commutative = mergeable = True
    per_key = False
    takes = "data"


def check_kind(kind: str, kinds: Mapping[str, Any], word: str = "kind") -> str:
    """``kind``, if it is one. Raises ConfigError with the nearest."""
    if kind not in kinds:
        raise ConfigError(f"{word} is {kind!r}; it is {', '.join(kinds)}.{nearest(str(kind), list(kinds))}")
    return kind


def unfitted(target: str, options: Mapping[str, Any]) -> Any:
    """An estimator of scikit-learn, ``"preprocessing:StandardScaler"``, with its options checked.

    Raises ConfigError for an option or a value that scikit-learn refuses.
    """
    module, _, name = target.partition(":")
    try:
        kind = vars(importlib.import_module(f"sklearn.{module}"))[name]
    except ModuleNotFoundError as error:
        raise MissingDependency(f'{name} is part of scikit-learn: pip install "batch-partitioner[ml]"') from error
    known = list(kind().get_params())
    for option in options:
        if option not in known:
            raise ConfigError(f"{name} has no option {option!r}; it has {', '.join(known)}.{nearest(option, known)}")
    model = kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in options.items()})
    try:
        if options:
            model._validate_params()
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return model


def with_features(model: Any, names: tuple[str, ...] | None, width: int) -> Any:
    """The model with what scikit-learn remembers of the columns it was fitted to."""
    model.n_features_in_ = width
    if names is not None:
        model.feature_names_in_ = np.array(names, dtype=object)
    return model
