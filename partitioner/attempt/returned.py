"""What a program returns, as record batches. Packages are recognised by name, so that none is imported for it.

DataFrame (pandas, polars)      its columns; named index levels come first, an unnamed index is left out
Series, Arrow or torch array    a column named as the Series is, else ``result``
Arrow Table, batch, reader      as it is; anything else that exports an Arrow stream likewise
numpy, torch, one dimension     ``result``; structured: its fields; more dimensions: one list column ``result``
dict of columns                 a column each; a single value beside columns is repeated
named tuple, dataclass          likewise, by its fields; a plain tuple of columns: ``result_0``, ``result_1``, ...
list of dicts or dataclasses    a row each; a key that a row lacks is null
list of tuples                  a row each: ``result_0``, ``result_1``, ...
list of anything else           ``result``: one value (number, text, list, array, ...) per row
list, tuple of frames, tables   one after the other
iterator, generator             each of its items as above, one after the other, never all at once; a single value, a
                                tuple or a dict of such is a row
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

import numpy as np
import pyarrow as pa

from partitioner.attempt.formats import table_to_batch
from partitioner.errors import ProgramError
from partitioner.frames import UNFIT, dense, is_frame, of_polars, to_array

RESULT = "result"
"""The column of outputs that have no name."""

REMEDY = (
    "for reducer 'concat' return a DataFrame or Series (pandas, polars), Arrow table or array, numpy or torch array, dict "
    "of columns, or list of dicts or values, with one entry per row, or an iterator of those; or choose another reducer"
)


@runtime_checkable
class _ArrowStream(Protocol):
    """What the Arrow PyCapsule interface names: polars, DuckDB and others export tables by it."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """A capsule."""
        ...


STREAMED_ROWS, STREAMED_BYTES = 1024, 1 << 20
"""Rows that come one by one out of an iterator, and their bytes, which become one record batch."""

_SINGLE = (bool, int, float, str, bytes, bytearray, np.generic, Decimal, date, time, timedelta, UUID)


def is_stream(value: Any) -> bool:
    """Whether a returned value is an iterator of outputs, to be taken one by one."""
    return isinstance(value, Iterator)


def to_record_batches(value: Any) -> Iterator[pa.RecordBatch]:
    """The record batches of one return value; an iterator's items are converted as they come."""
    if not is_stream(value):
        yield to_record_batch(value)
        return
    rows: list[Any] = []
    size = 0
    for item in value:
        if _is_row(item):
            rows.append(item)
            size += _size(item)
        if rows and (len(rows) == STREAMED_ROWS or size >= STREAMED_BYTES or rows[-1] is not item):
            yield to_record_batch(rows)
            rows, size = [], 0
        if not _is_row(item):
            yield from to_record_batches(item)
    if rows:
        yield to_record_batch(rows)


def _is_row(item: Any) -> bool:
    """Whether an item of an iterator is one row: a single value, a plain tuple or a dict of such, or None."""
    if type(item) is tuple:
        return bool(item) and all(part is None or isinstance(part, _SINGLE) for part in item)
    if type(item) is dict:
        return bool(item) and all(part is None or isinstance(part, _SINGLE) for part in item.values())
    return item is None or isinstance(item, _SINGLE)


def _size(item: Any) -> int:
    parts = item.values() if type(item) is dict else item if type(item) is tuple else (item,)
    return sum(map(sys.getsizeof, parts))


def to_record_batch(value: Any) -> pa.RecordBatch:
    """One return value as a record batch; ProgramError, in one sentence with the remedies, for what has no such form.

    What an iterator raises while its items are taken is an error of the program, and passes.
    """
    taken = list(to_record_batches(value)) if is_stream(value) else None
    try:
        batch = _converted(value) if taken is None else _joined(taken)
    except (TypeError, ValueError, OverflowError, NotImplementedError, *UNFIT) as error:
        raise ProgramError(
            f"the program returned a {_name(value)} that has no table form: {_line(error)}{_of_maps(value)} "
            f"Give every column one type; {REMEDY}."
        ) from error
    names = batch.schema.names
    if len(set(names)) < len(names):
        repeated = next(n for n in names if names.count(n) > 1)
        raise ProgramError(f"the program returned more than one column named {repeated!r}; rename them.")
    return batch.replace_schema_metadata(None)


