"""Which sub-tasks take alike, and what was seen of each kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import exp, log

import numpy as np

from partitioner.model import SubTasks
from partitioner.model.data import Floats

DOUBT = 0.1
"""Of what is seen of a kind beside what traits may explain, as variances of logarithms: fits of equal parameters differ by
about 30 %, and a trait is not expected to change seconds by a power beyond about 1 of what was guessed."""


@dataclass(slots=True)
class Kinds:
    """``kind`` of each sub-task, its ``guess`` of seconds before any ran, the ``members`` and the ``traits`` of each kind.

    ``seen``: of a kind, how many completed, and how many reference seconds they took together.
    """

    kind: list[int]
    guess: list[float]
    members: dict[int, list[int]] = field(default_factory=dict)
    seen: dict[int, tuple[int, float]] = field(default_factory=dict)
    traits: dict[int, Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, tasks: SubTasks, guess: Iterable[float]) -> Kinds | None:
        """None where no sub-task says what it is like."""
        if tasks.alike is None:
            return None
        found = cls(tasks.alike.tolist(), list(guess))
        for i, kind in enumerate(found.kind):
            found.members.setdefault(kind, []).append(i)
        if tasks.traits is not None:
            found.traits = {kind: tasks.traits[members[0]] for kind, members in found.members.items()}
        return found

    def note(self, task: int, seconds: float) -> float:
        """A completion; the mean of its kind so far."""
        count, total = self.seen.get(self.kind[task], (0, 0.0))
        self.seen[self.kind[task]] = (count + 1, total + seconds)
        return (total + seconds) / (count + 1)

    @property
    def all_seen(self) -> bool:
        """Whether something was seen of every kind."""
        return len(self.seen) == len(self.members)

    def scales(self) -> dict[int, float]:
        """Seen over guessed seconds: of each kind that was not seen, what those that were lead to expect.

        Their geometric mean; where kinds have traits, a ridge regression of its logarithm on them (Hoerl and Kennard 1970).
        1 where none was guessed.
        """
        logs = {}
        for kind, (count, total) in self.seen.items():
            guess = max(self.guess[i] for i in self.members[kind])
            if guess > 0:
                logs[kind] = log(total / count / guess)
        unseen = [kind for kind in self.members if kind not in self.seen]
        level = sum(logs.values()) / len(logs) if logs else 0.0
        if not self.traits or len(logs) < 2:
            return dict.fromkeys(unseen, exp(level))
        known = np.array([self.traits[kind] for kind in logs])
        centre = known.mean(axis=0)
        rest = known - centre
        gram = rest @ rest.T + DOUBT * np.eye(len(logs))
        slopes = rest.T @ np.linalg.solve(gram, np.array(list(logs.values())) - level)
        return {kind: exp(level + float((self.traits[kind] - centre) @ slopes)) for kind in unseen}
