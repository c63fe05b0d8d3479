"""What a run does with the output that is there: error, resume, overwrite, append, incremental (setting ``mode``)."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from partitioner.config import RunConfig, plain
from partitioner.errors import ConfigError, ResumeRefused
from partitioner.model import CommitRecord, Dataset, SubTasks
from partitioner.output import versions
from partitioner.output.assembly import COUNTS, Part, assembled, part_of_run, parts_by_file, parts_of
from partitioner.output.exporting import folder_of, form_of
from partitioner.output.publishing import RESULT, publish
from partitioner.output.versions import Version
from partitioner.reducers.base import Reducer
from partitioner.security.sealing import SIGNATURE, sign
from partitioner.storage import Directory
from partitioner.store.run_directory import RunDirectory

VERSIONED = frozenset({"overwrite", "append", "incremental"})
SHAPING_ROWS = frozenset({"columns", "batch_format", "reducer", "allow_row_change", "seed", "filter"})
"""Settings that change what becomes of a row, wherever it is: kept output must have been made with the same."""


@dataclass(frozen=True, slots=True)
class Target:
    """The version of the output that a run writes; number 0 for modes that write straight into an empty folder.

    ``base`` is the number of the version that it starts from, -1 for none; ``kept`` the input files whose rows are taken
    from there.
    """

    number: int = 0
    base: int = -1
    kept: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What ``run.json`` says of it."""
        return {"number": self.number, "base": self.base, "kept": list(self.kept)}


NO_VERSION = Target()


def check(config: RunConfig, reducer: Reducer) -> None:
    """Raises ConfigError where the mode does not go with the other settings."""
    if config.mode in VERSIONED and config.output is None:
        raise ConfigError(f"mode={config.mode!r} is about an output that stays; name it with output=.")
    if config.mode in VERSIONED and not reducer.rows and not reducer.divisible:
        raise ConfigError(
            f"mode={config.mode!r} merges the results of files, and reducer {reducer.name!r} needs whole sub-tasks. "
            "Use a reducer whose results merge, or mode='resume'."
        )
    if config.mode == "incremental" and (config.limit is not None or config.sample is not None):
        raise ConfigError("mode='incremental' holds all that the input has; leave out limit and sample.")
    form = form_of(config)
    if config.mode in VERSIONED and form is not None and not form.table:
        raise ConfigError(
            f"mode={config.mode!r} keeps the Parquet files of sub-tasks, and output {config.output} is asked for in another "
            "form (format, partition_by, rows_per_file, or its name). Leave these out, or name a new output each time."
        )


def job_of(fingerprints: Mapping[str, Any]) -> str:
    """What tells code and settings apart that make rows: output of another job is never kept."""
    settings = {k: v for k, v in fingerprints["config"].items() if k in SHAPING_ROWS}
    facts = [fingerprints["code"], fingerprints.get("modules", {}), settings]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def to_continue(config: RunConfig) -> RunDirectory | None:
    """The run that the same command goes on with; None to begin a new one. With ``resume`` it may be finished.

    Raises RunHeld while it runs.
    """
    if folder_of(config) is None:  # nothing but the run says what it left
        return named(config) if config.mode == "resume" else None
    if config.output is None or config.mode not in {"resume", "append", "incremental"}:
        return None
    last = versions.newest(Directory(config.output))
    if config.mode == "resume" and last is None:
        return None
    versions.check_nobody_writes(Directory(config.output), last)
    if last is None or (last.settled and config.mode != "resume"):
        return None
    run = RunDirectory(last.run)
    if not run.files.exists("run.json"):
        return None
    same = run.description()["config"].get("mode") == config.mode
    return run if same or config.mode == "resume" else None


def alike(config: RunConfig) -> RunDirectory | None:
    """The run that ``resume="auto"`` means: of the output, else of the name, else the last of this dataset and program."""
    if config.output is not None or config.name is not None:
        return to_continue(config.model_copy(update={"mode": "resume"}))
    mine = {key: plain(config)[key] for key in ("dataset", "program", "arguments")}
    for run in runs_below(config.checkpoint):
        before = run.description()["config"]
        if {key: before.get(key) for key in mine} == mine:
            return run
    return None


