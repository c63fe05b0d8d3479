import gzip

import numpy as np
import pyarrow as pa
import pytest

from connectors.csv import CsvSource
from partitioner.errors import ConfigError, DataError
from tests.connectors.reading import rows


def write(path, text, encoding="utf8"):
    path.write_bytes(text.encode(encoding))
    return path


def test_fragments_are_byte_ranges_after_the_header(tmp_path):
    write(tmp_path / "x.csv", "a,b\n" + "1,2\n" * 10)
    fragments = CsvSource(tmp_path, fragment_bytes=16).describe().fragments
    assert [(fragments[i].start, fragments[i].stop, fragments[i].rows) for i in range(len(fragments))] == [
        (4, 17, -1),
        (17, 30, -1),
        (30, 44, -1),
    ]


def test_types_are_inferred_once_over_the_whole_input(tmp_path):
    write(tmp_path / "1.csv", "i,x,s,d,n\n1,1,1,2024-01-01,\n")
    write(tmp_path / "2.csv", "i,x,s,d,n\n2,2.5,two,2024-01-01 10:00:00,\n")
    dataset = CsvSource(tmp_path).describe()
    assert dataset.schema == pa.schema(
        {"i": pa.int64(), "x": pa.float64(), "s": pa.string(), "d": pa.timestamp("s"), "n": pa.string()}
    )
    assert [(r["i"], r["x"], r["s"]) for r in rows(dataset)] == [(1, 1.0, "1"), (2, 2.5, "two")]


def test_types_fix_some_columns(tmp_path):
    write(tmp_path / "x.csv", "zip,n\n01234,1\n")
    dataset = CsvSource(tmp_path, types={"zip": "string"}).describe()
    assert rows(dataset) == [{"zip": "01234", "n": 1}]


def test_types_of_an_unknown_column_are_refused(tmp_path):
    write(tmp_path / "x.csv", "zip,n\n01234,1\n")
    with pytest.raises(ConfigError, match=r"'zipp' that the input lacks; it has zip, n\. Did you mean 'zip'"):
        CsvSource(tmp_path, types={"zipp": "string"}).describe()


def test_an_unknown_type_is_refused():
    with pytest.raises(ConfigError, match="Column 'a' has no type 'integr'"):
        CsvSource("x.csv", types={"a": "integr"})


def test_a_value_that_does_not_fit_names_file_and_remedy(tmp_path):
    write(tmp_path / "x.csv", "n\n1\nmany\n")
    dataset = CsvSource(tmp_path, types={"n": "int64"}).describe()
    with pytest.raises(DataError, match=r"x\.csv.*invalid value 'many'.*types="):
        rows(dataset)


def test_a_line_with_too_few_values_names_the_file(tmp_path):
    write(tmp_path / "x.csv", "a,b\n1,2\n3\n")
    with pytest.raises(DataError, match=r"x\.csv.*Expected 2 columns, got 1"):
        rows(CsvSource(tmp_path, schema=pa.schema({"a": pa.int64(), "b": pa.int64()})).describe())


def test_without_header(tmp_path):
    write(tmp_path / "x.csv", "1,a\n2,b\n")
    assert rows(CsvSource(tmp_path, header=False).describe()) == [{"f0": 1, "f1": "a"}, {"f0": 2, "f1": "b"}]
    named = CsvSource(tmp_path, header=False, column_names=["n", "s"]).describe()
    assert rows(named, ["s"]) == [{"s": "a"}, {"s": "b"}]


def test_tabs_are_the_delimiter_of_tsv(tmp_path):
    write(tmp_path / "x.tsv", "a\tb\n1,5\tx\n")
    assert rows(CsvSource(tmp_path / "x.tsv").describe()) == [{"a": "1,5", "b": "x"}]


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path):
    write(tmp_path / "x.csv", "a,b\n1,2\n", "utf-8-sig")
    assert rows(CsvSource(tmp_path).describe()) == [{"a": 1, "b": 2}]


def test_latin_1(tmp_path):
    write(tmp_path / "x.csv", "größe\nmüde\n", "latin-1")
    assert rows(CsvSource(tmp_path, encoding="latin-1").describe()) == [{"größe": "müde"}]


def test_an_encoding_of_wide_characters_is_refused():
    with pytest.raises(ConfigError, match="encoding 'utf-16' has no single-byte line end"):
        CsvSource("x.csv", encoding="utf-16")


