"""The run directory: records and the torn ones among them, quarantine, the split, and what is said of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from partitioner import known_secrets
from partitioner.errors import ConfigError, Tampered
from partitioner.model import Edges, Fragment, Fragments, SubTasks
from partitioner.security.sealing import key_of_run
from partitioner.store import run_directory as module
from partitioner.store.commit_log import SEGMENT, encoded
from partitioner.store.commits import Commits
from partitioner.store.run_directory import RunDirectory, new_run_id
from tests.store.records import record

KEY = bytes(range(32))


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(str(tmp_path / "run"), KEY)


def test_a_run_in_a_store_is_read_as_one_on_a_disk(tmp_path: Path) -> None:
    run = RunDirectory(f"memory:///{tmp_path.name}", KEY)
    run.commit(record("a"))
    run.files.put("commits/b.json", b"[]")
    assert run.read_commits() == ({"a": record("a")}, {"commits/b.json": "b"})
    assert not run.rest_is_asked_for("a-a0")
    run.ask_for_rest("a-a0")
    assert run.rest_is_asked_for("a-a0")
    run.gather([record("a")])
    assert run.files.names("commits") == ["commits/b.json"]
    assert run.commits() == {"a": record("a")}


def test_the_first_record_stays_and_a_torn_one_is_replaced(run: RunDirectory) -> None:
    run.commit(record("a", digest="first"))
    run.commit(record("a", digest="second"))
    assert run.committed("a") == record("a", digest="first")
    run.files.put("commits/a.json", b'{"task_key": ')
    assert run.committed("a") is None
    run.commit(record("a", digest="third"))
    assert run.committed("a") == record("a", digest="third")
    assert run.committed("b") is None


def test_torn_records_and_segments_are_told_by_name(run: RunDirectory) -> None:
    run.commit(record("a"))
    run.files.put("commits/b.json", b"[]")
    run.files.put("commits/c.txt", b"no record")
    run.files.put("records/1.parquet", encoded([record("a", digest="old"), record("b"), record("d")]))
    run.files.put("records/2.parquet", b"torn")
    records, torn = run.read_commits()
    assert records == {"a": record("a"), "d": record("d")}
    assert torn == {"commits/b.json": "b", "records/2.parquet": ""}
    assert run.commits() == records


def test_the_later_segment_counts(run: RunDirectory) -> None:
    run.files.put("records/1.parquet", encoded([record("a", digest="old")]))
    run.files.put("records/2.parquet", encoded([record("a", digest="new")]))
    assert run.commits()["a"].digest == "new"


def test_records_become_columns_where_segments_may_hold_very_many(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.files.put("records/1.parquet", encoded([record("a")]))
    run.commit(record("b"))
    monkeypatch.setattr(module, "MANY", SEGMENT + 1)
    assert run.many_commits() is None
    monkeypatch.setattr(module, "MANY", SEGMENT)
    found = run.many_commits()
    assert isinstance(found, Commits)
    assert dict(found) == {"a": record("a"), "b": record("b")}


def test_gathering_lays_a_segment_before_it_removes_the_records(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.commit(record("a"))
    run.commit(record("b"))

    def die(names: list[str]) -> None:
        assert names == ["commits/a.json"]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run.files, "delete_all", die)
        with pytest.raises(KeyboardInterrupt):
            run.gather([record("a")])
    assert set(run.commits()) == {"a", "b"}
    run.gather([record("a")])
    assert run.files.names("commits") == ["commits/b.json"]
    assert run.commits() == {"a": record("a"), "b": record("b")}


def test_a_record_is_taken_back_whether_a_segment_holds_it_or_not(run: RunDirectory) -> None:
    run.commit(record("a"))
    run.uncommit("a")
    assert run.files.names("commits") == []
    run.gather([record("a")])
    run.uncommit("a")
    assert run.commits() == {}
    assert run.committed("a") is None


def test_quarantine_files_are_those_that_records_with_rows_aside_list(run: RunDirectory) -> None:
    records = [
        record("a", quarantined=2, quarantine="quarantine/a-a0-x.parquet"),
        record("b", quarantine="quarantine/none.parquet"),
        record("c", quarantined=1),
    ]
    assert run.quarantine_files(records) == ["quarantine/a-a0-x.parquet", "quarantine/c.parquet"]


def test_a_footer_finds_its_quarantined_rows_by_sub_task_and_digest(run: RunDirectory) -> None:
    digest = "0123456789abcdef" + "f" * 48
    for name in ("a-a1-0123456789abcdef", "a-a0-ffffffffffffffff", "b-a0-0123456789abcdef", "aa-a0-0123456789abcdef"):
        run.files.put(f"quarantine/{name}.parquet", b"")
    found = run.with_quarantine(record("a", quarantine_digest=digest))
    assert found.quarantine == "quarantine/a-a1-0123456789abcdef.parquet"
    assert run.with_quarantine(record("c", quarantine_digest=digest)).quarantine == ""
    known = record("a", quarantine_digest=digest, quarantine="quarantine/mine.parquet")
    assert run.with_quarantine(known) is known
    plain = record("a")
    assert run.with_quarantine(plain) is plain


def test_of_two_files_with_the_same_rows_aside_the_first_is_taken(run: RunDirectory) -> None:
    for number in (3, 1, 2):
        run.files.put(f"quarantine/a-a{number}-{'e' * 16}.parquet", b"")
    assert run.with_quarantine(record("a", quarantine_digest="e" * 64)).quarantine.endswith(f"a-a1-{'e' * 16}.parquet")


def test_a_request_reaches_the_attempt_that_is_meant(run: RunDirectory) -> None:
    assert not run.rest_is_asked_for("a-a0")
    run.ask_for_rest("a-a0")
    assert run.rest_is_asked_for("a-a0")
    assert not run.rest_is_asked_for("a-a1")


def test_what_was_said_at_the_end_is_read_again(run: RunDirectory) -> None:
    assert (run.finished(), run.exported()) == (None, {})
    run.mark_finished({"rows_in": 3})
    run.mark_exported("out.csv", {"sha256": "x"})
    finished = run.finished()
    assert finished is not None
    assert finished["counts"] == {"rows_in": 3}
    assert run.exported() == {"output": "out.csv", "sha256": "x"}


@pytest.mark.parametrize("content", [b"", b"{", b"5"])
def test_a_torn_note_of_the_end_is_none(run: RunDirectory, content: bytes) -> None:
    run.files.put("finished.json", content)
    assert run.finished() is None


def test_one_run_claims_a_directory_and_another_does_not(run: RunDirectory) -> None:
    with pytest.raises(ConfigError, match=r"holds no run \(there is no run\.json\); name an existing run"):
        run.description()
    assert run.create({"run_id": "one"})
    assert run.files.get("run.json") == b'{\n  "run_id": "one"\n}'
    assert not run.create({"run_id": "two"})
    assert run.description() == {"run_id": "one"}


def test_what_was_not_claimed_is_removed_by_an_error_and_what_was_stays(run: RunDirectory) -> None:
    def stopped(claim: bool) -> None:
        with run.discarded_unless_claimed():
            assert Path(run.url).stat().st_mode & 0o777 == 0o700
            run.files.put("input/x", b"")
            if claim:
                run.create({})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped(claim=False)
    assert not Path(run.url).exists()
    with pytest.raises(KeyboardInterrupt):
        stopped(claim=True)
    assert run.files.names() == ["input/x", "run.json"]


def test_what_went_well_stays_before_it_is_claimed(run: RunDirectory) -> None:
    with run.discarded_unless_claimed():
        run.files.put("input/x", b"")
    assert run.files.exists("input/x")


def test_secrets_are_masked_in_texts_and_not_in_the_users_data(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_secrets, "_known", {})
    known_secrets.remember({"hunter2hunter2": known_secrets.MASK})
    text = b'{"a": "hunter2hunter2"}'
    for name in ("run.json", "ledger/1.jsonl", "attempts/a.log", "report.html", "notes.txt"):
        run.files.put(name, text)
        assert b"hunter2" not in run.files.get(name)
        assert run.files.put_new(f"new-{name.replace('/', '-')}", text)
        assert b"hunter2" not in run.files.get(f"new-{name.replace('/', '-')}")
    for name in ("output/a.json", "partials/a.json", "input/a.json", "job.pkl"):
        run.files.put(name, text)
        assert run.files.get(name) == text


def test_the_sealed_job_is_read_in_three_ways_and_by_its_key_alone(run: RunDirectory) -> None:
    run.write_job(b"a job")
    assert (run.read_job(), run.read_job_plainly()) == (b"a job", b"a job")
    assert run.read_planned() is None
    run.write_planned(b"a change")
    assert run.read_planned() == b"a change"
    for read in (RunDirectory(run.url, bytes(32)).read_job, RunDirectory(run.url, bytes(32)).read_planned):
        with pytest.raises(Tampered):
            read()
    assert RunDirectory(run.url).key == key_of_run("run") != KEY
    assert run.run_id == "run"
    assert run.key == KEY
    with pytest.raises(ConfigError, match="is no directory of a disk"):
        RunDirectory("memory:///x", KEY).read_job_plainly()


def test_phases_join_the_plan(run: RunDirectory) -> None:
    run.files.put("plan.json", json.dumps({"makespan": 3}).encode())
    run.write_phases({"plan": 0.5}, 2.5)
    assert json.loads(run.files.get("plan.json")) == {"makespan": 3, "phases": {"plan": 0.5}, "total_seconds": 2.5}


FRAGMENTS = Fragments.of([Fragment(i, f"f{i % 2}", 0, 10 * i, 10 * i + 10, 10, 80) for i in range(4)])


def tasks(**columns: Any) -> SubTasks:
    return SubTasks.build(
        [1.0, 2.0, 3.0],
        fragments=FRAGMENTS,
        offsets=np.array([0, 2, 3, 4]),
        fragment_index=np.array([2, 0, 3, 1]),
        **columns,
    )


def test_the_split_comes_back_as_it_was_written(run: RunDirectory) -> None:
    given = tasks(
        memory_bytes=[5.0, 6.0, 7.0],
        cpus=[1.0, 2.0, 1.0],
        gpus=[0.0, 0.5, 1.0],
        gpu_memory_bytes=[0.0, 8.0, 9.0],
        priority=[3.0, 2.0, 1.0],
        deadline=[10.0, 20.0, np.inf],
        hard_deadline=[True, False, True],
        release=[0.0, 1.0, 2.0],
        seconds_by_class={"big": np.array([0.5, np.nan, 1.5])},
        resources={"disk": np.array([1.0, 0.0, 0.0])},
        requires={"zone:a": np.array([True, False, False])},
        hot_groups=("x", "", "y"),
        preferred_host=("h1", "", "h2"),
        edges=Edges(np.array([0, 1]), np.array([1, 2]), np.array([0.5, 0.0]), np.array([7.0, 8.0])),
    )
    run.write_tasks(given)
    found = run.read_tasks()
    assert found.task_id.to_pylist() == given.task_id.to_pylist()
    for name in ("seconds", "memory_bytes", "cpus", "gpus", "gpu_memory_bytes", "priority", "deadline", "release"):
        assert getattr(found, name).tolist() == getattr(given, name).tolist(), name
    assert found.hard_deadline is not None
    assert found.hard_deadline.tolist() == [True, False, True]
    for name in ("seconds_by_class", "resources", "requires"):
        for key, values in getattr(given, name).items():
            np.testing.assert_array_equal(getattr(found, name)[key], values)
        assert getattr(found, name).keys() == getattr(given, name).keys()
    assert (found.hot_groups, found.preferred_host) == (("x", "", "y"), ("h1", "", "h2"))
    assert [found.fragments_of(i).tolist() for i in range(3)] == [[2, 0], [3], [1]]
    for name in ("source", "target", "delay", "bytes"):
        assert getattr(found.edges, name).tolist() == getattr(given.edges, name).tolist()
    assert found.fragments is not None
    assert [found.fragments[i] for i in range(4)] == [FRAGMENTS[i] for i in range(4)]


def test_a_plain_split_needs_three_files(run: RunDirectory) -> None:
    run.write_tasks(tasks())
    assert run.files.names() == ["fragments.parquet", "task_fragments.parquet", "tasks.parquet"]
    found = run.read_tasks()
    assert (len(found.edges), found.hot_groups, found.preferred_host, found.hard_deadline) == (0, (), (), None)


def test_edges_without_delays_have_zeros(run: RunDirectory) -> None:
    run.write_tasks(tasks(edges=Edges(np.array([0]), np.array([1]))))
    found = run.read_tasks().edges
    assert (found.source.tolist(), found.target.tolist(), found.delay.tolist(), found.bytes.tolist()) == (
        [0],
        [1],
        [0],
        [0],
    )


def test_hot_groups_of_an_older_run_are_read(run: RunDirectory) -> None:
    run.write_tasks(tasks())
    table = run.read_table("tasks").append_column("group", pa.array(["x", "y", "z"]))
    run.write_table("tasks", table)
    assert run.read_tasks().hot_groups == ("x", "y", "z")


def test_a_run_id_tells_the_second_and_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "time", lambda: 1_763_633_700.5)
    plain = new_run_id()
    assert plain.startswith("20251120-101500-8000")
    assert len(plain) == len("20251120-101500-8000ff")
    assert new_run_id("nightly").endswith("-nightly")
