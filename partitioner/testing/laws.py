"""The laws of a reducer, checked by one call on any reducer of yours::

    from partitioner.testing.laws import check_laws
    check_laws(MyReducer(), values=[...])       # outputs of your program, at least four

Hypothesis draws the partitions, the merge trees and the orders of completion. A law that breaks is named with the fewest
outputs that show it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, combinations_with_replacement, islice, pairwise, permutations
from typing import Any

import cloudpickle
import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from partitioner.errors import ConfigError, ProgramError, shortened, text_of
from partitioner.reducers import partials
from partitioner.reducers.base import Reducer
from partitioner.reducers.container import pack
from partitioner.reducers.tree import MergeTree, merge_tree
from partitioner.reducers.trees import copied, walk

Same = Callable[[Any, Any, bool], bool]
Law = Callable[[Sequence[Any]], None]
KEY = bytes(range(32))  # of this suite alone
RTOL = 1e-9  # results of a reducer that is not exact agree that closely

FEW = 3
"""Outputs of which every partition and order is tried for a smaller example."""

TRIED = 300
"""Choices of so many outputs that are looked at for a smaller example, at most."""

SHOWN = 300  # characters of a value in a message


class Broken(AssertionError):
    """A law that does not hold, and what was seen."""

    def __init__(self, law: str, what: str) -> None:
        super().__init__(f"{law}: {what}")
        self.law, self.what = law, what


def check_laws(reducer: Any, values: Sequence[Any], same: Same | None = None, examples: int = 25) -> None:
    """Raise AssertionError, naming the law and the fewest outputs that show it, where ``reducer`` breaks one on ``values``.

    ``same(left, right, exact)`` compares results, bit by bit or up to rounding; by default as data. ``examples`` that
    Hypothesis draws for each law. The reducer may be a class, an instance or anything that ``reducer=`` takes.
    """
    from partitioner.choices import choose

    checked: Reducer = choose("reducers", reducer)
    if len(values) < 4:
        raise ConfigError(f"values has {len(values)} outputs; the laws need at least 4.")
    laws = Laws(checked, list(values), same or same_data)
    for law in (
        laws.outputs_left_alone,
        laws.serializing,
        laws.the_same_every_time,
        laws.merging_changes_nothing,
        laws.in_place,
        laws.nothing_outside,
        laws.identity,
        laws.one_part,
        laws.retried,
        laws.commuting,
    ):
        laws.hold(law, laws.values)
    drawn = settings(max_examples=examples, deadline=None, database=None, report_multiple_bugs=False)
    laws.hold_drawn(drawn(given(st.data())(laws.splitting)), laws.associating, laws.every_small_split)
    laws.hold_drawn(drawn(given(st.data())(laws.fixed_tree)), laws.every_small_tree)


class Laws:
    """One reducer, some outputs of a program, and a comparison."""

    def __init__(self, reducer: Reducer, values: list[Any], same: Same) -> None:
        self.reducer, self.values, self.same = reducer, values, same
        self.name = reducer.name or type(reducer).__name__
        self._sent = cloudpickle.dumps(reducer)
        self._law = ""

    def hold(self, law: Law, values: Sequence[Any]) -> None:
        """Raise AssertionError where ``law`` does not hold for ``values``, with the fewest of them that show it."""
        error = self._broken(law, values)
        if error is None:
            return
        self._tell(*next(self._smaller(law, values), (values, error)))

    def hold_drawn(self, law: Callable[[], None], *of_few: Law) -> None:
        """The same for a law whose partitions or orders are drawn; those ``of_few`` outputs try every one."""
        try:
            law()
        except Flaky as error:
            raise AssertionError(
                f"the same every time: {self.name} gives other results for the same merges when they are made again."
            ) from error
        except Broken as error:
            smaller = (found for few in of_few for found in self._smaller(few, self.values))
            self._tell(*next(smaller, (self.values, error)))

    def _smaller(self, law: Law, values: Sequence[Any]) -> Iterator[tuple[Sequence[Any], Broken]]:
        """Fewer outputs that break the law too, the fewest first."""
        for size in range(1, min(len(values), FEW + 1)):
            for few in islice(combinations(values, size), TRIED):
                if (error := self._broken(law, few)) is not None:
                    yield few, error

    def _tell(self, values: Sequence[Any], error: Broken) -> None:
        shown = ", ".join(shortened(repr(value), SHOWN) for value in values)
        count = "one output" if len(values) == 1 else f"{len(values)} outputs"
        raise AssertionError(f"{error}. The fewest that show it, {count}: {shown}") from error

    def _broken(self, law: Law, values: Sequence[Any]) -> Broken | None:
        try:
            law(values)
        except Broken as error:
            return error
        except Exception as error:
            told = Broken(self._law, f"{self.name} raised {type(error).__name__}: {text_of(error)}".rstrip("."))
            told.__cause__ = error
            return told
        return None

    def sent(self) -> Reducer:
        """The reducer as a worker or the driver has it: as it was made, not as others have used it."""
        made: Reducer = cloudpickle.loads(self._sent)
        return made

    def part(self, values: Sequence[Any]) -> Any:
        """One accumulator of some outputs, as it reaches the driver."""
        return self.travelled(_added(self.sent(), values))

    def travelled(self, accumulator: Any) -> Any:
        """After the way from a worker."""
        return partials.loads(self.reducer, partials.dumps(self.reducer, accumulator, KEY), "of the law suite", KEY)

    def merged(self, left: Any, right: Any) -> Any:
        """Both as one."""
        return self.sent().merge_accumulators(left, right)

    def agree(self, law: str, left: Any, right: Any, exact: bool, of: str = "") -> None:
        """Broken where two accumulators give different results."""
        a, b = self.sent().extract_output(left), self.sent().extract_output(right)
        if not self.same(a, b, exact):
            how = " (declared exact, so to the bit)" if exact and self.same(a, b, False) else ""
            shown = f"{shortened(repr(a), SHOWN)} and {shortened(repr(b), SHOWN)}"
            raise Broken(law, f"{self.name} gave {shown}{how}{of}")

    def the_same_every_time(self, values: Sequence[Any]) -> None:
        """Adding and merging the same gives the same bits."""
        self._law = law = "the same every time"
        self.agree(law, self.part(values), self.part(values), True)
        if len(values) > 1:
            first, again = ([self.part(half) for half in _halves(values)] for _ in range(2))
            self.agree(law, self.merged(*first), self.merged(*again), True)

    def outputs_left_alone(self, values: Sequence[Any]) -> None:
        """``several`` and a retry give an output to reducers more than once: adding must leave it as it was."""
        self._law = law = "outputs are left alone"
        for value in map(copied, values):
            before = _written(value)
            _added(self.sent(), [value])
            if before is not None and _written(value) != before:
                raise Broken(law, f"add_input of {self.name} changed the output it was given")

    def merging_changes_nothing(self, values: Sequence[Any]) -> None:
        """A part that is retried is merged again: merging must leave its arguments as they were."""
        self._law = law = "arguments are left alone"
        if len(values) < 2:
            return
        left, right = (self.part(half) for half in _halves(values))
        before = [self.travelled(part) for part in (left, right)]
        first = self.travelled(self.merged(left, right))
        for part, kept in zip((left, right), before, strict=True):
            self.agree(law, part, kept, True)
        self.agree(law, self.merged(left, right), first, True)

    def in_place(self, values: Sequence[Any]) -> None:
        """Merging into the left side gives the same bits, and leaves the right side as it was."""
        self._law = "merging in place"
        if len(values) < 2:
            return
        left, right = (self.part(half) for half in _halves(values))
        first, before = self.merged(left, right), self.travelled(right)
        self.agree("merging in place", self.sent().merge_into(left, right), first, True)
        self.agree("merging in place leaves the right side alone", right, before, True)

    def serializing(self, values: Sequence[Any]) -> None:
        """What is read is what was written, however often it travels."""
        self._law = law = "serialize round trip"
        self.travelled(self.sent().create_accumulator())
        whole = _added(self.sent(), values)
        again = self.travelled(whole)
        self.agree(law, again, whole, True)
        self.agree(law, self.travelled(again), whole, True)

    def nothing_outside(self, values: Sequence[Any]) -> None:
        """Workers and driver share nothing but accumulators: one that adds and extracts gives what two give."""
        self._law = law = "nothing outside the accumulator"
        worker, one = self.sent(), self.sent()
        one.extract_output(_added(one, values))
        a, b = one.extract_output(_added(one, values)), self.sent().extract_output(_added(worker, values))
        if not self.same(a, b, True):
            shown = f"{shortened(repr(a), SHOWN)} in one process and {shortened(repr(b), SHOWN)} in two"
            raise Broken(law, f"{self.name} gave {shown}; what it keeps in itself does not travel")

    def identity(self, values: Sequence[Any]) -> None:
        """The empty accumulator changes nothing, on either side, bit for bit."""
        self._law = law = "identity"
        whole = self.part(values)
        self.agree(law, self.merged(self.sent().create_accumulator(), whole), whole, True)
        self.agree(law, self.merged(whole, self.travelled(self.sent().create_accumulator())), whole, True)

    def one_part(self, values: Sequence[Any]) -> None:
        """A tree of one part is that part."""
        self._law = law = "one part"
        whole = self.part(values)
        self.agree(law, merge_tree(self.sent(), [whole]), whole, True)

    def retried(self, values: Sequence[Any]) -> None:
        """A part that arrives twice counts once."""
        self._law = law = "retried parts"
        tree, part = MergeTree(self.sent(), 2), self.part(values)
        tree.put(0, part)
        try:
            tree.put(0, part)
        except ConfigError:
            return
        raise Broken(law, "the same part was taken twice")

    def commuting(self, values: Sequence[Any]) -> None:
        """Where declared, parts may be merged in any order."""
        self._law = law = "commutativity"
        if not self.reducer.commutative:
            return
        first, second = _halves(values)
        for one, other in ((first, second), (values[:1], values[1:]), (values[:-1], values[-1:])):
            left, right = self.part(one), self.part(other)
            both = (self.merged(left, right), self.merged(right, left))
            self.agree(law, *both, self.reducer.exact)

    def splitting(self, data: Any) -> None:
        """Any partition, empty parts too, merged in any tree, gives what one accumulator gives."""
        count = len(self.values)
        cuts = sorted(data.draw(st.lists(st.integers(0, count), max_size=6)))
        parts = [self.values[a:b] for a, b in pairwise([0, *cuts, count])]
        joins = [data.draw(st.integers(0, left - 2)) for left in range(len(parts), 1, -1)]
        self._drawn(lambda _: self._split(parts, joins))

    def every_small_split(self, values: Sequence[Any]) -> None:
        """The same for every partition of a few outputs into two and three parts."""
        for count in (1, 2):
            for cuts in combinations_with_replacement(range(len(values) + 1), count):
                parts = [values[a:b] for a, b in pairwise([0, *cuts, len(values)])]
                for first in range(count):
                    self._split(parts, [first, 0][:count])

    def _split(self, parts: Sequence[Sequence[Any]], joins: Sequence[int]) -> None:
        """``joins``: which of the parts that are left is merged with its neighbour, in turn."""
        self._law = "split invariance"
        held = [self.part(values) for values in parts]
        whole = self.part([value for values in parts for value in values])
        for i in joins:
            held[i : i + 2] = [self.travelled(self.merged(held[i], held[i + 1]))]
        self.agree("split invariance", held[0], whole, self.reducer.exact, f"{_shape(parts)} and in one")

    def associating(self, values: Sequence[Any]) -> None:
        """Of every three parts it does not matter which two are merged first."""
        self._law = law = "associativity"
        for first, second in combinations_with_replacement(range(len(values) + 1), 2):
            parts = [values[:first], values[first:second], values[second:]]
            a, b, c = map(self.part, parts)
            trees = self.merged(self.merged(a, b), c), self.merged(a, self.merged(b, c))
            self.agree(law, *trees, self.reducer.exact, f"{_shape(parts)} merged from the left and from the right")

    def fixed_tree(self, data: Any) -> None:
        """The merge tree gives the same bits in any order of completion, and in stages of any fan-in."""
        order = data.draw(st.permutations(range(len(self.values))))
        step = 1 << data.draw(st.integers(1, 3))  # a stage of merges on workers, whose results travel
        self._drawn(lambda values: self._tree(values, order, step))

    def every_small_tree(self, values: Sequence[Any]) -> None:
        """The same for every order of a few outputs."""
        for order in permutations(range(len(values))):
            self._tree(values, order, 2)

    def _tree(self, values: Sequence[Any], order: Sequence[int], step: int) -> None:
        self._law = "fixed tree"
        leaves = [self.part([value]) for value in values]
        tree = MergeTree(self.sent(), len(leaves))
        for index in order:
            tree.put(index, leaves[index])
        whole = merge_tree(self.sent(), leaves)
        self.agree("fixed tree", tree.result(), whole, True)
        stages = [leaves[i : i + step] for i in range(0, len(leaves), step)]
        merged = [self.travelled(merge_tree(self.sent(), some)) for some in stages]
        self.agree("fixed tree in stages", merge_tree(self.sent(), merged, owned=True), whole, True)

    def _drawn(self, law: Law) -> None:
        if (error := self._broken(law, self.values)) is not None:
            raise error


def _added(reducer: Reducer, values: Sequence[Any]) -> Any:
    """The accumulator of some outputs."""
    accumulator = reducer.create_accumulator()
    for value in values:
        accumulator = reducer.add_input(accumulator, value)
    return accumulator


def _shape(parts: Sequence[Sequence[Any]]) -> str:
    return f", in parts of {', '.join(str(len(values)) for values in parts)}"


def _halves(values: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    middle = (len(values) + 1) // 2
    return values[:middle], values[middle:]


def _written(value: Any) -> bytes | None:
    """An output as bytes, to see whether it changes; None where it is no data."""
    try:
        return pack(as_data(value), by_key=True)
    except (ConfigError, TypeError):
        return None


def same_data(left: Any, right: Any, exact: bool) -> bool:
    """Whether two results are equal as data: their bytes, or their numbers up to rounding; estimators by what they hold,
    dicts whatever the order of their keys.
    """
    left, right = as_data(left), as_data(right)
    if exact:
        return pack(left, by_key=True) == pack(right, by_key=True)
    close: list[bool] = []
    try:
        walk(lambda a, b: close.append(_close(a, b)), _plain(left), _plain(right))
    except ProgramError:  # lists of other lengths, dicts of other keys
        return False
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
