import pickle
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.parquet import ParquetSource
from connectors.resolve import resolve
from partitioner.errors import DataError


def write(path, group=3, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=group)
    return path


def rows(source, fragments, columns=None):
    batches = [b for i in range(len(fragments)) for b in source.read(fragments[i], columns)]
    return pa.Table.from_batches(batches).to_pylist() if batches else []


def test_a_column_that_is_there_twice_is_named(tmp_path):
    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="more than one column named 'a'"):
        ParquetSource(tmp_path).describe()


def test_a_column_of_the_file_counts_and_not_that_of_its_directory(tmp_path):
    write(tmp_path / "k=1" / "x.parquet", a=[1], k=[5])
    source = ParquetSource(tmp_path).describe().source
    assert rows(source, source.describe().fragments) == [{"a": 1, "k": 5}]


def test_fragments_are_row_groups_in_file_order(tmp_path):
    write(tmp_path / "b.parquet", a=[7, 8])
    write(tmp_path / "a.parquet", a=[1, 2, 3, 4])
    fragments = ParquetSource(tmp_path).describe().fragments
    assert [(fragments[i].path[-9:], fragments[i].section, fragments[i].rows) for i in range(len(fragments))] == [
        ("a.parquet", 0, 3),
        ("a.parquet", 1, 1),
        ("b.parquet", 0, 2),
    ]


def test_bytes_are_those_of_the_selected_columns(tmp_path):
    write(tmp_path / "x.parquet", a=[1, 2, 3], b=["long " * 50, "text " * 40, "here " * 60])
    whole = ParquetSource(tmp_path).describe().fragments[0]
    narrow = ParquetSource(tmp_path, columns=["a"]).describe().fragments[0]
    assert narrow.bytes == whole.features["bytes:a"] < whole.features["bytes:b"]
    assert whole.bytes == sum(whole.features.values())
    assert list(narrow.features) == ["bytes:a"]


def test_nested_column_bytes_sum_their_leaves(tmp_path):
    write(tmp_path / "x.parquet", s=[{"p": 1, "q": "one"}], dotted=[1])
    group = pq.read_metadata(tmp_path / "x.parquet").row_group(0)
    leaves = sum(group.column(j).total_uncompressed_size for j in (0, 1))
    assert ParquetSource(tmp_path).describe().fragments[0].features["bytes:s"] == leaves


def test_columns_come_in_the_order_asked(tmp_path):
    write(tmp_path / "x.parquet", a=[1], b=[2], c=[3])
    source = ParquetSource(tmp_path)
    (batch,) = source.read(source.describe().fragments[0], ["c", "a"])
    assert batch.to_pydict() == {"c": [3], "a": [1]}


def test_no_columns_still_count_rows(tmp_path):
    write(tmp_path / "x.parquet", a=[1, 2])
    source = ParquetSource(tmp_path)
    assert [b.num_rows for b in source.read(source.describe().fragments[0], [])] == [2]


def test_a_row_group_is_cut_by_rows(tmp_path):
    write(tmp_path / "x.parquet", group=10, a=list(range(10)))
    dataset = ParquetSource(tmp_path).describe()
    finer, _ = dataset.fragments.cut(np.array([4]))
    pieces = [[r["a"] for r in rows(dataset.source, finer.take([i]))] for i in range(4)]
    assert pieces == [[0, 1], [2, 3, 4], [5, 6], [7, 8, 9]]


def test_row_groups_without_rows_are_left_out(tmp_path):
    write(tmp_path / "a.parquet", a=pa.array([], pa.int64()))
    dataset = ParquetSource(tmp_path).describe()
    assert (len(dataset.fragments), dataset.rows, dataset.schema.names) == (0, 0, ["a"])


def test_files_with_columns_in_another_order_read_alike(tmp_path):
    write(tmp_path / "1.parquet", a=[1], b=["x"])
    write(tmp_path / "2.parquet", b=["y"], a=[2])
    dataset = ParquetSource(tmp_path).describe()
    assert rows(dataset.source, dataset.fragments) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_a_file_of_another_type_is_named(tmp_path):
    write(tmp_path / "1.parquet", a=[1], b=["x"])
    write(tmp_path / "2.parquet", a=[1], b=[2])
    with pytest.raises(DataError, match=r"2.parquet has column 'b' as int64, the first file of the dataset as string"):
        ParquetSource(tmp_path).describe()


TEXT = pa.array(["x"])
BESIDE_TEXT = {
    "bytes": (TEXT, pa.array([b"y"])),
    "bytes first": (pa.array([b"y"]), pa.array(["x"], pa.large_string())),
    "lists of bytes": (pa.array([["x"]]), pa.array([[b"y"]])),
    "fields of bytes": (pa.array([{"s": "x"}]), pa.array([{"s": b"y"}])),
    "categories of bytes": (TEXT.dictionary_encode(), pa.array([b"y"]).dictionary_encode()),
}


