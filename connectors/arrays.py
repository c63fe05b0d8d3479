"""What people hold in memory, as one Arrow table.

pandas DataFrame           its columns (and a named or non-default index)
Arrow Table, RecordBatch   as it is
numpy, one dimension       column ``value``; a structured array: its fields
numpy, two or more         column ``features``: a fixed-size list per row, further axes flattened
mapping of arrays          a column each, arrays as above
list of dicts              a column per key
scikit-learn Bunch         ``features`` (or a column per feature) and ``target``
sklearn://digits           the bundled set ``load_digits()``, likewise
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from partitioner.errors import ConfigError, DataError, MissingDependency, nearest

SKLEARN_SETS = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")
LAYOUTS = ("vector", "columns")


def is_tabular(data: Any) -> bool:
    """Whether ``as_table`` takes it (``sklearn://`` names aside)."""
    if isinstance(data, pa.Table | pa.RecordBatch | np.ndarray | Mapping) or _is_frame(data):
        return True
    return isinstance(data, list) and bool(data) and all(isinstance(row, Mapping) for row in data)


def as_table(data: Any, layout: str = "vector") -> pa.Table:
    """``data`` as an Arrow table, see the module's list; ``layout`` is ``"vector"`` or ``"columns"`` for matrices.

    Raises DataError naming the column or type that has no table form, ConfigError for an unknown layout.
    """
    if layout not in LAYOUTS:
        raise ConfigError(f"layout {layout!r} is not one of {', '.join(LAYOUTS)}.{nearest(layout, list(LAYOUTS))}")
    try:
        table = _table(data, layout)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(f"The data given ({type(data).__name__}) has no table form: {error}") from error
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
    if _is_frame(data):
        return _frame(data)
    if isinstance(data, np.ndarray):
        return _named_arrays(_of_array(data), layout)
    if isinstance(data, Mapping) and "data" in data and "target" in data and hasattr(data, "target"):
        return _bunch(data, layout)
    if isinstance(data, Mapping):
        return _named_arrays(data, layout)
    if is_tabular(data):
        return _records(data)
    raise TypeError(
        "give a pandas DataFrame, Arrow Table, numpy array, mapping of arrays, non-empty list of dicts, scikit-learn "
        "Bunch or 'sklearn://<name>'."
    )


def _is_frame(data: Any) -> bool:
    kind = type(data)
    return kind.__name__ == "DataFrame" and kind.__module__.partition(".")[0] == "pandas"


def _frame(frame: Any) -> pa.Table:
    odd = [c for c in frame.columns if not isinstance(c, str)]
    if odd:
        raise TypeError(f"its column {odd[0]!r} is not named by a string; use frame.rename(columns=str).")
    return pa.Table.from_pandas(frame)


def _records(rows: list[Mapping[str, Any]]) -> pa.Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({str(name): pa.array([row.get(name) for row in rows]) for name in names})


def _of_array(array: npt.NDArray[Any]) -> Mapping[str, Any]:
    if array.dtype.names:
        return {name: array[name] for name in array.dtype.names}
    if array.ndim == 0:
        raise ValueError("a number is not a table; give an array whose first axis is rows.")
    return {"value" if array.ndim == 1 else "features": array}


def _named_arrays(arrays: Mapping[Any, Any], layout: str) -> pa.Table:
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
    array = np.asarray(values) if hasattr(values, "__array__") else None
    if array is None or array.ndim == 1:
        return [(name, pa.array(values))]
    if layout == "columns":
        flat = array.reshape(len(array), -1)
        return [(f"{name}_{j}", pa.array(np.ascontiguousarray(flat[:, j]))) for j in range(flat.shape[1])]
    return [(name, vectors(array))]


def vectors(array: npt.NDArray[Any]) -> pa.FixedSizeListArray:
    """Rows of an array of two or more axes as fixed-size lists, further axes flattened."""
    width = int(np.prod(array.shape[1:]))
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(array).reshape(-1)), width)


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
