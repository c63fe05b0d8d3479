"""Parameters of any kind are averaged, and come back as what they were."""

import collections
import dataclasses
import sys
import threading
import types

import numpy as np
import pytest

from partitioner.errors import ProgramError
from partitioner.reducers.median import Median
from partitioner.reducers.trees import copied, largest_change
from partitioner.reducers.trimmed_mean import TrimmedMean
from partitioner.reducers.weighted_mean import WeightedMean
from tests.reducers.reducing import reduced

Layer = collections.namedtuple("Layer", "weights bias")


@dataclasses.dataclass
class Net:
    first: np.ndarray
    name: str
    steps: int


def test_named_tuples_stay_named_tuples():
    found = reduced(WeightedMean(), (Layer(np.ones(2), 1.0), 1), (Layer(np.full(2, 4.0), 7.0), 2))
    assert (type(found), found.weights.tolist(), found.bias) == (Layer, [3.0, 3.0], 5.0)


def test_dataclasses_keep_their_texts_and_average_their_numbers():
    found = reduced(
        WeightedMean(), (Net(np.zeros(1, np.float32), "net", 1), 1), (Net(np.ones(1, np.float32), "net", 4), 1)
    )
    assert found == Net(np.float32([0.5]), "net", 2.5)
    assert found.first.dtype == np.float32


def test_texts_that_differ_are_refused():
    with pytest.raises(ProgramError, match="'a' and 'b'"):
        reduced(WeightedMean(), ({"name": "a"}, 1), ({"name": "b"}, 1))


def test_integer_buffers_stay_integers():
    found = reduced(
        WeightedMean(),
        ({"n": np.array([1, 2]), "w": np.float16([1])}, 1),
        ({"n": np.array([4, 4]), "w": np.float16([2])}, 3),
    )
    assert (found["n"].dtype.kind, found["n"].tolist(), found["w"].dtype) == ("i", [3, 4], np.float16)


def test_keras_weights_are_a_list_of_arrays():
    found = reduced(WeightedMean(), ([np.ones((2, 2)), np.zeros(2)], 1), ([np.zeros((2, 2)), np.ones(2)], 1))
    assert [w.tolist() for w in found] == [[[0.5, 0.5], [0.5, 0.5]], [0.5, 0.5]]


def test_the_fitted_numbers_of_an_estimator_are_averaged():
    from sklearn.linear_model import LinearRegression

    x = np.array([[0.0], [1.0]])
    found = reduced(WeightedMean(), (LinearRegression().fit(x, [0, 1]), 1), (LinearRegression().fit(x, [2, 5]), 1))
    assert (type(found), np.rint(found.coef_).tolist()) == (LinearRegression, [2.0])
    assert found.predict([[1.0]]) == pytest.approx([3.0], rel=1e-12)


@pytest.mark.parametrize("reducer", [WeightedMean(), Median()], ids=["weighted_mean", "median"])
def test_models_that_number_their_classes_differently_have_no_mean(reducer):
    from sklearn.linear_model import LogisticRegression

    x = np.array([[0.0], [1.0], [2.0], [3.0]])
    pets, birds = LogisticRegression().fit(x, list("ccdd")), LogisticRegression().fit(x, list("dduu"))
    with pytest.raises(ProgramError, match=r"different classes_: \['c', 'd'\] and \['d', 'u'\]"):
        reduced(reducer, (pets, 1), (birds, 1))


def test_models_of_two_kinds_have_no_mean():
    from sklearn.linear_model import LinearRegression, Ridge

    x = np.array([[0.0], [1.0]])
    with pytest.raises(ProgramError, match="a LinearRegression and a Ridge"):
        reduced(WeightedMean(), (LinearRegression().fit(x, [0, 1]), 1), (Ridge().fit(x, [0, 1]), 1))


def test_an_estimator_without_numbers_is_refused():
    from sklearn.tree import DecisionTreeClassifier

    with pytest.raises(ProgramError, match="no fitted arrays to average"):
        reduced(WeightedMean(), (DecisionTreeClassifier(), 1))


