"""Rows that were in quarantine and are mended: put into the output that they were missing from, by a version of its own."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq

from partitioner import choices
from partitioner.config import RunConfig, make
from partitioner.errors import ConfigError, to_go_on
from partitioner.output import finishing, modes, schemas, versions
from partitioner.output.assembly import Part, assembled
from partitioner.output.exporting import form_of, home_of
from partitioner.output.showing import show, shown
from partitioner.runs.run import Run
from partitioner.storage import Directory
from partitioner.store.lease import Lease
from partitioner.store.run_directory import RunDirectory

RETRIED = "retried.json"


def config_of(directory: RunDirectory) -> RunConfig:
    """What a run was told of its output."""
    said = directory.description()["config"]
    known = ("output", "format", "partition_by", "rows_per_file", "bytes_per_file", "mode", "catalog", "fsync")
    return make({key: said[key] for key in known if key in said} | {"checkpoint": directory.url.rpartition("/")[0]})


def output_of(directory: RunDirectory) -> Directory:
    """Where the versions of a run's output are; what is written there is on the medium as the run asked for."""
    config = config_of(directory)
    return Directory(home_of(config) or f"{directory.url}/output", config.fsync != "never")


def rest_of(directory: RunDirectory) -> RunDirectory:
    """The run whose quarantine holds what is left of this one's: the last retry that was merged, else the run itself."""
    try:
        said = json.loads(directory.files.get(RETRIED))
    except FileNotFoundError:
        return directory
    merged = versions.at(output_of(directory), int(said["version"])).manifest
    if merged is None or merged["run_id"] != said["run_id"]:
        return directory  # its driver died before the merge counted
    return rest_of(RunDirectory(said["run"]))


def version_of(directory: RunDirectory) -> Mapping[str, Any] | None:
    """The manifest of the version of an output that a run wrote; None where it wrote none, or nothing was kept in it."""
    number = int(directory.description().get("target", {}).get("number", 0))
    manifest = versions.at(output_of(directory), number).manifest if number else None
    return manifest if manifest is not None and manifest.get("run") == directory.url else None


def check_mergeable(directory: RunDirectory) -> None:
    """Raises ConfigError where the output is not, or no longer, the one that this run wrote."""
    form = form_of(config_of(directory))
    if form is not None and form.table:
        raise ConfigError(
            f"run {directory.run_id} wrote to a table, which has transactions of its own; retry with merge=False "
            "(--no-merge), and add the repaired rows by a run with mode='append'."
        )
    if not choices.choose("reducers", _reducer_of(directory)).rows:
        raise ConfigError(
            f"run {directory.run_id} made one result of all rows, to which no rows can be added; retry with merge=False "
            "(--no-merge) for the result of the repaired rows alone."
        )
    if _rows_were_put_in_order(directory):
        raise ConfigError(
            f"run {directory.run_id} put the rows of its sub-tasks back in order one by one, and files of sub-tasks are "
            "what is merged; retry with merge=False (--no-merge) for the repaired rows alone."
        )
    output = output_of(directory)
    if directory.finished() is None:
        raise ConfigError(f"run {directory.run_id} is unfinished; resume it first: {to_go_on(directory.url)}")
    if not output.exists(versions.PLAIN_CLAIM) and output.url.startswith(directory.url):
        facts = {"run_id": directory.run_id, "run": directory.url}
        output.put_new(versions.PLAIN_CLAIM, json.dumps(facts).encode())
    last = versions.committed(output)
    if last is None or last.manifest is None or last.run != directory.url:
        wrote = "nothing" if last is None else f"run {last.run_id}"
        raise ConfigError(
            f"output {output.url} was written by {wrote} since, not by run {directory.run_id}; retry with merge=False "
            "(--no-merge) for the repaired rows alone."
        )


def _reducer_of(directory: RunDirectory) -> Any:
    said = directory.description()["config"].get("reducer", "concat")
    live = isinstance(said, str) and said.startswith("<")  # an object, of which only the job knows more
    return pickle.loads(directory.read_job()).reducer if live else said


def _rows_were_put_in_order(directory: RunDirectory) -> bool:
    said = directory.description()["config"]
    split = said.get("split", "ordered")
    live = isinstance(split, str) and split.startswith("<")
    return bool(said.get("preserve_order", True) and not live and choices.choose("splits", split).reorders)


def merge(directory: RunDirectory, retried: Run) -> Mapping[str, int]:
    """Add the rows of a retry to the output of a run, after the others; the counts of the output then.

    One more version of the output, so readers see all of it or none, and a death in between leaves the output as it was.
    """
    output, rows = output_of(directory), retried.result.to_table()
    with Lease(directory.files):
        last = versions.newest(output)
        if last is not None and not last.settled:
            versions.abandon(output, last, retried.run_id)
        number = versions.claim(output, retried.run_id, directory.url)
        base = versions.committed(output)
        assert base is not None, "check_mergeable found the output"
        stored = f"{versions.home(number)}/repaired-000000.parquet"
        buffer = io.BytesIO()
        if (schema := schemas.of_version(output, base)) is not None:
            rows = schemas.fitted(rows, schemas.wider(schema, rows.schema), f"the retry {retried.run_id}")
        pq.write_table(rows, buffer, compression="zstd", write_page_checksum=True)
        output.put(stored, buffer.getvalue())
        mended = retried.counts["rows_out"]
        counts = {"rows_in": 0, "rows_out": mended, "rows_written": rows.num_rows, "quarantined": -mended}
        records = retried.directory.commits()
        aside = retried.directory.quarantine_files([records[key] for key in sorted(records)])
        own = Part("", "", counts, tuple(f"{retried.url}/{name}" for name in aside), ((stored, 0, rows.num_rows),))
        parts, known = finishing.adopted(output, base)
        known[stored] = {"rows": rows.num_rows, "sha256": hashlib.sha256(buffer.getvalue()).hexdigest()}
        # What is left of those that were tried is in the quarantine of the retry.
        before = [replace(part, quarantine=()) for part in parts]
        files, parts = assembled(output, number, [*before, own], known)
        manifest = finishing.manifest_of(output, directory, modes.Target(number, base.number), files, parts)
        manifest |= {"run_id": retried.run_id, "mode": "repair", "job": (base.manifest or {}).get("job", "")}
        old = base.manifest or {}
        config = config_of(directory)
        if (form := form_of(config)) is not None:
            manifest |= shown(form, config, output, manifest, old)
        manifest["before"] = [f["stored"] for f in [*finishing.files_of(base), *old.get("shown", ())]]
        facts = {"run": retried.url, "run_id": retried.run_id, "version": number}
        directory.files.put(RETRIED, json.dumps(facts).encode())
        committed = versions.commit(output, number, manifest)
        show(config, output, committed)
        directory.mark_finished(committed["counts"])
    return dict(committed["counts"])
