from collections import defaultdict

import numpy as np
import pytest

from partitioner.errors import ProgramError
from partitioner.reducers.weighted_mean import WeightedMean


def reduced(*values):
    reducer, accumulator = WeightedMean(), WeightedMean().create_accumulator()
    for value in values:
        accumulator = reducer.add_input(accumulator, value)
    return reducer.extract_output(accumulator)


def test_numbers_count_by_weight():
    assert reduced((1.0, 3), (5.0, 1)) == 2.0


def test_nested_parameters_keep_their_structure():
    first = {"layers": [np.array([1.0, 2.0]), (3.0,)]}
    second = {"layers": [np.array([3.0, 6.0]), (5.0,)]}
    mean = reduced((first, 1), (second, 1))
    assert mean["layers"][0].tolist() == [2.0, 4.0]
    assert mean["layers"][1] == (4.0,)


def test_single_precision_stays_single():
    assert reduced((np.zeros(2, np.float32), 1), (np.ones(2, np.float32), 1)).dtype == np.float32


def test_integers_become_real():
    assert reduced((np.array([0, 1]), 1), (np.array([1, 1]), 1)).tolist() == [0.5, 1.0]


def test_a_weight_may_be_an_array_of_one_number():
    assert reduced((1.0, np.array(3)), (5.0, np.int64(1))) == 2.0


def test_of_nothing_is_none():
    assert reduced() is None


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf")])
def test_a_weight_that_is_not_above_zero_and_finite_is_refused(weight):
    with pytest.raises(ProgramError, match=f"weight {weight}"):
        reduced((1.0, weight))


def test_parameters_without_weight_are_refused():
    with pytest.raises(ProgramError, match=r"returned ndarray; weighted_mean needs \(parameters, weight\)"):
        reduced(np.ones(2))


def test_other_names_are_refused():
    with pytest.raises(ProgramError, match="a dict with keys w and a dict with keys v"):
        reduced(({"w": 1.0}, 1), ({"v": 1.0}, 1))


def test_other_shapes_are_refused():
    with pytest.raises(ProgramError, match=r"\(2,\) and \(3,\)"):
        reduced((np.ones(2), 1), (np.ones(3), 1))


def test_complex_numbers_are_refused_rather_than_cut():
    with pytest.raises(ProgramError, match="no real number"):
        reduced((np.array([1 + 2j]), 1))


def test_a_mapping_keeps_its_kind_and_what_it_holds_besides():
    first, second = defaultdict(list, {"w": 1.0}), defaultdict(list, {"w": 3.0})
    mean = reduced((first, 1), (second, 1))
    assert (type(mean), mean["w"], mean.default_factory) == (defaultdict, 2.0, list)
    assert first["w"] == 1.0
