"""From what a user gives as input to a source: a path, a table in memory, a mapping with options, or a source."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from connectors.arrays import is_tabular
from connectors.databases import DATABASES
from connectors.listing import Paths, as_paths, expand, within
from connectors.location import absolute, say
from connectors.tables import refuse_tables, table_at
from partitioner import choices, registry
from partitioner.errors import ConfigError, DataError, nearest
from partitioner.model.source import Source

MOST_PATH = 4096
"""Characters of a path at most; a longer string is text."""

_COMMON_OPTIONS = {"path", "columns", "storage_options"}
FRAMES = {"dask": "dask_frame", "pyspark": "spark_frame"}
"""Package of a DataFrame's class -> connector."""

_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")


def resolve(spec: Any, *, connector: str | None = None, written: Sequence[str] = (), **options: Any) -> Source:
    """The source meant by ``spec``.

    ``spec`` is a path, directory, glob, URL or list of those (connector by extension, or ``connector=``), data in
    memory, ``sklearn://<name>``, a mapping ``{path: ..., connector: ..., <options>}``, or a source. ``options`` go to the
    connector: ``columns``, ``storage_options`` and its own. What lies in the places ``written`` tells no format. Raises
    DataError where nothing tells the format, ConfigError for an option the connector does not have, UnknownName for an
    unregistered connector.
    """
    if isinstance(spec, Mapping) and isinstance(spec.get("connector"), str) and not _is_specification(spec):
        close = next((f" Did you mean 'path' where it says {str(k)!r}?" for k in spec if nearest(str(k), ["path"])), "")
        raise ConfigError(
            f"dataset {{connector: {spec['connector']}}} lacks path (or data), which says what to read.{close}"
        )
    if isinstance(spec, str | Mapping) and not spec:
        raise DataError(f"The dataset is {spec!r}, which is nothing; give a path, data in memory, or a source.")
    if _is_specification(spec):
        given = dict(spec)
        if other := [key for key in given if not isinstance(key, str)]:
            raise ConfigError(
                f"dataset has an option {other[0]!r}, which is no text; options have names, such as 'path'."
            )
        data = given.pop("data") if "data" in given else given.pop("path")
        return resolve(data, written=written, **({"connector": connector} | options | given))
    if not _is_reference(spec) or (connector == "memory" and not _is_sklearn(spec)):
        return _in_memory(spec, connector, options)
    if connector is None and isinstance(spec, list | tuple) and _is_text(spec):
        say(f"the list of {len(spec)} strings is read as text, in the column 'text': none of them looks like a path")
        return _build("memory", list(spec), options)
    name = _of_table(spec, connector, options.get("storage_options"))
    name = name or connector or _connector_of(spec, options.get("storage_options"), written)
    return _build(name, spec, options)


def _is_sklearn(spec: Any) -> bool:
    return isinstance(spec, str) and spec.startswith("sklearn://")


def _is_text(entries: Sequence[Any]) -> bool:
    """Whether strings are data and no paths. DataError where some look like paths and others do not.

    What exists, is a URL, has a separator or an ending that a connector claims (without blanks), or a glob's signs beside a
    separator, looks like a path; so does every ``Path``.
    """
    like = [entry for entry in entries if _like_a_path(entry)]
    if entries and like and len(like) < len(entries) and not any(isinstance(e, os.PathLike) for e in entries):
        other = next(entry for entry in entries if not _like_a_path(entry))
        raise DataError(
            f"The list of {len(entries)} strings holds {str(like[0])[:60]!r}, which looks like a path, and {other[:60]!r}, "
            "which does not. For text give {connector: memory, data: [...]}; for files check the second."
        )
    return bool(entries) and not like


def _like_a_path(entry: Any) -> bool:
    if isinstance(entry, os.PathLike):
        return True
    text: str = entry
    if len(text) > MOST_PATH or "\n" in text or not text:
        return False
    if os.path.exists(os.path.expanduser(text)):
        return True
    if any(blank in text for blank in " \t"):
        return False
    return "://" in text or "/" in text or os.sep in text or by_name(text) is not None


def _of_table(spec: Any, connector: str | None, options: Any) -> str | None:
    """The connector of the table whose folder ``spec`` is. DataError for files of a table taken one by one."""
    if connector not in (None, "parquet"):
        return None
    several = [spec] if isinstance(spec, str | os.PathLike) else list(spec)
    if any("://" in str(path) and (connector or by_name(str(path))) for path in several):
        return None  # what to ask of a store waits until the files are listed
    if connector is None and len(several) == 1:
        kind, home = table_at(several[0], options) or ("", "")
        if kind in ("delta", "iceberg") and absolute(several[0]).rstrip("/") == home:
            return kind
    refuse_tables([absolute(path) for path in several], options)
    return None


def _is_specification(spec: Any) -> bool:
    """Whether a mapping is a path with options rather than a table that has a column ``path``."""
    if not isinstance(spec, Mapping):
        return False
    if "connector" in spec and "data" in spec and isinstance(spec["connector"], str):
        return True
    if not _is_reference(spec.get("path")):
        return False
    return isinstance(spec["path"], str | os.PathLike) or "connector" in spec or set(spec) <= _COMMON_OPTIONS


def _is_reference(spec: Any) -> bool:
    """A path or URL, or a list of them."""
    if isinstance(spec, str | os.PathLike):
        return True
    return isinstance(spec, list | tuple) and all(isinstance(p, str | os.PathLike) for p in spec)


