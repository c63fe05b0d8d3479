"""What the container writes for each type of value: one encoder and one decoder side by side."""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime
import decimal
import functools
import sys
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from partitioner.errors import ConfigError
from partitioner.reducers import encoding_collections as kept
from partitioner.reducers import encoding_estimators as estimators

Node = list[Any]
"""``[tag, ...]`` in JSON."""

_DATES: dict[str, type[Any]] = {"date": datetime.date, "datetime": datetime.datetime, "time": datetime.time}


class Encoder:
    """Turns values into nodes, and collects the ``buffers`` they point to and the ``floats`` found, with their paths.

    ``by_key``: dicts are written in the order of their keys, so that equal ones are written alike.
    """

    def __init__(self, by_key: bool = False) -> None:
        self.by_key = by_key
        self.buffers: list[Any] = []
        self.floats: list[tuple[str, Any]] = []

    def node(self, value: Any, path: str) -> Node:
        """The node of ``value``, which is at ``path``. Raises ConfigError for a type that it does not know."""
        write = _WRITERS.get(type(value))
        if write is not None:
            return write(self, value, path)
        if isinstance(value, np.ndarray):
            return kept.write_array(self, value, path) or _write_array(self, value, path)
        if isinstance(value, np.generic):
            return ["scalar", _write_array(self, np.asarray(value), path)]
        home = type(value).__module__.partition(".")[0]
        if home in _PACKAGES and (found := _PACKAGES[home](self, value, path)) is not None:
            return found
        return kept.write_collected(self, value, path) or _write_record(self, value, path)

    def buffer(self, data: Any) -> int:
        """The number under which ``data`` is found again."""
        self.buffers.append(data)
        return len(self.buffers) - 1


class Decoder:
    """The way back; with ``views`` arrays lie in the buffers and cannot be written."""

    def __init__(self, buffers: list[memoryview], views: bool = False) -> None:
        self.buffers = buffers
        self.views = views

    def value(self, node: Node) -> Any:
        """The value of a node."""
        return _READERS[node[0]](self, *node[1:])


def _refused(value: Any, path: str) -> ConfigError:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return ConfigError(
        f"{path} is a {kind}, which is not written without pickle. Keep numbers, text, arrays, tables, or lists, dicts "
        "and dataclasses of them; or give the reducer its own serialize and deserialize; or name serializer='pickle', which "
        "is signed with your own key."
    )


def _plain(encoder: Encoder, value: Any, path: str) -> Node:
    return ["v", value]


def _write_float(encoder: Encoder, value: float, path: str) -> Node:
    encoder.floats.append((path, value))
    return ["f", value.hex()]


def _read_float(decoder: Decoder, text: str) -> float:
    return float.fromhex(text)


def _items(encoder: Encoder, values: Any, path: str) -> list[Node]:
    return [encoder.node(item, f"{path}[{i}]") for i, item in enumerate(values)]


def _write_dict(encoder: Encoder, value: dict[Any, Any], path: str) -> Node:
    by_key = encoder.by_key and not isinstance(value, collections.OrderedDict)
    keys = sorted(value, key=repr) if by_key else list(value)
    return ["d", [[encoder.node(k, f"key of {path}"), encoder.node(value[k], f"{path}[{k!r}]")] for k in keys]]


def _write_set(encoder: Encoder, value: Any, path: str) -> Node:
    try:
        ordered = sorted(value)
    except TypeError:
        ordered = sorted(value, key=repr)
    return ["set" if isinstance(value, set) else "frozenset", _items(encoder, ordered, path)]


def _write_array(encoder: Encoder, value: np.ndarray[Any, Any], path: str) -> Node:
    if value.dtype.hasobject:
        if value.dtype != object:
            raise _refused(value, path)
        return ["objects", list(value.shape), _items(encoder, value.ravel(), path)]
    if value.dtype.kind in "fc":
        encoder.floats.append((path, value))
    order: Literal["C", "F"] = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
    flat = value.ravel(order)
    kind: Any = value.dtype.str if value.dtype.names is None else [list(field) for field in value.dtype.descr]
    return ["a", kind, list(value.shape), order, encoder.buffer(flat.view(np.uint8) if flat.size else b"")]


def _read_array(decoder: Decoder, kind: Any, shape: list[int], order: Any, index: int) -> np.ndarray[Any, Any]:
    dtype = np.dtype(kind if isinstance(kind, str) else [tuple(field) for field in kind])
    flat = np.frombuffer(decoder.buffers[index], dtype)
    return (flat if decoder.views else flat.copy()).reshape(shape, order=order)


def _read_objects(decoder: Decoder, shape: list[int], items: list[Node]) -> np.ndarray[Any, Any]:
    array = np.empty(len(items), object)
    for i, item in enumerate(items):
        array[i] = decoder.value(item)
    return array.reshape(shape)


def _arrow(encoder: Encoder, tag: str, table: pa.Table) -> Node:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return [tag, encoder.buffer(sink.getvalue())]


