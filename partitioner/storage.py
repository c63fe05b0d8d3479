"""A directory on a local disk or an object store, with the one atomic operation that commits rest on.

Everything the library keeps goes through ``Directory``: a local path, ``file://``, ``s3://``, ``gs://`` or ``az://`` URL
(obstore; credentials and endpoints from the environment, as for its command-line peers).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from partitioner.errors import ConfigError, StorageFailed, clause, store_says
from partitioner.security.links import refuse_links

_STAGED = re.compile(r"#\d+$")


def absolute_url(url: str | Path) -> str:
    """A URL that means the same on every machine: local paths become absolute paths, URLs stay."""
    text = str(url)
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    return text.rstrip("/") if "://" in text else str(Path(text).expanduser().absolute())


@lru_cache(maxsize=64)
def _open(url: str) -> Any:
    from obstore.store import LocalStore, from_url

    if "://" not in url:
        try:
            return LocalStore(url, mkdir=True)
        except OSError as error:
            raise StorageFailed(
                f"{url} is no directory, and none can be made there: {clause(error)}. Name another."
            ) from error
    try:
        return from_url(url)
    except Exception as error:
        reason = str(error).partition("\n")[0]  # the rest is its internals
        raise ConfigError(f"Cannot open {url!r}: {reason}. Use a local path, s3://, gs:// or az:// URL.") from error


def read_parquet(data: bytes, columns: list[str] | None = None) -> pa.Table:
    """The table in a Parquet object, read by this thread alone. OSError where a page is not what its checksum says.

    Where Arrow starts a thread shortly before the process ends, it may abort the process, its work done
    (https://github.com/apache/arrow/issues/34314).
    """
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False, page_checksum_verification=True)
    return file.read(columns, use_threads=False)


class Entry(NamedTuple):
    """One object as a listing tells it: name, size in bytes, a tag that changes with every write, Unix time of the store."""

    name: str
    size: int
    tag: str
    modified: float

    @classmethod
    def of(cls, meta: Any) -> Entry:
        """From obstore's metadata."""
        return cls(meta["path"], meta["size"], meta["e_tag"] or "", meta["last_modified"].timestamp())


@contextmanager
def _writing(url: str, name: str) -> Iterator[None]:
    """A store that does not take a write is our error, which says where."""
    from obstore.exceptions import AlreadyExistsError, BaseError

    refuse_links(url, name)
    try:
        yield
    except AlreadyExistsError:
        raise
    except (BaseError, OSError) as error:
        reason = _cause(error)
        raise StorageFailed(
            f"cannot write {name} below {url}: {reason}. Free space or restore access there, then resume the run."
        ) from error


@contextmanager
def _reading(url: str, name: str) -> Iterator[None]:
    """A store that does not answer, or lets nobody in, is our error, which says where; what is not there stays that."""
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError:
        raise
    except BaseError as error:
        raise StorageFailed(
            f"cannot read {name} in {url}: {_cause(error)}. Restore access there (credentials, region, network) and try "
            "again."
        ) from error


def _cause(error: Exception) -> str:
    """One line; obstore gives the system's own message last, within its debug output."""
    text = str(error)
    inner = re.findall(r'message: "([^"]+)"', text)
    return inner[-1] if inner else store_says(error)


LISTED_AT_ONCE = 10_000
"""Entries of a listing that are objects at a time."""


def _columns(entries: Sequence[Entry], schema: pa.Schema) -> pa.RecordBatch:
    columns = [[e.name for e in entries], [e.size for e in entries], [e.tag for e in entries]]
    return pa.record_batch(columns, schema=schema)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder of a local disk that holds nothing; another may have written there meanwhile."""
    with contextlib.suppress(OSError):
        folder.rmdir()


class Directory:
    """Small objects under one URL; names are relative, with ``/`` between parts.

    ``fsync``: on a local disk, what is written is on the medium, with its folder's entry, before the write returns.
    Object stores promise that by themselves.
    """

    def __init__(self, url: str | Path, fsync: bool = False) -> None:
        self.url = absolute_url(url)
        self.fsync = fsync

    def __repr__(self) -> str:
        return f"Directory({self.url!r})"

    @property
    def local_path(self) -> Path | None:
        """The path where this is on a local disk, else None."""
        return None if "://" in self.url else Path(self.url)

    def child(self, name: str) -> Directory:
        """The directory below."""
        return Directory(f"{self.url}/{name}", self.fsync)

    def _to_read(self, name: str) -> Any:
        """The store; FileNotFoundError where a local disk has no such file, which is quick to ask.

        Looking must not create the directory either, as opening a store does.
        """
        if self._gone(name):
            raise FileNotFoundError(f"there is no {name} in {self.url}")
        return _open(self.url)

    def _gone(self, name: str) -> bool:
        return "://" not in self.url and not os.path.isfile(f"{self.url}/{name}")

    def make_private(self) -> None:
        """Create it, readable by its owner alone, where it is on a local disk; on a store, the store's policy decides.

        Raises StorageFailed where the disk does not take it.
        """
        if self.local_path is not None:
            with _writing(str(self.local_path.parent), self.local_path.name):
                self.local_path.parent.mkdir(parents=True, exist_ok=True)
                self.local_path.mkdir(mode=0o700, exist_ok=True)

    def put_new(self, name: str, data: bytes) -> bool:
        """Create an object that must not exist yet, whole or not at all; False where it was there already.

        Atomic among any number of writers on a local disk, S3, GCS and Azure (a conditional create, no rename).
        Raises StorageFailed where the store does not take it.
        """
        return self.create(name, data) is not None

    def create(self, name: str, data: bytes | memoryview | Sequence[memoryview]) -> str | None:
        """As ``put_new``; the tag of the new object, or None where it was there already."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            with _writing(self.url, name):
                result = obstore.put(_open(self.url), name, data, mode="create", use_multipart=False)
                self._to_medium(name)
        except AlreadyExistsError:
            return None
        return result["e_tag"] or ""

    def put(self, name: str, data: bytes) -> None:
        """Write an object, replacing what was there. Raises StorageFailed where the store does not take it."""
        import obstore

        with _writing(self.url, name):
            obstore.put(_open(self.url), name, data)
            self._to_medium(name)

    def put_pieces(self, name: str, pieces: Iterator[bytes]) -> None:
        """As ``put``, for what is too large to hold twice; it appears whole, or not at all."""
        import obstore

        with _writing(self.url, name):
            obstore.put(_open(self.url), name, pieces)
            self._to_medium(name)

    def settle(self) -> None:
        """On a local disk, return once all that was written to it so far is on the medium: one call for all files."""
        root = self.local_path
        if root is None or not root.exists():
            return
        flush = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if flush is None:  # not Linux
            os.sync()
            return
        descriptor = os.open(root, os.O_RDONLY)
        try:
            if flush(descriptor):
                raise StorageFailed(
                    f"cannot write back {self.url}: {os.strerror(ctypes.get_errno())}. Mend it, then resume."
                )
        finally:
            os.close(descriptor)

    def _to_medium(self, name: str) -> None:
        if not self.fsync or self.local_path is None:
            return
        path = self.local_path / name
        for part in (path, path.parent):
            descriptor = os.open(part, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def get(self, name: str) -> bytes:
        """The bytes of an object. Raises FileNotFoundError."""
        import obstore

        with _reading(self.url, name):
            return bytes(obstore.get(self._to_read(name), name).bytes())

    def view(self, name: str) -> memoryview:
        """As ``get``, without a copy of what the store handed over."""
        import obstore

        with _reading(self.url, name):
            return memoryview(obstore.get(self._to_read(name), name).bytes())

    def get_range(self, name: str, start: int, end: int) -> bytes:
        """Bytes ``[start, end)`` of an object. Raises FileNotFoundError."""
        import obstore

        with _reading(self.url, name):
            return bytes(obstore.get_range(self._to_read(name), name, start=start, end=end))

    def get_tail(self, name: str, size: int) -> tuple[bytes, Entry]:
        """The last ``size`` bytes of an object, or all of a smaller one, and its entry. Raises FileNotFoundError."""
        import obstore

        with _reading(self.url, name):
            found = obstore.get(self._to_read(name), name, options={"range": {"suffix": size}})
            return bytes(found.bytes()), Entry.of(found.meta)

    def entry(self, name: str) -> Entry | None:
        """What there is under the name, or None."""
        import obstore

        try:
            with _reading(self.url, name):
                return Entry.of(obstore.head(self._to_read(name), name))
        except FileNotFoundError:
            return None

    def exists(self, name: str) -> bool:
        """Whether the object is there."""
        return not self._gone(name) and ("://" not in self.url or self.entry(name) is not None)

    def entries(self, prefix: str | None = None) -> Iterator[Entry]:
        """All objects below ``prefix`` (a whole path part), in no order; nothing where there is nothing."""
        import obstore

        if self.local_path is not None and not os.path.exists(self.url):  # nor where no file can have such a name
            return
        if prefix is not None:  # else what a user put there is told as well
            refuse_links(self.url, f"{prefix}/")
        with _reading(self.url, prefix or "what is there"):
            for chunk in obstore.list(_open(self.url), prefix, chunk_size=1000):
                yield from map(Entry.of, chunk)

    def listing(self, prefix: str | None = None) -> pa.Table:
        """``entries`` as columns ``name``, ``size`` and ``tag``: a million of them take 0.1 GB and not 0.5."""
        schema = pa.schema([("name", pa.string()), ("size", pa.int64()), ("tag", pa.string())])
        batches: list[pa.RecordBatch] = []
        held: list[Entry] = []
        for entry in self.entries(prefix):
            held.append(entry)
            if len(held) == LISTED_AT_ONCE:
                batches.append(_columns(held, schema))
                held = []
        return pa.Table.from_batches([*batches, _columns(held, schema)], schema)

    def names(self, prefix: str | None = None) -> list[str]:
        """Sorted names of all objects below ``prefix`` (a whole path part); empty where there is nothing."""
        return sorted(entry.name for entry in self.entries(prefix))

    def folders(self) -> list[str]:
        """Sorted names of what holds objects directly below, without listing these."""
        import obstore

        root = self.local_path
        if root is None:
            with _reading(self.url, "what is there"):
                found = obstore.list_with_delimiter(_open(self.url))["common_prefixes"]
            return sorted(str(prefix).rstrip("/").rpartition("/")[2] for prefix in found)
        return sorted(entry.name for entry in os.scandir(root) if entry.is_dir()) if root.is_dir() else []

    def copy(self, name: str, to: str) -> None:
        """The same object under another name as well; on a local disk both are one file. Raises FileNotFoundError."""
        import obstore

        root = self.local_path
        with _writing(self.url, to):
            if root is None:
                obstore.copy(_open(self.url), name, to, overwrite=True)
                return
            (root / to).parent.mkdir(parents=True, exist_ok=True)
            (root / to).unlink(missing_ok=True)
            try:
                os.link(root / name, root / to)
            except FileNotFoundError:
                raise
            except OSError:  # a disk without hard links
                shutil.copyfile(root / name, root / to)

    def replace(self, name: str, to: str) -> None:
        """The same object under another name as well, in the place of what is there: in one step, for every reader."""
        import obstore

        root = self.local_path
        with _writing(self.url, to):
            if root is None:
                obstore.copy(_open(self.url), name, to, overwrite=True)
                return
            beside = f".{to}.next"  # the next one takes what a process that died here left
            self.copy(name, beside)
            os.replace(root / beside, root / to)
            (root / beside).unlink(missing_ok=True)  # both names of one file: nothing was renamed

    def delete(self, name: str) -> None:
        """Remove an object; nothing happens where there is none. Raises StorageFailed where the store does not let it go."""
        import obstore

        with _writing(self.url, name), contextlib.suppress(FileNotFoundError):
            obstore.delete(_open(self.url), name)

    def delete_all(self, names: Sequence[str]) -> None:
        """Remove many objects; those that are not there are passed over."""
        import obstore

        root = self.local_path
        if root is None:
            for start in range(0, len(names), 1000):
                with _writing(self.url, names[start]):
                    obstore.delete(_open(self.url), list(names[start : start + 1000]))
            return
        for name in names:
            with _writing(self.url, name):
                (root / name).unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove everything below."""
        if self.local_path is not None:
            shutil.rmtree(self.local_path, ignore_errors=True)
            return
        for name in self.names():
            self.delete(name)

    def sweep(self) -> int:
        """Remove what interrupted local writes left behind (object stores leave nothing); how many there were."""
        refuse_links(self.url, "")
        root = self.local_path
        if root is None or not root.exists():
            return 0
        staged = [p for p in root.rglob("*#*") if _STAGED.search(p.name)]
        for path in staged:
            path.unlink(missing_ok=True)
        return len(staged)
