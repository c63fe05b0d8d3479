"""Forms of what programs return that differ in one detail from another form."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from partitioner.attempt import returned
from partitioner.attempt.returned import is_stream, to_record_batch, to_record_batches
from partitioner.errors import ProgramError


class Pair(NamedTuple):
    a: int
    b: str


@dataclasses.dataclass
class Point:
    x: int
    y: Any


class Exports:
    """As DuckDB's results."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return pa.table({"a": [1, 2]}).__arrow_c_stream__(requested_schema)


class BaseModel(dict[str, Any]):
    """Looks like pydantic's."""


BaseModel.__module__ = "pydantic.main"


class Model(BaseModel):
    """A model of a user's."""


FORMS: dict[str, tuple[Any, dict[str, list[Any]]]] = {
    "an index of two names": (
        pd.DataFrame({"v": [1, 2]}, index=pd.MultiIndex.from_tuples([(1, "x"), (2, "y")], names=["a", "b"])),
        {"a": [1, 2], "b": ["x", "y"], "v": [1, 2]},
    ),
    "an index of one name of two": (
        pd.DataFrame({"v": [1, 2]}, index=pd.MultiIndex.from_tuples([(1, "x"), (2, "y")], names=["a", None])),
        {"a": [1, 2], "v": [1, 2]},
    ),
    "an index that is a column too": (
        pd.DataFrame({"a": [1, 2]}, index=pd.Index([7, 8], name="a")),
        {"a": [1, 2]},
    ),
    "a named index beside one that is a column": (
        pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([(7, 8)], names=["a", "b"])),
        {"b": [8], "a": [1]},
    ),
    "a series without a name": (pd.Series([1, 2]), {"result": [1, 2]}),
    "a series of a named index without a name": (
        pd.Series([1, 2], index=pd.Index([5, 6], name="k")),
        {"k": [5, 6], "result": [1, 2]},
    ),
    "a series whose name is a number": (pd.Series([1], name=0), {"0": [1]}),
    "an index": (pd.Index([1, 2]), {"result": [1, 2]}),
    "an index with a name": (pd.Index([1, 2], name="k"), {"k": [1, 2]}),
    "an index whose name is a number": (pd.Index([1, 2], name=3), {"3": [1, 2]}),
    "a polars series without a name": (pl.Series([1, 2]), {"result": [1, 2]}),
    "polars categories": (pl.DataFrame({"c": pl.Series(["x", "y"], dtype=pl.Categorical)}), {"c": ["x", "y"]}),
    "a list of named tuples": ([Pair(1, "x"), Pair(2, "y")], {"a": [1, 2], "b": ["x", "y"]}),
    "a list of models": ([Model(a=1), Model(a=2)], {"a": [1, 2]}),
    "a model of columns": (Model(a=[1, 2]), {"a": [1, 2]}),
    "a list of dicts of other keys": ([{"a": 1}, {"b": 2}], {"a": [1, None], "b": [None, 2]}),
    "a list of dicts whose keys are numbers": ([{"1": 1}], {"1": [1]}),
    "a list of nothing": ([None, None], {"result": [None, None]}),
    "a list of a dict and a value": ([{"a": 1}, None], {"a": [1, None]}),
    "an empty list": ([], {"result": []}),
    "a list of empty dicts": ([{}, {}], {"result": [{}, {}]}),
    "tuples of other lengths": ([(1,), (1, 2)], {"result": [[1], [1, 2]]}),
    "empty tuples": ([(), ()], {"result": [[], []]}),
    "a list of lists": ([[1, 2], [3, 4]], {"result": [[1, 2], [3, 4]]}),
    "a list of tables and batches": (
        [pa.table({"a": [1]}), pa.RecordBatch.from_pydict({"b": [2]})],
        {"a": [1, None], "b": [None, 2]},
    ),
    "a list of polars frames": ([pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [2]})], {"a": [1, 2]}),
    "a list of series": ([pd.Series([1, 2]).tolist(), [3]], {"result": [[1, 2], [3]]}),
    "a dict of single values": ({"a": 1, "b": "x"}, {"a": [1], "b": ["x"]}),
    "an empty dict": ({}, {}),
    "a dict in its order": ({"b": "x", "a": [1, 2]}, {"b": ["x", "x"], "a": [1, 2]}),
    "a dict with nothing for all": ({"a": [1, 2], "n": None}, {"a": [1, 2], "n": [None, None]}),
    "a dict with one numpy value": ({"a": [1, 2], "n": np.float64(0.5)}, {"a": [1, 2], "n": [0.5, 0.5]}),
    "a dict with an array of no dimension": ({"a": [1, 2], "n": np.array(7)}, {"a": [1, 2], "n": [7, 7]}),
    "a dict with bytes for all": ({"a": [1, 2], "n": b"x"}, {"a": [1, 2], "n": [b"x", b"x"]}),
    "a dict with truth for all": ({"a": [1, 2], "n": True}, {"a": [1, 2], "n": [True, True]}),
    "a dict of an index": ({"a": pd.Index([1, 2])}, {"a": [1, 2]}),
    "a dict of chunks": ({"a": pa.chunked_array([[1], [2]])}, {"a": [1, 2]}),
    "a dict of no chunks": ({"a": pa.chunked_array([], pa.int64())}, {"a": []}),
    "a dict of dictionaries of Arrow": ({"a": pa.array(["x", "y"]).dictionary_encode()}, {"a": ["x", "y"]}),
    "a dict of tuples": ({"a": (1, 2)}, {"a": [1, 2]}),
    "a tuple of texts": (("ab", "cd"), {"result": ["ab", "cd"]}),
    "what exports an Arrow stream": (Exports(), {"a": [1, 2]}),
    "a tuple of polars and pandas": (
        (pl.Series([1, 2]), pd.Series([3, 4])),
        {"result_0": [1, 2], "result_1": [3, 4]},
    ),
    "an empty tuple": ((), {"result": []}),
    "a tuple of numpy values": ((np.float64(1), np.float64(2)), {"result": [1.0, 2.0]}),
    "text views": (pa.table({"a": pa.array(["x"], pa.string_view())}), {"a": ["x"]}),
    "arrays with more axes": (np.zeros((1, 2, 3)), {"result": [[0.0] * 6]}),
    "objects that are arrays": (
        np.array([np.array([1]), np.array([2, 3]), None], dtype=object),
        {"result": [[1], [2, 3], None]},
    ),
    "masked without a mask": (np.ma.array([1, 2]), {"result": [1, 2]}),
    "a list of points": ([Point(1, np.array([2]))], {"x": [1], "y": [[2]]}),
    "nested points": ([{"p": Point(1, [2])}], {"p": [{"x": 1, "y": [2]}]}),
    "nested named tuples": ([{"p": Pair(1, "x")}], {"p": [{"a": 1, "b": "x"}]}),
    "lists of scalars": ([[pa.scalar(1), pa.scalar(2)]], {"result": [[1, 2]]}),
    "mappings with numbers as keys": ([{"a": {1: 2}}], {"a": [{"1": 2}]}),
}