def _read_table(decoder: Decoder, index: int) -> pa.Table:
    with pa.ipc.open_stream(pa.py_buffer(decoder.buffers[index])) as reader:
        return reader.read_all()


def _write_arrow(encoder: Encoder, value: Any, path: str) -> Node | None:
    if isinstance(value, pa.Table):
        return _arrow(encoder, "table", value)
    if isinstance(value, pa.RecordBatch):
        return _arrow(encoder, "batch", pa.Table.from_batches([value]))
    if isinstance(value, pa.ChunkedArray):
        return _arrow(encoder, "chunked", pa.table({"x": value}))
    if isinstance(value, pa.Array):
        return _arrow(encoder, "array", pa.table({"x": value}))
    return None


def _read_batch(decoder: Decoder, index: int) -> pa.RecordBatch:
    table = _read_table(decoder, index).combine_chunks()
    batches = table.to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _read_arrow_array(decoder: Decoder, index: int) -> pa.Array:
    column = _read_table(decoder, index)["x"].combine_chunks()
    return pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column


def _write_pandas(encoder: Encoder, value: Any, path: str) -> Node | None:
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return _arrow(encoder, "frame", pa.Table.from_pandas(value))
    if isinstance(value, pd.Series):
        return _arrow(
            encoder, "series", pa.Table.from_pandas(value.to_frame("x" if value.name is None else value.name))
        )
    return kept.write_moment(encoder, value, path)


def _write_torch(encoder: Encoder, value: Any, path: str) -> Node | None:
    """A tensor: its bytes and torch's own name of its type, so that bfloat16 and buffers of integers stay what they are."""
    import torch

    if not isinstance(value, torch.Tensor):
        return None
    plain = value.detach().cpu().contiguous()
    raw = plain.reshape(-1).view(torch.uint8).numpy()
    if plain.dtype.is_floating_point:
        encoder.floats.append((path, plain.double().numpy()))
    return ["torch", str(plain.dtype).removeprefix("torch."), list(plain.shape), encoder.buffer(raw)]


def _read_torch(decoder: Decoder, kind: str, shape: list[int], index: int) -> Any:
    import torch

    dtype = {str(v): v for v in vars(torch).values() if isinstance(v, torch.dtype)}[f"torch.{kind}"]
    raw = torch.from_numpy(np.frombuffer(decoder.buffers[index], np.uint8).copy())
    return (raw.view(dtype) if raw.numel() else torch.empty(0, dtype=dtype)).reshape(
        shape
    )  # of nothing there is no view


def _write_record(encoder: Encoder, value: Any, path: str) -> Node:
    """A named tuple, dataclass, or an object whose whole state is its ``__dict__``."""
    kind = type(value)
    name = f"{kind.__module__}:{kind.__qualname__}"
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        names, held, tag = list(kind._fields), list(value), "named"
    elif dataclasses.is_dataclass(value):
        names, tag = [f.name for f in dataclasses.fields(value)], "record"
        held = [getattr(value, n) for n in names]
    elif _only_dict(value):
        names, held, tag = list(vars(value)), list(vars(value).values()), "record"
    else:
        raise _refused(value, path)
    if kind.__module__.partition(".")[0] in sys.stdlib_module_names - {"__main__"}:
        raise _refused(value, path)
    return [tag, name, names, [encoder.node(v, f"{path}.{n}") for n, v in zip(names, held, strict=True)]]


def _only_dict(value: Any) -> bool:
    kind = type(value)
    if isinstance(value, type) or not hasattr(value, "__dict__") or isinstance(value, BaseException):
        return False
    own = {"__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__"}
    plain_bases = all(base is object or base.__module__ != "builtins" for base in kind.__mro__)
    slots = any(getattr(base, "__slots__", ()) for base in kind.__mro__)
    return plain_bases and not slots and not any(own & vars(base).keys() for base in kind.__mro__ if base is not object)


def _write_date(encoder: Encoder, value: Any, path: str) -> Node:
    return ["when", type(value).__name__, value.isoformat()]


