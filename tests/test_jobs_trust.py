import pytest

import partitioner as pt
from jobs.train_ensemble import TrainPartial


@pytest.mark.parametrize("model", ["os:system", "subprocess:run", "sklearnish:Model", "builtins:exec"])
def test_a_configuration_names_no_model_of_elsewhere(model: str) -> None:
    with pytest.raises(pt.PartitionerError, match="names a model of sklearn, xgboost, lightgbm"):
        TrainPartial("x", "y", model)


def test_a_model_of_scikit_learn_is_taken() -> None:
    assert TrainPartial("x", "y", "sklearn.naive_bayes:GaussianNB").make.__name__ == "GaussianNB"
