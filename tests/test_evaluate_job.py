"""The job that judges predictions, on data that scikit-learn carries, against scikit-learn's own figures."""

import json
import zlib

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, Perceptron
from sklearn.naive_bayes import GaussianNB

from jobs import evaluate
from partitioner import cli
from partitioner.errors import ConfigError
from partitioner.training import keep

CONF = "conf/evaluate.yaml"


def settings(tmp_path, *more):
    here = [
        "engine=serial",
        "progress=false",
        "report=false",
        f"checkpoint={tmp_path / 'runs'}",
        f"output={tmp_path / 'out'}",
    ]
    return [part for value in (*here, *more) for part in ("--set", value)]


def written(tmp_path):
    return [json.loads((tmp_path / "out" / name).read_text()) for name in ("metrics.json", "model_card.json")]


def judged(tmp_path, *more):
    assert evaluate.main([CONF, *settings(tmp_path, *more)]) == 0
    return written(tmp_path)


def held_back(x, one_in):
    return np.array([zlib.crc32(row.tobytes()) % one_in == 0 for row in x])


def test_the_shipped_configuration_trains_and_judges_by_rows_held_back(tmp_path, capsys):
    found, card = judged(tmp_path)
    x, y = load_breast_cancer(return_X_y=True)
    test = held_back(x, 3)
    model = GaussianNB().fit(x[~test], y[~test])
    chance, said = model.predict_proba(x[test])[:, 1], model.predict(x[test])
    overall = found["overall"]
    expected = {
        "accuracy": metrics.accuracy_score(y[test], said),
        "log_loss": metrics.log_loss(y[test], model.predict_proba(x[test])),
        "auc": metrics.roc_auc_score(y[test], chance),
        "average_precision": metrics.average_precision_score(y[test], chance),
        "brier": metrics.brier_score_loss(y[test], chance),
    }
    ours = {**overall["calibration"], **overall["auc"], **overall["classification"]}
    assert {name: ours[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    assert overall["classification"]["confusion"] == metrics.confusion_matrix(y[test], said).tolist()
    sizes = x[test][:, 0]
    rows = {row["key"]: row["classification_rows"] for row in found["by_key"]}
    assert rows == {
        "below 12": (sizes < 12).sum(),
        "12 to 15": ((sizes >= 12) & (sizes < 15)).sum(),
        "15 and above": (sizes >= 15).sum(),
    }
    losses = [row["loss"] for row in found["worst"]]
    assert len(losses) == 5
    assert losses == sorted(losses, reverse=True)
    assert (card["model"], card["metrics"]["rows"]) == ("sklearn.naive_bayes.GaussianNB", test.sum())
    assert card["arguments"]["train"] == {"reducer": "naive_bayes", "kind": "gaussian"}
    assert "accuracy" in capsys.readouterr().out


def test_a_kept_model_of_many_classes_is_judged_class_by_class(tmp_path):
    x, y = load_digits(return_X_y=True)
    model = RandomForestClassifier(5, random_state=3).fit(x[::2], y[::2])
    keep(model, str(tmp_path / "kept"), {})
    arguments = {
        "label": "target",
        "features": "features",
        "model": str(tmp_path / "kept/model.skops"),
        "key": "target",
    }
    found, card = judged(tmp_path, "dataset=sklearn://digits", f"arguments={json.dumps(arguments)}", "max_tasks=3")
    overall = found["overall"]
    assert overall["classification"]["accuracy"] == pytest.approx(model.score(x, y))
    chances = model.predict_proba(x)
    assert overall["classification"]["log_loss"] == pytest.approx(metrics.log_loss(y, chances))
    assert overall["auc"]["macro"] == pytest.approx(metrics.roc_auc_score(y, chances, multi_class="ovr"))
    assert [row["key"] for row in found["by_key"]] == list(range(10))
    assert card["parameters"]["n_estimators"] == 5


def test_numbers_are_judged_as_numbers(tmp_path, capsys):
    more = ["dataset=sklearn://diabetes", 'arguments={"label": "target", "train": "linear", "one_in": 4}']
    found, _ = judged(tmp_path, *more)
    x, y = load_diabetes(return_X_y=True)
    test = held_back(x, 4)
    said = LinearRegression().fit(x[~test], y[~test]).predict(x[test])
    assert found["overall"]["regression"]["r2"] == pytest.approx(metrics.r2_score(y[test], said), rel=1e-8)
    assert found["worst"][0]["loss"] == pytest.approx(np.abs(y[test] - said).max(), rel=1e-8)
    assert "rmse" in capsys.readouterr().out


def test_a_model_without_probabilities_is_judged_by_its_labels(tmp_path):
    x, y = load_digits(return_X_y=True)
    model = Perceptron(random_state=0).fit(x, y)
    keep(model, str(tmp_path), {})
    arguments = {"label": "target", "features": "features", "model": str(tmp_path / "model.skops")}
    found, _ = judged(tmp_path, "dataset=sklearn://digits", f"arguments={json.dumps(arguments)}")
    assert found["overall"].keys() == {"classification"}
    assert found["overall"]["classification"]["accuracy"] == pytest.approx(model.score(x, y))
    assert {row["loss"] for row in found["worst"]} == {1.0}


def test_predictions_that_are_there_already(tmp_path):
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"truth": rng.choice(["no", "yes"], 200), "p": rng.random(200), "w": rng.random(200)})
    frame["said"] = np.where(frame["p"] > 0.5, "yes", "no")
    frame["region"] = rng.choice(["north", "south"], 200)
    frame.to_parquet(tmp_path / "scored.parquet")
    arguments = {
        "label": "truth",
        "prediction": "said",
        "probability": "p",
        "task": "classification",
        "positive": "yes",
        "key": "region",
        "weight": "w",
    }
    found, card = judged(tmp_path, f"dataset={tmp_path / 'scored.parquet'}", f"arguments={json.dumps(arguments)}")
    for row in found["by_key"]:
        mine = frame[frame["region"] == row["key"]]
        area = metrics.roc_auc_score(mine["truth"] == "yes", mine["p"], sample_weight=mine["w"])
        assert row["auc"] == pytest.approx(area, rel=1e-12)
    assert "model" not in card


