"""Values that travel without pickle come back as they were; what could run code is refused."""

import collections
import dataclasses
import datetime
import enum
import pickle
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from partitioner.errors import ConfigError, DataError
from partitioner.reducers.container import pack, poison_in, unpack

Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass(frozen=True, slots=True)
class Fit:
    weights: np.ndarray
    name: str


class Plain:
    def __init__(self, total):
        self.total = total


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(plain_values)
def test_plain_values_come_back_equal_and_of_the_same_types(value):
    again = unpack(pack(value))
    assert again == value
    assert repr(again) == repr(value)


ARRAYS = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array([], np.int16),
    np.array(3.5),
    np.array(["a", "bcd"]),
    np.array(["2026-01-01"], "datetime64[D]"),
    np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    np.array([True, False]),
    np.array(["a", None, 3], object),
    np.arange(10)[::3],
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_arrays_keep_type_shape_order_and_content(array):
    again = unpack(pack({"a": array}))["a"]
    assert (again.dtype, again.shape, again.tolist()) == (array.dtype, array.shape, array.tolist())
    assert again.flags.f_contiguous == np.ascontiguousarray(array).flags.f_contiguous or again.flags.f_contiguous
    assert again.flags.writeable


def test_numpy_scalars_stay_numpy_scalars():
    assert type(unpack(pack(np.float32(0.1)))) is np.float32


def test_arrow_tables_batches_and_arrays_come_back():
    table = pa.table({"x": [1, None], "s": ["a", "b"]})
    batch = table.to_batches()[0]
    again = unpack(pack((table, batch, batch["x"], pd.DataFrame({"q": [1.5]}))))
    assert again[0].equals(table)
    assert again[1].equals(batch)
    assert again[2].equals(batch["x"])
    assert again[3].to_dict("list") == {"q": [1.5]}


def test_named_tuples_dataclasses_and_objects_keep_their_classes():
    point, fit, plain = unpack(pack([Point(1, 2.0), Fit(np.ones(2), "f"), Plain([1, 2])]))
    assert (type(point), point) == (Point, (1, 2.0))
    assert (type(fit), fit.name, fit.weights.tolist()) == (Fit, "f", [1.0, 1.0])
    assert (type(plain), plain.total) == (Plain, [1, 2])


def test_a_record_whose_class_is_not_loaded_becomes_a_plain_record_of_its_fields():
    data = pack([Point(1, 2), Fit(np.ones(1), "f")])
    name = __name__.encode()
    point, fit = unpack(data.replace(name + b":", b"x" * len(name) + b":"))
    assert (type(point).__name__, point._fields, tuple(point)) == ("Point", ("x", "y"), (1, 2))
    assert (type(fit).__name__, fit.name) == ("Fit", "f")


def test_records_whose_class_is_not_loaded_are_all_of_one_kind_and_find_their_class_again():
    name = __name__.encode()
    data = pack([Point(1, 2), Fit(np.ones(1), "f")])
    away = data.replace(name + b":", b"x" * len(name) + b":")
    first, second = unpack(away), unpack(away)
    assert [type(a) is type(b) for a, b in zip(first, second, strict=True)] == [True, True]
    back = unpack(pack(second).replace(b"x" * len(name) + b":", name + b":"))
    assert [type(value) for value in back] == [Point, Fit]


def test_dates_sets_and_counters():
    value = [datetime.date(2026, 1, 2), datetime.datetime(2026, 1, 2, 3, 4, 5, 6), {1, 2}, collections.Counter("aab")]
    again = unpack(pack(value))
    assert again == value
    assert type(again[3]) is collections.Counter


class Suit(enum.Enum):
    HEARTS = "h"


@pytest.mark.parametrize(
    "value",
    [
        collections.defaultdict(int, a=1),
        collections.defaultdict(None, {2: collections.defaultdict(list)}),
        collections.deque([1, 2.5], maxlen=2),
        {Suit.HEARTS: [Suit.HEARTS]},
        uuid.UUID(int=7),
        pd.Timestamp("2026-01-02 03:04:05.123456789", tz="Europe/Berlin"),
        pd.Timestamp("2026-01-02"),
        pd.Timedelta(3, "s"),
    ],
    ids=str,
)
def test_what_programs_collect_in_comes_back_as_it_was(value):
    again = unpack(pack(value))
    assert (again, repr(again)) == (value, repr(value))