def _loaded_class(name: str) -> type[Any] | None:
    """The class of a record, where its module is loaded; no module is imported for a name in a file."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    if found is None or module.partition(".")[0] in sys.stdlib_module_names - {"__main__"}:
        return None
    for part in path.split("."):
        found = vars(found).get(part) if found is not None else None
    return found if isinstance(found, type) else None


def _read_named(decoder: Decoder, name: str, names: list[str], held: list[Node]) -> Any:
    values = [decoder.value(node) for node in held]
    kind = _loaded_class(name)
    fits = kind is not None and issubclass(kind, tuple) and list(getattr(kind, "_fields", ())) == names
    if not fits:
        kind = _stand_in(name, tuple(names), True)
    assert kind is not None
    return tuple.__new__(kind, values)


@functools.lru_cache(maxsize=1000)
def _stand_in(name: str, names: tuple[str, ...], is_tuple: bool) -> type[Any]:
    """A plain class for records whose own is not loaded here: one for all of them, so that their structures are equal.

    It says that it is the other, so that what is written again is read as that where it is loaded.
    """
    module, _, path = name.partition(":")
    short = path.rpartition(".")[2]
    make: Any = collections.namedtuple
    kind: Any = make(short, names) if is_tuple else dataclasses.make_dataclass(short, [(n, Any) for n in names])
    if module.partition(".")[0] not in sys.stdlib_module_names - {"__main__"}:
        kind.__module__, kind.__qualname__ = module, path
    return kind  # type: ignore[no-any-return]


def _read_record(decoder: Decoder, name: str, names: list[str], held: list[Node]) -> Any:
    kind = _loaded_class(name)
    plain = kind is not None and object in kind.__mro__ and all(b.__module__ != "builtins" for b in kind.__mro__[:-1])
    if kind is None or not plain:
        kind = _stand_in(name, tuple(names), False)
    value = object.__new__(kind)
    for field, node in zip(names, held, strict=True):
        object.__setattr__(value, field, decoder.value(node))
    return value


_WRITERS: dict[type[Any], Callable[[Encoder, Any, str], Node]] = {
    type(None): _plain,
    bool: _plain,
    int: lambda encoder, value, path: ["v", value] if abs(value) < 2**53 else ["int", hex(value)],
    str: _plain,
    float: _write_float,
    complex: lambda encoder, value, path: ["complex", value.real.hex(), value.imag.hex()],
    bytes: lambda encoder, value, path: (
        ["bytes", base64.b85encode(value).decode()] if len(value) < 64 else ["data", encoder.buffer(value)]
    ),
    list: lambda encoder, value, path: ["l", _items(encoder, value, path)],
    tuple: lambda encoder, value, path: ["t", _items(encoder, value, path)],
    dict: _write_dict,
    collections.OrderedDict: lambda encoder, value, path: ["ordered", *_write_dict(encoder, value, path)[1:]],
    collections.Counter: lambda encoder, value, path: ["counter", *_write_dict(encoder, value, path)[1:]],
    set: _write_set,
    frozenset: _write_set,
    decimal.Decimal: lambda encoder, value, path: ["decimal", str(value)],
    datetime.timedelta: lambda encoder, value, path: ["delta", value.days, value.seconds, value.microseconds],
    **dict.fromkeys(_DATES.values(), _write_date),
}

_PACKAGES: dict[str, Callable[[Encoder, Any, str], Node | None]] = {
    "pyarrow": _write_arrow,
    "pandas": _write_pandas,
    "scipy": kept.write_sparse,
    "torch": _write_torch,
    "sklearn": estimators.write_estimator,
    "xgboost": estimators.write_estimator,
    "lightgbm": estimators.write_estimator,
}


def _pairs(decoder: Decoder, pairs: list[list[Node]]) -> dict[Any, Any]:
    return {decoder.value(key): decoder.value(held) for key, held in pairs}


def _list(decoder: Decoder, items: list[Node]) -> list[Any]:
    return [decoder.value(item) for item in items]


_READERS: dict[str, Callable[..., Any]] = {
    "v": lambda decoder, value: value,
    "int": lambda decoder, text: int(text, 16),
    "f": _read_float,
    "complex": lambda decoder, real, imaginary: complex(float.fromhex(real), float.fromhex(imaginary)),
    "bytes": lambda decoder, text: base64.b85decode(text),
    "data": lambda decoder, index: bytes(decoder.buffers[index]),
    "l": _list,
    "t": lambda decoder, items: tuple(_list(decoder, items)),
    "d": _pairs,
    "ordered": lambda decoder, pairs: collections.OrderedDict(_pairs(decoder, pairs)),
    "counter": lambda decoder, pairs: collections.Counter(_pairs(decoder, pairs)),
    "set": lambda decoder, items: set(_list(decoder, items)),
    "frozenset": lambda decoder, items: frozenset(_list(decoder, items)),
    "decimal": lambda decoder, text: decimal.Decimal(text),
    "delta": lambda decoder, days, seconds, micros: datetime.timedelta(days, seconds, micros),
    "when": lambda decoder, kind, text: _DATES[kind].fromisoformat(text),
    "a": _read_array,
    "scalar": lambda decoder, node: decoder.value(node)[()],
    "objects": _read_objects,
    "table": _read_table,
    "batch": _read_batch,
    "chunked": lambda decoder, index: _read_table(decoder, index)["x"],
    "array": _read_arrow_array,
    "frame": lambda decoder, index: _read_table(decoder, index).to_pandas(),
    "series": lambda decoder, index: _read_table(decoder, index).to_pandas().iloc[:, 0],
    "torch": _read_torch,
    "skops": estimators.read_estimator,
    "named": _read_named,
    "record": _read_record,
    **kept.READERS,
}
