"""One schema for all rows of an output, over its nights too: that of the version before, widened by what a run returns.

A run that adds to an output agrees on its schema with what is there: what cannot be brought together is an error of the
trial, before the first sub-task. Files that are narrower than the schema of their version are written again in it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from partitioner.attempt.agreement import Agreement
from partitioner.casting import Misfit, cast_into
from partitioner.errors import RunFailed, clause, in_one_line
from partitioner.frames import UNFIT
from partitioner.output.showing import READS_AT_ONCE, schema_of
from partitioner.output.versions import Version
from partitioner.storage import Directory, read_parquet


def said(manifest: Mapping[str, Any] | None) -> pa.Schema | None:
    """The schema that a manifest tells; None where it tells none, or no columns."""
    text = (manifest or {}).get("schema")
    if text is None:
        return None
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))
    return schema if len(schema) else None


def of_version(output: Directory, base: Version) -> pa.Schema | None:
    """The schema of a committed version; None where its files have none in common."""
    if base.manifest is None or (known := said(base.manifest)) is not None:
        return said(base.manifest)
    if not base.number and (agreed := Agreement(Directory(base.run)).newest()) is not None:
        return agreed.schema
    files = [str(f.get("stored", f["path"])) for f in base.manifest["files"]]
    place = Directory(base.manifest["rows_in"]) if "rows_in" in base.manifest else output
    try:
        known = schema_of(place, files)
    except (FileNotFoundError, *UNFIT):
        return None  # written before nights agreed; or gone, which is told where its rows are wanted
    return known if len(known) else None


def narrower(files: Directory, output: Directory, names: Sequence[str]) -> tuple[frozenset[str], pa.Schema | None]:
    """Which files of a version are not in the schema that its run came to agree on, and that schema."""
    agreement = Agreement(files)
    newest, first = agreement.newest(), agreement.at(0)
    if newest is None or first is None:
        return frozenset(), None
    if newest.schema.equals(first.schema):
        return frozenset(), newest.schema

    def odd(name: str) -> bool:
        return not schema_of(output, [name]).equals(newest.schema)

    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        found = [name for name, differs in zip(names, pool.map(odd, names), strict=True) if differs]
    return frozenset(found), newest.schema


def without_columns(output: Directory, names: Sequence[str]) -> frozenset[str]:
    """Of files without rows those without columns: committed before any sub-task had returned one."""
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        found = pool.map(lambda name: not len(schema_of(output, [name])), names)
        return frozenset(name for name, bare in zip(names, found, strict=True) if bare)


def wider(schema: pa.Schema, more: pa.Schema) -> pa.Schema:
    """``schema`` with further columns, and other types where Arrow knows one of both; RunFailed where it does not."""
    try:
        return pa.unify_schemas([schema, more.remove_metadata()], promote_options="permissive")
    except UNFIT as error:
        raise RunFailed(
            f"rows of {in_one_line(str(more))} do not go with the output's {in_one_line(str(schema))}: {clause(error)}. "
            "Return columns of the same types from every sub-task."
        ) from error


def fitted(table: pa.Table, schema: pa.Schema, where: str) -> pa.Table:
    """The rows in the columns of ``schema``, null where they lack one. RunFailed names the column that loses a value."""
    try:
        return cast_into(table, schema)
    except Misfit as error:
        raise RunFailed(
            f"column {error.column!r} of {where} is {error.own} and does not fit exactly into the {error.wanted} that later "
            f"rows asked for: {error.why}. Convert it in the program, to the same type everywhere, and start a new run."
        ) from error


def check_fits(files: Directory, output: Directory, paths: Sequence[tuple[str, str]]) -> None:
    """RunFailed for a file, committed before the schema widened, with a value that the wider type does not hold.

    ``paths`` are (file, sub-task). Columns whose every value fits are not read.
    """
    agreement = Agreement(files)
    newest, first = agreement.newest(), agreement.at(0)
    if newest is None or first is None:
        return
    doubtful = [
        f.name
        for f in newest.schema
        if f.name in first.schema.names and _doubtful(first.schema.field(f.name).type, f.type)
    ]
    if not doubtful:
        return
    wanted = pa.schema([newest.schema.field(name) for name in doubtful])

    def check(path: str, who: str) -> None:
        own = schema_of(output, [path])
        if any(name in own.names and not own.field(name).type.equals(wanted.field(name).type) for name in doubtful):
            there = [name for name in doubtful if name in own.names]
            fitted(read_parquet(output.get(path), there), wanted, f"sub-task {who}")

    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        list(pool.map(lambda pair: check(*pair), paths))


def _doubtful(old: pa.DataType, new: pa.DataType) -> bool:
    """Whether a value of the older type may not fit into the newer one."""
    if old.equals(new) or pa.types.is_null(old):
        return False
    if pa.types.is_integer(old) and pa.types.is_floating(new):
        return bool(old.bit_width > new.bit_width // 2)
    if pa.types.is_integer(old) and pa.types.is_integer(new):
        return bool(pa.types.is_unsigned_integer(old) and old.bit_width >= new.bit_width)
    return bool(pa.types.is_nested(old))
