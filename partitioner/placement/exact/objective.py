"""Objectives as CP-SAT expressions, in the unit of ``Objective.cost`` but for what cannot be linear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from partitioner.placement.exact.intervals import IntervalModel
from partitioner.placement.objectives import SECONDS_PER_HOUR, Objective


def needs_workers_apart(objective: Objective) -> bool:
    """Whether the objective tells equal workers apart (prices do)."""
    return any(name.startswith("money") for name, _ in objective.weights)


def cost_expression(built: IntervalModel, objective: Objective, last: Any) -> Any:
    """What to minimise. ``last`` is the makespan variable.

    Utilization of fixed work falls with the makespan, which stands in for it. Money counts overlapping tasks of one
    worker once; here each is counted, an upper estimate where workers run several at once.
    """
    if objective.is_makespan:
        return last
    return sum(weight * _TERMS[name](built, last) for name, weight in objective.weights if weight)


def _makespan(built: IntervalModel, last: Any) -> Any:
    return last * (1 / built.ticks.per_second)


def _idle(built: IntervalModel, last: Any) -> Any:
    return last * (1 / built.horizon)


def _total_completion(built: IntervalModel, last: Any) -> Any:
    return sum(end * (1 / built.ticks.per_second) for end in built.end)


def _total_time(built: IntervalModel, last: Any) -> Any:
    return sum(
        float(built.problem.times_on(built.lanes[k].group)[i]) * flag
        for i, options in enumerate(built.on)
        for k, flag in options.items()
    )


def _loss(built: IntervalModel, last: Any) -> Any:
    terms = []
    for i in np.flatnonzero(np.isfinite(built.problem.deadline)).tolist():
        limit = float(built.problem.deadline[i])
        late = built.model.new_int_var(0, built.horizon, f"late {i}")
        built.model.add(late >= built.end[i] - built.ticks.up(limit))
        terms.append(late * (1 / (limit * built.ticks.per_second)))
    return sum(terms) if terms else 0 * last


def _price(built: IntervalModel, k: int) -> float:
    (worker,) = built.lanes[k].workers
    return float(built.problem.workers.price_per_hour[worker]) / SECONDS_PER_HOUR


def _money(built: IntervalModel, last: Any) -> Any:
    return sum(
        _price(built, k) * float(built.problem.times_on(built.lanes[k].group)[i]) * flag
        for i, options in enumerate(built.on)
        for k, flag in options.items()
    )


def _money_until_last(built: IntervalModel, last: Any) -> Any:
    terms = []
    for k in range(len(built.lanes)):
        until = built.model.new_int_var(0, built.horizon, f"last end on {k}")
        for i, options in enumerate(built.on):
            if k in options:
                built.model.add(built.end[i] <= until).only_enforce_if(options[k])
        terms.append(until * (_price(built, k) / built.ticks.per_second))
    return sum(terms)


_TERMS: dict[str, Callable[[IntervalModel, Any], Any]] = {
    "makespan": _makespan,
    "utilization": _idle,
    "total_completion": _total_completion,
    "total_time": _total_time,
    "loss": _loss,
    "money": _money,
    "money_until_last": _money_until_last,
}
