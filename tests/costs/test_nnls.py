import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls as scipy_nnls

from partitioner.costs.fitting.nnls import nnls


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
