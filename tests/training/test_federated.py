"""Federated rounds: whole clients, the server's updates, robust merges."""

import copy

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from partitioner.errors import ConfigError, RunFailed
from partitioner.training import federate

RNG = np.random.default_rng(2)
SIZES = [40, 5, 25, 13, 60, 7, 30, 20]
CLIENTS = np.repeat([f"c{i}" for i in range(8)], SIZES)
X = RNG.normal(size=(200, 2))
DATA = pd.DataFrame({"client": CLIENTS, "a": X[:, 0], "b": X[:, 1], "y": X @ [3.0, -1.0]}).sample(
    frac=1, random_state=0
)


def descend(rows, parameters):
    """Three steps of least squares from the shared parameters."""
    x, y, w = rows[["a", "b"]].to_numpy(), rows["y"].to_numpy(), parameters["w"]
    for _ in range(3):
        w = w - 0.3 * x.T @ (x @ w - y) / len(y)
    return {"w": w}, float(len(rows))


def poisoned(rows, parameters):
    """One client sends nonsense."""
    found, weight = descend(rows, parameters)
    return ({"w": np.array([1e6, 1e6])}, weight) if len(rows) == 60 else (found, weight)


def counting(rows, parameters):
    return {"sizes": parameters["sizes"] + np.eye(100)[len(rows)]}, 1.0


@pytest.fixture
def settings(checkpoint):
    shown = {"progress": False, "engine": "serial", "max_tasks": 3, "cost": "rows"}
    return {"checkpoint": checkpoint, "client": "client", **shown}


def test_every_client_is_whole(settings):
    found = federate(DATA, counting, {"sizes": np.zeros(100)}, rounds=1, **settings)
    assert np.flatnonzero(found.merged["sizes"]).tolist() == sorted(SIZES)


@pytest.mark.parametrize("missing", [None, np.nan])
def test_a_client_may_be_a_category_a_number_or_missing(settings, missing):
    numbers = [missing if name == "c4" else float(name[1]) for name in DATA["client"]]
    for names in (DATA["client"].astype("category"), numbers, pd.to_datetime(numbers, unit="D")):
        found = federate(DATA.assign(client=names), counting, {"sizes": np.zeros(100)}, rounds=1, **settings)
        assert np.flatnonzero(found.merged["sizes"]).tolist() == sorted(SIZES)


def test_federated_averaging_is_what_it_is_by_hand(settings):
    found = federate(DATA, descend, {"w": np.zeros(2)}, rounds=2, **settings)
    w = np.zeros(2)
    for _ in range(2):
        trained = [(descend(rows, {"w": w})) for _, rows in DATA.groupby("client")]
        w = sum(p["w"] * n for p, n in trained) / sum(n for _, n in trained)
    np.testing.assert_allclose(found.state["parameters"]["w"], w, rtol=1e-12)


def in_place(rows, parameters):
    """The same steps, in the arrays that were given."""
    parameters["w"][:] = descend(rows, parameters)[0]["w"]
    return parameters, float(len(rows))


def test_a_training_that_works_in_place_changes_no_other_client(settings):
    found = [federate(DATA, train, {"w": np.zeros(2)}, rounds=2, **settings).state for train in (descend, in_place)]
    assert found[0]["parameters"]["w"].tobytes() == found[1]["parameters"]["w"].tobytes()


def test_federated_averaging_converges(settings):
    found = federate(DATA, descend, {"w": np.zeros(2)}, rounds=60, tolerance=1e-9, **settings)
    assert found.converged
    np.testing.assert_allclose(found.state["parameters"]["w"], [3.0, -1.0], atol=1e-7)


def test_adam_on_the_server_comes_close(settings):
    found = federate(DATA, descend, {"w": np.zeros(2)}, rounds=80, server="adam", rate=0.3, **settings)
    np.testing.assert_allclose(found.state["parameters"]["w"], [3.0, -1.0], atol=0.1)


