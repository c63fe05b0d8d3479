"""A trained model on disk without pickle, with a card that says what it was made of."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import platform
import sys
import time
from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.errors import ConfigError, MissingDependency
from partitioner.reducers.encoding_estimators import estimator_of
from partitioner.reducers.trees import is_tensor
from partitioner.storage import Directory

CARD = "model_card.json"
METRICS = "metrics.json"


def keep(model: Any, place: str, facts: Mapping[str, Any]) -> str:
    """Write the model and its card below ``place``; the name of the model's file.

    An estimator of scikit-learn becomes ``model.skops``, a tree of arrays ``model.safetensors`` (``model.npz`` where
    safetensors is not installed) with names such as ``layers/0/w``. ``facts`` go into the card, with the versions of what
    wrote it. Raises ConfigError for a model that is neither.
    """
    name, data = _written(model)
    Directory(place).put(name, data)
    about = {"model": _named(model), **({"parameters": chosen} if (chosen := _parameters(model)) else {})}
    _write(place, CARD, {**about, "file": name, **_made(), **facts})
    return name


def keep_card(file: str, place: str, facts: Mapping[str, Any], model: str) -> None:
    """Write the card of a model whose own library wrote the ``file`` below ``place``; ``model`` is its class, in words."""
    _write(place, CARD, {"model": model, "file": file, **_made(), **facts})


def keep_metrics(metrics: Mapping[str, Any], place: str, facts: Mapping[str, Any], model: Any = None) -> str:
    """Write figures as ``metrics.json`` below ``place``, with a card that says of what; the name of the file.

    ``metrics``: dicts, lists, arrays and tables of numbers and text; NaN becomes null. ``model``, where it is known, gives
    the card its name and parameters.
    """
    _write(place, METRICS, metrics)
    of = {} if model is None else {"model": _named(model), "parameters": _parameters(model)}
    _write(place, CARD, {**of, "file": METRICS, **_made(), **facts})
    return METRICS


def kept_model(url: str) -> Any:
    """A model that ``keep`` wrote as ``model.skops``. Raises ConfigError where it holds types not known to be safe."""
    folder, _, name = url.rpartition("/")
    return estimator_of(Directory(folder or ".").get(name))


def _write(place: str, name: str, value: Any) -> None:
    Directory(place).put(name, json.dumps(plain(value), indent=2, allow_nan=False).encode())


def _named(model: Any) -> str:
    return f"{type(model).__module__}.{type(model).__qualname__}"


def _made() -> dict[str, Any]:
    return {"written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "versions": _versions()}


def _parameters(model: Any) -> dict[str, Any]:
    """Of an estimator of scikit-learn, as text where they are no plain values."""
    base = sys.modules.get("sklearn.base")
    return dict(model.get_params(deep=False)) if base is not None and isinstance(model, base.BaseEstimator) else {}


def _written(model: Any) -> tuple[str, bytes]:
    if hasattr(model, "get_params"):
        try:
            import skops.io
        except ModuleNotFoundError as error:
            raise MissingDependency('models are kept with skops: pip install "batch-partitioner[ml]"') from error
        return "model.skops", skops.io.dumps(model)
    arrays = flattened(model)
    try:
        return "model.safetensors", _safetensors(arrays)
    except ModuleNotFoundError as error:
        if any(is_tensor(array) for array in arrays.values()):
            raise MissingDependency(
                'tensors of types that numpy lacks are kept with safetensors: pip install "batch-partitioner[ml]"'
            ) from error
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        return "model.npz", buffer.getvalue()


def _safetensors(arrays: Mapping[str, Any]) -> bytes:
    """Through torch where a type is one that numpy lacks."""
    if not any(is_tensor(array) for array in arrays.values()):
        from safetensors.numpy import save

        return save(dict(arrays))
    from safetensors.torch import save as save_tensors

    torch: Any = sys.modules["torch"]
    return bytes(save_tensors({n: a if is_tensor(a) else torch.from_numpy(a) for n, a in arrays.items()}))


def flattened(tree: Any, path: str = "") -> dict[str, Any]:
    """Arrays by their place in a tree of dicts, lists and tensors, in their types and shapes.

    Tensors of types that numpy lacks (bfloat16) stay tensors. Raises ConfigError for what is no array or number, and for two
    places of one name.
    """
    if isinstance(tree, Mapping):
        found: dict[str, Any] = {}
        for key, value in tree.items():
            for name, array in flattened(value, f"{path}/{key}").items():
                if name in found:
                    raise ConfigError(f"two parts of the model are called {name!r}; give keys without '/'.")
                found[name] = array
        return found
    if isinstance(tree, list | tuple):
        return flattened(dict(enumerate(tree)), path)
    array = _array(tree, path)
    if not is_tensor(array) and array.dtype.kind not in "fciub":
        raise ConfigError(
            f"{path.strip('/') or 'the model'} is a {type(tree).__name__}; only numbers and arrays are kept."
        )
    return {path.strip("/") or "value": array}


def _array(leaf: Any, path: str) -> Any:
    if not is_tensor(leaf):
        return np.asarray(leaf, order="C")
    if leaf.layout != sys.modules["torch"].strided or leaf.is_quantized:
        raise ConfigError(f"{path.strip('/')} is a sparse or quantized tensor; keep it as a dense one (.to_dense()).")
    leaf = leaf.detach().cpu()
    try:
        return np.asarray(leaf.numpy(), order="C")
    except TypeError:  # numpy has no such type
        return leaf.contiguous().clone()


WROTE = (
    *("batch-partitioner", "numpy", "scipy", "scikit-learn", "skops", "safetensors", "torch", "keras"),
    *("xgboost", "xgboost-cpu"),  # one package, two distributions
)
"""What a model may be made or written with."""


def _versions() -> dict[str, str]:
    """Of Python and of what may have made a model, where it is installed."""
    found = {"python": platform.python_version()}
    for name in WROTE:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def plain(value: Any) -> Any:
    """A value as JSON has it: arrays and tables as lists, NaN and infinities as null, all else as text."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, pa.Table):
        value = value.to_pylist()
    if isinstance(value, Mapping):
        return {str(key): plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [plain(held) for held in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value if isinstance(value, bool | int | str | None) else str(value)
