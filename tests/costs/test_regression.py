import numpy as np
import pytest

from partitioner.costs.fitting.regression import robust, robust_many


def test_exact_data_gives_exact_coefficients():
    x = np.array([[1.0, 1.0], [1.0, 10.0], [1.0, 100.0]])
    assert robust(x, np.array([3.0, 21.0, 201.0])).coefficients == pytest.approx([1.0, 2.0], rel=1e-4)


def test_a_straggler_does_not_move_the_fit():
    size = np.arange(1.0, 21.0)
    seconds = 2.0 * size
    seconds[-1] *= 10
    fit = robust(np.stack([np.ones(20), size], axis=1), seconds)
    assert fit.coefficients[1] == pytest.approx(2.0, rel=0.02)


def test_no_measurement_gives_zeros():
    assert robust(np.zeros((0, 2)), np.zeros(0)).coefficients.tolist() == [0.0, 0.0]


def test_many_fits_at_once_are_those_one_by_one():
    rng = np.random.default_rng(0)
    x = np.stack([np.ones((6, 30)), rng.lognormal(0, 1, (6, 30)), rng.lognormal(0, 1, (6, 30))], axis=2)
    y = (x @ np.array([0.5, 1.0, 0.0])) * rng.lognormal(0, 0.3, (6, 30))
    kept = rng.random((6, 30)) < 0.7
    found = robust_many(x, y, kept, 0.02, iterations=8)
    alone = [robust(a[k], b[k], 0.02).coefficients for a, b, k in zip(x, y, kept, strict=True)]
    np.testing.assert_allclose(found, alone, rtol=1e-3, atol=1e-6)
