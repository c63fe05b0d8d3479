import numpy as np

from partitioner.costs.fitting.selection import select
from partitioner.costs.fitting.terms import Term

RNG = np.random.default_rng(0)
SIZE = np.geomspace(1.0, 500.0, 30)
NOISE = np.exp(0.03 * RNG.standard_normal(30))
TERMS = [Term("rows"), Term("rows", "square"), Term("n", per_row=True)]


def chosen(seconds, other=None):
    columns = [SIZE, SIZE**2, RNG.random(30) if other is None else other]
    design = np.stack([np.ones(30), *columns], axis=1)
    return [TERMS[i].name for i in select(TERMS, design, seconds).chosen]


def test_a_linear_cost_gets_the_linear_term():
    assert chosen((0.1 + 0.01 * SIZE) * NOISE) == ["rows"]


def test_a_quadratic_cost_gets_the_square():
    assert chosen(0.001 * SIZE**2 * NOISE) == ["rows^2"]


def test_a_second_feature_is_found():
    other = RNG.permutation(SIZE)
    assert set(chosen((0.01 * SIZE + 0.02 * other) * NOISE, other)) == {"rows", "n"}


def test_a_super_linear_term_of_whole_fragments_needs_pieces_of_different_sizes():
    narrow = np.linspace(10.0, 14.0, 30)
    design = np.stack([np.ones(30), narrow, narrow**2, RNG.random(30)], axis=1)
    picked = select(TERMS, design, 0.001 * narrow**2).chosen
    assert 1 not in picked


def test_with_few_measurements_there_are_few_terms():
    design = np.stack([np.ones(6), SIZE[:6], SIZE[:6] ** 2, RNG.random(6)], axis=1)
    assert len(select(TERMS, design, 0.01 * SIZE[:6]).chosen) == 1
