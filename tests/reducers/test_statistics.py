"""Quantiles, distinct counts, histograms and classification metrics, in parts and on the whole."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import classification_report, confusion_matrix

from partitioner.errors import ConfigError, ProgramError
from partitioner.reducers.classification import Classification
from partitioner.reducers.distinct import Distinct
from partitioner.reducers.histogram import Histogram
from partitioner.reducers.quantiles import Quantiles
from partitioner.reducers.statistics.frequent_items import FrequentItems
from partitioner.reducers.tree import merge_tree

RNG = np.random.default_rng(6)


def reduced(reducer, values):
    parts = [reducer.add_input(reducer.create_accumulator(), v) for v in values]
    return reducer.extract_output(merge_tree(reducer, parts))


def test_quantiles_are_within_half_a_percent_of_rank():
    values = RNG.lognormal(size=50_000)
    found = reduced(Quantiles(at=[0.01, 0.5, 0.99]), np.array_split(values, 20))
    ranks = np.searchsorted(np.sort(values), found) / len(values)
    np.testing.assert_allclose(ranks, [0.01, 0.5, 0.99], atol=0.005)


def test_quantiles_of_tables_are_by_column():
    found = reduced(Quantiles(at=[0.0, 1.0]), [{"a": [1.0, 5.0]}, {"a": [3.0, -2.0]}])
    assert found == {"a": [-2.0, 5.0]}


@pytest.mark.parametrize("options", [{"at": []}, {"at": [1.5]}, {"compression": 2}, {"nan": "propagate"}])
def test_quantiles_that_cannot_be_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        Quantiles(**options)


def test_distinct_values_are_counted_over_parts_within_its_error():
    values = RNG.integers(0, 40_000, 200_000)
    found = reduced(Distinct(), np.array_split(values, 10))
    assert found == pytest.approx(len(np.unique(values)), rel=0.02)


def test_distinct_texts_of_a_column_without_nulls():
    tables = [pa.table({"s": ["a", "b", None], "x": [1, 2, 3]}), pa.table({"s": ["b", "c"], "x": [1, 1]})]
    assert reduced(Distinct(column="s"), tables) == 3


def test_a_column_that_is_whole_in_one_part_and_real_in_another_has_each_value_once():
    parts = [pa.table({"x": [1, 2, 2]}), pa.table({"x": [1.0, 2.0, None, 0.5]}), {"x": np.float32([1])}]
    assert reduced(Distinct(), parts) == 3
    found = reduced(FrequentItems(), parts)["items"]
    assert [(item["value"], item["count"]) for item in found] == [(1, 3), (2, 3), (0.5, 1)]


@pytest.mark.parametrize("reducer", [Distinct(), FrequentItems()])
def test_nested_values_are_refused_by_their_type(reducer):
    with pytest.raises(ProgramError, match=r"holds list<item: int64>, and .* counts numbers, text, dates"):
        reduced(reducer, [pa.table({"x": [[1], [2]]})])


def test_distinct_of_which_column_has_to_be_said():
    with pytest.raises(ProgramError, match="column="):
        reduced(Distinct(), [pa.table({"a": [1], "b": [2]})])


def test_a_histogram_is_that_of_numpy():
    values, edges = RNG.normal(size=3000), [-1.0, 0.0, 0.5, 2.0]
    found = reduced(Histogram(edges), np.array_split(values, 7))
    assert found["counts"].tolist() == np.histogram(values, edges)[0].tolist()
    assert (found["below"], found["above"]) == (int((values < -1).sum()), int((values > 2).sum()))


def test_the_last_edge_belongs_to_the_last_bin():
    assert reduced(Histogram([0, 1, 2]), [np.array([0.0, 1.0, 2.0])])["counts"].tolist() == [1, 2]


def test_edges_that_do_not_ascend_are_refused():
    with pytest.raises(ConfigError, match="ascending"):
        Histogram([0, 0])


def test_classification_metrics_are_those_of_scikit_learn():
    true = RNG.choice(["ant", "bee", "cat"], 500)
    said = np.where(RNG.random(500) < 0.7, true, RNG.choice(["ant", "bee", "cat"], 500))
    frame = pd.DataFrame({"label": true, "prediction": said})
    found = reduced(Classification(), [frame[i::4] for i in range(4)])
    theirs = classification_report(true, said, output_dict=True)
    assert found["confusion"].tolist() == confusion_matrix(true, said).tolist()
    assert found["accuracy"] == pytest.approx(theirs["accuracy"], rel=1e-12)
    for i, name in enumerate(found["classes"]):
        got = [found[k][i] for k in ("precision", "recall", "f1")]
        assert got == pytest.approx([theirs[name][k] for k in ("precision", "recall", "f1-score")], rel=1e-12)


def test_a_label_that_is_not_there_names_the_nearest():
    with pytest.raises(ProgramError, match="Did you mean 'labels'"):
        reduced(Classification(), [{"labels": [1], "prediction": [1]}])
