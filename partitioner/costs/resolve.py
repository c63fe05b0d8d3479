"""From what a user writes for ``cost=`` to a cost model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from partitioner import registry
from partitioner.costs.base import CostModel
from partitioner.costs.callable import Callable
from partitioner.costs.declared import Declared
from partitioner.costs.expression import Expression
from partitioner.errors import ConfigError, UnknownName, nearest

ALIASES = {"calibrate": "calibrated"}
"""The verb is what a user asks for, the noun what the model is."""


def resolve(spec: Any) -> CostModel:
    """The cost model that ``spec`` means.

    A cost model as it is; a registered name; an expression; ``{model: name, option: value}``; numbers, one per fragment;
    a function of a fragment or a record batch. UnknownName for a word that is no name, ConfigError for an unknown
    option, naming it and the nearest.
    """
    if isinstance(spec, str):
        return _from_string(spec)
    if isinstance(spec, Mapping):
        return _from_mapping(spec)
    if not isinstance(spec, type) and hasattr(spec, "estimate"):
        model: CostModel = spec
        return model
    if isinstance(spec, np.ndarray | list | tuple | int | float) and not isinstance(spec, bool):
        return Declared(spec)
    if isinstance(spec, type) and hasattr(spec, "estimate"):
        return _build(spec.__name__, spec, {})
    if callable(spec):
        return Callable(spec)
    if hasattr(spec, "__array__") and hasattr(spec, "__len__"):
        return Declared(np.asarray(spec, np.float64))
    raise ConfigError(
        f"cost = {spec!r}: expected a name ({', '.join(registry.names('costs'))}), an expression such as "
        "'2e-6 * len(text) ** 2', a mapping with 'model', numbers, a function or a cost model."
    )


def _from_string(text: str) -> CostModel:
    word = text.strip()
    name = ALIASES.get(word, word)
    if name in registry.names("costs"):
        return _build(name, registry.load("costs", name), {})
    if word.replace("-", "_").isidentifier() or not word:
        known = sorted({*registry.names("costs"), *ALIASES})
        raise UnknownName(
            f"No cost model named {text!r}; there are {', '.join(known)}.{nearest(word, known)} "
            f"A column or feature is written {{model: declared, seconds: {word or 'NAME'}}}."
        )
    return Expression(word)


def _from_mapping(spec: Mapping[str, Any]) -> CostModel:
    options = dict(spec)
    name = options.pop("model", None)
    if name is None:
        keys = [str(k) for k in spec]
        raise ConfigError(
            f"cost = {dict(spec)!r} lacks the key 'model', which names the cost model.{nearest('model', keys)}"
        )
    if not isinstance(name, str):
        raise ConfigError(f"cost model = {name!r}; it is one of {', '.join(registry.names('costs'))}.")
    name = ALIASES.get(name, name)
    return _build(name, registry.load("costs", name), options)


def _build(name: str, model: Any, options: dict[str, Any]) -> CostModel:
    """The model with its options checked against its constructor."""
    parameters = inspect.signature(model).parameters
    known = [p for p in parameters if p != "self"]
    for key in options:
        if str(key) not in known:
            raise ConfigError(
                f"cost model {name!r} has no option {key!r}; it has {', '.join(known) or 'none'}.{nearest(str(key), known)}"
            )
    missing = [p for p, v in parameters.items() if v.default is v.empty and p not in options]
    if missing:
        raise ConfigError(f"cost model {name!r} needs {missing[0]!r}: write {{model: {name}, {missing[0]}: ...}}.")
    built: CostModel = model(**options)
    return built
