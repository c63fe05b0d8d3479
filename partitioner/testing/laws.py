"""The laws of a reducer, checked by one call on any reducer of yours::

    from partitioner.testing.laws import check_laws
    check_laws(MyReducer(), values=[...])       # outputs of your program, at least four

Hypothesis draws the partitions, the merge trees and the orders of completion.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.errors import ConfigError
from partitioner.reducers import partials
from partitioner.reducers.base import Reducer
from partitioner.reducers.container import pack
from partitioner.reducers.tree import MergeTree, merge_tree
from partitioner.reducers.trees import walk

Same = Callable[[Any, Any, bool], bool]
KEY = bytes(range(32))  # of this suite alone
RTOL = 1e-9  # results of a reducer that is not exact agree that closely


def check_laws(reducer: Any, values: Sequence[Any], same: Same | None = None, examples: int = 25) -> None:
    """Raise AssertionError, naming the law, where ``reducer`` breaks one on ``values``.

    ``same(left, right, exact)`` compares results, bit by bit or up to rounding; by default as data. ``examples`` that
    Hypothesis draws for each law. The reducer may be a class, an instance or anything that ``reducer=`` takes.
    """
    from partitioner.choices import choose

    checked: Reducer = choose("reducers", reducer)
    if len(values) < 4:
        raise ConfigError(f"values has {len(values)} outputs; the laws need at least 4.")
    laws = Laws(checked, list(values), same or same_data)
    laws.identity()
    laws.merging_changes_nothing()
    laws.in_place()
    laws.serializing()
    laws.one_part()
    laws.commuting()
    settings(max_examples=examples, deadline=None, database=None)(given(st.data())(laws.splitting))()
    settings(max_examples=examples, deadline=None, database=None)(given(st.data())(laws.fixed_tree))()


class Laws:
    """One reducer, some outputs of a program, and a comparison."""

    def __init__(self, reducer: Reducer, values: list[Any], same: Same) -> None:
        self.reducer, self.values, self.same = reducer, values, same

    def part(self, values: Sequence[Any]) -> Any:
        """One accumulator of some outputs, as it reaches the driver."""
        accumulator = self.reducer.create_accumulator()
        for value in values:
            accumulator = self.reducer.add_input(accumulator, value)
        return self.travelled(accumulator)

    def travelled(self, accumulator: Any) -> Any:
        """After the way from a worker."""
        return partials.loads(self.reducer, partials.dumps(self.reducer, accumulator, KEY), "of the law suite", KEY)

    def agree(self, law: str, left: Any, right: Any, exact: bool) -> None:
        """AssertionError naming the law where two accumulators give different results."""
        a, b = self.reducer.extract_output(left), self.reducer.extract_output(right)
        assert self.same(a, b, exact), f"{law}: {self.reducer.name or self.reducer} gave {a!r} and {b!r}"

    def identity(self) -> None:
        """The empty accumulator changes nothing, on either side, bit for bit."""
        whole, empty = self.part(self.values), self.reducer.create_accumulator()
        self.agree("identity", self.reducer.merge_accumulators(empty, whole), whole, True)
        self.agree("identity", self.reducer.merge_accumulators(whole, self.travelled(empty)), whole, True)

    def merging_changes_nothing(self) -> None:
        """A part that is retried is merged again: merging must leave its arguments as they were."""
        left, right = self.part(self.values[:2]), self.part(self.values[2:])
        before = [self.travelled(part) for part in (left, right)]
        first = self.reducer.merge_accumulators(left, right)
        for part, copy in zip((left, right), before, strict=True):
            self.agree("arguments are left alone", part, copy, True)
        self.agree("arguments are left alone", self.reducer.merge_accumulators(left, right), first, True)
        tree = MergeTree(self.reducer, 2)
        tree.put(0, left)
        try:
            tree.put(0, left)
        except ConfigError:
            return
        raise AssertionError("retried parts: the same part was taken twice")

    def in_place(self) -> None:
        """Merging into the left side gives the same bits, and leaves the right side as it was."""
        left, right = self.part(self.values[:2]), self.part(self.values[2:])
        first, before = self.reducer.merge_accumulators(left, right), self.travelled(right)
        self.agree("merging in place", self.reducer.merge_into(left, right), first, True)
        self.agree("merging in place leaves the right side alone", right, before, True)

    def serializing(self) -> None:
        """What is read is what was written, however often it travels."""
        for values in ([], self.values[:1], self.values):
            whole = self.reducer.create_accumulator()
            for value in values:
                whole = self.reducer.add_input(whole, value)
            again = self.travelled(whole)
            if values:
                self.agree("serialize round trip", again, whole, True)
                self.agree("serialize round trip", self.travelled(again), whole, True)

    def one_part(self) -> None:
        """A tree of one part is that part."""
        whole = self.part(self.values)
        self.agree("one part", merge_tree(self.reducer, [whole]), whole, True)

    def commuting(self) -> None:
        """Where declared, parts may be merged in any order."""
        left, right = self.part(self.values[:2]), self.part(self.values[2:])
        one, other = (self.reducer.merge_accumulators(*pair) for pair in ((left, right), (right, left)))
        if self.reducer.commutative:
            self.agree("commutativity", one, other, self.reducer.exact)

    def splitting(self, data: Any) -> None:
        """Any partition, empty parts too, merged in any tree, gives what one accumulator gives."""
        count = len(self.values)
        cuts = sorted(data.draw(st.lists(st.integers(0, count), max_size=6)))
        edges = [0, *cuts, count]
        parts = [self.part(self.values[a:b]) for a, b in pairwise(edges)]
        while len(parts) > 1:  # associativity: neighbours in any order
            i = data.draw(st.integers(0, len(parts) - 2))
            parts[i : i + 2] = [self.travelled(self.reducer.merge_accumulators(parts[i], parts[i + 1]))]
        self.agree("split invariance", parts[0], self.part(self.values), self.reducer.exact)

    def fixed_tree(self, data: Any) -> None:
        """The merge tree gives the same bits in any order of completion, and in stages of any fan-in."""
        leaves = [self.part([value]) for value in self.values]
        order = data.draw(st.permutations(range(len(leaves))))
        tree = MergeTree(self.reducer, len(leaves))
        for index in order:
            tree.put(index, leaves[index])
        whole = merge_tree(self.reducer, leaves)
        self.agree("fixed tree", tree.result(), whole, True)
        step = 1 << data.draw(st.integers(1, 3))  # a stage of merges on workers, whose results travel
        stages = [leaves[i : i + step] for i in range(0, len(leaves), step)]
        merged = [self.travelled(merge_tree(self.reducer, some)) for some in stages]
        self.agree("fixed tree in stages", merge_tree(self.reducer, merged, owned=True), whole, True)


def same_data(left: Any, right: Any, exact: bool) -> bool:
    """Whether two results are equal as data: their bytes, or their numbers up to rounding; estimators by what they hold,
    dicts whatever the order of their keys.
    """
    left, right = as_data(left), as_data(right)
    if exact:
        return pack(left, by_key=True) == pack(right, by_key=True)
    close: list[bool] = []
    walk(lambda a, b: close.append(_close(a, b)), _plain(left), _plain(right))
    return all(close)


def as_data(result: Any) -> Any:
    """Estimators of scikit-learn, in dicts, lists and tuples too, as dicts of their class and attributes."""
    if "sklearn.base" in sys.modules and isinstance(result, sys.modules["sklearn.base"].BaseEstimator):
        return {"": type(result).__name__, **{name: as_data(value) for name, value in sorted(vars(result).items())}}
    if type(result) is dict:
        return {key: as_data(value) for key, value in result.items()}
    return type(result)(map(as_data, result)) if type(result) in (list, tuple) else result


def _plain(result: Any) -> Any:
    return {n: result[n].to_pylist() for n in result.column_names} if isinstance(result, pa.Table) else result


def _close(left: Any, right: Any) -> bool:
    if isinstance(left, int | float | complex | np.ndarray | np.generic) and not isinstance(left, bool):
        a, b = np.asarray(left), np.asarray(right)
        numbers = a.dtype.kind in "fciu" and b.dtype.kind in "fciu"
        return a.shape == b.shape and bool(
            np.allclose(a, b, RTOL, 1e-12, equal_nan=True) if numbers else (a == b).all()
        )
    return pack(left, by_key=True) == pack(right, by_key=True)
