import numpy as np
import pyarrow as pa
import pytest

from partitioner.costs.fitting.terms import candidates
from partitioner.costs.measuring.pilot import choose, spanning
from partitioner.model import Dataset
from partitioner.testing.tables import TableSource
from tests.costs.stand_ins import text_dataset


def pilot_of(dataset, share=0.01, seed=0, features=("len(text)",)):
    return choose(dataset, candidates(dataset, features), share, seed)


def test_it_holds_at_most_the_share_of_the_bytes():
    dataset = text_dataset()
    pilot = pilot_of(dataset)
    assert 0.004 < pilot.share <= 0.01
    assert pilot.columns["bytes"].sum() <= 0.0101 * dataset.fragments.bytes.sum()


def test_pieces_come_from_small_to_large_and_span_sizes():
    size = pilot_of(text_dataset()).columns["bytes"]
    assert (np.diff(size) >= 0).all()
    assert size.max() > 20 * size.min()


def test_pieces_do_not_overlap():
    pieces = pilot_of(text_dataset()).pieces
    order = np.argsort(pieces.start)
    assert (pieces.start[order][1:] >= pieces.stop[order][:-1]).all()


def test_features_are_those_of_the_rows_themselves():
    dataset = text_dataset()
    pilot = pilot_of(dataset)
    for i in range(len(pilot.pieces)):
        rows = next(dataset.source.read(pilot.pieces[i])).column("text").to_pylist()
        assert pilot.columns["len(text)"][i] == sum(map(len, rows))
        assert pilot.columns["sum len(text)^2"][i] == sum(len(t) ** 2 for t in rows)
        assert pilot.columns["rows"][i] == len(rows)


def test_the_same_seed_gives_the_same_pieces_and_another_gives_others():
    first, again, other = (pilot_of(text_dataset(), seed=s).pieces.start.tolist() for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_tiny_dataset_still_gets_the_least_number_of_pieces():
    dataset = TableSource(pa.table({"text": ["a" * n for n in range(1, 11)]})).dataset([5, 5])
    assert len(pilot_of(dataset).pieces) >= 4


def test_fragments_that_cannot_be_cut_are_taken_whole_and_small():
    cut = text_dataset(fragments=100, rows=10)
    dataset = Dataset(cut.source, cut.fragments, cut.schema, None)
    pilot = pilot_of(dataset, share=0.1)
    assert set(pilot.pieces.start.tolist()) <= set(cut.fragments.start.tolist())
    assert (pilot.pieces.rows == 10).all()
    assert pilot.share <= 0.1


@pytest.mark.parametrize(
    ("count", "slots", "least", "largest"),
    [(250, 1, 8, 0.4), (1000, 1, 12, 1.5), (1000, 2, 12, 0.7), (10_000, 8, 30, 0.9)],
)
def test_files_of_skewed_sizes_are_taken_up_to_a_quarter_of_the_share_and_less_with_more_slots(
    count, slots, least, largest
):
    """The smallest alone made rows and bytes alike: of 250 images none was a fifth of the mean."""
    size = np.sort(np.random.default_rng(0).lognormal(0, 1.3, count))
    picked = spanning(size, 0.008 * size.sum(), slots)
    assert size[picked].sum() <= 0.008 * size.sum()
    assert len(picked) >= least
    assert largest * size.mean() < size[picked].max() <= 0.008 * size.sum() / (4 * np.sqrt(slots))
    assert size[picked].min() < 0.05 * size.mean()


@pytest.mark.parametrize(
    ("size", "count"),
    [(np.zeros(10), 10), (np.ones(4), 4), (np.ones(250), 6), (np.array([5.0]), 1), (np.array([1.0] * 7 + [1000.0]), 7)],
)
def test_of_files_of_one_size_there_are_six_where_the_share_holds_fewer_and_none_far_beyond_it(size, count):
    picked = spanning(size, 0.008 * size.sum(), 1)
    assert len(set(picked.tolist())) == count
    assert np.ptp(size[picked]) == 0


@pytest.mark.parametrize("kind", [pa.string_view(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_rows_of_views_and_of_dictionaries_are_as_large_as_they_are_long(kind):
    table = pa.table({"text": pa.array(["x" * (10 + 40 * (i % 25)) for i in range(2000)]).cast(kind)})
    pilot = pilot_of(TableSource(table).dataset([1000, 1000]), share=0.05)
    assert np.corrcoef(pilot.columns["bytes"], pilot.columns["len(text)"])[0, 1] > 0.99


def test_an_empty_dataset_has_no_pilot():
    dataset = TableSource(pa.table({"text": pa.array([], pa.string())})).dataset([])
    assert len(pilot_of(dataset).pieces) == 0


def test_text_cut_by_bytes_drops_ranges_without_a_line(tmp_path):
    from connectors.resolve import resolve

    path = tmp_path / "lines.jsonl"
    path.write_text("".join(f'{{"text": "{"x" * (50 + i % 200)}"}}\n' for i in range(5000)))
    dataset = resolve(str(path)).describe()
    assert dataset.divisible_by == "bytes"
    pilot = choose(dataset, candidates(dataset, []), 0.05, 0)
    assert len(pilot.pieces) >= 4
    assert (pilot.columns["rows"] > 0).all()
    assert pilot.share == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_rows_longer_than_a_range_are_found_and_count_as_long_as_they_are(tmp_path, suffix):
    from connectors.resolve import resolve

    rows = [f"{i:04d}" + "x" * (10_000 * (1 + i % 3)) for i in range(60)]
    line = '{{"text": "{}"}}\n' if suffix == ".jsonl" else "{}\n"
    path = tmp_path / f"long{suffix}"
    path.write_text(("" if suffix == ".jsonl" else "text\n") + "".join(line.format(row) for row in rows))
    dataset = resolve(str(path)).describe()
    pilot = choose(dataset, candidates(dataset, ["len(text)"]), 0.02, 0)
    assert len(pilot.pieces) >= 6
    assert (pilot.columns["len(text)"] >= 10_000 * pilot.columns["rows"]).all()
    per_byte = pilot.columns["len(text)"] / pilot.columns["bytes"]
    assert per_byte.std() < 0.01 * per_byte.mean()  # bytes are those of the rows, not those of the range


def test_a_pilot_of_few_rows_spans_sizes_and_has_a_call_of_several():
    lengths = np.random.default_rng(1).lognormal(9, 1, 240).astype(int)
    pilot = pilot_of(TableSource(pa.table({"text": ["x" * n for n in lengths]})).dataset([60] * 4))
    rows, size = pilot.columns["rows"], pilot.columns["len(text)"]
    assert sorted(rows.tolist())[:5] == [1] * 5
    assert 2 <= rows.max() <= 4
    assert size[rows == 1].max() > 4 * size[rows == 1].min()
    assert size[rows == 1].min() > lengths.min()  # the smallest of all may be empty, and fail
    assert size[rows > 1] <= 1.5 * size[rows == 1].max()


def test_where_a_fragment_is_a_row_there_is_no_call_of_several():
    pilot = pilot_of(TableSource(pa.table({"text": ["x" * n for n in range(100, 200)]})).dataset([1] * 100))
    assert pilot.columns["rows"].tolist() == [1] * 6
