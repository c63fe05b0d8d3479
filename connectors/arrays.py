"""What people hold in memory, as one Arrow table.

pandas DataFrame           its columns (and a named or non-default index); a Series is one column
polars DataFrame, LazyFrame, Series    likewise
Hugging Face Dataset       its columns, without a format set on it
torch tensor               as a numpy array
Arrow Table, RecordBatch   as it is
numpy, one dimension       column ``value``; a structured array: its fields
numpy, two or more         column ``features``: a fixed-size list per row, further axes flattened
mapping of arrays          a column each, arrays as above
list of dicts              a column per key
list of named tuples, dataclasses    a column per field
list of frames, tables     one after the other
list of strings            column ``text``; of other values: column ``value``
scikit-learn Bunch         ``features`` (or a column per feature) and ``target``
sklearn://digits           the bundled set ``load_digits()``, likewise
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from partitioner.errors import ConfigError, DataError, MissingDependency, nearest
from partitioner.frames import dense, of_polars, to_array

TEXT, VALUE = "text", "value"
"""The columns of data that has no names: texts, and anything else."""

SKLEARN_SETS = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")
LAYOUTS = ("vector", "columns")


def is_tabular(data: Any) -> bool:
    """Whether ``as_table`` takes it (``sklearn://`` names aside)."""
    if isinstance(data, pa.Table | pa.RecordBatch | pa.Array | pa.ChunkedArray | np.ndarray | Mapping | range):
        return True
    if _named_class(data) in _CONVERTED:
        return True
    return isinstance(data, list | tuple) and bool(data) and not isinstance(data[0], os.PathLike)


def as_table(data: Any, layout: str = "vector") -> pa.Table:
    """``data`` as an Arrow table, see the module's list; ``layout`` is ``"vector"`` or ``"columns"`` for matrices.

    Raises DataError naming the column or type that has no table form, ConfigError for an unknown layout.
    """
    if layout not in LAYOUTS:
        raise ConfigError(f"layout {layout!r} is not one of {', '.join(LAYOUTS)}.{nearest(layout, list(LAYOUTS))}")
    try:
        table = _table(data, layout)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        said = " ".join(" ".join(map(str, error.args)).split()) if len(error.args) > 1 else " ".join(str(error).split())
        raise DataError(f"The data given ({type(data).__name__}) has no table form: {said}") from error
    repeated = {c for c in table.column_names if table.column_names.count(c) > 1}
    if repeated:
        raise DataError(f"The data given has more than one column named {min(repeated)!r}; rename them.")
    return table


def _table(data: Any, layout: str) -> pa.Table:
    if isinstance(data, str):
        return _bunch(_load_sklearn(data), layout)
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    convert = _CONVERTED.get(_named_class(data))
    if convert is not None:
        return convert(data)
    if isinstance(data, pa.Array | pa.ChunkedArray):
        return pa.table({VALUE: data})
    if isinstance(data, np.ndarray):
        return _named_arrays(_of_array(data), layout)
    if isinstance(data, Mapping) and "data" in data and "target" in data and hasattr(data, "target"):
        return _bunch(data, layout)
    if isinstance(data, Mapping):
        return _named_arrays(data, layout)
    if is_tabular(data):
        return _records(list(data))
    raise TypeError(
        "give a pandas or polars DataFrame, Arrow Table, Hugging Face Dataset, numpy array, tensor, mapping of arrays, "
        "non-empty list of dicts or values, scikit-learn Bunch or 'sklearn://<name>'."
    )


def _named_class(data: Any) -> tuple[str, str]:
    """Package and class, of a subclass those of the base that is known; nothing is imported to recognise its objects."""
    names = [(kind.__module__.partition(".")[0], kind.__name__) for kind in type(data).__mro__]
    return next((name for name in names if name in _CONVERTED), names[0])


def _is_frame(data: Any) -> bool:
    return _named_class(data) == ("pandas", "DataFrame")


def _frame(frame: Any) -> pa.Table:
    odd = [c for c in frame.columns if not isinstance(c, str)]
    if odd:
        remedy = "frame.columns = [str(c) for c in frame.columns]"
        raise TypeError(f"its column {odd[0]!r} is not named by a string; use {remedy}.")
    if len(frame) and not len(frame.columns) and all(level is None for level in frame.index.names):
        raise TypeError(f"it has {len(frame)} rows and no column; use frame.reset_index() where the index is the data.")
    name = frame.index.name  # of a range that has a name Arrow keeps bounds in place of the values
    named = isinstance(name, str) and name not in frame.columns
    return pa.Table.from_pandas(dense(frame), preserve_index=True if named else None)


def _series(series: Any) -> pa.Table:
    return _frame(series.to_frame(VALUE if series.name is None else str(series.name)))


def _polars_series(series: Any) -> pa.Table:
    return pa.table({series.name or VALUE: series.to_arrow()})


def _hugging_face(dataset: Any) -> pa.Table:
    """Its rows in their order (a selection or a shuffle is an index over the table), as Arrow holds them."""
    table: pa.Table = dataset.with_format("arrow")[:]
    return table.replace_schema_metadata(None)


def _hugging_face_splits(splits: Any) -> pa.Table:
    raise TypeError(f"it holds the splits {', '.join(map(str, splits))}; give one of them.")


def _stacked(frames: list[Any]) -> pa.Table:
    """Frames and tables of the same columns, one after the other."""
    tables = [_table(frame, "vector").replace_schema_metadata(None) for frame in frames]
    for i, table in enumerate(tables):
        if set(table.column_names) != set(tables[0].column_names):
            first, other = (", ".join(t.column_names) for t in (tables[0], table))
            raise TypeError(f"entry 0 has the columns {first}, and entry {i} has {other}; make them the same.")
    return pa.concat_tables(tables, promote_options="permissive")


def _is_whole(data: Any) -> bool:
    """Whether it is a frame or table of its own, of which there may be several."""
    return isinstance(data, pa.Table | pa.RecordBatch) or _named_class(data) in _FRAMES


_FRAMES = {("pandas", "DataFrame"), ("polars", "DataFrame"), ("polars", "LazyFrame")}


def _records(rows: list[Any]) -> pa.Table:
    if all(_is_whole(row) for row in rows):
        return _stacked(rows)
    rows = [_named(row) for row in rows]
    _check_alike(rows)
    if not all(isinstance(row, Mapping) for row in rows):
        if any(isinstance(row, Mapping) for row in rows):
            raise TypeError("some entries of the list are dicts and some are not; make every row a dict.")
        text = all(isinstance(row, str) or row is None for row in rows)
        return _named_arrays({TEXT if text else VALUE: rows}, "vector")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({str(name): _entries([row.get(name) for row in rows], str(name)) for name in names})


def _entries(values: Sequence[Any], name: str) -> pa.Array:
    """One value per row, of a list. Raises TypeError that names the column."""
    try:
        return to_array([_entry(value) for value in values])
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"column {name!r}: {error}") from error


