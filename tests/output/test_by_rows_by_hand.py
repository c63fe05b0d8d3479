"""A version put together row by row, from literal tables: which rows are as then, and where each row lies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partitioner import config as configuration
from partitioner.errors import DataError, RunFailed
from partitioner.model import Fragment, Fragments, SubTasks
from partitioner.output import tracking, weaving
from partitioner.output.by_rows import HELD, assembled_by_rows, highest
from partitioner.output.tracking import MARK, Known, Tracking, known_rows, matches, repeated, tracking_of
from partitioner.output.weaving import SMALL_BYTES, Files, woven
from partitioner.storage import Directory
from partitioner.store.run_directory import RunDirectory
from tests.store.records import record

BY = Tracking(("id",), "at")


def rows(ids: list[Any], marks: list[Any]) -> pa.Table:
    return pa.table({"key0": ids, MARK: marks})


def test_how_rows_are_told_is_said_by_the_settings_of_mode_incremental_alone() -> None:
    asked = {"dataset": "d", "incremental": {"key": ["id", "at"], "watermark": "at"}}
    found = tracking_of(configuration.make({**asked, "mode": "incremental"}))
    assert found == Tracking(("id", "at"), "at")
    assert (found.columns, found.names) == (["id", "at"], ["key0", "key1"])
    assert found.to_json() == {"key": ["id", "at"], "watermark": "at"}
    assert tracking_of(configuration.make({"dataset": "d", "mode": "incremental"})) is None


def test_rows_of_two_nights_are_matched_by_key_and_watermark() -> None:
    now, before = rows([1, 2, 3, 4], [0, 0, 5, 0]), rows([9, 3, 2, 8], [0, 4, 0, 0])
    found = matches(now, before, BY)
    assert not isinstance(found, str)
    assert (found.held.tolist(), found.changed, found.gone) == ([-1, 2, -1, -1], 1, 2)


def test_rows_are_matched_by_all_columns_of_their_key() -> None:
    both = Tracking(("a", "b"), "at")
    now = pa.table({"key0": ["x", "x", "y"], "key1": [1, 2, 1], MARK: [0, 0, 0]})
    before = pa.table({"key0": ["y", "x", "y"], "key1": [2, 2, 1], MARK: [0, 0, 9]})
    found = matches(now, before, both)
    assert not isinstance(found, str)
    assert (found.held.tolist(), found.changed, found.gone) == ([-1, 1, -1], 1, 1)


def test_the_first_row_of_before_may_have_changed_too() -> None:
    found = matches(rows([9, 8], [1, 0]), rows([9, 8], [0, 0]), BY)
    assert not isinstance(found, str)
    assert (found.held.tolist(), found.changed, found.gone) == ([-1, 1], 1, 0)


def test_another_type_of_the_same_values_is_no_change_and_one_of_others_is_said() -> None:
    now = rows([1, 2], [0, 0])
    found = matches(now, pa.table({"key0": pa.array([2], pa.int8()), MARK: pa.array([0], pa.int32())}), BY)
    assert not isinstance(found, str)
    assert found.held.tolist() == [-1, 0]
    said = matches(now, rows(["a"], [0]), BY)
    assert said == "a column of key or watermark has another type: string then, int64 now"


def test_where_one_night_is_empty_nothing_is_held() -> None:
    none = rows([1], [0]).slice(0, 0)
    now, before = matches(none, rows([1, 2], [0, 0]), BY), matches(rows([1, 2, 3], [0, 0, 0]), none, BY)
    assert not isinstance(now, str)
    assert not isinstance(before, str)
    assert (now.held.tolist(), now.changed, now.gone) == ([], 0, 2)
    of_no_type = matches(pa.table({"key0": pa.nulls(0), MARK: pa.nulls(0)}), rows([1, 2], [0, 0]), BY)
    assert not isinstance(of_no_type, str)
    assert of_no_type.gone == 2
    assert (before.held.tolist(), before.changed, before.gone) == ([-1, -1, -1], 0, 0)


def test_the_first_two_rows_with_the_same_key_are_told() -> None:
    assert repeated(rows([5, 4, 3], [0, 0, 0]), BY) is None
    assert repeated(rows([5, 4, 3, 4, 5, 4], [0] * 6), BY) == (0, 4)


KNOWN = Known(pa.table({"key0": [1], MARK: [0], "file": [0], "row": [3], "aside": [-1]}), 4, 8.0, ("q",))


def test_what_a_version_knows_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    output = Directory(tmp_path)
    told = tracking.store(output, 3, BY, KNOWN)
    assert told["stored"] == "_versions/000003/rows.parquet"
    found = known_rows(output, {"rows": told}, BY)
    assert isinstance(found, Known)
    assert found.table.equals(KNOWN.table)
    assert (found.rows, found.seconds, found.aside, found.seconds_per_row) == (4, 8.0, ("q",), 2.0)
    assert (found.column("row").tolist(), Known.nothing().seconds_per_row) == ([3], 0.0)
    assert Known(KNOWN.table, 1, 8.0).seconds_per_row == 8.0


def test_why_nothing_is_known_of_the_rows_of_a_version(tmp_path: Path) -> None:
    output = Directory(tmp_path)
    told = tracking.store(output, 3, BY, KNOWN)
    assert known_rows(output, {}, BY) == "what wrote the output last kept no keys and watermarks"
    for other in (Tracking(("ident",), "at"), Tracking(("id",), "then")):
        assert known_rows(output, {"rows": told}, other) == "rows were told by other columns then"
    place = tmp_path / told["stored"]
    place.write_bytes(place.read_bytes()[:-1] + b"X")
    assert known_rows(output, {"rows": told}, BY) == "_versions/000003/rows.parquet is damaged"
    place.unlink()
    assert known_rows(output, {"rows": told}, BY) == "_versions/000003/rows.parquet is gone"


class Woven:
    """Files of ten rows each, i with 10 i to 10 i + 9, of so many stored bytes; from ``own`` on they are of this run."""

    def __init__(self, home: Path, sizes: list[int], own: int, **options: Any) -> None:
        self.home, self.output, n = home, Directory(home), len(sizes)
        for i in range(n):
            pq.write_table(pa.table({"y": range(10 * i, 10 * i + 10)}), home / f"{i}.parquet")
        names = [f"{i}.parquet" for i in range(n)]
        self.files = Files(names, np.full(n, 10), np.array(sizes), [f"sha{i}" for i in range(n)], own, **options)

    def of(self, wanted: list[int]) -> list[tuple[str, list[Any]]]:
        """Names and rows of the files that hold these values in this order."""
        found = np.array(wanted, np.int64)
        made, file, row = woven(self.output, 1, self.files, found // 10, found % 10)
        held = [pq.read_table(self.home / f["stored"])["y"].to_pylist() for f in made]
        assert [f["rows"] for f in made] == [len(y) for y in held]
        assert [held[i][j] for i, j in zip(file, row, strict=True)] == [y for each in held for y in each]
        return [(f["stored"].rpartition("/")[2], y) for f, y in zip(made, held, strict=True)]


LARGE = SMALL_BYTES
ALL = list(range(20))


def test_large_files_are_taken_as_they_are_whoever_wrote_them(tmp_path: Path) -> None:
    assert Woven(tmp_path, [LARGE, LARGE], 1).of(ALL) == [("0.parquet", ALL[:10]), ("1.parquet", ALL[10:])]


def test_a_small_file_of_this_run_is_written_with_its_small_neighbours_and_not_with_large_ones(tmp_path: Path) -> None:
    woven_of = Woven(tmp_path, [LARGE, LARGE - 1, LARGE - 1], 2)
    held = woven_of.of(list(range(30)))
    assert held == [("0.parquet", ALL[:10]), ("woven-000001.parquet", list(range(10, 30)))]


def test_small_files_of_before_are_taken_where_nothing_beside_them_is_written(tmp_path: Path) -> None:
    assert Woven(tmp_path, [9, 9], 2).of(ALL) == [("0.parquet", ALL[:10]), ("1.parquet", ALL[10:])]
    mixed = [*range(10, 20), *range(9)]  # one row of the first file is gone
    assert Woven(tmp_path, [LARGE, LARGE], 2).of(mixed) == [
        ("1.parquet", mixed[:10]),
        ("woven-000001.parquet", mixed[10:]),
    ]


def test_what_is_written_takes_in_small_files_on_both_sides_behind_those_that_stay(tmp_path: Path) -> None:
    held = Woven(tmp_path, [LARGE, LARGE, 9, 9, 9], 4).of([*ALL, *range(40, 50), *range(20, 40)])
    assert [(name, len(y)) for name, y in held] == [("0.parquet", 10), ("1.parquet", 10), ("woven-000002.parquet", 30)]
    both = Woven(tmp_path, [9, LARGE, 9, 9], 2).of([*range(20, 30), *range(10), *range(30, 40)])
    assert [(name, len(y)) for name, y in both] == [("woven-000000.parquet", 30)]


def test_rows_that_go_on_in_another_file_are_not_taken_for_the_first(tmp_path: Path) -> None:
    wanted = [*range(5), *range(15, 20)]
    assert Woven(tmp_path, [LARGE, LARGE], 2).of(wanted) == [("woven-000000.parquet", wanted)]


def test_rows_in_another_order_are_no_whole_file(tmp_path: Path) -> None:
    backwards = ALL[9::-1]
    assert Woven(tmp_path, [LARGE], 1).of(backwards) == [("woven-000000.parquet", backwards)]


def test_a_file_in_an_older_schema_is_written_again_in_the_new_one(tmp_path: Path) -> None:
    schema = pa.schema([("y", pa.float64()), ("z", pa.string())])
    made = Woven(tmp_path, [LARGE, LARGE], 2, narrow=frozenset({"0.parquet"}), schema=schema)
    assert [name for name, _ in made.of(ALL)] == ["woven-000000.parquet", "1.parquet"]
    written = pq.read_table(tmp_path / "_versions/000001/woven-000000.parquet")
    assert written.schema.equals(schema)
    assert (written["y"].to_pylist(), written["z"].to_pylist()) == ([float(y) for y in range(10)], [None] * 10)


def test_what_is_written_is_cut_into_files_of_some_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weaving, "FILE_BYTES", 400)  # 100 bytes a row
    made = Woven(tmp_path, [1000, 1000], 1).of([*range(11, 20), *range(1)])
    assert [len(y) for _, y in made] == [3, 3, 4]
    monkeypatch.setattr(weaving, "FILE_BYTES", 50)  # half a row
    assert [y for _, y in Woven(tmp_path, [1000, 1000], 1).of([11, 12, 0])] == [[11], [12], [0]]


def test_files_that_nothing_is_wanted_of_make_none(tmp_path: Path) -> None:
    assert Woven(tmp_path, [LARGE], 1).of([]) == []


def test_rows_of_other_types_are_not_put_together(tmp_path: Path) -> None:
    made = Woven(tmp_path, [9, 9], 1)
    pq.write_table(pa.table({"y": [["a"]] * 10}), tmp_path / "1.parquet")
    with pytest.raises(DataError, match="rows that ran now do not fit those that are kept"):
        made.of([0, 10])


class Numbered:
    """Rows are numbered as their fragments say."""

    def places(self, fragment: Fragment) -> Any:
        return np.arange(fragment.start, fragment.stop)


class Night:
    """Five rows of input, of which 1, 3 and 4 ran: the second of these is set aside; a version of before with three rows."""

    held = (0, -1, 2, -1, -1)

    def __init__(self, home: Path) -> None:
        self.output, self.run = Directory(home / "out"), RunDirectory(str(home / "runs" / "r1"))
        (home / "out").mkdir()
        pq.write_table(pa.table({"y": [100, 101]}), home / "out" / "old.parquet")
        pq.write_table(pa.table({"y": [1, 4]}), home / "out" / "part-t0.parquet")
        self.home = home
        fragments = Fragments.of([Fragment(0, "f", 0, 0, 3, 3, 1)])
        self.tasks = SubTasks.build(
            [1.0], ["t0"], fragments=fragments, offsets=np.array([0, 1]), fragment_index=np.array([0])
        )
        facts = {"rows_in": 3, "rows_out": 2, "rows_written": 2, "quarantined": 1, "quarantine": "quarantine/q.parquet"}
        self.record = record("t0", **facts, left_out=((1, 2),), seconds=6.0, path="part-t0.parquet")
        table = {"key0": [1, 7, 3], MARK: [0, 0, 0], "file": [0, 0, -1], "row": [0, 1, -1], "aside": [-1, -1, 0]}
        self.known = Known(pa.table(table), 3, 9.0, ("before/q.parquet",))
        self.before = [{"stored": "old.parquet", "rows": 2, "size": 9, "sha256": "s"}]

    def assembled(self, held: tuple[int, ...] = held, records: Any = None) -> Any:
        keys = {"key0": range(len(held)), MARK: [0] * len(held)}
        self.run.write_table("rows", pa.table({**keys, HELD: pa.array(held, pa.int64())}))
        told: Any = [self.record] if records is None else records
        return assembled_by_rows(
            self.output, 2, self.run, self.before, self.known, Numbered(), self.tasks, told  # type: ignore[arg-type]
        )  # fmt: skip


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return Night(tmp_path)


def test_kept_and_new_rows_are_in_the_order_of_the_input_and_the_rest_in_quarantine(night: Night) -> None:
    files, (part,), known = night.assembled()
    (file,) = files
    assert pq.read_table(night.home / "out" / file["stored"])["y"].to_pylist() == [100, 1, 4]
    mine = f"{night.run.url}/quarantine/q.parquet"
    assert known.table.select(["file", "row", "aside"]).to_pydict() == {
        "file": [0, 0, -1, -1, 0],
        "row": [0, 1, -1, -1, 2],
        "aside": [-1, -1, 0, 1, -1],
    }
    assert known.table.column_names == ["key0", MARK, "file", "row", "aside"]
    assert (known.rows, known.seconds, known.aside) == (5, 2 * 3.0 + 6.0, ("before/q.parquet", mine))
    assert part.counts == {"rows_in": 5, "rows_out": 3, "rows_written": 3, "quarantined": 2}
    assert (part.quarantine, part.pieces) == (known.aside, ((file["stored"], 0, 3),))


def test_files_that_are_taken_keep_their_digests(night: Night) -> None:
    night.before[0]["size"] = LARGE
    whole = replace(night.record, size=LARGE, rows_in=2, quarantined=0, quarantine="", left_out=())
    given_up = replace(night.record, split=True, part=None, path="part-t0.parquet", size=LARGE)
    fragments = Fragments.of([Fragment(0, "f", 0, 0, 2, 2, 1)])
    night.tasks = SubTasks.build(
        [1.0], ["t0"], fragments=fragments, offsets=np.array([0, 1]), fragment_index=np.array([0])
    )
    files, _, known = night.assembled((0, 1, -1, -1), [given_up, replace(whole, task_key="t0.0-2", part=(0, 2))])
    assert [(f["stored"], f["rows"], f["sha256"]) for f in files] == [
        ("old.parquet", 2, "s"),
        ("part-t0.parquet", 2, "d-t0"),
    ]
    assert (known.column("file").tolist(), known.column("row").tolist()) == ([0, 0, 1, 1], [0, 1, 0, 1])


def test_quarantine_of_which_no_row_is_kept_is_forgotten(night: Night) -> None:
    _, (part,), known = night.assembled((0, -1, 1, -1, -1))
    assert known.aside == part.quarantine == (f"{night.run.url}/quarantine/q.parquet",)
    assert known.column("aside").tolist() == [-1, -1, -1, 0, -1]


def test_a_row_that_is_nowhere_stops_the_run(night: Night) -> None:
    said = r"row 1 of the input is neither in the output nor in quarantine, of 3 such rows\. Nothing is published"
    with pytest.raises(RunFailed, match=said):
        night.assembled(records=[])


def test_where_the_watermark_alone_counts_the_highest_is_known(night: Night) -> None:
    night.run.write_table("rows", pa.table({MARK: [7]}))
    found = highest(night.run, night.known, [night.record, night.record], 8)
    assert (found.table.to_pydict(), found.rows, found.seconds) == ({MARK: [7]}, 8, 9.0 + 12.0)