def test_partitioner_run_runs_the_job(tmp_path):
    with pytest.raises(SystemExit) as done:
        cli.main(["run", CONF, *settings(tmp_path)])
    assert done.value.code == 0
    assert written(tmp_path)[0]["overall"]["classification"]["rows"] == 177


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "need 'label'"),
        ({"label": "y", "feature": "x"}, r"no 'feature'.*Did you mean 'features'"),
        ({"label": "y"}, "task is None; write classification or regression"),
        ({"label": "y", "train": {"reducer": "os:system"}}, "naive_bayes or linear"),
        ({"label": "y", "train": "linear", "one_in": 1}, "one_in is 1"),
        ({"label": "y", "train": "linear", "model": "m.skops"}, "leave out 'train' or 'model'"),
        ({"label": "y", "train": "linear", "bins": [1, 2]}, "ascending edges, and the key"),
        ({"label": "y", "train": "linear", "key": "k", "bins": [2, 1]}, "ascending edges, and the key"),
    ],
)
def test_arguments_that_cannot_be_are_refused_before_anything_runs(tmp_path, arguments, message):
    with pytest.raises(ConfigError, match=message):
        evaluate.main([CONF, *settings(tmp_path, f"arguments={json.dumps(arguments)}")])
    assert not (tmp_path / "runs").exists()


def test_a_model_that_tells_neither_classes_nor_numbers_is_refused(tmp_path):
    keep(KMeans(2, n_init=1).fit(load_diabetes().data), str(tmp_path / "model"), {})
    given = settings(tmp_path, f"arguments={{label: target, model: {tmp_path / 'model' / 'model.skops'}}}")
    with pytest.raises(ConfigError, match="KMeans, which tells neither classes nor numbers"):
        evaluate.main([CONF, *given])