def test_null_values(tmp_path):
    write(tmp_path / "x.csv", "n,s\n-,-\n2,x\n")
    dataset = CsvSource(tmp_path, null_values=["-"], strings_can_be_null=True).describe()
    assert rows(dataset) == [{"n": None, "s": None}, {"n": 2, "s": "x"}]


def test_files_with_another_header_are_named(tmp_path):
    write(tmp_path / "1.csv", "a,b\n1,2\n")
    write(tmp_path / "2.csv", "b,a\n1,2\n")
    with pytest.raises(DataError, match=r"2\.csv has the columns b, a; expected are a, b, as in .*1\.csv"):
        CsvSource(tmp_path).describe()


def test_a_repeated_column_name_is_refused(tmp_path):
    write(tmp_path / "x.csv", "a,a\n1,2\n")
    with pytest.raises(DataError, match=r"x\.csv has more than one column named 'a'"):
        CsvSource(tmp_path).describe()


@pytest.mark.parametrize("text", ["a,b\n", "a,b", ""])
def test_files_without_rows_are_an_empty_dataset(tmp_path, text):
    write(tmp_path / "x.csv", text)
    dataset = CsvSource(tmp_path).describe()
    assert (len(dataset.fragments), dataset.rows) == (0, 0)
    assert dataset.schema.names == (["a", "b"] if text else [])


@pytest.mark.parametrize("newlines_in_values", [False, True])
@pytest.mark.parametrize("body", ["", "1,x\n2,y\n"])
def test_compressed_files_are_read_whole(tmp_path, body, newlines_in_values):
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(f"number,{'long' * 100}\n{body}".encode()))
    dataset = CsvSource(tmp_path, newlines_in_values=newlines_in_values).describe()
    assert (len(dataset.fragments), dataset.divisible_by) == (1, None)
    assert [tuple(r.values()) for r in rows(dataset)] == ([(1, "x"), (2, "y")] if body else [])


def test_a_cut_compressed_fragment_is_refused(tmp_path):
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"a\n1\n2\n"))
    dataset = CsvSource(tmp_path).describe()
    finer, _ = dataset.fragments.cut(np.array([2]))
    with pytest.raises(DataError, match="can only be read whole"):
        list(dataset.source.read(finer[1]))


@pytest.mark.parametrize("newlines_in_values", [False, True])
@pytest.mark.parametrize(
    "damage", [lambda d: d[:200_000], lambda d: d[:150_000] + b"?" * 9 + d[150_009:], lambda d: b"a\n1\n"]
)
def test_a_damaged_compressed_file_is_named(tmp_path, damage, newlines_in_values):
    body = "".join(f"{i * 7919 % 1_000_003}\n" for i in range(100_000))
    (tmp_path / "x.csv.gz").write_bytes(damage(gzip.compress(f"a\n{body}".encode())))
    source = CsvSource(tmp_path, newlines_in_values=newlines_in_values)
    with pytest.raises(DataError, match=r"Cannot uncompress .*x\.csv\.gz as gzip"):
        rows(source.describe())


def test_types_are_inferred_where_a_sample_ends_within_a_value(tmp_path):
    write(tmp_path / "x.csv", 'n,s\n1,"short"\n2,"' + "many words\n" * 60_000 + '"\n')
    dataset = CsvSource(tmp_path, newlines_in_values=True).describe()
    assert dataset.schema == pa.schema({"n": pa.int64(), "s": pa.string()})
    assert [len(row["s"]) for row in rows(dataset)] == [5, 660_000]


def test_plain_and_compressed_files_mix(tmp_path):
    write(tmp_path / "1.csv", "a\n1\n")
    (tmp_path / "2.csv.gz").write_bytes(gzip.compress(b"a\n2\n"))
    assert rows(CsvSource(tmp_path).describe()) == [{"a": 1}, {"a": 2}]


def test_binary_input_is_refused(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"\x00\x01" * 300_000)
    with pytest.raises(DataError, match=r"x\.csv: no line end in the first 262144 bytes"):
        CsvSource(tmp_path).describe()


def test_lines_that_end_in_a_carriage_return_alone_are_refused(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"a,b\r1,2\r3,4\r")
    with pytest.raises(DataError, match=r"x\.csv ends its lines by a carriage return alone"):
        CsvSource(tmp_path).describe()


def test_a_header_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes("id,name\n1,a\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"a\.csv: its first line is no utf8 text.*Give its encoding=; convert UTF-16"):
        CsvSource(str(tmp_path / "a.csv")).describe()
