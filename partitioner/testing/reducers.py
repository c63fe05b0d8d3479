"""The contract suite of reducers: subclass it, give the ``reducer`` and ``values`` fixtures and ``same``.

The laws are those of a monoid with the algebra that the reducer declares.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import pytest

from partitioner.reducers.base import Reducer
from partitioner.reducers.tree import MergeTree, merge_tree


def accumulated(reducer: Reducer, values: Sequence[Any]) -> Any:
    """One accumulator that holds ``values``."""
    accumulator = reducer.create_accumulator()
    for value in values:
        accumulator = reducer.add_input(accumulator, value)
    return accumulator


class ReducerContract:
    """Laws of ``Reducer``."""

    @pytest.fixture
    def reducer(self) -> Reducer:
        """The reducer under test."""
        raise NotImplementedError

    @pytest.fixture
    def values(self) -> list[Any]:
        """At least four outputs of a program that the reducer accepts."""
        raise NotImplementedError

    @pytest.fixture
    def expected(self) -> Any:
        """What the reducer makes of all ``values``."""
        raise NotImplementedError

    def same(self, left: Any, right: Any, exact: bool) -> bool:
        """Whether two results are equal: bit for bit, or up to rounding."""
        raise NotImplementedError

    def test_one_accumulator_gives_the_result(self, reducer: Reducer, values: list[Any], expected: Any) -> None:
        """Adding all outputs to one accumulator."""
        assert self.same(reducer.extract_output(accumulated(reducer, values)), expected, exact=False)

    def test_grouping_does_not_matter(self, reducer: Reducer, values: list[Any], expected: Any) -> None:
        """However the outputs are cut into two runs; bit for bit where declared exact."""
        whole = reducer.extract_output(accumulated(reducer, values))
        for cut in range(len(values) + 1):
            parts = accumulated(reducer, values[:cut]), accumulated(reducer, values[cut:])
            merged = reducer.extract_output(reducer.merge_accumulators(*parts))
            assert self.same(merged, whole, reducer.exact)
            assert self.same(merged, expected, exact=False)

    def test_the_empty_accumulator_is_the_identity(self, reducer: Reducer, values: list[Any]) -> None:
        """On both sides, bit for bit."""
        whole = accumulated(reducer, values)
        for pair in ((reducer.create_accumulator(), whole), (whole, reducer.create_accumulator())):
            merged = reducer.extract_output(reducer.merge_accumulators(*pair))
            assert self.same(merged, reducer.extract_output(whole), exact=True)

    def test_order_matters_only_where_declared(self, reducer: Reducer, values: list[Any]) -> None:
        """Commutative reducers give the same either way round; the others must tell the two apart."""
        left, right = accumulated(reducer, values[:2]), accumulated(reducer, values[2:])
        one, other = (reducer.extract_output(reducer.merge_accumulators(*p)) for p in ((left, right), (right, left)))
        assert self.same(one, other, reducer.exact) == reducer.commutative

    def test_merging_leaves_its_arguments_as_they_were(self, reducer: Reducer, values: list[Any]) -> None:
        """A back-up attempt may merge the same accumulator again."""
        left, right = accumulated(reducer, values[:2]), accumulated(reducer, values[2:])
        first = reducer.extract_output(reducer.merge_accumulators(left, right))
        assert self.same(reducer.extract_output(reducer.merge_accumulators(left, right)), first, exact=True)

    def test_accumulators_survive_pickling(self, reducer: Reducer, values: list[Any], expected: Any) -> None:
        """They travel from worker to driver."""
        travelled = pickle.loads(pickle.dumps(accumulated(reducer, values)))
        assert self.same(reducer.extract_output(travelled), expected, exact=False)

    def test_the_merge_tree_gives_the_same_bits_in_any_order_of_completion(
        self, reducer: Reducer, values: list[Any]
    ) -> None:
        """First to last, last to first, odd ones before even ones."""
        leaves = [accumulated(reducer, [value]) for value in values]
        expected = reducer.extract_output(merge_tree(reducer, leaves))
        count = len(leaves)
        for order in (range(count - 1, -1, -1), [*range(1, count, 2), *range(0, count, 2)]):
            tree = MergeTree(reducer, count)
            for index in order:
                tree.put(index, leaves[index])
            assert self.same(reducer.extract_output(tree.result()), expected, exact=True)
