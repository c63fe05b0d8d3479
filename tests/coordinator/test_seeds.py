"""Seeded histories with every kind of fault: no law is broken after any step, and a broken machine is found out."""

import pytest

from partitioner.coordinator import splitting
from partitioner.engines.simulated_world import Faults
from partitioner.simulation import faults_of, simulate
from partitioner.testing import seeds
from partitioner.testing.seeds import Played, run_seed, shrunk, story
from tests.coordinator.outcomes import rowed

SEEDS = 60


def test_no_seed_breaks_a_law() -> None:
    played = {seed: run_seed(seed, 24) for seed in range(SEEDS)}
    assert {seed: p.broken for seed, p in played.items() if p.broken} == {}
    assert sum(not p.stopped for p in played.values()) > 0.8 * SEEDS


def test_a_seed_is_the_same_story_every_time() -> None:
    first, again = run_seed(7, 20, keep=True), run_seed(7, 20, keep=True)
    assert first == again
    assert len(first.history) > 20


def test_a_law_that_is_broken_is_found_and_told_in_a_short_history(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(*_: object) -> bool:
        return False

    monkeypatch.setattr(splitting, "_put_by", forgetful)
    seed = next(s for s in range(200) if story(s, 8).faults.killers and run_seed(s, 8).broken)
    told, played = shrunk(seed, 8)
    assert "rows of" in played.broken
    assert len(told.faults.killers) == 1
    assert told.faults.deaths == ()
    assert 0 < len(played.history) < 400


def test_users_simulate_rows_that_kill() -> None:
    outcome = simulate(rowed([64, 64]), {"killers": [["t000001", 7]], "restart_seconds": 1.0}, seed=3)
    assert outcome.error is None
    assert outcome.losses > 6
    assert isinstance(Played(), Played)


def test_faults_of_another_shape_are_refused() -> None:
    from partitioner.errors import ConfigError

    with pytest.raises(ConfigError, match=r"faults: killers holds \['t000001'\]; write a list of entries \(str, int\)"):
        faults_of({"killers": [["t000001"]]})
    assert faults_of({"killers": [["t000001", 3]]}) == Faults(killers=(("t000001", 3),))


def test_a_run_without_an_end_is_told_and_long_waits_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    played = run_seed(7, 20)
    monkeypatch.setattr(seeds, "MOST_STEPS", 10)
    assert (played.broken, run_seed(7, 20).broken[:12]) == ("", "no end after")
