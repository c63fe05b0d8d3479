"""One output from parts of several runs: which rows of which file come from which input, in input order."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from partitioner.known_secrets import masked_names
from partitioner.model import CommitRecord, SubTasks
from partitioner.output.schemas import fitted
from partitioner.output.versions import home
from partitioner.storage import Directory, read_parquet

COUNTS = ("rows_in", "rows_out", "rows_written", "quarantined")
Piece = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Part:
    """What one input file, a section of one (row group), or one run as a whole (``path`` empty), adds to an output.

    ``section`` is -1 for a whole file; ``section_content`` tells the section apart (``Source.section_content``, empty: not
    known). ``content`` tells the file apart (``Source.contents``); ``counts`` rows by the names of ``COUNTS``;
    ``quarantine`` URLs of files with quarantined rows; ``pieces`` (file relative to the output, first row, rows), in order.
    """

    path: str
    content: str
    counts: Mapping[str, int]
    quarantine: tuple[str, ...]
    pieces: tuple[Piece, ...]
    section: int = -1
    section_content: str = ""

    def to_json(self, index: Mapping[str, int]) -> dict[str, Any]:
        """Plain values; files by their number in the manifest."""
        pieces = [[index[name], first, rows] for name, first, rows in self.pieces]
        facts = {"path": self.path, "content": self.content, **self.counts}
        if self.section >= 0:
            facts |= {"section": self.section, "section_content": self.section_content}
        return facts | {"quarantine": list(self.quarantine), "pieces": pieces}


def parts_of(manifest: Mapping[str, Any]) -> list[Part]:
    """The parts of a committed version; version 0, which knows no inputs, is one part."""
    files = [str(f.get("stored", f["path"])) for f in manifest["files"]]
    if "inputs" not in manifest:
        pieces = tuple((name, 0, int(f["rows"])) for name, f in zip(files, manifest["files"], strict=True))
        return [Part("", "", dict(manifest["counts"]), (), pieces)]
    return [
        Part(
            str(i["path"]),
            str(i["content"]),
            {name: int(i[name]) for name in COUNTS},
            tuple(i["quarantine"]),
            tuple((files[n], first, rows) for n, first, rows in i["pieces"]),
            int(i.get("section", -1)),
            str(i.get("section_content", "")),
        )
        for i in manifest["inputs"]
    ]


def parts_by_file(
    records: Sequence[CommitRecord], tasks: SubTasks, contents: Mapping[str, str], run_url: str
) -> dict[str, dict[int, Part]]:
    """Path, and section or -1, to what a run wrote for it; its sub-tasks kept files apart, and sections where they could."""
    assert tasks.fragments is not None
    table = tasks.fragments
    paths = masked_names(table.paths)
    found: dict[str, dict[int, Part]] = {path: {} for path in contents}
    ordered: list[tuple[int, Piece, tuple[int, int], str, str | None]] = []
    for record in records:
        first = 0
        told: Sequence[str | None] = record.contents or [None] * len(record.inputs)
        for (fragment, rows), (_, rows_in, aside), content in zip(record.segments, record.inputs, told, strict=True):
            place = f"{run_url}/{record.quarantine}" if aside else ""
            ordered.append((fragment, (record.path, first, rows), (rows_in, aside), place, content))
            first += rows
    for fragment, piece, (rows_in, quarantined), place, content in sorted(ordered, key=lambda o: o[:2]):
        path = paths[table.path_index[fragment]]
        section = -1 if content is None else int(table.section[fragment])
        nothing = Part(path, contents[path], dict.fromkeys(COUNTS, 0), (), (), section)
        part = found[path].get(section, nothing)
        more = (rows_in, rows_in - quarantined, piece[2], quarantined)
        found[path][section] = replace(
            part,
            counts={name: part.counts[name] + n for name, n in zip(COUNTS, more, strict=True)},
            quarantine=tuple(dict.fromkeys([*part.quarantine, *([place] if place else [])])),
            pieces=(*part.pieces, piece),
            section_content=part.section_content or content or "",
        )
    return found


def part_of_run(records: Sequence[CommitRecord], counts: Mapping[str, int], run_url: str) -> Part:
    """All that a run wrote, in input order, as one part."""
    ordered: list[tuple[int, Piece]] = []
    for record in records:
        first = 0
        for fragment, rows in record.segments:
            ordered.append((fragment, (record.path, first, rows)))
            first += rows
    aside = tuple(f"{run_url}/{r.quarantine}" for r in records if r.quarantine)
    return Part("", "", dict(counts), aside, tuple(piece for _, piece in sorted(ordered)))


def assembled(
    output: Directory,
    number: int,
    parts: Iterable[Part],
    known: Mapping[str, Mapping[str, Any]],
    recast: frozenset[str] = frozenset(),
    schema: pa.Schema | None = None,
) -> tuple[list[dict[str, Any]], list[Part]]:
    """Files that hold the rows of the parts in order, whole files all, and the parts in terms of them.

    ``known`` are rows and sha256 by file. A file whose rows are all there, in order, is taken as it is; of another, and of
    those in ``recast``, the rows that are wanted are copied into files of this version, in ``schema`` where it is given: no
    program runs for that.
    """
    held = list(parts)
    stretches = _stretches(piece for part in held for piece in part.pieces if piece[2])
    files: list[dict[str, Any]] = []
    moved: dict[tuple[str, int], tuple[str, int]] = {}
    copier = _Copier(output, number, schema)
    for name, first, rows in stretches:
        whole = first == 0 and rows == known[name]["rows"] and name not in recast
        stored, digest = (name, known[name]["sha256"]) if whole else copier.copied(name, first, rows)
        files.append({"stored": stored, "rows": rows, "sha256": digest})
        moved[name, first] = (stored, 0)
    return files, [replace(part, pieces=tuple(_moved(part.pieces, stretches, moved))) for part in held]


def _stretches(pieces: Iterable[Piece]) -> list[Piece]:
    """Neighbouring pieces of the same file as one."""
    found: list[Piece] = []
    for name, first, rows in pieces:
        if found and found[-1][0] == name and found[-1][1] + found[-1][2] == first:
            found[-1] = (name, found[-1][1], found[-1][2] + rows)
        else:
            found.append((name, first, rows))
    return found


def _moved(
    pieces: Iterable[Piece], stretches: Sequence[Piece], moved: Mapping[tuple[str, int], tuple[str, int]]
) -> Iterable[Piece]:
    by_name: dict[str, list[Piece]] = {}
    for stretch in stretches:
        by_name.setdefault(stretch[0], []).append(stretch)
    for name, first, rows in pieces:
        if rows:
            _, start, _ = next(s for s in by_name[name] if s[1] <= first < s[1] + s[2])
            yield moved[name, start][0], first - start, rows


class _Copier:
    """Writes stretches of rows of older files as files of a version; holds one file at a time."""

    def __init__(self, output: Directory, number: int, schema: pa.Schema | None) -> None:
        self._output, self._number, self._written, self._schema = output, number, 0, schema
        self._held: tuple[str, Any] = ("", None)

    def copied(self, name: str, first: int, rows: int) -> tuple[str, str]:
        """The new file, and its sha256."""
        if self._held[0] != name:
            table = read_parquet(self._output.get(name))
            self._held = (name, table.replace_schema_metadata(None))  # not what the older file says of itself
        buffer = io.BytesIO()
        table = self._held[1].slice(first, rows)
        if self._schema is not None:
            table = fitted(table, self._schema, f"{self._output.url}/{name}")
        pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
        stored = f"{home(self._number)}/kept-{self._written:06d}.parquet"
        self._output.put(stored, buffer.getvalue())
        self._written += 1
        return stored, hashlib.sha256(buffer.getvalue()).hexdigest()
