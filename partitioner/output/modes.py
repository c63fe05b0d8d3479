"""What a run does with the output that is there: error, resume, overwrite, append, incremental (setting ``mode``)."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from partitioner import choices
from partitioner.config import RunConfig, plain
from partitioner.errors import ConfigError, DamagedRun, OutputExists, ResumeRefused, clause
from partitioner.known_secrets import masked_names
from partitioner.model import Dataset
from partitioner.output import versions
from partitioner.output.assembly import Part, parts_of
from partitioner.output.exporting import folder_of, form_of, home_of, parted
from partitioner.output.publishing import is_shown, tidy
from partitioner.output.showing import show
from partitioner.output.tracking import tracking_of
from partitioner.output.versions import Version
from partitioner.reducers.base import Reducer
from partitioner.storage import Directory, remove_if_empty
from partitioner.store.run_directory import RunDirectory

VERSIONED = frozenset({"overwrite", "append", "incremental"})
SHAPING_ROWS = frozenset({"columns", "batch_format", "reducer", "allow_row_change", "seed", "filter"})
"""Settings that change what becomes of a row, wherever it is: kept output must have been made with the same."""


@dataclass(frozen=True, slots=True)
class Target:
    """The version of the output that a run writes; number 0 for modes that write straight into an empty folder.

    ``base`` is the number of the version that it starts from, -1 for none; ``kept`` the input files whose rows are taken
    from there; ``sections``, of files that changed in part, the sections (row groups) that did not: number now, and then.
    ``by``: what rows are told by, ``"keys"`` or the ``"watermark"`` alone; empty where it is files. Then ``base_known`` says
    whether rows of the base are kept.
    """

    number: int = 0
    base: int = -1
    kept: tuple[str, ...] = ()
    sections: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    by: str = ""
    base_known: bool = False

    def to_json(self) -> dict[str, Any]:
        """What ``run.json`` says of it."""
        sections = {path: [list(pair) for pair in pairs] for path, pairs in self.sections.items()}
        rows = {"by": self.by, "base_known": self.base_known}
        return {"number": self.number, "base": self.base, "kept": list(self.kept), "sections": sections, **rows}


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
    by_rows = tracking_of(config) is not None and reducer.rows
    if config.mode == "incremental" and not by_rows and choices.choose("splits", config.split).reorders:
        raise ConfigError(
            f"mode='incremental' keeps what came of single files, and split {config.split!r} mixes rows of many places in "
            "its sub-tasks. Tell rows apart with incremental={'key': ..., 'watermark': ...} where the result is rows, use "
            "split='ordered', or mode='overwrite' or 'append'."
        )
    form_of(config, reducer.rows)


def job_of(fingerprints: Mapping[str, Any]) -> str:
    """What tells code and settings apart that make rows: output of another job is never kept."""
    settings = {k: v for k, v in fingerprints["config"].items() if k in SHAPING_ROWS}
    facts = [fingerprints["code"], fingerprints.get("modules", {}), settings]
    facts += [fingerprints["reducer"]] if "reducer" in fingerprints else []
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def to_continue(config: RunConfig) -> RunDirectory | None:
    """The run that the same command goes on with; None to begin a new one. With ``resume`` it may be finished.

    Raises RunHeld while it runs.
    """
    if config.mode not in {"resume", "append", "incremental"}:
        return None
    home = home_of(config)
    last = None if home is None else versions.newest(Directory(home))
    if last is None:
        return _by_its_settings(config)
    assert home is not None, "there is a version"
    versions.check_nobody_writes(Directory(home), last)
    if last.settled and config.mode != "resume":
        return None
    run = RunDirectory(last.run)
    if not run.files.exists("run.json"):
        return None
    same = run.description()["config"].get("mode") == config.mode
    return run if same or config.mode == "resume" else None


def _by_its_settings(config: RunConfig) -> RunDirectory | None:
    """The run of an output that holds no claim: one file, a table, or none at all."""
    if folder_of(config) is not None or config.mode == "incremental":
        return None
    run = named(config)
    if run is None or config.mode == "resume":
        return run
    unfinished = run.finished() is None and run.description()["config"].get("mode") == config.mode
    return run if unfinished else None


def alike(config: RunConfig) -> RunDirectory | None:
    """The run that ``resume="auto"`` means: of the output, else of the name, else the last of this dataset and program."""
    if config.output is not None or config.name is not None:
        return to_continue(config.model_copy(update={"mode": "resume"}))
    mine = {key: plain(config)[key] for key in ("dataset", "program", "arguments")}
    for run in runs_below(config.checkpoint):
        before = _settings_of(run)
        if {key: before.get(key) for key in mine} == mine:
            return run
    return None


def gives_way(config: RunConfig, found: RunDirectory, resume: str | None) -> bool:
    """Whether a run that cannot be gone on with, for something has changed since, gives way to a new one by its mode.

    Not where it was asked for by its id, nor where it may have rows to add that nobody else adds.
    """
    if resume is None:
        return config.mode == "incremental"
    anew = config.mode in {"overwrite", "incremental"} or (config.mode == "append" and found.finished() is not None)
    return resume == "auto" and anew


def _settings_of(run: RunDirectory) -> dict[str, Any]:
    """The settings of a run; none, with a word, of one whose directory is damaged, which is not the one to go on with."""
    try:
        return dict(run.description()["config"])
    except DamagedRun as error:
        print(f"{error} It is passed over.", file=sys.stderr)
        return {}


def named(config: RunConfig) -> RunDirectory | None:
    """The last run of the same name, or output, below ``checkpoint``. Raises ConfigError where neither is given."""
    if config.name is None and config.output is None:
        raise ConfigError("mode='resume' goes on with the run of an output or of a name; set output=, or name=.")
    for run in runs_below(config.checkpoint):
        before = _settings_of(run)
        if (before.get("name"), before.get("output")) == (config.name, config.output):
            return run
    return None


def runs_below(checkpoint: str) -> list[RunDirectory]:
    """All runs below a directory, the last one first."""
    home = Directory(checkpoint)
    found = (RunDirectory(f"{home.url}/{run_id}") for run_id in reversed(home.folders()))
    return [run for run in found if run.files.exists("run.json")]


@contextmanager
def begun(config: RunConfig, directory: RunDirectory) -> Iterator[Target]:
    """``begin``, taken back where the block ends before the run is on record: bad input leaves nothing behind."""
    home = home_of(config)
    place = None if home is None else Directory(home).local_path
    first = place is not None and not os.path.exists(place)
    target = begin(config, directory)
    try:
        yield target
    finally:
        if target.number and home is not None and not directory.files.exists("run.json"):
            versions.withdraw(Directory(home), target.number, directory.url)
            if first and place is not None:
                remove_if_empty(place)


def begin(config: RunConfig, directory: RunDirectory) -> Target:
    """Claim the next version of the output for a run that holds its lease.

    What a dead run left unfinished is abandoned, and that is said.
    """
    home = home_of(config)
    if config.mode not in VERSIONED or home is None:
        return Target()
    output = Directory(home)
    last = versions.newest(output) or _written_before(config, output)
    versions.check_nobody_writes(output, last, directory.url)
    if last is not None and not last.settled and versions.abandon(output, last, directory.run_id):
        print(f"output {output.url}: what run {last.run_id} left unfinished is abandoned", file=sys.stderr)
    number = versions.claim(output, directory.run_id, directory.url)
    base = versions.committed(output)
    if base is not None and base.number and base.manifest is not None and not is_shown(output, base.manifest):
        show(config, output, base.manifest, number)  # its run died in between
    return Target(number, -1 if base is None else base.number)


def _written_before(config: RunConfig, home: Directory) -> Version | None:
    """Version 0 of an output that is one file, which a run of mode error or resume wrote; None where there is no file.

    Raises OutputExists for a file that no run below ``checkpoint`` wrote as it is now.
    """
    form = form_of(config)
    if form is None or form.table or not form.single or config.output is None:
        return None
    folder, name = parted(config.output)
    there = folder.entry(name)
    if there is None:
        return None
    for run in runs_below(config.checkpoint):
        written = run.exported()
        same = written.get("output") == config.output
        if same and hashlib.sha256(folder.get(name)).hexdigest() == written.get("sha256"):
            home.put_new(versions.PLAIN_CLAIM, json.dumps({"run_id": run.run_id, "run": run.url}).encode())
            home.put(versions.PLAIN_MANIFEST, json.dumps({"files": [{"path": name}]}).encode())
            home.put(versions.SUCCESS, b"")
            return versions.newest(home)
    raise OutputExists(
        f"output {config.output} is there, and no run below {config.checkpoint} wrote it as it is now; name another "
        "file, or remove it."
    )


def base_of(output: Directory, number: int) -> Version | None:
    """The version that a run started from."""
    return None if number < 0 else versions.at(output, number)


def held_by(target: Mapping[str, Any], config: RunConfig) -> Target:
    """The target of a run that is resumed. Raises ResumeRefused where another run abandoned its version."""
    home, held = home_of(config), _target_of(target)
    number = held.number
    if not number or home is None:
        return Target()
    found = versions.at(Directory(home), number)
    if found.abandoned:
        raise ResumeRefused(
            f"version {number} of output {config.output} was abandoned by run {found.abandoned}; start a new run."
        )
    return held


def _target_of(target: Mapping[str, Any]) -> Target:
    """Raises DamagedRun where it is not as it was written."""
    try:
        number, base = int(target.get("number", 0)), int(target.get("base", -1))
        sections = {path: [(int(a), int(b)) for a, b in pairs] for path, pairs in target.get("sections", {}).items()}
        rows = str(target.get("by", "")), bool(target.get("base_known", False))
        return Target(number, base, tuple(target.get("kept", ())), sections, *rows)
    except (TypeError, ValueError, AttributeError) as error:
        raise DamagedRun(
            f"run.json: the target that the run began with is torn ({clause(error)}). Restore it."
        ) from error


def check_current(config: RunConfig, directory: RunDirectory, target: Target) -> Mapping[str, Any] | None:
    """The manifest, where the run's version is committed already; None where it still has something to do.

    Raises ResumeRefused where the output has moved on to a later version.
    """
    home = home_of(config) or (f"{directory.url}/output" if config.output is None else None)
    if home is None:
        return None
    output = Directory(home)
    now = versions.committed(output)
    if now is None or now.number < target.number:
        return None
    if now.number > target.number and now.run != directory.url:  # its own later version holds rows that were mended
        raise ResumeRefused(
            f"output {output.url} has moved on: version {now.number} is of run {now.run_id}, and run {directory.run_id} "
            f"wrote version {target.number}. What that run committed is in {directory.url}; start a new run."
        )
    if now.number and now.manifest is not None:
        if not is_shown(output, now.manifest):
            show(config, output, now.manifest)  # its driver died in between
        tidy(output)
        return now.manifest
    return None


def narrowed(
    config: RunConfig, target: Target, dataset: Dataset, fingerprints: Mapping[str, Any]
) -> tuple[Dataset, Target]:
    """In mode incremental only the fragments of files that the output does not hold yet, and what is kept; else all."""
    home = home_of(config)
    if config.mode != "incremental" or home is None:
        return dataset, target
    base = base_of(Directory(home), target.base)
    manifest = None if base is None else base.manifest
    parts = _sound_parts(Directory(home), manifest, fingerprints)
    contents = fingerprints["input"]
    kept = {path: None for path, old in parts.items() if all(p.content == contents.get(path) for p in old)}
    fragments = dataset.fragments
    paths = masked_names(fragments.paths)
    old = np.array([path in kept for path in paths], bool)
    done = old[fragments.path_index] if len(fragments) else np.zeros(0, bool)
    sections = _sections(dataset, {path: parts[path] for path in parts.keys() - kept.keys()})
    pairs = {(path, now) for path, pairs in sections.items() for now, _ in pairs}
    places = zip(fragments.path_index.tolist(), fragments.section.tolist(), strict=True) if pairs else ()
    same = np.array([(paths[path], section) in pairs for path, section in places], bool)
    wanted = np.flatnonzero(~(done | same) if pairs else ~done)
    return replace(dataset, fragments=fragments.take(wanted)), replace(target, kept=tuple(kept), sections=sections)


def _sound_parts(
    output: Directory, manifest: Mapping[str, Any] | None, fingerprints: Mapping[str, Any]
) -> dict[str, list[Part]]:
    """Path to what the output holds of it, made by the same code and settings, and still there."""
    if manifest is None or manifest.get("job") != job_of(fingerprints):
        return {}
    sizes = {entry.name: entry.size for entry in output.entries(versions.FOLDER)}
    sound = {f["stored"] for f in manifest["files"] if sizes.get(f["stored"]) == f["size"]}
    found: dict[str, list[Part]] = {}
    damaged: set[str] = set()
    parts = parts_of(manifest)
    mended = any(not part.path for part in parts)  # rows that were in quarantine lie apart from those of their files
    for part in parts:
        again = mended and part.counts["quarantined"]
        if not again and all(name in sound for name, _, _ in part.pieces):
            found.setdefault(part.path, []).append(part)
        else:
            damaged.add(part.path)
    # Of a file that lost a part only sections can be kept, as of one that changed.
    return {
        path: [replace(p, content="") if path in damaged else p for p in parts]
        for path, parts in found.items()
        if path in fingerprints["input"]
    }


def _sections(dataset: Dataset, changed: Mapping[str, Sequence[Part]]) -> dict[str, list[tuple[int, int]]]:
    """Of files that changed, the sections whose content the output holds: number now, and then."""
    found: dict[str, list[tuple[int, int]]] = {}
    fragments = dataset.fragments
    for index, path in enumerate(masked_names(fragments.paths)):
        known: dict[str, list[int]] = {}
        for part in changed.get(path, ()):
            if part.section_content:
                known.setdefault(part.section_content, []).append(part.section)
        for i in np.flatnonzero(fragments.path_index == index).tolist() if known else ():
            if before := known.get(dataset.source.section_content(fragments[i])):
                found.setdefault(path, []).append((int(fragments.section[i]), before.pop(0)))
    return found


def check_split(config: RunConfig, before: Dataset, after: Dataset) -> None:
    """Raises ConfigError for an incremental run whose splitter moves rows between files."""
    known = tracking_of(config) is not None and choices.choose("splits", config.split).reorders
    if config.mode == "incremental" and after is not before and not known:
        raise ConfigError(
            f"mode='incremental' replaces the rows of single files, and split {config.split!r} puts rows of many together. "
            "Use split='ordered' or 'packed', or mode='overwrite'."
        )


def saves(dataset: Dataset, rest: Dataset, target: Target) -> dict[str, Any]:
    """What an incremental run does and leaves out, for the plan."""
    whole, part = int(dataset.fragments.bytes.sum()), int(rest.fragments.bytes.sum())
    files = len(set(rest.fragments.path_index.tolist()))
    groups = sum(len(pairs) for pairs in target.sections.values())
    more = f" and of {groups} row groups of files that changed in part" if groups else ""
    return {
        "incremental": f"runs {files} of {len(dataset.fragments.paths)} files ({part / max(whole, 1):.1%} of the bytes), "
        f"keeps the rows of {len(target.kept)}{more}"
    }
