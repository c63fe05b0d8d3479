"""What limits ask for: how many sub-tasks, how large each may be, which fragments to cut, and when to refuse.

``allowed_mem`` is never exceeded. ``max_tasks`` comes next: where it forces sub-tasks longer than
``target_task_seconds``, the target yields. Then the target, an upper limit on seconds that yields also to what alone takes
longer and cannot be cut, which gets a sub-task of its own; and ``min_tasks_per_slot``.
With neither of these two there are ``TASKS_PER_SLOT`` sub-tasks per slot, ``LEAST_TASKS`` at least. A target in seconds
cannot be applied to a stand-in cost (rows, bytes): there the count comes from the other limits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, inf

import numpy as np

from partitioner.errors import ConfigError, InfeasiblePlan
from partitioner.model import Costs, Dataset, Limits, SubTasks
from partitioner.model.data import Ints
from partitioner.sizes import as_bytes
from partitioner.splits.pieces import Load, Packing, Pieces, no_sub_tasks, sub_tasks

TASKS_PER_SLOT = 4
"""Sub-tasks per slot where the limits do not say."""

LEAST_TASKS = 32
"""Sub-tasks at least where the limits do not say: up to 8 slots then get the same split, whatever the engine."""

FEW_TASKS = 8
"""The same for input so small that sub-tasks would hold less than ``WORTH_ROWS`` rows and ``WORTH_BYTES`` bytes."""

MANY_SLOTS = 10
"""Then one sub-task per slot, and one more for every so many slots: among more slots one with longer rows is likelier, and
more of them wait for it. A laptop's small output stays a few files."""

WORTH_ROWS, WORTH_BYTES = 32, 1 << 20
"""A sub-task costs tens of milliseconds to dispatch and commit, and a file: below both it does not pay, unless measured
seconds say that rows are dear (``WORTH_SECONDS``)."""

WORTH_SECONDS = 0.1

TOLERANCE = 0.05
"""Whole fragments are kept while the largest sub-task is at most this much above the even share: a cut row group is
read twice."""

MOST_TASKS = 5_000_000
"""Sub-tasks at most: more than a scheduler can hand out in hours is a mistake in the limits."""

MOST_PIECES = 40_000_000
"""Pieces that fragments are cut into at most, all together; coarser beyond."""

GRANULARITY = 64
"""Where fragments are cut, a piece is at most this part of an even share; a quarter as fine for many sub-tasks."""

MANY_TASKS = 10_000
"""From here on evenness comes from their number, and pieces would fill the memory."""

MANY_PIECES = 5_000_000
"""Single rows are pieces, where each row's cost is known, up to this many."""

_ROUNDING = 1 + 1e-9


@dataclass(frozen=True, slots=True)
class Size:
    """``tasks`` wanted; ``seconds`` and ``memory_bytes`` that the pieces of one may add up to; ``max_tasks`` at most."""

    tasks: int
    seconds: float
    memory_bytes: float
    max_tasks: float


def most_pieces(dataset: Dataset) -> Ints:
    """Into how many pieces each fragment can be cut, int64[n]: rows, or bytes where rows are unknown, or 1."""
    fragments = dataset.fragments
    if dataset.divisible_by is None:
        return np.ones(len(fragments), np.int64)
    length = fragments.stop - fragments.start
    return np.maximum(np.where(fragments.rows >= 0, np.minimum(fragments.rows, length), length), 1)


