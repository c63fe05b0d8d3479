"""Values as bytes without pickle: a JSON header that describes the value, and raw buffers for its arrays and tables.

    PTVAL1\\n | length of the header, uint64 | header | buffers, each at a multiple of 64 bytes

Reading runs no code of the file's: it knows plain values, lists, tuples, dicts, sets, dates, numpy arrays and scalars, Arrow
data, torch tensors, scikit-learn estimators (through skops), and records (named tuples, dataclasses and objects that
hold such values). The class of a record is looked up among the modules that are loaded already, never imported, and is
filled without calling it; where it is not there, a plain record of the same name and fields stands for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from partitioner.errors import ConfigError, DataError, PartitionerError
from partitioner.reducers.encoding import Decoder, Encoder

MAGIC = b"PTVAL1\n\0"
ALIGNMENT = 64  # bytes: Arrow's own, so that its buffers are read where they lie


_views: ContextVar[bool] = ContextVar("partitioner_views", default=False)


@contextmanager
def views(wanted: bool = True) -> Iterator[None]:
    """Within, the arrays that ``unpack`` gives lie in the bytes that it was given, and cannot be written."""
    token = _views.set(wanted)
    try:
        yield
    finally:
        _views.reset(token)


def pack(value: Any, by_key: bool = False) -> bytes:
    """``value`` as bytes. Raises ConfigError naming the part of it that only pickle could write.

    ``by_key``: dicts in the order of their keys, so that equal values give equal bytes.
    """
    encoder = Encoder(by_key)
    tree = encoder.node(value, "value")
    sizes = [memoryview(buffer).nbytes for buffer in encoder.buffers]
    header = json.dumps({"value": tree, "sizes": sizes}, separators=(",", ":")).encode()
    parts: list[Any] = [MAGIC, len(header).to_bytes(8, "little"), header]
    at = len(MAGIC) + 8 + len(header)
    for buffer, size in zip(encoder.buffers, sizes, strict=True):
        parts += [bytes(-at % ALIGNMENT), buffer]
        at += -at % ALIGNMENT + size
    return b"".join(parts)


def unpack(data: bytes | memoryview) -> Any:
    """What ``pack`` wrote, its arrays writable unless within ``views``.

    Raises DataError for bytes that are not whole, or no such value.
    """
    view = memoryview(data)
    try:
        return _unpack(view)
    except PartitionerError:
        raise
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise DataError(
            f"{view.nbytes} bytes are no value of ours, or not all of it ({type(error).__name__}: {error}). "
            "Remove what holds them, and run that sub-task again."
        ) from error


def _unpack(view: memoryview) -> Any:
    start = len(MAGIC) + 8
    if bytes(view[: len(MAGIC)]) != MAGIC:
        raise ValueError(f"they begin with {bytes(view[:8])!r} and not with {MAGIC!r}")
    at = start + int.from_bytes(view[len(MAGIC) : start], "little")
    header = json.loads(bytes(view[start:at]))
    buffers = []
    for size in header["sizes"]:
        at += -at % ALIGNMENT
        if at + size > view.nbytes:
            raise ValueError(f"they end before byte {at + size}")
        buffers.append(view[at : at + size])
        at += size
    if at != view.nbytes:
        raise ValueError(f"{view.nbytes - at} bytes are left over")
    return Decoder(buffers, _views.get()).value(header["value"])


def poison_in(value: Any) -> str | None:
    """Where in ``value`` there is NaN, as a path such as ``value['w'][2]``; None where all numbers are numbers."""
    encoder = Encoder()
    try:
        encoder.node(value, "value")
    except ConfigError:
        return None  # what cannot be described cannot be searched
    for path, leaf in encoder.floats:
        if np.size(leaf) and np.isnan(np.min(leaf)):  # the least of numbers with NaN is NaN; needs no memory
            return path
    return None