def _converted(value: Any) -> pa.RecordBatch:
    for kind in type(value).__mro__:
        convert = _BY_NAME.get((kind.__module__.partition(".")[0], kind.__name__))
        if convert is not None:
            return convert(value)
    if isinstance(value, Mapping):
        return _of_columns(value)
    if isinstance(value, tuple):
        return _of_tuple(value)
    if isinstance(value, list | range):
        return _of_list(list(value))
    fields = _fields(value)
    if fields is not None:
        return _of_columns(fields)
    if isinstance(value, _ArrowStream):
        return table_to_batch(pa.table(value))
    raise ProgramError(f"the program returned {_described(value)}; {REMEDY}.")


def _of_maps(value: Any) -> str:
    """What to do where a pandas column holds the pairs that it was given for a map of Arrow's."""
    if not is_frame(value):
        return ""
    for name, column in value.items():
        first = next((entry for entry in column if entry is not None), None) if column.dtype == object else None
        if isinstance(first, list) and first and type(first[0]) is tuple and len(first[0]) == 2:
            return (
                f" Column {name!r} holds lists of pairs, as pandas has Arrow's maps: use batch_format='arrow', which keeps "
                "them, or return dicts."
            )
    return ""


def _described(value: Any) -> str:
    if inspect.iscoroutine(value):
        value.close()
        return "a coroutine, which nobody awaits: make the program itself async (async def)"
    if value is None:
        return "None (is a return statement missing?)"
    return _name(value)


def _name(value: Any) -> str:
    kind = type(value)
    root = kind.__module__.partition(".")[0]
    return kind.__name__ if root in ("builtins", "__main__") else f"{root} {kind.__name__}"


def _line(error: Exception) -> str:
    several = len(error.args) > 1 and not isinstance(error, UnicodeError)
    text = " ".join(str(a) for a in error.args) if several else str(error)
    return text.strip().partition("\n")[0].rstrip(".") + "."


