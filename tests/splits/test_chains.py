from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.splits.chains import Chain, cut_evenly, fewest_parts, smallest_capacity

weights = st.lists(st.integers(0, 20), min_size=1, max_size=9)


def by_brute_force(values: list[int], parts: int, memory: list[int] | None = None, limit: float = np.inf) -> int | None:
    """The smallest largest part over every way to cut ``values`` into ``parts`` non-empty parts, None if none fits."""
    best = None
    for marks in combinations(range(1, len(values)), parts - 1):
        bounds = [0, *marks, len(values)]
        spans = [slice(a, b) for a, b in pairwise(bounds)]
        if memory is None or all(sum(memory[s]) <= limit for s in spans):
            largest = max(sum(values[s]) for s in spans)
            best = largest if best is None else min(best, largest)
    return best


def largest_part(chain: Chain, parts: int) -> float:
    bounds = cut_evenly(chain, parts, smallest_capacity(chain, parts))
    assert len(bounds) == parts + 1
    assert (np.diff(bounds) > 0).all()
    return float(np.diff(chain.prefix[bounds]).max())


@settings(deadline=None, max_examples=300)
@given(values=weights, data=st.data())
def test_largest_part_is_that_of_brute_force(values, data):
    parts = data.draw(st.integers(1, len(values)))
    chain = Chain.of(np.array(values, float))
    assert largest_part(chain, parts) == by_brute_force(values, parts)


@settings(deadline=None, max_examples=300)
@given(values=weights, data=st.data())
def test_largest_part_under_a_memory_limit_is_that_of_brute_force(values, data):
    memory = data.draw(st.lists(st.integers(0, 9), min_size=len(values), max_size=len(values)))
    limit = data.draw(st.integers(max(memory), 30))
    parts = data.draw(st.integers(1, len(values)))
    expected = by_brute_force(values, parts, memory, limit)
    chain = Chain.of(np.array(values, float), np.array(memory, float), limit)
    if expected is None:
        assert fewest_parts(chain, np.inf) > parts
    else:
        assert largest_part(chain, parts) == expected


@settings(deadline=None, max_examples=200)
@given(values=st.lists(st.floats(0, 1e6), min_size=1, max_size=40), data=st.data())
def test_real_weights_stay_between_the_mean_and_the_mean_plus_one_weight(values, data):
    parts = data.draw(st.integers(1, len(values)))
    largest = largest_part(Chain.of(np.array(values)), parts)
    mean = sum(values) / parts
    assert mean * (1 - 1e-9) <= largest <= (mean + max(values)) * (1 + 1e-9)


def test_fewest_parts_of_a_capacity():
    assert fewest_parts(Chain.of(np.array([4.0, 3.0, 2.0, 6.0, 1.0])), 7.0) == 3


def test_cuts_lie_near_their_even_places():
    chain = Chain.of(np.array([1.0] * 8 + [4.0]))
    assert cut_evenly(chain, 3, smallest_capacity(chain, 3)).tolist() == [0, 4, 8, 9]


@pytest.mark.parametrize("parts", [1, 7, 100])
def test_equal_weights_make_equal_parts(parts):
    chain = Chain.of(np.full(700, 0.1))
    assert largest_part(chain, parts) == pytest.approx(70.0 / parts)
