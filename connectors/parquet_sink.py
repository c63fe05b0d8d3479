"""Parquet output: one file per sub-task, created whole under its final name by whichever attempt is first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from partitioner.model.source import Sink
from partitioner.storage import Directory

_FACTS = b"batch-partitioner"


@dataclass(frozen=True, slots=True)
class Staged:
    """A finished file that nobody sees yet."""

    name: str
    data: pa.Buffer
    facts: dict[str, Any]


class _Hashing:
    """A write-only file that keeps a digest instead of the bytes."""

    closed = False

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is held open."""

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


class ParquetSink(Sink):
    """Files ``part-<sub-task>.parquet`` below ``url``, whose footers say what they hold.

    The facts in the footer (rows in and out, segments, digest of the rows) depend on the input and the program only,
    so that the same job gives the same bytes on every engine. They rebuild a commit record that a dying driver or
    worker left unwritten.
    """

    name = "parquet"

    def __init__(self, url: str, compression: str = "zstd") -> None:
        self.url = Directory(url).url
        self.compression = compression

    def path(self, key: str) -> str:
        """Name of the file of sub-task ``key``."""
        return f"part-{key}.parquet"

    def write(self, key: str, batches: Iterator[pa.RecordBatch], facts: Callable[[], Mapping[str, Any]]) -> Staged:
        """Encode the rows in memory, compressed; columns take the types of the first batch."""
        out = pa.BufferOutputStream()
        hashing = _Hashing()
        first = next(batches, None)
        schema = first.schema if first is not None else pa.schema([])
        with pq.ParquetWriter(out, schema, compression=self.compression) as writer:
            with pa.ipc.new_stream(hashing, schema) as digest:
                while first is not None:
                    batch = first if first.schema.equals(schema) else first.cast(schema)
                    writer.write_batch(batch)
                    digest.write_batch(batch)
                    first = next(batches, None)
            known = {**facts(), "digest": hashing.digest.hexdigest()}
            writer.add_key_value_metadata({_FACTS.decode(): json.dumps(known, sort_keys=True)})
        return Staged(self.path(key), out.getvalue(), known)

    def commit(self, staged: Staged) -> dict[str, Any]:
        """Create the file if no attempt has; otherwise the facts of the one that is there."""
        directory = Directory(self.url)
        if directory.put_new(staged.name, staged.data.to_pybytes()):
            return staged.facts
        winner = self._facts(directory.get(staged.name))
        if winner is None:
            raise FileExistsError(f"{self.url}/{staged.name} was not written by this library; choose another output.")
        return winner

    def abort(self, staged: Staged) -> None:
        """Nothing to do: what is staged lives in memory only."""

    def committed(self, key: str) -> dict[str, Any] | None:
        """The facts in the footer of the file of ``key``, or None where there is no file."""
        try:
            return self._facts(Directory(self.url).get(self.path(key)))
        except FileNotFoundError:
            return None

    def keys(self) -> set[str]:
        """The sub-tasks whose files are there."""
        return {n[5:-8] for n in Directory(self.url).names() if n.startswith("part-") and n.endswith(".parquet")}

    @staticmethod
    def _facts(data: bytes) -> dict[str, Any] | None:
        metadata = pq.read_metadata(pa.BufferReader(data)).metadata or {}
        return dict(json.loads(metadata[_FACTS])) if _FACTS in metadata else None

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """``_manifest.json`` (files in input order with rows and digests), then ``_SUCCESS``."""
        directory = Directory(self.url)
        directory.sweep()
        directory.put("_manifest.json", json.dumps(manifest, indent=1, sort_keys=True).encode())
        directory.put("_SUCCESS", b"")
