"""Sparse rows in naive Bayes: the same bits as the dense matrix, without its zeros."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import coo_matrix, csc_array, csr_matrix, random_array
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB

from partitioner.errors import ProgramError
from partitioner.reducers.models.naive_bayes import NaiveBayes
from partitioner.reducers.observations import Observations
from partitioner.reducers.sparse import sparse_totals, sparse_weighted_totals
from partitioner.reducers.totals import Totals
from partitioner.reducers.weighted_totals import WeightedTotals
from partitioner.testing.laws import check_laws

SOME = st.sampled_from([0.0, 0.0, 0.0, 1.0, 0.1, 1e16, -1e-300, 5e-324, 1e300])
X = random_array((60, 40), density=0.1, rng=3, format="csr")
Y = np.arange(60) % 3
WEIGHTS = np.linspace(0.0, 2.0, 60)


def fitted(reducer, value):
    return reducer.extract_output(reducer.add_input(reducer.create_accumulator(), value))


@settings(max_examples=40, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(0, 9), st.integers(1, 7)), elements=SOME))
def test_totals_are_those_of_the_dense_matrix(x):
    seen = Observations(x, np.ones(x.shape, bool), (x.shape[1],))
    whole, found = Totals.of(seen, squares=False), sparse_totals(csr_matrix(x))
    assert (found.count, found.sums, found.special) == (whole.count, whole.sums, whole.special)
    weights = np.linspace(0.0, 0.7, len(x))
    dense, sparse = WeightedTotals.of(seen, weights, squares=False), sparse_weighted_totals(csr_matrix(x), weights)
    assert (sparse.mass, sparse.sums) == (dense.mass, dense.sums)


@pytest.mark.parametrize(
    ("spec", "theirs"),
    [
        ({"kind": "multinomial"}, MultinomialNB()),
        ({"kind": "complement", "norm": True}, ComplementNB(norm=True)),
        ({"kind": "bernoulli", "binarize": 0.5}, BernoulliNB(binarize=0.5)),
        ({"kind": "bernoulli", "binarize": None}, BernoulliNB(binarize=None)),
    ],
)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_the_model_is_scikit_learns_of_the_same_sparse_rows(spec, theirs, weights):
    x = X if spec.get("binarize", 0.0) is not None else csr_matrix(X.astype(bool).astype(float))
    reducer = NaiveBayes(**spec, weight=None if weights is None else "w")
    found = fitted(reducer, (x, Y) if weights is None else (x, Y, weights))
    expected = theirs.fit(x, Y, sample_weight=weights)
    np.testing.assert_allclose(found.feature_log_prob_, expected.feature_log_prob_, rtol=1e-12)
    np.testing.assert_allclose(found.class_log_prior_, expected.class_log_prior_, rtol=1e-12)
    assert np.array_equal(found.predict(x), expected.predict(x))


def test_entries_of_one_place_are_added_up_and_the_programs_matrix_is_left_alone():
    twice = csr_matrix((np.array([0.4, 0.4, 1.0]), np.array([1, 1, 0]), np.array([0, 2, 3])), (2, 2))
    found = fitted(NaiveBayes("bernoulli", binarize=0.5), (twice, [0, 1]))
    assert found.feature_count_.tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert twice.nnz == 3


def test_sparse_and_dense_outputs_are_merged():
    reducer = NaiveBayes("multinomial")
    half = reducer.add_input(reducer.create_accumulator(), (csc_array(X[:30]), Y[:30]))
    found = reducer.extract_output(reducer.add_input(half, (X[30:].toarray(), Y[30:])))
    assert np.array_equal(found.feature_count_, fitted(reducer, (X, Y)).feature_count_)


def test_the_laws_hold_for_sparse_outputs():
    check_laws(
        NaiveBayes("multinomial"), values=[(X[i : i + 10, :8], Y[i : i + 10]) for i in range(0, 60, 10)], examples=8
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "returned nan in feature 4 of row 2 of its output"),
        (-1.0, "multinomial naive Bayes counts, and a feature is below 0"),
    ],
)
def test_what_is_no_count_is_refused(value, message):
    x = coo_matrix(([1.0, value], ([0, 2], [1, 4])), (3, 5))
    with pytest.raises(ProgramError, match=message):
        fitted(NaiveBayes("multinomial"), (x, [0, 1, 0]))


def test_a_large_vocabulary_takes_the_memory_of_its_words():
    x = random_array((3000, 20_000), density=0.002, rng=1, format="csr")  # dense: 480 MB
    reducer = NaiveBayes("multinomial")
    tracemalloc.start()
    reducer.add_input(reducer.create_accumulator(), (x, np.arange(3000) % 2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
