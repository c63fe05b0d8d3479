"""A run's version of the output is put together from what it made and what was kept, committed, and shown."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from partitioner import choices
from partitioner.attempt.job import Job
from partitioner.config import RunConfig
from partitioner.errors import DamagedOutput, OutputExists
from partitioner.model import CommitRecord, SubTasks
from partitioner.model.source import Source
from partitioner.output import schemas, versions
from partitioner.output.arranged import Arrangement
from partitioner.output.assembly import COUNTS, Part, assembled, part_of_run, parts_by_file, parts_of
from partitioner.output.by_rows import assembled_by_rows, highest
from partitioner.output.columns import agreed_by, said_of
from partitioner.output.exporting import form_of, home_of
from partitioner.output.modes import Target, base_of, job_of
from partitioner.output.output import Output
from partitioner.output.publishing import RESULT
from partitioner.output.showing import show, shown
from partitioner.output.tracking import Known, known_rows, store, tracking_of
from partitioner.output.versions import Version
from partitioner.security import trust
from partitioner.security.sealing import SIGNATURE, sign
from partitioner.storage import Directory
from partitioner.store.run_directory import RunDirectory


def finish(
    config: RunConfig,
    directory: RunDirectory,
    target: Target,
    tasks: SubTasks,
    records: Sequence[CommitRecord],
    counts: Mapping[str, int],
    value: Callable[[Sequence[Mapping[str, Any]]], bytes] | None = None,
    arranged: Iterator[pa.Table] | None = None,
    source: Source | None = None,
) -> Mapping[str, Any]:
    """Put the version together, commit it, and publish it: its manifest.

    ``value`` makes the file of a result that is no rows out of the files with partial results; ``arranged`` are the rows of
    this run in input order, where its sub-tasks hold them in another; ``source`` what they read.
    """
    home = home_of(config)
    assert home is not None, "a version is one of an output"
    output = Directory(home, config.fsync != "never")
    fingerprints = directory.description()["fingerprints"]
    base = base_of(output, target.base)
    known = _known(config, output, target, base)
    if target.by == "keys":
        assert source is not None, "rows are told by what was read"
        old_files = files_of(base) if target.base_known else []
        files, parts, now = assembled_by_rows(
            output, target.number, directory, old_files, known, source, tasks, records
        )
    else:
        files, parts = _assembled(
            config, directory, output, target, tasks, records, counts, arranged, base, value is None
        )
        now = highest(directory, known, records, sum(p.counts["rows_in"] for p in parts)) if target.by else known
    if value is None and not files:
        none = without_rows(output, f"{versions.home(target.number)}/", agreed_by(directory))
        files = [{"stored": f["path"], "rows": 0, "sha256": f["sha256"]} for f in none]
    manifest = manifest_of(output, directory, target, files, parts)
    if value is not None:
        data = value(manifest["files"])
        manifest["result"] = f"{versions.home(target.number)}/{RESULT}"
        output.put(f"{manifest['result']}{SIGNATURE}", sign(data))
        output.put(manifest["result"], data)
    form, old = form_of(config), {} if base is None or base.manifest is None else base.manifest
    manifest |= {} if form is None else shown(form, config, output, manifest, old)
    manifest |= {"job": job_of(fingerprints), "mode": config.mode, **said_of(directory)}
    if target.by and (tracking := tracking_of(config)) is not None:
        manifest["rows"] = store(output, target.number, tracking, now)
    manifest["before"] = [f["stored"] for f in [*files_of(base), *old.get("shown", ())]]
    committed = versions.commit(output, target.number, manifest)
    show(config, output, committed)
    return committed


def without_rows(output: Directory, place: str, schema: pa.Schema | None) -> list[dict[str, Any]]:
    """The one file of an output without rows, which tells readers its columns; none where no column is known."""
    if schema is None or not len(schema):
        return []
    out = io.BytesIO()
    pq.write_table(schema.empty_table(), out)
    path = f"{place}part-no-rows.parquet"
    output.put(path, out.getvalue())
    return [{"path": path, "rows": 0, "sha256": hashlib.sha256(out.getvalue()).hexdigest()}]


def _known(config: RunConfig, output: Directory, target: Target, base: Version | None) -> Known:
    """What the version before knew of its rows; nothing where none of them is kept."""
    tracking = tracking_of(config)
    if not target.base_known or tracking is None or base is None or base.manifest is None:
        return Known.nothing()
    known = known_rows(output, base.manifest, tracking)
    if isinstance(known, str):
        raise DamagedOutput(f"output {output.url}: {known}, since the run began. Start the command again.")
    return known


def _assembled(
    config: RunConfig,
    directory: RunDirectory,
    output: Directory,
    target: Target,
    tasks: SubTasks,
    records: Sequence[CommitRecord],
    counts: Mapping[str, int],
    arranged: Iterator[pa.Table] | None,
    base: Version | None,
    rows: bool,
) -> tuple[list[dict[str, Any]], list[Part]]:
    """Files, and what each input adds, where rows are told by their files, or are all there is, or come after the others."""
    anew = config.mode == "overwrite" or (target.by and not target.base_known)
    before, known = adopted(output, base) if base is not None and not anew else ([], {})
    known |= {r.path: {"rows": r.rows_written, "sha256": r.digest} for r in records}
    if arranged is None:
        contents = directory.description()["fingerprints"]["input"]
        parts = _parts(config, directory, target, tasks, records, counts, before, contents)
    else:
        in_order = dict(_arranged(output, target.number, arranged))
        known |= in_order
        pieces = tuple((name, 0, int(file["rows"])) for name, file in in_order.items())
        parts = [*before, replace(part_of_run(records, counts, directory.url), pieces=pieces)]
    names = list(dict.fromkeys(name for part in parts for name, _, count in part.pieces if count))
    recast, schema = schemas.narrower(directory.files, output, names) if rows else (frozenset(), None)
    return assembled(output, target.number, parts, known, recast, schema)


def _arranged(output: Directory, number: int, tables: Iterator[pa.Table]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Write rows in the order they come, in files of some size: name, and what is known of each."""
    held: list[pa.Table] = []
    for i, table in enumerate(chain(tables, [None])):
        held += [] if table is None else [table]
        if held and (table is None or sum(t.nbytes for t in held) > ARRANGED_BYTES):
            rows, out = pa.concat_tables(held, promote_options="permissive"), io.BytesIO()
            held = []
            pq.write_table(rows, out, compression="zstd", write_page_checksum=True)
            name = f"{versions.home(number)}/arranged-{i:06d}.parquet"
            output.put(name, out.getvalue())
            yield name, {"rows": rows.num_rows, "sha256": hashlib.sha256(out.getvalue()).hexdigest()}


