"""Where bytes are: one small interface over local files, object stores (obstore) and what only fsspec reaches.

A path is a local path, ``file://`` or any URL. Local paths become absolute when a source is made, so that they mean the
same on every worker; remote ones stay URLs. Options (endpoint, region, keys) come from the environment and from
``storage_options``: obstore's keys of that store, ``client_options`` and ``retry_config``, or the file system's own
keys where fsspec serves the URL.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from partitioner.errors import DataError, MissingDependency

Options = Mapping[str, Any]

_OBSTORE_SCHEMES = frozenset(
    ("abfs", "abfss", "adl", "az", "azure", "gcs", "gs", "http", "https", "memory", "s3", "s3a")
)


_RETRY = {"max_retries": 4, "retry_timeout": timedelta(seconds=20)}


class FileInfo(NamedTuple):
    """One file: absolute path or URL, size in bytes, and a tag that changes when its content does."""

    path: str
    size: int
    tag: str


class System(Protocol):
    """What is needed of a storage system. ``path`` is always the full path or URL."""

    def walk(self, base: str, deep: bool) -> Iterator[FileInfo]:
        """Files below a directory, in any order; directly in it only where not ``deep``."""
        ...

    def stat(self, path: str) -> FileInfo:
        """One file. Raises FileNotFoundError."""
        ...

    def read(self, path: str, start: int, stop: int) -> bytes:
        """Bytes ``[start, stop)``, fewer where the file ends before. Raises FileNotFoundError."""
        ...


def absolute(path: str | os.PathLike[str]) -> str:
    """The same path wherever the process runs: URLs unchanged, local paths absolute without ``file://``."""
    text = os.fspath(path)
    if text.startswith("file://"):
        text = text.removeprefix("file://")
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
    """Turn what no retry can mend (missing, forbidden) into DataError naming ``path``; other failures pass."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"No file at {path}: it is missing or was removed after planning. Restore it.") from error
    except PermissionError as error:
        raise DataError(f"Not allowed to read {path}. Grant the process read access.") from error


@contextmanager
def planning(path: str) -> Iterator[None]:
    """While input is listed and described, a storage system that cannot be reached is an error of the input."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        raise DataError(
            f"Cannot reach {path}: {str(error).partition(chr(10))[0]}. Check the path, endpoint and credentials."
        ) from error


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
    return (_Obstore if scheme in _OBSTORE_SCHEMES else _Fsspec)(root, frozen.options)


class _Local:
    """Plain files through the operating system."""

    def walk(self, base: str, deep: bool) -> Iterator[FileInfo]:
        with os.scandir(base) as entries:
            for entry in entries:
                if entry.is_dir():
                    if deep and not hidden(entry.name):
                        yield from self.walk(entry.path, deep)
                elif entry.is_file():
                    yield self._info(entry.path, entry.stat())

    def stat(self, path: str) -> FileInfo:
        return self._info(path, os.stat(path))

    def read(self, path: str, start: int, stop: int) -> bytes:
        with open(path, "rb") as file:
            file.seek(start)
            return file.read(max(stop - start, 0))

    @staticmethod
    def _info(path: str, stat: os.stat_result) -> FileInfo:
        return FileInfo(path, stat.st_size, f"{stat.st_size}-{stat.st_mtime_ns}")


_LOCAL = _Local()


class _Obstore:
    """S3, GCS, Azure, HTTP and memory through obstore. Gives up on an unreachable store within about 30 s."""

    def __init__(self, root: str, options: dict[str, Any]) -> None:
        from obstore.store import from_url

        given = dict(options)
        keywords: dict[str, Any] = {}
        if not root.startswith("memory://"):
            # Client options given here replace those of the environment, so none are made up.
            keywords |= {"client_options": given.pop("client_options")} if "client_options" in given else {}
            keywords["retry_config"] = given.pop("retry_config", _RETRY)
            keywords["config"] = given
        with _translated(root):
            self._store = from_url(f"{root}/", **keywords)
        self._root = root

    def walk(self, base: str, deep: bool) -> Iterator[FileInfo]:
        import obstore

        prefix = self._key(base).rstrip("/") or None
        with _translated(base):
            if deep:
                for chunk in obstore.list(self._store, prefix, chunk_size=1000):
                    yield from map(self._info, chunk)
            else:
                yield from map(self._info, obstore.list_with_delimiter(self._store, prefix)["objects"])

    def stat(self, path: str) -> FileInfo:
        import obstore

        with _translated(path):
            return self._info(obstore.head(self._store, self._key(path)))

    def read(self, path: str, start: int, stop: int) -> bytes:
        import obstore

        if stop <= start:
            return b""
        with _translated(path):
            return bytes(obstore.get_range(self._store, self._key(path), start=start, end=stop))

    def _key(self, path: str) -> str:
        return path.removeprefix(self._root).lstrip("/")

    def _info(self, meta: Mapping[str, Any]) -> FileInfo:
        size = int(meta["size"])
        tag = meta.get("e_tag") or meta["last_modified"].isoformat()
        return FileInfo(f"{self._root}/{meta['path']}", size, f"{size}-{tag}")


class _Fsspec:
    """Whatever else fsspec has a file system for (hdfs, ftp, sftp, ...)."""

    def __init__(self, root: str, options: dict[str, Any]) -> None:
        try:
            import fsspec
        except ModuleNotFoundError as error:
            raise MissingDependency(
                f"{root} is not served by obstore; fsspec may reach it: pip install 'batch-partitioner[fsspec]'"
            ) from error
        self._root, self._scheme = root, root.partition("://")[0]
        try:
            self._fs, _ = fsspec.core.url_to_fs(f"{root}/", **options)
        except (ValueError, ImportError) as error:
            raise DataError(f"No storage system serves {self._scheme}:// paths ({root}): {error}.") from error

    def walk(self, base: str, deep: bool) -> Iterator[FileInfo]:
        found = self._fs.find(base, maxdepth=None if deep else 1, detail=True)
        yield from (self._info(name, meta) for name, meta in found.items())

    def stat(self, path: str) -> FileInfo:
        meta = self._fs.info(path)
        if meta["type"] == "directory":
            raise IsADirectoryError(path)
        return self._info(path, meta)

    def read(self, path: str, start: int, stop: int) -> bytes:
        return bytes(self._fs.cat_file(path, start=start, end=stop))

    def _info(self, name: str, meta: Mapping[str, Any]) -> FileInfo:
        bare = self._fs._strip_protocol(name)
        path = f"{self._root}{bare}" if bare.startswith("/") else f"{self._scheme}://{bare}"
        size = int(meta["size"] or 0)
        changed = next((meta[k] for k in ("ETag", "etag", "mtime", "LastModified", "created") if meta.get(k)), "")
        return FileInfo(path, size, f"{size}-{changed}")


@contextmanager
def _translated(path: str) -> Iterator[None]:
    """The store's permission and configuration errors as DataError naming ``path``, without its debug dump."""
    from obstore.exceptions import BaseError, GenericError

    try:
        yield
    except GenericError:
        raise  # the network's: a retry may mend it
    except BaseError as error:
        raise DataError(f"Cannot read {path}: {str(error).partition(chr(10))[0]}") from error


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


def hidden(name: str) -> bool:
    """Names that readers of datasets ignore: those that begin with ``_`` or ``.``."""
    return name.startswith(("_", "."))
