"""After the last commit: rows are counted, partial results merged, and the manifest written."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import cloudpickle
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partitioner.attempt.agreement import Agreement
from partitioner.attempt.job import Job
from partitioner.config import RunConfig
from partitioner.errors import RunFailed
from partitioner.frames import to_numpy
from partitioner.model import CommitRecord, Piece, SubTasks
from partitioner.model.data import Ints
from partitioner.output import finishing, modes, schemas
from partitioner.output.arranged import Arrangement
from partitioner.output.exporting import digest_of, export, form_of, home_of, restores_rows, to_table
from partitioner.output.output import Output
from partitioner.output.versions import check_newest
from partitioner.reducers import partials
from partitioner.runs.merging import Merger, pieces_of
from partitioner.security.sealing import SIGNATURE, sign
from partitioner.storage import Directory
from partitioner.store.commit_log import SEGMENT
from partitioner.store.commits import Records, total
from partitioner.store.run_directory import RunDirectory


def check_rows(tasks: SubTasks, records: Sequence[CommitRecord]) -> dict[str, int]:
    """Rows in = rows out + quarantined, over all and against the input's own count. RunFailed names what does not add up."""
    counts = {name: total(records, name) for name in ("rows_in", "rows_out", "rows_written", "quarantined")}
    if (bad := _odd(records)) is not None:
        raise RunFailed(
            f"rows do not add up: sub-task {bad.task_key} read {bad.rows_in} rows, but {bad.rows_out} are in the output and "
            f"{bad.quarantined} in quarantine. Nothing is marked as done; please report this."
        )
    read, held = _rows_read(tasks, records)
    for i in np.flatnonzero(held == 0)[:1].tolist():
        raise RunFailed(
            f"sub-task {tasks.task_id[i].as_py()} has no commit record, and the run took itself for done. "
            "Nothing is marked as done; resume the run, and please report this."
        )
    expected = _expected_rows(tasks)
    for i in np.flatnonzero((expected >= 0) & (expected != read)).tolist():
        raise RunFailed(
            f"sub-task {tasks.task_id[i].as_py()} read {read[i]} rows of {expected[i]} that the input described; "
            "the input changed while the run went on. Start a new run."
        )
    return counts


def _odd(records: Sequence[CommitRecord]) -> CommitRecord | None:
    """The first record whose rows do not add up."""
    if not isinstance(records, Records):
        return next((r for r in records if r.rows_in != r.rows_out + r.quarantined), None)
    held = records.columns(["rows_in", "rows_out", "quarantined"])
    rows = {name: to_numpy(held[name]) for name in held.column_names}
    odd = np.flatnonzero(rows["rows_in"] != rows["rows_out"] + rows["quarantined"])
    return records[int(odd[0])] if len(odd) else None


def _rows_read(tasks: SubTasks, records: Sequence[CommitRecord]) -> tuple[Ints, Ints]:
    """Rows that each sub-task read, and its records; the parts of one that was split count together."""
    if isinstance(records, Records):
        held = records.columns(["task_key", "rows_in"])
        keys = held["task_key"]
        split = pc.any(pc.match_substring(keys, ".")).as_py()  # t000012.0-8 is of t000012
        wholes = pc.list_element(pc.split_pattern(keys, "."), 0) if split else keys
        rows = to_numpy(held["rows_in"])
    else:
        wholes = pa.array([record.whole for record in records], pa.string())
        rows = np.array([record.rows_in for record in records], np.int64)
    where = to_numpy(pc.index_in(wholes, value_set=tasks.task_id)).astype(np.int64)
    return np.bincount(where, rows, len(tasks)).astype(np.int64), np.bincount(where, minlength=len(tasks))


def _expected_rows(tasks: SubTasks) -> Ints:
    """Rows of each sub-task, -1 where only reading tells."""
    assert tasks.fragments is not None
    rows = tasks.fragments.rows[tasks.fragment_index]
    sums = [np.concatenate([[0], np.cumsum(values)])[tasks.offsets] for values in (np.maximum(rows, 0), rows < 0)]
    known, unknown = (np.diff(values) for values in sums)
    return np.where(unknown > 0, -1, known)