def _entry(value: Any) -> Any:
    """A value as Arrow takes it: what pandas has for none as None, arrays and tensors as nested lists."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    kind = _named_class(value)
    if kind == ("torch", "Tensor"):
        return _numpy(value).tolist()
    return None if kind in _MISSING else value


_MISSING = {("pandas", "NaTType"), ("pandas", "NAType")}


def _named(row: Any) -> Any:
    """A named tuple or a dataclass as a dict, anything else as it is."""
    if isinstance(row, tuple) and (names := getattr(type(row), "_fields", None)):
        return dict(zip(names, row, strict=True))
    if dataclasses.is_dataclass(row) and not isinstance(row, type):
        return {f.name: getattr(row, f.name) for f in dataclasses.fields(row)}
    return row


def _check_alike(rows: list[Any]) -> None:
    """TypeError for tuples whose values are of several types and have no names, as a database cursor gives them."""
    if not all(isinstance(row, tuple) for row in rows):
        return
    try:
        pa.array(rows)
    except (pa.ArrowException, TypeError, ValueError):
        raise TypeError(
            "its rows are tuples of values of several types, without names. Give dicts, named tuples, or "
            "pandas.DataFrame(rows, columns=[...])."
        ) from None


def _of_array(array: npt.NDArray[Any]) -> Mapping[str, Any]:
    if array.dtype.names:
        return {name: array[name] for name in array.dtype.names}
    if array.ndim == 0:
        raise ValueError("a number is not a table; give an array whose first axis is rows.")
    return {VALUE if array.ndim == 1 else "features": array}


def _named_arrays(arrays: Mapping[Any, Any], layout: str) -> pa.Table:
    if len({str(name) for name in arrays}) < len(arrays):
        raise ValueError(f"two of its keys are the same column as text: {', '.join(map(repr, arrays))}.")
    columns: dict[str, pa.Array] = {}
    for name, values in arrays.items():
        for column, array in _expand(str(name), values, layout):
            columns[column] = array
    lengths = {name: len(array) for name, array in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"its columns differ in length: {lengths}.")
    return pa.table(columns)


def _expand(name: str, values: Any, layout: str) -> list[tuple[str, pa.Array]]:
    """One named array as columns: itself, one fixed-size list, or one per feature."""
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return [(name, values)]
    if _named_class(values) == ("polars", "Series"):
        return [(name, values.to_arrow())]
    if isinstance(values, Mapping | set | frozenset):
        raise TypeError(f"its column {name!r} is a {type(values).__name__}, which has no order of rows; give a list.")
    array = _numpy(values) if hasattr(values, "__array__") else None
    if array is None:
        if isinstance(values, str | bytes) or not isinstance(values, Iterable):
            raise TypeError(f"its column {name!r} is one {type(values).__name__}; give a value for each row.")
        return [(name, _entries(list(values), name))]
    if array.ndim == 1:
        return [(name, pa.array(_plain_array(values) if isinstance(values, np.ndarray) else values))]
    if layout == "columns":
        flat = array.reshape(len(array), -1)
        return [(f"{name}_{j}", _values(flat[:, j])) for j in range(flat.shape[1])]
    return [(name, vectors(array))]


def vectors(array: npt.NDArray[Any]) -> pa.FixedSizeListArray:
    """Rows of an array of two or more axes as fixed-size lists, further axes flattened."""
    width = int(np.prod(array.shape[1:]))
    return pa.FixedSizeListArray.from_arrays(_values(array.reshape(-1)), width)


def _values(array: npt.NDArray[Any]) -> pa.Array:
    """One axis of an array; what a masked one hides is null."""
    mask = np.ma.getmaskarray(array) if isinstance(array, np.ma.MaskedArray) else None
    return pa.array(np.ascontiguousarray(np.ma.getdata(_plain_array(array))), mask=mask)


def _plain_array(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """With the byte order of this machine, and times in units that Arrow has: years, months and weeks as days."""
    kind = array.dtype
    if not kind.isnative and kind.kind in "iufMm":
        array = array.astype(kind.newbyteorder("="))
    unit = np.datetime_data(kind)[0] if kind.kind in "Mm" else ""
    if kind.kind == "M" and unit in ("Y", "M", "W"):
        return array.astype("datetime64[D]")
    return array.astype("timedelta64[s]") if kind.kind == "m" and unit in ("W", "D", "h", "m") else array


def _bunch(bunch: Any, layout: str) -> pa.Table:
    data, target = bunch["data"], bunch["target"]
    names = [str(n) for n in bunch.get("feature_names", [])]
    matrix = np.asarray(data)
    if _is_frame(data) or (layout == "columns" and matrix.ndim == 2 and len(names) == matrix.shape[1]):
        names = [str(c) for c in data.columns] if _is_frame(data) else names
        columns = {n: matrix[:, j] for j, n in enumerate(names)} if not _is_frame(data) else dict(data.items())
        return _named_arrays(columns | {"target": np.asarray(target)}, "vector")
    columns = dict(_expand("features", matrix, layout))
    return _named_arrays(columns | {"target": np.asarray(target)}, "vector")


def _load_sklearn(url: str) -> Any:
    scheme, _, name = url.partition("://")
    if scheme != "sklearn" or name not in SKLEARN_SETS:
        raise DataError(
            f"{url!r} is no bundled set; there are {', '.join(f'sklearn://{s}' for s in SKLEARN_SETS)}."
            f"{nearest(name, list(SKLEARN_SETS))}"
        )
    try:
        from sklearn import datasets
    except ModuleNotFoundError as error:
        raise MissingDependency(f"{url} needs scikit-learn: pip install 'batch-partitioner[ml]'") from error
    return getattr(datasets, f"load_{name}")()


def _numpy(values: Any) -> npt.NDArray[Any]:
    """An array of anything that has one; a tensor from where it lies, without its gradient; a masked one with its mask."""
    if _named_class(values) == ("torch", "Tensor"):
        values = values.detach().cpu()
    return values if isinstance(values, np.ma.MaskedArray) else np.asarray(values)


_CONVERTED: dict[tuple[str, str], Callable[[Any], pa.Table]] = {
    ("datasets", "Dataset"): _hugging_face,
    ("datasets", "DatasetDict"): _hugging_face_splits,
    ("pandas", "DataFrame"): _frame,
    ("pandas", "Series"): _series,
    ("polars", "DataFrame"): lambda frame: _plain(of_polars(frame)),
    ("polars", "LazyFrame"): lambda frame: _plain(of_polars(frame.collect())),
    ("polars", "Series"): lambda series: _plain(_polars_series(series)),
    ("torch", "Tensor"): lambda tensor: _named_arrays(_of_array(_numpy(tensor)), "vector"),
}


def _plain(table: pa.Table) -> pa.Table:
    """Without string views and categories, which files and other engines do not all know."""
    kinds = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    plain = [f.type.value_type if pa.types.is_dictionary(f.type) else f.type for f in table.schema]
    fields = [pa.field(name, kinds.get(kind, kind)) for name, kind in zip(table.column_names, plain, strict=True)]
    return table.cast(pa.schema(fields))
