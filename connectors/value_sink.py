"""Merged partial results: one value a file, written and read without a copy of it.

    value | facts as JSON | length of the facts, uint64 | PTMERGE1

A Parquet writer holds a large value three times over. These files live and die within a run; no reader but ours sees
them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from connectors.plain_value import file_bytes, value_at
from partitioner.errors import DamagedOutput
from partitioner.model import CommitRecord
from partitioner.model.source import Sink
from partitioner.storage import Directory

MAGIC = b"PTMERGE1"
_TAIL_BYTES = 16 * 1024  # holds the facts of every merge
_ENDING = ".value"


@dataclass(frozen=True, slots=True)
class Staged:
    """A value and what is said of it, that nobody sees yet."""

    name: str
    value: pa.Buffer
    facts: Mapping[str, Any]


class ValueSink(Sink):
    """Files ``<key>.value`` below ``url``; ``fsync`` as in ``Directory``. Facts and digests as in other sinks."""

    name = "value"

    def __init__(self, url: str, fsync: bool = False) -> None:
        self.url = Directory(url).url
        self.fsync = fsync

    @property
    def _files(self) -> Directory:
        return Directory(self.url, self.fsync)

    def path(self, key: str) -> str:
        """Name of the file of a merge."""
        return f"{key}{_ENDING}"

    def write(self, key: str, batches: Iterator[pa.RecordBatch], facts: Callable[[], Mapping[str, Any]]) -> Staged:
        """The only value of the only batch."""
        value = value_at(next(batches).column(0), 0)
        for _ in batches:
            raise ValueError(f"{key} has more than one value")
        return Staged(self.path(key), value, {**facts(), "key": key, "digest": hashlib.sha256(value).hexdigest()})

    def commit(self, staged: Staged) -> dict[str, Any]:
        """Create the file if no attempt has; otherwise the facts of the one that is there."""
        said = json.dumps(dict(staged.facts), sort_keys=True).encode()
        end = said + len(said).to_bytes(8, "little") + MAGIC
        tag = self._files.create(staged.name, [memoryview(staged.value).cast("B"), memoryview(end)])
        if tag is None:
            return self._facts(staged.name)
        return {**staged.facts, "path": staged.name, "size": staged.value.size + len(end), "tag": tag}

    def abort(self, staged: Staged) -> None:
        """Nothing to do: what is staged lives in memory only."""

    def committed(self, key: str) -> dict[str, Any] | None:
        """The facts at the end of the file of ``key``, or None where there is none. Raises DamagedOutput."""
        try:
            return self._facts(self.path(key))
        except FileNotFoundError:
            return None

    def _facts(self, name: str) -> dict[str, Any]:
        tail, entry = self._files.get_tail(name, _TAIL_BYTES)
        return {**self._said(name, memoryview(tail)), "path": name, "size": entry.size, "tag": entry.tag}

    def _said(self, name: str, end: memoryview) -> dict[str, Any]:
        """The facts in the last bytes of a file."""
        length = int.from_bytes(end[-16:-8], "little")
        if bytes(end[-8:]) != MAGIC or length > len(end) - 16:
            raise DamagedOutput(f"{self.url}/{name} is torn: it does not end as a merged result does")
        try:
            return dict(json.loads(bytes(end[-16 - length : -16])))
        except ValueError as error:
            raise DamagedOutput(f"{self.url}/{name} is torn: {error}") from error

    def beside(self, url: str) -> ValueSink:
        """The same for another directory."""
        return ValueSink(url, self.fsync)

    def partials(self, name: str, rows: Sequence[int]) -> tuple[list[pa.Buffer], dict[str, Any]]:
        """The value where it lies; the digest is that of what was read now."""
        data = file_bytes(self._files, name)
        facts = self._said(name, memoryview(data)[-_TAIL_BYTES:])
        value = data.slice(0, data.size - 16 - int.from_bytes(data[-16:-8], "little"))
        if list(rows) != [0] or hashlib.sha256(value).hexdigest() != facts.get("digest"):
            raise DamagedOutput(f"{self.url}/{name} does not hold the value that was written: its digest is another")
        return [value], facts

    def keys(self) -> set[str]:
        """The merges whose files are there."""
        return {e.name.removesuffix(_ENDING) for e in self._files.entries() if e.name.endswith(_ENDING)}

    def check(self, records: Sequence[CommitRecord], full: bool = False) -> dict[str, str]:
        """Merge to what is wrong with its file."""
        found = {}
        for record in records:
            try:
                facts = self.committed(record.task_key)
                if full and facts is not None:
                    self.partials(record.path, [0])
            except DamagedOutput as error:
                found[record.task_key] = str(error)
            else:
                if facts is None or facts["digest"] != record.digest:
                    found[record.task_key] = f"{record.path} is {'missing' if facts is None else 'not as committed'}"
        return found

    def discard(self, key: str) -> None:
        """Remove the file of ``key``."""
        self._files.delete(self.path(key))

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Nothing is published: the result of a run is what its last merge gives."""
