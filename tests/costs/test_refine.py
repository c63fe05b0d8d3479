import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.costs.refine import coalesce, refine
from partitioner.costs.terms import Term, columns
from partitioner.model import SubTasks
from partitioner.testing.costs import TableSource

SQUARE = Term("len(text)", "square", per_row=True)


def dataset(lengths=(2, 3)):
    return TableSource(pa.table({"text": ["a" * (i + 1) for i in range(sum(lengths))]})).dataset(list(lengths))


def test_pieces_carry_their_own_rows_terms():
    finer = refine(dataset(), [SQUARE], pieces=20).fragments
    assert finer.features["sum len(text)^2"].tolist() == [1.0, 4.0, 9.0, 16.0, 25.0]
    assert finer.start.tolist() == [0, 1, 2, 3, 4]


def test_a_row_that_costs_more_than_a_piece_stands_alone():
    table = pa.table({"text": ["a", "a", "a" * 100, "a", "a", "a"]})
    finer = refine(TableSource(table).dataset([6]), [SQUARE], pieces=2).fragments
    assert list(zip(finer.start.tolist(), finer.stop.tolist(), strict=True)) == [(0, 2), (2, 3), (3, 6)]
    assert finer.features["sum len(text)^2"].tolist() == [2.0, 10_000.0, 3.0]


def test_totals_stay_the_same():
    whole, finer = dataset(), refine(dataset(), [SQUARE], pieces=4)
    assert finer.fragments.bytes.sum() == whole.fragments.bytes.sum()
    assert columns(finer, [SQUARE])[SQUARE.name].sum() == columns(whole, [SQUARE])[SQUARE.name].sum()


def test_without_per_row_terms_nothing_is_cut_or_read():
    whole = dataset()
    assert len(refine(whole, [Term("bytes")]).fragments) == 2
    assert whole.source.reads == []


def tasks_over(fragments, parts):
    index = np.concatenate([np.array(p, np.int64) for p in parts]) if parts else np.empty(0, np.int64)
    offsets = np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.int64)
    return SubTasks.build(np.ones(len(parts)), fragments=fragments, fragment_index=index, offsets=offsets)


def test_neighbours_become_one_fragment_again():
    finer = refine(dataset((4, 2)), [SQUARE], pieces=60).fragments
    tasks = coalesce(tasks_over(finer, [[0, 1, 2], [3, 4, 5]]))
    assert tasks.fragments.start.tolist() == [0, 3, 4]
    assert tasks.fragments.stop.tolist() == [3, 4, 6]
    assert tasks.fragments.features["sum len(text)^2"].tolist() == [14.0, 16.0, 61.0]
    assert [tasks.fragments_of(i).tolist() for i in range(2)] == [[0], [1, 2]]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 2), min_size=9, max_size=9))
def test_sub_tasks_hold_the_same_rows_in_the_same_order(owners):
    finer = refine(dataset((5, 4)), [SQUARE], pieces=90).fragments
    parts = [[i for i in range(9) if owners[i] == t] for t in range(3)]
    tasks = coalesce(tasks_over(finer, parts))
    for t, part in enumerate(parts):
        rows = [r for j in tasks.fragments_of(t) for r in range(tasks.fragments.start[j], tasks.fragments.stop[j])]
        assert rows == part
    assert (np.diff(tasks.fragments.start) > 0).all()
