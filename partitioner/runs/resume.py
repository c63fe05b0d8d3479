"""Resuming: everything comes from the run directory; what changed since is shown and refused."""

from __future__ import annotations

import pickle
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from partitioner import config as configuration
from partitioner import interrupts, known_secrets
from partitioner import program as programs
from partitioner.attempt.job import Job
from partitioner.attempt.rounds import resumed_by, state_name
from partitioner.config import RunConfig
from partitioner.coordinator.ledger import Ledger
from partitioner.errors import ConfigError, Interrupted, ResumeRefused, to_go_on
from partitioner.model import CommitRecord, Plan, SubTasks
from partitioner.output.modes import runs_below
from partitioner.security import trust
from partitioner.stages.reducer_print import is_named
from partitioner.stages.steps import fingerprints
from partitioner.storage import Directory
from partitioner.store.commits import Commits
from partitioner.store.run_directory import RunDirectory


def find_run(config: RunConfig, resume: str) -> RunDirectory:
    """The run directory of an id below ``checkpoint``, or of a directory. ConfigError lists the ids there are."""
    directory = RunDirectory(resume if "/" in resume else f"{config.checkpoint}/{resume}")
    if not directory.files.exists("run.json"):
        known = [run.run_id for run in reversed(runs_below(config.checkpoint))]
        there = f"there are {', '.join(known[-10:])}" if known else "there is none"
        raise ConfigError(f"no run {resume!r} below {Directory(config.checkpoint).url}; {there}.")
    return directory


def from_directory(directory: RunDirectory, changes: Mapping[str, Any]) -> RunConfig:
    """The configuration of a run from its directory alone; what was a live object then comes from ``job.pkl``.

    ``changes`` are settings that may differ on a resume, such as the engine. Raises ConfigError for rounds.
    """
    described = directory.description()
    if directory.files.exists(state_name(0)):
        raise ConfigError(
            f"run {directory.run_id} is one of rounds, whose update is no part of its directory; what goes on is "
            f"{resumed_by(directory.run_id)}."
        )
    if not {"input", "config", "code"} <= dict(described.get("fingerprints", {})).keys():
        raise directory.damaged("run.json")
    values = dict(described.get("config", {}))
    try:
        job: Job = pickle.loads(directory.read_job())
    except FileNotFoundError:
        raise directory.damaged("job.pkl") from None
    live = {k for k, v in values.items() if isinstance(v, str) and v.startswith("<")}
    told = {key: value for key, value in values.items() if key not in changes.keys() | live}
    trust.check_resumed(told, f"{directory.url}/run.json", job.named)
    known_secrets.remember(job.secrets)  # arguments are compared as they were written down, with the names of variables
    for loaded in (job.program, job.reducer):
        programs.hold(loaded, described["fingerprints"])
    values |= {"dataset": job.source, "program": job.program} if "program" in live else {"dataset": job.source}
    values |= {k: v for k, v in job.batching.items() if k in live} | {"arguments": dict(job.arguments)}
    if job.concurrency is not None and not job.concurrency.rows:
        values.pop("batch_format", None)  # one row per call: nobody asked for batches
    values |= {} if is_named(values.get("reducer")) else {"reducer": job.reducer}
    values |= {"engine": "dask"} if "engine" in live else {}
    values |= {"cost": "bytes"} if "cost" in live else {}
    return configuration.make({**values, "checkpoint": directory.url.rpartition("/")[0], **changes})


