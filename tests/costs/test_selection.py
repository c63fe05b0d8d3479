import numpy as np
import pytest

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


def of_few_pieces(pieces, runs, shape="linear"):
    """What is picked of lengths, their ``shape`` and a number that rises with them, where seconds are the shape exactly."""
    length = np.repeat(np.linspace(1.0, 5.0, pieces), runs)
    value = Term("len(t)", shape, per_row=True)
    seconds = value.of_whole(length)
    number = seconds * np.repeat(1 + 0.01 * RNG.standard_normal(pieces), runs)
    terms = [Term("len(t)", per_row=True), Term("len(t)", "square", per_row=True), Term("positive(id)", per_row=True)]
    design = np.stack([np.ones(pieces * runs), length, length**2, number], axis=1)
    return [terms[i].name for i in select(terms, design, seconds).chosen]


def test_few_pieces_make_no_square_however_often_they_ran():
    assert of_few_pieces(7, runs=8, shape="square") == ["len(t)"]
    assert of_few_pieces(8, runs=8, shape="square") == ["sum len(t)^2"]


def by_a_number(pieces, runs):
    number = np.repeat(RNG.permutation(pieces) + 1.0, runs)
    rows = np.repeat(np.linspace(1.0, 2.0, pieces), runs)
    terms = [Term("rows"), Term("positive(s)", per_row=True)]
    design = np.stack([np.ones(pieces * runs), rows, number], axis=1)
    return [terms[i].name for i in select(terms, design, number).chosen]


def test_few_pieces_follow_no_number_that_nobody_named():
    assert "positive(s)" not in by_a_number(11, runs=8)
    assert by_a_number(12, runs=8) == ["positive(s)"]


def test_a_piece_that_ran_in_every_slot_is_held_out_everywhere():
    """By chance lengths say nothing of four pieces; their runs in ten slots agree, which is no evidence for them."""
    length = np.repeat([1.0, 2.0, 3.0, 4.0], 10)
    seconds = np.repeat([1.0, 3.0, 3.1, 1.1], 10)
    terms = [Term("len(t)", per_row=True)]
    once = select(terms, np.stack([np.ones(4), length[::10]], axis=1), seconds[::10])
    often = select(terms, np.stack([np.ones(40), length], axis=1), seconds)
    assert often.considered == pytest.approx(once.considered)
