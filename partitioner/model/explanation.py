"""What backs a plan: typed facts, put into words, tables or JSON at the edge only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Figure = str | float | int | bool | None | Sequence["Figure"] | Mapping[str, "Figure"]
"""What a note may hold: text, a number, a truth value, or a tuple or mapping by name of these, to any depth."""


NINETY = 1.645
"""Half-width of a 90 % interval, in standard deviations."""


@dataclass(frozen=True, slots=True)
class CostFacts:
    """Where the seconds of a plan come from.

    ``source``: the cost model and how it knows (``declared``, ``calibrated``, ...); ``unit``: of costs, makespan and
    bound, ``seconds`` or what a model without seconds counts (``rows``, ``bytes``); ``details``: what the model tells
    about itself, by name.
    """

    source: str
    unit: str = "seconds"
    details: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one member of a portfolio came to: ``makespan`` seconds, ``value`` of the objective, planning ``seconds``.

    ``seconds`` is left out of comparisons, for it is measured.
    """

    makespan: float
    value: float
    seconds: float = field(compare=False)


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Several algorithms on one problem: who won, the ``turns`` by name, and why others were ``not_run``, by name."""

    winner: str
    turns: Mapping[str, Turn] = field(default_factory=dict)
    not_run: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What backs the figures of a plan.

    ``bound_by``: the argument behind the lower bound; ``utilization``: share of each resource in use from 0 to the
    makespan, in [0, 1]; ``deadlines_missed``: how many soft deadlines; ``portfolio``: of algorithms that run others;
    ``cost``: where the seconds come from, None where they were given as they are; ``notes``: further figures by name,
    of the algorithm, the splitter or the engine.
    """

    bound_by: str = ""
    utilization: Mapping[str, float] = field(default_factory=dict)
    deadlines_missed: int = 0
    portfolio: Portfolio | None = None
    cost: CostFacts | None = None
    notes: Mapping[str, Figure] = field(default_factory=dict)
