import numpy as np
import pytest

from partitioner.costs.fitting.powers import fit_powers

RNG = np.random.default_rng(0)
TOKENS, BATCH = RNG.lognormal(6, 1, 60), RNG.integers(1, 33, 60).astype(float)


def test_a_ratio_and_a_square_are_found_and_told_in_words():
    fitted = fit_powers(1e-3 * TOKENS**2 / BATCH, {"tokens": TOKENS, "batch": BATCH})
    assert fitted.powers == pytest.approx({"tokens": 2.0, "batch": -1.0}, abs=1e-3)
    assert fitted.predict({"tokens": np.array([1e6]), "batch": np.array([4.0])}) == pytest.approx([2.5e8], rel=0.02)
    assert fitted.words() == "0.001 s x tokens^2 x batch^-1"


def test_kinds_have_factors_and_one_never_seen_is_a_usual_one():
    kinds = ["small", "large"] * 30
    seconds = 0.01 * TOKENS * np.where(np.array(kinds) == "large", 4.0, 1.0)
    fitted = fit_powers(seconds, {"tokens": TOKENS}, {"model": kinds})
    small, large, new = fitted.predict({"tokens": np.full(3, 100.0)}, {"model": ["small", "large", "new"]})
    assert (small, large) == (pytest.approx(1.0, rel=0.02), pytest.approx(4.0, rel=0.02))
    assert new == pytest.approx(2.0, rel=0.1)  # between the two, as logarithms go
    assert "times a factor by model (2 kinds): " in fitted.words()


def test_stragglers_move_the_level_only_as_totals_do():
    seconds = 0.01 * TOKENS
    seconds[::20] *= 50
    assert fit_powers(seconds, {"tokens": TOKENS}).powers["tokens"] == pytest.approx(1.0, abs=0.02)


def test_numbers_and_seconds_of_zero_have_a_logarithm_too():
    some = np.where(BATCH > 16, 0.0, BATCH)
    fitted = fit_powers(np.where(BATCH > 30, 0.0, BATCH), {"some": some, "none": np.zeros(60), "below": -BATCH})
    assert list(fitted.powers) == ["some"]
    found = fitted.predict({"some": np.array([0.0, 1e3]), "none": np.ones(2), "below": np.ones(2)})
    assert np.isfinite(found).all()
    assert (found > 0).all()


def test_totals_agree():
    seconds = 0.01 * TOKENS * RNG.lognormal(0, 0.5, 60)
    assert fit_powers(seconds, {"tokens": TOKENS}).predict({"tokens": TOKENS}).sum() == pytest.approx(seconds.sum())


def test_nothing_but_zeros_is_a_cost_of_nothing():
    assert fit_powers(np.zeros(20), {"x": np.zeros(20)}).predict({"x": np.ones(1)}) == pytest.approx([0.0])
