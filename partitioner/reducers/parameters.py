"""Parameters of any kind as a tree of float64 leaves, and back: types, structure and integer buffers as they were.

Numpy trees, named tuples, dataclasses, lists of Keras weights, torch ``state_dict``; of a fitted scikit-learn estimator
its numeric attributes that end in an underscore.
"""

from __future__ import annotations

import copy
import sys
from typing import Any

import numpy as np

from partitioner.errors import ProgramError
from partitioner.reducers.trees import is_tensor, of_tensor, walk


def to_float(leaf: Any) -> Any:
    """A leaf as a float64 array. Raises ProgramError for what is no number."""
    leaf = of_tensor(leaf)
    if leaf is None or isinstance(leaf, str):
        return leaf
    try:
        if np.iscomplexobj(leaf):
            raise TypeError("complex")
        return np.asarray(leaf, np.float64)
    except (TypeError, ValueError) as error:
        raise ProgramError(
            f"Parameters hold a {type(leaf).__name__}, which is no real number. Return arrays, tensors, numbers, or dicts, "
            "lists and dataclasses of them, or a fitted estimator of scikit-learn."
        ) from error


def typed(value: Any, like: Any) -> Any:
    """A float64 leaf with the kind and type that ``like`` has; arrays of integers are rounded to the nearest, ties to even.

    Plain numbers become floats.
    """
    if like is None or isinstance(like, str):
        return like
    if is_tensor(like):
        return _tensor(value, like)
    if not isinstance(like, np.ndarray | np.generic):
        return float(value)
    if not np.issubdtype(like.dtype, np.floating):
        value = np.rint(value)
    found = np.asarray(value, like.dtype)
    return found if isinstance(like, np.ndarray) else found[()]


def as_known(parameters: Any) -> Any:
    """Parameters with arrays of other libraries (variables of Keras, arrays of jax) as numpy's."""
    return parameters if is_estimator(parameters) else walk(_known, parameters)


def _known(leaf: Any) -> Any:
    if leaf is None or isinstance(leaf, _KNOWN) or is_tensor(leaf):
        return leaf
    found = np.asarray(leaf)
    return leaf if found.dtype == object else found  # what is no number is told where it is added up


_KNOWN = (str, bytes, int, float, complex, np.ndarray, np.generic)


def is_real(leaf: Any) -> bool:
    """Whether a leaf is a float, or an array or tensor of floats: of integers (counters) clients say nothing."""
    if isinstance(leaf, float):
        return True
    kind = str(getattr(leaf, "dtype", ""))
    return kind.removeprefix("torch.").startswith(("float", "bfloat"))


def unwrapped(parameters: Any) -> Any:
    """What is merged: the fitted numbers of an estimator, else the parameters themselves."""
    if not is_estimator(parameters):
        return parameters
    found = {k: v for k, v in vars(parameters).items() if k.endswith("_") and _fitted_number(v)}
    if not found:
        raise ProgramError(
            f"{type(parameters).__name__} has no fitted arrays to average (attributes such as coef_). Fit it first, or use "
            "soft_vote for models whose parameters cannot be averaged."
        )
    return found


def rewrapped(merged: Any, first: Any) -> Any:
    """The merged numbers in a copy of the first estimator, else as they are."""
    if not is_estimator(first):
        return merged
    model = copy.deepcopy(first)
    for name, value in merged.items():
        setattr(model, name, value)
    return model


def check_one_kind(first: Any, other: Any) -> None:
    """Raise ProgramError where two estimators are not of one class, or number classes or features differently.

    Their arrays may have equal shapes all the same, and the mean of a row for 'cat' and one for 'dog' is of neither.
    """
    if not (is_estimator(first) or is_estimator(other)):
        return
    if type(first) is not type(other):
        raise ProgramError(
            f"Parameters differ in kind: a {type(first).__name__} and a {type(other).__name__}; return one kind."
        )
    for name in ("classes_", "feature_names_in_"):
        mine, theirs = vars(first).get(name), vars(other).get(name)
        if _listed(mine) != _listed(theirs):
            raise ProgramError(
                f"The models have different {name}: {_shown(mine)} and {_shown(theirs)}, so that their numbers do not mean "
                "the same. Use split='stratified' so that every part holds every class, or soft_vote."
            )


def _listed(names: Any) -> Any:
    """As plain lists; those of several outputs are a list of arrays."""
    plain = names.tolist() if isinstance(names, np.ndarray) else names
    return [_listed(name) for name in plain] if isinstance(plain, list | tuple) else plain


def _shown(names: Any) -> str:
    return "none" if names is None else str(_listed(names))[:200]


def restored(total: Any, weight: float, like: Any) -> Any:
    """The mean, with the types of ``like``; an array of integers that is all there is becomes real."""
    if isinstance(like, np.ndarray) and not np.issubdtype(like.dtype, np.floating):
        return total / weight
    return walk(
        lambda leaf, old: typed(leaf if old is None or isinstance(old, str) else leaf / weight, old), total, like
    )


def _fitted_number(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(_fitted_number(v) for v in value)
    if isinstance(value, np.ndarray):
        return bool(np.issubdtype(value.dtype, np.floating))
    return isinstance(value, float)


def _tensor(value: Any, like: Any) -> Any:
    torch: Any = sys.modules["torch"]
    if not like.dtype.is_floating_point:
        value = np.rint(value)
    return torch.as_tensor(np.asarray(value)).to(like.dtype).reshape(like.shape)


def is_estimator(parameters: Any) -> bool:
    """Whether parameters are an estimator of scikit-learn."""
    base = sys.modules.get("sklearn.base")
    return base is not None and isinstance(parameters, base.BaseEstimator)
