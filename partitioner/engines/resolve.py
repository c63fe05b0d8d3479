"""From what a user gives as ``engine`` to an engine, and whether it is ours to close."""

from __future__ import annotations

from typing import Any

from partitioner import registry
from partitioner.config import named
from partitioner.engines.base import Engine

# Module of a live object, or beginning of an address -> engine and the option that takes it.
_OBJECTS = {"distributed": ("dask", "client"), "pyspark": ("spark", "session")}
_ADDRESSES = {
    "tcp://": ("dask", "address"),
    "tls://": ("dask", "address"),
    "ucx://": ("dask", "address"),
    "spark://": ("spark", "master"),
    "local-cluster[": ("spark", "master"),
    "k8s://": ("spark", "master"),
    "yarn": ("spark", "master"),
    "local[": ("spark", "master"),
    "sc://": ("spark", "master"),  # refused there in one sentence
}


def resolve(spec: Any) -> tuple[Engine, bool]:
    """The engine and whether to close it after the run.

    ``spec`` is a name, ``{engine: name, <option>: ...}``, an address, a ``distributed.Client``, a ``SparkSession``, or an
    engine, which is left open.
    """
    if isinstance(spec, str):
        for beginning, (name, option) in _ADDRESSES.items():
            if spec.startswith(beginning):
                return registry.build("engines", name, {option: spec}), True
    module = type(spec).__module__.partition(".")[0]
    if module in _OBJECTS:
        name, option = _OBJECTS[module]
        return registry.build("engines", name, {option: spec}), True
    if hasattr(spec, "submit") and hasattr(spec, "poll"):
        return spec, False
    name, options = named(spec, "engine")
    return registry.build("engines", name, options), True
