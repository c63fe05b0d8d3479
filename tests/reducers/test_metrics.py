"""Metrics of predictions in parts, against scikit-learn on all the data."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.calibration import calibration_curve

from partitioner.choices import choose
from partitioner.errors import ConfigError, ProgramError
from partitioner.reducers.tree import merge_tree
from partitioner.testing.laws import check_laws

RNG = np.random.default_rng(14)
N = 600
WEIGHT = RNG.random(N)
LABEL = RNG.choice(["ant", "bee", "cat"], N)
CHANCES = RNG.dirichlet([1, 1, 1], N)
SAID = np.where(RNG.random(N) < 0.6, LABEL, np.array(["ant", "bee", "cat"])[CHANCES.argmax(axis=1)])
SAID[:5] = "dog"
SCORE = np.round(RNG.normal(size=N), 1)  # with ties
POSITIVE = (SCORE + RNG.normal(size=N) > 0).astype(int)
CHANCE = 1 / (1 + np.exp(-SCORE))
NUMBER = RNG.normal(size=N)
GUESS = NUMBER + 0.3 * RNG.normal(size=N)
WEIGHTED = pytest.mark.parametrize("weight", [None, "weight"])


def reduced(spec, table, parts=7):
    reducer = choose("reducers", spec)
    table = pa.table(table)
    cuts = np.linspace(0, table.num_rows, parts + 1).astype(int)
    pieces = [table.slice(a, b - a) for a, b in pairwise(cuts)]
    held = [reducer.add_input(reducer.create_accumulator(), piece) for piece in pieces]
    return reducer.extract_output(merge_tree(reducer, held))


def weights(weight):
    return {"sample_weight": WEIGHT if weight else None}


@WEIGHTED
@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_regression_metrics_are_those_of_scikit_learn(weight, offset):
    y, p = NUMBER + offset, GUESS + offset
    found = reduced({"reducer": "regression", "weight": weight}, {"label": y, "prediction": p, "weight": WEIGHT})
    theirs = {
        "mae": metrics.mean_absolute_error,
        "mse": metrics.mean_squared_error,
        "rmse": metrics.root_mean_squared_error,
        "r2": metrics.r2_score,
        "explained_variance": metrics.explained_variance_score,
        "mape": metrics.mean_absolute_percentage_error,
    }
    expected = {name: function(y, p, **weights(weight)) for name, function in theirs.items()}
    assert {name: found[name] for name in theirs} == pytest.approx(expected, rel=1e-12)
    assert found["bias"] == pytest.approx(np.average(p - y, weights=WEIGHT if weight else None), rel=1e-12)
    assert (found["rows"], found["max_error"]) == (N, metrics.max_error(y, p))


@pytest.mark.parametrize(
    ("label", "prediction", "r2"), [([1.0, 1.0], [1.0, 1.0], 1.0), ([1.0, 1.0], [1.0, 2.0], 0.0), ([1.0], [1.0], None)]
)
def test_r2_of_labels_that_never_change_is_that_of_scikit_learn(label, prediction, r2):
    found = reduced("regression", {"label": label, "prediction": prediction}, parts=2)["r2"]
    assert np.isnan(found) if r2 is None else found == r2


@WEIGHTED
def test_classification_means_are_those_of_scikit_learn(weight):
    table = {"label": LABEL, "prediction": SAID, "weight": WEIGHT}
    found = reduced({"reducer": "classification", "weight": weight}, table)
    report = metrics.classification_report(LABEL, SAID, output_dict=True, zero_division=0, **weights(weight))
    names = {"precision": "precision", "recall": "recall", "f1": "f1-score"}
    for ours, theirs in (("macro", "macro avg"), ("weighted", "weighted avg")):
        assert found[ours] == pytest.approx({n: report[theirs][t] for n, t in names.items()}, rel=1e-12)
    micro = metrics.f1_score(LABEL, SAID, average="micro", **weights(weight))
    others = {
        "accuracy": metrics.accuracy_score,
        "matthews": metrics.matthews_corrcoef,
        "kappa": metrics.cohen_kappa_score,
    }
    expected = {name: f(LABEL, SAID, **weights(weight)) for name, f in others.items()}
    assert {name: found[name] for name in others} == pytest.approx(expected, rel=1e-12)
    assert found["micro"]["f1"] == pytest.approx(micro, rel=1e-12)
    np.testing.assert_allclose(found["confusion"], metrics.confusion_matrix(LABEL, SAID, **weights(weight)), rtol=1e-12)


@WEIGHTED
def test_log_loss_of_three_classes_is_that_of_scikit_learn(weight):
    said = np.array(["ant", "bee", "cat"])[CHANCES.argmax(axis=1)]
    table = {"label": LABEL, "prediction": said, "p": list(CHANCES), "weight": WEIGHT}
    spec = {"reducer": "classification", "classes": ["ant", "bee", "cat"], "probabilities": "p", "weight": weight}
    expected = metrics.log_loss(LABEL, CHANCES, **weights(weight))
    assert reduced(spec, table)["log_loss"] == pytest.approx(expected, rel=1e-12)


def test_log_loss_of_two_classes_takes_the_probability_of_the_second():
    spec = {"reducer": "classification", "classes": ["no", "yes"], "probabilities": "p"}
    table = {"label": ["yes", "no"], "prediction": ["yes", "yes"], "p": [0.8, 0.6]}
    assert reduced(spec, table, 2)["log_loss"] == pytest.approx(-(np.log(0.8) + np.log(0.4)) / 2, rel=1e-15)


def test_classes_that_are_given_come_in_their_order_with_their_empty_rows():
    found = reduced({"reducer": "classification", "classes": [2, 1, 0]}, {"label": [1, 1], "prediction": [1, 2]}, 1)
    assert found["classes"] == [2, 1, 0]
    assert found["confusion"].tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_whole_numbers_and_floats_of_one_class_are_one():
    found = reduced("classification", {"label": [0, 1, 2], "prediction": [0.0, 1.0, 3.0]}, 1)
    assert (found["classes"], found["accuracy"]) == ([0, 1, 2, 3], 2 / 3)


@WEIGHTED
def test_the_area_and_the_average_precision_are_those_of_scikit_learn(weight):
    found = reduced({"reducer": "auc", "weight": weight}, {"label": POSITIVE, "score": SCORE, "weight": WEIGHT})
    area = metrics.roc_auc_score(POSITIVE, SCORE, **weights(weight))
    precision = metrics.average_precision_score(POSITIVE, SCORE, **weights(weight))
    assert (found["auc"], found["average_precision"]) == pytest.approx((area, precision), rel=1e-12)
    assert (found["auc_error"], found["scores"]) == (0.0, len(np.unique(SCORE)))


def test_the_roc_curve_is_that_of_scikit_learn():
    found = reduced({"reducer": "auc", "curve": True}, {"label": POSITIVE, "score": SCORE})["roc"]
    theirs = metrics.roc_curve(POSITIVE, SCORE, drop_intermediate=False)
    for name, values in zip(("fpr", "tpr", "thresholds"), theirs, strict=True):
        np.testing.assert_allclose(found[name], values, rtol=1e-12)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.floats(allow_nan=False, allow_infinity=False)), min_size=8, max_size=60))
def test_with_few_buckets_the_area_is_within_the_error_that_is_told(rows):
    y, score = (np.array(column) for column in zip(*rows, strict=True))
    if len(set(y.tolist())) == 2:
        found = reduced({"reducer": "auc", "positive": True, "max_scores": 4}, {"label": y, "score": score}, 3)
        assert found["scores"] <= 4
        area, precision = metrics.roc_auc_score(y, score), metrics.average_precision_score(y, score)
        assert abs(found["auc"] - area) <= found["auc_error"] + 1e-12
        assert abs(found["average_precision"] - precision) <= found["average_precision_error"] + 1e-12


def test_one_result_over_every_cut_where_scores_share_buckets():
    score, y = RNG.normal(size=2000), RNG.integers(0, 2, 2000)
    spec = {"reducer": "auc", "max_scores": 100}
    found = {str(reduced(spec, {"label": y, "score": score}, parts)) for parts in (1, 2, 7, 100)}
    assert len(found) == 1


def test_one_class_alone_has_no_area():
    assert np.isnan(reduced("auc", {"label": [1, 1], "score": [0.5, 0.2]}, 1)["auc"])


@WEIGHTED
def test_brier_score_and_log_loss_are_those_of_scikit_learn(weight):
    table = {"label": POSITIVE, "probability": CHANCE, "weight": WEIGHT}
    found = reduced({"reducer": "calibration", "weight": weight}, table)
    brier = metrics.brier_score_loss(POSITIVE, CHANCE, **weights(weight))
    loss = metrics.log_loss(POSITIVE, CHANCE, **weights(weight))
    assert (found["brier"], found["log_loss"]) == pytest.approx((brier, loss), rel=1e-12)


def test_the_bins_are_those_of_scikit_learn():
    found = reduced({"reducer": "calibration", "bins": 8}, {"label": POSITIVE, "probability": CHANCE})["bins"]
    observed, predicted = calibration_curve(POSITIVE, CHANCE, n_bins=8)
    used = found["rows"] > 0
    np.testing.assert_allclose(found["observed"][used], observed, rtol=1e-12)
    np.testing.assert_allclose(found["predicted"][used], predicted, rtol=1e-12)


def test_the_expected_error_is_the_mean_distance_of_the_bins():
    found = reduced({"reducer": "calibration", "bins": 2}, {"label": [0, 1, 1], "probability": [0.25, 0.25, 1.0]}, 3)
    assert (found["ece"], found["mce"]) == (pytest.approx(0.25 * 2 / 3), 0.25)


@pytest.mark.parametrize(
    ("spec", "row", "message"),
    [
        (
            "regression",
            {"label": [1.0, None], "prediction": [1.0, 2.0]},
            r"'label' .* null, NaN or an infinity in row 1",
        ),
        ("regression", {"label": [1.0], "prediction": [np.inf]}, "'prediction' .* in row 0"),
        ("regression", {"label": ["a"], "prediction": [1.0]}, "'label' of the program's output is string"),
        ("auc", {"label": [1, 0], "scores": [1.0, 2.0]}, "Did you mean 'scores'"),
        ("auc", {"label": ["yes"], "score": [1.0]}, "positive=1"),
        ("calibration", {"label": [1], "probability": [1.5]}, "is 1.5 in row 0; probabilities are from 0 to 1"),
        ("classification", {"label": ["a", None], "prediction": ["a", "b"]}, r"'label' .* in row 1"),
        ({"reducer": "classification", "classes": ["a"]}, {"label": ["b"], "prediction": ["a"]}, "not one of classes"),
        (
            {"reducer": "classification", "classes": ["a", "b"], "probabilities": "p"},
            {"label": ["a"], "prediction": ["a"], "p": [[0.1, 0.2, 0.7]]},
            "3 probabilities in 1 rows for 2 classes",
        ),
        ({"reducer": "regression", "weight": "w"}, {"label": [1], "prediction": [1], "w": [-1.0]}, "is -1.0 in row 0"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_its_place(spec, row, message):
    with pytest.raises(ProgramError, match=message):
        reduced(spec, row, 1)


@pytest.mark.parametrize(
    ("spec", "table"),
    [
        ("regression", {"label": [1.0, None, 3.0], "prediction": [2.0, 1.0, np.nan]}),
        ("auc", {"label": [1, None, 0], "score": [2.0, 1.0, np.nan]}),
        ("calibration", {"label": [1, None, 0], "probability": [0.5, 0.5, None]}),
        ("classification", {"label": ["a", None, "b"], "prediction": ["a", "b", None]}),
    ],
)
def test_rows_with_a_missing_value_can_be_left_out(spec, table):
    found = reduced({"reducer": spec, "nan": "omit"}, table, 2)
    assert (found["rows"] if "rows" in found else found["positives"] + found["negatives"]) == 1


@pytest.mark.parametrize(
    "spec",
    [
        {"reducer": "auc", "max_scores": 1},
        {"reducer": "calibration", "bins": 0},
        {"reducer": "classification", "probabilities": "p"},
        {"reducer": "regression", "nan": "propagate"},
    ],
)
def test_settings_that_cannot_be_are_refused(spec):
    with pytest.raises(ConfigError, match=list(spec)[1]):
        choose("reducers", spec)


def test_weights_keep_the_laws():
    tables = [
        {"label": POSITIVE[i::4], "score": SCORE[i::4], "prediction": SCORE[i::4] > 0, "w": WEIGHT[i::4]}
        for i in range(4)
    ]
    for name in ("auc", "classification", "regression"):
        check_laws({"reducer": name, "weight": "w"}, tables, examples=5)


def test_every_metric_of_every_key_at_once():
    of = {"auc": "auc", "fit": "regression", "cal": "calibration", "cls": "classification"}
    table = {
        "key": ["a", "b"] * (N // 2),
        "label": POSITIVE,
        "prediction": (SCORE > 0).astype(int),
        "score": SCORE,
        "probability": CHANCE,
    }
    found = reduced({"reducer": "by_key", "inner": {"reducer": "several", "of": of}}, table).to_pylist()
    for i, row in enumerate(found):
        mine = slice(i, None, 2)
        y, said = POSITIVE[mine], SCORE[mine] > 0
        assert row["auc"] == pytest.approx(metrics.roc_auc_score(y, SCORE[mine]), rel=1e-12)
        assert row["fit_mae"] == pytest.approx(metrics.mean_absolute_error(y, said), rel=1e-12)
        assert row["cal_brier"] == pytest.approx(metrics.brier_score_loss(y, CHANCE[mine]), rel=1e-12)
        assert row["cls_macro"]["f1"] == pytest.approx(metrics.f1_score(y, said, average="macro"), rel=1e-12)
        assert row["cls_confusion"] == metrics.confusion_matrix(y, said).tolist()


@pytest.mark.parametrize("nan", ["raise", "omit"])
def test_regression_of_many_keys_at_once_is_that_of_each_alone(nan):
    table = {"key": RNG.integers(0, 40, N), "label": NUMBER + 1e6, "prediction": GUESS + 1e6}
    if nan == "omit":
        table["prediction"] = np.where(np.arange(N) % 9 == 0, np.nan, table["prediction"])
    spec = {"reducer": "regression", "nan": nan}
    found = reduced({"reducer": "by_key", "inner": spec}, table).to_pylist()
    for row in found:
        mine = {name: values[table["key"] == row["key"]] for name, values in table.items()}
        alone = reduced(spec, mine, 1)
        assert row.keys() - {"key"} == alone.keys()
        assert {name: row[name] for name in alone} == pytest.approx(alone, rel=1e-9, nan_ok=True)


def test_regression_of_a_key_whose_labels_never_change():
    table = {"key": [1, 1, 2, 2, 3], "label": [1.0, 1.0, 1.0, 1.0, 1.0], "prediction": [1.0, 1.0, 1.0, 2.0, 5.0]}
    found = reduced({"reducer": "by_key", "inner": "regression"}, table, 2).to_pydict()
    assert found["r2"][:2] == [1.0, 0.0]
    assert np.isnan(found["r2"][2])


def test_few_and_many_rows_have_the_same_calibration(monkeypatch):
    from partitioner.reducers.statistics import calibration

    table = {"label": POSITIVE, "probability": CHANCE}
    few = reduced("calibration", table)
    monkeypatch.setattr(calibration, "FEW", 0)
    assert str(reduced("calibration", table)) == str(few)


def test_an_output_of_one_row_may_be_plain_values():
    reducer = choose("reducers", "regression")
    parts = [reducer.add_input(reducer.create_accumulator(), {"label": y, "prediction": 2.0}) for y in (1.0, 4)]
    assert reducer.extract_output(merge_tree(reducer, parts))["mae"] == 1.5
