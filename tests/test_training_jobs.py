"""Training jobs from their configurations, and the models that they keep."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyspark
import pytest
from sklearn.datasets import load_svmlight_file
from sklearn.linear_model import Ridge

import partitioner as pt
from jobs import (
    batch_inference,
    pipeline,
    train_cifar_ensemble,
    train_ensemble,
    train_federated,
    train_kmeans,
    train_linear,
    train_logistic,
)
from partitioner.errors import ConfigError, MissingDependency
from partitioner.training import Design
from partitioner.training.keeping import flattened, keep

SAMPLE = str(Path(pyspark.__file__).parent / "data/mllib/sample_linear_regression_data.txt")
HERE = ["--set", "engine=serial", "--set", "progress=false"]


def trained(job, name, tmp_path, *settings):
    place = tmp_path / "model"
    common = [*HERE, "--set", f"checkpoint={tmp_path / 'runs'}", "--set", f"output={place}"]
    assert job.main([f"conf/{name}.yaml", *common, *settings]) == 0
    return place, json.loads((place / "model_card.json").read_text())


def loaded(place):
    import skops.io

    return skops.io.load(place / "model.skops")


def test_logistic_regression_on_the_sample_of_spark(tmp_path, capsys):
    place, card = trained(train_logistic, "train_logistic", tmp_path)
    assert (card["rows"], card["model"]) == (100, "sklearn.linear_model._logistic.LogisticRegression")
    assert loaded(place).coef_.shape == (1, 692)
    assert "loss" in capsys.readouterr().out


def test_ridge_regression_on_the_sample_of_spark(tmp_path):
    place, card = trained(train_linear, "train_linear", tmp_path)
    assert (card["rows"], card["sub-tasks"], loaded(place).coef_.shape) == (501, 4, (10,))
    assert card["parameters"]["alpha"] == 1.0
    assert {"python", "numpy", "scikit-learn", "skops"} <= card["versions"].keys()
    x, y = load_svmlight_file(SAMPLE, n_features=10)
    whole = Ridge(1.0).fit(x.toarray(), y)
    assert card["metrics"]["r2"] == pytest.approx(whole.score(x.toarray(), y), rel=1e-9)
    assert card["metrics"]["rmse"] == pytest.approx(np.sqrt(np.mean((whole.predict(x.toarray()) - y) ** 2)), rel=1e-12)


def test_kmeans_on_digits(tmp_path):
    place, card = trained(train_kmeans, "train_kmeans", tmp_path, "--set", "max_tasks=2")
    assert loaded(place).cluster_centers_.shape == (10, 64)
    assert card["loss"] == pytest.approx(1.17e6, rel=0.02)


def test_federated_digits_learn_from_clients_of_one_class(tmp_path):
    from safetensors.numpy import load_file
    from sklearn.datasets import load_digits

    place, card = trained(train_federated, "train_federated", tmp_path, "--set", "rounds=30")
    model = load_file(place / "model.safetensors")
    x, y = load_digits(return_X_y=True)
    assert (np.argmax(x / 16 @ model["weights"] + model["bias"], axis=1) == y).mean() > 0.8
    assert (card["rounds"], card["rows"]) == (30, 1797)
    assert card["metrics"]["accuracy"] == (np.argmax(x / 16 @ model["weights"] + model["bias"], axis=1) == y).mean()


def test_a_wrong_setting_names_the_nearest(tmp_path):
    conf = tmp_path / "conf.yaml"
    conf.write_text(Path("conf/train_kmeans.yaml").read_text() + "max_task: 3\n")
    with pytest.raises(ConfigError, match=r"no setting 'max_task'\. Did you mean 'max_tasks'"):
        train_kmeans.main([str(conf)])


def test_an_argument_that_is_a_setting_too_is_refused():
    with pytest.raises(ConfigError, match=r"'max_tasks' is a setting and one of arguments too"):
        train_kmeans.main(["conf/train_kmeans.yaml", "--set", "arguments.max_tasks=3"])


def test_an_argument_of_federated_training_that_there_is_none_of_is_told():
    with pytest.raises(ConfigError, match=r"no 'stpes'.*Did you mean 'steps'"):
        train_federated.main(["conf/train_federated.yaml", "--set", "arguments.stpes=3"])


def test_features_are_divided_by_the_largest_of_all_clients(checkpoint):
    about = {"engine": "serial", "checkpoint": checkpoint, "progress": False, "report": False}
    data = pa.table({"x": [[0.5, 1.0], [-40.0, 2.0]], "label": [0, 1]})
    design = Design.of("x", "label")
    assert train_federated.scale_of(data, design, {}, about) == 40.0
    assert train_federated.scale_of(data, design, {"scale": 16}, about) == 16.0
    with pytest.raises(ConfigError, match="scale is 0; give a number above 0"):
        train_federated.scale_of(data, design, {"scale": 0}, about)


def test_an_ensemble_is_kept_and_predicts(tmp_path, capsys):
    place = f"checkpoint={tmp_path / 'runs'}"
    trees = ["--set", "arguments.model=sklearn.tree:DecisionTreeClassifier", "--set", "arguments.options={}"]
    common = [*HERE, "--set", "report=false", "--set", place]
    assert train_ensemble.main(["conf/ensemble.yaml", *common, *trees, "--set", "max_tasks=3"]) == 0
    (card,) = (json.loads(path.read_text()) for path in tmp_path.rglob("model_card.json"))
    assert (card["members"], card["rows"], card["reducer"]) == (3, 1797, "soft_vote")
    (model,) = tmp_path.rglob("model.skops")
    conf = ["conf/batch_inference.yaml", "--set", f"arguments.model={model}", "--set", f"output={tmp_path / 'said'}"]
    assert batch_inference.main([*conf, *common]) == 0
    said = pt.read_table(str(tmp_path / "said"))
    right = (said["target"].to_numpy() == said["prediction"].to_numpy()).mean()
    assert right > card["metrics"]["accuracy"]["ensemble"] > 0.8


def test_a_missing_argument_is_named(tmp_path):
    conf = tmp_path / "conf.yaml"
    conf.write_text("dataset: sklearn://digits\n")
    with pytest.raises(ConfigError, match="need 'clusters'"):
        train_kmeans.main([str(conf)])


def test_names_of_a_tree_are_paths():
    tree = {"layers": [{"w": np.ones(2)}, {"w": np.zeros(1)}], "bias": 1.5}
    assert list(flattened(tree)) == ["layers/0/w", "layers/1/w", "bias"]


def test_what_is_kept_has_its_type_and_shape(tmp_path):
    from safetensors.numpy import load_file

    keep({"bn": {"batches": np.array(7), "mean": np.ones(2, np.float32)}, "half": np.float16([1])}, str(tmp_path), {})
    found = load_file(tmp_path / "model.safetensors")
    assert {name: (a.dtype.name, a.shape) for name, a in found.items()} == {
        "bn/batches": ("int64", ()),
        "bn/mean": ("float32", (2,)),
        "half": ("float16", (1,)),
    }


def test_two_parts_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="two parts of the model are called 'a/b'"):
        flattened({"a/b": 1.0, "a": {"b": 2.0}})


def test_what_is_no_number_is_not_kept(tmp_path):
    with pytest.raises(ConfigError, match="note is a str"):
        keep({"note": "text"}, str(tmp_path), {})


def test_a_pipeline_trains_votes_and_keeps_models(tmp_path, capsys):
    settings = [
        "--set",
        f"checkpoint={tmp_path / 'runs'}",
        "--set",
        f"output={tmp_path / 'models'}",
        "--set",
        "parts=2",
    ]
    assert pipeline.main(["conf/pipeline.yaml", *HERE, *settings]) == 0
    card = json.loads((tmp_path / "models" / "forest" / "model_card.json").read_text())
    result = card["result"]
    assert result["rows"] == 501
    assert result["together"] / result["rows"] > 0.95
    assert set(result) == {"logistic", "forest", "neighbours", "together", "rows"}
    assert (tmp_path / "models" / "logistic" / "model.skops").exists()
    assert "lower bound" in capsys.readouterr().out


def test_a_step_of_a_stranger_names_no_code_from_elsewhere(tmp_path):
    conf = tmp_path / "conf.yaml"
    conf.write_text("job: jobs.pipeline\nsteps: {a: {program: 'os:system'}}\n")
    with pytest.raises(ConfigError, match="steps names 'os:system'"):
        pipeline.main([str(conf)])


def test_without_torch_the_cifar_job_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependency, match=r'pip install "batch-partitioner\[torch\]"'):
        train_cifar_ensemble.main(["conf/train_cifar_ensemble.yaml", *HERE])


def test_generated_images_have_the_shape_of_cifar():
    table = train_cifar_ensemble.generated(20, seed=1)
    assert {len(p) for p in table["pixels"].to_pylist()} == {32 * 32 * 3}
    assert table["label"].to_pylist() == [*range(10)] * 2


def test_networks_of_all_splits_are_kept_in_order():
    from partitioner.testing.laws import check_laws

    check_laws(train_cifar_ensemble.States(), values=[{"w": np.full(2, i), "n": np.array(i)} for i in range(5)])


def test_a_card_names_what_made_the_model_under_either_name_it_is_installed_by(tmp_path, monkeypatch):
    info = tmp_path / "xgboost_cpu-3.2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: xgboost-cpu\nVersion: 3.2.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    keep({"w": np.ones(1)}, str(tmp_path / "model"), {})
    card = json.loads((tmp_path / "model" / "model_card.json").read_text())
    assert card["versions"]["xgboost-cpu"] == "3.2.0"
