"""pandas only where it is used: whether a value is one of its frames or series, and Arrow that does not load it.

Loading pandas takes about a CPU second, and every worker process would pay it. pyarrow loads it by itself the first time
that any array is made, only to ask whether the values are pandas objects. ``on_demand`` answers that question with "not
loaded", and takes the answer back the moment that anyone imports pandas. Arrow's C++ asks too, once and for ever, where it
infers a type from Python values or gives numpy ones: ``to_array`` and ``to_numpy`` do the common cases without it.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import threading
from collections.abc import Sequence
from datetime import date, datetime, time
from types import ModuleType
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

PANDAS = "pandas"

UNFIT = (pa.ArrowCapacityError, pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError)
"""What Arrow raises for values that do not go into a type; lack of memory is no such thing."""

TORN = (*UNFIT, pa.ArrowIndexError, pa.ArrowKeyError, pa.ArrowSerializationError, OSError)
"""What reading a file raises that is not whole; lack of memory says nothing of the file."""


def is_frame(value: Any) -> bool:
    """Whether ``value`` is a pandas DataFrame, without loading pandas: who has one has loaded it."""
    return _is(value, "DataFrame")


def is_series(value: Any) -> bool:
    """Whether ``value`` is a pandas Series."""
    return _is(value, "Series")


def is_index(value: Any) -> bool:
    """Whether ``value`` is a pandas Index."""
    return _is(value, "Index")


def _is(value: Any, name: str) -> bool:
    kind = sys.modules[PANDAS].__dict__.get(name) if PANDAS in sys.modules else None
    return kind is not None and isinstance(value, kind)


class _Watch:
    """A finder on ``sys.meta_path`` that hides pandas from one thread for a moment, and sees its first import."""

    def __init__(self) -> None:
        self.hidden_from: int | None = None

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """The true spec of pandas with a loader that tells pyarrow; nothing of any other module."""
        if name != PANDAS:
            return None
        if self.hidden_from == threading.get_ident():
            raise ModuleNotFoundError(f"No module named {PANDAS!r}", name=PANDAS)
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        spec = importlib.util.find_spec(PANDAS)
        if spec is not None and spec.loader is not None:
            spec.loader = cast(Any, _Telling(spec.loader))
        return spec


class _Telling:
    """A loader that has pyarrow look for pandas again once it is loaded."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """As the true loader does."""
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        """Load pandas, with its own loader in place for who asks for its resources, and then look."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        _ = pa.lib._pandas_api.pd  # looks again where it was not found before


def on_demand() -> None:
    """Keep pyarrow from loading pandas until someone imports it. Nothing to do where it is loaded or not installed."""
    if PANDAS in sys.modules or any(isinstance(finder, _Watch) for finder in sys.meta_path):
        return
    watch = _Watch()
    sys.meta_path.insert(0, watch)
    watch.hidden_from = threading.get_ident()
    try:
        _ = pa.lib._pandas_api.have_pandas
    finally:
        watch.hidden_from = None