@pytest.mark.parametrize("case", BESIDE_TEXT)
def test_text_beside_bytes_is_refused(tmp_path, case):
    first, second = BESIDE_TEXT[case]
    write(tmp_path / "1.parquet", a=first)
    write(tmp_path / "2.parquet", a=second)
    with pytest.raises(DataError, match=r"2.parquet has column 'a' as .*, the first file of the dataset as .*columns="):
        ParquetSource(tmp_path).describe()


WIDER = {
    "int32 beside int64": ({"a": pa.array([1], pa.int32())}, {"a": [2]}, pa.int64(), [{"a": 1}, {"a": 2}]),
    "int64 beside int32": ({"a": [1]}, {"a": pa.array([2], pa.int32())}, pa.int64(), [{"a": 1}, {"a": 2}]),
    "int beside double": ({"a": [1]}, {"a": [0.5]}, pa.float64(), [{"a": 1.0}, {"a": 0.5}]),
    "null beside text": ({"a": pa.nulls(1)}, {"a": ["x"]}, pa.string(), [{"a": None}, {"a": "x"}]),
}


@pytest.mark.parametrize("case", WIDER)
def test_types_widen(tmp_path, case):
    first, second, kind, expected = WIDER[case]
    write(tmp_path / "1.parquet", **first)
    write(tmp_path / "2.parquet", **second)
    dataset = ParquetSource(tmp_path).describe()
    assert dataset.schema.field("a").type == kind
    assert rows(dataset.source, dataset.fragments) == expected


def test_an_added_column_is_null_before_and_a_lost_one_after_and_said(tmp_path, capfd):
    write(tmp_path / "1.parquet", a=[1], b=["x"])
    write(tmp_path / "2.parquet", a=[2], c=[0.5])
    dataset = ParquetSource(tmp_path).describe()
    expected = [{"a": 1, "b": "x", "c": None}, {"a": 2, "b": None, "c": 0.5}]
    assert rows(dataset.source, dataset.fragments) == expected
    assert dataset.fragments.features["bytes:c"][0] == 0
    said = capfd.readouterr().err
    assert f"column 'b' is null in the rows of {tmp_path}/2.parquet" in said
    assert f"column 'c' is null in the rows of {tmp_path}/1.parquet" in said


def test_a_common_projection_mends_another_schema(tmp_path):
    write(tmp_path / "1.parquet", a=[1], b=["x"])
    write(tmp_path / "2.parquet", c=[3], a=[2])
    dataset = ParquetSource(tmp_path, columns=["a"]).describe()
    assert rows(dataset.source, dataset.fragments) == [{"a": 1}, {"a": 2}]


def test_a_corrupt_file_among_good_ones_is_named(tmp_path):
    for i in range(6):
        write(tmp_path / f"{i}.parquet", a=[i])
    (tmp_path / "4.parquet").write_bytes(b"PAR1 this is not Parquet")
    with pytest.raises(DataError, match=r"Cannot read .*/4\.parquet as Parquet"):
        ParquetSource(tmp_path).describe()


def test_pages_corrupted_after_planning_are_named(tmp_path):
    path = write(tmp_path / "x.parquet", group=5000, a=list(range(5000)))
    source = ParquetSource(path)
    fragment = source.describe().fragments[0]
    content = bytearray(path.read_bytes())
    content[4:60] = b"\xff" * 56
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"Cannot read .*x\.parquet as Parquet"):
        list(source.read(fragment))


def test_a_file_removed_after_planning_is_named(tmp_path):
    path = write(tmp_path / "x.parquet", a=[1])
    source = ParquetSource(path)
    fragment = source.describe().fragments[0]
    path.unlink()
    with pytest.raises(DataError, match=r"No file at .*x\.parquet"):
        list(source.read(fragment))


def test_a_rewritten_file_is_read_as_it_is_now(tmp_path):
    path = write(tmp_path / "x.parquet", a=[1, 2])
    source = ParquetSource(path)
    fragment = source.describe().fragments[0]
    assert rows(source, source.describe().fragments) == [{"a": 1}, {"a": 2}]
    before = source.fingerprint(fragment)
    write(path, a=[30, 40, 50])
    assert source.fingerprint(fragment) != before
    assert rows(source, source.describe().fragments) == [{"a": 30}, {"a": 40}, {"a": 50}]


def test_a_row_group_lost_since_planning_is_named(tmp_path):
    path = write(tmp_path / "x.parquet", a=[1, 2, 3, 4])
    source = ParquetSource(path)
    fragments = source.describe().fragments
    write(path, a=[1])
    for i in range(2):
        with pytest.raises(DataError, match=r"x\.parquet row group \d .* the file has changed since it was planned"):
            list(source.read(fragments[i]))


