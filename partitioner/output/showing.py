"""A version in the form that was asked for: its files are written before the commit, and put in place after it.

The rows of a version lie as Parquet below ``_versions``, whatever its form, so that the next version can keep some of them.
Files of a form lie in ``_versions/<n>/shown/`` until readers find them under their names in the output. A table has no such
files: its own transaction, with the run's id, replaces the rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from partitioner.casting import cast_into
from partitioner.config import RunConfig
from partitioner.output.encoders import ENCODERS
from partitioner.output.exporting import Form, encoded, form_of, joined, parted, to_table
from partitioner.output.publishing import publish, said
from partitioner.output.versions import check_newest
from partitioner.output.versions import home as home_of_version
from partitioner.storage import Directory, read_parquet

READS_AT_ONCE = 16


def shown(form: Form, config: RunConfig, output: Directory, manifest: Mapping[str, Any], base: Any) -> dict[str, Any]:
    """Write the files of a form for a version that is about to be committed; what its manifest says of them.

    ``base`` is the manifest before. Rows that are appended become files of their own beside those of before.
    """
    if form.table:
        return {}
    files = list(manifest["files"])
    schema = schema_of(output, [f["stored"] for f in files])
    about = {"form": asdict(form) | {"partition_by": list(form.partition_by)}, "columns": str(schema)}
    before: list[Mapping[str, Any]] = []
    if config.mode == "append" and not form.single and base and all(base.get(k) == about[k] for k in about):
        own = f"{home_of_version(manifest['version'])}/"
        before, files = list(base["shown"]), [f for f in files if f["stored"].startswith(own)]
    made = list(_written(form, str(config.output), output, manifest["version"], _tables(output, files, schema), schema))
    single = {"single": config.output} if form.single else {}
    return {**about, **single, "shown": [*before, *made]}


def _written(
    form: Form, url: str, output: Directory, number: int, tables: Iterator[pa.Table], schema: pa.Schema
) -> Iterator[dict[str, Any]]:
    place = f"{home_of_version(number)}/shown"
    if form.single:
        whole = joined(list(tables), schema)
        files: Iterator[tuple[str, int, bytes]] = iter([(parted(url)[1], whole.num_rows, ENCODERS[form.format](whole))])
    else:
        files = encoded(form, tables, schema, f"part-{number:06d}")
    for name, rows, data in files:
        output.put(f"{place}/{name}", data)
        digest = hashlib.sha256(data).hexdigest()
        yield {"path": name, "stored": f"{place}/{name}", "rows": rows, "sha256": digest}


def _tables(output: Directory, files: Sequence[Mapping[str, Any]], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of files in order, each in the columns of all."""
    for file in files:
        yield cast_into(read_parquet(output.get(file["stored"])), schema)


def schema_of(output: Directory, names: Sequence[str]) -> pa.Schema:
    """The columns of all files together, read from their footers."""

    def one(name: str) -> pa.Schema:
        root = output.local_path
        source = pa.BufferReader(output.get(name)) if root is None else str(root / name)
        return pq.read_schema(source).remove_metadata()

    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        schemas = list(pool.map(one, names))
    kept = [s for s in schemas if len(s)]
    return pa.unify_schemas(kept, promote_options="permissive") if kept else pa.schema([])


def show(config: RunConfig, output: Directory, manifest: Mapping[str, Any], claimed: int = 0) -> None:
    """Make readers see a committed version. May be called again after a death in between. ``claimed`` as for ``publish``."""
    form = form_of(config)
    if form is None or not form.table:
        publish(output, manifest, claimed)
        return
    check_newest(output, manifest["version"], manifest["run"], claimed)
    files = manifest["files"]
    schema = schema_of(output, [f["stored"] for f in files])
    to_table(form, config, _tables(output, files, schema), schema if len(schema) else None, manifest["run_id"])
    said(output, manifest)
