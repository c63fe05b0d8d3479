"""Dependencies as compressed rows, and an order that respects them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from partitioner.errors import ConfigError
from partitioner.model import SubTasks
from partitioner.model.data import Floats, Ints


class Links(NamedTuple):
    """Neighbours of each task in one direction: those of i are ``task[offset[i]:offset[i + 1]]``.

    ``delay`` seconds always wait between the two; ``transfer`` seconds more when they run on different workers.
    """

    offset: Ints
    task: Ints
    delay: Floats
    transfer: Floats

    def of(self, i: int) -> Ints:
        """The neighbours of task i."""
        return self.task[self.offset[i] : self.offset[i + 1]]

    def rows(self, i: int) -> list[tuple[int, float, float]]:
        """(neighbour, delay, transfer) of task i as plain numbers."""
        a, b = int(self.offset[i]), int(self.offset[i + 1])
        return list(zip(self.task[a:b].tolist(), self.delay[a:b].tolist(), self.transfer[a:b].tolist(), strict=True))


def links(n: int, of: Ints, to: Ints, delay: Floats, transfer: Floats) -> Links:
    """Compressed rows from edge lists; neighbours keep the order of the edges."""
    order = np.argsort(of, kind="stable")
    offset = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(of, minlength=n), out=offset[1:])
    full = delay if len(delay) else np.zeros(len(of))
    return Links(offset, to[order], full[order], transfer[order])


def topological_order(tasks: SubTasks, parents: Links, children: Links) -> Ints:
    """int64[n]: parents before children, otherwise by index. ConfigError prints a cycle where there is one."""
    import heapq

    n = len(tasks)
    if not len(parents.task):
        return np.arange(n, dtype=np.int64)
    missing = np.diff(parents.offset).tolist()
    ready = [i for i in range(n) if not missing[i]]
    order: list[int] = []
    while ready:
        i = heapq.heappop(ready)
        order.append(i)
        for child in children.of(i).tolist():
            missing[child] -= 1
            if not missing[child]:
                heapq.heappush(ready, child)
    if len(order) < n:
        raise ConfigError(_cycle_message(tasks, parents, missing))
    return np.array(order, np.int64)


def _cycle_message(tasks: SubTasks, parents: Links, missing: list[int]) -> str:
    """Walk backwards among the tasks that never became ready until one repeats."""
    at = next(i for i, left in enumerate(missing) if left)
    seen: dict[int, int] = {}
    path: list[int] = []
    while at not in seen:
        seen[at] = len(path)
        path.append(at)
        at = next(p for p in parents.of(at).tolist() if missing[p])
    cycle = [*path[seen[at] :], at][::-1]
    names = " -> ".join(str(tasks.task_id[i].as_py()) for i in cycle)
    return f"The dependencies form a cycle: {names}. Remove one of these edges."
