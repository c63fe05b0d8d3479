import numpy as np
import pytest

from partitioner.costs.bytes import Bytes
from partitioner.costs.callable import CostFunction
from partitioner.costs.declared import Declared
from partitioner.costs.expression import Expression
from partitioner.costs.resolve import resolve
from partitioner.costs.rows import Rows
from partitioner.errors import ConfigError, UnknownName


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("rows", Rows),
        ("bytes", Bytes),
        (Rows, Rows),
        ("2e-6 * len(text)", Expression),
        ("1e-3 * rows", Expression),
        ({"model": "rows", "seconds_per_row": 0.5}, Rows),
        ({"model": "expression", "expression": "rows"}, Expression),
        ([1.0, 2.0], Declared),
        (np.array([1, 2]), Declared),
        (3, Declared),
        (len, CostFunction),
    ],
)
def test_what_a_specification_means(spec, kind):
    assert type(resolve(spec)) is kind


def test_a_cost_model_stays_as_it_is():
    model = Rows()
    assert resolve(model) is model


def test_options_reach_the_model():
    assert resolve({"model": "rows", "seconds_per_row": 0.5}).seconds_per_row == 0.5


def test_an_unknown_option_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r"'second_per_row'.*Did you mean 'seconds_per_row'"):
        resolve({"model": "rows", "second_per_row": 0.5})


def test_a_missing_option_is_named():
    with pytest.raises(ConfigError, match=r"needs 'expression'"):
        resolve({"model": "expression"})


def test_a_misspelt_name_lists_the_names():
    with pytest.raises(UnknownName, match=r"'byts'; there are .*rows.*Did you mean 'bytes'"):
        resolve("byts")


def test_a_misspelt_model_lists_the_names():
    with pytest.raises(UnknownName, match=r"Did you mean 'rows'"):
        resolve({"model": "rowss"})


def test_a_mapping_without_model_is_refused():
    with pytest.raises(ConfigError, match="lacks the key 'model'"):
        resolve({"modle": "rows"})


@pytest.mark.parametrize("spec", [None, True, object()])
def test_anything_else_is_refused(spec):
    with pytest.raises(ConfigError, match="expected a name"):
        resolve(spec)
