import gzip

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.csv import CsvSource
from connectors.files import FilesSource
from connectors.jsonl import JsonLinesSource
from connectors.libsvm import LibsvmSource
from connectors.memory import MemorySource
from connectors.parquet import ParquetSource
from connectors.resolve import resolve
from partitioner.errors import ConfigError, DataError, UnknownName
from partitioner.model.source import Source


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("x.parquet", ParquetSource),
        ("data/*.pq", ParquetSource),
        ("s3://bucket/a.b/*.parquet", ParquetSource),
        ("x.csv", CsvSource),
        ("x.CSV.gz", CsvSource),
        ("x.tsv", CsvSource),
        ("x.jsonl", JsonLinesSource),
        (["a.ndjson", "b.ndjson.gz"], JsonLinesSource),
        ("x.svm", LibsvmSource),
        ("sklearn://iris", MemorySource),
    ],
)
def test_the_extension_tells_the_connector(path, kind):
    assert type(resolve(path)) is kind


def test_a_directory_is_told_by_what_it_holds(tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "part-0.parquet")
    (tmp_path / "_SUCCESS").touch()
    assert type(resolve(tmp_path)) is ParquetSource


def test_a_directory_of_several_formats_is_refused(tmp_path):
    for name in ("a.csv", "b.jsonl"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match="files of several formats"):
        resolve(tmp_path)


def test_an_unknown_extension_lists_the_connectors(tmp_path):
    (tmp_path / "a.docx").touch()
    with pytest.raises(DataError, match=r"No connector for .*/a\.docx.*one of csv, .*jsonl, libsvm"):
        resolve(tmp_path)
    assert type(resolve(tmp_path, connector="files")) is FilesSource


def test_a_mapping_gives_connector_and_options(tmp_path):
    (tmp_path / "x.txt").write_text("a;b\n1;2\n")
    spec = {"connector": "csv", "path": str(tmp_path / "x.txt"), "delimiter": ";", "columns": ["b"]}
    dataset = resolve(spec).describe()
    (batch,) = dataset.source.read(dataset.fragments[0])
    assert batch.to_pydict() == {"b": [2]}


def test_a_mapping_without_connector_goes_by_extension():
    assert resolve({"path": "x.csv", "delimiter": ";"}) == CsvSource("x.csv", delimiter=";")


def test_a_table_may_have_a_column_named_path():
    assert resolve({"path": ["a", "b"], "size": [1, 2]}).describe().rows == 2


@pytest.mark.parametrize("options", [{"columns": ["a"]}, {"connector": "csv", "delimiter": ";"}])
def test_a_mapping_may_give_several_paths(options):
    assert len(resolve({"path": ["a.csv", "b.csv"], **options}).paths) == 2


@pytest.mark.parametrize("data", [pd.DataFrame({"a": [1]}), [{"a": 1}], {"a": [1]}, pa.table({"a": [1]})])
def test_tables_are_taken_from_memory(data):
    assert resolve(data).describe().rows == 1


def test_a_source_is_itself():
    source = ParquetSource("x.parquet")
    assert resolve(source) is source
    assert isinstance(source, Source)


def test_options_beside_a_source_are_refused():
    with pytest.raises(ConfigError, match=r"Options \['columns'\] were given beside a ParquetSource"):
        resolve(ParquetSource("x.parquet"), columns=["a"])


def test_an_unknown_connector_lists_those_there_are():
    with pytest.raises(UnknownName, match=r"No connector named 'parqet'; there are csv.*Did you mean 'parquet'"):
        resolve("x.parquet", connector="parqet")


def test_an_unknown_option_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"'csv' has no option 'delimeter'.*Did you mean 'delimiter'"):
        resolve("x.csv", delimeter=";")


@pytest.mark.parametrize("spec", [3, None, [], object()])
def test_what_is_no_input_is_refused(spec):
    with pytest.raises(DataError, match=r"of type|empty list"):
        resolve(spec)


@pytest.mark.parametrize(
    "name", ["what?.csv", "star*.csv", "br[a]ck.csv", "per%20cent.csv", "ha#sh.csv", "日本.csv", "what?.csv.gz"]
)
def test_any_character_may_be_in_the_name_of_a_local_file(tmp_path, name):
    data = b"id\n1\n2\n"
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    for given in (tmp_path / name, tmp_path):
        dataset = resolve(str(given)).describe()
        assert [b.to_pydict() for f in dataset.fragments for b in dataset.source.read(f)] == [{"id": [1, 2]}]


@pytest.mark.parametrize(
    ("spec", "text", "rows"),
    [
        ({"path": "a.txt"}, "hello\nworld\n", {"text": ["hello", "world"]}),
        ({"path": "a.txt", "fragment_bytes": 4}, "hello\nworld\n", {"text": ["hello", "world"]}),
        ({"path": "a.txt.gz"}, "hello\nworld\n", {"text": ["hello", "world"]}),
        ({"path": "a.csv", "header": False}, "1,a\n2,b\n", {"f0": [1, 2], "f1": ["a", "b"]}),
        ({"path": "a.csv.gz", "header": False}, "1,a\n2,b\n", {"f0": [1, 2], "f1": ["a", "b"]}),
        ({"path": "a.jsonl"}, '{"id": 1}\n{"id": 2}\n', {"id": [1, 2]}),
    ],
)
def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path, spec, text, rows):
    data = ("\ufeff" + text).encode()
    (tmp_path / spec["path"]).write_bytes(gzip.compress(data) if spec["path"].endswith(".gz") else data)
    dataset = resolve({**spec, "path": str(tmp_path / spec["path"])}).describe()
    batches = [batch for f in dataset.fragments for batch in dataset.source.read(f)]
    assert pa.Table.from_batches(batches).to_pydict() == rows


@pytest.mark.parametrize(
    ("name", "told"), [("a.xlsx", r"Give pandas\.read_excel"), ("a.json", r"\{'connector': 'jsonl', 'path': \.\.\.\}")]
)
def test_files_that_people_have_are_answered_with_the_way_in(tmp_path, name, told):
    (tmp_path / name).write_text("[]")
    with pytest.raises(DataError, match=told):
        resolve(str(tmp_path / name))
