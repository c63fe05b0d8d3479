"""One bundle of attempts as one Spark job: a partition per attempt, each preferring the executor that the plan names."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from partitioner.engines.spark_executors import Executor
from partitioner.engines.spark_failures import first_cause, is_death, message_of
from partitioner.engines.spark_imports import (
    FAILURES,
    RDD,
    CPickleSerializer,
    ResourceProfile,
    ResourceProfileBuilder,
    TaskResourceRequests,
)
from partitioner.engines.spark_session import Session
from partitioner.model import Attempt, Event, EventKind, Failure

_CULPRIT = re.compile(r"Task (\d+) in stage")
Demand = tuple[int, float, tuple[tuple[str, float], ...]]


@dataclass(slots=True)
class Running:
    """A Spark job and its stage, None until Spark was seen to have made it."""

    future: Any
    stage: int | None = field(default=None, kw_only=True)


@dataclass(slots=True)
class Bundle(Running):
    """A running Spark job; partition i holds ``attempts[i]``; ``open`` are the partitions that no event has ended."""

    attempts: list[Attempt]
    open: set[int] = field(default_factory=set)
    started: set[int] = field(default_factory=set)


class Jobs:
    """Starts Spark jobs over lists of picklable items with a preferred executor each."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._context = session.context
        jvm: Any = session.context._jvm
        self._tuple, self._list, self._seq = jvm.scala.Tuple2, jvm.java.util.ArrayList, jvm.PythonUtils.toSeq
        tags = getattr(jvm, "scala.reflect.ClassTag$").__getattr__("MODULE$")
        self._tag = tags.apply(jvm.java.lang.Class.forName("[B"))
        self._nowhere = self._seq(self._list())
        self._places: dict[str, Any] = {}
        self._profiles: dict[Demand, ResourceProfile | None] = {}

    def rdd(self, items: Sequence[Any], executors: Sequence[Executor | None]) -> RDD[Any]:
        """An RDD of one item per partition, partition i preferring ``executors[i]`` (None: no preference)."""
        pairs = self._list()
        for item, executor in zip(items, executors, strict=True):
            pairs.add(self._tuple(pickle.dumps(item, protocol=5), self._place(executor)))
        scala = self._session.jvm_context.makeRDD(self._seq(pairs), self._tag)
        return RDD(scala.toJavaRDD(), self._context, CPickleSerializer())

    def _place(self, executor: Executor | None) -> Any:
        if executor is None:
            return self._nowhere
        if executor.place not in self._places:
            place = self._list()
            place.add(executor.place)
            self._places[executor.place] = self._seq(place)
        return self._places[executor.place]

    def start(
        self,
        attempts: Sequence[Attempt],
        executors: Mapping[str, Executor],
        run: Callable[[Iterable[Attempt]], Any],
        demand: Demand,
    ) -> Bundle:
        """Start the job of some attempts of equal demand; returns at once."""
        spread = _spread(attempts)
        where = [executors.get(a.worker_id) for a in spread]
        return Bundle(self.begin(spread, where, run, demand, describe(spread)), spread, set(range(len(spread))))

    def begin(
        self, items: Sequence[Any], where: Sequence[Executor | None], run: Callable[..., Any], demand: Demand, text: str
    ) -> Any:
        """Start a job of one task per item, which the UI and the event log call ``text``; its future."""
        work = self._work(items, where, run, demand)
        before = self._context.getLocalProperty("spark.job.description")
        self._context.setJobDescription(text)
        self._context._jsc.setCallSite(text)
        try:
            return work._jrdd.countAsync()
        finally:
            self._context.setLocalProperty("spark.job.description", before)  # type: ignore[arg-type]
            self._context._jsc.clearCallSite()

    def collect(
        self, items: Sequence[Any], where: Sequence[Executor | None], run: Callable[..., Any], demand: Demand
    ) -> list[Any]:
        """What a job of one task per item yields; empty without items. Raises what Spark raises."""
        return list(self._work(items, where, run, demand).collect()) if items else []

    def _work(
        self, items: Sequence[Any], where: Sequence[Executor | None], run: Callable[..., Any], demand: Demand
    ) -> RDD[Any]:
        work = self.rdd(items, where).mapPartitions(run)
        profile = self._profile(demand)
        return work if profile is None else work.withResources(profile)

    def _profile(self, demand: Demand) -> ResourceProfile | None:
        """A resource profile where the demand is not what every task of the session gets anyway.

        With dynamic allocation a profile means executors of its own, which the cluster may have no room for: a task that
        needs fewer cores than others get there takes as many.
        """
        if demand not in self._profiles:
            cpus, gpus, others = demand
            conf = self._context.getConf()
            plain = int(conf.get("spark.task.cpus", "1") or 1)
            local = (self._context.master or "").split("[")[0] == "local"
            dynamic = conf.get("spark.dynamicAllocation.enabled", "false") == "true"
            enough = cpus == plain or (dynamic and cpus < plain)
            if local or (enough and not gpus and not others):
                self._profiles[demand] = None
            else:
                requests = TaskResourceRequests().cpus(cpus)
                for name, amount in (*((("gpu", gpus),) if gpus else ()), *others):
                    requests.resource(name, amount)
                self._profiles[demand] = ResourceProfileBuilder().require(requests).build
        return self._profiles[demand]

    def stage_of(self, running: Running) -> int | None:
        """The stage of a job, None until Spark has made it."""
        if running.stage is None:
            for job in running.future.jobIds():
                info = self._context.statusTracker().getJobInfo(job)
                if info is not None and len(info.stageIds):
                    running.stage = int(info.stageIds[0])
        return running.stage

    def kill(self, task_id: int, reason: str) -> None:
        """Stop one running task."""
        self._session.jvm_context.killTaskAttempt(task_id, True, reason)


