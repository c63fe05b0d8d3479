"""What ``pt.whatif`` answers: figures of every fleet, as a table, as JSON."""

from __future__ import annotations

from dataclasses import dataclass, fields
from html import escape
from typing import Any

from partitioner.outlook.tables import aligned
from partitioner.report.words import seconds, share


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one fleet would make of the work; all seconds from the call to the result.

    ``makespan`` as planned; ``low`` and ``high`` hold the truth nine times in ten; ``lower_bound`` no plan could beat with
    these seconds, ``gap`` = makespan / lower_bound - 1; ``money`` for the whole fleet until the end, in the currency of the
    prices, None without prices; ``meets_deadline``: ``"yes"`` where ``high`` does, ``"likely"`` where only ``makespan``
    does, ``"no"``, None without a deadline. ``refused``: why this fleet cannot do it; then all figures are None.
    """

    fleet: str
    workers: int
    slots: int
    sub_tasks: int = 0
    makespan: float | None = None
    low: float | None = None
    middle: float | None = None
    high: float | None = None
    lower_bound: float | None = None
    gap: float | None = None
    money: float | None = None
    money_low: float | None = None
    money_high: float | None = None
    meets_deadline: str | None = None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """``fleets`` in the order asked for; ``smallest`` the fewest workers that surely meet the ``deadline`` (seconds).

    ``about`` says where the seconds come from; ``start_seconds`` are part of every figure; ``notes`` are sentences without
    which a figure would be misread.
    """

    about: str
    start_seconds: float
    fleets: tuple[Outlook, ...]
    deadline: float | None = None
    smallest: Outlook | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values; fleets as a list of mappings."""
        return {
            "about": self.about,
            "start_seconds": self.start_seconds,
            "deadline_seconds": self.deadline,
            "fleets": [_plain(o) for o in self.fleets],
            "smallest": None if self.smallest is None else _plain(self.smallest),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        head = ["fleet", "slots", "sub-tasks", "makespan", "nine in ten within", "lower bound", "gap", "money"]
        head += [] if self.deadline is None else [f"within {seconds(self.deadline)}"]
        rows = [_cells(o)[: len(head)] for o in self.fleets]
        refused = [f"{o.fleet}: {o.refused}" for o in self.fleets if o.refused]
        told = f"seconds {self.about}"
        told += f"; {seconds(self.start_seconds)} until the first sub-task included" if self.start_seconds else ""
        return "\n".join([told, *aligned([head, *rows]), *refused, *self._verdict(), *self.notes])

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"

    def _verdict(self) -> list[str]:
        if self.deadline is None:
            return []
        if self.smallest is None:
            return [f"No fleet that was tried surely ends within {seconds(self.deadline)}."]
        o = self.smallest
        price = "" if o.money is None else f", for {o.money:.4g}"
        return [
            f"The smallest fleet that surely ends within {seconds(self.deadline)}: {o.fleet} "
            f"({seconds(o.makespan)}, nine in ten within {seconds(o.low)} to {seconds(o.high)}{price})."
        ]


def _plain(outlook: Outlook) -> dict[str, Any]:
    return {f.name: getattr(outlook, f.name) for f in fields(outlook)}


def _cells(o: Outlook) -> list[str]:
    if o.refused:
        return [o.fleet, str(o.slots), *["–"] * 6, "no"]
    money = "–" if o.money is None else f"{o.money:.4g}"
    interval = f"{seconds(o.low)} to {seconds(o.high)}"
    figures = [seconds(o.makespan), interval, seconds(o.lower_bound), share(o.gap, 2), money]
    return [o.fleet, str(o.slots), str(o.sub_tasks), *figures, o.meets_deadline or ""]
