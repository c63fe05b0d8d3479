"""The time-indexed linear relaxation of scheduling with dependencies, built without a loop over tasks or ticks.

A variable per task, group of workers and tick: the part of the task that started there up to that tick. It grows from
tick to tick, and at the end the parts of a task sum to one. What of a task started up to a tick is no more than what
of each predecessor had finished by then. What runs at a tick is what started less what finished, and no more of it
than (1 + excess) times the capacity; the excess, which may be negative, is minimised. No plan meets a makespan whose
excess is above zero.
(Pritsker, Watters and Wolfe 1969; the form with steps instead of pulses: Christofides, Alvarez-Valdes and Tamarit 1987.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from partitioner.model.data import Floats, Ints
from partitioner.placement import clock
from partitioner.placement.bounds.windows import Whole
from partitioner.placement.exact.simplex import limit_of

_TOLERANCE = 1e-5


class TimeIndexedModel:
    """The linear programme for one makespan in ticks, not below ``whole.bound``. Column 0 is the excess."""

    def __init__(self, whole: Whole, makespan: int) -> None:
        self.whole = whole
        self.makespan = makespan
        self.first: Ints = np.broadcast_to(whole.head[:, None], whole.lasting.shape)
        self.last: Ints = makespan - whole.tail[:, None] - whole.lasting
        self.open = (whole.lasting >= 0) & (self.last >= self.first)
        # A task that takes no time anywhere takes no capacity: one group stands for all.
        free = (whole.lasting <= 0).all(axis=1)
        self.open[free] &= np.arange(self.open.shape[1]) == self.open[free].argmax(axis=1)[:, None]
        count = np.where(self.open, self.last - self.first + 1, 0)
        ends = np.cumsum(count).reshape(count.shape)
        self.offset: Ints = 1 + ends - count
        self.columns = 1 + int(count.sum())

    def excess(self, deadline: float) -> float | None:
        """A proven lower bound on the excess; None where the solver did not end by ``deadline``."""
        from scipy.optimize import linprog
        from scipy.sparse import csr_matrix

        rows = [self._growing(), self._waiting(), *self._within_capacity()]
        count = sum(block.rows for block in rows)
        shift = np.cumsum([0, *(block.rows for block in rows)])
        row = np.concatenate([block.row + s for block, s in zip(rows, shift, strict=False)])
        column = np.concatenate([block.column for block in rows])
        value = np.concatenate([block.value for block in rows])
        at_most = np.concatenate([block.limit for block in rows])
        less = csr_matrix((value, (row, column)), shape=(count, self.columns))
        task, group = np.nonzero(self.open)
        whole = (np.ones(len(task)), (task, self._column(task, group, self.last[task, group])))
        once = csr_matrix(whole, shape=(len(self.open), self.columns))
        right = np.ones(len(self.open))
        cost = np.zeros(self.columns)
        cost[0] = 1.0
        bounds = np.tile([0.0, 1.0], (self.columns, 1))
        bounds[0] = -1.0, np.inf
        cost_of_iteration = 5.0 * self.columns  # measured: interior point on 1,000 to 20,000 columns
        options = {
            **limit_of(deadline, cost_of_iteration),
            "ipm_optimality_tolerance": _TOLERANCE,
        }
        found = linprog(cost, less, at_most, once, right, bounds, method="highs-ipm", options=options)
        clock.spend(found.nit * cost_of_iteration + 5 * self.columns)
        if found.status != 0:
            return None
        return _proven(cost, less, at_most, once, right, found.ineqlin.marginals, found.eqlin.marginals)

    def _column(self, task: Ints, group: Ints, tick: Ints) -> Ints:
        """The column of what started up to a tick, which is not before the window."""
        last = self.last[task, group]
        columns: Ints = self.offset[task, group] + np.minimum(tick, last) - self.first[task, group]
        return columns

    def _growing(self) -> _Rows:
        """What started up to a tick is no more than what started up to the next."""
        task, group = np.nonzero(self.open)
        pair, step = _spread(np.zeros_like(task), (self.last - self.first)[task, group])
        column = self.offset[task, group][pair] + step
        at = np.arange(len(column))
        value = np.repeat([1.0, -1.0], len(column))
        return _Rows(np.tile(at, 2), np.concatenate([column, column + 1]), value, np.zeros(len(column)))

    def _waiting(self) -> _Rows:
        """A row per dependency and tick: from the window of the successor on, until the predecessor is surely done."""
        whole = self.whole
        source, target = whole.source, whole.target
        latest = np.where(self.open, self.last, -1)
        done = (np.where(self.open, self.last + whole.lasting, -1)).max(axis=1)[source] + whole.delay
        until = np.minimum(latest.max(axis=1)[target], done - 1)
        edge, tick = _spread(whole.head[target], until - whole.head[target] + 1)
        rows, columns, values = [], [], []
        for g in range(self.open.shape[1]):
            on = np.flatnonzero(self.open[target[edge], g])
            rows.append(on)
            columns.append(self._column(target[edge[on]], np.full(len(on), g), tick[on]))
            values.append(np.ones(len(on)))
            then = tick - whole.delay[edge] - whole.lasting[source[edge], g]
            on = np.flatnonzero(self.open[source[edge], g] & (then >= self.first[source[edge], g]))
            rows.append(on)
            columns.append(self._column(source[edge[on]], np.full(len(on), g), then[on]))
            values.append(np.full(len(on), -1.0))
        limit = np.zeros(len(edge))
        return _Rows(np.concatenate(rows), np.concatenate(columns), np.concatenate(values), limit)

    def _within_capacity(self) -> list[_Rows]:
        """A block per group and resource: a row for each tick at which the capacity could be passed."""
        found = []
        for g in range(self.open.shape[1]):
            for k in range(self.whole.demand.shape[1]):
                limit = float(self.whole.capacity[g, k])
                if np.isfinite(limit):
                    found.append(self._capacity(g, self.whole.demand[:, k], limit))
        return found

    def _capacity(self, g: int, demand: Floats, limit: float) -> _Rows:
        lasting = self.whole.lasting[:, g]
        used = np.flatnonzero(self.open[:, g] & (lasting > 0) & (demand > 0))
        first, length = self.first[used, g], self.last[used, g] + lasting[used] - self.first[used, g]
        at, tick = _spread(first, length)
        task = used[at]
        most = np.bincount(tick, demand[task], minlength=self.makespan)
        tight = most > limit
        place = np.cumsum(tight) - 1
        kept = np.flatnonzero(tight[tick])
        task, tick = task[kept], tick[kept]
        ended = np.flatnonzero(tick - lasting[task] >= self.first[task, g])
        after = task[ended]
        group, group_after = np.full(len(task), g), np.full(len(after), g)
        count = int(tight.sum())
        return _Rows(
            np.concatenate([place[tick], place[tick[ended]], np.arange(count)]),
            np.concatenate(
                [
                    self._column(task, group, tick),
                    self._column(after, group_after, tick[ended] - lasting[after]),
                    np.zeros(count, np.int64),
                ]
            ),
            np.concatenate([demand[task], -demand[after], np.full(count, -limit)]),
            np.full(count, limit),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Some rows of a sparse matrix: the entries, and the limit of each row."""

    row: Ints
    column: Ints
    value: Floats
    limit: Floats

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.limit)


def _spread(first: Ints, length: Ints) -> tuple[Ints, Ints]:
    """For each k, the numbers from ``first[k]``, ``length[k]`` of them (none where negative), and beside each its k."""
    length = np.maximum(length, 0)
    owner = np.repeat(np.arange(len(length)), length)
    inside = np.arange(len(owner)) - np.repeat(np.cumsum(length) - length, length)
    return owner, first[owner] + inside


def _proven(
    cost: Floats, less: Any, at_most: Floats, once: Any, right: Floats, dual: Floats, dual_once: Floats
) -> float:
    """The bound of a dual solution, made feasible first, so that a tolerance of the solver proves nothing false.

    Column 0 is at least -1, the other columns lie between 0 and 1.
    """
    dual = np.minimum(dual, 0.0)
    scale = max(1.0, float((less[:, [0]].T @ dual)[0]))
    dual, dual_once = dual / scale, dual_once / scale
    reduced = cost - less.T @ dual - once.T @ dual_once
    return float(at_most @ dual + right @ dual_once - reduced[0] + np.minimum(reduced[1:], 0.0).sum())
