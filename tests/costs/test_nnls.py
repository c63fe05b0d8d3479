import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls as scipy_nnls

from partitioner.costs.fitting.nnls import MOST_FACES, nnls, nnls_many


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), n=st.integers(3, 30), p=st.integers(1, 6))
def test_it_is_as_good_as_scipys(seed, n, p):
    rng = np.random.default_rng(seed)
    x, y = rng.random((n, p)), rng.normal(size=n)
    ours = nnls(x.T @ x, x.T @ y)
    _, residual = scipy_nnls(x, y)
    assert (ours >= 0).all()
    assert np.linalg.norm(x @ ours - y) <= residual * (1 + 1e-6) + 1e-9


def test_a_column_that_would_be_negative_is_left_out():
    x = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]])
    assert nnls(x.T @ x, x.T @ np.array([3.0, 2.0, 1.0])).tolist() == [2.0, 0.0]


def test_equal_columns_do_not_loop():
    x = np.array([[1.0, 1.0], [2.0, 2.0]])
    assert nnls(x.T @ x, x.T @ np.array([1.0, 2.0])).sum() == 1.0


@pytest.mark.parametrize("columns", range(1, MOST_FACES + 3))
def test_many_at_once_are_those_one_by_one(columns):
    rng = np.random.default_rng(columns)
    x = rng.random((50, 12, columns)) * rng.random((50, 1, columns)) ** 3
    x[:10, :, 0] = 0.0  # a term that no piece of these has
    y = (x * rng.normal(0.5, 1.0, (50, 1, columns))).sum(axis=2)
    gram, moment = x.transpose(0, 2, 1) @ x, (x * y[:, :, None]).sum(axis=1)
    found = nnls_many(gram, moment)
    assert (found >= 0).all()
    assert (found == 0).any()
    best = [scipy_nnls(a, b)[1] for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(np.linalg.norm((x @ found[:, :, None])[:, :, 0] - y, axis=1), best, rtol=1e-6, atol=1e-9)
