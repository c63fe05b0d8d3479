"""The storage systems themselves: local files, obstore's stores, and fsspec's file systems for the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple, Protocol

from partitioner.errors import DataError, MissingDependency, clause, store_says

OBSTORE_SCHEMES = frozenset(
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


def hidden(name: str) -> bool:
    """Names that readers of datasets ignore: those that begin with ``_`` or ``.``."""
    return name.startswith(("_", "."))


def _loops(entry: os.DirEntry[str]) -> bool:
    """Whether a link leads back to a directory that it lies in."""
    if not entry.is_symlink():
        return False
    target, home = os.path.realpath(entry.path), os.path.realpath(os.path.dirname(entry.path))
    return os.path.commonpath([target, home]) == target


class Local:
    """Plain files through the operating system."""

    def walk(self, base: str, deep: bool) -> Iterator[FileInfo]:
        """As in ``System``."""
        with os.scandir(base) as entries:
            for entry in entries:
                if entry.is_dir():
                    if deep and not hidden(entry.name) and not _loops(entry):
                        yield from self.walk(entry.path, deep)
                elif entry.is_file():
                    yield self._info(entry.path, entry.stat())

    def stat(self, path: str) -> FileInfo:
        """As in ``System``."""
        return self._info(path, os.stat(path))

    def read(self, path: str, start: int, stop: int) -> bytes:
        """As in ``System``."""
        with open(path, "rb") as file:
            file.seek(start)
            return file.read(max(stop - start, 0))

    @staticmethod
    def _info(path: str, stat: os.stat_result) -> FileInfo:
        return FileInfo(path, stat.st_size, f"{stat.st_size}-{stat.st_mtime_ns}")


class Obstore:
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
        """As in ``System``."""
        import obstore

        prefix = self._key(base).rstrip("/") or None
        found: Iterator[Any]
        with _translated(base):
            if deep:
                found = (meta for chunk in obstore.list(self._store, prefix, chunk_size=1000) for meta in chunk)
            else:
                found = iter(obstore.list_with_delimiter(self._store, prefix)["objects"])
            yield from map(self._info, _without_markers(found, prefix or ""))

    def stat(self, path: str) -> FileInfo:
        """As in ``System``."""
        import obstore

        if not self._key(path):
            raise FileNotFoundError(path)  # a bucket is no object, though stores answer for it
        with _translated(path):
            return self._info(obstore.head(self._store, self._key(path)))

    def read(self, path: str, start: int, stop: int) -> bytes:
        """As in ``System``."""
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


def _without_markers(found: Iterator[Any], prefix: str) -> Iterator[Any]:
    """Objects, without those of no bytes that consoles make for a folder: their names end in a slash, which obstore drops.

    Such an object comes right before what lies in its folder.
    """
    last = None
    for meta in found:
        if last is not None and last["path"] != prefix and not meta["path"].startswith(f"{last['path']}/"):
            yield last
        last = meta if not meta["size"] else None
        if meta["size"]:
            yield meta
    if last is not None and last["path"] != prefix:
        yield last


class Fsspec:
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
            raise DataError(
                f"No storage system serves {self._scheme}:// paths ({root}): {clause(error)}. Check "
                "the scheme, or install the package that serves it to fsspec."
            ) from error

    def walk(self, base: str, deep: bool) -> Iterator[FileInfo]:
        """As in ``System``."""
        found = self._fs.find(base, maxdepth=None if deep else 1, detail=True)
        yield from (self._info(name, meta) for name, meta in found.items())

    def stat(self, path: str) -> FileInfo:
        """As in ``System``."""
        meta = self._fs.info(path)
        if meta["type"] == "directory":
            raise IsADirectoryError(path)
        return self._info(path, meta)

    def read(self, path: str, start: int, stop: int) -> bytes:
        """As in ``System``."""
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
        raise DataError(f"Cannot read {path}: {store_says(error)}.") from error
    except ValueError as error:
        if "Could not parse path" not in str(error):
            raise
        raise DataError(
            f"Cannot read {path}: {str(error).partition(chr(10))[0]}. Copy the object to another name; a name has no empty "
            "parts."
        ) from error
