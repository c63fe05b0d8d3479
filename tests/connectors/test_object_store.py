"""Sources over S3 (a local server that speaks its protocol), process memory and fsspec."""

import pickle
import urllib.request

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore.store import S3Store

from connectors.csv import CsvSource
from connectors.files import FilesSource
from connectors.location import system
from connectors.parquet import ParquetSource
from connectors.resolve import resolve
from partitioner.errors import DataError

TABLE = pa.table({"a": np.arange(1000), "text": [f"row {i}" for i in range(1000)]})


@pytest.fixture(scope="module")
def server():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    yield f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    server.stop()


@pytest.fixture(scope="module")
def options(server):
    urllib.request.urlopen(urllib.request.Request(f"{server}/bucket", method="PUT")).close()
    return {
        "endpoint": server,
        "region": "us-east-1",
        "access_key_id": "test",
        "secret_access_key": "test",
        "virtual_hosted_style_request": False,
        "client_options": {"allow_http": True},
    }


@pytest.fixture(scope="module")
def bucket(options):
    given = dict(options)
    client = given.pop("client_options")
    store = S3Store("bucket", config=given, client_options=client)
    for name, low in (("p/1.parquet", 0), ("p/2.parquet", 600), ("p/_tmp.parquet", 0)):
        sink = pa.BufferOutputStream()
        pq.write_table(TABLE.slice(low, 600), sink, row_group_size=100)
        obstore.put(store, name, sink.getvalue().to_pybytes())
    body = "".join(f"{i},row {i}\n" for i in range(1000))
    obstore.put(store, "c/x.csv", f"a,text\n{body}".encode())
    return store


def read(dataset, pieces=1, columns=None):
    finer, _ = dataset.fragments.cut(np.full(len(dataset.fragments), pieces))
    return pa.Table.from_batches(b for i in range(len(finer)) for b in dataset.source.read(finer[i], columns))


@pytest.mark.parametrize(
    "path", ["s3://bucket/p", "s3://bucket/p/", "s3://bucket/p/*.parquet", "s3://bucket/**/[12].parquet"]
)
def test_parquet_on_s3(bucket, options, path):
    dataset = resolve(path, connector="parquet", storage_options=options).describe()
    assert dataset.fragments.paths == ("s3://bucket/p/1.parquet", "s3://bucket/p/2.parquet")
    assert read(dataset, 3).equals(TABLE)
    assert read(dataset, 1, ["text"]).equals(TABLE.select(["text"]))


@pytest.mark.parametrize("path", ["s3://whole", "s3://whole/"])
def test_a_bucket_is_a_folder(bucket, options, server, path):
    urllib.request.urlopen(urllib.request.Request(f"{server}/whole", method="PUT")).close()
    given = {key: value for key, value in options.items() if key != "client_options"}
    sink = pa.BufferOutputStream()
    pq.write_table(TABLE, sink)
    obstore.put(
        S3Store("whole", config=given, client_options=options["client_options"]), "a.parquet", bytes(sink.getvalue())
    )
    assert resolve(path, storage_options=options).describe().rows == 1000


def test_csv_on_s3(bucket, options):
    dataset = resolve("s3://bucket/c/x.csv", storage_options=options, fragment_bytes=2000).describe()
    assert len(dataset.fragments) > 5
    assert read(dataset, 7).equals(TABLE)


def test_options_come_from_the_environment(bucket, server, monkeypatch):
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    assert read(ParquetSource("s3://bucket/p/1.parquet").describe()).num_rows == 600


def test_a_file_over_http(bucket, server):
    path = f"{server}/bucket/public.parquet"
    body = bytes(obstore.get(bucket, "p/1.parquet").bytes())
    public = {"x-amz-acl": "public-read", "content-type": "application/octet-stream"}
    urllib.request.urlopen(urllib.request.Request(path, body, public, method="PUT")).close()
    dataset = ParquetSource(path, storage_options={"client_options": {"allow_http": True}}).describe()
    assert read(dataset, 2).equals(TABLE.slice(0, 600))


def test_a_pickled_source_reads_s3(bucket, options):
    dataset = ParquetSource("s3://bucket/p", storage_options=options).describe()
    copy = pickle.loads(pickle.dumps(dataset.source))
    assert next(copy.read(dataset.fragments[0])).num_rows == 100


