"""From what a user writes for ``cost=`` to a cost model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from partitioner import choices, registry
from partitioner.costs.base import CostModel
from partitioner.costs.callable import CostFunction
from partitioner.costs.declared import Declared
from partitioner.costs.expression import Expression
from partitioner.errors import ConfigError, UnknownName


def resolve(spec: Any) -> CostModel:
    """The cost model that ``spec`` means.

    What ``choices`` takes: a registered name, ``module:Class``, ``{model: name, option: value}``, a class, a cost model.
    Besides an expression; numbers, one per fragment; a function of a fragment or a record batch. UnknownName for a word
    that is no name, ConfigError for an unknown option, naming it and the nearest.
    """
    if isinstance(spec, str):
        return _from_string(spec.strip())
    if isinstance(spec, Mapping | type) or choices.resembles("costs", spec):
        return _chosen(spec)
    if isinstance(spec, np.ndarray | list | tuple | int | float) and not isinstance(spec, bool):
        return Declared(spec)
    if callable(spec):
        return CostFunction(spec)
    if hasattr(spec, "__array__") and hasattr(spec, "__len__"):
        return Declared(np.asarray(spec, np.float64))
    raise ConfigError(
        f"cost = {spec!r}: expected a name ({', '.join(registry.names('costs'))}), an expression such as "
        "'2e-6 * len(text) ** 2', a mapping with 'model', numbers, a function or a cost model."
    )


def _chosen(spec: Any) -> CostModel:
    model: CostModel = choices.choose("costs", spec)
    return model


def _from_string(word: str) -> CostModel:
    if choices.is_target(word):
        found = choices.imported(word, "cost model")
        return _chosen(found) if isinstance(found, type) else CostFunction(found)
    try:
        registry.known("costs", word)
    except UnknownName as error:
        if word and not word.replace("-", "_").isidentifier():
            return Expression(word)
        raise UnknownName(
            f"{error} A column or feature is written {{model: declared, seconds: {word or 'NAME'}}}."
        ) from None
    return _chosen(word)
