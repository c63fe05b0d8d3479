from dataclasses import replace

import pyarrow as pa
import pytest

from partitioner.costs.expression import Expression
from partitioner.errors import ConfigError, CostError, DataError
from partitioner.testing.costs import sample_dataset
from partitioner.testing.tables import TableSource


def seconds(expression, dataset=None):
    return Expression(expression).estimate(dataset or sample_dataset()).seconds.tolist()


def test_fragment_names_need_no_reading():
    dataset = sample_dataset()
    assert seconds("2*rows + pixels", dataset) == [12.0, 24.0, 36.0, 48.0]
    assert dataset.source.reads == []


def test_a_constant_is_the_cost_of_every_fragment():
    assert seconds("1.5") == [1.5, 1.5, 1.5, 1.5]


def test_a_column_expression_is_summed_over_rows():
    assert seconds("len(text) ** 2") == [1.0, 4.0 + 9.0, 16.0 + 25.0 + 36.0, 49.0 + 64.0 + 81.0 + 100.0]


def test_only_the_needed_columns_are_read_and_once():
    dataset = sample_dataset()
    Expression("len(text)", memory="100 * len(text)").estimate(dataset)
    assert dataset.source.reads == [(0, 1, ("text",)), (1, 3, ("text",)), (3, 6, ("text",)), (6, 10, ("text",))]


def test_rows_in_a_column_expression_count_one_per_row():
    assert seconds("rows + 0*n") == [1.0, 2.0, 3.0, 4.0]


def test_a_feature_in_a_column_expression_is_shared_by_the_rows():
    assert seconds("pixels + 0*n") == pytest.approx([10.0, 20.0, 30.0, 40.0])


def test_aggregates_make_one_value_per_fragment():
    assert seconds("0.5 + max(len(text)) ** 2 + rows") == [2.5, 11.5, 39.5, 104.5]


def test_mixing_rows_and_aggregates_is_refused():
    with pytest.raises(DataError, match=r"put 'n' inside sum"):
        seconds("n * max(n)")


def test_condition_and_pairwise_maximum():
    assert seconds("10 if n > 5 else max(n, 2)") == [2.0, 4.0, 3.0 + 4.0 + 5.0, 40.0]


def test_nulls_count_as_zero():
    dataset = TableSource(pa.table({"s": ["ab", None], "v": [None, 3]})).dataset([2])
    assert seconds("len(s) + v", dataset) == [5.0]


@pytest.mark.parametrize("kind", [pa.string_view(), pa.dictionary(pa.int8(), pa.string()), pa.binary_view()], ids=str)
def test_len_of_views_and_of_dictionaries(kind):
    dataset = TableSource(pa.table({"s": pa.array(["abc", None, "ab"]).cast(kind)})).dataset([2, 1])
    assert seconds("len(s)", dataset) == [3.0, 2.0]


def test_len_of_bytes_and_lists():
    dataset = TableSource(pa.table({"b": [b"abc", b""], "l": [[1, 2], []]})).dataset([2])
    assert seconds("len(b) + 10 * len(l)", dataset) == [23.0]


def test_a_column_with_an_odd_name():
    dataset = TableSource(pa.table({"odd name": [1, 2]})).dataset([2])
    assert seconds("2 * column('odd name')", dataset) == [6.0]


def test_memory_expression():
    costs = Expression("rows", memory="1000 * rows").estimate(sample_dataset())
    assert costs.memory_bytes.tolist() == [1000.0, 2000.0, 3000.0, 4000.0]


def test_a_missing_column_is_named_with_the_nearest():
    with pytest.raises(DataError, match=r"'txt'.*Did you mean 'text'"):
        seconds("len(txt)")


def test_len_of_a_number_is_refused():
    with pytest.raises(ConfigError, match=r"len\(\).*int64"):
        seconds("len(n)")


def test_text_is_no_number():
    with pytest.raises(ConfigError, match=r"string.*len\(column\)"):
        seconds("2 * text")


def test_an_invalid_cost_names_the_fragment():
    with pytest.raises(CostError, match=r"inf s for fragment 0, part-0"):
        seconds("rows / n")


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "rows.__class__",
        "(lambda: 1)()",
        "[rows]",
        "rows[0]",
        "'a'",
        "len(text, 2)",
        "f(rows)",
        "rows and 1",
    ],
)
def test_what_is_no_arithmetic_is_refused(text):
    with pytest.raises(ConfigError, match="cost expression"):
        Expression(text)


LONG = "+".join(f"{i} * n" for i in range(200))


@pytest.mark.parametrize("text", [f"{LONG} + nope", f"{LONG} + open(n)", f"{LONG} +", " + ".join(["n"] * 2_000)])
def test_a_long_formula_is_quoted_by_its_ends(text):
    with pytest.raises((ConfigError, DataError)) as caught:
        seconds(text)
    assert len(str(caught.value)) < 1_000


def test_of_many_columns_the_first_are_listed():
    dataset = sample_dataset()
    schema = pa.schema([(f"c{i}", pa.int64()) for i in range(5_000)])
    with pytest.raises(DataError, match=r"c19, \.\.\. \(5000 in all\)") as caught:
        seconds("nope", replace(dataset, schema=schema))
    assert len(str(caught.value)) < 1_000


def test_a_misspelt_function_gets_the_nearest():
    with pytest.raises(ConfigError, match=r"Did you mean 'sqrt'"):
        Expression("sqtr(rows)")


def test_a_syntax_error_is_a_config_error():
    with pytest.raises(ConfigError, match="no formula"):
        Expression("2 *")


def test_large_powers_of_constants_do_not_hang():
    with pytest.raises(CostError, match="inf"):
        seconds("9 ** 9 ** 9 ** 9")


def test_unknown_rows_in_an_expression_are_an_error():
    dataset = TableSource(pa.table({"n": [1, 2]})).dataset([2], known=False)
    with pytest.raises(CostError, match="nan s for fragment 0"):
        seconds("rows", dataset)


def test_costs_of_rows_are_kept_for_the_splitter():
    costs = Expression("len(text) ** 2").estimate(sample_dataset())
    assert costs.record_seconds.tolist() == [n**2 for n in range(1, 11)]


@pytest.mark.parametrize("expression", ["2*rows", "max(len(text))"])
def test_a_cost_of_fragments_has_none_of_rows(expression):
    assert Expression(expression).estimate(sample_dataset()).record_seconds is None
