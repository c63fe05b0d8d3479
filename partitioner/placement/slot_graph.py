"""A task graph on slots that run one task at a time, and the best place to put one task back.

The kernel of ``graph_search``. A solution is one order of all tasks, parents before children, and a slot for each; every
task starts as soon as its parents and the task before it on its slot allow. ``head`` is the finish of a task, ``tail``
the seconds from its start to the end of everything that waits for it; a task out of the solution (slot -1) stands for
its least duration, so that its parents still come before its children. With heads and tails the makespan after putting
a task into a hole between two others is known without trying it (Mastrolilli and Gambardella 2000,
https://doi.org/10.1002/(SICI)1099-1425(200001/02)3:1<3::AID-JOS32>3.0.CO;2-Y).
"""

from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np

from partitioner.placement.problem import Problem, Slots

OUT = -1
Row = list[tuple[int, float, float]]


class SlotGraph:
    """Tables of one problem as plain lists, and the heads and tails of the solution that was measured last.

    ``seconds[i][s]`` of task i on slot s, infinity where it cannot run; ``least[i]`` the smallest of them; ``worker[s]``.
    """

    def __init__(self, problem: Problem, slots: Slots) -> None:
        self.n, self.slots = problem.n, len(slots)
        self.worker: list[int] = slots.worker.tolist()
        self.seconds: list[list[float]] = problem.matrix[:, slots.group].tolist()
        self.least = [min(row) for row in self.seconds]
        self.release: list[float] = np.maximum(problem.release, 0.0).tolist()
        self.parents = _without_implied(problem)
        self.children: list[Row] = [[] for _ in range(self.n)]
        for i, row in enumerate(self.parents):
            for parent, delay, transfer in row:
                self.children[parent].append((i, delay, transfer))
        self.plain = not any(delay or transfer for row in self.parents for _, delay, transfer in row)
        self.moves = any(transfer for row in self.parents for _, _, transfer in row)
        self._before = [[p for p, _, _ in row] for row in self.parents]
        self._after = [[c for c, _, _ in row] for row in self.children]
        self.start = [0.0] * self.n
        self.head = [0.0] * self.n
        self.tail = [0.0] * self.n
        self._free, self._left = [0.0] * (self.slots + 1), [0.0] * (self.slots + 1)
        self._inside = [True] * self.n

    def measure_all(self, order: list[int], slot: list[int], lasting: list[float]) -> float:
        """Set heads and tails of every task; returns the makespan."""
        self._free, self._left = [0.0] * (self.slots + 1), [0.0] * (self.slots + 1)
        self._inside = [True] * self.n
        return self.measure(order, slot, lasting)

    def enter(self, before: list[int], inside: list[int], after: list[int], slot: list[int]) -> None:
        """From now on only ``inside`` changes; heads of the tasks ``before`` and tails of those ``after`` stay."""
        self._free, self._left = [0.0] * (self.slots + 1), [0.0] * (self.slots + 1)
        for i in before:
            self._free[slot[i]] = self.head[i]
        for i in reversed(after):
            self._left[slot[i]] = self.tail[i]
        self._inside = [False] * self.n
        for i in inside:
            self._inside[i] = True

    def measure(
        self, order: list[int], slot: list[int], lasting: list[float], first: int = 0, last: int | None = None
    ) -> float:
        """Set heads and tails of the tasks in ``order``; returns the length of the longest path through one of them.

        Heads before position ``first`` and tails after position ``last`` are taken to be right already.
        """
        end = len(order) if last is None else last + 1
        if self.plain:
            self._plain_heads(order, slot, lasting, first)
            self._plain_tails(order, slot, lasting, end)
        else:
            self._heads(order, slot, lasting, first)
            self._tails(order, slot, lasting, end)
        start, tail = self.start, self.tail
        return max([start[i] + tail[i] for i in order])

    def recall(self, start: list[float], head: list[float], tail: list[float]) -> None:
        """Set starts, heads and tails to those of a solution measured before; the lists are copied."""
        self.start, self.head, self.tail = start[:], head[:], tail[:]

    def _plain_heads(self, order: list[int], slot: list[int], lasting: list[float], first: int) -> None:
        # The last entry of ``free`` belongs to slot -1, where the tasks are that are out: written, never waited for.
        free, head = self._free[:], self.head
        for i in order[:first]:
            free[slot[i]] = head[i]
        start, before, release = self.start, self._before, self.release
        for i in order[first:]:
            s = slot[i]
            at = free[s] if s >= 0 else 0.0
            for p in before[i]:
                if head[p] > at:
                    at = head[p]
            if release[i] > at:
                at = release[i]
            start[i] = at
            free[s] = head[i] = at + lasting[i]

    def _plain_tails(self, order: list[int], slot: list[int], lasting: list[float], end: int) -> None:
        left, tail, after = self._left[:], self.tail, self._after
        for i in order[: end - 1 : -1] if end else reversed(order):
            left[slot[i]] = tail[i]
        for i in reversed(order[:end]):
            s = slot[i]
            rest = left[s] if s >= 0 else 0.0
            for c in after[i]:
                if tail[c] > rest:
                    rest = tail[c]
            left[s] = tail[i] = rest + lasting[i]

    def _heads(self, order: list[int], slot: list[int], lasting: list[float], first: int) -> None:
        free, head, start, worker = self._free[:], self.head, self.start, self.worker
        for i in order[:first]:
            free[slot[i]] = head[i]
        for i in order[first:]:
            s = slot[i]
            at = max(free[s], self.release[i]) if s >= 0 else self.release[i]
            for p, delay, transfer in self.parents[i]:
                ready = head[p] + delay
                if transfer and s >= 0 and slot[p] >= 0 and worker[s] != worker[slot[p]]:
                    ready += transfer
                if ready > at:
                    at = ready
            start[i] = at
            free[s] = head[i] = at + lasting[i]

    def _tails(self, order: list[int], slot: list[int], lasting: list[float], end: int) -> None:
        left, tail, worker = self._left[:], self.tail, self.worker
        for i in order[: end - 1 : -1] if end else reversed(order):
            left[slot[i]] = tail[i]
        for i in reversed(order[:end]):
            s = slot[i]
            rest = left[s] if s >= 0 else 0.0
            for c, delay, transfer in self.children[i]:
                after = tail[c] + delay
                if transfer and s >= 0 and slot[c] >= 0 and worker[s] != worker[slot[c]]:
                    after += transfer
                if after > rest:
                    rest = after
            left[s] = tail[i] = rest + lasting[i]

    def put_back(
        self, v: int, order: list[int], slot: list[int], lasting: list[float], noise: float, random: Callable[[], float]
    ) -> tuple[float, int]:
        """Put task v, which is out, into the hole with the shortest path through it: (its length, v's position).

        ``measure`` must have been called; the lists are changed. ``noise`` seconds blur the choice.
        """
        start, tail = self.start, self.tail
        # Starts grow and tails shrink along every path, so this keeps parents before children.
        order.sort(key=lambda i: start[i] - tail[i])
        order.remove(v)
        first, last, heads, tails = self._window(v, order, slot)
        ready, rest = self._ends(v, slot)
        seconds, head = self.seconds[v], self.head
        best, path, where, on = float("inf"), float("inf"), last, 0
        for at in range(first, last):
            i = order[at]
            s = slot[i]
            if s < 0:
                continue
            begin, after = heads[s], tail[i]
            heads[s] = head[i]
            length = (begin if begin > ready[s] else ready[s]) + seconds[s] + (after if after > rest[s] else rest[s])
            blurred = length - noise * log(random()) if length < best else best
            if blurred < best:
                best, path, where, on = blurred, length, at, s
        for s in range(self.slots):
            length = max(heads[s], ready[s]) + seconds[s] + max(tails[s], rest[s])
            blurred = length - noise * log(random()) if length < best else best
            if blurred < best:
                best, path, where, on = blurred, length, last, s
        slot[v], lasting[v] = on, seconds[on]
        order.insert(where, v)
        return path, where

    def _window(self, v: int, order: list[int], slot: list[int]) -> tuple[int, int, list[float], list[float]]:
        """Positions between the last parent and the first child of v; per slot the head before and the tail after."""
        heads, tails, inside = self._free[:], self._left[:], self._inside
        first, last = 0, len(order)
        missing = {p for p in self._before[v] if inside[p]}
        if missing:
            for at, i in enumerate(order):
                if slot[i] >= 0:
                    heads[slot[i]] = self.head[i]
                if i in missing:
                    missing.discard(i)
                    if not missing:
                        first = at + 1
                        break
        missing = {c for c in self._after[v] if inside[c]}
        if missing:
            for at in range(len(order) - 1, -1, -1):
                i = order[at]
                if slot[i] >= 0:
                    tails[slot[i]] = self.tail[i]
                if i in missing:
                    missing.discard(i)
                    if not missing:
                        last = at
                        break
        return first, last, heads, tails

    def _ends(self, v: int, slot: list[int]) -> tuple[list[float], list[float]]:
        """Per slot: when the parents of v are ready there, and the longest rest that its children start."""
        if self.plain or not self.moves:
            ready = max((self.head[p] + d for p, d, _ in self.parents[v]), default=0.0)
            rest = max((self.tail[c] + d for c, d, _ in self.children[v]), default=0.0)
            return [max(ready, self.release[v])] * self.slots, [rest] * self.slots
        workers, readies, rests = self.worker, [self.release[v]] * self.slots, [0.0] * self.slots
        for p, delay, transfer in self.parents[v]:
            at, home = self.head[p] + delay, workers[slot[p]] if slot[p] >= 0 else OUT
            for s, j in enumerate(workers):
                readies[s] = max(readies[s], at + transfer if home not in (OUT, j) else at)
        for c, delay, transfer in self.children[v]:
            after, home = self.tail[c] + delay, workers[slot[c]] if slot[c] >= 0 else OUT
            for s, j in enumerate(workers):
                rests[s] = max(rests[s], after + transfer if home not in (OUT, j) else after)
        return readies, rests


def _without_implied(problem: Problem) -> list[Row]:
    """Parents of each task, less the ones that wait for nothing and come before another parent anyway."""
    position = {i: k for k, i in enumerate(problem.topological.tolist())}
    above = [0] * problem.n
    kept: list[Row] = [[] for _ in range(problem.n)]
    for i in problem.topological.tolist():
        covered = 0
        for parent, delay, transfer in sorted(problem.parents.rows(i), key=lambda row: -position[row[0]]):
            if delay or transfer or not covered >> parent & 1:
                kept[i].append((parent, delay, transfer))
            covered |= above[parent] | 1 << parent
        above[i] = covered
    return kept
