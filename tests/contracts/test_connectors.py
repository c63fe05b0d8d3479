"""Every registered connector keeps the laws of a source."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.csv import CsvSource
from connectors.files import FilesSource
from connectors.jsonl import JsonLinesSource
from connectors.libsvm import LibsvmSource
from connectors.memory import MemorySource
from connectors.parquet import ParquetSource
from partitioner import registry
from partitioner.testing.connectors import SOURCE_LAWS, SourceCase

ROWS = pa.table({"name": ["ada", "bo", "cy", "di", "ed"], "size": [1, 22, 333, 4444, 55555], "part": [0.5, 1, 2, 3, 4]})


def case(source, write, files, expected=lambda _: ROWS):
    """A case over ``files`` (name to content); changing it makes the first file shorter."""

    def make(directory):
        for name, content in files.items():
            write(directory / name, content)
        return source(directory)

    def change(directory):
        name, content = next(iter(files.items()))
        write(
            directory / name, content.slice(0, content.num_rows - 1) if isinstance(content, pa.Table) else content[:-1]
        )
        return source(directory)

    return SourceCase(make, expected, change)


def write_parquet(path, table):
    pq.write_table(table, path, row_group_size=2)


def text(path, content):
    path.write_bytes(content.encode())


def memory():
    expected = ROWS
    return SourceCase(lambda _: MemorySource(expected), lambda _: expected, lambda _: MemorySource(expected.slice(1)))


def files_table(directory):
    texts = ["alpha", "", "gamma\n"]
    paths = [str(directory / name) for name in ("a.txt", "b.txt", "c.txt")]
    schema = pa.schema([("path", pa.string()), ("text", pa.large_string()), ("size", pa.int64())])
    return pa.table([paths, texts, [5, 0, 6]], schema=schema)


CSV = {
    "1.csv": "name,size,part\nada,1,0.5\nbo,22,1\n",
    "2.csv": "name,size,part\r\ncy,333,2\r\n\r\ndi,4444,3\r\ned,55555,4",
}
JSON = {
    "1.jsonl": '{"name":"ada","size":1,"part":0.5}\n{"name":"bo","size":22,"part":1}\n{"name":"cy","size":333,"part":2}\n',
    "2.jsonl": '\n{"size":4444,"name":"di","part":3.0}\n\n{"name":"ed","size":55555,"part":4}',
}
SVM = {"1.svm": "1 1:0.5 3:2\n-1 2:1\n", "2.svm": "1\n-1 1:1 2:1 3:1 # all\n1 3:4e1"}
SPARSE = pa.table(
    {
        "label": [1.0, -1.0, 1.0, -1.0, 1.0],
        "indices": pa.array([[0, 2], [1], [], [0, 1, 2], [2]], pa.list_(pa.int32())),
        "values": [[0.5, 2.0], [1.0], [], [1.0, 1.0, 1.0], [40.0]],
    }
)

CASES = {
    "csv": case(CsvSource, text, CSV),
    "files": case(FilesSource, text, {"a.txt": "alpha", "b.txt": "", "c.txt": "gamma\n"}, files_table),
    "jsonl": case(JsonLinesSource, text, JSON),
    "libsvm": case(LibsvmSource, text, SVM, lambda _: SPARSE),
    "memory": memory(),
    "parquet": case(ParquetSource, write_parquet, {"1.parquet": ROWS.slice(0, 3), "2.parquet": ROWS.slice(3)}),
}
VARIANTS = {
    "csv, small fragments": case(lambda d: CsvSource(d, fragment_bytes=9), text, CSV),
    "jsonl, small fragments": case(lambda d: JsonLinesSource(d, fragment_bytes=9), text, JSON),
    "csv, values with line ends allowed": case(lambda d: CsvSource(d, newlines_in_values=True), text, CSV),
    "memory, materialised": replace(
        memory(),
        make=lambda d: MemorySource(ROWS).materialise(d),
        change=lambda d: MemorySource(ROWS.slice(1)).materialise(d),
    ),
}


def test_every_registered_connector_has_a_case():
    frames = {"dask_frame", "spark_frame"}  # tests/connectors/test_frames.py has their cases and clusters
    assert set(registry.built_in("connectors")) == CASES.keys() | frames


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_connector_is_registered_as_the_name_it_has(name, tmp_path):
    assert CASES[name].make(tmp_path).name == name
    assert type(CASES[name].make(tmp_path)) is registry.load("connectors", name)


@pytest.mark.parametrize("law", SOURCE_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", sorted(CASES | VARIANTS))
def test_law(law, name, tmp_path):
    law((CASES | VARIANTS)[name], tmp_path)
