import pyarrow as pa
import pytest

from connectors.jsonl import JsonLinesSource
from partitioner.errors import DataError
from tests.connectors.reading import rows


def test_types_are_united_over_samples(tmp_path):
    (tmp_path / "1.jsonl").write_text('{"a": 1, "o": {"x": 1}, "l": [], "n": null}\n')
    (tmp_path / "2.jsonl").write_text('{"a": 2.5, "o": {"y": "s"}, "l": [1]}\n{"b": true}\n')
    dataset = JsonLinesSource(tmp_path).describe()
    assert dataset.schema == pa.schema(
        {
            "a": pa.float64(),
            "o": pa.struct({"x": pa.int64(), "y": pa.string()}),
            "l": pa.list_(pa.int64()),
            "n": pa.string(),
            "b": pa.bool_(),
        }
    )
    assert rows(dataset, ["b", "a"]) == [{"b": None, "a": 1.0}, {"b": None, "a": 2.5}, {"b": True, "a": None}]


def late_field(tmp_path):
    lines = ['{"a": 1}'] * 400_000
    lines[30_000] = '{"a": 1, "late": 2}'
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_a_field_outside_the_samples_is_an_error_that_names_it(tmp_path):
    dataset = JsonLinesSource(late_field(tmp_path)).describe()
    with pytest.raises(DataError, match=r"x\.jsonl.*field 'late' was not in the samples"):
        rows(dataset)


def test_unknown_fields_can_be_dropped(tmp_path):
    dataset = JsonLinesSource(late_field(tmp_path), ignore_unknown=True, fragment_bytes=100_000).describe()
    assert sum(row["a"] for row in rows(dataset)) == 400_000


def test_an_object_over_several_lines_is_refused(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n{"a":\n2}\n')
    with pytest.raises(DataError, match=r"x\.jsonl.*not exactly one JSON object"):
        rows(JsonLinesSource(tmp_path, schema=pa.schema({"a": pa.int64()})).describe())


@pytest.mark.parametrize(
    ("text", "message"), [("[1]\n", "from object to array"), ('{"a": 1}\n{"a": "x"}\n', "from number to string")]
)
def test_what_is_not_one_kind_of_object_is_refused(tmp_path, text, message):
    (tmp_path / "x.jsonl").write_text(text)
    with pytest.raises(DataError, match=message):
        JsonLinesSource(tmp_path).describe()


def test_a_schema_given_infers_nothing(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n')
    dataset = JsonLinesSource(tmp_path, schema=pa.schema({"a": pa.float32(), "b": pa.string()})).describe()
    assert rows(dataset) == [{"a": 1.0, "b": None}]


def test_a_schema_may_be_names_of_types(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n')
    dataset = JsonLinesSource(tmp_path, schema={"a": "double", "b": "string"}).describe()
    assert dataset.schema == pa.schema({"a": pa.float64(), "b": pa.string()})


def test_an_empty_file_is_an_empty_dataset(tmp_path):
    (tmp_path / "x.jsonl").write_text("")
    dataset = JsonLinesSource(tmp_path).describe()
    assert (len(dataset.fragments), dataset.rows) == (0, 0)


def test_a_byte_order_mark_is_skipped(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n', "utf-8-sig")
    assert rows(JsonLinesSource(tmp_path).describe()) == [{"a": 1}]
