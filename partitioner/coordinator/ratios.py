"""What actual over predicted seconds are like, as far as a run has shown: mean and spread in logs, and how sure both are.

Log ratios are taken as normal. Of completions they are known; what runs tells that its own is larger than so far, for at
first only what turned out short has ended. Mean and spread are drawn together from what both make likely, on a grid (Gelman
et al., Bayesian Data Analysis, chapter 3), so that forecasts are as wide as they must be while few have ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np

from partitioner.coordinator.state import State
from partitioner.model.data import Floats

PRIOR, SPREAD_WEIGHT = 0.2, 3.0
"""Standard deviation of log(actual / predicted) before completions have shown one, and as how many of them it counts."""

MEAN_WEIGHT, DEGREES = 24.0, 4.0
"""Completions that what was predicted counts as, for the mean, in Student's t of so many degrees of freedom: no more once it
is far from what is seen. These four were chosen on random plans with noise of 0.1 to 0.8 (``benchmarks.keeps_plan``)."""

HANGS = 0.01
"""Share of attempts that may be late for reasons of their own (a worker that hangs), and say nothing of the others."""

ROUNDS = 40
"""Of expectation and maximisation until the likeliest mean and spread: enough where nine in ten still run."""

MOST = 200
"""Running attempts that are looked at, spread over all, each for as many as it takes: more cost milliseconds."""

STEPS = np.linspace(-4.0, 7.0, 34)
"""Cells of the grid, in standard errors around the likeliest: further up, where what runs leaves more open."""


@dataclass(frozen=True, slots=True)
class Ratios:
    """What mean and spread of log(actual / predicted) may be, each pair with its ``weight``; the weights sum to 1."""

    mean: Floats
    spread: Floats
    weight: Floats

    @classmethod
    def exactly(cls, spread: float, mean: float = 0.0) -> Ratios:
        """Where both are known."""
        return cls(np.array([mean]), np.array([spread]), np.ones(1))

    @property
    def typical(self) -> float:
        """The spread to expect."""
        return float(self.weight @ self.spread)

    def drawn(self, count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """float64[count] means and spreads, as often as they are likely, in random order."""
        at = (np.arange(count) + rng.random()) / count
        picked = np.minimum(np.searchsorted(np.cumsum(self.weight), at), len(self.weight) - 1)
        picked = rng.permutation(picked)
        return self.mean[picked], self.spread[picked]


def ratios(state: State, now: float) -> Ratios:
    """What the completions of a run and the attempts that run at ``now`` let expect."""
    every = running(state, now)
    so_far = every[:: max(1, -(-len(every) // MOST))]
    times = len(every) / max(1, len(so_far))
    mean, spread = _likeliest(state, so_far, times)
    known = np.sqrt(SPREAD_WEIGHT + state.completions)
    spreads = spread * np.exp(STEPS / (known * np.sqrt(2)))
    unsure = state.doubt**2 + spread**2 / SPREAD_WEIGHT
    means = mean + STEPS / np.sqrt(state.completions / spread**2 + 1 / unsure)
    logs = _log_weight(state, so_far, times, means[:, None], spreads[None, :])
    weight = np.exp(logs - logs.max())
    grid = np.broadcast_arrays(means[:, None], spreads[None, :])
    return Ratios(grid[0].ravel(), grid[1].ravel(), (weight / weight.sum()).ravel())


def running(state: State, now: float) -> Floats:
    """float64[n]: the log ratio of the seconds so far to those predicted, of every attempt that runs."""
    return np.array(
        [
            np.log((now - live.started) / live.expected)
            for live in state.attempts.values()
            if live.started is not None and live.expected > 0 and now > live.started
        ]
    )


def _log_weight(state: State, so_far: Floats, times: float, mean: Floats, spread: Floats) -> Floats:
    """The logarithm of how likely means and spreads are, but for a constant; each that runs stands for ``times``."""
    n = state.completions
    squares = _shown(state) + (n * (state.log_ratios / n - mean) ** 2 if n else 0.0)
    logs: Floats = -(SPREAD_WEIGHT + n) * np.log(spread) - squares / (2 * spread**2)
    if state.predicts:
        scale = _scale(state, spread)
        logs = logs - np.log(scale) - (DEGREES + 1) / 2 * np.log1p((mean / scale) ** 2 / DEGREES)
    if len(so_far):
        late = normal_chance((so_far - mean[..., None]) / spread[..., None])
        logs = logs + times * np.log1p(-(1 - HANGS) * late).sum(axis=-1)
    return logs


def _shown(state: State) -> float:
    """Squares of the prior and of completions, about their mean or, where workers differ, about what was forecast there."""
    about_mean = state.log_squares - state.log_ratios**2 / max(1, state.completions)
    return SPREAD_WEIGHT * PRIOR**2 + max(0.0, min(state.squares, about_mean))


def _scale(state: State, spread: Any) -> Any:
    """How far means lie from what was predicted, in most runs and by what the cost model doubts of this one."""
    return np.sqrt(spread**2 / MEAN_WEIGHT + state.doubt**2)


def _likeliest(state: State, so_far: Floats, times: float) -> tuple[float, float]:
    """Mean and spread by expectation and maximisation (Wolynetz, Applied Statistics 28, 1979)."""
    n, total = state.completions, state.log_ratios
    seen = total / n if n else 0.0
    shown = _shown(state)
    mean, spread = seen, float(np.sqrt(shown / (SPREAD_WEIGHT + n)))
    for _ in range(ROUNDS):
        scale = _scale(state, spread)
        trust = (spread / scale) ** 2 * (1 + 1 / DEGREES) / (1 + (mean / scale) ** 2 / DEGREES)
        trusted = trust if state.predicts else 0.0
        z = (so_far - mean) / spread
        later = (1 - HANGS) * (1 - normal_chance(z))
        weight = times * later / (later + HANGS)
        above, count = mills(z), float(weight.sum())
        squares = shown + n * (seen - mean) ** 2 + trusted * mean**2
        squares += float((weight * spread**2 * (1 + z * above)).sum())
        mean = float((total + (weight * (mean + spread * above)).sum()) / max(n + count + trusted, 1e-9))
        spread = float(np.sqrt(squares / (SPREAD_WEIGHT + n + count)))
    return mean, spread


def normal_chance(z: Floats) -> Floats:
    """The share of a standard normal below ``z``, within 0.001."""
    chances, quantiles = _normal_table()
    values: Floats = np.interp(z, quantiles, chances)
    return values


def normal_quantile(chance: Floats) -> Floats:
    """Quantiles of the standard normal distribution, within 0.01 between 0.0001 and 0.9999."""
    values: Floats = np.interp(chance, *_normal_table())
    return values


def mills(z: Floats) -> Floats:
    """The mean of a standard normal given that it is above ``z`` (the inverse Mills ratio)."""
    grid, ratio = _mills_table()
    values: Floats = np.where(z > grid[-1], z + 1 / np.maximum(z, 1.0), np.interp(z, grid, ratio))
    return values


@cache
def _mills_table() -> tuple[Floats, Floats]:
    normal, grid = NormalDist(), np.linspace(-6, 6, 241)
    return grid, np.array([normal.pdf(z) / (1 - normal.cdf(z)) for z in grid])


@cache
def _normal_table() -> tuple[Floats, Floats]:
    chances = np.concatenate([[1e-6, 1e-5, 1e-4], np.linspace(1e-3, 0.999, 999), [0.9999, 0.99999, 0.999999]])
    return chances, np.array([NormalDist().inv_cdf(p) for p in chances])
