"""A question put to slots, and its answers as they come: nobody waits for a worker that is slow to answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Answers = dict[str, list[Any]]
"""Worker id to what its slots answered, results or exceptions."""


class Asked:
    """Answers that are all there; engines whose answers come one by one override ``collect`` and ``close``."""

    def __init__(self, answers: Mapping[str, list[Any]]) -> None:
        self._there = dict(answers)

    @property
    def waiting(self) -> frozenset[str]:
        """The workers whose answers were not collected yet."""
        return frozenset(self._there)

    def collect(self, timeout: float) -> Answers:
        """Workers all of whose slots have answered since the last call, waiting up to ``timeout`` seconds for the first.

        A worker that went away has answered with EngineLost.
        """
        found, self._there = self._there, {}
        return found

    def close(self) -> None:
        """Nobody wants the other answers any more."""
        self._there = {}