def test_a_small_piece_decodes_little_beyond_it(tmp_path):
    write(tmp_path / "x.parquet", group=200_000, a=np.arange(150_000))
    source = ParquetSource(tmp_path)
    piece = replace(source.describe().fragments[0], start=3000, stop=3010)
    assert [b["a"].to_pylist() for b in source.read(piece)] == [list(range(3000, 3010))]


@pytest.fixture
def decoded(monkeypatch):
    """Rows decoded so far, as a list of batch sizes."""
    sizes = []
    real = pq.ParquetFile.iter_batches

    def counting(self, *args, **kwargs):
        for batch in real(self, *args, **kwargs):
            sizes.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counting)
    return sizes


def test_pieces_read_in_order_decode_every_row_once(tmp_path, decoded):
    write(tmp_path / "x.parquet", group=100_000, a=np.arange(100_000))
    dataset = ParquetSource(tmp_path).describe()
    finer, _ = dataset.fragments.cut(np.array([40]))
    assert [r["a"] for r in rows(dataset.source, finer)] == list(range(100_000))
    assert sum(decoded) == 100_000


def test_pieces_with_gaps_decode_every_row_once(tmp_path, decoded):
    write(tmp_path / "x.parquet", group=100_000, a=np.arange(100_000))
    dataset = ParquetSource(tmp_path).describe()
    finer, _ = dataset.fragments.cut(np.array([40]))
    assert [r["a"] for r in rows(dataset.source, finer.take([3, 9, 39]))] == [
        *range(7_500, 10_000),
        *range(22_500, 25_000),
        *range(97_500, 100_000),
    ]
    assert sum(decoded) == 100_000


@settings(deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 29), st.sampled_from([None, ["a"], ["b", "a"]]), st.booleans()), max_size=12))
def test_pieces_in_any_order_with_any_columns_read_right(tmp_path, reads):
    """Also where a read is given up half-way, or another of the same thread is under way."""
    path = tmp_path / "x.parquet"
    if not path.exists():
        write(path, group=1500, a=np.arange(4500), b=np.arange(4500) * 2)
    source = ParquetSource(path)
    pieces, _ = source.describe().fragments.cut(np.array([10, 10, 10]))
    for i, columns, given_up in reads:
        other = source.read(pieces[(i + 1) % 30], columns)
        next(other)
        if given_up:
            other.close()
        low = 150 * i
        expected = {"a": list(range(low, low + 150)), "b": list(range(2 * low, 2 * low + 300, 2))}
        found = pa.Table.from_batches(source.read(pieces[i], columns)).to_pydict()
        assert found == {c: expected[c] for c in columns or ["a", "b"]}
        assert sum(b.num_rows for b in other) in ((0,) if given_up else range(150))


def test_batches_are_bounded(tmp_path):
    write(tmp_path / "x.parquet", group=200_000, a=np.arange(150_000))
    source = ParquetSource(tmp_path)
    sizes = [b.num_rows for b in source.read(source.describe().fragments[0])]
    assert sizes == [65_536, 65_536, 18_928]


def test_many_columns_are_one_total(tmp_path):
    write(tmp_path / "x.parquet", **{f"c{j}": [j] for j in range(80)})
    whole = ParquetSource(tmp_path).describe().fragments[0]
    narrow = ParquetSource(tmp_path, columns=[f"c{j}" for j in range(70)]).describe().fragments[0]
    assert whole.features == narrow.features == {}
    assert 0 < narrow.bytes < whole.bytes


def test_storage_options_are_not_shown_and_travel(tmp_path):
    source = ParquetSource("s3://bucket/x", storage_options={"secret_access_key": "hush"})
    assert "hush" not in repr(source)
    assert pickle.loads(pickle.dumps(source)) == source


def test_files_without_rows_settle_no_types(tmp_path):
    for folder, write in (("parquet", pq.write_table), ("ipc", feather.write_feather)):
        (tmp_path / folder).mkdir()
        ending = {"parquet": "parquet", "ipc": "arrow"}[folder]
        write(pa.schema([("x", pa.float64()), ("s", pa.float64())]).empty_table(), tmp_path / folder / f"a.{ending}")
        write(pa.table({"x": [1], "s": ["t"]}), tmp_path / folder / f"b.{ending}")
        assert resolve(tmp_path / folder).describe().schema.remove_metadata() == pa.schema(
            [("x", pa.int64()), ("s", pa.string())]
        )


def test_categories_beside_texts_are_texts(tmp_path):
    pq.write_table(pa.table({"s": pa.array(["x"]).dictionary_encode()}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"s": ["y"]}), tmp_path / "b.parquet")
    dataset = resolve(tmp_path).describe()
    batches = [b for i in range(len(dataset.fragments)) for b in dataset.source.read(dataset.fragments[i])]
    assert [b.to_pydict() for b in batches] == [{"s": ["x"]}, {"s": ["y"]}]
    assert dataset.schema.field("s").type == pa.string()