def test_what_is_no_number_is_refused_with_its_type():
    with pytest.raises(ProgramError, match="hold a object"):
        reduced(WeightedMean(), ({"w": object()}, 1))


class Tensor:
    """A stand-in for torch.Tensor, which is too large to install for this: the calls that the library makes of it."""

    def __init__(self, values):
        self.values = np.asarray(values)

    dtype = property(
        lambda self: types.SimpleNamespace(name=str(self.values.dtype), is_floating_point=self.values.dtype.kind == "f")
    )
    shape = property(lambda self: self.values.shape)

    def detach(self):
        return self

    cpu = detach

    def is_complex(self):
        return self.values.dtype.kind == "c"

    def double(self):
        return Tensor(self.values.astype(np.float64))

    def numpy(self):
        return self.values

    def to(self, dtype):
        return Tensor(self.values.astype(dtype.name))

    def reshape(self, shape):
        return Tensor(self.values.reshape(shape))


@pytest.fixture
def torch(monkeypatch):
    module = types.ModuleType("torch")
    module.Tensor, module.as_tensor = Tensor, Tensor
    monkeypatch.setitem(sys.modules, "torch", module)
    return module


def test_a_state_dict_keeps_order_types_and_integer_buffers(torch):
    def state(w, n):
        return collections.OrderedDict(weight=Tensor(np.full((2, 2), w, np.float32)), batches=Tensor(np.int64(n)))

    found = reduced(WeightedMean(), (state(1.0, 10), 1), (state(4.0, 13), 2))
    assert (type(found), list(found)) == (collections.OrderedDict, ["weight", "batches"])
    assert (found["weight"].values.dtype, found["weight"].values.tolist()) == (np.float32, [[3.0, 3.0], [3.0, 3.0]])
    assert (found["batches"].values.dtype, int(found["batches"].values)) == (np.int64, 12)


def test_a_client_may_send_a_dict_where_the_start_is_a_state_dict():
    start, sent = collections.OrderedDict(a=np.ones(1), b=np.zeros(1)), {"b": np.ones(1), "a": np.full(1, 3.0)}
    assert reduced(WeightedMean(), (start, 1), (sent, 1)) == collections.OrderedDict(a=[2.0], b=[0.5])


class Variable:
    """An array of another library, as numpy sees it."""

    def __init__(self, values):
        self.values = np.asarray(values, np.float32)

    def __array__(self, dtype=None, copy=None):
        return self.values.astype(dtype or np.float32)


@pytest.mark.parametrize("reducer", [WeightedMean(), Median()])
def test_arrays_of_another_library_come_back_as_arrays_of_their_type(reducer):
    found = reduced(reducer, ([Variable([1.0, 2.0])], 1), ([Variable([3.0, 2.0])], 1))
    assert [(a.dtype.name, a.tolist()) for a in found] == [("float32", [2.0, 2.0])]


def test_how_far_tensors_moved(torch):
    assert largest_change({"w": Tensor([1.0, 2.0]), "n": "text"}, {"w": Tensor([1.0, 5.0]), "n": "text"}) == 3.0


def test_a_median_ignores_the_one_that_is_far_off():
    clients = [({"w": np.array([v])}, 1.0) for v in (1.0, 2.0, 1e9)]
    assert reduced(Median(), *clients)["w"].tolist() == [2.0]


def test_a_trimmed_mean_cuts_both_ends():
    clients = [({"w": np.array([v])}, 1.0) for v in (-1e9, 1.0, 2.0, 3.0, 1e9)]
    assert reduced(TrimmedMean(share=0.2), *clients)["w"].tolist() == [2.0]


def test_what_cannot_be_copied_is_handed_on_as_it_is():
    lock, weights = {"lock": threading.Lock()}, {"w": np.zeros(2)}
    assert copied(lock) is lock
    assert copied(weights)["w"] is not weights["w"]
