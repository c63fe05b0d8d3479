"""One output schema for all sub-tasks, agreed by whoever comes first and widened by a conditional create.

``schema/<n>.json`` in the run directory is version n: every column's type and who was first to return it. A batch that
fits is cast to the newest version. One that needs more (an integer column where a double came, a type where all was null, a
further column) makes version n + 1. One that cannot be brought together (text where a number was) is an
error that names the column and both sub-tasks. The trial before the run usually makes version 0, from the first rows of the
first sub-task; where rows of an output are kept, or others added to them, it is their columns.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from partitioner.casting import Misfit, cast_into
from partitioner.errors import DamagedRun, ProgramError, text_of
from partitioner.frames import UNFIT
from partitioner.model.types import text_as_bytes
from partitioner.storage import Directory

FOLDER = "schema"


@dataclass(frozen=True, slots=True)
class Agreed:
    """Version ``number`` of the output's schema.

    ``origin``: column to the sub-task that first returned its type; ``lacking``: column to the first
    sub-task that did not return it, whose rows are null there.
    """

    number: int
    schema: pa.Schema
    origin: dict[str, str]
    lacking: dict[str, str]

    def to_json(self) -> bytes:
        """Plain JSON; the schema in Arrow's own encoding."""
        schema = base64.b64encode(self.schema.serialize().to_pybytes()).decode()
        return json.dumps({"schema": schema, "origin": self.origin, "lacking": self.lacking}).encode()

    @classmethod
    def from_json(cls, number: int, data: bytes) -> Agreed:
        """The inverse of ``to_json``."""
        values = json.loads(data)
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(values["schema"])))
        return cls(number, schema, values["origin"], values["lacking"])


class Widened(Exception):
    """The schema grew after the first rows of an attempt were written: the attempt begins again with the new one."""


class Agreement:
    """The newest version that this process knows, and how it comes to a newer one."""

    def __init__(self, files: Directory) -> None:
        self._files = files
        self._known: Agreed | None = None

    def at(self, number: int) -> Agreed | None:
        """One version; None where there is none of this number. Raises DamagedRun for a torn one."""
        name = f"{FOLDER}/{number:06d}.json"
        try:
            data = self._files.get(name)
        except FileNotFoundError:
            return None
        try:
            return Agreed.from_json(number, data)
        except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError, pa.ArrowException) as error:
            raise DamagedRun(
                f"{name} in {self._files.url} is torn ({text_of(error)[:100]}): it says which columns sub-tasks return. "
                "Resume the run, which makes it again of what is committed."
            ) from error

    def newest(self) -> Agreed | None:
        """The last version there is, None before the first."""
        number = 0 if self._known is None else self._known.number + 1
        while (found := self.at(number)) is not None:
            self._known = found
            number += 1
        return self._known

    def forget_torn(self) -> bool:
        """Remove the first version that cannot be read, and all behind it; whether there was one."""
        try:
            self.newest()
            return False
        except DamagedRun:
            first = 0 if self._known is None else self._known.number + 1
        names = self._files.names(FOLDER)
        self._files.delete_all([name for name in names if name >= f"{FOLDER}/{first:06d}.json"])
        return True

    def begin(self, schema: pa.Schema, who: str) -> None:
        """Make version 0 of what is there already: rows that an output holds, of which ``who`` says where."""
        self._files.put_new(f"{FOLDER}/000000.json", Agreed(0, schema, dict.fromkeys(schema.names, who), {}).to_json())

    def admit(self, schema: pa.Schema, who: str) -> Agreed:
        """The version that a batch of ``schema`` by ``who`` is to be cast to. ProgramError where none can be."""
        known = self._known or self.newest()
        while True:
            wanted = _merged(known, schema, who)
            if known is not None and wanted.schema.equals(known.schema) and wanted.lacking == known.lacking:
                return known
            _check_writable(wanted.schema)
            if self._files.put_new(f"{FOLDER}/{wanted.number:06d}.json", wanted.to_json()):
                self._known = wanted
                return wanted
            known = self.newest()


def _check_writable(schema: pa.Schema) -> None:
    """ProgramError naming the column whose type no Parquet file holds: by the trial, and not at the first commit."""
    import pyarrow.parquet as pq

    def writable(part: pa.Schema) -> str:
        try:
            pq.ParquetWriter(pa.BufferOutputStream(), part).close()
        except UNFIT as error:
            return str(error).partition("\n")[0].rstrip(".")
        return ""

    for field in schema if writable(schema) else ():
        if problem := writable(pa.schema([field])):
            raise ProgramError(f"the program returns column {field.name!r} as {field.type}: {problem}. Convert it.")


