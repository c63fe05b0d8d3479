"""From what a user gives as input to a source: a path, a table in memory, a mapping with options, or a source."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from connectors.arrays import is_tabular
from connectors.listing import Paths, as_paths, expand
from partitioner import choices, registry
from partitioner.errors import ConfigError, DataError
from partitioner.model.source import Source

_COMMON_OPTIONS = {"path", "columns", "storage_options"}
FRAMES = {"dask": "dask_frame", "pyspark": "spark_frame"}
"""Package of a DataFrame's class -> connector."""

_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")


def resolve(spec: Any, *, connector: str | None = None, **options: Any) -> Source:
    """The source meant by ``spec``.

    ``spec`` is a path, directory, glob, URL or list of those (connector by extension, or ``connector=``), data in
    memory, ``sklearn://<name>``, a mapping ``{path: ..., connector: ..., <options>}``, or a source. ``options`` go to the
    connector: ``columns``, ``storage_options`` and its own. Raises DataError where nothing tells the format,
    ConfigError for an option the connector does not have, UnknownName for an unregistered connector.
    """
    if _is_specification(spec):
        given = dict(spec)
        return resolve(given.pop("path"), **({"connector": connector} | options | given))
    if not _is_reference(spec):
        return _in_memory(spec, connector, options)
    name = connector or _connector_of(spec, options.get("storage_options"))
    return _build(name, spec, options)


def _is_specification(spec: Any) -> bool:
    """Whether a mapping is a path with options rather than a table that has a column ``path``."""
    if not isinstance(spec, Mapping) or not _is_reference(spec.get("path")):
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
        "list of those, a pandas, Spark or Dask DataFrame, Arrow Table, numpy array, mapping of arrays, list of dicts, or a "
        "source."
    )


def _build(name: str, spec: Any, options: Mapping[str, Any]) -> Source:
    chosen = choices.choice("connectors", {"connector": name, **options})
    assert chosen is not None, "a mapping names what is to be made"
    source: Source = chosen.build(spec)
    return source


def _connector_of(paths: Paths, storage_options: Mapping[str, Any] | None) -> str:
    """By extension of the path, else by the most frequent known extension of the files it means."""
    several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if len(several) == 1 and str(several[0]).startswith("sklearn://"):
        return "memory"
    names = {by_name(str(path)) for path in several}
    if len(names) == 1 and None not in names:
        return names.pop()  # type: ignore[return-value]
    files = [info.path for info in expand(as_paths(paths), (), storage_options)]
    counts = Counter(name for name in map(by_name, files) if name)
    if not counts or counts.total() < len(files):
        unknown = next(path for path in files if by_name(path) is None)
        raise DataError(
            f"No connector for {unknown}, one of the input's {len(files)} files: its name ends in none of "
            f"{', '.join(registry.CLAIMED)}. Say which with connector: one of {', '.join(registry.names('connectors'))} "
            "(files reads each as one row)."
        )
    if len(counts) > 1:
        raise DataError(f"The input holds files of several formats ({dict(counts)}); name those of one by a glob.")
    return next(iter(counts))


def by_name(path: str) -> str | None:
    """The connector that a file name's extension means, None where it means none."""
    name = PurePosixPath(path.partition("?")[0]).name.lower()
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    return registry.connector_for(os.path.splitext(name)[1])
