"""Coordinates of even curvature: the same weights and gradients, and few evaluations where features are badly scaled."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix

from partitioner.training import curvature, fit_logistic
from partitioner.training.curvature import FULL, Coordinates, Spread

RNG = np.random.default_rng(8)
X = RNG.normal(size=(120, 3)) * [1.0, 1e4, 1e-3] + [0.0, 1e5, 2.0]
PARTS = [X[:50], X[50:50], X[50:51], X[51:]]


@pytest.mark.parametrize("full", [True, False])
def test_the_spread_of_parts_is_that_of_all_rows(full):
    merged = Spread.of(PARTS[0], full)
    for part in PARTS[1:]:
        merged = merged.merged(Spread.of(part, full))
    assert merged.rows == 120
    np.testing.assert_allclose(merged.mean, X.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(merged.squares / 120, X.var(axis=0), rtol=1e-12)
    if full:
        np.testing.assert_allclose(merged.products / 119, np.cov(X.T), rtol=1e-9, atol=1e-9)
    else:
        assert merged.products is None


@pytest.mark.parametrize("full", [True, False])
def test_a_partition_is_centred_piece_by_piece(full, monkeypatch):
    whole = Spread.of(X, full)
    monkeypatch.setattr(curvature, "PIECE_ROWS", 50)
    pieces = Spread.of(X, full)
    np.testing.assert_allclose(pieces.squares, whole.squares, rtol=1e-12)
    assert not full or np.allclose(pieces.products, whole.products, rtol=1e-12)


@pytest.mark.parametrize("full", [True, False])
def test_sparse_rows_that_lack_the_last_features_have_zeros_there(full):
    wide = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 5.0], [0.0, 0.0, 0.0]])
    narrow = np.array([[4.0], [6.0]])
    merged = Spread.of(csr_matrix(narrow), full).merged(Spread.of(csr_matrix(wide), full))
    whole = Spread.of(np.vstack([np.pad(narrow, ((0, 0), (0, 2))), wide]), full)
    np.testing.assert_allclose(merged.mean, whole.mean)
    np.testing.assert_allclose(merged.squares, whole.squares)
    if full:
        np.testing.assert_allclose(merged.products, whole.products, atol=1e-12)


@pytest.mark.parametrize("full", [True, False])
def test_a_gradient_in_coordinates_is_that_of_the_same_function(full):
    coordinates = Coordinates.of(Spread.of(X, full), 0.25, 1e-3)
    slope = RNG.normal(size=(4, 2))  # of a linear function of the weights
    moved = coordinates.gradient(slope)
    for _ in range(3):
        z = RNG.normal(size=(4, 2))
        assert (coordinates.weights(z) * slope).sum() == pytest.approx((z * moved).sum(), rel=1e-9)


def test_a_feature_that_is_constant_and_one_that_is_twice_another_are_no_matter():
    x = np.column_stack([X[:, 0], 2.0 * X[:, 0], np.full(120, 3.0)])
    for strength in (0.0, 1e-4):
        found = Coordinates.of(Spread.of(x, True), 0.25, strength)
        assert np.isfinite(found.weights(np.ones((4, 1)))).all()


@pytest.mark.parametrize(("penalty", "most"), [("l2", 25), (None, 40), ("l1", 120)])
def test_badly_scaled_features_take_few_rounds(checkpoint, penalty, most):
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    x = RNG.normal(size=(500, 4)) @ RNG.normal(size=(4, 4)) * [1.0, 100.0, 0.01, 5.0] + [0.0, 1000.0, 0.0, 3.0]
    y = (StandardScaler().fit_transform(x) @ [1.0, -2.0, 0.5, 0.0] + RNG.logistic(size=500) > 0).astype(int)
    found = fit_logistic(
        pa.table({"x": list(x), "y": y}), "y", "x", C=2.0, penalty=penalty, engine="serial", max_tasks=3, cost="rows",
        checkpoint=checkpoint, progress=False, report=False,
    )  # fmt: skip
    assert len(found.rounds) <= most
    if penalty == "l2":
        whole = LogisticRegression(C=2.0, solver="newton-cholesky", tol=1e-12, max_iter=500).fit(x, y)
        np.testing.assert_allclose(found.model.coef_, whole.coef_, rtol=1e-4, atol=1e-7)


def test_of_many_features_only_the_variances_are_summed(checkpoint):
    x = csr_matrix(RNG.random((40, FULL + 1)) * (RNG.random((40, FULL + 1)) < 0.02))
    rows = [(r.indices.tolist(), r.data.tolist()) for r in x]
    table = pa.table({"label": RNG.integers(0, 3, 40), "indices": [i for i, _ in rows], "values": [v for _, v in rows]})
    found = fit_logistic(
        table, "label", width=FULL + 1, engine="serial", max_tasks=2, cost="rows", checkpoint=checkpoint, progress=False,
        report=False,
    )  # fmt: skip
    assert found.model.coef_.shape == (3, FULL + 1)
    assert len(found.rounds) < 60