def reduce(
    config: RunConfig,
    directory: RunDirectory,
    job: Job,
    records: Sequence[CommitRecord],
    counts: Mapping[str, int],
    merger: Merger,
) -> Any:
    """Stage 6. The result, with the manifest and ``_SUCCESS`` written last."""
    output_home = Directory(home_of(config) or job.sink.url)
    if job.reducer.rows:
        arrangement = Arrangement.of(job.source, directory.read_tasks(), records) if restores_rows(config) else None
        files = Directory(job.sink.url)
        if not isinstance(records, Records):  # of so many only what changed the schema would be read
            schemas.check_fits(directory.files, files, [(r.path, r.task_key) for r in records if r.rows_written])
        output = Output(job.sink.url, records, config.preserve_order, _agreed_schema(directory), arrangement)
        none = [] if records else finishing.without_rows(files, "", output.schema)
        made = manifest(records, counts)
        check_newest(output_home, 0, directory.url)
        job.sink.finish({**made, **({"files": none} if none else {}), "run_id": directory.run_id})
        _say_what_was_filled(directory)
        form = form_of(config)
        if form is None:
            return output
        if form.table:
            to_table(form, config, output.tables(), output.schema, directory.run_id)
            return output.exported(str(config.output), [str(config.output)])
        place = config.output or f"{directory.url}/exported"
        paths = export(form, place, output.tables(), output.schema)
        if form.single:
            directory.mark_exported(place, digest_of(place))
        return output.exported(place, paths)
    result = partials.extracted(job.reducer, merger.merged(job, pieces_of(job.sink, records)))
    check_newest(output_home, 0, directory.url)
    job.sink.finish({**manifest(records, counts), "run_id": directory.run_id})
    if config.output is not None:
        pickled = cloudpickle.dumps(result)
        Directory(config.output).put("result.pkl", pickled)
        Directory(config.output).put(f"result.pkl{SIGNATURE}", sign(pickled))
        Directory(config.output).put("_SUCCESS", b"")
    return result


def reduce_version(
    config: RunConfig,
    directory: RunDirectory,
    job: Job,
    target: modes.Target,
    tasks: SubTasks,
    records: Sequence[CommitRecord],
    counts: Mapping[str, int],
    merger: Merger,
) -> tuple[Any, dict[str, int]]:
    """Stage 6 for a version of an output: the result over all that it holds, and the counts of that."""

    results: list[Any] = []

    def value(files: Sequence[Mapping[str, Any]]) -> bytes:
        results.append(partials.extracted(job.reducer, merger.merged(job, _pieces_in(job, files))))
        return bytes(cloudpickle.dumps(results[0]))

    in_order = None
    if job.reducer.rows and restores_rows(config) and target.by != "keys":
        arrangement = Arrangement.of(job.source, directory.read_tasks(), records)
        in_order = Output(job.sink.url, records, True, _agreed_schema(directory), arrangement).tables()
    own = None if job.reducer.rows else value
    made = finishing.finish(config, directory, target, tasks, records, counts, own, in_order, job.source)
    if job.reducer.rows:
        _say_what_was_filled(directory)
        return of_version(config, directory, job, made), dict(made["counts"])
    return results[0], dict(made["counts"])


def of_version(config: RunConfig, directory: RunDirectory, job: Job, made: Mapping[str, Any]) -> Any:
    """The result of a committed version."""
    if job.reducer.rows:
        schema = schemas.said(made) or _agreed_schema(directory)
        output = Output(home_of(config) or f"{directory.url}/output", finishing.as_records(made), True, schema)
        form = form_of(config)
        if form is None:
            return output
        place = str(config.output)
        folder = place.rpartition("/")[0] if form.single else place
        return output.exported(place, [place] if form.table else [f"{folder}/{f['path']}" for f in made["shown"]])
    pieces = _pieces_in(job, made["files"])
    return partials.extracted(job.reducer, partials.merged(job.reducer, job.sink, pieces, job.partials_key))


def _pieces_in(job: Job, files: Sequence[Mapping[str, Any]]) -> list[Piece]:
    """Partial results in the files of a version, one a row, in the order of the input."""
    return [
        Piece(f["stored"], job.sink.url, f["stored"], row, int(f["size"]) // f["rows"], f["sha256"])
        for f in files
        for row in range(f["rows"])
    ]


def _agreed_schema(directory: RunDirectory) -> pa.Schema | None:
    agreed = Agreement(directory.files).newest()
    return None if agreed is None else agreed.schema


def _say_what_was_filled(directory: RunDirectory) -> None:
    """A column that only some sub-tasks returned is null in the others' rows: never in silence."""
    agreed = Agreement(directory.files).newest()
    for column, who in () if agreed is None else agreed.lacking.items():
        warnings.warn(
            f"column {column!r} is null in the rows of sub-task {who} and of any other that did not return it; "
            "return it everywhere, with None where there is no value, to say that this is meant.",
            stacklevel=2,
        )


def manifest(records: Sequence[CommitRecord], counts: Mapping[str, int]) -> dict[str, Any]:
    """Files in sub-task order with rows and digests; the same for equal runs on any engine."""
    if isinstance(records, Records):
        held = records.columns(["path", "rows_written", "digest"]).rename_columns(["path", "rows", "sha256"])
        return {
            "files": (row for batch in held.to_batches(SEGMENT) for row in batch.to_pylist()),
            "counts": dict(counts),
        }
    files = [{"path": r.path, "rows": r.rows_written, "sha256": r.digest} for r in records]
    return {"files": files, "counts": dict(counts)}
