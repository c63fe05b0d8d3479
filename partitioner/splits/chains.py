"""Chains-on-chains partitioning: a sequence cut into contiguous parts whose largest is as small as it can be.

Pinar and Aykanat, "Fast optimal load balancing algorithms for 1D partitioning", J. Parallel Distrib. Comput. 64 (2004),
the exact bisection over probes by binary search on prefix sums (Nicol 1994, Iqbal 1992). A second sequence, memory, may
bound every part as well: both bounds are hereditary for contiguous parts, so the greedy probe stays exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from partitioner.model.data import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """A sequence of n weights as prefix sums, float64[n + 1], and the same of a bounded second weight if there is one.

    ``heaviest`` is the largest weight, ``slack`` what rounding in the prefix sums can amount to.
    """

    prefix: Floats
    heaviest: float
    slack: float
    second: Floats | None = None
    second_limit: float = inf

    @classmethod
    def of(cls, weights: Floats, second: Floats | None = None, second_limit: float = inf) -> Chain:
        """From weights of at least 0; no single ``second`` may be above ``second_limit``."""
        prefix = _prefix_sums(weights)
        bounded = second is not None and second_limit < inf
        slack = 4 * float(np.finfo(np.float64).eps) * float(prefix[-1])
        heaviest = float(weights.max(initial=0.0))
        return cls(
            prefix, heaviest, slack, _prefix_sums(second) if second is not None and bounded else None, second_limit
        )

    def __len__(self) -> int:
        return len(self.prefix) - 1

    def reach(self, start: int, capacity: float) -> tuple[int, bool]:
        """The furthest end of a part that begins at ``start``, and whether ``capacity`` (not the second) stopped it."""
        end = int(self.prefix.searchsorted(self.prefix[start] + capacity + self.slack, "right")) - 1
        end = max(end, start + 1)
        if self.second is None:
            return end, True
        limit = self.second[start] + self.second_limit * (1 + 1e-12)
        bounded = max(int(self.second.searchsorted(limit, "right")) - 1, start + 1)
        return (end, True) if end <= bounded else (bounded, False)

    def reach_back(self, end: int, capacity: float) -> int:
        """The earliest start of a part that ends at ``end``."""
        start = int(self.prefix.searchsorted(self.prefix[end] - capacity - self.slack, "left"))
        if self.second is not None:
            limit = self.second[end] - self.second_limit * (1 + 1e-12)
            start = max(start, int(self.second.searchsorted(limit, "left")))
        return min(start, end - 1)


def _prefix_sums(values: Floats) -> Floats:
    sums = np.zeros(len(values) + 1)
    np.cumsum(values, out=sums[1:])
    return sums


def fewest_parts(chain: Chain, capacity: float) -> int:
    """The smallest number of contiguous parts of at most ``capacity`` each. O(parts log n)."""
    start = parts = 0
    while start < len(chain):
        start, parts = chain.reach(start, capacity)[0], parts + 1
    return parts


def _probe(chain: Chain, parts: int, capacity: float) -> tuple[float | None, float]:
    """The largest part when ``parts`` parts of ``capacity`` suffice, else None; and the next capacity that may.

    That next capacity is the least that lets any of the greedy parts take one more element.
    """
    # The inner loop of everything here: plain floats through a memoryview are several times faster than array items.
    n, sums, search = len(chain), memoryview(chain.prefix.data), chain.prefix.searchsorted
    start, reached, largest, grown = 0, 0.0, 0.0, inf
    for _ in range(parts):
        if chain.second is None:
            end = int(search(reached + capacity + chain.slack, "right")) - 1
            end, by_capacity = end if end > start else start + 1, True
        else:
            end, by_capacity = chain.reach(start, capacity)
        value = sums[end]
        largest = largest if largest > value - reached else value - reached
        if end == n:
            return largest, grown
        if by_capacity and sums[end + 1] - reached < grown:
            grown = sums[end + 1] - reached
        start, reached = end, value
    return None, grown


def smallest_capacity(chain: Chain, parts: int) -> float:
    """The least possible largest part among all cuts into at most ``parts`` parts; exact up to rounding of the sums.

    The second weight must allow ``parts`` parts (see ``fewest_parts``).
    """
    low = max(float(chain.prefix[-1]) / parts, chain.heaviest)
    largest, _ = _probe(chain, parts, low)
    if largest is not None:
        return largest
    high = float(chain.prefix[-1])
    while low + chain.slack < high:
        middle = (low + high) / 2
        largest, grown = _probe(chain, parts, middle)
        if largest is None:
            low = max(grown, middle)
        else:
            high = min(largest, middle)
    return high


def cut_evenly(chain: Chain, parts: int, capacity: float) -> Ints:
    """Boundaries int64[parts + 1] of exactly ``parts`` non-empty parts within ``capacity``, each near its even place.

    Needs ``parts`` at most n, and ``capacity`` at least ``smallest_capacity(chain, parts)``.
    """
    n, total = len(chain), float(chain.prefix[-1])
    earliest = [n] * (parts + 1)
    for k in range(parts - 1, 0, -1):
        earliest[k] = max(chain.reach_back(earliest[k + 1], capacity), k)
    even = chain.prefix.searchsorted(np.arange(1, parts) * (total / parts), "left")
    bounds = [0]
    for k in range(1, parts):
        place = int(even[k - 1])
        # searchsorted gives the first boundary at or past the even place; the one before may be nearer.
        mark = k * total / parts
        if place > 0 and mark - chain.prefix[place - 1] < chain.prefix[place] - mark:
            place -= 1
        furthest = min(chain.reach(bounds[-1], capacity)[0], n - (parts - k))
        bounds.append(min(max(place, earliest[k], bounds[-1] + 1), furthest))
    return np.array([*bounds, n], np.int64)
