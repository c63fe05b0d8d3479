"""The inner loop of ``graph_search``: compiled where numba is installed, else plain Python, over ten times slower.

A solution is one order of tasks, parents before children, and a slot for each; every task starts as soon as its parents
and the task before it on its slot allow. ``head`` is the finish of a task, ``tail`` the seconds from its start to the end
of everything that waits for it; a task out of the solution (slot -1) stands for its least duration, so that its parents
still come before its children. With heads and tails the makespan after putting a task into a hole between two others is
known without trying it (Mastrolilli and Gambardella 2000,
https://doi.org/10.1002/(SICI)1099-1425(200001/02)3:1<3::AID-JOS32>3.0.CO;2-Y).
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, inf, log
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from partitioner.model.data import Floats, Ints
from partitioner.placement.graph import Links

try:
    import numba
except ImportError:
    numba = None  # type: ignore[assignment,unused-ignore]

compiled = numba is not None and not getattr(numba.config, "DISABLE_JIT", False)
OUT = -1
MOST_OUT = 8
STRETCH = 0.15
WARM, COLD = 6e-2, 6e-3
BLUR = 0.3
CRITICAL = 0.8
LESS = 1 - 1e-12

_F = TypeVar("_F", bound=Callable[..., Any])


def _jit(function: _F, inline: str) -> _F:
    if numba is None:
        return function
    # The first use ever takes some seconds to compile.
    options: dict[str, Any] = {"cache": True, "nogil": True, "inline": inline}
    kernel: Any = numba.njit(**options)(function)
    return cast(_F, kernel)


def _compiled(function: _F) -> _F:
    return _jit(function, "never")


def _inlined(function: _F) -> _F:
    """For a small function with large tuples as arguments: a call would count the references of every array in them."""
    return _jit(function, "always")


class Graph(NamedTuple):
    """A task graph on S slots.

    ``seconds`` float64[n, S], infinity where a task cannot run; ``least`` and ``release`` float64[n]; ``worker`` int64[S].
    """

    seconds: Floats
    least: Floats
    release: Floats
    worker: Ints
    parents: Links
    children: Links
    moves: bool


class Solution(NamedTuple):
    """``order`` int64[k] of the tasks that may change; for every task its slot, seconds there, start, head and tail."""

    order: Ints
    slot: Ints
    lasting: Floats
    start: Floats
    head: Floats
    tail: Floats


class Work(NamedTuple):
    """Scratch arrays: by task, by slot, and by task taken out."""

    key: Floats
    place: Ints
    near: Ints
    heads: Floats
    tails: Floats
    ready: Floats
    rest: Floats
    out: Ints
    rank: Floats


class Frame(NamedTuple):
    """What surrounds the tasks that may change: per slot the head before and the tail after; who is among them.

    ``free`` and ``left`` float64[S]; ``inside`` int64[n], one where the task may change.
    """

    free: Floats
    left: Floats
    inside: Ints


@_inlined
def _longest_wait(g: Graph, s: Solution, links: Links, seconds: Floats, v: int, here: int, least: float) -> float:
    """The largest of ``least`` and the ``seconds`` of each task linked to v with its delay, v being on slot ``here``.

    Plus the transfer, where the other task is on another worker; none where either is out.
    """
    most = least
    for e in range(links.offset[v], links.offset[v + 1]):
        other = links.task[e]
        wait = seconds[other] + links.delay[e]
        if links.transfer[e] > 0.0 and here >= 0 and s.slot[other] >= 0 and g.worker[here] != g.worker[s.slot[other]]:
            wait += links.transfer[e]
        if wait > most:
            most = wait
    return most


@_compiled
def set_heads(g: Graph, f: Frame, s: Solution, first: int) -> None:
    """Starts and heads of the tasks from position ``first`` on; those before it are right already."""
    free = f.free.copy()
    for at in range(first):
        i = s.order[at]
        if s.slot[i] >= 0:
            free[s.slot[i]] = s.head[i]
    for at in range(first, len(s.order)):
        i = s.order[at]
        here = s.slot[i]
        begin = max(g.release[i], free[here]) if here >= 0 else g.release[i]
        begin = _longest_wait(g, s, g.parents, s.head, i, here, begin)
        s.start[i] = begin
        s.head[i] = begin + s.lasting[i]
        if here >= 0:
            free[here] = s.head[i]


@_compiled
def set_tails(g: Graph, f: Frame, s: Solution, last: int) -> None:
    """Tails of the tasks up to position ``last``; those after it are right already."""
    left = f.left.copy()
    for at in range(len(s.order) - 1, last, -1):
        i = s.order[at]
        if s.slot[i] >= 0:
            left[s.slot[i]] = s.tail[i]
    for at in range(last, -1, -1):
        i = s.order[at]
        here = s.slot[i]
        rest = _longest_wait(g, s, g.children, s.tail, i, here, left[here] if here >= 0 else 0.0)
        s.tail[i] = rest + s.lasting[i]
        if here >= 0:
            left[here] = s.tail[i]


@_compiled
def longest(s: Solution) -> float:
    """Seconds of the longest path through a task that may change."""
    length = 0.0
    for i in s.order:
        if s.start[i] + s.tail[i] > length:
            length = s.start[i] + s.tail[i]
    return length


@_compiled
def measure(g: Graph, f: Frame, s: Solution, first: int, last: int) -> float:
    """Set heads from position ``first`` on and tails up to ``last``; returns the longest path."""
    set_heads(g, f, s, first)
    set_tails(g, f, s, last)
    length: float = longest(s)
    return length


@_compiled
def sort_by_time(s: Solution, key: Floats) -> None:
    """Order by start less tail: starts grow and tails shrink along every path, so parents stay before children."""
    for i in s.order:
        key[i] = s.start[i] - s.tail[i]
    for at in range(1, len(s.order)):
        i = s.order[at]
        own = key[i]
        k = at - 1
        while k >= 0 and key[s.order[k]] > own:
            s.order[k + 1] = s.order[k]
            k -= 1
        s.order[k + 1] = i


@_compiled
def _hole_limits(g: Graph, f: Frame, s: Solution, v: int, w: Work) -> tuple[int, int]:
    """Take v from the order; the positions after its last parent and before its first child among the others.

    Sets ``heads`` per slot to the head before the first of these positions, and ``tails`` to the tail after the second.
    """
    count = len(s.order) - 1
    at = 0
    while s.order[at] != v:
        w.place[s.order[at]] = at
        at += 1
    for k in range(at, count):
        s.order[k] = s.order[k + 1]
        w.place[s.order[k]] = k
    first, last = 0, count
    for e in range(g.parents.offset[v], g.parents.offset[v + 1]):
        p = g.parents.task[e]
        if f.inside[p] and w.place[p] >= first:
            first = w.place[p] + 1
    for e in range(g.children.offset[v], g.children.offset[v + 1]):
        c = g.children.task[e]
        if f.inside[c] and w.place[c] < last:
            last = w.place[c]
    w.heads[:] = f.free
    w.tails[:] = f.left
    for k in range(first):
        i = s.order[k]
        if s.slot[i] >= 0:
            w.heads[s.slot[i]] = s.head[i]
    for k in range(count - 1, last - 1, -1):
        i = s.order[k]
        if s.slot[i] >= 0:
            w.tails[s.slot[i]] = s.tail[i]
    return first, last


@_compiled
def put_back(
    g: Graph, f: Frame, s: Solution, v: int, noise: float, rng: np.random.Generator, w: Work
) -> tuple[float, int]:
    """Put task v, which is out, into the hole with the shortest path through it: (its length, v's position).

    Heads and tails must be right; ``noise`` seconds blur the choice.
    """
    sort_by_time(s, w.key)
    first, last = _hole_limits(g, f, s, v, w)
    slots = len(g.worker)
    for here in range(slots):
        if here == 0 or g.moves:
            ready = _longest_wait(g, s, g.parents, s.head, v, here, g.release[v])
            rest = _longest_wait(g, s, g.children, s.tail, v, here, 0.0)
        w.ready[here], w.rest[here] = ready, rest
    best, path, where, on = inf, inf, last, 0
    for at in range(first, last + slots):
        if at < last:
            i = s.order[at]
            here = s.slot[i]
            if here < 0:
                continue
            begin, after = w.heads[here], s.tail[i]
            w.heads[here] = s.head[i]
        else:
            here = at - last
            begin, after = w.heads[here], w.tails[here]
        length = max(begin, w.ready[here]) + g.seconds[v, here] + max(after, w.rest[here])
        if length < best:
            blurred = length - noise * log(1.0 - rng.random())
            if blurred < best:
                best, path, where, on = blurred, length, min(at, last), here
    s.slot[v], s.lasting[v] = on, g.seconds[v, on]
    for at in range(len(s.order) - 1, where, -1):
        s.order[at] = s.order[at - 1]
    s.order[where] = v
    return path, where


@_compiled
def pick(g: Graph, s: Solution, length: float, rng: np.random.Generator, w: Work) -> int:
    """Tasks to take out, into ``out``, about longest first: one, mostly a critical one, and some that run near it."""
    critical = 0
    for i in s.order:
        if s.start[i] + s.tail[i] >= length * (1 - 1e-9):
            w.near[critical] = i
            critical += 1
    if critical and rng.random() < CRITICAL:
        seed = w.near[int(rng.random() * critical)]
    else:
        seed = s.order[int(rng.random() * len(s.order))]
    wanted = int(rng.random() * MOST_OUT)
    found = 0
    if wanted:
        middle, reach = (s.start[seed] + s.head[seed]) / 2, length * STRETCH
        for i in s.order:
            if s.start[i] < middle + reach and s.head[i] > middle - reach and i != seed:
                w.near[found] = i
                found += 1
    count = 0
    while count <= wanted:
        chosen = seed
        if count:
            if not found:
                break
            k = int(rng.random() * found)
            chosen = w.near[k]
            found -= 1
            w.near[k] = w.near[found]
        rank = g.least[chosen] * (0.5 + rng.random())
        at = count
        while at and w.rank[at - 1] < rank:
            w.out[at], w.rank[at] = w.out[at - 1], w.rank[at - 1]
            at -= 1
        w.out[at], w.rank[at] = chosen, rank
        count += 1
    return count


@_compiled
def copy_into(source: Solution, target: Solution) -> None:
    """Make ``target`` equal to ``source``."""
    target.order[:] = source.order
    target.slot[:] = source.slot
    target.lasting[:] = source.lasting
    target.start[:] = source.start
    target.head[:] = source.head
    target.tail[:] = source.tail


@_compiled
def anneal(
    g: Graph,
    f: Frame,
    now: Solution,
    best: Solution,
    trial: Solution,
    lengths: Floats,
    w: Work,
    rng: np.random.Generator,
    steps: tuple[int, int, int],
    scale: float,
    target: float,
) -> int:
    """Steps ``steps[0]`` to ``steps[1]`` of a cycle of ``steps[2]``; returns the step reached.

    ``lengths`` holds the makespans of ``now`` and ``best`` and is updated; ``scale`` seconds make up the heat; stops at
    the length ``target``.
    """
    for step in range(steps[0], steps[1]):
        heat = scale * WARM * exp(log(COLD / WARM) * step / steps[2])
        limit = lengths[0] - heat * log(1.0 - rng.random())
        copy_into(now, trial)
        length = _step(g, f, trial, limit, heat * BLUR, pick(g, trial, lengths[0], rng, w), rng, w)
        if length > limit:
            continue
        copy_into(trial, now)
        lengths[0] = length
        if length < lengths[1] * LESS:
            copy_into(trial, best)
            lengths[1] = length
            if length <= target:
                return step + 1
    return steps[1]


@_compiled
def _step(
    g: Graph, f: Frame, s: Solution, limit: float, noise: float, count: int, rng: np.random.Generator, w: Work
) -> float:
    """Take ``w.out[:count]`` out of the solution and put them back; returns the makespan, infinity once above ``limit``."""
    first, last = len(s.order), 0
    for k in range(count):
        s.slot[w.out[k]], s.lasting[w.out[k]] = OUT, g.least[w.out[k]]
    for at in range(len(s.order)):
        if s.slot[s.order[at]] < 0:
            first, last = min(first, at), at
    length = measure(g, f, s, first, last)
    for k in range(count):
        path, where = put_back(g, f, s, w.out[k], noise, rng, w)
        if length > limit or path > limit:
            return inf
        length = measure(g, f, s, where, where)
    return length