@pytest.mark.parametrize("form", FORMS)
def test_details_decide(form: str) -> None:
    value, expected = FORMS[form]
    assert to_record_batch(value).to_pydict() == expected
    assert list(to_record_batch(value).to_pydict()) == list(expected)


def test_nan_is_a_number_of_a_program_and_null_of_a_frame() -> None:
    assert to_record_batch([float("nan"), 1.0]).column(0).null_count == 0
    assert to_record_batch([{"a": float("nan")}]).column(0).null_count == 0
    assert to_record_batch(pd.DataFrame({"a": [float("nan"), 1.0]})).column(0).null_count == 1
    assert to_record_batch(np.array([float("nan")])).column(0).null_count == 1
    assert to_record_batch({"a": [float("nan")]}).column(0).null_count == 1


def test_views_and_dictionaries_are_plain_afterwards() -> None:
    views = {"s": pa.array(["x"], pa.string_view()), "b": pa.array([b"x"], pa.binary_view())}
    found = to_record_batch(views)
    assert found.schema.types == [pa.large_string(), pa.large_binary()]
    assert to_record_batch(pl.DataFrame({"b": [b"x"]})).schema.types == [pa.large_binary()]
    categories = [pd.DataFrame({"c": pd.Categorical(["x"])}), {"c": pa.array(["x"]).dictionary_encode()}]
    assert not any(pa.types.is_dictionary(to_record_batch(value).schema.field("c").type) for value in categories)


def test_metadata_is_left_out() -> None:
    assert to_record_batch(pd.DataFrame({"a": [1]})).schema.metadata is None
    assert to_record_batch(pa.table({"a": [1]}).replace_schema_metadata({"k": "v"})).schema.metadata is None


def test_streams_of_streams_are_taken_apart() -> None:
    nested = iter([iter([[1], [2]]), [3]])
    assert [b.to_pydict()["result"] for b in to_record_batches(nested)] == [[1], [2], [3]]
    assert to_record_batch(iter([[1], [2]])).to_pydict() == {"result": [1, 2]}
    assert to_record_batch(iter([])).to_pydict() == {"result": []}
    assert (is_stream(iter([])), is_stream([])) == (True, False)


