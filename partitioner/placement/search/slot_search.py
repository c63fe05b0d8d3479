"""Local search on slots: shorten the fullest slot by a move, a swap or an ejection, shake when none helps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from partitioner.model.data import Floats, Ints
from partitioner.placement import clock
from partitioner.placement.problem import Problem
from partitioner.placement.schedules.sequence import slots_of

_ALL_PARTNERS = 4_000
_PARTNER_SLOTS = 16


class SlotSearch:
    """An assignment of tasks to slots that only ever gets better; ``best`` is the best one seen.

    The fullest slot a gives task i to slot b (move), or takes task j of b for it (swap), or b passes j on to c
    (ejection). A step is taken when the larger of the changed loads is below that of a. O(|a| n) per step with numpy.
    """

    def __init__(self, problem: Problem, slot: Ints, seed: int, goal: float) -> None:
        self.table: Floats = problem.matrix
        self.group = slots_of(problem).group
        self.random = np.random.default_rng(seed)
        self.count = len(self.group)
        self.tasks = np.arange(problem.n)
        self.goal = goal * (1 + 1e-12)
        self._load_from(slot)
        self.best, self.best_span = self.slot.copy(), self.span
        self.steps = 0

    def _load_from(self, slot: Ints) -> None:
        self.slot = slot.copy()
        self.time = self.table[self.tasks, self.group[slot]]
        self.load = np.bincount(slot, weights=self.time, minlength=self.count)

    @property
    def span(self) -> float:
        """The load of the fullest slot."""
        return float(self.load.max())

    def run(self, deadline: float, most_shakes: int) -> None:
        """Search until the bound is met, ``deadline`` (monotonic) passes or ``most_shakes`` shakes in a row did not help."""
        self._descend(deadline)
        self._remember()
        state, quality = self.slot.copy(), self._quality()
        idle = 0
        while idle < most_shakes and self.best_span > self.goal and clock.now() < deadline:
            self._shake(2 + idle % 3)
            self._descend(deadline)
            fresh = self._quality()
            idle = 0 if fresh < quality else idle + 1
            if fresh <= quality:
                state, quality = self.slot.copy(), fresh
            else:
                self._load_from(state)
            self._remember()

    def _quality(self) -> tuple[float, float]:
        return self.span, float((self.load**2).sum())

    def _remember(self) -> None:
        if self.span < self.best_span:
            self.best, self.best_span = self.slot.copy(), self.span

    def _descend(self, deadline: float) -> None:
        while self.span > self.goal and clock.now() < deadline and self._step():
            self.steps += 1

    def _shake(self, strength: int) -> None:
        """Swap a few random tasks with others, wherever both can run."""
        for _ in range(strength):
            i, j = self.random.integers(len(self.tasks), size=2).tolist()
            a, b = int(self.slot[i]), int(self.slot[j])
            if np.isfinite(self.table[i, self.group[b]]) and np.isfinite(self.table[j, self.group[a]]):
                self._put(i, b)
                self._put(j, a)

    def _put(self, i: int, b: int) -> None:
        self.load[self.slot[i]] -= self.time[i]
        self.slot[i] = b
        self.time[i] = self.table[i, self.group[b]]
        self.load[b] += self.time[i]

    def _step(self) -> bool:
        """The best move or swap out of the fullest slot, else an ejection; False where nothing helps."""
        a = int(self.load.argmax())
        full = float(self.load[a])
        mine = np.flatnonzero(self.slot == a)
        into = self.load + self.table[mine][:, self.group]
        into[:, a] = np.inf
        moved = np.maximum(full - self.time[mine, None], into)
        at = int(moved.argmin())
        least = float(moved.flat[at])
        others = self._partners(a)
        clock.spend(40 + 0.02 * len(mine) * (len(others) + self.count))
        swapped = self._swaps(a, full, mine, others)
        swap_at = int(swapped.argmin()) if swapped.size else -1
        enough = full * (1 - 1e-12)
        if swapped.size and float(swapped.flat[swap_at]) < min(least, enough):
            i, j = int(mine[swap_at // len(others)]), int(others[swap_at % len(others)])
            b = int(self.slot[j])
            self._put(i, b)
            self._put(j, a)
            return True
        if least < enough:
            self._put(int(mine[at // self.count]), at % self.count)
            return True
        return bool(len(others)) and self._eject(a, full, mine, others)

    def _partners(self, a: int) -> Ints:
        """Tasks of other slots worth looking at: all of them, or in a large problem those of the emptiest slots."""
        if len(self.tasks) <= _ALL_PARTNERS:
            return np.flatnonzero(self.slot != a)
        few = min(_PARTNER_SLOTS, self.count - 1)
        emptiest = np.argpartition(self.load, few)[:few]
        chosen = np.zeros(self.count, np.bool_)
        chosen[emptiest] = True
        chosen[self.random.integers(self.count, size=few)] = True
        chosen[a] = False
        return np.flatnonzero(chosen[self.slot])

    def _swaps(self, a: int, full: float, mine: Ints, others: Ints) -> Floats:
        """[|mine|, |others|]: the larger load of the two slots after each swap."""
        mine_there = self.table[mine][:, self.group[self.slot[others]]]
        here = full - self.time[mine, None] + self.table[others, self.group[a]]
        there = (self.load[self.slot[others]] - self.time[others]) + mine_there
        result: npt.NDArray[np.float64] = np.maximum(here, there)
        return result

    def _eject(self, a: int, full: float, mine: Ints, others: Ints) -> bool:
        """i from a to b while j goes from b to c, where all three end below a's load."""
        onward = self.load + self.table[others][:, self.group]
        onward[np.arange(len(others)), self.slot[others]] = np.inf
        onward[:, a] = np.inf
        third = onward.argmin(axis=1)
        cost = onward[np.arange(len(others)), third]
        there = (self.load[self.slot[others]] - self.time[others]) + self.table[mine][:, self.group[self.slot[others]]]
        value = np.maximum(np.maximum(there, cost), full - self.time[mine, None])
        at = int(value.argmin())
        if not float(value.flat[at]) < full * (1 - 1e-12):
            return False
        i, k = int(mine[at // len(others)]), at % len(others)
        self._put(i, int(self.slot[others[k]]))
        self._put(int(others[k]), int(third[k]))
        return True
