"""All statistics and models in one run: the same result on every engine, as scikit-learn has it on all the data."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import partitioner as pt

RNG = np.random.default_rng(30)
N = 400
X = RNG.normal(size=(N, 3)) + np.array([0.0, 1e6, -2.0])
SCORE = np.round(X[:, 0], 2)
LABEL = (SCORE + RNG.normal(size=N) > 0).astype(int)
COLOR = RNG.choice(["red", "green", "blue"], N)
DATA = pa.table(
    {
        "region": RNG.choice(["north", "south"], N),
        "label": LABEL,
        "score": SCORE,
        "probability": 1 / (1 + np.exp(-SCORE)),
        "prediction": (SCORE > 0).astype(int),
        "color": COLOR,
        **{f"x{i}": X[:, i] for i in range(3)},
    }
)
FEATURES = ["x0", "x1", "x2"]
JUDGED = {"auc": "auc", "cal": "calibration", "cls": "classification", "fit": "regression"}
EVERYTHING = {
    **JUDGED,
    "cov": {"reducer": "covariance", "columns": FEATURES},
    "best": {"reducer": "top_k", "by": "score", "k": 4, "columns": ["color"]},
    "common": {"reducer": "frequent_items", "column": "color"},
    "scaler": {"reducer": "scaler", "features": FEATURES},
    "codes": {"reducer": "encoder", "features": ["color"]},
    "line": {"reducer": "linear", "label": "score", "features": FEATURES},
    "near": {"reducer": "neighbors", "queries": X[:3].tolist(), "k": 2, "features": FEATURES},
    "by": {"reducer": "by_key", "key": "region", "inner": {"reducer": "several", "of": JUDGED}},
}


def same(batch):
    return batch


def finished(engine, checkpoint):
    return pt.run(
        DATA, same, reducer={"reducer": "several", "of": EVERYTHING}, engine=engine, checkpoint=checkpoint, max_tasks=5,
        cost="rows", batch_format="arrow", progress=False, report=False,
    ).result  # fmt: skip


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    return finished("serial", str(tmp_path_factory.mktemp("runs")))


def test_one_run_has_them_all(serial):
    assert serial["auc"]["auc"] == pytest.approx(metrics.roc_auc_score(LABEL, SCORE), rel=1e-12)
    assert serial["cls"]["accuracy"] == pytest.approx(metrics.accuracy_score(LABEL, SCORE > 0), rel=1e-12)
    np.testing.assert_allclose(
        [list(row.values()) for row in serial["cov"].values()], np.cov(X.T), rtol=1e-9, atol=1e-12
    )
    assert serial["best"]["score"].to_pylist() == sorted(SCORE.tolist(), reverse=True)[:4]
    assert serial["common"]["items"][0]["count"] == max(np.unique(COLOR, return_counts=True)[1])
    np.testing.assert_allclose(serial["scaler"].mean_, StandardScaler().fit(X).mean_, rtol=1e-12)
    assert serial["codes"].categories_[0].tolist() == OneHotEncoder().fit(COLOR[:, None]).categories_[0].tolist()
    assert serial["line"].coef_[0] == pytest.approx(1.0, abs=0.01)
    assert serial["near"]["indices"][:, 0].tolist() == [0, 1, 2]
    assert serial["by"]["region"].to_pylist() == ["north", "south"]


def test_dask_workers_give_the_same_bits(serial, dask_engine, checkpoint):
    found = finished(dask_engine, checkpoint)
    for name in ("auc", "cal", "cov", "common"):
        assert str(found[name]) == str(serial[name])
    assert found["by"].equals(serial["by"])
    assert found["best"].equals(serial["best"])
    assert found["line"].coef_.tobytes() == serial["line"].coef_.tobytes()


@pytest.mark.spark
def test_spark_executors_give_the_same_bits(serial, spark, checkpoint):
    found = finished(spark, checkpoint)
    for name in ("auc", "cal", "cov", "common"):
        assert str(found[name]) == str(serial[name])
    assert found["by"].equals(serial["by"])
    assert found["line"].coef_.tobytes() == serial["line"].coef_.tobytes()