def _fields(value: Any) -> Mapping[str, Any] | None:
    """Field name to value of a dataclass instance, a named tuple or a pydantic model; None for anything else."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, tuple) and (names := getattr(type(value), "_fields", None)):
        return dict(zip(names, value, strict=True))
    if any(k.__module__.partition(".")[0] == "pydantic" and k.__name__ == "BaseModel" for k in type(value).__mro__):
        return dict(value)
    return None


def _frame(frame: Any) -> pa.RecordBatch:
    """A pandas DataFrame; text may come in several chunks, which a table takes and a record batch does not."""
    kept = [level for level in frame.index.names if level is not None and level not in frame.columns]
    if kept:
        left_out = [i for i, level in enumerate(frame.index.names) if level not in kept]
        frame = (frame.droplevel(left_out) if left_out else frame).reset_index()
    return _plain(_plain_table(frame))


def _plain_table(frame: Any) -> pa.Table:
    return pa.Table.from_pandas(dense(frame), preserve_index=False)


def _series(series: Any) -> pa.RecordBatch:
    if any(name is not None for name in series.index.names):
        return _frame(series.to_frame(RESULT if series.name is None else series.name))
    return _named({RESULT if series.name is None else str(series.name): series})


def _polars_series(series: Any) -> pa.RecordBatch:
    return _named({series.name or RESULT: series.to_arrow()})


def _plain(table: pa.Table) -> pa.RecordBatch:
    """One record batch without dictionaries, whose index types differ from batch to batch, and without views."""
    columns = [_undecorated(column) for column in table.itercolumns()]
    return table_to_batch(pa.table(columns, names=[str(n) for n in table.column_names]))


def _undecorated(column: Any) -> Any:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _undecorated(column.cast(kind.value_type))
    if kind == pa.string_view():
        return column.cast(pa.large_string())
    return column.cast(pa.large_binary()) if kind == pa.binary_view() else column


def _of_tuple(value: tuple[Any, ...]) -> pa.RecordBatch:
    fields = _fields(value)
    if fields is not None:
        return _of_columns(fields)
    if value and all(_is_column(part) and not _is_table(part) for part in value):
        return _of_columns({f"{RESULT}_{i}": part for i, part in enumerate(value)})
    return _of_list(list(value))


def _is_column(part: Any) -> bool:
    """A sequence of one entry per row, as far as that can be told."""
    roots = {k.__module__.partition(".")[0] for k in type(part).__mro__}
    return isinstance(part, list) or bool(roots & {"numpy", "pandas", "polars", "torch", "pyarrow"} and _sized(part))


def _sized(part: Any) -> bool:
    return bool(np.ndim(part)) if isinstance(part, np.ndarray | np.generic) else isinstance(part, _Sized)


@runtime_checkable
class _Sized(Protocol):
    def __len__(self) -> int: ...


def _of_columns(columns: Mapping[Any, Any]) -> pa.RecordBatch:
    """A column per entry; single values are repeated to the length of the others, or are one row together."""
    if len({str(name) for name in columns}) < len(columns):
        raise ValueError(f"two of its keys are the same column as text: {', '.join(map(repr, columns))}.")
    arrays = {str(name): _column(values) for name, values in columns.items() if not _is_single(values)}
    rows = max((len(a) for a in arrays.values()), default=1)
    singles = {str(n): to_array([_item(v)] * rows) for n, v in columns.items() if _is_single(v)}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"its columns differ in length: {lengths}.")
    return _named({str(name): {**arrays, **singles}[str(name)] for name in columns})


def _is_single(values: Any) -> bool:
    """Whether a value beside columns is one value: what cannot be gone through, and text, bytes and arrays of no axis."""
    if isinstance(values, Mapping | set | frozenset):
        raise TypeError(f"a column is a {type(values).__name__}, which has no order of rows.")
    if isinstance(values, np.ndarray):
        return values.ndim == 0
    if type(values).__module__.partition(".")[0] == "torch":
        return not values.dim()
    return isinstance(values, str | bytes | bytearray | np.generic | pa.Scalar) or not isinstance(values, Iterable)


def _of_list(values: list[Any]) -> pa.RecordBatch:
    rows = [value if isinstance(value, Mapping) else _fields(value) for value in values]
    if values and all(row is not None or value is None for row, value in zip(rows, values, strict=True)) and any(rows):
        names = dict.fromkeys(str(name) for row in rows if row for name in row)
        return _named({name: [row.get(name) if row else None for row in rows] for name in names}, nan_is_null=False)
    if values and all(type(value) is tuple and len(value) == len(values[0]) for value in values) and values[0]:
        return _of_columns({f"{RESULT}_{i}": [row[i] for row in values] for i in range(len(values[0]))})
    if values and all(_is_table(value) for value in values):
        return _joined([to_record_batch(value) for value in values])
    return _named({RESULT: values}, nan_is_null=False)


def _is_table(value: Any) -> bool:
    return any((k.__module__.partition(".")[0], k.__name__) in _TABLES for k in type(value).__mro__)


_TABLES = {("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "Table"), ("pyarrow", "RecordBatch")}


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    tables = [pa.Table.from_batches([batch]) for batch in batches]
    return table_to_batch(pa.concat_tables(tables, promote_options="permissive")) if tables else _named({RESULT: []})


def _named(columns: Mapping[str, Any], nan_is_null: bool = True) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([_column(values, nan_is_null) for values in columns.values()], list(columns))


def _column(values: Any, nan_is_null: bool = True) -> pa.Array:
    """One column: an array of one entry per row, of any of the libraries' kinds, or a list."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    if isinstance(values, pa.Array):
        return _undecorated(values)
    for kind in type(values).__mro__:
        root = kind.__module__.partition(".")[0]
        if root == "torch":
            return _matrix(_tensor(values))
        if (root, kind.__name__) == ("polars", "Series"):
            return _column(values.to_arrow())
        if (root, kind.__name__) in {("pandas", "Series"), ("pandas", "Index")}:
            return _column(pa.chunked_array(_plain_table(values.to_frame(name="x"))["x"]))
    if isinstance(values, np.ndarray):
        return _matrix(values)
    return to_array([_item(value) for value in values], nan_is_null)