@pytest.mark.parametrize("name", ["csr", "csc", "bsr", "coo", "dia", "lil", "dok"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_sparse_values_keep_format_type_and_content(name, kind):
    value = vars(sparse)[f"{name}_{kind}"](np.diag(np.arange(4, dtype=np.float32)))
    again = unpack(pack(value))
    assert (type(again), again.dtype, again.shape) == (type(value), value.dtype, value.shape)
    assert np.array_equal(again.toarray(), value.toarray())
    assert poison_in([value * np.float32(np.nan)]) is not None


def test_arrays_of_other_kinds_stay_what_they_are():
    value = np.ma.MaskedArray([1.0, 2.0, 3.0], [False, True, False], fill_value=-1.0)
    again = unpack(pack(value))
    assert (again.tolist(), again.mask.tolist(), again.sum(), again.fill_value) == ([1, None, 3], [0, 1, 0], 4.0, -1.0)
    assert poison_in(np.ma.masked_invalid([1.0, np.nan])) is None
    assert type(unpack(pack(np.array([[1, 2]]).view(np.matrix)))) is np.matrix
    assert unpack(pack(np.rec.fromrecords([(1, 2.0)], names="a,b"))).b.tolist() == [2.0]


def test_an_enumeration_that_is_not_loaded_is_told():
    name = __name__.encode()
    with pytest.raises(DataError, match=r"the enumeration Suit of x+ is not loaded"):
        unpack(pack(Suit.HEARTS).replace(name + b":", b"x" * len(name) + b":"))


def test_a_scikit_learn_model_travels_through_skops():
    from sklearn.tree import DecisionTreeClassifier

    x, y = np.array([[0.0], [1.0], [2.0]]), np.array([0, 1, 1])
    model = DecisionTreeClassifier(random_state=0).fit(x, y)
    assert unpack(pack((model,)))[0].predict(x).tolist() == [0, 1, 1]


def test_parts_of_models_that_skops_leaves_to_the_reader_are_read():
    from sklearn.feature_selection import SelectKBest, f_classif
    from sklearn.gaussian_process import GaussianProcessClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    x, y = np.array([[0.0, 5.0], [1.0, np.nan], [2.0, 5.0], [3.0, 4.0]]), np.array([0, 0, 1, 1])
    model = make_pipeline(SimpleImputer(), SelectKBest(f_classif, k=1), GaussianProcessClassifier()).fit(x, y)
    assert unpack(pack(model)).predict(x).tolist() == model.predict(x).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "value",
    [print, open, pytest, type, lambda: 0, (i for i in ()), collections.defaultdict(lambda: 0)],
    ids=lambda v: type(v).__name__,
)
def test_what_could_run_code_is_refused_with_the_remedy(value):
    with pytest.raises(ConfigError, match="serializer='pickle'"):
        pack({"held": [value]})


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code of the file ran')",))


def test_a_pickle_is_data_that_is_no_value_of_ours():
    with pytest.raises(DataError, match="no value of ours"):
        unpack(pickle.dumps(Bomb()))


def test_every_torn_prefix_is_noticed():
    data = pack({"a": np.arange(40), "b": "text"})
    for cut in range(len(data)):
        with pytest.raises(DataError):
            unpack(data[:cut])


def test_a_class_of_the_standard_library_is_never_filled_from_a_file():
    data = pack(Plain(1)).replace(f"{__name__}:Plain".encode(), b"subprocess:Popen".ljust(len(f"{__name__}:Plain")))
    assert type(unpack(data)).__module__ != "subprocess"


def test_nan_is_found_with_its_place():
    assert poison_in({"w": [np.ones(2), np.array([1.0, np.nan])]}) == "value['w'][1]"
    assert poison_in({"w": [np.ones(2), 3.0, "nan"]}) is None
