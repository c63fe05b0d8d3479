import numpy as np
import pytest

from partitioner.costs.fitting import selection
from partitioner.costs.fitting.fit import fit
from partitioner.costs.fitting.selection import select
from partitioner.costs.fitting.terms import Term
from partitioner.costs.measuring.measurements import Measurements, Timing

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


def test_powers_of_whole_calls_need_calls_of_several_rows():
    """Single rows of very different size, whose squares tell of themselves alone, beside calls of up to eleven."""
    rng = np.random.default_rng(1)
    rows = np.r_[np.ones(20), [2.0, 3.0, 5.0, 7.0, 11.0] * 2]
    size = rows * np.r_[np.geomspace(10.0, 1000.0, 20), rng.uniform(80.0, 120.0, 10)]
    terms = [Term("bytes"), Term("bytes", "power 1.5")]
    seconds = 0.001 * size**1.5
    several, design = rows > 1, np.stack([np.ones(30), size, size**1.5], axis=1)
    assert select(terms, design, seconds).chosen == (1,)  # nothing is known of rows
    with_rows = np.stack([*design.T, rows], axis=1)
    assert 1 not in select([*terms, Term("rows")], with_rows, seconds).chosen
    with_rows[several] *= np.geomspace(1.0, 10.0, 10)[:, None] ** np.array([0.0, 1.0, 1.5, 1.0])
    assert 1 in select([*terms, Term("rows")], with_rows, 0.001 * with_rows[:, 1] ** 1.5).chosen


def test_rows_and_their_size_are_found_together_before_a_power_of_either():
    rng = np.random.default_rng(2)
    rows = np.r_[np.ones(24), [2.0, 3.0, 5.0, 8.0, 12.0, 18.0, 25.0, 30.0]]
    size = rows * np.r_[np.geomspace(5.0, 2000.0, 24), np.full(8, 100.0)]
    terms = [Term("rows"), Term("bytes"), Term("bytes", "power 1.5"), Term("positive(id)", per_row=True)]
    design = np.stack([np.ones(32), rows, size, size**1.5, rows * rng.uniform(1, 8000, 32)], axis=1)
    assert select(terms, design, (0.01 * rows + 1e-4 * size) * np.exp(0.05 * rng.standard_normal(32))).chosen == (0, 1)


def test_fits_of_many_measurements_are_made_in_parts_and_choose_the_same(monkeypatch):
    other = RNG.permutation(SIZE)
    seconds = (0.01 * SIZE + 0.02 * other) * NOISE
    at_once = chosen(seconds, other)
    monkeypatch.setattr(selection, "AT_ONCE", 1)
    assert chosen(seconds, other) == at_once


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


def of_rows_and_text(count):
    """What pieces of so many rows take, 0.03 s a row and 0.5 ms a character; and a fit to the first ``count`` of them."""
    rows = np.array([1.0, 1, 1, 2, 5, 1, 3, 2, 4, 1])[:count]
    text = np.array([17.0, 24, 29, 135, 269, 300, 10, 20, 200, 1])[:count]
    noise = np.array([1.05, 1.12, 0.97, 0.98, 1.02, 1.01, 0.99, 1.03, 0.97, 1.0])[:count]
    timings = [Timing(float(s)) for s in (0.03 * rows + 0.0005 * text) * noise]
    terms = [Term("rows"), Term("n", per_row=True)]
    return fit(Measurements.of({"rows": rows, "n": text, "bytes": text}, timings), terms)


def test_of_two_terms_that_few_pieces_do_not_tell_apart_the_mean_is_taken():
    fitted = of_rows_and_text(5)
    assert {t.name for t in fitted.terms} == {"rows", "n"}
    assert any("do not tell" in note and note.endswith("the mean of both is taken") for note in fitted.notes)
    ten_usual_rows = {"rows": np.array([10.0]), "n": np.array([310.0])}
    assert fitted.predict(ten_usual_rows)[0][0] + fitted.fixed_seconds == pytest.approx(0.455, rel=0.15)


def test_of_more_pieces_each_term_is_fitted_by_what_it_explains():
    fitted = of_rows_and_text(10)
    assert not any("the mean of both" in note for note in fitted.notes)


def by_rows(seconds):
    rows = np.array([2.0, 2, 4, 4, 7, 7, 1, 1, 3, 5])
    pieces = Measurements.of({"rows": rows, "bytes": 8 * rows}, [Timing(s) for s in seconds])
    fitted = fit(pieces, [Term("rows")])
    return fitted, float(fitted.predict({"rows": np.array([500.0]), "bytes": np.array([4000.0])})[0][0])


def test_a_row_that_is_dear_by_chance_is_no_dear_call():
    """Naps of 0.01 s a row in the mean, heavy-tailed: the least call of 0.017 s has no 0.04 s of its own."""
    fitted, seconds = by_rows([0.062, 0.063, 0.02, 0.02, 0.052, 0.052, 0.055, 0.017, 0.026, 0.031])
    assert fitted.fixed_seconds < 0.001
    assert 2.0 < seconds < 10.0
    assert any(note.startswith("rows differ more than calls of more of them do") for note in fitted.notes)


def test_calls_that_take_alike_however_many_rows_they_have_cost_by_themselves():
    fitted, seconds = by_rows([1.02, 1.0, 1.0, 1.01, 0.97, 0.98, 1.03, 1.02, 0.99, 1.0])
    assert fitted.fixed_seconds == pytest.approx(1.0, rel=0.1)
    assert seconds < 1.0


def test_a_power_of_each_row_needs_no_calls_of_several_rows():
    rows, length = np.r_[np.ones(20), [2.0, 3.0, 5.0]], np.r_[np.geomspace(10.0, 1000.0, 20), 200.0, 300.0, 500.0]
    powers = np.r_[length[:20] ** 1.5, 3000.0, 3100.0, 5100.0]
    terms = [Term("rows"), Term("len(t)", per_row=True), Term("len(t)", "power 1.5", per_row=True)]
    design = np.stack([np.ones(23), rows, length, powers], axis=1)
    assert select(terms, design, 1e-4 * powers).chosen[0] == 2
