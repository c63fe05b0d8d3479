"""A trained model on disk without pickle, with a card that says what it was made of."""

from __future__ import annotations

import importlib.metadata
import io
import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from partitioner.errors import ConfigError, MissingDependency
from partitioner.storage import Directory

CARD = "model_card.json"


def keep(model: Any, place: str, facts: Mapping[str, Any]) -> str:
    """Write the model and its card below ``place``; the name of the model's file.

    An estimator of scikit-learn becomes ``model.skops``, a tree of arrays ``model.safetensors`` (``model.npz`` where
    safetensors is not installed) with names such as ``layers/0/w``. ``facts`` go into the card, with the versions of what
    wrote it. Raises ConfigError for a model that is neither.
    """
    name, data = _written(model)
    directory = Directory(place)
    directory.put(name, data)
    card = {
        "model": f"{type(model).__module__}.{type(model).__qualname__}",
        "file": name,
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": _versions(),
        **facts,
    }
    directory.put(CARD, json.dumps(card, indent=2, default=_plain).encode())
    return name


def _written(model: Any) -> tuple[str, bytes]:
    if hasattr(model, "get_params"):
        try:
            import skops.io
        except ModuleNotFoundError as error:
            raise MissingDependency('models are kept with skops: pip install "batch-partitioner[ml]"') from error
        return "model.skops", skops.io.dumps(model)
    arrays = flattened(model)
    try:
        from safetensors.numpy import save

        return "model.safetensors", save(arrays)
    except ModuleNotFoundError:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        return "model.npz", buffer.getvalue()


def flattened(tree: Any, path: str = "") -> dict[str, Any]:
    """Arrays by their place in a tree of dicts and lists. Raises ConfigError for what is no array or number."""
    if isinstance(tree, Mapping):
        parts = [flattened(value, f"{path}/{key}") for key, value in tree.items()]
        return {key: value for part in parts for key, value in part.items()}
    if isinstance(tree, list | tuple):
        return flattened(dict(enumerate(tree)), path)
    array = np.ascontiguousarray(tree)
    if array.dtype.kind not in "fciub":
        raise ConfigError(
            f"{path.strip('/') or 'the model'} is a {type(tree).__name__}; only numbers and arrays are kept."
        )
    return {path.strip("/") or "value": array}


def _versions() -> dict[str, str]:
    names = ("batch-partitioner", "numpy", "scipy", "scikit-learn")
    return {name: importlib.metadata.version(name) for name in names}


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
