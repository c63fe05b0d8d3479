"""Ensembles are estimators of scikit-learn."""

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    RandomForestClassifier,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron, Ridge
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

from partitioner.errors import ConfigError, ProgramError
from partitioner.reducers.average import Average
from partitioner.reducers.container import pack, unpack
from partitioner.reducers.estimators import Averaging, HardVoting, SoftVoting, Stacking
from partitioner.reducers.forest import Forest
from partitioner.reducers.hard_vote import HardVote
from partitioner.reducers.soft_vote import SoftVote
from partitioner.training import keep, kept_model
from tests.reducers.says import Says

X, Y = load_iris(return_X_y=True)


def reduced(reducer, *values):
    accumulator = reducer.create_accumulator()
    for value in values:
        accumulator = reducer.add_input(accumulator, value)
    return reducer.extract_output(accumulator)


def parts():
    return [(LogisticRegression(max_iter=2000).fit(X[i::3], Y[i::3])) for i in range(3)]


@pytest.mark.parametrize("reducer", [SoftVote(), HardVote()])
def test_a_clone_of_an_ensemble_is_trained_anew(reducer):
    vote = reduced(reducer, *parts())
    assert is_classifier(vote)
    assert len(vote.get_params()["estimators"]) == 3
    again = clone(vote)
    assert "members" not in vars(again)
    assert again.fit(X, Y).score(X, Y) > 0.95
    assert cross_val_score(vote, X, Y, cv=3).mean() > 0.9


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "ensemble",
    [
        SoftVoting([GaussianNB()]),
        HardVoting([DecisionTreeClassifier(random_state=0)]),
        Averaging([Ridge(), LinearRegression()]),
    ],
)
def test_ensembles_keep_the_conventions_of_scikit_learn(ensemble):
    found = check_estimator(ensemble, on_fail=None, on_skip=None)
    assert [check["check_name"] for check in found if check["status"] == "failed"] == []


def test_weights_of_rows_go_to_the_members():
    weights = np.where(Y == 2, 1e-9, 1.0)
    found, expected = (
        model.fit(X, Y, weights).predict_proba(X) for model in (SoftVoting([GaussianNB()]), GaussianNB())
    )
    np.testing.assert_array_equal(found, expected)
    assert (
        AdaBoostClassifier(HardVoting([DecisionTreeClassifier(max_depth=1)]), n_estimators=2).fit(X, Y).score(X, Y)
        > 0.6
    )


def test_weights_of_rows_go_to_the_last_step_of_a_pipeline():
    x, y = load_iris(return_X_y=True)
    weight = np.r_[np.ones(100), np.zeros(50)]
    steps = make_pipeline(make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0)))
    found = SoftVoting([steps]).fit(x, y, sample_weight=weight)
    assert set(found.predict(x)) == {0, 1}
    assert BaggingClassifier(SoftVoting([steps]), 2, random_state=0).fit(x, y).score(x, y) > 0.9


def test_weights_are_one_for_each_member_and_labels_of_one_type():
    x = [[0.0], [1.0]]
    with pytest.raises(ConfigError, match=r"weights has the shape \(3,\) for 1 members"):
        SoftVoting([GaussianNB()], weights=[1, 2, 3]).fit(x, [0, 1])
    with pytest.raises(ConfigError, match=r"weights has the shape \(2,\) for 1 members"):
        Averaging([Ridge()], weights=[1, 2]).fit(x, [0.0, 1.0])
    models = [GaussianNB().fit(x, labels) for labels in (["a", "b"], [True, False])]
    with pytest.raises(ProgramError, match=r"classes are text \(\['a', 'b'\]\) and numbers \(\[False, True\]\)"):
        reduced(SoftVote(), *models)


def test_a_kept_ensemble_is_read_again(tmp_path):
    members = [CalibratedClassifierCV(GaussianNB(), cv=2).fit(X, Y), VotingClassifier([("a", GaussianNB())]).fit(X, Y)]
    vote = reduced(HardVote(), *(unpack(pack(member)) for member in members))
    keep(vote, str(tmp_path), {})
    assert np.array_equal(kept_model(f"{tmp_path}/model.skops").predict(X), vote.predict(X))


