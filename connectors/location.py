"""Where bytes are: one small interface over local files, object stores (obstore) and what only fsspec reaches.

A path is a local path, ``file://`` or any URL. Local paths become absolute when a source is made, so that they mean the
same on every worker; remote ones stay URLs. Options (endpoint, region, keys) come from the environment and from
``storage_options``: obstore's keys of that store, ``client_options`` and ``retry_config``, or the file system's own
keys where fsspec serves the URL.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from connectors.systems import OBSTORE_SCHEMES, FileInfo, Fsspec, Local, Obstore, System
from partitioner.errors import DataError, MissingDependency, OutOfReach, store_says

Options = Mapping[str, Any]

_LOCAL = Local()


def absolute(path: str | os.PathLike[str]) -> str:
    """The same path wherever the process runs: URLs unchanged, local paths absolute without ``file://``."""
    text = os.fspath(path)
    if text.startswith("file://"):
        text = unquote(text.removeprefix("file://"))
    return text if "://" in text else str(Path(os.path.abspath(os.path.expanduser(text))))


def system(path: str, options: Options | None = None) -> System:
    """The storage system of an absolute path or URL, opened once per process."""
    if "://" not in path:
        return _LOCAL
    scheme, _, rest = path.partition("://")
    root = f"{scheme}://{rest.partition('/')[0]}"
    return _opened(root, scheme, _Frozen(dict(options or {})))


def open_file(info: FileInfo, options: Options | None = None) -> pa.NativeFile:
    """A random-access file that pyarrow reads; remote files are fetched range by range, as asked."""
    if "://" not in info.path:
        return pa.OSFile(info.path, "rb")
    return pa.PythonFile(_RangeFile(system(info.path, options), info), mode="r")


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn what is missing or forbidden into OutOfReach naming ``path``; other failures pass."""
    try:
        yield
    except FileNotFoundError as error:
        raise OutOfReach(f"No file at {path}: it is missing or was removed after planning. Restore it.") from error
    except PermissionError as error:
        raise OutOfReach(f"Not allowed to read {path}. Grant the process read access.") from error


@contextmanager
def planning(path: str) -> Iterator[None]:
    """While input is listed and described, a storage system that cannot be reached is an error of the input."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        raise DataError(
            f"Cannot reach {path}: {store_says(error)}. Check the path, endpoint and credentials."
        ) from error


def need(package: str, extra: str) -> Any:
    """A package of an extra. Raises MissingDependency with the command that installs it."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise MissingDependency(f"this input needs {package}: pip install 'batch-partitioner[{extra}]'") from error


def say(text: str) -> None:
    """One line for the person at the driver: what was decided about the input that could have been meant otherwise."""
    print(text, file=sys.stderr, flush=True)


class _Frozen:
    """Options as a cache key that never shows their values (they may hold keys)."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self._key = json.dumps(options, sort_keys=True, default=repr)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Frozen) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=64)
def _opened(root: str, scheme: str, frozen: _Frozen) -> System:
    return (Obstore if scheme in OBSTORE_SCHEMES else Fsspec)(root, frozen.options)


class _RangeFile(io.RawIOBase):
    """Reads of a remote file as ranged requests, one per read: Arrow decides what to fetch together."""

    def __init__(self, at: System, info: FileInfo) -> None:
        super().__init__()
        self._at, self._info, self._position = at, info, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._info.size}[whence]
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        end = self._info.size if size is None or size < 0 else min(self._position + size, self._info.size)
        data = self._at.read(self._info.path, self._position, end)
        self._position += len(data)
        return data