def check_unchanged(config: RunConfig, directory: RunDirectory, job: Job, force: bool = False) -> None:
    """ResumeRefused with every difference of input, settings or code; with ``force`` they are said, and kept in the ledger.

    Other versions of libraries are warned about: results may differ in the last bits, seldom in more.
    """
    before = directory.description()["fingerprints"]
    now = fingerprints(config, job)
    found = _changes(before, now)
    libraries = _differences("version of", before.get("libraries", {}), now["libraries"])
    if libraries:
        warnings.warn(f"run {directory.run_id} goes on with other libraries: {'; '.join(libraries)}.", stacklevel=2)
    if not found:
        return
    shown = found[:10] + ([f"and {len(found) - 10} more"] if len(found) > 10 else [])
    listed = "\n- ".join(shown)
    if not force:
        raise ResumeRefused(
            f"run {directory.run_id} cannot be resumed, for its parts would not fit together:\n- {listed}\n"
            "Undo the change, or start a new run. --force resumes in spite of it: what is committed stays as it was made."
        )
    print(f"run {directory.run_id} is resumed by force, in spite of:\n- {listed}", file=sys.stderr)
    ledger = Ledger(directory)
    ledger.note("forced", differences=found)
    ledger.flush()


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """A line for every difference that would mix two jobs."""
    # What the run was given as a live object has no value to compare: its data and code are compared instead.
    held = {k for k, v in before["config"].items() if isinstance(v, str) and v.startswith("<")}
    held |= set() if is_named(before["config"].get("reducer")) else {"reducer"}
    settings = [{k: v for k, v in facts["config"].items() if k not in held | {"dataset"}} for facts in (before, now)]
    found = _differences("input", before["input"], now["input"]) + _differences("setting", *settings)
    if before["code"] != now["code"]:
        found.append(f"code of the program: was {before['code'][:12]}, is {now['code'][:12]}")
    if before.get("reducer") != now.get("reducer"):
        was, new = (str(facts.get("reducer", "absent"))[:12] for facts in (before, now))
        found.append(f"code or options of the reducer: was {was}, is {new}")
    return found + _differences("module", before.get("modules", {}), now["modules"])


def _differences(what: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    keys = sorted(before.keys() | now.keys())
    return [
        f"{what} {key}: was {before.get(key, 'absent')!r}, is {now.get(key, 'absent')!r}"
        for key in keys
        if before.get(key) != now.get(key)
    ]


def without_done(tasks: SubTasks, committed: Mapping[str, CommitRecord]) -> SubTasks:
    """The same sub-tasks, those committed costing nothing, so that only the rest is placed."""
    done = done_of(tasks, committed)
    by_class = {k: np.where(done & ~np.isnan(v), 0.0, v) for k, v in tasks.seconds_by_class.items()}
    return tasks.with_columns(seconds=np.where(done, 0.0, tasks.seconds), seconds_by_class=by_class)


def placed(tasks: SubTasks, committed: Mapping[str, CommitRecord], place: Callable[[SubTasks], Plan]) -> Plan:
    """A plan of all sub-tasks, of which only those that are left are placed; what is committed takes no time in it.

    Where sub-tasks depend on each other all of them are given to ``place``, for delays count from those committed.
    """
    whole, left = without_done(tasks, committed), np.flatnonzero(~done_of(tasks, committed))
    if len(tasks.edges) or len(left) == len(tasks):
        return place(whole)
    part = place(tasks.take(left))
    worker, start, finish = np.zeros(len(tasks), np.int32), np.zeros(len(tasks)), np.zeros(len(tasks))
    worker[left], start[left], finish[left] = part.worker, part.start, part.finish
    devices = {int(left[i]): held for i, held in part.devices.items()}
    return replace(part, tasks=whole, worker=worker, start=start, finish=finish, devices=devices)


def done_of(tasks: SubTasks, committed: Mapping[str, CommitRecord]) -> npt.NDArray[np.bool_]:
    """Which sub-tasks are committed as a whole."""
    if isinstance(committed, Commits):
        return committed.done(tasks.task_id)
    return np.array([key in committed and not committed[key].split for key in tasks.task_id.to_pylist()], bool)


def rest(tasks: SubTasks, committed: Mapping[str, CommitRecord]) -> bool:
    """Whether a sub-task, or a part of one that was split, may still have to run."""
    if isinstance(committed, Commits):
        return bool(committed.apart()) or not committed.done(tasks.task_id).all()
    split = any(record.split or record.part is not None for record in committed.values())
    return split or not all(key in committed for key in tasks.task_id.to_pylist())


def resume_command(directory: RunDirectory) -> str:
    """What a person types to go on."""
    return to_go_on(directory.url)


def interrupted(directory: RunDirectory, error: BaseException) -> Interrupted:
    """What ended a run, and what is left of it."""
    why = str(error) or interrupts.told()
    if directory.finished() is not None:
        return Interrupted(f"{why}; the run is finished, its report may be missing: partitioner report {directory.url}")
    if directory.files.exists("run.json"):
        return Interrupted(f"{why}; resume with: {resume_command(directory)}")
    return Interrupted(f"{why} before the run began; nothing is left of it")


@contextmanager
def told_if_interrupted(directory: RunDirectory) -> Iterator[None]:
    """A Ctrl-C in the block becomes Interrupted, which says what is left of the run."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise interrupted(directory, error) from None
