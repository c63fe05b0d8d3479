"""Sub-tasks that wait for no worker in particular: what came back, and the queues of workers that are gone."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

Rank = tuple[float, float, float, int]


@dataclass(slots=True)
class Pool:
    """A heap by ``rank``: higher priority first, then the earlier deadline, then as the plan had it."""

    rank: Callable[[int], Rank]
    heap: list[tuple[Rank, int]] = field(default_factory=list)

    def append(self, task: int) -> None:
        """One more sub-task."""
        heapq.heappush(self.heap, (self.rank(task), task))

    def extend(self, tasks: Iterable[int]) -> None:
        """Several more."""
        for task in tasks:
            self.append(task)

    def popleft(self) -> int:
        """The first by rank, taken out."""
        return heapq.heappop(self.heap)[1]

    def __len__(self) -> int:
        return len(self.heap)

    def __iter__(self) -> Iterator[int]:
        return (task for _, task in sorted(self.heap))
