"""What is known of a fit before any ran: which parameters make it longer, and which fits are of one set of parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, log
from typing import Any

import numpy as np

from partitioner.model.data import Floats

GROWTH: dict[str, float] = {
    # work is done once for each of them
    **dict.fromkeys(("n_estimators", "n_init", "n_iter", "max_iter", "epochs", "n_epochs", "max_epochs"), 1.0),
    **dict.fromkeys(("iterations", "num_iterations", "num_boost_round", "num_trees", "n_components"), 1.0),
    **dict.fromkeys(("n_clusters", "max_samples", "subsample", "hidden_layer_sizes", "degree"), 1.0),
    # longer, and less than in proportion
    **dict.fromkeys(("C", "max_depth", "max_leaf_nodes", "num_leaves", "max_features", "max_bins"), 0.5),
    # a stricter end, or less regularisation, takes more steps
    **dict.fromkeys(("tol", "alpha", "min_samples_leaf", "min_samples_split", "min_child_weight"), -0.3),
}
"""Parameter to the power of it that the seconds of a fit grow with. Only their order counts, and only until a fit of each
set of parameters was seen."""

Parameters = Mapping[str, Any]


def weights(sets: Sequence[Parameters]) -> list[float]:
    """Of each set of parameters, how long its fit is beside the shortest: 1 for all where nothing is known of them.

    ``step__name`` counts as ``name``. No limit (None, -1) is longer than the largest that is given; text is not looked at.
    """
    found = [1.0] * len(sets)
    for name in sorted({key for given in sets for key in given}):
        power = GROWTH.get(name.rpartition("__")[2])
        if power is None:
            continue
        sizes = [_size(given[name]) if name in given else None for given in sets]
        known = [size for size in sizes if size is not None and isfinite(size)]
        if not known:
            continue
        least, most = min(known), max(known)
        for i, size in enumerate(sizes):
            if size is not None:
                found[i] *= ((size if isfinite(size) else 2 * most) / least) ** power
    return found


def traits(sets: Sequence[Parameters]) -> Floats:
    """float64[n, k]: what the sets differ in. The logarithm of a number, 0 of the least; of text, and what else has no size,
    1 in a column of its value. What all share is left out.
    """
    columns = []
    for name in sorted({key for given in sets for key in given}):
        sizes = [_size(given[name]) if name in given else None for given in sets]
        known = [size for size in sizes if size is not None and isfinite(size)]
        if known:
            least, most = min(known), max(known)
            columns.append([0.0 if size is None else log(min(size, 2 * most) / least) for size in sizes])
        texts = [
            repr(given[name]) if name in given and size is None else None
            for given, size in zip(sets, sizes, strict=True)
        ]
        columns += [[float(text == value) for text in texts] for value in sorted({t for t in texts if t is not None})]
    differing = [column for column in columns if len(set(column)) > 1]
    return np.array(differing, np.float64).T.reshape(len(sets), len(differing))


def _size(value: Any) -> float | None:
    """How large a value is, infinite for no limit; None for what has no size."""
    if value is None or (isinstance(value, int | float) and value == -1):
        return float("inf")
    if isinstance(value, list | tuple):
        parts = [_size(v) for v in value]
        return sum(p for p in parts if p is not None) if parts and None not in parts else None
    if isinstance(value, bool | str):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if number > 0 else None


def name_of(parameters: Parameters) -> str:
    """What equal sets of parameters share."""
    return repr(sorted((str(key), repr(value)) for key, value in parameters.items()))


def kinds(sets: Sequence[Parameters]) -> tuple[list[int], list[bool]]:
    """Of each fit the number of its set of parameters, and whether it is the first of that set."""
    numbers: dict[str, int] = {}
    found, first = [], []
    for given in sets:
        name = name_of(given)
        first.append(name not in numbers)
        found.append(numbers.setdefault(name, len(numbers)))
    return found, first
