"""What is proven about a problem: a value that searches start from, raise and pass on; the problem itself never changes."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

from partitioner.placement.bounds.combinatorial import lower_bound
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule


class Bound(NamedTuple):
    """No plan of the problem ends before ``seconds``; ``source`` says by what argument."""

    seconds: float
    source: str

    def or_higher(self, seconds: float, source: str) -> Bound:
        """This bound, or the other one where that says more."""
        return Bound(seconds, source) if seconds > self.seconds else self


_CHEAP: WeakKeyDictionary[Problem, Bound] = WeakKeyDictionary()
"""The combinatorial bound depends on the problem alone, so it is computed once for each."""


def proven(problem: Problem, known: Schedule | None = None) -> Bound:
    """The combinatorial bound, or what ``known`` brings along where that is higher."""
    if problem not in _CHEAP:
        _CHEAP[problem] = Bound(*lower_bound(problem))
    cheap = _CHEAP[problem]
    return cheap if known is None else cheap.or_higher(known.bound, known.bound_by)
