"""Sub-tasks, workers and edges from tables: CSV or Parquet files, pandas, Arrow, or a list of dicts.

tasks: ``task_id`` and any of ``seconds``, ``seconds:<worker_class>`` (empty: cannot run there), ``memory_bytes``, ``cpus``
(default 1), ``gpus``, ``gpu_memory_bytes``, ``resource:<name>``, ``priority``, ``deadline_seconds``, ``hard_deadline``,
``release_seconds``, ``requires`` (labels separated by ``;``, ``,``, ``|`` or blanks), ``preferred_host``
(``group`` is its older name).
edges: ``source,target[,delay_seconds][,bytes]``.
workers: ``worker_id`` and any of ``cpus`` (default 1), ``memory_bytes``, ``gpus``, ``gpu_memory_bytes``,
``resource:<name>``, ``speed``, ``worker_class``, ``host``, ``labels``, ``price_per_hour``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from partitioner.errors import ConfigError, DataError, clause, nearest
from partitioner.model import Edges, SubTasks, Worker, Workers
from partitioner.model.data import Floats, Ints
from partitioner.storage import read_parquet

_TASKS = (
    "task_id",
    "seconds",
    "memory_bytes",
    "cpus",
    "gpus",
    "gpu_memory_bytes",
    "priority",
    "deadline_seconds",
    "hard_deadline",
    "release_seconds",
    "requires",
    "preferred_host",
    "group",
)
_WORKERS = (
    "worker_id",
    "cpus",
    "memory_bytes",
    "gpus",
    "gpu_memory_bytes",
    "speed",
    "worker_class",
    "host",
    "labels",
    "price_per_hour",
)
_EDGES = ("source", "target", "delay_seconds", "bytes")


def tasks_from(table: Any, edges: Any = None) -> SubTasks:
    """Sub-tasks from a table, with dependencies from a second one. ConfigError names row and column of a bad value."""
    if isinstance(table, SubTasks):
        return table if edges is None else table.with_columns(edges=edges_from(edges, table.task_id.to_pylist()))
    frame = frame_of(table, "tasks")
    _check_columns(frame, "tasks", _TASKS, ("seconds:", "resource:"))
    ids = _ids(frame, "tasks", "task_id")
    by_class = {
        c.removeprefix("seconds:"): _numbers(frame, "tasks", c, missing=np.nan)
        for c in frame.columns
        if c.startswith("seconds:")
    }
    if "seconds" not in frame and not by_class and len(frame):
        raise ConfigError("tasks: no column 'seconds' nor 'seconds:<worker_class>'; give one of them.")
    seconds = _numbers(frame, "tasks", "seconds", missing=np.nan if by_class else None, absent=np.nan)
    _refuse_never_runs(ids, seconds, by_class)
    deadline = _numbers(frame, "tasks", "deadline_seconds", missing=np.inf, absent=np.inf, above=True)
    plain = {
        name: _numbers(frame, "tasks", name, missing=default, absent=default)
        for name, default in (("memory_bytes", 0.0), ("cpus", 1.0), ("gpus", 0.0), ("gpu_memory_bytes", 0.0))
    }
    return SubTasks.build(
        seconds,
        pa.array(ids, pa.string()),
        **plain,
        priority=_numbers(frame, "tasks", "priority", missing=0.0, absent=0.0, negative=True),
        deadline=deadline,
        release=_numbers(frame, "tasks", "release_seconds", missing=0.0, absent=0.0),
        seconds_by_class=by_class,
        resources=_resources(frame, "tasks"),
        requires=_requires(frame),
        hard_deadline=_flags(frame, "hard_deadline"),
        preferred_host=_hosts(frame),
        edges=Edges() if edges is None else edges_from(edges, ids),
    )


def workers_from(table: Any) -> Workers:
    """Workers from a table. ConfigError names row and column of a bad value."""
    if isinstance(table, Workers):
        return table
    if isinstance(table, Iterable) and not isinstance(table, (str, Mapping, pd.DataFrame, pa.Table)):
        table = list(table)
        if table and all(isinstance(w, Worker) for w in table):
            return Workers.of(table)
    frame = frame_of(table, "workers")
    _check_columns(frame, "workers", _WORKERS, ("resource:",))
    ids = _ids(frame, "workers", "worker_id")
    inf = np.inf
    defaults = {"cpus": 1.0, "memory_bytes": inf, "gpus": 0.0, "gpu_memory_bytes": inf, "price_per_hour": 0.0}
    numbers = {c: _numbers(frame, "workers", c, missing=d, absent=d, infinite=True) for c, d in defaults.items()}
    return Workers(
        worker_id=tuple(ids),
        **numbers,
        speed=_numbers(frame, "workers", "speed", missing=1.0, absent=1.0, above=True),
        worker_class=tuple(_texts(frame, "worker_class")),
        host=tuple(_texts(frame, "host")),
        labels=tuple(frozenset(_label_list(value)) for value in _column(frame, "labels")),
        resources=_resources(frame, "workers"),
    )


def edges_from(table: Any, ids: list[str]) -> Edges:
    """Dependencies between the tasks called ``ids``; ConfigError for a name that is not among them."""
    if isinstance(table, Edges):
        return table
    frame = frame_of(table, "edges")
    _check_columns(frame, "edges", _EDGES, ())
    for column in ("source", "target"):
        if column not in frame and len(frame):
            raise ConfigError(f"edges: no column {column!r}; the columns are {', '.join(_EDGES)}.")
    code = {name: i for i, name in enumerate(ids)}
    return Edges(
        source=_known(frame, "source", code),
        target=_known(frame, "target", code),
        delay=_numbers(frame, "edges", "delay_seconds", missing=0.0, absent=0.0),
        bytes=_numbers(frame, "edges", "bytes", missing=0.0, absent=0.0),
    )


def frame_of(table: Any, what: str) -> pd.DataFrame:
    """``table`` as pandas: a path to CSV or Parquet, a frame, an Arrow table, columns by name, or a list of dicts."""
    if isinstance(table, (str, Path)):
        return _read(Path(table), what)
    if isinstance(table, pd.DataFrame):
        return table.reset_index(drop=True)
    if isinstance(table, pa.Table):
        return _plain(table)
    if isinstance(table, Mapping):
        return pd.DataFrame(dict(table))
    if isinstance(table, (list, tuple)):
        return pd.DataFrame(list(table))
    raise ConfigError(
        f"{what}: cannot read a {type(table).__name__}; "
        "give a CSV or Parquet path, a pandas or Arrow table, or a list of dicts."
    )


def _plain(table: pa.Table) -> pd.DataFrame:
    """Arrow to pandas with plain numpy and object columns."""
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _read(path: Path, what: str) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"{what}: no file {str(path)!r}. Give the path of a CSV or Parquet file.")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return _plain(read_parquet(path.read_bytes()))
        return pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True, encoding="utf-8-sig")
    except pd.errors.EmptyDataError:
        raise DataError(
            f"{what}: {str(path)!r} is empty. Write the table anew; one without rows still has the line of its columns."
        ) from None
    except (pa.ArrowInvalid, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(
            f"{what}: {str(path)!r} cannot be read as a table: {clause(error)}. Write it as CSV or Parquet."
        ) from error


def _check_columns(frame: pd.DataFrame, what: str, known: tuple[str, ...], prefixes: tuple[str, ...]) -> None:
    frame.columns = pd.Index([str(c).strip() for c in frame.columns])
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ConfigError(f"{what}: column {twice[0]!r} appears twice; rename or drop one.")
    for column in frame.columns:
        if column not in known and not any(column.startswith(p) and len(column) > len(p) for p in prefixes):
            more = [f"{p}<name>" for p in prefixes]
            raise ConfigError(
                f"{what}: unknown column {column!r}; the columns are {', '.join([*known, *more])}."
                f"{nearest(column, list(known))}"
            )


def _texts(frame: pd.DataFrame, column: str) -> list[str]:
    """The column as text, empty where it or a value is missing."""
    if column not in frame:
        return [""] * len(frame)
    return ["" if _missing(v) else str(v).strip() for v in frame[column].tolist()]


def _hosts(frame: pd.DataFrame) -> tuple[str, ...]:
    named = [c for c in ("preferred_host", "group") if c in frame]
    if len(named) == 2:
        raise ConfigError("tasks: columns 'preferred_host' and 'group', its older name, are both there; leave one out.")
    return tuple(_texts(frame, named[0])) if named else ()


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def _ids(frame: pd.DataFrame, what: str, column: str) -> list[str]:
    if column not in frame:
        if not len(frame):
            return []
        raise ConfigError(f"{what}: no column {column!r}; the columns are {', '.join(map(str, frame.columns))}.")
    ids = _texts(frame, column)
    seen: dict[str, int] = {}
    for row, name in enumerate(ids):
        if not name:
            raise ConfigError(f"{what}: row {row + 1}, column {column!r} is empty; every row needs an id.")
        if seen.setdefault(name, row) != row:
            raise ConfigError(
                f"{what}: {column} {name!r} appears twice, in rows {seen[name] + 1} and {row + 1}; ids must be unique."
            )
    return ids


def _numbers(
    frame: pd.DataFrame,
    what: str,
    column: str,
    missing: float | None,
    absent: float = 0.0,
    negative: bool = False,
    above: bool = False,
    infinite: bool = False,
) -> Floats:
    """float64[n] of a column; ``missing`` replaces empty values (None: not allowed), ``absent`` a column not there.

    A value that is no number, NaN, negative (unless ``negative``), not ``above`` 0 or infinite is refused by row.
    """
    if column not in frame:
        return np.full(len(frame), absent)
    raw = frame[column]
    if raw.dtype.kind in "iufb":
        values = raw.to_numpy(np.float64)
        empty = np.isnan(values)
        wrong = np.zeros(len(values), np.bool_)
    else:
        texts = pd.Series([("" if _missing(v) else str(v).strip()) for v in raw.tolist()], dtype=object)
        empty = (texts == "").to_numpy(np.bool_)
        values = pd.to_numeric(texts.where(~empty, "0"), errors="coerce").to_numpy(np.float64)
        wrong = np.isnan(values)
    low = "" if negative else (" above 0" if above else " of at least 0")
    if missing is None:
        wrong |= empty
    wrong |= (
        ~empty
        & np.isinf(values)
        & (np.bool_(not infinite) | (values < 0))
        & ~(np.isposinf(values) & (missing == np.inf))
    )
    if not negative:
        wrong |= ~empty & ((values <= 0) if above else (values < 0))
    bad = np.flatnonzero(wrong)
    if len(bad):
        row = int(bad[0])
        received = raw.tolist()[row]
        more = f" ({len(bad) - 1} more rows like it)" if len(bad) > 1 else ""
        raise ConfigError(
            f"{what}: row {row + 1}, column {column!r}: {received!r} is not allowed; it must be a finite number{low}{more}."
        )
    return np.where(empty, np.nan if missing is None else missing, values)


def _refuse_never_runs(ids: list[str], seconds: Floats, by_class: Mapping[str, Floats]) -> None:
    """A task with no seconds anywhere cannot run at all."""
    nowhere = np.isnan(seconds)
    for column in by_class.values():
        nowhere &= np.isnan(column)
    bad = np.flatnonzero(nowhere)
    if len(bad):
        row = int(bad[0])
        raise ConfigError(f"tasks: row {row + 1} ({ids[row]!r}) has no seconds in any column; it could run nowhere.")


def _resources(frame: pd.DataFrame, what: str) -> dict[str, Floats]:
    infinite = what == "workers"
    return {
        c.removeprefix("resource:"): _numbers(frame, what, c, missing=0.0, infinite=infinite)
        for c in frame.columns
        if c.startswith("resource:")
    }


def _labels(text: str) -> list[str]:
    return [part for part in re.split(r"[;,|\s]+", text) if part]


def _requires(frame: pd.DataFrame) -> dict[str, Any]:
    rows = [_label_list(v) for v in frame["requires"].tolist()] if "requires" in frame else []
    names = sorted({label for row in rows for label in row})
    return {name: np.array([name in row for row in rows], np.bool_) for name in names}


def _label_list(value: Any) -> list[str]:
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray)):
        return [str(v) for v in value]
    return [] if _missing(value) else _labels(str(value))


def _column(frame: pd.DataFrame, name: str) -> list[Any]:
    """The values of a column as they are, or None for every row."""
    return frame[name].tolist() if name in frame else [None] * len(frame)


def _flags(frame: pd.DataFrame, column: str) -> Any:
    """bool[n] from true/false, yes/no, 1/0; None where the column is missing."""
    if column not in frame:
        return None
    words = {"true": True, "yes": True, "1": True, "1.0": True, "false": False, "no": False, "0": False, "0.0": False}
    flags = []
    for row, text in enumerate(_texts(frame, column)):
        if text.lower() not in {*words, ""}:
            raise ConfigError(f"tasks: row {row + 1}, column {column!r}: {text!r} is neither true nor false.")
        flags.append(words.get(text.lower(), False))
    return np.array(flags, np.bool_)


def _known(frame: pd.DataFrame, column: str, code: Mapping[str, int]) -> Ints:
    found = []
    for row, name in enumerate(_texts(frame, column)):
        if name not in code:
            close = nearest(name, list(code)[:5000])
            raise ConfigError(f"edges: row {row + 1}, column {column!r}: no task is called {name!r}.{close}")
        found.append(code[name])
    return np.array(found, np.int64)