def demand_of(attempt: Attempt) -> Demand:
    """What one task needs of its executor: whole cores, devices, other resources."""
    return (
        max(1, ceil(attempt.cpus - 1e-9)),
        attempt.gpus,
        tuple(sorted((k, v) for k, v in attempt.resources.items() if v)),
    )


def describe(attempts: Sequence[Attempt]) -> str:
    """What the Spark UI and the event log show: run, sub-task range and count, and tries where they are not the first."""
    keys = sorted(a.task_key for a in attempts)
    run = attempts[0].run_url.rstrip("/").rpartition("/")[2]
    span = keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]} ({len(keys)})"
    again = sum(a.number > 0 for a in attempts)
    return f"run {run}: sub-tasks {span}" + (f", {again} of them again" if again else "")


def _spread(attempts: Sequence[Attempt]) -> list[Attempt]:
    """The workers' attempts in turn, each worker's in the order given: Spark looks at low partitions first."""
    by_worker: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        by_worker.setdefault(attempt.worker_id, []).append(attempt)
    longest = max(len(q) for q in by_worker.values())
    return [q[i] for i in range(longest) for q in by_worker.values() if i < len(q)]


def ends_of_failed(bundle: Bundle) -> list[Event]:
    """An event for every attempt that a job's end left open: the one Spark names is to blame, the others wait again."""
    try:
        bundle.future.get()
        text, culprit = "Spark ended the job without reporting this task", None
    except FAILURES as error:
        text = message_of(error)
        named = _CULPRIT.search(text)
        culprit = int(named.group(1)) if named else None
    events: list[Event] = []
    for i in sorted(bundle.open):
        attempt = bundle.attempts[i]
        if culprit is not None and i != culprit:
            events.append(Event(EventKind.CANCELLED, attempt.attempt_id, attempt.worker_id))
        elif is_death(text):
            events.append(Event(EventKind.STARTED, attempt.attempt_id, attempt.worker_id))
            events.append(Event(EventKind.LOST, attempt.attempt_id, attempt.worker_id, error=Failure(text)))
        else:
            why = Failure(first_cause(text), "SparkException", text)
            events.append(Event(EventKind.FAILED, attempt.attempt_id, attempt.worker_id, error=why))
    return events
