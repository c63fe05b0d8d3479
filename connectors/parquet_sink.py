"""Parquet output: one file per sub-task, created whole under its final name by whichever attempt is first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.plain_value import Hashing, file_bytes, values_of
from connectors.value_sink import ValueSink
from partitioner.errors import DamagedOutput
from partitioner.frames import to_numpy
from partitioner.model import CommitRecord
from partitioner.model.source import Sink
from partitioner.output.versions import home
from partitioner.storage import Directory, Entry

if TYPE_CHECKING:
    from partitioner.store.commits import Records

_FACTS = b"batch-partitioner"
_TAIL_BYTES = 64 * 1024  # holds the footer of nearly every file, so that one request is enough
CHECKS_AT_ONCE = 16  # footers read at a time: a request to an object store takes milliseconds


@dataclass(frozen=True, slots=True)
class Staged:
    """A finished file that nobody sees yet."""

    name: str
    data: pa.Buffer
    facts: dict[str, Any]


class ParquetSink(Sink):
    """Files ``part-<sub-task>.parquet`` below ``url``, whose footers say what they hold.

    The facts in the footer (sub-task, rows in and out, segments, digest of the rows) depend on the input and the program
    only, so that the same job gives the same bytes on every engine. They rebuild a commit record that a dying driver or
    worker left unwritten. Pages carry checksums.
    ``version``: of the output, see ``output.versions``. ``fsync``: a committed file is on the medium before its
    attempt ends. ``plain``: neither compressed nor with a dictionary, so that one large value (a partial result) is read
    without a second copy of it.
    """

    name = "parquet"

    def __init__(
        self, url: str, compression: str = "zstd", fsync: bool = False, version: int = 0, plain: bool = False
    ) -> None:
        self.url = Directory(url).url
        self.compression = "none" if plain else compression
        self.plain = plain
        self.fsync = fsync
        self.version = version
        self._prefix = f"{home(version)}/" if version else ""

    @property
    def _files(self) -> Directory:
        return Directory(self.url, self.fsync)

    def path(self, key: str) -> str:
        """Name of the file of sub-task ``key``."""
        return f"{self._prefix}part-{key}.parquet"

    def write(self, key: str, batches: Iterator[pa.RecordBatch], facts: Callable[[], Mapping[str, Any]]) -> Staged:
        """Encode the rows in memory, compressed; columns take the types of the first batch."""
        out = pa.BufferOutputStream()
        digest = hashlib.sha256()
        first = next(batches, None)
        schema = first.schema if first is not None else pa.schema([])
        settings = {"compression": self.compression, "write_page_checksum": True}
        settings |= {"use_dictionary": False, "write_statistics": False} if self.plain else {}
        with pq.ParquetWriter(out, schema, **settings) as writer:
            with pa.ipc.new_stream(Hashing(digest.update), schema) as stream:
                while first is not None:
                    batch = first if first.schema.equals(schema) else first.cast(schema)
                    writer.write_batch(batch)
                    stream.write_batch(batch)
                    first = next(batches, None)
            known = {"key": key, **facts(), "digest": digest.hexdigest()}
            writer.add_key_value_metadata({_FACTS.decode(): json.dumps(known, sort_keys=True)})
        return Staged(self.path(str(known["key"])), out.getvalue(), known)

    def commit(self, staged: Staged) -> dict[str, Any]:
        """Create the file if no attempt has; otherwise the facts of the one that is there."""
        tag = self._files.create(staged.name, memoryview(staged.data).cast("B"))
        if tag is not None:
            return {**staged.facts, "path": staged.name, "size": staged.data.size, "tag": tag}
        winner = self._facts(staged.name)
        if winner is None:
            raise FileExistsError(f"{self.url}/{staged.name} was not written by this library; choose another output.")
        return winner

    def abort(self, staged: Staged) -> None:
        """Nothing to do: what is staged lives in memory only."""

    def committed(self, key: str) -> dict[str, Any] | None:
        """The facts in the footer of the file of ``key``, or None where there is no file of ours."""
        try:
            return self._facts(self.path(key))
        except FileNotFoundError:
            return None

    def beside(self, url: str) -> ValueSink:
        """For merged partial results, in files that no Parquet writer has to hold."""
        return ValueSink(url, self.fsync)

    def partials(self, name: str, rows: Sequence[int]) -> tuple[list[pa.Buffer], dict[str, Any]]:
        """Values, where they lie in a plain file with one of them; the digest is that of the rows that were read now."""
        data = file_bytes(self._files, name)
        try:
            batch, values = values_of(data, rows)
            metadata = pq.read_metadata(pa.BufferReader(data)).metadata or {}
            facts = json.loads(metadata.get(_FACTS, b"{}"))
            if name.rpartition("/")[2] != f"part-{facts.get('key')}.parquet":  # rows copied from an older file
                return values, {"digest": hashlib.sha256(data).hexdigest()}
        except (pa.ArrowException, OSError, ValueError, KeyError, IndexError) as error:
            raise DamagedOutput(f"{self.url}/{name} is torn: {_line(error)}") from error
        digest = hashlib.sha256()
        with pa.ipc.new_stream(Hashing(digest.update), batch.schema) as stream:
            stream.write_batch(batch)
        if digest.hexdigest() != facts.get("digest"):
            raise DamagedOutput(f"{self.url}/{name} does not hold the rows that were written: their digest is another")
        return values, facts

    def keys(self) -> set[str]:
        """The sub-tasks whose files are there."""
        names = (e.name.removeprefix(self._prefix) for e in self._files.entries(self._prefix.rstrip("/") or None))
        return {n[5:-8] for n in names if n.startswith("part-") and n.endswith(".parquet") and "/" not in n}

    def _facts(self, name: str) -> dict[str, Any] | None:
        """What a file says of itself, from its end alone; None for a file of another's."""
        data, entry = self._files.get_tail(name, _TAIL_BYTES)
        needed = int.from_bytes(data[-8:-4], "little") + 8
        if needed > len(data):
            data, entry = self._files.get_tail(name, needed)
        try:
            metadata = pq.read_metadata(pa.BufferReader(data)).metadata or {}
            facts = json.loads(metadata[_FACTS]) if _FACTS in metadata else None
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DamagedOutput(
                f"{self.url}/{name} is torn: {_line(error)}. Resume the run to make it again."
            ) from error
        return None if facts is None else {**facts, "path": name, "size": entry.size, "tag": entry.tag}

    def check(self, records: Sequence[CommitRecord], full: bool = False) -> dict[str, str]:
        """Sub-task to what is wrong with its file, from one listing.

        A file whose size and tag are those of its commit is taken as it was written; of any other the footer is read.
        With ``full`` every page of every file is read and its checksum verified.
        """
        from partitioner.store.commits import Records  # by the driver alone

        if isinstance(records, Records) and not full:
            records = self._touched(records)
        there = (
            {entry.name: entry for entry in self._files.entries(self._prefix.rstrip("/") or None)} if records else {}
        )
        wanted = [r for r in records if full or not _untouched(r, there.get(r.path))]
        with ThreadPoolExecutor(CHECKS_AT_ONCE) as pool:
            found = pool.map(lambda r: self._problem(r, there.get(r.path), full), wanted)
        return {r.task_key: problem for r, problem in zip(wanted, found, strict=True) if problem}

    def _touched(self, records: Records) -> list[CommitRecord]:
        """The records whose file is not there with the size and tag of its commit, from one listing as columns."""
        import pyarrow.compute as pc

        there = self._files.listing(self._prefix.rstrip("/") or None)
        said = records.columns(["path", "size", "tag"])
        where = pc.index_in(said["path"], value_set=there["name"])
        now = there.select(["size", "tag"]).take(where)
        same = pc.and_(pc.equal(now["size"], said["size"]), pc.equal(now["tag"], said["tag"]))
        untouched = to_numpy(pc.fill_null(pc.and_(same, pc.not_equal(said["tag"], "")), False))
        return [records[i] for i in np.flatnonzero(~untouched).tolist()]

    def _problem(self, record: CommitRecord, entry: Entry | None, full: bool) -> str:
        if entry is None:
            return f"{record.path} is missing"
        resized = record.size and entry.size != record.size
        try:
            facts = self._facts(record.path) or {}
        except DamagedOutput as error:
            return f"{record.path} has {entry.size} bytes of the {record.size} committed" if resized else str(error)
        if facts.get("key") != record.task_key:
            return f"{record.path} holds {facts.get('key') or 'what this library did not write'}, not {record.task_key}"
        if facts["digest"] != record.digest:
            return f"{record.path} holds rows of digest {facts['digest'][:12]}, not {record.digest[:12]} as committed"
        if resized:
            return f"{record.path} has {entry.size} bytes of the {record.size} committed"
        return self._damage(record.path) if full else ""

    def _damage(self, name: str) -> str:
        """What reading the whole file brings up, or nothing."""
        try:
            source = pa.BufferReader(self._files.get(name))
            file = pq.ParquetFile(source, page_checksum_verification=True, pre_buffer=False)
            for group in range(file.num_row_groups):
                file.read_row_group(group, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            return f"{name} is damaged: {_line(error)}"
        return ""

    def recast(self, record: CommitRecord, fit: Callable[[pa.Table], pa.Table]) -> dict[str, Any]:
        """Replace the file by one with the same row groups and facts, of the tables that ``fit`` makes of these groups."""
        facts = self._facts(record.path) or {}
        file = pq.ParquetFile(pa.BufferReader(self._files.get(record.path)))
        empty = fit(file.schema_arrow.empty_table().replace_schema_metadata(None))
        groups = (fit(file.read_row_group(i).replace_schema_metadata(None)) for i in range(file.num_row_groups))
        batches = chain.from_iterable(group.combine_chunks().to_batches() for group in groups)
        first = next(batches, pa.RecordBatch.from_pylist([], schema=empty.schema))
        own = {name: value for name, value in facts.items() if name not in ("digest", "path", "size", "tag")}
        staged = self.write(record.task_key, chain([first], batches), lambda: own)
        self._files.put(staged.name, staged.data.to_pybytes())
        entry = self._files.entry(staged.name)
        assert entry is not None, "it was written"
        return {**staged.facts, "path": staged.name, "size": entry.size, "tag": entry.tag}

    def discard(self, key: str) -> None:
        """Remove the file of ``key``."""
        self._files.delete(self.path(key))

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """``_manifest.json`` (files in input order with rows and digests), then ``_SUCCESS``.

        The files of a version beyond 0 become the output with that version's own commit, see ``output.versions``.
        """
        self._files.sweep()
        if self.version:
            return
        kept = {name: value for name, value in manifest.items() if name != "run_id"}  # equal runs, equal bytes
        self._files.put_pieces("_manifest.json", _listed(kept))
        self._files.put("_SUCCESS", b"")


def _listed(manifest: Mapping[str, Any]) -> Iterator[bytes]:
    """A manifest as JSON, piece by piece: there may be a million files."""
    whole = json.dumps({**manifest, "files": []}, indent=1, sort_keys=True).encode()
    before, after = whole.split(b'"files": []')
    held, separator = [before + b'"files": ['], "\n  "
    for file in manifest["files"]:
        text = ",\n   ".join(f"{json.dumps(key)}: {json.dumps(file[key])}" for key in sorted(file))
        held.append(f"{separator}{{\n   {text}\n  }}".encode())
        separator = ",\n  "
        if len(held) == _JOINED:
            yield b"".join(held)
            held = []
    yield b"".join([*held, b"]" if separator == "\n  " else b"\n ]", after])


_JOINED = 10_000  # files of a manifest in one piece, about 2 MB


def _untouched(record: CommitRecord, entry: Entry | None) -> bool:
    return entry is not None and bool(record.tag) and (entry.size, entry.tag) == (record.size, record.tag)


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