def named(config: RunConfig) -> RunDirectory | None:
    """The last run of the same name, or output, below ``checkpoint``. Raises ConfigError where neither is given."""
    if config.name is None and config.output is None:
        raise ConfigError("mode='resume' goes on with the run of an output or of a name; set output=, or name=.")
    for run in runs_below(config.checkpoint):
        before = run.description()["config"]
        if (before.get("name"), before.get("output")) == (config.name, config.output):
            return run
    return None


def runs_below(checkpoint: str) -> list[RunDirectory]:
    """All runs below a directory, the last one first."""
    home = Directory(checkpoint)
    ids = {name.split("/")[0] for name in home.names() if name.count("/") == 1 and name.endswith("/run.json")}
    return [RunDirectory(f"{home.url}/{run_id}") for run_id in sorted(ids, reverse=True)]


def begin(config: RunConfig, directory: RunDirectory) -> Target:
    """Claim the next version of the output for a run that holds its lease.

    What a dead run left unfinished is abandoned, and that is said.
    """
    form = form_of(config)
    if config.mode not in VERSIONED or config.output is None or (form is not None and form.table):
        return Target()
    output = Directory(config.output)
    last = versions.newest(output)
    versions.check_nobody_writes(output, last, directory.url)
    if last is not None and not last.settled and versions.abandon(output, last, directory.run_id):
        print(f"output {output.url}: what run {last.run_id} left unfinished is abandoned", file=sys.stderr)
    number = versions.claim(output, directory.run_id, directory.url)
    base = versions.committed(output)
    if base is not None and base.number and base.manifest is not None and _shown(output) != base.number:
        publish(output, base.manifest)  # its run died in between
    return Target(number, -1 if base is None else base.number)


def _shown(output: Directory) -> int:
    try:
        return int(json.loads(output.get(versions.PLAIN_MANIFEST)).get("version", 0))
    except FileNotFoundError:
        return -1


def base_of(output: Directory, number: int) -> Version | None:
    """The version that a run started from."""
    return None if number < 0 else versions.at(output, number)


def held_by(target: Mapping[str, Any], config: RunConfig) -> Target:
    """The target of a run that is resumed. Raises ResumeRefused where another run abandoned its version."""
    number = int(target.get("number", 0))
    if not number or config.output is None:
        return Target()
    found = versions.at(Directory(config.output), number)
    if found.abandoned:
        raise ResumeRefused(
            f"version {number} of output {config.output} was abandoned by run {found.abandoned}; start a new run."
        )
    return Target(number, int(target["base"]), tuple(target["kept"]))


def check_current(config: RunConfig, directory: RunDirectory, target: Target) -> Mapping[str, Any] | None:
    """The manifest, where the run's version is committed already; None where it still has something to do.

    Raises ResumeRefused where the output has moved on to a later version.
    """
    if folder_of(config) is None or config.output is None:
        return None
    output = Directory(config.output)
    now = versions.committed(output)
    if now is None or now.number < target.number:
        return None
    if now.number > target.number:
        raise ResumeRefused(
            f"output {output.url} has moved on: version {now.number} is of run {now.run_id}, and run {directory.run_id} "
            f"wrote version {target.number}. What that run committed is in {directory.url}; start a new run."
        )
    if now.number and now.manifest is not None:
        if _shown(output) != now.number:
            publish(output, now.manifest)  # its driver died in between
        return now.manifest
    return None


def narrowed(
    config: RunConfig, target: Target, dataset: Dataset, fingerprints: Mapping[str, Any]
) -> tuple[Dataset, Target]:
    """In mode incremental only the fragments of files that the output does not hold yet, and what is kept; else all."""
    if config.mode != "incremental" or config.output is None:
        return dataset, target
    base = base_of(Directory(config.output), target.base)
    manifest = None if base is None else base.manifest
    kept = _kept(Directory(config.output), manifest, fingerprints)
    fragments = dataset.fragments
    old = np.array([path in kept for path in fragments.paths], bool)
    wanted = np.flatnonzero(~old[fragments.path_index]) if len(fragments) else np.zeros(0, np.int64)
    return replace(dataset, fragments=fragments.take(wanted)), replace(target, kept=tuple(kept))


