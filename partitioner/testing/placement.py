"""The contract suite of placement algorithms: subclass it in a test module and give the ``algorithm`` fixture.

An algorithm is held to what it declares: ``supports``, ``anytime``, ``proves`` (it may return a lower bound above the
combinatorial one), ``counts`` (it can be given steps instead of seconds) and ``spreads`` (equal tasks to all equal
workers before two share one). ``Schedule.notes`` holds texts, numbers, truth values, and sequences or mappings by name of
these, so that a plan can be written as JSON.

Instances come from a seeded generator, one family per feature that an algorithm may declare, so a failure repeats. Every
plan goes through the independent checker of ``partitioner.placement.check``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

from partitioner.errors import ConfigError, InfeasiblePlan
from partitioner.model import Edges, SubTasks, Worker, Workers
from partitioner.model.data import Floats
from partitioner.placement.base import Algorithm, needs_of
from partitioner.placement.check import violations
from partitioner.placement.problem import Problem

Instance = tuple[SubTasks, Workers]
SECONDS = 0.2
"""Time limit of an anytime algorithm on one instance."""
STEPS = 50_000
"""What one that counts may do on one instance to be run twice."""


def _seconds(draw: np.random.Generator, n: int) -> Floats:
    return draw.integers(1, 30, n).astype(np.float64)


def identical(draw: np.random.Generator) -> Instance:
    """Equal workers that run one task at a time."""
    return SubTasks.build(_seconds(draw, 9)), Workers.identical(3)


def identical_slots(draw: np.random.Generator) -> Instance:
    """Equal workers of three cores."""
    return SubTasks.build(_seconds(draw, 14)), Workers.identical(2, cpus=3.0)


def uniform(draw: np.random.Generator) -> Instance:
    """Workers of different speeds."""
    workers = Workers.of(Worker(f"w{j}", speed=s) for j, s in enumerate((1.0, 2.0, 4.0)))
    return SubTasks.build(draw.lognormal(1, 1, 10)), workers


def unrelated(draw: np.random.Generator) -> Instance:
    """Times by worker class, some of them missing."""
    slow = draw.lognormal(2, 1, 10)
    slow[draw.integers(0, 10, 3)] = np.nan
    times = {"a": draw.lognormal(1, 1, 10), "b": slow}
    workers = Workers.of(Worker(f"w{j}", worker_class=c) for j, c in enumerate("aab"))
    return SubTasks.build(np.full(10, np.nan), seconds_by_class=times), workers


def labelled(draw: np.random.Generator) -> Instance:
    """Tasks that only some workers may run."""
    workers = Workers.of([Worker("plain"), Worker("ssd", labels=frozenset({"ssd"})), Worker("other")])
    return SubTasks.build(_seconds(draw, 9), requires={"ssd": draw.uniform(size=9) < 0.4}), workers


def shared(draw: np.random.Generator) -> Instance:
    """Unequal demands for cores, memory and a named resource on workers that run several tasks at once."""
    workers = Workers.of(Worker(f"w{j}", cpus=4.0, memory_bytes=8e9, resources={"db": 2.0}) for j in range(2))
    tasks = SubTasks.build(
        _seconds(draw, 12),
        cpus=draw.choice([0.5, 1.0, 2.0, 3.0], 12),
        memory_bytes=draw.integers(0, 8, 12) * 1e9,
        resources={"db": draw.integers(0, 2, 12).astype(np.float64)},
    )
    return tasks, workers


def fractions(draw: np.random.Generator) -> Instance:
    """Whole GPUs, shares of a GPU and GPU memory, beside tasks without."""
    gpus = draw.choice([0.0, 0.3, 0.5, 0.7, 1.0, 2.0], 12)
    workers = Workers.of(
        [
            Worker("big", cpus=8.0, gpus=2.0, gpu_memory_bytes=16e9),
            Worker("small", cpus=4.0, gpus=1.0),
            Worker("none", 4.0),
        ]
    )
    memory = np.where(gpus > 0, draw.integers(1, 12, 12) * 1e9, 0.0)
    return SubTasks.build(_seconds(draw, 12), gpus=gpus, gpu_memory_bytes=memory), workers


def dependent(draw: np.random.Generator) -> Instance:
    """A random graph with delays, on workers of two speeds."""
    n = 10
    pairs = [(a, b) for a in range(n) for b in range(a + 1, n) if draw.uniform() < 0.2]
    names = draw.permutation(n)
    source = names[[a for a, _ in pairs]].astype(np.int64)
    target = names[[b for _, b in pairs]].astype(np.int64)
    edges = Edges(source, target, draw.integers(0, 4, len(pairs)).astype(np.float64), np.zeros(len(pairs)))
    return SubTasks.build(_seconds(draw, n), edges=edges), Workers.of([Worker("slow"), Worker("fast", speed=2.0)])


def released(draw: np.random.Generator) -> Instance:
    """Tasks that arrive over time."""
    return SubTasks.build(_seconds(draw, 8), release=draw.integers(0, 40, 8).astype(np.float64)), Workers.identical(2)


FAMILIES = (identical, identical_slots, uniform, unrelated, labelled, shared, fractions, dependent, released)


def instances() -> Iterator[tuple[str, SubTasks, Workers]]:
    """Two instances of every family."""
    for family in FAMILIES:
        for seed in range(2):
            yield f"{family.__name__} {seed}", *family(np.random.default_rng(seed))


class PlacementContract:
    """Laws of ``Algorithm.place``."""

    @pytest.fixture
    def algorithm(self) -> Algorithm:
        """The algorithm under test."""
        raise NotImplementedError

    def test_every_plan_of_what_it_declares_passes_the_checker(self, algorithm: Algorithm) -> None:
        """Capacity at every instant, eligibility, releases, dependencies, and figures that follow from the plan."""
        solved = 0
        for name, tasks, workers in instances():
            if algorithm.refusals(Problem(tasks, workers)):
                continue
            plan = algorithm.place(tasks, workers, seed=3, time_limit=SECONDS if algorithm.anytime else None)
            assert violations(plan) == [], name
            solved += 1
        assert solved >= 2

    def test_what_it_does_not_declare_is_refused_by_name(self, algorithm: Algorithm) -> None:
        """ConfigError with the algorithm and the way out."""
        for _, tasks, workers in instances():
            if algorithm.refusals(Problem(tasks, workers)):
                with pytest.raises(ConfigError, match=rf"'{algorithm.name}' does not support .* Use 'auto'"):
                    algorithm.place(tasks, workers)

    def test_refusal_follows_from_the_declaration(self, algorithm: Algorithm) -> None:
        """What the problem needs and ``supports`` lacks is refused, whatever it is."""
        for name, tasks, workers in instances():
            problem = Problem(tasks, workers)
            needs, has = needs_of(problem), algorithm.supports
            fields = ("uniform", "unrelated", "several", "fractions", "dependencies", "releases", "hard_deadlines")
            lacks = any(getattr(needs, f) and not getattr(has, f) for f in fields)
            assert not lacks or algorithm.refusals(problem), name

    def test_same_seed_same_plan(self, algorithm: Algorithm) -> None:
        """Of algorithms that count their steps, or do not stop by the clock."""
        for name, tasks, workers in instances():
            if (algorithm.anytime and not algorithm.counts) or algorithm.refusals(Problem(tasks, workers)):
                continue
            steps = STEPS if algorithm.counts else None
            first, second = (type(algorithm)().place(tasks, workers, seed=5, steps=steps) for _ in range(2))
            assert first.worker.tolist() == second.worker.tolist(), name
            assert first.start.tolist() == second.start.tolist(), name

    def test_equal_tasks_spread_over_workers_before_cores_are_doubled_up(self, algorithm: Algorithm) -> None:
        """8 equal tasks on 4 equal workers of 8 cores give 2 each, with or without memory; 10 give 3, 3, 2 and 2."""
        workers = Workers.identical(4, cpus=8.0, memory_bytes=64e9)
        for count, wanted in ((4, [1, 1, 1, 1]), (8, [2, 2, 2, 2]), (10, [2, 2, 3, 3])):
            for memory in (0.0, 1e9):
                tasks = SubTasks.build([5.0] * count, memory_bytes=[memory] * count)
                if algorithm.spreads and not algorithm.refusals(Problem(tasks, workers)):
                    plan = algorithm.place(tasks, workers, time_limit=SECONDS)
                    assert sorted(np.bincount(plan.worker, minlength=4).tolist()) == wanted

    def test_no_tasks_is_an_empty_plan(self, algorithm: Algorithm) -> None:
        """Makespan, bound and gap are 0."""
        plan = algorithm.place(SubTasks.build([]), Workers.identical(2))
        assert (len(plan), plan.makespan, plan.lower_bound, plan.gap) == (0, 0.0, 0.0, 0.0)

    def test_no_workers_is_infeasible(self, algorithm: Algorithm) -> None:
        """And says so."""
        with pytest.raises(InfeasiblePlan, match="no workers"):
            algorithm.place(SubTasks.build([1.0]), Workers.of([]))

    def test_a_task_that_fits_nowhere_is_named_with_the_resource(self, algorithm: Algorithm) -> None:
        """The demand and the largest capacity stand in the message."""
        tasks = SubTasks.build([1.0, 1.0], ["small", "huge"], memory_bytes=[1e9, 64e9])
        with pytest.raises(InfeasiblePlan, match=r"'huge'.*memory_bytes = 6\.4e\+10.*1\.6e\+10"):
            algorithm.place(tasks, Workers.identical(2, memory_bytes=16e9))

    def test_a_time_limit_of_zero_is_refused(self, algorithm: Algorithm) -> None:
        """ConfigError with the remedy."""
        with pytest.raises(ConfigError, match="above 0"):
            algorithm.place(SubTasks.build([1.0]), Workers.identical(1), time_limit=0)

    def test_a_plan_is_told_and_written(self, algorithm: Algorithm) -> None:
        """``explain``, JSON, HTML, Mermaid and a one-line ``repr`` of every plan."""
        plan = algorithm.place(SubTasks.build([3.0, 2.0], ["a", "b"]), Workers.identical(2), time_limit=SECONDS)
        assert json.loads(json.dumps(plan.to_json()))["assignments"][1]["task_id"] == "b"
        assert algorithm.name in plan.explain()
        assert "gantt" in plan.to_mermaid()
        assert "<svg" in plan._repr_html_()
        assert "\n" not in repr(plan)

    def test_one_task_on_one_worker_is_optimal(self, algorithm: Algorithm) -> None:
        """The smallest plan there is."""
        plan = algorithm.place(SubTasks.build([3.0]), Workers.identical(1), time_limit=SECONDS)
        assert (plan.makespan, plan.lower_bound, plan.gap) == (3.0, 3.0, 0.0)
