"""Which sub-tasks take alike, and what was seen of each kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import exp, log

from partitioner.model import SubTasks


@dataclass(slots=True)
class Kinds:
    """``kind`` of each sub-task, its ``guess`` of seconds before any ran, the ``members`` of each kind.

    ``seen``: of a kind, how many completed, and how many reference seconds they took together.
    """

    kind: list[int]
    guess: list[float]
    members: dict[int, list[int]] = field(default_factory=dict)
    seen: dict[int, tuple[int, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, tasks: SubTasks, guess: Iterable[float]) -> Kinds | None:
        """None where no sub-task says what it is like."""
        if tasks.alike is None:
            return None
        found = cls(tasks.alike.tolist(), list(guess))
        for i, kind in enumerate(found.kind):
            found.members.setdefault(kind, []).append(i)
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

    def scale(self) -> float:
        """Seen over guessed seconds, the geometric mean over the kinds that were seen; 1 where none was guessed."""
        logs = []
        for kind, (count, total) in self.seen.items():
            guess = max(self.guess[i] for i in self.members[kind])
            if guess > 0:
                logs.append(log(total / count / guess))
        return exp(sum(logs) / len(logs)) if logs else 1.0