def _kept(output: Directory, manifest: Mapping[str, Any] | None, fingerprints: Mapping[str, Any]) -> dict[str, None]:
    """Files whose rows the output holds: same content, same code and settings, and the rows still there."""
    if manifest is None or manifest.get("job") != job_of(fingerprints):
        return {}
    sizes = {entry.name: entry.size for entry in output.entries(versions.FOLDER)}
    sound = {f["stored"] for f in manifest["files"] if sizes.get(f["stored"]) == f["size"]}
    contents = fingerprints["input"]
    return {
        part.path: None
        for part in parts_of(manifest)
        if contents.get(part.path) == part.content and all(name in sound for name, _, _ in part.pieces)
    }


def check_split(config: RunConfig, before: Dataset, after: Dataset) -> None:
    """Raises ConfigError for an incremental run whose splitter moves rows between files."""
    if config.mode == "incremental" and after is not before:
        raise ConfigError(
            f"mode='incremental' replaces the rows of single files, and split {config.split!r} puts rows of many together. "
            "Use split='ordered' or 'packed', or mode='overwrite'."
        )


def saves(dataset: Dataset, rest: Dataset, target: Target) -> dict[str, Any]:
    """What an incremental run does and leaves out, for the plan."""
    whole, part = int(dataset.fragments.bytes.sum()), int(rest.fragments.bytes.sum())
    files = len(set(rest.fragments.path_index.tolist()))
    return {
        "incremental": f"runs {files} of {len(dataset.fragments.paths)} files ({part / max(whole, 1):.1%} of the bytes), "
        f"keeps the rows of {len(target.kept)}"
    }


def finish(
    config: RunConfig,
    directory: RunDirectory,
    target: Target,
    tasks: SubTasks,
    records: Sequence[CommitRecord],
    counts: Mapping[str, int],
    value: Callable[[Sequence[str]], bytes] | None = None,
) -> Mapping[str, Any]:
    """Put the version together, commit it, and publish it: its manifest.

    ``value`` makes the file of a result that is no rows out of the files with partial results.
    """
    assert config.output is not None, "a version is one of an output"
    output = Directory(config.output, config.fsync != "never")
    fingerprints = directory.description()["fingerprints"]
    base = base_of(output, target.base)
    before = [] if base is None or base.manifest is None else adopted(output, base)
    parts = _parts(config, directory, target, tasks, records, counts, before, fingerprints["input"])
    known = {f["stored"]: f for f in files_of(base)} | {
        r.path: {"rows": r.rows_written, "sha256": r.digest} for r in records
    }
    files, parts = assembled(output, target.number, parts, known)
    manifest = manifest_of(output, directory, target, files, parts)
    if value is not None:
        data = value([f["stored"] for f in files])
        manifest["result"] = f"{versions.home(target.number)}/{RESULT}"
        output.put(f"{manifest['result']}{SIGNATURE}", sign(data))
        output.put(manifest["result"], data)
    manifest |= {"job": job_of(fingerprints), "mode": config.mode, "before": [f["stored"] for f in files_of(base)]}
    committed = versions.commit(output, target.number, manifest)
    publish(output, committed)
    return committed


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
    if config.mode == "incremental":
        kept = {part.path: part for part in before if part.path in set(target.kept)}
        made = parts_by_file(records, tasks, contents, directory.url)
        return [kept.get(path) or made[path] for path in contents]
    own = part_of_run(records, counts, directory.url)
    return [*before, own] if config.mode == "append" else [own]


def files_of(base: Version | None) -> list[Mapping[str, Any]]:
    """Files of a version as they are stored; those of version 0 have a home among the versions by now."""
    if base is None or base.manifest is None:
        return []
    if base.number:
        return list(base.manifest["files"])
    return [{**f, "stored": f"{versions.home(0)}/{f['path']}"} for f in base.manifest["files"]]


def adopted(output: Directory, base: Version) -> list[Part]:
    """The parts of a version. Files of version 0 lie where readers look; they get a home that publishing leaves alone."""
    assert base.manifest is not None
    files = files_of(base)
    if not base.number:
        for file in files:
            if not output.exists(file["stored"]):
                output.copy(file["path"], file["stored"])
    return parts_of({**base.manifest, "files": files})


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