def test_members_without_probabilities_are_stacked_by_their_votes():
    vote = reduced(HardVote(), *(Perceptron(random_state=i).fit(X, Y) for i in range(3)))
    assert Stacking(vote, LogisticRegression()).fit(X, Y).score(X, Y) > 0.7


def test_scorers_take_an_ensemble():
    assert get_scorer("roc_auc_ovr")(reduced(SoftVote(), *parts()), X, Y) > 0.95


def test_votes_may_have_weights():
    vote = reduced(HardVote(), (Says.of(cat=1.0), 1.0), (Says.of(dog=1.0), 3.0), (Says.of(cat=1.0), 1.0))
    assert vote.predict([0]).tolist() == ["dog"]
    assert vote.predict_proba([0]).tolist() == [[0.4, 0.6]]


def test_a_weight_of_nothing_is_refused():
    with pytest.raises(ProgramError, match="weight 0"):
        reduced(SoftVote(), (Says.of(cat=1.0), 0))


def test_regressors_are_averaged_as_scikit_learn_does():
    x, y = load_diabetes(return_X_y=True)
    members = [LinearRegression().fit(x, y), Ridge().fit(x, y)]
    ours = reduced(Average(), (members[0], 1.0), (members[1], 3.0))
    theirs = VotingRegressor([("a", LinearRegression()), ("b", Ridge())], weights=[1.0, 3.0]).fit(x, y)
    assert is_regressor(ours)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x))


def test_forests_are_merged_tree_by_tree():
    grown = [RandomForestClassifier(5, random_state=i).fit(X[i::2], Y[i::2]) for i in range(2)]
    merged = reduced(Forest(), *grown)
    assert (len(merged.estimators_), merged.n_estimators) == (10, 10)
    np.testing.assert_allclose(merged.predict_proba(X), (grown[0].predict_proba(X) + grown[1].predict_proba(X)) / 2)


def test_forests_of_different_classes_are_refused():
    with pytest.raises(ProgramError, match="stratified"):
        reduced(Forest(), RandomForestClassifier(2).fit(X, Y), RandomForestClassifier(2).fit(X[:100], Y[:100]))


def test_a_stack_learns_from_its_members():
    vote = reduced(SoftVote(), *parts(), GaussianNB().fit(X, Y))
    stack = Stacking(vote, LogisticRegression(max_iter=2000)).fit(X[::2], Y[::2])
    assert stack.score(X[1::2], Y[1::2]) > 0.9
    assert clone(stack).final.max_iter == 2000
    assert cross_val_score(stack, X, Y, cv=3).min() > 0.9
    found = GridSearchCV(stack, {"final__C": [0.1, 1.0]}, cv=2).fit(X, Y)
    assert found.best_estimator_.ensemble is vote


def test_an_ensemble_tells_the_columns_of_its_members_and_that_a_clone_is_not_fitted():
    x, y = np.arange(12.0).reshape(6, 2), np.array([0, 1] * 3)
    found = reduced(SoftVote(), LogisticRegression().fit(x, y), LogisticRegression().fit(x, y))
    assert found.n_features_in_ == 2
    with pytest.raises(NotFittedError):
        clone(found).predict(x)


@pytest.mark.parametrize(
    ("reducer", "model", "message"),
    [
        (Average(), LinearRegression(), "LinearRegression, which is not fitted"),
        (Average(), LogisticRegression().fit([[0.0], [1.0]], [0, 1]), "a classifier; average is for regressors"),
        (Forest(), RandomForestClassifier(), "not fitted|has no"),
    ],
)
def test_what_cannot_be_a_member_is_refused_when_it_comes(reducer, model, message):
    with pytest.raises(ProgramError, match=message):
        reduced(reducer, model)


def test_stacked_classifiers_are_a_classifier_with_probabilities():
    x, y = np.arange(24.0).reshape(12, 2), np.array([0, 1] * 6)
    found = reduced(SoftVote(), LogisticRegression().fit(x, y), LogisticRegression(C=0.1).fit(x, y))
    stacked = Stacking(found, LogisticRegression()).fit(x, y)
    assert is_classifier(stacked)
    assert stacked.predict_proba(x).shape == (12, 2)
    assert not hasattr(Stacking(found, Perceptron()), "predict_proba")
