"""The job in one process: loaded once, its program built once, no more than two held, and what cannot be built said."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from partitioner import known_secrets
from partitioner.attempt import job as jobs
from partitioner.attempt.job import Job, build, build_before_fork, forget, load, load_for_trial, program_of
from partitioner.errors import ProgramError, Tampered
from partitioner.store.run_directory import RunDirectory
from tests.attempt.by_hand import KEY, ByHand


@pytest.fixture(autouse=True)
def nothing_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_jobs", OrderedDict())
    monkeypatch.setattr(jobs, "_programs", OrderedDict())


BUILT: list[int] = []


class Program:
    """Notes that it was built."""

    def __init__(self) -> None:
        BUILT.append(1)

    def __call__(self, batch: Any) -> Any:
        return batch


@pytest.fixture(autouse=True)
def none_built() -> None:
    BUILT.clear()


def written(home: Path, program: Any = Program, **settings: Any) -> str:
    """The URL of a run whose job and sub-tasks are written down."""
    home.mkdir(exist_ok=True)
    made = ByHand(home, program, **settings)
    made.directory.write_job(pickle.dumps(made.job))
    made.directory.write_tasks(made.tasks)
    jobs._jobs.clear()
    return made.directory.url


def test_a_process_that_builds_a_program_knows_the_secrets_of_the_job_and_of_its_own_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_secrets, "_known", {})
    monkeypatch.setenv("WORKERS_OWN_TOKEN", "Xy7-of-this-machine")
    load(written(tmp_path, secrets={"Xy7-of-the-job": "${JOB}"}), KEY)
    assert known_secrets.masked("Xy7-of-the-job Xy7-of-this-machine") == "${JOB} <masked>"


def test_a_job_is_loaded_once(tmp_path: Path) -> None:
    url = written(tmp_path)
    first = load(url, KEY)
    assert load(url, KEY) is first
    assert load(url) is first
    assert BUILT == [1]
    assert first.load_seconds > 0
    assert len(first.tasks.offsets) == 2  # of one sub-task
    assert (first.batcher, first.run.key) == (None, KEY)


def test_two_jobs_are_held_and_the_one_used_last_stays(tmp_path: Path) -> None:
    urls = [written(tmp_path / name) for name in "abc"]
    a, b = load(urls[0], KEY), load(urls[1], KEY)
    assert load(urls[0], KEY) is a
    load(urls[2], KEY)
    assert list(jobs._jobs) == [urls[0], urls[2]]
    assert load(urls[1], KEY) is not b
    assert list(jobs._jobs) == [urls[2], urls[1]]
    assert list(jobs._programs) == [urls[1], urls[2]]


def test_the_batcher_of_a_job_serves_all_its_sub_tasks(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, batching={"batch_size": 3}), KEY)
    assert loaded.batcher is not None
    assert [b.num_rows for b, _ in loaded.batcher.batches([pa.record_batch({"x": [1, 2, 3, 4]})])] == [3, 1]


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    url = written(tmp_path)
    for opened in (load, load_for_trial, program_of):
        with pytest.raises(Tampered):
            opened(url, bytes(32))
    assert BUILT == []


def test_a_program_is_built_ahead_and_taken_by_the_first_attempt(tmp_path: Path) -> None:
    url = written(tmp_path)
    built, now = program_of(url, KEY)
    assert (now, BUILT) == (True, [1])
    assert built.seconds >= 0
    assert program_of(url, KEY) == (built, False)
    assert load_for_trial(url, KEY) == (built.job, built.call)
    assert load(url, KEY).call is built.call
    assert BUILT == [1]


def test_what_the_plan_changed_is_taken_without_building_again(tmp_path: Path) -> None:
    url = written(tmp_path)
    built, _ = program_of(url, KEY)
    directory = RunDirectory(url, KEY)
    directory.write_planned(pickle.dumps({"batching": {"batch_size": 2}}))
    loaded = load(url, KEY)
    assert (loaded.job.batching, built.job.batching) == ({"batch_size": 2}, {})
    assert loaded.batcher is not None
    assert BUILT == [1]


def test_before_a_fork_the_program_is_built_from_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = written(tmp_path)
    monkeypatch.setattr(jobs, "RunDirectory", lambda url: RunDirectory(url, KEY))
    monkeypatch.setattr(RunDirectory, "read_job", None)
    build_before_fork(url)
    assert (list(jobs._programs), BUILT) == ([url], [1])


def test_the_first_attempt_drops_what_the_pilot_held(tmp_path: Path) -> None:
    url = written(tmp_path)
    built, _ = program_of(url, KEY)
    built.pilot[7] = "row groups"
    load(url, KEY)
    assert built.pilot == {}


def test_what_is_forgotten_is_loaded_anew(tmp_path: Path) -> None:
    url = written(tmp_path)
    load(url, KEY)
    forget(url)
    forget("another")
    assert (list(jobs._jobs), list(jobs._programs)) == ([], [])
    load(url, KEY)
    assert BUILT == [1, 1]


def test_secrets_of_a_job_are_known_where_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_secrets, "_known", {})
    load(written(tmp_path, secrets={"hunter2hunter2": known_secrets.MASK}), KEY)
    assert "hunter2hunter2" in known_secrets.known()


class Refuses:
    """Cannot be built."""

    def __init__(self, size: int) -> None:
        raise ValueError(f"no {size}")


class NotCallable:
    """Can be built, not called."""


def test_a_class_is_built_with_its_arguments_and_a_function_called_with_them() -> None:
    assert build(lambda batch, by: batch * by, {"by": 3})(2) == 6

    def plain(batch: int) -> int:
        return batch

    assert build(plain, {}) is plain
    assert isinstance(build(Program, {}), Program)


def test_a_class_that_cannot_be_built_or_called_is_named() -> None:
    with pytest.raises(ProgramError, match=r"Refuses\(\*\*{'size': 7}\) failed: ValueError\('no 7'\)"):
        build(Refuses, {"size": 7})
    with pytest.raises(ProgramError, match="NotCallable has no __call__; give it one that takes a batch"):
        build(NotCallable, {})


def test_a_job_says_no_secret_and_has_plain_defaults() -> None:
    job = Job(Program, {}, None, None, None)  # type: ignore[arg-type]
    assert (job.columns, job.batch_format, job.seed, job.on_error) == (None, "pandas", 0, "raise")
    assert (job.allow_row_change, job.preserve_order, job.fsync, job.by_file, job.by_section) == (
        *(False, True, False, False, False),
    )
    assert "secrets" not in repr(job)