def to_numpy(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    """What Arrow's own ``to_numpy`` gives for n values, which loads pandas for any column; here numbers and text do not.

    Numbers without nulls are not copied; with nulls integers become float64 and a null NaN; text and bytes become objects,
    a null None. What else there is (dates, nested values, decimals) Arrow converts.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        if isinstance(column, pa.ChunkedArray):  # no chunk at all
            column = pa.nulls(0, column.type)
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        if column.null_count:
            exact = pa.types.is_floating(kind)
            mask = _flags(column.is_null())
            filled = np.array(_numbers(column.fill_null(pa.scalar(0, kind))), None if exact else np.float64)
            filled[mask] = np.nan
            return filled
        return _numbers(column)
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    if any(test(kind) for test in texts):
        held = np.empty(len(column), object)
        held[:] = column.to_pylist()
        return held
    if pa.types.is_boolean(kind):
        return np.array(column.to_pylist(), object) if column.null_count else _flags(column)
    return np.asarray(column.to_numpy(zero_copy_only=False))


def decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of categories as its values: the dictionaries of its chunks may differ. Any other as it is."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _flags(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Booleans without nulls."""
    return _numbers(column.cast(pa.uint8())).astype(np.bool_)


def doubles(column: Any) -> Any:
    """An array or chunked array as float64: integers of any size as the nearest one, the rest as Arrow casts exactly.

    Raises one of ``UNFIT`` for what is no number.
    """
    return column.cast(pa.float64(), safe=not pa.types.is_integer(column.type))


def vectors(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """float64[n, w] of a column of n lists of w numbers each; a null among the numbers is NaN.

    Raises ValueError for a null instead of a list, for lists of different lengths and for what is no number.
    """
    import pyarrow.compute as pc

    if column.null_count:
        raise ValueError(f"holds {column.null_count} nulls instead of vectors; fill or drop them")
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    widths = {width for chunk in chunks for width in pc.unique(pc.list_value_length(chunk)).to_pylist()}
    if len(widths) > 1:
        raise ValueError(
            f"holds vectors of different lengths ({min(widths)} to {max(widths)}); a matrix needs equal ones"
        )
    try:
        flat = [np.asarray(to_numpy(doubles(chunk.flatten())), np.float64) for chunk in chunks]
    except UNFIT as error:
        why = str(error).partition("\n")[0]
        raise ValueError(f"holds lists of {column.type.value_type} that are no numbers: {why}") from error
    whole = np.concatenate(flat) if flat else np.empty(0)
    return whole.reshape(len(column), next(iter(widths), 0))


def _numbers(column: pa.Array) -> npt.NDArray[Any]:
    return np.from_dlpack(column) if len(column) else np.empty(0, column.type.to_pandas_dtype())


_KINDS: dict[type, Any] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    bytes: pa.binary(),
}


def dense(frame: Any) -> Any:
    """A pandas DataFrame whose sparse columns hold all their values: Arrow has no sparse ones."""
    pandas = sys.modules[PANDAS]
    kinds = {name: kind.subtype for name, kind in frame.dtypes.items() if isinstance(kind, pandas.SparseDtype)}
    return frame.astype(kinds) if kinds else frame


def of_polars(frame: Any) -> pa.Table:
    """A polars DataFrame as a table. TypeError for Python objects: Arrow would get their addresses."""
    for name, kind in frame.schema.items():
        if str(kind) == "Object":
            raise TypeError(f"its column {name!r} holds Python objects.")
    table: pa.Table = frame.to_arrow()
    return table


def to_array(values: Sequence[Any], nan_is_null: bool = False) -> pa.Array:
    """A list of values as Arrow infers it, which loads pandas; here numbers, text and lists of them do not.

    Where Arrow would drop the time of day beside dates, or take times without a zone for UTC, this does not: dates become
    times, and pa.ArrowInvalid is raised. NaN beside text, as pandas tells a missing one, is null.
    """
    kind = _kind_of(values)
    if kind is not None:
        try:
            return pa.array(values, kind, from_pandas=nan_is_null)
        except (pa.ArrowInvalid, OverflowError):
            pass  # an integer beyond 64 bits, text beyond 2 GB: Arrow chooses
    if {type(v) for v in values} - {type(None)} == {np.datetime64}:  # of days Arrow takes arrays alone
        return pa.array(np.array([np.datetime64("NaT") if v is None else v for v in values]))
    found = _inferred(values, nan_is_null)
    return _with_times(values, found) if pa.types.is_temporal(found.type) else found


def _inferred(values: Sequence[Any], nan_is_null: bool) -> pa.Array:
    try:
        return pa.array(values, from_pandas=nan_is_null)
    except (TypeError, ValueError, *UNFIT):
        if nan_is_null or not any(isinstance(v, float) and v != v for v in values):
            raise
        return pa.array(values, from_pandas=True)


def _with_times(values: Sequence[Any], found: pa.Array) -> pa.Array:
    """Dates and times as Arrow infers them from the first, where that changes none of the others."""
    times = [v for v in values if isinstance(v, datetime)]
    zones = {v.tzinfo is None for v in times}
    if len(zones) > 1 or (pa.types.is_date(found.type) and False in zones):
        raise pa.ArrowInvalid("some of its times have a zone and others, or dates, have none")
    if not times or not pa.types.is_date(found.type):
        return found
    whole = [datetime.combine(v, time()) if type(v) is date else v for v in values]
    return pa.array(whole, pa.timestamp("us"), from_pandas=True)


def _kind_of(values: Sequence[Any]) -> Any:
    """The Arrow type of values that are all of one of the common types, else None."""
    kinds = {type(v) for v in values} - {type(None)}
    if len(kinds) != 1:
        return None
    kind = kinds.pop()
    if kind is not list:
        return _KINDS.get(kind)
    inner = _kind_of([item for v in values if v is not None for item in v])
    return None if inner is None else pa.list_(inner)
