"""Differential privacy of clients in federated rounds: updates clipped, noise on their mean, epsilon from dp-accounting.

DP-FedAvg of McMahan et al., "Learning differentially private recurrent language models" (2018), with every client in every
round: whether one client took part cannot be told beyond (epsilon, delta) by who sees all rounds' parameters.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Any

import numpy as np

from partitioner.errors import ConfigError, MissingDependency, nearest
from partitioner.model.given import check_number
from partitioner.reducers.parameters import is_real, to_float, typed
from partitioner.reducers.trees import leaves, walk

LEAST_NOISE = 0.3
"""In clips: with less, epsilon tells nothing, and its computation takes very long."""


@dataclass(frozen=True, slots=True)
class Privacy:
    """What is promised to clients.

    ``clip``: the Euclidean norm of a client's update at most; ``noise``: standard deviation of the noise on the sum of all
    updates, in clips; ``delta`` of the promise. ``seed`` of the noise: a secret, drawn where none is given; a resume needs
    the same one.
    """

    clip: float
    noise: float
    delta: float = 1e-5
    seed: int = field(default_factory=lambda: secrets.randbits(128), repr=False)

    @classmethod
    def of(cls, given: Any) -> Privacy:
        """From a mapping, or itself. ConfigError for what cannot be; MissingDependency without dp-accounting."""
        if isinstance(given, Mapping):
            known = [f.name for f in fields(cls)]
            for name in given:
                if name not in known:
                    raise ConfigError(f"privacy has no setting {name!r}.{nearest(str(name), known)}")
            for name in ("clip", "noise"):
                if name not in given:
                    raise ConfigError(f"privacy needs {name!r}: {{'clip': 1.0, 'noise': 1.1, 'delta': 1e-5}}.")
            given = cls(**given)
        if not isinstance(given, cls):
            raise ConfigError(f"privacy is {given!r}; give {{'clip': 1.0, 'noise': 1.1, 'delta': 1e-5}}.")
        for name in ("clip", "noise"):
            value = getattr(given, name)
            check_number(f"privacy: {name}", value)
            if not (isfinite(value) and value > 0):
                raise ConfigError(f"privacy: {name} is {value}; give a number above 0.")
        if given.noise < LEAST_NOISE:
            raise ConfigError(
                f"privacy: noise is {given.noise}; below {LEAST_NOISE} of a clip epsilon is above 15 in a single round, "
                "which promises nothing. Give more, or leave privacy out."
            )
        if not 0 < given.delta < 1:
            raise ConfigError(f"privacy: delta is {given.delta}; give a number above 0 and below 1.")
        _accounting()
        return given


def epsilon_of(privacy: Privacy, rounds: int) -> float:
    """Epsilon at ``privacy.delta`` after so many rounds, by privacy loss distributions.

    MissingDependency where dp-accounting is not installed.
    """
    accounting = _accounting()
    accountant = accounting.pld.PLDAccountant()
    accountant.compose(accounting.GaussianDpEvent(privacy.noise), rounds)
    return float(accountant.get_epsilon(privacy.delta))


def _accounting() -> Any:
    try:
        import dp_accounting
        import dp_accounting.pld
    except ModuleNotFoundError as error:
        raise MissingDependency('privacy is told by dp-accounting: pip install "batch-partitioner[privacy]"') from error
    return dp_accounting


def clipped(new: Any, old: Any, clip: float) -> Any:
    """``new`` drawn back to ``old`` until their distance is at most ``clip``; leaves that are no floats stay ``old``."""
    squares = sum(float((_way(a, b) ** 2).sum()) for a, b in zip(leaves(new), leaves(old), strict=True))
    share = min(1.0, clip / np.sqrt(squares)) if squares > 0 else 1.0
    return walk(lambda a, b: typed(to_float(b) + share * _way(a, b), b) if is_real(b) else b, new, old)


def _way(new: Any, old: Any) -> Any:
    return to_float(new) - to_float(old) if is_real(old) else np.zeros(0)


def noised(privacy: Privacy, clients: int) -> Callable[[Any, int], Any]:
    """(merged parameters, step) to the parameters with noise: of the mean of ``clients`` updates."""
    deviation = privacy.noise * privacy.clip / clients

    def add(merged: Any, step: int) -> Any:
        random = np.random.default_rng([privacy.seed, step])

        def noise(leaf: Any) -> Any:
            if not is_real(leaf):
                return leaf
            value = to_float(leaf)
            return typed(value + random.normal(0.0, deviation, value.shape), leaf)

        return walk(noise, merged)

    return add
