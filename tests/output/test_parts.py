"""Parts of an output: what each input adds, in which order, and which files are taken whole or copied from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partitioner.errors import DataError, OutputExists
from partitioner.model import Fragment, Fragments, SubTasks
from partitioner.output import finishing
from partitioner.output.arranged import Arrangement
from partitioner.output.assembly import Part, assembled, part_of_run, parts_by_file, parts_of
from partitioner.output.finishing import _arranged, _parts_of_file, as_records, files_of, manifest_of
from partitioner.output.modes import Target
from partitioner.output.versions import Version
from partitioner.storage import Directory, read_parquet
from partitioner.store.run_directory import RunDirectory
from tests.store.records import has_checksums, record


def counts(read: int, out: int, written: int, aside: int) -> dict[str, int]:
    return {"rows_in": read, "rows_out": out, "rows_written": written, "quarantined": aside}


@pytest.fixture
def output(tmp_path: Path) -> Directory:
    """An output that holds ``a`` with x = 0..9 and ``b`` with x = 100..104."""
    directory = Directory(tmp_path / "out")
    for name, rows in (("a", range(10)), ("b", range(100, 105))):
        (tmp_path / "out" / "_versions" / "000001").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"x": rows}), tmp_path / "out" / "_versions" / "000001" / f"{name}.parquet")
    return directory


A, B = "_versions/000001/a.parquet", "_versions/000001/b.parquet"
KNOWN = {A: {"rows": 10, "sha256": "da"}, B: {"rows": 5, "sha256": "db"}}


def part(*pieces: tuple[str, int, int], **about: Any) -> Part:
    return Part(**{"path": "", "content": "", "counts": {}, "quarantine": (), "pieces": pieces, **about})


def x_of(output: Directory, name: str) -> list[int]:
    return list(read_parquet(output.get(name))["x"].to_pylist())


def test_whole_files_are_taken_as_they_are(output: Directory) -> None:
    files, parts = assembled(output, 2, [part((B, 0, 5)), part((A, 0, 4), (A, 4, 6))], KNOWN)
    assert files == [{"stored": B, "rows": 5, "sha256": "db"}, {"stored": A, "rows": 10, "sha256": "da"}]
    assert [p.pieces for p in parts] == [((B, 0, 5),), ((A, 0, 4), (A, 4, 6))]
    assert output.names("_versions/000002") == []


def test_of_other_files_the_rows_that_are_wanted_are_copied(output: Directory) -> None:
    given = [part((A, 2, 3), (A, 5, 1)), part((B, 0, 5)), part((A, 8, 2), (A, 6, 1))]
    files, parts = assembled(output, 2, given, KNOWN)
    kept = [f"_versions/000002/kept-{i:06d}.parquet" for i in range(3)]
    assert [(f["stored"], f["rows"]) for f in files] == [(kept[0], 4), (B, 5), (kept[1], 2), (kept[2], 1)]
    assert [x_of(output, name) for name in kept] == [[2, 3, 4, 5], [8, 9], [6]]
    assert [p.pieces for p in parts] == [
        ((kept[0], 0, 3), (kept[0], 3, 1)),
        ((B, 0, 5),),
        ((kept[1], 0, 2), (kept[2], 0, 1)),
    ]
    assert has_checksums(output.get(kept[0]))
    assert files[0]["sha256"] == hashlib.sha256(output.get(kept[0])).hexdigest()


def test_neighbours_of_two_parts_are_one_stretch(output: Directory) -> None:
    files, parts = assembled(output, 2, [part((A, 0, 4)), part((A, 4, 6))], KNOWN)
    assert [f["stored"] for f in files] == [A]
    assert [p.pieces for p in parts] == [((A, 0, 4),), ((A, 4, 6),)]


def test_rows_from_the_beginning_that_are_not_all_are_copied(output: Directory) -> None:
    files, _ = assembled(output, 2, [part((A, 0, 9))], KNOWN)
    assert (files[0]["rows"], files[0]["stored"]) == (9, "_versions/000002/kept-000000.parquet")
    assert x_of(output, files[0]["stored"]) == list(range(9))


def test_pieces_without_rows_are_left_out(output: Directory) -> None:
    files, parts = assembled(output, 2, [part((A, 0, 0)), part((B, 0, 5), (A, 3, 0))], KNOWN)
    assert ([f["stored"] for f in files], [p.pieces for p in parts]) == ([B], [(), ((B, 0, 5),)])


def test_a_part_says_its_section_only_where_it_has_one() -> None:
    plain = part(("f", 1, 2), path="in", content="c", counts=counts(3, 2, 2, 1), quarantine=("q",))
    expected = {"path": "in", "content": "c", **counts(3, 2, 2, 1), "quarantine": ["q"], "pieces": [[7, 1, 2]]}
    assert plain.to_json({"f": 7}) == expected
    section = part(("f", 1, 2), section=0, section_content="s").to_json({"f": 7})
    assert (section["section"], section["section_content"]) == (0, "s")


def test_parts_come_back_from_a_manifest() -> None:
    parts = [
        part(("f", 1, 2), ("g", 0, 1), path="in", content="c", counts=counts(3, 2, 2, 1), quarantine=("q",), section=3),
        part(path="other", content="d", counts=counts(0, 0, 0, 0)),
    ]
    manifest = {
        "files": [{"stored": "g", "path": "x"}, {"stored": "f", "path": "y"}],
        "inputs": [p.to_json({"g": 0, "f": 1}) for p in parts],
    }
    assert parts_of(manifest) == parts


def test_version_zero_is_one_part_of_whole_files() -> None:
    manifest = {
        "files": [{"path": "p", "rows": 3}, {"path": "q", "stored": "s", "rows": 4}],
        "counts": counts(7, 7, 7, 0),
    }
    assert parts_of(manifest) == [part(("p", 0, 3), ("s", 0, 4), counts=counts(7, 7, 7, 0))]


def tasks(*fragments: tuple[str, int]) -> SubTasks:
    """One fragment a sub-task: (path, section)."""
    made = [Fragment(i, path, section, 0, 1, 1, 1) for i, (path, section) in enumerate(fragments)]
    n = len(made)
    return SubTasks.build(
        [1.0] * n, fragments=Fragments.of(made), offsets=np.arange(n + 1), fragment_index=np.arange(n)
    )


def test_what_a_run_wrote_is_told_by_file_in_input_order() -> None:
    records = [
        record("t1", segments=((2, 3), (0, 4)), inputs=((2, 5, 2), (0, 4, 0)), quarantine="q1"),
        record("t0", segments=((1, 6),), inputs=((1, 6, 0),)),
    ]
    found = parts_by_file(records, tasks(("a", 0), ("a", 1), ("b", 0)), {"a": "ca", "b": "cb", "c": "cc"}, "run")
    assert found == {
        "a": {
            -1: part(
                ("part-t1.parquet", 3, 4),
                ("part-t0.parquet", 0, 6),
                path="a",
                content="ca",
                counts=counts(10, 10, 10, 0),
            )
        },
        "b": {
            -1: part(
                ("part-t1.parquet", 0, 3), path="b", content="cb", counts=counts(5, 3, 3, 2), quarantine=("run/q1",)
            )
        },
        "c": {},
    }


def test_sections_are_told_apart_where_their_content_is_known() -> None:
    records = [
        record("t0", segments=((0, 2), (1, 3)), inputs=((0, 2, 0), (1, 3, 1)), contents=("s0", "s1"), quarantine="q"),
        record("t1", segments=((2, 1),), inputs=((2, 2, 1),), contents=("",), quarantine="q2"),
    ]
    found = parts_by_file(records, tasks(("a", 0), ("a", 1), ("a", 1)), {"a": "ca"}, "run")["a"]
    assert sorted(found) == [0, 1]
    assert (found[0].section, found[0].section_content, found[0].quarantine) == (0, "s0", ())
    assert (found[1].section, found[1].section_content, found[1].quarantine) == (1, "s1", ("run/q", "run/q2"))
    assert found[1].counts == counts(5, 3, 4, 2)
    assert found[1].pieces == (("part-t0.parquet", 2, 3), ("part-t1.parquet", 0, 1))


def test_a_file_of_quarantined_rows_is_listed_once() -> None:
    records = [record("t0", segments=((0, 2), (1, 3)), inputs=((0, 3, 1), (1, 4, 1)), quarantine="q")]
    found = parts_by_file(records, tasks(("a", 0), ("a", 0)), {"a": "ca"}, "run")["a"][-1]
    assert (found.quarantine, found.counts["quarantined"]) == (("run/q",), 2)


def test_all_that_a_run_wrote_is_one_part_in_input_order() -> None:
    records = [record("t1", segments=((2, 3), (0, 4)), quarantine="q1"), record("t0", segments=((1, 6),))]
    pieces = (("part-t1.parquet", 3, 4), ("part-t0.parquet", 0, 6), ("part-t1.parquet", 0, 3))
    assert part_of_run(records, counts(13, 13, 13, 0), "run") == part(
        *pieces, counts=counts(13, 13, 13, 0), quarantine=("run/q1",)
    )


# a file in mode incremental


def of(path: str, section: int, **about: Any) -> Part:
    return part((f"{path}{section}", 0, 1), path=path, section=section, counts=counts(1, 1, 1, 0), **about)


def test_a_file_that_is_kept_stays_whole() -> None:
    before = {"a": [of("a", 1), of("a", 0)]}
    assert _parts_of_file("a", "new", Target(kept=("a",)), before, {0: of("x", 0)}) == before["a"]


def test_sections_that_are_kept_get_their_number_of_now_beside_those_that_ran() -> None:
    before = {"a": [of("a", 0), of("a", 1)]}
    target = Target(sections={"a": [(2, 0), (0, 1)]})
    found = _parts_of_file("a", "new", target, before, {1: of("a", 7)})
    assert [(p.section, p.pieces[0][0]) for p in found] == [(0, "a1"), (7, "a7"), (2, "a0")]
    assert [p.content for p in found] == ["new", "", "new"]


def test_what_ran_counts_before_what_was_kept() -> None:
    found = _parts_of_file("a", "new", Target(sections={"a": [(0, 0)]}), {"a": [of("a", 0)]}, {0: of("a", 9)})
    assert [p.pieces[0][0] for p in found] == ["a9"]


def test_a_file_of_no_rows_is_a_part_without_any() -> None:
    assert _parts_of_file("a", "new", Target(), {}, {}) == [part(path="a", content="new", counts=counts(0, 0, 0, 0))]


# manifests


def test_files_of_version_zero_get_a_home_among_the_versions() -> None:
    manifest = {"files": [{"path": "p", "rows": 3}, {"path": "x.csv"}]}
    assert files_of(Version(0, "r", "u", manifest)) == [{"path": "p", "rows": 3, "stored": "_versions/000000/p"}]
    assert files_of(Version(2, "r", "u", manifest)) == manifest["files"]
    assert (files_of(None), files_of(Version(2, "r", "u"))) == ([], [])


def test_a_manifest_names_files_by_place_version_and_sub_task(output: Directory, tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path / "runs" / "r7"))
    parts = [part((B, 0, 5), counts=counts(6, 5, 5, 1)), part((A, 0, 10), counts=counts(10, 10, 10, 0))]
    files = [{"stored": B, "rows": 5, "sha256": "db"}, {"stored": A, "rows": 10, "sha256": "da"}]
    found = manifest_of(output, run, Target(4, 3), files, parts)
    assert (found["version"], found["run_id"], found["run"]) == (4, "r7", run.url)
    assert found["counts"] == counts(16, 15, 15, 1)
    assert [f["path"] for f in found["files"]] == ["part-000000-000001-b.parquet", "part-000001-000001-a.parquet"]
    assert [f["size"] for f in found["files"]] == [output.entry(B).size, output.entry(A).size]  # type: ignore[union-attr]
    assert [i["pieces"] for i in found["inputs"]] == [[[0, 0, 5]], [[1, 0, 10]]]
    assert finishing._name("x/_versions/000001/part-t3.parquet", 2, False) == "part-000001-t3.parquet"
    assert finishing._name("x/_versions/000001/part-t3.parquet", 2, True) == "part-000002-000001-t3.parquet"


def test_files_of_a_version_are_records_in_order() -> None:
    files = [{"stored": "a", "rows": 3, "sha256": "d", "size": 9}, {"stored": "b", "rows": 4, "sha256": "e", "size": 8}]
    one, two = as_records({"files": files})
    assert (one.path, one.rows_in, one.rows_out, one.rows_written, one.quarantined) == ("a", 3, 3, 3, 0)
    assert (one.segments, two.segments, two.digest, two.size, two.task_key) == (((0, 3),), ((1, 4),), "e", 8, "b")


def test_rows_are_written_in_the_order_they_come_in_files_of_some_size(
    output: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = [pa.table({"x": [i, i]}) for i in range(5)]
    monkeypatch.setattr(finishing, "ARRANGED_BYTES", tables[0].nbytes * 2)
    found = list(_arranged(output, 3, iter(tables)))
    assert [facts["rows"] for _, facts in found] == [6, 4]
    assert [x_of(output, name) for name, _ in found] == [[0, 0, 1, 1, 2, 2], [3, 3, 4, 4]]
    assert [facts["sha256"] for _, facts in found] == [hashlib.sha256(output.get(n)).hexdigest() for n, _ in found]
    assert has_checksums(output.get(found[0][0]))
    assert list(_arranged(output, 3, iter([]))) == []


# rows back in order


class Placed:
    """A source whose fragment holds the rows at these places of the input."""

    def __init__(self, *places: list[int] | None) -> None:
        self.given = places

    def places(self, fragment: Fragment) -> Any:
        places = self.given[fragment.index]
        return None if places is None else np.array(places, np.int64)


def arranged(source: Placed, of: list[list[int]], records: list[Any]) -> Arrangement | None:
    made = [Fragment(i, "f", 0, 0, 1, len(p or ()), 1) for i, p in enumerate(source.given)]
    tasks = SubTasks.build(
        [1.0] * len(of),
        fragments=Fragments.of(made),
        offsets=np.cumsum([0, *map(len, of)]),
        fragment_index=np.array([i for task in of for i in task], np.int64),
    )
    return Arrangement.of(source, tasks, records)  # type: ignore[arg-type]


def test_fragments_in_order_need_no_arrangement() -> None:
    assert arranged(Placed(None), [[0]], [record("t000000")]) is None
    assert arranged(Placed(), [], []) is None


def rows_of(found: Arrangement, files: list[list[int]]) -> list[list[int]]:
    tables = [pa.table({"x": pa.array(rows, pa.int64())}) for rows in files]
    return [found.table(i, lambda file: tables[file])["x"].to_pylist() for i in range(len(found.groups))]


def test_rows_that_lie_between_each_other_are_put_in_order_together() -> None:
    source = Placed([0, 2], [1, 3], [4, 6], [5], [7])
    records = [record("t000000", rows_written=5), record("t000001", rows_written=3)]
    found = arranged(source, [[0, 2, 4], [1, 3]], records)
    assert found is not None
    assert found.groups == (
        ((0, 0, 2, 0, 2), (1, 0, 2, 1, 3)),
        ((0, 2, 2, 4, 6), (1, 2, 1, 5, 5)),
        ((0, 4, 1, 7, 7),),
    )
    assert rows_of(found, [[0, 2, 4, 6, 7], [1, 3, 5]]) == [[0, 1, 2, 3], [4, 5, 6], [7]]


def test_rows_set_aside_and_parts_keep_their_places() -> None:
    source = Placed([0, 2, 4], [1, 3, 5])
    records = [
        record("t000000", rows_written=0, split=True, part=(0, 6)),
        record("t000000.0-4", rows_written=3, part=(0, 4), left_out=((1, 2),)),
        record("t000000.4-6", rows_written=1, part=(4, 6), left_out=((0, 1),)),
    ]
    found = arranged(source, [[0, 1]], records)
    assert found is not None
    assert rows_of(found, [[], [0, 4, 1], [5]]) == [[0, 1, 4], [5]]


def test_a_file_of_other_rows_than_were_read_cannot_be_put_in_order() -> None:
    with pytest.raises(DataError, match="the output of sub-task t000000 has 2 rows for 3 rows read"):
        arranged(Placed([2, 0, 1]), [[0]], [record("t000000", rows_written=2)])


def test_of_two_files_the_one_that_does_not_fit_is_named() -> None:
    records = [record("t000001", rows_written=2), record("t000000", rows_written=2)]
    with pytest.raises(DataError, match="the output of sub-task t000000 has 2 rows for 3 rows read"):
        arranged(Placed([2, 0, 1], [3, 4]), [[0], [1]], records)


def test_the_places_of_a_file_are_told_with_those_set_aside() -> None:
    records = [record("t000001", rows_written=2), record("t000000", rows_written=2, quarantined=1, left_out=((1, 2),))]
    found = arranged(Placed([2, 0, 1], [4, 3]), [[0], [1]], records)
    assert found is not None
    told = [[places.tolist() for places in found.places_of(file)] for file in (0, 1)]
    assert told == [[[4, 3], []], [[2, 1], [0]]]


def test_an_output_whose_run_is_gone_is_made_anew(output: Directory) -> None:
    with pytest.raises(OutputExists, match="of run r, whose directory u with the rows is gone; mode='overwrite' makes"):
        finishing.adopted(output, Version(0, "r", "u", {"files": []}))
    assert finishing.adopted(output, Version(0, "r", "u"))[0] == []


def test_files_of_version_zero_are_copied_once(output: Directory) -> None:
    output.put("p.parquet", b"one")
    manifest = {"files": [{"path": "p.parquet", "rows": 1}], "counts": counts(1, 1, 1, 0)}
    ((found,), _) = finishing.adopted(output, Version(0, "r", "u", manifest))
    assert found.pieces == (("_versions/000000/p.parquet", 0, 1),)
    assert output.get("_versions/000000/p.parquet") == b"one"
    output.delete("p.parquet")
    assert len(finishing.adopted(output, Version(0, "r", "u", manifest))[0]) == 1