ARRANGED_BYTES = 128 << 20
"""Rows in memory before they are written, where a version is put in order."""


def _parts(
    config: RunConfig,
    directory: RunDirectory,
    target: Target,
    tasks: SubTasks,
    records: Sequence[CommitRecord],
    counts: Mapping[str, int],
    before: Sequence[Part],
    contents: Mapping[str, str],
) -> list[Part]:
    if config.mode == "incremental" and not target.by:
        made = parts_by_file(records, tasks, contents, directory.url)
        old: dict[str, list[Part]] = {}
        for part in before:
            old.setdefault(part.path, []).append(part)
        return [p for path in contents for p in _parts_of_file(path, contents[path], target, old, made[path])]
    own = part_of_run(records, counts, directory.url)
    return [*before, own]


def _parts_of_file(
    path: str, content: str, target: Target, before: Mapping[str, list[Part]], made: Mapping[int, Part]
) -> list[Part]:
    """What one file adds: kept as a whole, or its sections in order, some of them kept."""
    if path in target.kept:
        return before[path]
    old = {part.section: part for part in before.get(path, ())}
    sections = {now: replace(old[was], content=content, section=now) for now, was in target.sections.get(path, ())}
    found = sections | dict(made)
    nothing = Part(path, content, dict.fromkeys(COUNTS, 0), (), ())
    return [found[section] for section in sorted(found)] or [nothing]


def files_of(base: Version | None) -> list[Mapping[str, Any]]:
    """Files of a version as they are stored; those of version 0 have a home among the versions by now."""
    if base is None or base.manifest is None:
        return []
    if base.number:
        return list(base.manifest["files"])
    return [{**f, "stored": f"{versions.home(0)}/{f['path']}"} for f in base.manifest["files"] if "rows" in f]


def reordered(run: RunDirectory) -> bool:
    """Whether the files of a run hold its rows in another order than its input, which was wanted, or may."""
    said = run.description()["config"]
    split = said["split"]
    if not said.get("preserve_order", True):
        return False
    if isinstance(split, str) and split.startswith("<"):
        return True  # an object whose name is all that is written down
    if trust.named_in({"split": split}):
        job: Job = pickle.loads(run.read_job())
        trust.check_resumed({"split": split}, f"{run.url}/run.json", job.named)
    return bool(choices.choose("splits", split).reorders)


