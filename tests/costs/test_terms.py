import pyarrow as pa
import pytest

from partitioner.costs.fitting.terms import Term, automatic, candidates, columns
from partitioner.errors import ConfigError, DataError
from partitioner.testing.costs import sample_dataset
from partitioner.testing.tables import TableSource


def test_what_is_considered_by_itself():
    names = [t.name for t in candidates(sample_dataset(), [])]
    assert names[:4] == ["rows", "rows log rows", "rows^1.5", "rows^2"]
    assert {"bytes", "pixels", "pixels^2"} <= set(names)


def test_declared_formulas_come_in_all_shapes_and_products():
    names = [t.name for t in candidates(sample_dataset(), ["len(text)", "n"])]
    assert names[-1] == "(len(text)) * (n)"
    assert "sum len(text)^2" in names


def test_a_per_row_shape_is_applied_before_the_sum():
    values = columns(sample_dataset(), [Term("n", "square", per_row=True), Term("rows", "square")])
    assert values["sum n^2"].tolist() == [0.0, 1.0 + 4.0, 9.0 + 16.0 + 25.0, 36.0 + 49.0 + 64.0 + 81.0]
    assert values["rows^2"].tolist() == [1.0, 4.0, 9.0, 16.0]


def test_lengths_are_taken_of_text_binary_and_lists_only():
    table = pa.table({"n": [True], "t": ["a"], "b": [b"a"], "l": [[1]], "odd name": ["a"]})
    table = table.append_column("d", table["t"].dictionary_encode()).append_column(
        "v", table["t"].cast(pa.string_view())
    )
    table = table.append_column("dn", table["n"].dictionary_encode())
    dataset = TableSource(table).dataset([1])
    assert automatic(dataset, 1e6, most=9) == [
        "len(t)",
        "len(b)",
        "len(l)",
        "len(column('odd name'))",
        "len(d)",
        "len(v)",
    ]


@pytest.mark.parametrize(("columns", "taken"), [(1, 1), (8, 8), (9, 0)])
def test_numbers_are_taken_unless_they_are_the_many_of_a_feature_table(columns, taken):
    table = pa.table({f"n{i}": [1] for i in range(columns)})
    assert automatic(TableSource(table).dataset([1]), 1e6) == [f"positive(n{i})" for i in range(taken)]


def test_numbers_that_nobody_named_come_as_they_are():
    assert [t.name for t in candidates(sample_dataset(), ["positive(n)"]) if t.per_row] == ["positive(n)"]


def test_a_number_that_is_no_time_costs_nothing():
    table = pa.table({"n": [None, float("nan"), float("inf"), -1.0, 2.0]})
    values = columns(TableSource(table).dataset([5]), [Term("positive(n)", per_row=True)])
    assert values["positive(n)"].tolist() == [2.0]


def test_large_datasets_are_not_read_unasked():
    assert automatic(sample_dataset(), limit_bytes=10) == []


def test_a_feature_with_an_aggregate_is_refused():
    with pytest.raises(ConfigError, match=r"write it without sum"):
        candidates(sample_dataset(), ["max(n)"])


def test_a_feature_that_is_not_there_is_named():
    terms = candidates(sample_dataset(), ["len(txt)"])
    with pytest.raises(DataError, match=r"'txt'.*Did you mean 'text'"):
        columns(sample_dataset(), terms)