class Tensor:
    """As torch's, as far as it is looked at."""

    def __init__(self, array: Any, dtype: str = "torch.float32") -> None:
        self.array, self.dtype, self.steps = np.asarray(array), dtype, list[str]()

    def __len__(self) -> int:
        return len(self.array)

    def dim(self) -> int:
        return self.array.ndim

    def detach(self) -> Tensor:
        self.steps.append("detach")
        return self

    def cpu(self) -> Tensor:
        self.steps.append("cpu")
        return self

    def float(self) -> Tensor:
        return Tensor(self.array.astype(np.float32))

    def numpy(self) -> Any:
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.array


Tensor.__module__ = "torch"


@pytest.mark.parametrize("dtype", ["torch.float32", "torch.bfloat16"])
def test_tensors_are_taken_off_the_device(dtype: str) -> None:
    assert to_record_batch(Tensor([1.0, 2.0], dtype)).to_pydict() == {"result": [1.0, 2.0]}
    assert to_record_batch({"a": Tensor([[1.0, 2.0]], dtype)}).to_pydict() == {"a": [[1.0, 2.0]]}
    assert to_record_batch([{"a": Tensor([1.0], dtype)}]).to_pydict() == {"a": [[1.0]]}
    assert to_record_batch((Tensor([1.0], dtype), Tensor([2.0], dtype))).to_pydict() == {
        "result_0": [1.0],
        "result_1": [2.0],
    }


REFUSED: dict[str, tuple[Any, str]] = {
    "a tuple of a column and a value": (([1, 2], 3), "returned a tuple that has no table form"),
    "a dict beside a number": ([{"a": 1}, 5], "returned a list that has no table form"),
    "complex matrix": (np.array([[1j]]), "complex128 numbers have no column type; return real and imaginary parts"),
    "a class": (Point, "the program returned type; for reducer"),
    "numbers beyond 64 bits": ([2**70], "returned a list that has no table form"),
    "a module's object": (np.random.default_rng(0), "the program returned numpy Generator; "),
    "three of one name": (pa.table([[1], [2], [3]], ["a", "b", "b"]), "more than one column named 'b'; rename them"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_has_no_form_is_one_sentence(form: str) -> None:
    value, said = REFUSED[form]
    with pytest.raises(ProgramError) as refused:
        to_record_batch(value)
    assert said in str(refused.value)
    assert ".." not in str(refused.value)


ROWS: dict[str, tuple[list[Any], dict[str, list[Any]]]] = {
    "numbers": ([1, None, 3], {"result": [1, None, 3]}),
    "texts": (["ab", "c"], {"result": ["ab", "c"]}),
    "numpy values": ([np.float32(1), np.float32(2)], {"result": [1.0, 2.0]}),
    "tuples": ([("x", 1), ("y", 2)], {"result_0": ["x", "y"], "result_1": [1, 2]}),
    "dicts and none": ([{"a": 1}, None, {"b": "x"}], {"a": [1, None, None], "b": [None, None, "x"]}),
}


@pytest.mark.parametrize("case", ROWS)
def test_single_values_out_of_an_iterator_are_rows(case: str) -> None:
    values, expected = ROWS[case]
    (batch,) = returned.to_record_batches(iter(values))
    assert batch.to_pydict() == expected


def test_rows_out_of_an_iterator_are_not_held_together() -> None:
    sizes = [batch.num_rows for batch in returned.to_record_batches(iter(range(2_500)))]
    assert sizes == [1024, 1024, 452]
    assert [b.num_rows for b in returned.to_record_batches(iter(["x" * (1 << 20)] * 3))] == [1, 1, 1]
    mixed = iter([1, pa.table({"result": [2, 3]}), 4])
    assert [b.to_pydict()["result"] for b in returned.to_record_batches(mixed)] == [[1], [2, 3], [4]]


def test_maps_that_pandas_took_apart_are_told() -> None:
    pairs = pa.table({"m": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))}).to_pandas()
    with pytest.raises(ProgramError, match=r"Column 'm' holds lists of pairs.* use batch_format='arrow'"):
        to_record_batch(pairs)


def test_what_no_terminal_shows_is_written_out() -> None:
    with pytest.raises(ProgramError) as refused:
        to_record_batch(["\ud800"])
    assert str(refused.value).encode()


def test_a_coroutine_that_nobody_awaits_is_told() -> None:
    async def ask() -> int:
        return 1

    with pytest.raises(ProgramError, match=r"a coroutine, which nobody awaits: make the program itself async"):
        to_record_batch(ask())


def test_errors_of_several_arguments_are_one_line() -> None:
    assert returned._line(ValueError("a\nb")) == "a."
    assert returned._line(ValueError("a", "b.")) == "a b."
    assert returned._line(ValueError()) == "."