def _merged(known: Agreed | None, schema: pa.Schema, who: str) -> Agreed:
    """``known`` widened so that it takes ``schema``."""
    if known is None:
        return Agreed(0, schema, dict.fromkeys(schema.names, who), {})
    fields, origin, lacking = [], dict(known.origin), dict(known.lacking)
    for field in known.schema:
        if field.name not in schema.names:
            lacking.setdefault(field.name, who)
            fields.append(field.with_nullable(True))
            continue
        kind = _wider(known, field, schema.field(field.name).type, who)
        if not kind.equals(field.type):
            origin[field.name] = who
        fields.append(pa.field(field.name, kind))
    for field in schema:
        if field.name not in known.schema.names:
            fields.append(pa.field(field.name, field.type))
            origin[field.name] = who
            if known.schema.names:  # without columns there were no rows
                lacking[field.name] = known.origin[known.schema.names[0]]
    return Agreed(known.number + 1, pa.schema(fields), origin, lacking)


def _wider(known: Agreed, field: pa.Field, kind: pa.DataType, who: str) -> pa.DataType:
    """The narrowest type that holds both, by Arrow's own rules of promotion."""
    if kind.equals(field.type):
        return kind
    pair = [pa.schema([pa.field("x", _undecorated(k, other))]) for k, other in ((field.type, kind), (kind, field.type))]
    try:
        wide = pa.unify_schemas(pair, promote_options="permissive").field("x").type
        if not _lossy(field.type, kind, wide):
            return wide
    except UNFIT:
        pass  # Arrow knows no type of both
    raise ProgramError(
        f"the program returns column {field.name!r} as {kind} in {_place(who)} and as {field.type} in "
        f"{_place(known.origin[field.name])}; one output has one type per column. Convert it in the program, for "
        "example with astype or str."
    )


def _place(who: str) -> str:
    return who if " " in who else f"sub-task {who}"


def _undecorated(kind: pa.DataType, other: pa.DataType) -> pa.DataType:
    """What values beside those of another type are: a dictionary or a view is how they are stored."""
    if pa.types.is_dictionary(kind) and not pa.types.is_dictionary(other):
        return kind.value_type
    if kind == pa.string_view():
        return pa.large_string()
    return pa.large_binary() if kind == pa.binary_view() else kind


def _lossy(one: pa.DataType, other: pa.DataType, wide: pa.DataType) -> bool:
    """Whether Arrow brings two types together and loses something: text as bytes, decimals as doubles or integers."""
    return any(text_as_bytes(kind, wide) for kind in (one, other)) or any(
        pa.types.is_decimal(a) and (pa.types.is_floating(b) or pa.types.is_integer(b))
        for a, b in ((one, other), (other, one))
    )


def agreed(batches: Iterator[pa.RecordBatch], agreement: Agreement, who: str) -> Iterator[pa.RecordBatch]:
    """The batches of one attempt, all cast to one version. Raises Widened where a later batch makes a newer one."""
    chosen: Agreed | None = None
    for batch in batches:
        if not batch.schema.names and agreement.newest() is not None:
            continue  # a batch without columns has no rows, and lacks nothing
        version = agreement.admit(batch.schema, who)
        if chosen is not None and not version.schema.equals(chosen.schema):
            raise Widened
        chosen = version
        yield cast(batch, version, who)
    if chosen is None and (known := agreement.newest()) is not None:
        yield pa.RecordBatch.from_arrays([pa.array([], f.type) for f in known.schema], schema=known.schema)


def cast(batch: pa.RecordBatch, version: Agreed, who: str) -> pa.RecordBatch:
    """The batch in the agreed columns, order and types. ProgramError where a value does not fit exactly."""
    if batch.schema.equals(version.schema):
        return batch
    try:
        return cast_into(batch, version.schema)
    except Misfit as error:
        raise ProgramError(
            f"column {error.column!r} of sub-task {who} is {error.own} and does not fit into the {error.wanted} of "
            f"{_place(version.origin[error.column])} exactly: {error.why}. Convert it."
        ) from error
