import pickle

import numpy as np
import pytest

from partitioner.errors import ProgramError
from partitioner.reducers.hard_vote import HardVote
from partitioner.reducers.soft_vote import SoftVote
from tests.reducers.says import Says


def ensemble(reducer, *models):
    accumulator = reducer.create_accumulator()
    for model in models:
        accumulator = reducer.add_input(accumulator, model)
    return reducer.extract_output(accumulator)


def test_soft_vote_averages_probabilities():
    vote = ensemble(SoftVote(), Says.of(cat=0.9, dog=0.1), Says.of(cat=0.4, dog=0.6))
    np.testing.assert_allclose(vote.predict_proba([0, 1]), [[0.65, 0.35]] * 2)
    assert vote.predict([0, 1]).tolist() == ["cat", "cat"]


def test_hard_vote_counts_heads():
    models = Says.of(cat=0.9, dog=0.1), Says.of(cat=0.4, dog=0.6), Says.of(cat=0.4, dog=0.6)
    vote = ensemble(HardVote(), *models)
    assert vote.predict([0]).tolist() == ["dog"]
    np.testing.assert_allclose(vote.predict_proba([0]), [[1 / 3, 2 / 3]])


def test_a_tied_hard_vote_goes_to_the_first_class():
    assert ensemble(HardVote(), Says.of(cat=0.9), Says.of(ant=1.0)).predict([0]).tolist() == ["ant"]


@pytest.mark.parametrize("reducer", [SoftVote(), HardVote()])
def test_members_need_not_know_the_same_classes(reducer):
    vote = ensemble(reducer, Says.of(dog=1.0), Says.of(ant=0.25, cat=0.75))
    assert vote.classes_.tolist() == ["ant", "cat", "dog"]
    assert vote.predict_proba([0]).sum() == 1.0


def test_members_are_kept_in_input_order():
    models = [Says.of(a=1.0), Says.of(b=1.0), Says.of(c=1.0)]
    assert list(ensemble(SoftVote(), *models).members) == models


@pytest.mark.parametrize("reducer", [SoftVote(), HardVote()])
def test_ensembles_survive_pickling(reducer):
    vote = pickle.loads(pickle.dumps(ensemble(reducer, Says.of(cat=0.9, dog=0.1))))
    assert vote.predict([0]).tolist() == ["cat"]


def test_score_is_accuracy():
    assert ensemble(SoftVote(), Says.of(cat=0.9, dog=0.1)).score([0, 1, 2, 3], ["cat", "cat", "dog", "cat"]) == 0.75


def test_no_models_make_no_ensemble():
    assert ensemble(SoftVote()) is None


@pytest.mark.parametrize(("reducer", "missing"), [(SoftVote(), "predict_proba"), (HardVote(), "predict")])
def test_what_cannot_vote_is_refused(reducer, missing):
    with pytest.raises(ProgramError, match=f"returned dict, which has no classes_, {missing}"):
        ensemble(reducer, {})


def test_soft_vote_of_scikit_learn_models_is_that_of_its_own_voting():
    from sklearn.datasets import load_iris
    from sklearn.ensemble import VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB

    X, y = load_iris(return_X_y=True)
    named = [("a", LogisticRegression(max_iter=1000)), ("b", GaussianNB())]
    theirs = VotingClassifier(named, voting="soft").fit(X, y)
    ours = ensemble(SoftVote(), *(model.fit(X, y) for _, model in named))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X))
