"""What the container writes for values that programs collect in: the standard library's collections, numpy's other arrays,
scipy's sparse ones and pandas' moments. Each is made of values that the container knows; no class of a file's is called.
"""

from __future__ import annotations

import collections
import enum
import sys
import uuid
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from partitioner.errors import DataError

Node: TypeAlias = list[Any]
Encoder: TypeAlias = Any  # of ``encoding``, which imports this module
Decoder: TypeAlias = Any

FACTORIES: dict[str, Any] = {kind.__name__: kind for kind in (int, float, bool, str, list, dict, set, tuple)}
"""What a ``defaultdict`` may make of nothing: types that are known by name. A function is code, and stays out of files."""

ARRAYS = {"matrix": np.matrix, "recarray": np.recarray}
COMPRESSED = ("csr", "csc", "bsr")


def write_collected(encoder: Encoder, value: Any, path: str) -> Node | None:
    """A ``defaultdict``, ``deque``, ``Enum`` or ``UUID``; None for anything else."""
    if type(value) is collections.defaultdict:
        known = [name for name, kind in FACTORIES.items() if kind is value.default_factory]
        if not known and value.default_factory is not None:
            return None
        return ["default", known[0] if known else None, encoder.node(dict(value), path)]
    if type(value) is collections.deque:
        return ["deque", encoder.node(list(value), path), value.maxlen]
    if isinstance(value, enum.Enum):
        kind = type(value)
        return ["enum", f"{kind.__module__}:{kind.__qualname__}", encoder.node(value.value, f"{path}.value")]
    return ["uuid", value.hex] if type(value) is uuid.UUID else None


def write_array(encoder: Encoder, value: Any, path: str) -> Node | None:
    """A masked array, a matrix or an array of records with attributes; None for a plain one."""
    if isinstance(value, np.ma.MaskedArray):
        held = (np.asarray(value.filled()), np.ma.getmaskarray(value), value.fill_value)
        return ["masked", *(encoder.node(part, path) for part in held)]
    for name, kind in ARRAYS.items():
        if isinstance(value, kind):
            return ["viewed", name, encoder.node(np.asarray(value), path)]
    return None


def write_sparse(encoder: Encoder, value: Any, path: str) -> Node | None:
    """A sparse array or matrix of scipy, in its format; those that are made to be changed as their coordinates."""
    from scipy import sparse

    if not sparse.issparse(value):
        return None
    if value.format in COMPRESSED:
        parts = {"data": value.data, "indices": value.indices, "indptr": value.indptr}
    elif value.format == "dia":
        parts = {"data": value.data, "offsets": value.offsets}
    else:
        found = value.tocoo()
        parts = {"data": found.data, **{f"coordinates {i}": axis for i, axis in enumerate(found.coords)}}
    kind = "array" if isinstance(value, sparse.sparray) else "matrix"
    held = {name: np.ascontiguousarray(part) for name, part in parts.items()}
    return ["sparse", f"{value.format}_{kind}", list(value.shape), encoder.node(held, path)]


def write_moment(encoder: Encoder, value: Any, path: str) -> Node | None:
    """A ``Timestamp``, ``Timedelta`` or ``NaT`` of pandas, with its unit and time zone."""
    import pandas as pd

    if value is pd.NaT:
        return ["moment", "NaT", None, None]
    if isinstance(value, pd.Timestamp | pd.Timedelta):
        zone = getattr(value, "tzinfo", None)
        kind = "Timestamp" if isinstance(value, pd.Timestamp) else "Timedelta"
        return ["moment", kind, encoder.node(value.asm8, path), None if zone is None else str(zone)]
    return None


def _read_enum(decoder: Decoder, name: str, value: Node) -> Any:
    module, _, path = name.partition(":")
    kind: Any = sys.modules.get(module)
    for part in path.split("."):
        kind = vars(kind).get(part) if kind is not None else None
    if not (isinstance(kind, type) and issubclass(kind, enum.Enum)):
        raise DataError(
            f"the enumeration {path} of {module} is not loaded where it is read. Keep it in a module that the reducer "
            "imports, or keep the names of its members as text."
        )
    return kind._value2member_map_[decoder.value(value)]


def _read_masked(decoder: Decoder, values: Node, mask: Node, fill: Node) -> Any:
    return np.ma.MaskedArray(decoder.value(values), decoder.value(mask), fill_value=decoder.value(fill))


def _read_sparse(decoder: Decoder, name: str, shape: list[int], held: Node) -> Any:
    from scipy import sparse

    parts: dict[str, Any] = decoder.value(held)
    kind, wide = vars(sparse)[name], tuple(shape)
    data, *rest = parts.values()
    if name.partition("_")[0] in (*COMPRESSED, "dia"):
        return kind((data, *rest), shape=wide)
    found = vars(sparse)[f"coo_{name.partition('_')[2]}"]((data, tuple(rest)), shape=wide)
    return found if name.startswith("coo") else kind(found)


def _read_moment(decoder: Decoder, kind: str, moment: Node | None, zone: str | None) -> Any:
    import pandas as pd

    if moment is None:
        return pd.NaT
    if kind == "Timedelta":
        return pd.Timedelta(decoder.value(moment))
    found = pd.Timestamp(decoder.value(moment))
    return found if zone is None else found.tz_localize("UTC").tz_convert(zone)


READERS: dict[str, Callable[..., Any]] = {
    "default": lambda decoder, factory, held: collections.defaultdict(FACTORIES.get(factory), decoder.value(held)),
    "deque": lambda decoder, held, most: collections.deque(decoder.value(held), most),
    "enum": _read_enum,
    "uuid": lambda decoder, text: uuid.UUID(text),
    "masked": _read_masked,
    "viewed": lambda decoder, name, held: decoder.value(held).view(ARRAYS[name]),
    "sparse": _read_sparse,
    "moment": _read_moment,
}