def size_of(dataset: Dataset, costs: Costs, limits: Limits) -> Size:
    """The size that ``limits`` ask for. Raises ConfigError, or InfeasiblePlan where fixed costs alone break a limit."""
    _check(limits)
    target = limits.target_task_seconds if costs.unit == "seconds" else None
    seconds = _room("seconds", "target_task_seconds", target, costs.fixed_seconds)
    memory = _room("bytes", "allowed_mem", limits.allowed_mem, costs.fixed_memory_bytes)
    for_seconds = ceil(float(costs.seconds.sum()) / (seconds * _ROUNDING))
    for_memory = ceil(float(costs.memory_bytes.sum()) / (memory * _ROUNDING)) if costs.memory_combines == "sum" else 1
    least = (limits.min_tasks_per_slot or 0) * limits.slots
    if limits.min_tasks_per_slot is None and target is None:
        least = _usual(dataset, costs, limits)
    most = inf if limits.max_tasks is None else limits.max_tasks
    if for_memory > most:
        raise _too_many(for_memory, limits)
    if for_seconds > most:
        seconds = inf
    tasks = max(1, for_memory, min(max(for_seconds, least), most))
    if tasks > len(dataset.fragments):
        tasks = min(tasks, int(most_pieces(dataset).sum()))
    if tasks > MOST_TASKS:
        raise InfeasiblePlan(
            f"the limits ask for {int(tasks):,} sub-tasks (target_task_seconds = {limits.target_task_seconds}, "
            f"allowed_mem = {limits.allowed_mem}), and {MOST_TASKS:,} is the most that is planned. "
            "Raise the target or the memory, or set max_tasks."
        )
    return Size(int(tasks), seconds, memory, most)


