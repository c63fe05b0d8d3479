"""A backend of joblib that plans before it runs: it collects all calls, costs them, and runs them as one plan.

    with joblib.parallel_config(PlannedCalls(engine="dask"), n_jobs=-1):
        cross_val_score(model, x, y)

joblib hands calls over one by one; ``pre_dispatch="all"`` (``Parallel``'s, or the search's) lets it see them all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import joblib
from joblib.parallel import ParallelBackendBase

from partitioner.engines.resolve import resolve as resolve_engine
from partitioner.errors import RunFailed
from partitioner.runs.run import Run
from partitioner.search.calls import Guess, own_error, run_calls
from partitioner.search.digest import Call

Costs = Callable[[Sequence[Call]], Sequence[float] | Guess]
"""Seconds of each call, or a ``Guess`` of them."""


@dataclass(slots=True)
class Batch:
    """Calls that run as one plan: all that were submitted before the first result was asked for."""

    calls: list[Call] = field(default_factory=list)
    callbacks: list[Any] = field(default_factory=list)
    results: list[Any] | None = None


@dataclass(slots=True)
class Handle:
    """What joblib asks for the result of one call (a batch of one, so a list)."""

    backend: PlannedCalls
    batch: Batch
    number: int

    def get(self, timeout: float | None = None) -> list[Any]:
        """The result; the first to be asked for runs them all. Raises what a call raised in every try."""
        if self.batch.results is None:
            self.backend.run(self.batch)
        assert self.batch.results is not None, "it was run"
        return [self.batch.results[self.number]]


class PlannedCalls(ParallelBackendBase):  # type: ignore[misc]
    """Runs the calls of one ``joblib.Parallel`` as sub-tasks, those that take longest first.

    ``engine`` and ``options`` as for ``pt.run``, ``resume`` too; ``costs`` gives the seconds of each call, by default
    all the same; ``serializer="pickle"`` for calls that return what is no data. ``runs``: the runs that it made.
    """

    supports_retrieve_callback = False
    at_once = False

    def __init__(
        self, engine: Any = "serial", costs: Costs | None = None, serializer: str = "safe", **options: Any
    ) -> None:
        super().__init__()
        self.engine, self.costs, self.serializer, self.options = engine, costs, serializer, options
        self.nesting_level = 0
        self.runs: list[Run] = []
        self._batch = Batch()

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Slots of the engine; 2 at least, for joblib runs by itself what has one."""
        return max(2, int(resolve_engine(self.engine).expected_workers().cpus.sum()))

    def submit(self, func: Any, callback: Any = None) -> Handle:
        """Note a call; it runs with the others."""
        if self._batch.results is not None:
            self._batch = Batch()
        batch = self._batch
        (call,) = func.items
        batch.calls.append(call)
        batch.callbacks.append(callback)
        return Handle(self, batch, len(batch.calls) - 1)

    def run(self, batch: Batch) -> None:
        """All calls of a batch, and then tell joblib that they are done, which may hand over more.

        A loop inside a call is no plan of its own, where the call runs in this process: it has the threads that it asks for.
        """
        with joblib.parallel_config("threading", n_jobs=None):
            seconds = [1.0] * len(batch.calls) if self.costs is None else self.costs(batch.calls)
            batch.results, run = self._found(batch.calls, seconds)
        self.options = {
            name: value for name, value in self.options.items() if name != "resume"
        }  # of the first loop alone
        self.runs.append(run)
        for callback in batch.callbacks:
            callback(None)

    def _found(self, calls: Sequence[Call], seconds: Sequence[float] | Guess) -> tuple[list[Any], Run]:
        """What the calls returned. Raises what a call raised, RunFailed where that cannot be made anew."""
        try:
            return run_calls(
                calls, seconds, serializer=self.serializer, at_once=self.at_once, engine=self.engine, **self.options
            )
        except RunFailed as failed:
            if (own := own_error(failed)) is None:
                raise
            raise own from failed


class OneLoop(PlannedCalls):
    """The same for the first loop alone: what comes after it in the block, the refit of a forest, is not planned.

    A call that raises is not tried again: scikit-learn has met all errors of fits that it expects.
    """

    at_once = True

    def __init__(self, engine: Any, costs: Costs | None, **options: Any) -> None:
        super().__init__(engine, costs, **options)
        self.set_for: Any = None

    def __enter__(self) -> OneLoop:
        self.set_for = joblib.parallel_config(self, n_jobs=-1)
        return self

    def __exit__(self, *error: Any) -> None:
        self.set_for.unregister()

    def configure(self, n_jobs: int = 1, parallel: Any = None, **about: Any) -> int:
        """The loop has this backend now; no other is given it."""
        self.set_for.unregister()
        return int(super().configure(n_jobs, parallel, **about))
