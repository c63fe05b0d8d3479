"""Questions to slots of executors: one task per slot in one job, whose answers come as Spark merges them.

A task that waits longer than the locality wait for a core of its executor runs on another one, and its answer counts there.
An executor that no task reached, for its cores are taken by other work, is asked again until it answers or goes away.
"""

from __future__ import annotations

import pickle
import queue
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from partitioner.engines.asked import Answers, Asked
from partitioner.engines.spark_bundle import Demand, Jobs, Running
from partitioner.engines.spark_executors import Executor
from partitioner.engines.spark_failures import first_cause, message_of
from partitioner.engines.spark_imports import FAILURES, Accumulator, TaskContext, accumulators
from partitioner.engines.spark_place import executor_id
from partitioner.engines.spark_session import Session
from partitioner.engines.spark_task import EventsParam, Question, called, pickled
from partitioner.errors import EngineLost

LOOK_SECONDS = 0.25  # between looks at which jobs ended
AGAIN_SECONDS = 1.0  # between two tries to reach an executor

Told = tuple[int, str, bytes]
"""The slot that was asked, the executor that its task reached, and its pickled answer."""


def answer(question: Question, told: Accumulator[list[Told]], asked: Iterable[tuple[int, str, bool]]) -> Iterator[int]:
    """In a slot: tell what the function returned or raised there; of one that is asked ``again`` only where it belongs."""
    context = TaskContext.get()
    for index, wanted, again in asked:
        here = executor_id() or wanted
        if not again or here == wanted:
            told.add([(index, here, called(question, index, context))])
    return iter(())


class SparkAsked(Asked):
    """One question to ``owners``, an entry per slot; ``there`` gives the executors that are there now."""

    def __init__(
        self,
        session: Session,
        jobs: Jobs,
        owners: Sequence[Executor],
        demand: Demand,
        there: Callable[[], Mapping[str, Executor]],
    ) -> None:
        self._session, self._jobs, self._owners, self._demand, self._there_now = session, jobs, owners, demand, there
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        param: Any = EventsParam(self._told.put)
        self._accumulator: Accumulator[list[Told]] = session.context.accumulator([], param)
        self._unanswered = {i: owner.executor_id for i, owner in enumerate(owners)}
        self._answers: dict[str, dict[int, Any]] = {}
        self._waiting = {owner.executor_id for owner in owners}
        self._running: list[tuple[Running, list[int]]] = []
        self._run: Callable[..., Any] | None = None
        self._looked = self._asked_again = time.monotonic()

    def ask(self, function: Callable[..., Any], args: Sequence[Any], copies: bool) -> None:
        """Put the question."""
        question = Question(function, len(self._owners), args, copies)
        self._run = partial(answer, question, self._accumulator)
        if self._owners:
            self._begin(list(self._unanswered), again=False)

    def _begin(self, slots: Sequence[int], again: bool) -> None:
        where = [self._owners[i] for i in slots]
        items = [(i, self._owners[i].executor_id, again) for i in slots]
        assert self._run is not None, "the question was put"
        future = self._jobs.begin(items, where, self._run, self._demand, f"{len(items)} slots, asked before a run")
        self._running.append((Running(future), list(slots)))

    @property
    def waiting(self) -> frozenset[str]:
        """See ``Asked``."""
        return frozenset(self._waiting)

    def collect(self, timeout: float) -> Answers:
        """See ``Asked``. Raises EngineLost where Spark is gone."""
        until = time.monotonic() + timeout
        while not (found := self._complete()) and self._waiting:
            self._look()
            left = until - time.monotonic()
            self._take(min(left, LOOK_SECONDS))
            if left <= 0:
                return self._complete()
        return found

    def _take(self, timeout: float) -> None:
        """What was told within the time, the first of each slot."""
        try:
            self._note(*(self._told.get(timeout=timeout) if timeout > 0 else self._told.get_nowait()))
            while True:
                self._note(*self._told.get_nowait())
        except queue.Empty:
            return

    def _note(self, index: int, here: str, told: bytes) -> None:
        self._unanswered.pop(index, None)
        self._answers.setdefault(here, {}).setdefault(index, pickle.loads(told))

    def _complete(self) -> Answers:
        """Executors of which no slot is asked any more, and that have answered."""
        self._take(0.0)
        open_ = set(self._unanswered.values())
        found = {w: list(self._answers[w].values()) for w in sorted(self._waiting & self._answers.keys() - open_)}
        self._waiting -= found.keys()
        if found and not self._waiting:
            self.close()
        return found

    def _look(self) -> None:
        """Jobs that ended without an answer, executors that left, and those to ask again."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        try:
            looked = [(job.future.isDone(), job, slots) for job, slots in self._running]
            self._take(0.0)
            self._running = [(job, slots) for done, job, slots in looked if not done]
            for done, job, slots in looked:
                if done:
                    self._ended(job, slots)
            if now - self._asked_again > AGAIN_SECONDS and not self._running:
                self._asked_again = now
                self._ask_again(self._there_now())
        except FAILURES as error:
            if self._session.alive:
                raise
            raise EngineLost(f"the Spark context was stopped: {first_cause(message_of(error))}") from error

    def _ended(self, job: Running, slots: Sequence[int]) -> None:
        """Slots of a job that failed, as one does whose only task died in local mode, answer with its failure."""
        left = [i for i in slots if i in self._unanswered]
        try:
            job.future.get()
        except FAILURES as error:
            if not self._session.alive:
                raise
            for i in left:
                self._note(i, self._unanswered[i], pickled(RuntimeError(first_cause(message_of(error)))))

    def _ask_again(self, there: Mapping[str, Executor]) -> None:
        """The first slot of every executor that no task reached; one that left has answered with EngineLost."""
        silent = {owner.executor_id: i for i, owner in reversed(list(enumerate(self._owners)))}
        silent = {w: i for w, i in silent.items() if w in self._waiting and w not in self._answers}
        for worker in sorted(silent.keys() - there.keys()):
            self._note(silent.pop(worker), worker, pickled(EngineLost(f"executor {worker} went away")))
        if silent:
            self._begin(list(silent.values()), again=True)

    def close(self) -> None:
        """Ask no longer."""
        self._waiting.clear()
        accumulators._accumulatorRegistry.pop(self._accumulator.aid, None)
        running, self._running = self._running, []
        for job, _ in running:
            job.future.cancel(True)
