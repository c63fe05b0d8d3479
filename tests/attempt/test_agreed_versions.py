"""Versions of the agreed schema, one by one: what each says, who made it, and what is read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from partitioner.attempt.agreement import Agreed, Agreement, agreed, cast
from partitioner.errors import ProgramError
from partitioner.storage import Directory


@pytest.fixture
def files(tmp_path: Path) -> Directory:
    return Directory(tmp_path)


def batch(**columns: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def schema(**kinds: pa.DataType) -> pa.Schema:
    return pa.schema(list(kinds.items()))


def test_before_the_first_there_is_none(files: Directory) -> None:
    assert Agreement(files).newest() is None
    assert list(agreed(iter([]), Agreement(files), "t0")) == []


def test_versions_are_numbered_files_that_say_who_was_first(files: Directory) -> None:
    agreement = Agreement(files)
    first = agreement.admit(schema(a=pa.int64(), b=pa.string()), "t0")
    assert first == Agreed(0, schema(a=pa.int64(), b=pa.string()), {"a": "t0", "b": "t0"}, {})
    second = agreement.admit(schema(a=pa.float64(), c=pa.bool_()), "t1")
    assert second.number == 1
    assert second.schema == schema(a=pa.float64(), b=pa.string(), c=pa.bool_())
    assert second.origin == {"a": "t1", "b": "t0", "c": "t1"}
    assert second.lacking == {"b": "t1", "c": "t0"}
    assert files.names() == ["schema/000000.json", "schema/000001.json"]
    assert Agreement(files).newest() == second


def test_the_first_to_lack_a_column_stays_noted(files: Directory) -> None:
    agreement = Agreement(files)
    agreement.admit(schema(a=pa.int64(), b=pa.int64()), "t0")
    agreement.admit(schema(a=pa.int64()), "t1")
    third = agreement.admit(schema(a=pa.int64()), "t2")
    assert (third.number, third.lacking) == (1, {"b": "t1"})


def test_what_fits_makes_no_version(files: Directory) -> None:
    agreement = Agreement(files)
    first = agreement.admit(schema(a=pa.float64()), "t0")
    assert agreement.admit(schema(a=pa.int64()), "t1") is first
    assert files.names() == ["schema/000000.json"]


def test_a_column_that_is_lacking_and_then_wider_keeps_both_notes(files: Directory) -> None:
    agreement = Agreement(files)
    agreement.admit(schema(a=pa.int64(), b=pa.int64()), "t0")
    agreement.admit(schema(a=pa.int64()), "t1")
    found = agreement.admit(schema(a=pa.int64(), b=pa.float64()), "t2")
    assert (found.origin, found.lacking) == ({"a": "t0", "b": "t2"}, {"b": "t1"})


def test_one_that_comes_too_late_goes_by_the_version_of_another(files: Directory) -> None:
    late, early = Agreement(files), Agreement(files)
    early.admit(schema(a=pa.int64()), "t0")
    late.newest()
    early.admit(schema(a=pa.float64()), "t1")
    found = late.admit(schema(a=pa.int64(), b=pa.string()), "t2")
    assert (found.number, found.schema) == (2, schema(a=pa.float64(), b=pa.string()))


def test_of_two_that_are_first_at_once_the_other_joins(files: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = Agreement(files), Agreement(files)
    monkeypatch.setattr(mine, "newest", lambda original=mine.newest: early(original))
    calls: list[int] = []

    def early(original: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            found = original()
            other.admit(schema(a=pa.float64()), "t9")
            return found
        return original()

    assert mine.admit(schema(a=pa.int64()), "t0").origin == {"a": "t9"}
    assert len(calls) == 2


def test_what_is_known_is_not_read_again(files: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    agreement = Agreement(files)
    agreement.admit(schema(a=pa.int64()), "t0")
    asked: list[str] = []
    get = files.get
    monkeypatch.setattr(files, "get", lambda name: (asked.append(name), get(name))[1])
    agreement.admit(schema(a=pa.int64()), "t1")
    assert asked == []
    agreement.newest()
    assert asked == ["schema/000001.json"]


def test_a_schema_without_columns_takes_some_and_had_no_rows_that_lack_them(files: Directory) -> None:
    agreement = Agreement(files)
    agreement.admit(pa.schema([]), "t0")
    assert agreement.admit(schema(a=pa.int64()), "t1").lacking == {}


def test_a_batch_of_the_agreed_schema_is_the_same_object(files: Directory) -> None:
    given = batch(a=[1])
    version = Agreement(files).admit(given.schema, "t0")
    assert cast(given, version, "t0") is given


def test_an_attempt_goes_on_where_only_who_lacks_a_column_is_new(files: Directory) -> None:
    Agreement(files).admit(schema(a=pa.int64(), b=pa.int64()), "t0")
    found = list(agreed(iter([batch(a=[1], b=[2]), batch(a=[3])]), Agreement(files), "t1"))
    assert [b.to_pydict() for b in found] == [{"a": [1], "b": [2]}, {"a": [3], "b": [None]}]


def test_rows_there_were_need_no_empty_batch(files: Directory) -> None:
    assert len(list(agreed(iter([batch(a=[1])]), Agreement(files), "t0"))) == 1


def test_types_that_no_rule_brings_together_name_the_first_of_that_type(files: Directory) -> None:
    agreement = Agreement(files)
    agreement.admit(schema(a=pa.int64()), "t0")
    agreement.admit(schema(a=pa.float64()), "t1")
    with pytest.raises(ProgramError, match="column 'a' as string in sub-task t2 and as double in sub-task t1"):
        agreement.admit(schema(a=pa.string()), "t2")
