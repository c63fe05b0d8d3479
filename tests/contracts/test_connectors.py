"""Every registered connector keeps the laws of a source."""

import io
import sqlite3
import tarfile
from contextlib import closing
from dataclasses import replace

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from PIL import Image
from pyiceberg.catalog import load_catalog

from connectors.csv import CsvSource
from connectors.delta import DeltaSource
from connectors.files import FilesSource
from connectors.iceberg import IcebergSource
from connectors.images import ImagesSource
from connectors.ipc import IpcSource
from connectors.jsonl import JsonLinesSource
from connectors.libsvm import LibsvmSource
from connectors.memory import MemorySource
from connectors.parquet import ParquetSource
from connectors.pyarrow_dataset import ArrowDatasetSource
from connectors.sql import SqlSource
from connectors.text import TextSource
from connectors.webdataset import WebDatasetSource
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


def write_ipc(path, table):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def write_image(path, size):
    Image.new("RGB", size, (10, 20, 30)).save(path)


def images_case():
    def make(directory):
        for name, size in SIZES.items():
            write_image(directory / name, size)
        return ImagesSource(directory)

    def expected(directory):
        paths = [directory / name for name in SIZES]
        rows = [
            {"path": str(p), "image": p.read_bytes(), "width": w, "height": h}
            for p, (w, h) in zip(paths, SIZES.values(), strict=True)
        ]
        return pa.Table.from_pylist(rows, ImagesSource(directory).schema)

    def change(directory):
        write_image(directory / "a.png", (900, 900))
        return ImagesSource(directory)

    return SourceCase(make, expected, change)


SIZES = {"a.png": (4, 3), "b.jpg": (8, 2), "c.bmp": (5, 5)}


def write_tar(path, samples):
    with tarfile.open(path, "w") as tar:
        for name, content in samples:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def webdataset_case():
    samples = [("s1.txt", b"one"), ("s1.bin", b"1"), ("s2.txt", b"two"), ("s3.txt", b"three"), ("s3.bin", b"333")]

    def make(directory):
        write_tar(directory / "0.tar", samples)
        return WebDatasetSource(directory)

    def change(directory):
        write_tar(directory / "0.tar", [*samples, ("s4.txt", b"x" * 20_000)])
        return WebDatasetSource(directory)

    kinds = pa.schema([("__key__", pa.string()), ("txt", pa.string()), ("bin", pa.large_binary())])
    table = pa.table([["s1", "s2", "s3"], ["one", "two", "three"], [b"1", None, b"333"]], schema=kinds)
    return SourceCase(make, lambda _: table, change)


def delta_case():
    def make(directory):
        write_deltalake(directory, pa.table({"size": [7], "name": ["gone"]}), mode="overwrite", schema_mode="overwrite")
        write_deltalake(directory, ROWS.slice(0, 4), mode="overwrite", schema_mode="overwrite")
        return DeltaSource(directory)

    def change(directory):
        write_deltalake(directory, ROWS, mode="overwrite", schema_mode="overwrite")
        return DeltaSource(directory)

    return SourceCase(make, lambda _: ROWS.slice(0, 4), change)


def iceberg_case():
    expected = ROWS.cast(ROWS.schema.set(0, pa.field("name", pa.large_string()))).slice(1)

    def table(directory):
        catalog = load_catalog("c", type="sql", uri=f"sqlite:///{directory}/c.db", warehouse=f"file://{directory}")
        catalog.create_namespace_if_not_exists("n")
        return catalog.create_table_if_not_exists("n.t", ROWS.schema)

    def make(directory):
        made = table(directory)
        made.append(ROWS.slice(0, 2))
        made.overwrite(ROWS)
        made.delete("name == 'ada'")
        return IcebergSource(f"{directory}/n/t")

    def change(directory):
        table(directory).overwrite(ROWS.slice(3))
        return IcebergSource(f"{directory}/n/t")

    return SourceCase(make, lambda _: expected, change)


def dataset_case():
    def make(directory):
        write_parquet(directory / "1.parquet", ROWS.slice(0, 3))
        write_parquet(directory / "2.parquet", ROWS.slice(3))
        return ArrowDatasetSource(pyarrow.dataset.dataset(directory))

    def change(directory):
        write_parquet(directory / "1.parquet", ROWS.slice(0, 2))
        return ArrowDatasetSource(pyarrow.dataset.dataset(directory))

    return SourceCase(make, lambda _: ROWS, change)


def sqlite_case():
    def make(directory, rows=ROWS):
        with closing(sqlite3.connect(directory / "x.db")) as db, db:
            db.execute("DROP TABLE IF EXISTS t")
            db.execute("CREATE TABLE t (name TEXT, size INTEGER, part REAL)")
            db.executemany("INSERT INTO t VALUES (?, ?, ?)", [tuple(row.values()) for row in rows.to_pylist()])
        return SqlSource(f"sqlite://{directory}/x.db", "t", "size", ranges=3)

    return SourceCase(make, lambda _: ROWS, lambda directory: make(directory, ROWS.slice(1)))


LINES = pa.table({"text": ["alpha", "", "gamma", "delta"]})

CASES = {
    "ipc": case(IpcSource, write_ipc, {"1.arrow": ROWS.slice(0, 3), "2.arrow": ROWS.slice(3)}),
    "pyarrow_dataset": dataset_case(),
    "delta": delta_case(),
    "iceberg": iceberg_case(),
    "images": images_case(),
    "sql": sqlite_case(),
    "text": case(TextSource, text, {"1.txt": "alpha\n\ngamma\r\n", "2.txt": "delta"}, lambda _: LINES),
    "webdataset": webdataset_case(),
    "csv": case(CsvSource, text, CSV),
    "files": case(FilesSource, text, {"a.txt": "alpha", "b.txt": "", "c.txt": "gamma\n"}, files_table),
    "jsonl": case(JsonLinesSource, text, JSON),
    "libsvm": case(LibsvmSource, text, SVM, lambda _: SPARSE),
    "memory": memory(),
    "parquet": case(ParquetSource, write_parquet, {"1.parquet": ROWS.slice(0, 3), "2.parquet": ROWS.slice(3)}),
}
VARIANTS = {
    "text, small fragments": case(
        lambda d: TextSource(d, fragment_bytes=3),
        text,
        {"1.txt": "alpha\n\ngamma\n", "2.txt": "delta\n"},
        lambda _: LINES,
    ),
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
