"""The last rung after deaths: divide a sub-task by rows until the row that kills is alone.

Half of what is known to kill is tried at a time. Where the first half dies, the second is put by untried, and what was put
by is tried in one piece once the row is found: a sub-task of n rows with one row that kills takes about log2 n + 3 attempts
more. Where the first half goes well, the second is tried too, unless a range no larger than one that went well has died:
then it is a row and not the number of rows that kills, and the second half is divided without a trial.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from partitioner.coordinator.state import State
from partitioner.coordinator.transitions import BLOCKED, LIVE, READY, Change
from partitioner.coordinator.troubles import Part, Range, Search, range_of
from partitioner.model import part_key

IN_TURN = 3
"""Rows that kill, one after the other and without one that does not, after which rows far from them are asked: neighbours
may all be bad, such as the largest where rows are sorted."""


def begin(state: State, whole: int, rows: int) -> None:
    """Divide a planned sub-task of more than one row."""
    state.searches[whole] = Search(rows)
    _mark(state, whole, whole)
    _divide(state, whole, (0, rows))


def proceed(
    state: State, whole: int, rows: int, done: list[Range], split: Iterable[str], cuts: Iterable[int] = ()
) -> bool:
    """Go on where an earlier session stopped: what no part has committed is tried range by range. True if nothing is.

    ``cuts``: rows at which an attempt had handed its rest over; no range goes across one. A sub-task that waits for others
    goes on when these are committed, see ``dispatch.free``.
    """
    if state.status[whole] == BLOCKED:
        state.held_back[whole] = (rows, done, [*split], [*cuts])
        return False
    search = state.searches[whole] = Search(rows, good=max((b - a for a, b in done), default=0))
    search.split = {key: range_of(key, rows) for key in split}
    _mark(state, whole, whole)
    at = 0
    for start, stop in sorted([*done, *((cut, cut) for cut in cuts), (rows, rows)]):
        if at < start:
            search.put_by.append((at, start))
        at = max(at, stop)
    return _try_what_was_put_by(state, whole)


def go_on(
    state: State,
    whole: int,
    rows: int,
    done: list[Range],
    split: Iterable[str],
    cuts: Iterable[int],
    second: float = 0.0,
) -> None:
    """``proceed``; where nothing is left to do, what waits for the sub-task waits no more."""
    if proceed(state, whole, rows, done, split, cuts):
        state.readiness.committed(whole, second, "", state.home)


def hand_over(state: State, whole: int, rows: int, at: int, pieces: int, committed: bool) -> bool:
    """Rows from ``at`` on, which an attempt handed over, become so many parts; those before it one, if not ``committed``.

    True where nothing is left to do. A part of this kind is as good as a whole: nothing speaks against its rows.
    """
    search = state.searches[whole] = Search(rows, good=at if committed else 0)
    _mark(state, whole, whole)
    cuts = [at + (rows - at) * i // pieces for i in range(pieces + 1)]
    ranges = [*pairwise(cuts)] if committed else [(0, at), *pairwise(cuts)]
    for piece in ranges:
        if piece[0] < piece[1]:
            task = _add(state, whole, piece)
            del state.deaths[task]
            state.rests.add(task)
    return not search.parts and _try_what_was_put_by(state, whole)


def died(state: State, task: int) -> None:
    """A part of more than one row died: its rows are divided further."""
    part = state.parts[task]
    search = state.searches[part.whole]
    search.by_row |= part.rows <= search.good
    if (other := search.next.pop(task, None)) is not None:
        _put_by(search, other)
    _mark(state, part.whole, task)
    search.parts.discard(task)
    state.change(task, Change.FINISHED)  # it counts no more: its parts stand for it
    state.remaining -= 1
    _divide(state, part.whole, (part.start, part.stop))


def finished(state: State, task: int, condemned: bool) -> bool:
    """A part is committed: look at its other half, and at what was put by once nothing else is left.

    True where that was the last part, which makes the whole done.
    """
    part = state.parts[task]
    search = state.searches[part.whole]
    search.parts.discard(task)
    if condemned:
        search.condemned += 1
    else:
        search.good = max(search.good, part.rows)
    other = search.next.pop(task, None)
    if other is not None and condemned:
        _put_by(search, other)
    elif other is not None:
        _try(state, part.whole, other, divided=search.by_row)
    return not search.parts and _try_what_was_put_by(state, part.whole)


def overtaken(state: State, task: int, rows: Range) -> bool:
    """A late attempt had committed ``rows``, of which the part is one: no other part of them is needed, begun or put by.

    True where that was the last of the whole.
    """
    whole = state.parts[task].whole
    search = state.searches[whole]
    for other in sorted(search.parts):
        part = state.parts[other]
        left = _without((part.start, part.stop), rows)
        if other == task or not left:
            search.parts.discard(other)
            state.change(other, Change.FINISHED if other == task else Change.DROPPED)
            state.remaining -= 1
            search.put_by += [*left, *([search.next.pop(other)] if other in search.next else [])]
    search.put_by = [piece for kept in search.put_by for piece in _without(kept, rows)]
    for other, half in list(search.next.items()):
        search.put_by += _without(search.next.pop(other), rows) if _without(half, rows) != [half] else []
    search.good = max(search.good, rows[1] - rows[0])
    return not search.parts and _try_what_was_put_by(state, whole)


def _without(rows: Range, taken: Range) -> list[Range]:
    pieces = (rows[0], min(rows[1], taken[0])), (max(rows[0], taken[1]), rows[1])
    return [piece for piece in pieces if piece[0] < piece[1]]


def drop(state: State, whole: int) -> None:
    """The whole was committed after all, before any part could be: the parts are not needed."""
    search = state.searches.pop(whole, None)
    for task in sorted(search.parts) if search else ():
        if state.status[task] in (READY, LIVE):
            state.change(task, Change.DROPPED)
            state.remaining -= 1
    state.change(whole, Change.DROPPED)
    state.remaining -= 1


def _mark(state: State, whole: int, task: int) -> None:
    state.change(task, Change.SPLIT)
    part = state.parts.get(task)
    search = state.searches[whole]
    search.split[state.key_of(task)] = (0, search.rows) if part is None else (part.start, part.stop)


def _put_by(search: Search, rows: Range) -> None:
    for i, (start, stop) in enumerate(search.put_by):
        if rows[1] == start or stop == rows[0]:
            search.put_by[i] = (min(start, rows[0]), max(stop, rows[1]))
            return
    search.put_by.append(rows)


def _try(state: State, whole: int, rows: Range, divided: bool = False) -> None:
    """Make a part of some rows, or, where they are known to kill or an earlier session had divided them, of half of them."""
    search = state.searches[whole]
    if rows[1] - rows[0] > 1 and (divided or _key(state, whole, rows) in search.split):
        _divide(state, whole, rows)
    else:
        _add(state, whole, rows)


def _divide(state: State, whole: int, rows: Range) -> None:
    search = state.searches[whole]
    start, stop = rows
    middle = (start + stop) // 2
    while middle - start > 1 and _key(state, whole, (start, middle)) in search.split:
        _put_by(search, (middle, stop))
        stop, middle = middle, (start + middle) // 2
    first = _add(state, whole, (start, middle))
    search.next[first] = (middle, stop)


def _try_what_was_put_by(state: State, whole: int) -> bool:
    search = state.searches[whole]
    ranges, search.put_by = search.put_by, []
    if ranges and search.condemned >= IN_TURN and not search.good:
        ranges = _far_away(search, ranges)
    for start, stop in ranges:
        by_size = search.good and not (search.by_row or search.condemned)  # else in one piece
        size = search.good if by_size else stop
        for at in range(start, stop, size):
            _try(state, whole, (at, min(at + size, stop)))
    if search.parts:
        return False
    state.change(whole, Change.FINISHED)
    state.remaining -= 1
    return True


def _far_away(search: Search, ranges: list[Range]) -> list[Range]:
    """The last row of what is left, then one in the middle of it, alone; the others are put by again."""
    start, stop = max(ranges, key=lambda rows: rows[1] - rows[0])
    row = stop - 1 if search.condemned == IN_TURN else (start + stop) // 2
    search.put_by = [piece for rows in ranges for piece in _without(rows, (row, row + 1))]
    return [(row, row + 1)]


def _key(state: State, whole: int, rows: Range) -> str:
    return part_key(state.key_of(whole), *rows, state.searches[whole].rows)


def _add(state: State, whole: int, rows: Range) -> int:
    search = state.searches[whole]
    above = tuple(key for key, (start, stop) in search.split.items() if start <= rows[0] and rows[1] <= stop)
    part = Part(whole, _key(state, whole, rows), *rows, above)
    task = state.add_part(part, part.rows / search.rows)
    search.parts.add(task)
    return task