def _usual(dataset: Dataset, costs: Costs, limits: Limits) -> int:
    """Sub-tasks where the limits do not say: fewer for input too small to feed so many."""
    slots = limits.slots
    usual = max(LEAST_TASKS, TASKS_PER_SLOT * slots)
    if costs.unit == "seconds" and costs.fixed_seconds > 0:  # what each pays by itself is a fifth of its seconds
        usual = min(usual, max(int(costs.seconds.sum() / (4 * costs.fixed_seconds)), TASKS_PER_SLOT * slots))
    if limits.known_seconds is not None:  # a night of few changes: one for each slot, if they are cheap
        return min(usual, max(ceil(limits.known_seconds / WORTH_SECONDS), slots))
    rows = dataset.rows
    if rows < 0:
        return usual
    fed = max(rows // WORTH_ROWS, int(dataset.fragments.bytes.sum()) // WORTH_BYTES)
    if costs.unit == "seconds":
        fed = max(fed, int(float(costs.seconds.sum()) / WORTH_SECONDS))
    return min(usual, max(fed, FEW_TASKS, slots * min(TASKS_PER_SLOT, 1 + slots // MANY_SLOTS)))


def split_whole_or_cut(
    dataset: Dataset,
    costs: Costs,
    limits: Limits,
    pack_whole: Callable[[Load, Size], Packing],
    pack_cut: Callable[[Load, Size], Packing],
) -> SubTasks:
    """Sub-tasks of whole fragments where that is within limits and nearly even, else of fragments cut where needed."""
    if len(dataset.fragments) == 0:
        return no_sub_tasks(dataset)
    size = size_of(dataset, costs, limits)
    whole = Pieces.whole(dataset, costs)
    packing = None
    even = float(whole.load.weights.sum()) / size.tasks * (1 + TOLERANCE)
    # One packer for both does at least as well on pieces: no need to try what cannot be even.
    hopeless = pack_whole is pack_cut and float(whole.load.weights.max()) > even
    if dataset.divisible_by is None or (not hopeless and not breaks_a_limit(whole, size)):
        refuse_oversized(whole, size, limits, dataset)
        packing = pack_whole(whole.load, size)
        if dataset.divisible_by is None or float(packing.sums(whole.load.weights).max()) <= even:
            return sub_tasks(whole, packing)
    finer = Pieces.cut(dataset, costs, cuts(whole, size, most_pieces(dataset)))
    refuse_oversized(finer, size, limits, dataset)
    cut_packing = pack_cut(finer.load, size)
    if packing is not None and packing.sums(costs.seconds).max() <= cut_packing.sums(finer.seconds).max():
        return sub_tasks(whole, packing)
    return sub_tasks(finer, cut_packing)


def count_within(size: Size, needed: Callable[[float], int], limits: Limits) -> tuple[int, Size]:
    """How many parts to make when ``needed(seconds)`` parts hold everything; the target yields to ``max_tasks``."""
    count = needed(size.seconds)
    if count > size.max_tasks:
        size = replace(size, seconds=inf)
        count = needed(inf)
    if count > size.max_tasks:
        raise _too_many(count, limits)
    return max(count, size.tasks), size


def refuse_oversized(pieces: Pieces, size: Size, limits: Limits, dataset: Dataset) -> None:
    """InfeasiblePlan for the first piece that alone is above the memory allowed and can be cut no further."""
    bad = _too_large(pieces, size)
    if len(bad) == 0:
        return
    i = int(bad[0])
    value = pieces.costs.fixed_memory_bytes + pieces.memory_bytes[i]
    why = (
        "its connector reads fragments whole"
        if dataset.divisible_by is None
        else f"it is cut by {dataset.divisible_by} as far as that goes"
    )
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    raise InfeasiblePlan(
        f"Fragment {int(pieces.origin[i])}, {pieces.fragments[i].name}{more}, alone needs {as_bytes(value)}, above "
        f"allowed_mem = {as_bytes(limits.allowed_mem or 0.0)}, and cannot be cut: {why}. "
        f"Raise allowed_mem to at least {as_bytes(value)} or write the data in smaller pieces."
    )


def cuts(whole: Pieces, size: Size, most: Ints) -> Ints:
    """How many pieces to cut each fragment into: fine enough for even parts, all rows where each row's cost is known."""
    grain = GRANULARITY if size.tasks < MANY_TASKS else GRANULARITY // 4
    share = min(float(whole.load.weights.sum()) / size.tasks, size.seconds) / grain
    counts = np.ceil(whole.load.weights / share) if share > 0 else np.ones(len(whole))
    if size.memory_bytes < inf:
        counts = np.maximum(counts, np.ceil(whole.memory_bytes / (size.memory_bytes / grain)))
    if whole.costs.record_seconds is not None and int(most[counts > 1].sum()) <= MANY_PIECES:
        counts = np.where(counts > 1, most, 1)
    total = float(np.minimum(counts, most).sum())
    if total > MOST_PIECES:
        counts = np.ceil(counts * (MOST_PIECES / total))
    return np.minimum(np.maximum(counts, 1), most).astype(np.int64)


def breaks_a_limit(pieces: Pieces, size: Size) -> bool:
    """Whether a piece alone is above the memory allowed, or longer than the target."""
    return len(_too_large(pieces, size)) > 0 or bool((pieces.seconds > size.seconds * _ROUNDING).any())


def _too_large(pieces: Pieces, size: Size) -> Ints:
    return np.flatnonzero(pieces.memory_bytes > size.memory_bytes * _ROUNDING)


def _room(unit: str, name: str, limit: float | None, fixed: float) -> float:
    """What a limit leaves for fragments once the fixed cost of a sub-task is paid."""
    if limit is None:
        return inf
    if fixed >= limit:
        need, have = (as_bytes(v) if unit == "bytes" else f"{v:.6g} {unit}" for v in (fixed, limit))
        raise InfeasiblePlan(
            f"Every sub-task costs {need} before its first row (the fixed cost), and {name} = {have} leaves nothing for "
            f"rows; raise {name} above {need}."
        )
    return limit - fixed


def _too_many(needed: int, limits: Limits) -> InfeasiblePlan:
    return InfeasiblePlan(
        f"allowed_mem = {as_bytes(limits.allowed_mem or 0.0)} needs {needed} sub-tasks, and max_tasks = {limits.max_tasks}; "
        f"raise max_tasks to at least {needed} or allow more memory per sub-task."
    )


def _check(limits: Limits) -> None:
    for name in ("target_task_seconds", "allowed_mem", "max_tasks", "min_tasks_per_slot", "slots"):
        value = getattr(limits, name)
        if value is not None and not value > 0:
            raise ConfigError(f"{name} = {value}; it is a number above 0, or left out for no such limit.")
