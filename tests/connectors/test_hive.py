import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.parquet import ParquetSource
from partitioner.errors import DataError


@pytest.fixture
def tree(tmp_path):
    for name, rows in {
        "year=2023/c=de": [1, 2],
        "year=2024/c=a%20b": [3],
        "year=2024/c=__HIVE_DEFAULT_PARTITION__": [4],
    }.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        pq.write_table(pa.table({"a": rows, "b": rows}), tmp_path / "data" / name / "part-0.parquet")
    return tmp_path / "data"


def rows(dataset, columns=None, source=None):
    return [
        row
        for i in range(len(dataset.fragments))
        for b in (source or dataset.source).read(dataset.fragments[i], columns)
        for row in b.to_pylist()
    ]


def test_names_of_columns_are_written_as_values_are(tmp_path):
    (tmp_path / "a%2Fb=x").mkdir()
    pq.write_table(pa.table({"v": [1]}), tmp_path / "a%2Fb=x" / "part-0.parquet")
    assert rows(ParquetSource(tmp_path).describe()) == [{"v": 1, "a/b": "x"}]


def test_directories_become_columns(tree):
    source = ParquetSource(tree)
    dataset = source.describe()
    assert dataset.schema == pa.schema({"a": pa.int64(), "b": pa.int64(), "year": pa.int64(), "c": pa.string()})
    expected = [
        {"a": 1, "b": 1, "year": 2023, "c": "de"},
        {"a": 2, "b": 2, "year": 2023, "c": "de"},
        {"a": 4, "b": 4, "year": 2024, "c": None},
        {"a": 3, "b": 3, "year": 2024, "c": "a b"},
    ]
    assert rows(dataset) == rows(dataset, source=source) == expected
    assert list(dataset.fragments[0].features) == ["bytes:a", "bytes:b"]


def test_they_are_selected_like_others(tree):
    dataset = ParquetSource(tree, columns=["year", "a"]).describe()
    assert rows(dataset) == [{"year": y, "a": a} for y, a in ((2023, 1), (2023, 2), (2024, 4), (2024, 3))]
    assert rows(dataset, ["year"]) == [{"year": 2023}, {"year": 2023}, {"year": 2024}, {"year": 2024}]
    assert rows(dataset, []) == [{}, {}, {}, {}]


def test_a_directory_that_the_path_names_is_no_column(tree):
    assert ParquetSource(tree / "year=2024").describe().schema.names == ["a", "b", "c"]
    assert ParquetSource(tree / "year=2024" / "*" / "*.parquet").describe().schema.names == ["a", "b", "c"]
    assert ParquetSource(tree / "year=*" / "**" / "*.parquet").describe().schema.names == ["a", "b", "year", "c"]


def test_values_that_are_not_all_whole_numbers_are_text(tree):
    (tree / "year=next" / "c=x").mkdir(parents=True)
    pq.write_table(pa.table({"a": [5], "b": [5]}), tree / "year=next" / "c=x" / "part-0.parquet")
    dataset = ParquetSource(tree).describe()
    assert [row["year"] for row in rows(dataset)] == ["2023", "2023", "2024", "2024", "next"]


def test_a_column_of_the_file_wins_over_its_directory(tree):
    for path in tree.rglob("*.parquet"):
        pq.write_table(pa.table({"a": [9], "year": ["own"]}), path)
    assert rows(ParquetSource(tree).describe(), ["year", "c"])[0] == {"year": "own", "c": "de"}


def test_a_file_outside_the_directories_is_named(tree):
    pq.write_table(pa.table({"a": [9], "b": [9]}), tree / "stray.parquet")
    with pytest.raises(
        DataError, match=r"year=2023.* lies in partition directories \['year', 'c'\], .*stray\.parquet in \[\]"
    ):
        ParquetSource(tree).describe()
