"""What a plan is judged by. ``value`` is always minimised; see the table in docs/algorithms.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from partitioner.errors import ConfigError, UnknownName, nearest
from partitioner.model.data import Floats

if TYPE_CHECKING:
    from partitioner.placement.problem import Problem
    from partitioner.placement.schedule import Schedule

SECONDS_PER_HOUR = 3600.0


def makespan(problem: Problem, schedule: Schedule) -> float:
    """The last finish, seconds."""
    return float(schedule.finish.max()) if problem.n else 0.0


def total_time(problem: Problem, schedule: Schedule) -> float:
    """Sum of the processing times, seconds."""
    return float((schedule.finish - schedule.start).sum())


def total_completion(problem: Problem, schedule: Schedule) -> float:
    """Sum of the finishes, seconds."""
    return float(schedule.finish.sum())


def utilization(problem: Problem, schedule: Schedule) -> dict[str, float]:
    """Share of each resource in use from 0 to the makespan, in [0, 1], for the resources with a finite capacity."""
    span = makespan(problem, schedule)
    if span <= 0:
        return {}
    lasting = schedule.finish - schedule.start
    shares = {}
    for k, name in enumerate(problem.resources):
        total = float((problem.capacity[:, k] * problem.size).sum())
        if 0 < total < np.inf:
            shares[name] = min(1.0, float(problem.demand[:, k] @ lasting) / (total * span))
    devices = float((problem.devices * problem.size).sum())
    if devices > 0 and np.any(problem.gpus > 0):
        shares["gpus"] = min(1.0, float(problem.gpus @ lasting) / (devices * span))
    return shares


def idle_share(problem: Problem, schedule: Schedule) -> float:
    """1 - mean utilization, so that less is better."""
    shares = utilization(problem, schedule)
    return 1.0 - sum(shares.values()) / len(shares) if shares else 0.0


def time_losses(finish: Floats, limit: Floats) -> Floats:
    """Per task: 0 when it finishes within its limit, else the excess relative to the limit. Limits must be above 0."""
    if np.any(~(limit > 0)):
        worst = limit[~(limit > 0)][0]
        raise ConfigError(f"a time limit of {worst} s: a limit must be above 0")
    bounded = np.isfinite(limit)
    excess = np.zeros(len(finish))
    excess[bounded] = np.maximum(0.0, (finish[bounded] - limit[bounded]) / limit[bounded])
    return excess


def resource_losses(allocated: Floats, needed: Floats) -> Floats:
    """Per task: 0 when no more is allocated than needed, else the excess relative to the need (over-allocation is waste)."""
    over = np.maximum(allocated - needed, 0.0)
    return np.where(over > 0, over / np.where(needed > 0, needed, 1.0), 0.0)


def loss(problem: Problem, schedule: Schedule) -> float:
    """Time losses plus resource losses. Whole cores and whole GPUs are what a worker hands out; the rest is waste."""
    allocated = np.ceil(problem.tasks.cpus)
    waste = resource_losses(allocated, problem.tasks.cpus)
    return float(time_losses(schedule.finish, problem.deadline).sum() + waste.sum())


def money(problem: Problem, schedule: Schedule) -> float:
    """Price of the busy hours of every worker (time with at least one task running)."""
    price = problem.workers.price_per_hour
    if not np.any(price > 0):
        return 0.0
    return float(price @ busy_seconds(problem, schedule)) / SECONDS_PER_HOUR


def money_until_last(problem: Problem, schedule: Schedule) -> float:
    """Price of every worker from 0 to its own last finish, idle or not."""
    last = np.zeros(problem.m)
    np.maximum.at(last, schedule.worker, schedule.finish)
    return float(problem.workers.price_per_hour @ last) / SECONDS_PER_HOUR


def busy_seconds(problem: Problem, schedule: Schedule) -> Floats:
    """float64[m]: seconds during which each worker runs something; overlapping tasks count once."""
    order = np.lexsort((schedule.start, schedule.worker))
    worker, start, finish = schedule.worker[order], schedule.start[order], schedule.finish[order]
    busy = np.zeros(problem.m)
    if not len(worker):
        return busy
    shift = (float(finish.max()) + 1.0) * worker
    reach = np.maximum.accumulate(finish + shift)
    before = np.concatenate([[-np.inf], reach[:-1]])
    covered = np.maximum(0.0, (finish + shift) - np.maximum(start + shift, before))
    np.add.at(busy, worker, covered)
    return busy


_VALUES: dict[str, Callable[[Problem, Schedule], float]] = {
    "makespan": makespan,
    "total_time": total_time,
    "total_completion": total_completion,
    "utilization": idle_share,
    "loss": loss,
    "money": money,
    "money_until_last": money_until_last,
}


@dataclass(frozen=True, slots=True)
class Objective:
    """A weighted sum of named objectives, minimised; one of weight 1 for the plain names."""

    name: str
    weights: tuple[tuple[str, float], ...]

    def cost(self, problem: Problem, schedule: Schedule) -> float:
        """What algorithms minimise."""
        return sum(weight * _VALUES[name](problem, schedule) for name, weight in self.weights)

    def value(self, problem: Problem, schedule: Schedule) -> float:
        """What people read: the same, but utilization itself where that alone is asked for."""
        cost = self.cost(problem, schedule)
        return 1.0 - cost if self.name == "utilization" else cost

    @property
    def is_makespan(self) -> bool:
        """Whether shortening the last finish is all that matters (utilization of fixed work follows it)."""
        return self.name == "makespan"


def objective_of(spec: str | Mapping[str, float] | Objective) -> Objective:
    """The objective of a name, of weights by name, or of text such as ``weighted:makespan=1,money=0.5``."""
    if isinstance(spec, Objective):
        return spec
    if isinstance(spec, Mapping):
        return _weighted(dict(spec))
    head, _, tail = spec.partition(":")
    if head == "weighted":
        return _weighted(_parse_weights(spec, tail))
    if head not in _VALUES or tail:
        known = [*_VALUES, "weighted"]
        raise UnknownName(f"No objective named {spec!r}; there are {', '.join(known)}.{nearest(spec, known)}")
    return Objective(head, ((head, 1.0),))


def _parse_weights(spec: str, text: str) -> dict[str, float]:
    try:
        return {name.strip(): float(value) for name, value in (part.split("=") for part in text.split(",") if part)}
    except ValueError as error:
        raise ConfigError(f"objective {spec!r}: write weights as weighted:makespan=1,money=0.5") from error


def _weighted(weights: dict[str, float]) -> Objective:
    if not weights:
        raise ConfigError("objective 'weighted' needs weights, such as weighted:makespan=1,money=0.5")
    for name, weight in weights.items():
        if name not in _VALUES:
            raise UnknownName(
                f"No objective named {name!r} to weigh; there are {', '.join(_VALUES)}.{nearest(name, list(_VALUES))}"
            )
        if not (np.isfinite(weight) and weight >= 0):
            raise ConfigError(f"weight {weight} of objective {name!r}: it must be finite and at least 0")
    return Objective("weighted", tuple(sorted(weights.items())))


def ranking(problem: Problem, schedule: Schedule, objective: Objective) -> tuple[float, float, float]:
    """What schedules of one problem are compared by: hard deadlines missed, the objective, then how much ends late."""
    late = problem.hard & (schedule.finish > problem.deadline * (1 + 1e-9))
    over = float((schedule.finish - problem.deadline)[late].sum()) if late.any() else 0.0
    return over, objective.cost(problem, schedule), float((schedule.finish**2).sum())