def adopted(output: Directory, base: Version) -> tuple[list[Part], dict[str, Mapping[str, Any]]]:
    """The parts of a version, and its files by name. Files of version 0 lie where readers look; they get a home that
    publishing leaves alone.

    In another form than Parquet its rows lie in the directory of its run, by weight perhaps, and are put in order once
    more. Raises OutputExists where that is gone.
    """
    known: dict[str, Mapping[str, Any]] = {f["stored"]: f for f in files_of(base)}
    if base.manifest is None:
        return [], known
    if "counts" not in base.manifest:
        raise OutputExists(
            f"output {output.url} is of run {base.run_id}, whose directory {base.run} with the rows is gone; "
            "mode='overwrite' makes the output anew."
        )
    if "rows_in" in base.manifest and reordered(RunDirectory(base.run)):
        part, in_order = _put_in_order(output, RunDirectory(base.run), base.manifest["counts"])
        return [part], known | in_order
    files = files_of(base)
    for file in files if not base.number else ():
        if output.exists(file["stored"]):
            continue
        if "rows_in" in base.manifest:
            output.put(file["stored"], Directory(base.manifest["rows_in"]).get(file["path"]))
        else:
            output.copy(file["path"], file["stored"])
    return parts_of({**base.manifest, "files": files}), known


def _put_in_order(
    output: Directory, run: RunDirectory, counts: Mapping[str, int]
) -> tuple[Part, dict[str, Mapping[str, Any]]]:
    """The rows of a finished run, whose sub-tasks hold them by weight, as files in input order."""
    job: Job = pickle.loads(run.read_job())
    held = run.commits()
    records = [held[key] for key in sorted(held)]
    arrangement = Arrangement.of(job.source, run.read_tasks(), records)
    rows = Output(f"{run.url}/output", records, True, agreed_by(run), arrangement)
    files = dict(_arranged(output, 0, rows.tables()))
    pieces = tuple((name, 0, int(file["rows"])) for name, file in files.items())
    return replace(part_of_run(records, counts, run.url), pieces=pieces), dict(files)


def manifest_of(
    output: Directory, directory: RunDirectory, target: Target, files: list[dict[str, Any]], parts: Sequence[Part]
) -> dict[str, Any]:
    """What the commit of a version says: its files under both their names, its inputs and counts."""
    sizes = {entry.name: entry.size for entry in output.entries(versions.FOLDER)}
    ordered = output.local_path is not None  # hard links cost nothing there, so names can follow the order each time
    named = [{**f, "path": _name(f["stored"], i, ordered), "size": sizes[f["stored"]]} for i, f in enumerate(files)]
    index = {f["stored"]: i for i, f in enumerate(files)}
    counts = {name: sum(part.counts[name] for part in parts) for name in COUNTS}
    return {
        "version": target.number,
        "run_id": directory.run_id,
        "run": directory.url,
        "counts": counts,
        "files": named,
        "inputs": [part.to_json(index) for part in parts],
    }


def _name(stored: str, place: int, ordered: bool) -> str:
    """Under which name readers of the folder find a file: version and sub-task, after its place where that costs nothing."""
    _, number, file = stored.rsplit("/", 2)
    stem = file.removesuffix(".parquet").removeprefix("part-")
    return f"part-{place:06d}-{number}-{stem}.parquet" if ordered else f"part-{number}-{stem}.parquet"


def as_records(manifest: Mapping[str, Any]) -> tuple[CommitRecord, ...]:
    """The files of a version as records, for ``Output``: in input order, whole."""
    return tuple(
        CommitRecord(
            task_key=f["stored"],
            attempt_id="",
            worker_id="",
            path=f["stored"],
            rows_in=f["rows"],
            rows_out=f["rows"],
            rows_written=f["rows"],
            quarantined=0,
            segments=((i, f["rows"]),),
            bytes_read=0,
            seconds=0.0,
            cpu_seconds=0.0,
            load_seconds=0.0,
            read_seconds=0.0,
            peak_memory_bytes=0,
            started=0.0,
            finished=0.0,
            digest=f["sha256"],
            size=f["size"],
        )
        for i, f in enumerate(manifest["files"])
    )