def _matrix(array: np.ndarray[Any, Any]) -> pa.Array:
    """One entry per row; further axes become fixed-size lists, flattened."""
    if array.dtype.kind == "c":
        raise TypeError(f"{array.dtype} numbers have no column type; return real and imaginary parts as columns.")
    if not array.dtype.isnative and array.dtype.kind in "iufM":  # as files of other machines give them
        array = array.astype(array.dtype.newbyteorder("="))
    if array.ndim == 1:
        mask = np.ma.getmaskarray(array) if isinstance(array, np.ma.MaskedArray) else None
        plain = np.ma.getdata(array)
        return (
            pa.array(plain, mask=mask, from_pandas=True)
            if plain.dtype.kind != "O"
            else to_array([_item(v) for v in plain])
        )
    if isinstance(array, np.ma.MaskedArray):
        return to_array(array.reshape(len(array), -1).tolist())
    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, int(np.prod(array.shape[1:])))


def _array(array: np.ndarray[Any, Any]) -> pa.RecordBatch:
    if array.ndim == 0:
        raise ProgramError(f"the program returned one {array.dtype}; {REMEDY}.")
    if array.dtype.names:
        return _named({name: array[name] for name in array.dtype.names})
    return _named({RESULT: array})


def _tensor(tensor: Any) -> np.ndarray[Any, Any]:
    tensor = tensor.detach().cpu()
    wide = tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor
    array: np.ndarray[Any, Any] = wide.numpy()
    return array


def _item(value: Any) -> Any:
    """One row's value as Arrow takes it: arrays and tensors of any number of axes as nested lists."""
    root = type(value).__module__.partition(".")[0]
    if root == "torch":
        return _tensor(value).tolist()
    if root == "pandas" and type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(k): _item(v) for k, v in value.items()}
    if isinstance(value, list | tuple) and _fields(value) is None:
        return [_item(v) for v in value]
    if isinstance(value, pa.Scalar):
        return value.as_py()
    fields = _fields(value)
    return value if fields is None else {k: _item(v) for k, v in fields.items()}


_BY_NAME: dict[tuple[str, str], Callable[[Any], pa.RecordBatch]] = {
    ("numpy", "ndarray"): _array,
    ("pandas", "DataFrame"): _frame,
    ("pandas", "MultiIndex"): lambda index: _frame(index.to_frame(index=False)),
    ("pandas", "Index"): lambda index: _named({RESULT if index.name is None else str(index.name): index}),
    ("pandas", "Series"): _series,
    ("datasets", "Dataset"): lambda data: table_to_batch(data.with_format("arrow")[:]),
    ("polars", "DataFrame"): lambda frame: _plain(of_polars(frame)),
    ("polars", "LazyFrame"): lambda frame: _plain(of_polars(frame.collect())),
    ("polars", "Series"): _polars_series,
    ("pyarrow", "Array"): lambda array: _named({RESULT: array}),
    ("pyarrow", "ChunkedArray"): lambda array: _named({RESULT: array}),
    ("pyarrow", "RecordBatch"): lambda batch: batch,
    ("pyarrow", "Table"): table_to_batch,
    ("torch", "Tensor"): lambda tensor: _array(_tensor(tensor)),
}
"""(package, class) -> conversion, looked up along the type's bases."""
