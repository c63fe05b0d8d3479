"""Tallies, records, formats and quarantined rows, as literal values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partitioner.attempt import formats
from partitioner.attempt.formats import FORMATS, column_to_numpy, table_to_batch
from partitioner.attempt.isolate import poison_table, quarantine_name, rows_digest, store_quarantined
from partitioner.attempt.record import is_split, part_of, record_of
from partitioner.attempt.tally import Tally
from partitioner.errors import MissingDependency
from partitioner.measure import Measurement
from partitioner.model import Attempt
from partitioner.storage import Directory
from tests.store.records import has_checksums

BATCH = pa.RecordBatch.from_pydict({"x": [10, 11, 12]})


def test_a_tally_counts_good_and_bad_rows() -> None:
    tally = Tally()
    tally.count(BATCH, {})
    tally.count(BATCH, {2: "two", 0: "zero"})
    tally.count(BATCH, {1: "one"})
    assert (tally.rows_out, tally.quarantined) == (6, 3)
    assert [(rows.to_pydict(), reasons) for rows, reasons in tally.poison] == [
        ({"x": [10, 12]}, ["zero", "two"]),
        ({"x": [11]}, ["one"]),
    ]


PLAIN = {
    "rows_in": 3, "rows_out": 2, "rows_written": 2, "quarantined": 0, "quarantine_digest": "", "bytes_read": 8,
    "segments": [(0, 2)],
}  # fmt: skip


def test_facts_hold_only_what_there_is() -> None:
    tally = Tally(rows_in=3, rows_out=2, rows_written=2, bytes_read=8, segments=[(0, 2)])
    assert tally.facts() == PLAIN
    tally.part, tally.key, tally.inputs, tally.contents, tally.left_out = (0, 3), "k", [(0, 3, 1)], ["c"], [5, 2, 3]
    more = {"part": (0, 3), "key": "k", "inputs": [(0, 3, 1)], "contents": ["c"], "left_out": ((2, 4), (5, 6))}
    assert tally.facts() == {**PLAIN, **more}


def test_facts_make_the_quarantined_rows_and_their_digest() -> None:
    tally = Tally()
    tally.count(BATCH, {2: "two"})
    facts = tally.facts()
    assert tally.quarantine is not None
    assert tally.quarantine.to_pydict() == {"x": [12], "_error": ["two"]}
    assert facts["quarantine_digest"] == rows_digest(tally.quarantine) != ""


def test_the_digest_is_of_rows_and_not_of_errors_or_chunks() -> None:
    def digest(*parts: tuple[list[int], list[str]]) -> str:
        made = [(pa.RecordBatch.from_pydict({"x": pa.array(rows, pa.int64())}), why) for rows, why in parts]
        return rows_digest(poison_table(made))

    assert digest(([1, 2], ["a", "b"])) == digest(([1], ["c"]), ([2], ["d"]))
    assert digest(([1], ["a"])) != digest(([2], ["a"]))


def test_metadata_is_no_part_of_the_digest() -> None:
    table = poison_table([(BATCH, ["a", "b", "c"])])
    assert rows_digest(table) == rows_digest(table.replace_schema_metadata({"pandas": "x"}))


def test_quarantined_rows_lie_under_attempt_and_digest(tmp_path: Path) -> None:
    table = poison_table([(BATCH.slice(0, 1), ["a"])])
    name = store_quarantined(Directory(tmp_path), Attempt("t", 0, 3, "w", "u"), table, "0123456789abcdef0")
    assert name == quarantine_name("t-a3", "0123456789abcdef0") == "quarantine/t-a3-0123456789abcdef.parquet"
    assert pq.read_table(tmp_path / name).to_pydict() == {"x": [10], "_error": ["a"]}
    assert has_checksums((tmp_path / name).read_bytes())


FACTS: dict[str, Any] = {
    **PLAIN, "path": "p", "digest": "d", "size": 5, "tag": "e", "segments": [[0, 2]], "quarantine_digest": "q",
}  # fmt: skip


def made(facts: dict[str, Any], tally: Tally) -> Any:
    return record_of(Attempt("t", 0, 1, "w", "u"), {**FACTS, **facts}, tally, Measurement(), 2.5, 100.0)


def test_a_record_is_of_the_output_that_counts() -> None:
    record = made({}, Tally(read_seconds=0.5, rows_in=99))
    assert (record.task_key, record.attempt_id, record.worker_id, record.path) == ("t", "t-a1", "w", "p")
    assert (record.rows_in, record.rows_out, record.rows_written, record.bytes_read) == (3, 2, 2, 8)
    assert (record.load_seconds, record.read_seconds, record.started) == (2.5, 0.5, 100.0)
    assert (record.digest, record.size, record.tag, record.segments) == ("d", 5, "e", ((0, 2),))
    assert (record.inputs, record.left_out, record.contents, record.part, record.split) == ((), (), (), None, False)
    assert record.finished > 1e9


@pytest.mark.parametrize(("digest", "path"), [("q", "mine"), ("other", "")])
def test_an_attempt_s_own_rows_aside_count_where_the_output_lists_them(digest: str, path: str) -> None:
    record = made({}, Tally(quarantine_path="mine", quarantine_digest=digest))
    assert (record.quarantine, record.quarantine_digest) == (path, "q")


def test_facts_of_json_become_tuples() -> None:
    facts = {"inputs": [[0, 3, 1]], "left_out": [[2, 4]], "contents": ["c"], "part": [0, 3], "split": True}
    record = made(facts, Tally())
    assert (record.inputs, record.left_out, record.contents) == (((0, 3, 1),), ((2, 4),), ("c",))
    assert (record.part, record.split) == ((0, 3), True)
    assert (is_split({}), is_split({"split": True}), part_of({}), part_of({"part": [1, 2]})) == (
        False,
        True,
        None,
        (1, 2),
    )


def test_columns_become_arrays() -> None:
    vectors = pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], pa.list_(pa.float64(), 2))
    assert column_to_numpy(vectors).tolist() == [[1, 2], [3, 4], [5, 6]]
    assert column_to_numpy(vectors.slice(1)).tolist() == [[3, 4], [5, 6]]
    found = FORMATS["numpy"](pa.RecordBatch.from_pydict({"v": vectors, "x": [1, 2, 3], "s": ["a", None, "b"]}))
    assert (found["v"].shape, found["x"].tolist(), found["s"].tolist()) == ((3, 2), [1, 2, 3], ["a", None, "b"])
    assert FORMATS["rows"](BATCH) == [{"x": 10}, {"x": 11}, {"x": 12}]
    assert FORMATS["arrow"](BATCH) is BATCH


def test_tensors_are_copies_of_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    class Torch:
        @staticmethod
        def from_numpy(array: Any) -> tuple[str, Any]:
            array[:1] = 0
            return ("tensor", array)

    monkeypatch.setattr(formats, "_package", lambda name: Torch)
    given = pa.RecordBatch.from_pydict({"x": [1, 2], "f": [0.5, 1.5], "b": [True, False], "s": ["a", "b"]})
    found = FORMATS["torch"](given)
    assert [found[n][0] for n in "xfb"] == ["tensor"] * 3
    assert found["s"].tolist() == ["a", "b"]
    assert given.column("x").to_pylist() == [1, 2]
    assert isinstance(found["s"], np.ndarray)


def test_a_package_that_is_not_there_is_named_with_the_command() -> None:
    with pytest.raises(
        MissingDependency, match='batch_format = "nowhere" needs nowhere on the workers: pip install no'
    ):
        formats._package("nowhere")


def test_tables_become_one_batch() -> None:
    two = pa.concat_tables([pa.table({"x": [1]}), pa.table({"x": [2]})])
    assert table_to_batch(two).to_pydict() == {"x": [1, 2]}
    assert table_to_batch(two.schema.empty_table()).to_pydict() == {"x": []}
    assert table_to_batch(two.schema.empty_table()).schema == two.schema
    assert table_to_batch(pa.table({"x": [1]})).to_pydict() == {"x": [1]}
