"""Rows by their numbers, and the keys that a plan reads, from a table of three fragments in two files."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from partitioner.errors import DataError
from partitioner.frames import decoded
from partitioner.model import Dataset, Fragment, Fragments
from partitioner.model.source import Source
from partitioner.output.tracking import MARK, Tracking
from partitioner.stages import scanning
from partitioner.stages.picked import PickedSource, PieceSource
from partitioner.stages.scanning import (
    Scan,
    digest_of,
    in_pieces,
    in_small_pieces,
    row_name,
    scanned,
)

BY = Tracking(("id",), "at")
MARKS = Tracking((), "at")


class Rows(Source):
    """The rows of a table: fragment i of file a or b has rows start to stop of its own four, read three at a time."""

    name = "rows"

    def __init__(self, table: pa.Table, divisible_by: str | None = "rows") -> None:
        self.table, self.divisible_by = table, divisible_by
        self.asked: list[list[str] | None] = []

    def describe(self) -> Dataset:
        made = [Fragment(0, path, s, 0, 4, 4, 40, {"f": 8.0}) for path, s in (("a", 0), ("a", 1), ("b", 0))]
        return Dataset(self, Fragments.of(made), self.table.schema, self.divisible_by)  # type: ignore[arg-type]

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        self.asked.append(None if columns is None else list(columns))
        base = {("a", 0): 0, ("a", 1): 4, ("b", 0): 8}[fragment.path, fragment.section]
        rows = self.table.slice(base + fragment.start, fragment.stop - fragment.start)
        yield from (rows if columns is None else rows.select(list(columns))).to_batches(max_chunksize=3)

    def fingerprints(self) -> dict[str, str]:
        return {"a": "1", "b": "2"}

    def fingerprint(self, fragment: Fragment) -> str:
        return f"{fragment.path}-{fragment.section}"


def table(**changes: Any) -> pa.Table:
    return pa.table({"id": range(100, 112), "at": [0] * 12, "x": range(12), **changes})


def picked(wanted: list[int], by: Tracking = BY, divisible_by: str | None = "rows") -> Dataset:
    dataset = Rows(table(), divisible_by).describe()
    return PickedSource.of(dataset, scanned(dataset, by), by, np.array(wanted, np.int64))


def read(dataset: Dataset, columns: Sequence[str] | None = ("x",)) -> list[list[Any]]:
    found = []
    for i in range(len(dataset.fragments)):
        batches = list(dataset.source.read(dataset.fragments[i], columns))
        found.append([row for batch in batches for row in batch.column("x").to_pylist()])
        assert all(batch.schema.names == (list(columns) if columns else ["id", "at", "x"]) for batch in batches)
    return found


SOME = [1, 3, 8, 9, 10, 11]


@pytest.mark.parametrize("divisible_by", ["rows", None])
@pytest.mark.parametrize("columns", [["x"], None])
def test_the_rows_picked_are_read_in_order(divisible_by: str | None, columns: list[str] | None) -> None:
    dataset = picked(SOME, divisible_by=divisible_by)
    assert read(dataset, columns) == [[1, 3], [8, 9, 10, 11]]
    assert dataset.divisible_by == divisible_by
    source: Any = dataset.source
    assert source.picked.tolist() == SOME
    assert [source.places(dataset.fragments[i]).tolist() for i in (0, 1)] == [[0, 1], [2, 3, 4, 5]]
    assert (source.fingerprint(dataset.fragments[1]), source.fingerprints()) == ("b-0", {"a": "1", "b": "2"})


def test_fragments_without_a_row_that_is_picked_are_left_out_and_sizes_are_shared_out_by_rows() -> None:
    fragments = picked(SOME).fragments
    assert (fragments.section.tolist(), fragments.start.tolist(), fragments.stop.tolist()) == ([0, 2], [0, 0], [2, 4])
    assert (fragments.rows.tolist(), fragments.bytes.tolist()) == ([2, 4], [20, 40])
    assert fragments.features["f"].tolist() == [4.0, 8.0]
    none = picked([])
    assert (len(none.fragments), none.source.picked.tolist()) == (0, [])  # type: ignore[attr-defined]


def test_a_part_of_what_is_picked_reads_only_from_its_first_row_to_its_last() -> None:
    dataset = picked([*range(4), 9, 11])
    whole, some = (dataset.fragments[i] for i in (0, 1))
    inner: Any = dataset.source
    for fragment, x in ((whole, [1, 2]), (some, [11])):
        part = Fragment(0, fragment.path, fragment.section, 1, 1 + len(x), len(x), 1)
        assert [r for b in inner.read(part, ["x"]) for r in b.column("x").to_pylist()] == x
    assert [inner.places(Fragment(0, "b", 2, 1, 2, 1, 1)).tolist()] == [[5]]
    assert list(inner.read(Fragment(0, "a", 0, 0, 0, 0, 1), ["x"])) == []


def changed(dataset: Dataset, **columns: Any) -> Dataset:
    source: Any = dataset.source
    source.inner.table = table(**columns)
    return dataset


def test_rows_that_are_read_by_number_must_have_the_keys_of_when_the_run_was_planned() -> None:
    dataset = picked(SOME, divisible_by=None)
    assert read(dataset) == [[1, 3], [8, 9, 10, 11]]
    source: Any = dataset.source
    assert source.inner.asked[-1] == ["x", "id"]
    said = r"a row group 0 \[0:4\] holds other rows than when the run was planned; start the command again"
    with pytest.raises(DataError, match=said):
        read(changed(picked(SOME, divisible_by=None), id=range(200, 212)))
    read(changed(picked(SOME, divisible_by=None), id=[555, *range(101, 112)]))  # a row that is not picked
    read(changed(picked(SOME, MARKS, None), id=range(200, 212)))  # no key, nothing to compare
    assert picked(SOME).source.keys == {}  # type: ignore[attr-defined]  cut: it is read by its places


def test_rows_that_are_gone_are_missed() -> None:
    dataset = picked([10, 11], MARKS)
    source: Any = dataset.source
    source.inner.table = table().slice(0, 11)
    with pytest.raises(DataError, match=r"b row group 0 \[0:4\] holds other rows"):
        read(dataset)


def test_a_source_that_travelled_reads_its_contents_again() -> None:
    dataset = picked(SOME)
    source: Any = dataset.source
    seen = len(source.inner.asked)
    told = source.contents()
    assert (set(told), len(source.inner.asked)) == ({"a", "b"}, seen)
    again = pickle.loads(pickle.dumps(source))
    assert (again.contents(), again.contents()) == (told, told)
    assert len(again.inner.asked) == seen + 3  # each fragment once more


def test_pieces_are_told_by_their_keys_and_read_from_where_they_begin() -> None:
    inner = Rows(table()).describe()
    halves = inner.fragments.cut(np.array([2, 1, 1]))[0]
    inner = Dataset(inner.source, halves, inner.schema, inner.divisible_by)
    dataset = PieceSource.of(inner, scanned(inner, BY), BY)
    fragments = dataset.fragments
    assert fragments.section.tolist() == [0, 1, 2, 3]
    assert (fragments.start.tolist(), fragments.stop.tolist()) == ([0] * 4, [2, 2, 4, 4])
    assert read(dataset) == [[0, 1], [2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    source: Any = dataset.source
    assert [r for b in source.read(Fragment(0, "a", 1, 1, 2, 1, 1), ["x"]) for r in b.column("x").to_pylist()] == [3]
    told = [source.section_content(fragments[i]) for i in range(4)]
    assert (len(set(told)), source.tells_sections(), source.narrowed()) == (4, True, True)
    source.inner.table = table(at=[0] * 11 + [1])
    after: Any = source.describe().source
    assert [after.section_content(fragments[i]) == told[i] for i in range(4)] == [True, True, True, False]


# what a plan reads


def test_keys_of_all_rows_are_read_and_nothing_else() -> None:
    dataset = Rows(table()).describe()
    scan = scanned(dataset, BY)
    assert scan.table.column_names == ["key0", MARK]
    assert (scan.table["key0"].to_pylist(), scan.rows.tolist()) == (list(range(100, 112)), [4, 4, 4])
    assert scan.first.tolist() == [0, 4, 8, 12]
    assert (len(scan.digests), set(scan.contents)) == (3, {"a", "b"})
    assert dataset.source.asked == [["id", "at"]] * 3  # type: ignore[attr-defined]
    assert row_name(dataset, scan, BY, 4) == "row 0 of a row group 1 [0:4] (id = 104)"
    assert row_name(dataset, scan, MARKS, 3) == "row 3 of a row group 0 [0:4]"
    assert Scan.empty().first.tolist() == [0]


def test_what_tells_a_file_apart_changes_with_any_fragment_of_it() -> None:
    before = scanned(Rows(table()).describe(), BY).contents
    after = scanned(Rows(table(at=[0] * 7 + [1] + [0] * 4)).describe(), BY).contents
    assert (before["a"] == after["a"], before["b"] == after["b"]) == (False, True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"at": [0] * 5 + [None] + [0] * 6}, r"row 1 of a row group 1 \[0:4\] \(id = 105\) has no at \(it is null\)"),
        ({"id": [*range(11), None]}, r"row 3 of b row group 0 \[0:4\] \(id = None\) has no id"),
        ({"at": [0.0] * 11 + [float("nan")]}, r"row 3 of b .* has no at"),
        (
            {"id": [*range(11), 2]},
            r"row 3 of b .*\(id = 2\) has the key of row 2 of a row group 0 .*a\s+key is of one row",
        ),
        ({"at": [[0]] * 12}, r"column 'at' is a list<.*keys and watermarks are single values"),
    ],
)
def test_rows_that_cannot_be_told_are_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        scanned(Rows(table(**changes)).describe(), BY)


def test_a_column_that_is_not_there_is_named_with_its_setting() -> None:
    for by, said in (
        (Tracking(("ident",), "at"), r"incremental\.key names column 'ident'; there are id, at, x"),
        (Tracking(("id",), "att"), r"incremental\.watermark names column 'att'.*Did you mean 'at'"),
    ):
        with pytest.raises(DataError, match=said):
            scanned(Rows(table()).describe(), by)


def test_equal_rows_have_one_digest_in_whatever_chunks_they_come() -> None:
    one, two = pa.table({"a": [1, 2, 3]}), pa.table({"a": pa.chunked_array([[1], [2, 3]])})
    assert digest_of(one) == digest_of(two.replace_schema_metadata({"k": "v"}))
    assert digest_of(one) != digest_of(pa.table({"a": [1, 3, 2]}))
    codes = pa.chunked_array([pa.array(["x", "y"]).dictionary_encode()])
    assert decoded(codes).to_pylist() == ["x", "y"]
    assert decoded(codes).type == pa.string()


def test_text_is_cut_into_pieces_that_stay_whole_and_rows_into_pieces_of_so_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scanning, "PIECE_BYTES", 15)
    monkeypatch.setattr(scanning, "PIECE_ROWS", 3)
    dataset = Rows(table(), "bytes").describe()
    cut = in_pieces(dataset)
    assert (len(cut.fragments), cut.divisible_by) == (9, None)  # 40 bytes each in pieces of 15
    assert in_small_pieces(cut) is cut
    by_rows = Rows(table()).describe()
    assert in_pieces(by_rows) is by_rows
    assert in_small_pieces(by_rows).fragments.rows.tolist() == [2] * 6
    unknown = Fragments.of([Fragment(0, "a", 0, 0, 4, -1, 40)])
    assert len(in_small_pieces(Dataset(by_rows.source, unknown, None, "rows")).fragments) == 1