def test_fingerprints_are_etags_from_one_listing(bucket, options):
    source = ParquetSource("s3://bucket/p", storage_options=options)
    all_at_once = source.fingerprints()
    fragments = source.describe().fragments
    one_by_one = {fragments[i].path: source.fingerprint(fragments[i]) for i in range(len(fragments))}
    assert all_at_once == one_by_one
    store_tag = obstore.head(bucket, "p/1.parquet")["e_tag"]
    assert all_at_once["s3://bucket/p/1.parquet"].endswith(store_tag)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("s3://bucket/none.parquet", "No input at s3://bucket/none.parquet"),
        ("s3://bucket/p/*.csv", r"The glob s3://bucket/p/\*\.csv matches no file"),
        ("s3://no-such-bucket/x.parquet", "s3://no-such-bucket/x.parquet"),
    ],
)
def test_what_is_not_on_s3_is_named(bucket, options, path, message):
    with pytest.raises(DataError, match=message):
        ParquetSource(path, storage_options=options).describe()


@pytest.mark.parametrize(
    "path", ["s3://no-such-bucket/in/", "s3://no-such-bucket/in/x.parquet", "s3://no-such-bucket/*.csv"]
)
def test_a_bucket_that_is_not_there_is_told_in_one_line(options, path):
    with pytest.raises(DataError) as error:
        resolve({"path": path, "storage_options": options}).describe()
    assert str(error.value).startswith("Cannot reach s3://no-such-bucket/")
    assert str(error.value).endswith(
        ": NoSuchBucket: The specified bucket does not exist. Check the path, endpoint and credentials."
    )


@pytest.mark.parametrize("name", ["a?.parquet", "*.parquet", "br[a]ck.parquet", "per%20cent.parquet", "ha#sh.parquet"])
def test_any_character_may_be_in_the_name_of_an_object(bucket, options, name):
    sink = pa.BufferOutputStream()
    pq.write_table(TABLE.slice(0, 1), sink)
    obstore.put(bucket, f"odd/{name}", sink.getvalue().to_pybytes())
    for path in (f"s3://bucket/odd/{name}", "s3://bucket/odd/"):
        dataset = resolve({"path": path, "storage_options": options}).describe()
        assert f"s3://bucket/odd/{name}" in dataset.fragments.paths
        assert dataset.rows == len(dataset.fragments.paths)


def test_objects_that_stand_for_folders_are_no_input(bucket, options, server):
    for name in ("console/", "console/sub/"):
        urllib.request.urlopen(urllib.request.Request(f"{server}/bucket/{name}", data=b"", method="PUT")).close()
    for name in ("console/a.csv", "console/empty.csv", "console/sub/b.csv"):
        obstore.put(bucket, name, b"" if "empty" in name else b"x\n1\n")
    found = resolve({"path": "s3://bucket/console/", "storage_options": options}).files()
    assert [info.path.removeprefix("s3://bucket/console/") for info in found] == ["a.csv", "empty.csv", "sub/b.csv"]


def test_a_name_with_an_empty_part_is_refused(bucket, options):
    with pytest.raises(DataError, match=r"Cannot read s3://bucket/a//b\.csv: .*a name has no empty parts\."):
        CsvSource("s3://bucket/a//b.csv", storage_options=options).describe()


def test_wrong_options_are_named(options):
    with pytest.raises(DataError, match=r"s3://bucket: Configuration key: 'acces_key_id' is not valid"):
        ParquetSource("s3://bucket/x.parquet", storage_options={"acces_key_id": "x"}).describe()


def test_an_unreachable_store_is_an_error_not_a_hang(options):
    from datetime import timedelta

    nowhere = options | {
        "endpoint": "http://127.0.0.1:9",
        "retry_config": {"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
    }
    with pytest.raises(DataError, match=r"Cannot reach s3://bucket/x\.parquet: .*Check the path, endpoint"):
        ParquetSource("s3://bucket/x.parquet", storage_options=nowhere).describe()


def test_what_only_fsspec_serves(tmp_path):
    pq.write_table(TABLE, tmp_path / "x.parquet", row_group_size=300)
    (tmp_path / "x.csv").write_text("a\n1\n2\n")
    dataset = ParquetSource(f"local://{tmp_path}").describe()
    assert dataset.fragments.paths == (f"local://{tmp_path}/x.parquet",)
    assert read(dataset, 2).equals(TABLE)
    assert read(CsvSource(f"local://{tmp_path}/*.csv").describe(), 2).to_pydict() == {"a": [1, 2]}


def test_a_scheme_that_nothing_serves_is_named():
    with pytest.raises(DataError, match="No storage system serves nosuch:// paths"):
        ParquetSource("nosuch://host/x.parquet").describe()


def test_files_on_s3(bucket, options):
    dataset = FilesSource("s3://bucket/c", storage_options=options).describe()
    table = read(dataset)
    assert table["path"].to_pylist() == ["s3://bucket/c/x.csv"]
    assert table["text"][0].as_py().startswith("a,text\n0,row 0\n")


def test_process_memory():
    store = system("memory:///x")
    obstore.put(store._store, "d/x.csv", b"a\n1\n2\n")
    assert read(CsvSource("memory:///d/*.csv").describe()).to_pydict() == {"a": [1, 2]}