def _in_memory(spec: Any, connector: str | None, options: Mapping[str, Any]) -> Source:
    if connector is not None and connector != "memory":
        return _build(connector, spec, options)
    if isinstance(spec, str):
        raise DataError(f"connector: memory was given one string, {spec[:60]!r}; give a list of strings.")
    if is_arrow_dataset(spec):
        return _build("pyarrow_dataset", spec, options)
    if isinstance(spec, Iterator) or type(spec).__name__ in ("IterableDataset", "IterableDatasetDict"):
        raise DataError(
            f"An input of type {type(spec).__name__} can be read only once and not in parts; give list(...) of it where it "
            "fits into memory, or write it as Parquet and give the path."
        )
    if is_tabular(spec):
        return _build("memory", spec, options)
    if type(spec).__name__ == "DataFrame" and (frame := FRAMES.get(type(spec).__module__.partition(".")[0])):
        return _build(frame, spec, options)
    if choices.resembles("connectors", spec):
        if options:
            raise ConfigError(f"Options {sorted(options)} were given beside a {type(spec).__name__}; give them to it.")
        source: Source = choices.adopted("connectors", spec)
        return source
    raise DataError(
        f"An input of type {type(spec).__name__} is not one the framework reads. Give a path, directory, glob or URL, a "
        "list of those, a pandas, polars, Spark or Dask DataFrame, Arrow Table or Dataset, Hugging Face Dataset, numpy "
        "array, mapping of arrays, list of dicts or values, or a source."
    )


def _build(name: str, spec: Any, options: Mapping[str, Any]) -> Source:
    chosen = choices.choice("connectors", {"connector": name, **options})
    assert chosen is not None, "a mapping names what is to be made"
    source: Source = chosen.build(spec)
    return source


WAYS_IN = {
    ".json": "With one record a line it is {'connector': 'jsonl', 'path': ...}; else give pandas.read_json(...).",
    ".xlsx": "Give pandas.read_excel(...).",
    ".xls": "Give pandas.read_excel(...).",
}
"""What to give in the place of files that people have and no connector reads."""


def _way_in(path: str) -> str:
    known = (way for ending, way in WAYS_IN.items() if path.lower().endswith(ending))
    names = ", ".join(registry.names("connectors"))
    return next(known, f"Say which with connector: one of {names} (files reads each as one row).")


def _connector_of(paths: Paths, storage_options: Mapping[str, Any] | None, written: Sequence[str]) -> str:
    """By extension of the path, else by the most frequent known extension of the files it means."""
    several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if len(several) == 1 and str(several[0]).startswith("sklearn://"):
        return "memory"
    if len(several) == 1 and str(several[0]).partition("://")[0] in DATABASES:
        return "sql"
    if len(several) == 1 and str(several[0]).startswith("iceberg://"):
        return "iceberg"
    if len(several) == 1 and (saved := _saved_dataset(several[0])):
        return saved
    names = {by_name(str(path)) for path in several}
    if len(names) == 1 and None not in names:
        return names.pop()  # type: ignore[return-value]
    known = [path.rstrip("/") for path in as_paths(paths)]
    places = [within(path, absolute(place)) for path in known for place in written]
    left_out = [place for place in places if place is not None and place not in known]
    files = [info.path for info in expand(as_paths(paths), (), storage_options, left_out)]
    counts = Counter(name for name in map(by_name, files) if name)
    if not counts or counts.total() < len(files):
        unknown = next(path for path in files if by_name(path) is None)
        raise DataError(
            f"No connector for {unknown}, one of the input's {len(files)} files: its name ends in none of "
            f"{', '.join(registry.CLAIMED)}. {_way_in(unknown)}"
        )
    if len(counts) > 1:
        told = ", ".join(f"{count} of {name}" for name, count in counts.most_common())
        raise DataError(f"The input holds files of several formats ({told}); name those of one by a glob.")
    return next(iter(counts))


def _saved_dataset(path: str | os.PathLike[str]) -> str | None:
    """The connector of a folder that Hugging Face's ``save_to_disk`` wrote. DataError for one to be given otherwise."""
    folder = absolute(path)
    if os.path.isfile(f"{folder}/dataset_dict.json"):
        raise DataError(f"{folder} holds several splits of a Hugging Face data set; give the folder of one of them.")
    if not os.path.isfile(f"{folder}/state.json") or not os.path.isfile(f"{folder}/dataset_info.json"):
        return None
    with open(f"{folder}/state.json") as file:
        state = json.load(file)
    if state.get("_indices_data_files"):
        raise DataError(
            f"{folder} is a selection of a Hugging Face data set by indices; save it again after flatten_indices(), or give "
            "datasets.load_from_disk(...) itself."
        )
    return "ipc"


def is_arrow_dataset(spec: Any) -> bool:
    """Whether it is a dataset of pyarrow's, without importing that part for others."""
    return any((k.__module__, k.__name__) == ("pyarrow._dataset", "Dataset") for k in type(spec).__mro__)


def by_name(path: str) -> str | None:
    """The connector that a file name's extension means, None where it means none."""
    return _by_ending(path) or _by_ending(path.partition("?")[0])  # a name may hold a question mark, and a URL a query


def _by_ending(path: str) -> str | None:
    name = PurePosixPath(path).name.lower()
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    return registry.connector_for(os.path.splitext(name)[1])
