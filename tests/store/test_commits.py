"""Commit records as columns: what counts, in which order, and what is read for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from partitioner.model import CommitRecord
from partitioner.store import commits as module
from partitioner.store.commit_log import decoded, encoded, records_of
from partitioner.store.commits import Commits, Records, total
from partitioner.store.run_directory import RunDirectory
from tests.store.records import record


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(str(tmp_path))


def commits_of(run: RunDirectory, loose: dict[str, CommitRecord | None] | None = None) -> Commits:
    return Commits(run.files, run.files.names("records"), loose or {})


def gathered(run: RunDirectory, *segments: Sequence[CommitRecord]) -> None:
    for number, records in enumerate(segments):
        run.files.put(f"records/{number:020d}.parquet", encoded(records))


def test_keys_of_segments_and_loose_ones_are_all_there_are(run: RunDirectory) -> None:
    gathered(run, [record("a"), record("b")], [record("c")])
    commits = commits_of(run, {"d": record("d")})
    assert (len(commits), list(commits)) == (4, ["a", "b", "c", "d"])
    assert ["a" in commits, "c" in commits, "d" in commits, "e" in commits, "" in commits] == [True] * 3 + [False] * 2
    assert [commits[key].digest for key in "abcd"] == ["d-a", "d-b", "d-c", "d-d"]
    with pytest.raises(KeyError, match="e"):
        commits["e"]


def test_a_loose_record_counts_before_its_segment_and_one_taken_back_is_gone(run: RunDirectory) -> None:
    gathered(run, [record("a"), record("b")])
    commits = commits_of(run, {"a": record("a", digest="later"), "b": None})
    assert (len(commits), list(commits), commits["a"].digest) == (1, ["a"], "later")
    assert "b" not in commits
    with pytest.raises(KeyError):
        commits["b"]


def test_of_a_key_that_was_gathered_twice_the_later_counts(run: RunDirectory) -> None:
    gathered(run, [record("a"), record("b")], [record("a", digest="later")])
    commits = commits_of(run)
    assert (len(commits), sorted(commits)) == (2, ["a", "b"])
    assert list(commits.done(pa.array(["a", "b"]))) == [True, True]
    ordered = commits.in_order(pa.array(["a", "b"]), {})
    assert [r.digest for r in ordered] == ["later", "d-b"]


def test_no_segments_are_no_records(run: RunDirectory) -> None:
    commits = commits_of(run)
    assert (len(commits), list(commits), "a" in commits, commits.apart()) == (0, [], False, [])
    assert list(commits.done(pa.array(["a"]))) == [False]


def test_a_torn_segment_is_said_and_left_out(run: RunDirectory, capfd: pytest.CaptureFixture[str]) -> None:
    gathered(run, [record("a")], [record("b")])
    run.files.put(f"records/{0:020d}.parquet", b"PAR1")
    commits = commits_of(run)
    assert list(commits) == ["b"]
    assert commits["b"].digest == "d-b"
    assert "00.parquet is torn; its sub-tasks are looked up in their outputs" in capfd.readouterr().err


def test_what_is_done_is_committed_and_not_split(run: RunDirectory) -> None:
    gathered(run, [record("a"), record("b", split=True), record("c")])
    loose = {"d": record("d"), "e": record("e", split=True), "c": None}
    commits = commits_of(run, loose)
    ids = pa.array(["a", "b", "c", "d", "e", "f"])
    assert commits.done(ids).tolist() == [True, False, False, True, False, False]
    assert commits.done(ids) is commits.done(ids)
    assert commits.done(pa.array(["d", "b"])).tolist() == [True, False]


def test_apart_are_split_ones_and_parts_wherever_they_lie(run: RunDirectory) -> None:
    gathered(run, [record("a"), record("b", split=True), record("b.00-05", part=(0, 5))])
    loose = {"c": record("c", split=True), "c.0-3": record("c.0-3", part=(0, 3)), "d": record("d")}
    assert [r.task_key for r in commits_of(run, loose).apart()] == ["b", "b.00-05", "c", "c.0-3"]


def test_where_nothing_was_split_nothing_is_apart(run: RunDirectory) -> None:
    gathered(run, [record("a"), record("b")])
    assert commits_of(run, {"c": record("c")}).apart() == []


def test_parts_are_found_without_a_record_of_their_whole(run: RunDirectory) -> None:
    parts = {key: record(key, part=part) for key, part in (("b.0-5", (0, 5)), ("b.5-9", (5, 9)))}
    ids, ordered = pa.array(["a", "b"]), ["a", "b.0-5", "b.5-9"]
    gathered(run, [record("a")])
    assert [r.task_key for r in commits_of(run, parts).in_order(ids, {})] == ordered
    gathered(run, [record("a"), *parts.values()])
    assert [r.task_key for r in commits_of(run).in_order(ids, {})] == ordered


def test_a_part_that_was_split_itself_is_only_in_its_parts(run: RunDirectory) -> None:
    keys = {"b.0-5": record("b.0-5", part=(0, 5), split=True), "b.0-2": record("b.0-2", part=(0, 2))}
    keys |= {"b.2-5": record("b.2-5", part=(2, 5)), "b": record("b", split=True, part=(0, 9))}
    keys |= {"b.5-9": record("b.5-9", part=(5, 9))}
    for found in (commits_of(run, keys), None):
        if found is None:
            gathered(run, list(keys.values()))
            found = commits_of(run)
        assert [r.task_key for r in found.in_order(pa.array(["b"]), {})] == ["b", "b.0-2", "b.2-5", "b.5-9"]


def test_a_segment_with_a_flipped_bit_gives_no_other_records(run: RunDirectory) -> None:
    records = [record(f"t{i}", rows_in=i) for i in range(50)]
    whole, torn = encoded(records), 0
    for at in range(4, len(whole) // 2, 41):
        data = bytearray(whole)
        data[at] ^= 0x10
        run.files.put("records/1.parquet", bytes(data))
        found, bad = run.read_commits()
        assert found == ({} if bad else {r.task_key: r for r in records})
        torn += len(bad)
    assert torn > 0


def test_order_is_that_of_the_sub_tasks_with_parts_in_the_place_of_their_whole(run: RunDirectory) -> None:
    gathered(
        run,
        [record("c"), record("a")],
        [record("b.5-9", part=(5, 9)), record("b.0-5", part=(0, 5)), record("b", split=True)],
    )
    loose = {"d": record("d", split=True), "d.2-4": record("d.2-4", part=(2, 4)), "d.0-2": record("d.0-2", part=(0, 2))}
    more = {"e": record("e")}
    ordered = commits_of(run, loose).in_order(pa.array(["a", "b", "c", "d", "e"]), more)
    keys = ["a", "b", "b.0-5", "b.5-9", "c", "d", "d.0-2", "d.2-4", "e"]
    assert [r.task_key for r in ordered] == keys
    assert [ordered[i].task_key for i in range(len(ordered))] == keys
    assert [r.task_key for r in ordered[2:5]] == ["b.0-5", "b.5-9", "c"]
    assert len(ordered) == 9


def test_a_record_on_disk_counts_before_that_of_this_session(run: RunDirectory) -> None:
    commits = commits_of(run, {"a": record("a", digest="on disk")})
    ordered = commits.in_order(pa.array(["a"]), {"a": record("a", digest="here"), "z": record("z")})
    assert [(r.task_key, r.digest) for r in ordered] == [("a", "on disk")]


def test_columns_come_in_order_whether_slices_or_single_rows_are_joined(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered(run, [record("c", size=3), record("a", size=1)], [record("d", size=4)])
    commits = commits_of(run, {"e": record("e", size=5), "b": record("b", size=2)})
    ordered = commits.in_order(pa.array(list("abcde")), {})
    for most in (module.MOST_SLICES, 0):
        monkeypatch.setattr(module, "MOST_SLICES", most)
        found = ordered.columns(["task_key", "size"]).to_pydict()
        assert found == {"task_key": list("abcde"), "size": [1, 2, 3, 4, 5]}
    assert commits_of(run).in_order(pa.array(["x"]), {}).columns(["size"]).num_rows == 0


def test_the_total_of_a_field_is_the_same_of_records_and_of_columns(run: RunDirectory) -> None:
    records = [record("a", rows_in=3), record("b", rows_in=4)]
    gathered(run, records)
    assert total(records, "rows_in") == 7
    assert total(commits_of(run).in_order(pa.array(["a", "b"]), {}), "rows_in") == 7
    assert total(commits_of(run).in_order(pa.array(["x"]), {}), "rows_in") == 0


class Reads:
    """Counts how often each object of a directory is read."""

    def __init__(self, run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        original = run.files.get

        def get(name: str) -> bytes:
            self.names.append(name[-9:-8])
            return original(name)

        monkeypatch.setattr(run.files, "get", get)


def test_two_segments_are_held_and_each_is_read_once_in_order(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered(run, [record("a"), record("b")], [record("c"), record("d")], [record("e")])
    commits = commits_of(run)
    reads = Reads(run, monkeypatch)
    assert [r.task_key for r in commits.rows(np.arange(5))] == list("abcde")
    assert reads.names == ["0", "1", "2"]
    assert [commits[key].task_key for key in "dea"] == list("dea")
    assert reads.names == ["0", "1", "2", "0"]


def test_rows_come_in_the_order_in_which_they_are_asked_for(run: RunDirectory) -> None:
    gathered(run, [record("a"), record("b")], [record("c")])
    assert [r.task_key for r in commits_of(run).rows(np.array([2, 0, 1, 2]))] == ["c", "a", "b", "c"]


def test_records_of_a_slice_look_into_the_same_segments(run: RunDirectory) -> None:
    gathered(run, [record("a"), record("b"), record("c")])
    ordered = commits_of(run, {"d": record("d")}).in_order(pa.array(list("abcd")), {})
    assert isinstance(ordered[1:], Records)
    assert [r.task_key for r in ordered[1:]] == ["b", "c", "d"]
    assert ordered[3].digest == "d-d"


NESTED = record(
    "a",
    segments=((1, 2), (3, 4)),
    inputs=((1, 2, 3),),
    left_out=((5, 7),),
    contents=("x", ""),
    part=(0, 9),
    measured={"x": 1.5},
    quarantine="q",
    quarantine_digest="r",
)


def test_a_segment_gives_every_field_back() -> None:
    assert list(decoded(encoded([NESTED, record("b")]))) == [NESTED, record("b")]


def test_alike_nested_values_are_one_object() -> None:
    one, two = decoded(encoded([record("a"), record("b")]))
    assert one.segments is two.segments


def test_a_segment_of_before_contents_were_known_is_read() -> None:
    import io

    import pyarrow.parquet as pq

    old = pq.read_table(io.BytesIO(encoded([record("a")]))).drop_columns(["contents", "left_out"])
    assert list(records_of(old)) == [record("a")]
    with pytest.raises(KeyError):
        list(records_of(old.drop_columns(["segments"])))