@pytest.mark.parametrize("merge", ["median", {"reducer": "trimmed_mean", "share": 0.2}])
def test_robust_merges_bear_a_client_that_sends_nonsense(settings, merge):
    found = federate(DATA, poisoned, {"w": np.zeros(2)}, rounds=40, merge=merge, **settings)
    np.testing.assert_allclose(found.state["parameters"]["w"], [3.0, -1.0], atol=0.05)
    spoiled = federate(DATA, poisoned, {"w": np.zeros(2)}, rounds=2, **settings)
    assert np.abs(spoiled.state["parameters"]["w"]).max() > 1e4


def fitted(rows, model):
    again = copy.deepcopy(model)
    again.coef_, again.intercept_ = np.array([float(len(rows)), 0.0]), np.float64(1.0)
    return again, 1.0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 25.0),
        ({"rate": 0.5}, 12.5),
        ({"server": "adam", "rate": 0.1}, 0.1 * 2.5 / (np.sqrt(0.01 * 625) + 1e-3)),
        ({"privacy": {"clip": 1.0, "noise": 1.0, "seed": 5}}, None),
    ],
)
def test_an_estimator_of_scikit_learn_moves_as_arrays_do(settings, options, expected):
    model = LinearRegression().fit([[0.0, 1.0], [1.0, 0.0]], [0.0, 0.0])
    model.coef_, model.intercept_ = np.zeros(2), np.float64(0.0)
    found = federate(DATA, fitted, model, rounds=1, **options, **settings).state["parameters"]
    assert type(found) is LinearRegression
    if expected is not None:
        assert found.coef_[0] == pytest.approx(expected, rel=1e-12)
    else:  # clipped, and noise on every number
        assert 0 < abs(found.coef_[1]) < 1
        assert abs(found.coef_[0]) < 2


def test_what_clients_must_not_send_is_told_by_its_shape(settings):
    with pytest.raises(RunFailed, match=r"parameters have the shape \(1,\) where the shared ones have \(2,\)"):
        federate(DATA, lambda rows, p: ({"w": p["w"][:1]}, 1.0), {"w": np.zeros(2)}, **settings)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"merge": "mean"}, "merge is 'mean', which takes numbers"), ({"split": "ordered"}, "no setting 'split'")],
)
def test_settings_that_federated_rounds_cannot_have_are_refused(settings, options, said):
    with pytest.raises(ConfigError, match=said):
        federate(DATA, descend, {"w": np.zeros(2)}, **options, **settings)


def test_an_unknown_server_is_refused(settings):
    with pytest.raises(ConfigError, match="server is 'adm'"):
        federate(DATA, descend, {"w": np.zeros(2)}, server="adm", **settings)


def network_steps(rows, weights):
    """What Keras' ``get_weights`` gives of a dense layer under batch norm: kernel, bias, scale, shift, mean, variance; a
    counter of batches stands in for what is no float."""
    kernel, bias, scale, shift, mean, variance, batches = weights
    x, y = rows[["a", "b"]].to_numpy(np.float32), rows["y"].to_numpy(np.float32)[:, None]
    rest = x @ kernel + bias - y
    moved = [kernel - 0.3 * x.T @ rest / len(y), bias - 0.3 * rest.mean(axis=0)]
    running = [0.5 * mean + 0.5 * rest.mean(axis=0), 0.5 * variance + 0.5 * rest.var(axis=0)]
    return [*moved, scale, shift, *running, batches + len(y)], float(len(y))


def network_weights():
    ones = np.ones(1, np.float32)
    return [np.zeros((2, 1), np.float32), 0 * ones, ones, 0 * ones, 0 * ones, ones, np.array([0], np.int64)]


@pytest.mark.parametrize(("server", "rate"), [("average", 1.0), ("average", 0.5), ("adam", 0.3)])
def test_weights_as_keras_has_them_keep_their_order_shapes_and_types(settings, server, rate):
    found = federate(DATA, network_steps, network_weights(), rounds=3, server=server, rate=rate, **settings)
    weights = found.state["parameters"]
    assert [(w.dtype, w.shape) for w in weights] == [(w.dtype, w.shape) for w in network_weights()]
    assert weights[0][0, 0] > 0.5 > -0.1 > weights[0][1, 0]
    assert weights[2].tolist() == [1.0]
    mean_rows = sum(n * n for n in SIZES) / sum(SIZES)
    assert weights[-1].tolist() == [3 * round(mean_rows)]  # a counter is that of the mean, whatever the server does
