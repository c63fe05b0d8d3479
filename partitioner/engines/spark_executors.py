"""Executors as workers: cores, memory, devices, host and speed, from Spark's status store and one look on each."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from partitioner.model import Worker
from partitioner.sizes import parse_bytes

if TYPE_CHECKING:
    from partitioner.engines.spark_session import Session

SPEED_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Executor:
    """One registered executor; ``resources`` is name to number of addresses."""

    executor_id: str
    host: str
    cores: int
    resources: Mapping[str, int]

    @property
    def place(self) -> str:
        """The location string that makes Spark prefer this very executor."""
        return f"executor_{self.host}_{self.executor_id}"


class StatusStore:
    """Spark's own record of executors and tasks, read as JSON in one call to the JVM each."""

    def __init__(self, session: Session) -> None:
        jvm: Any = session.context._jvm
        api = jvm.org.apache.spark.status.api.v1
        self._store = session.jvm_context.statusStore()
        self._write = api.JacksonMessageWriter().mapper().writeValueAsString
        self._order, running = api.TaskSorting.ID, jvm.java.util.ArrayList()
        running.add(api.TaskStatus.RUNNING)
        self._running = running
        self._local = (session.context.master or "").split("[")[0] == "local"

    def executors(self) -> dict[str, Executor]:
        """The executors registered now, by id; in local mode the driver is the one there is."""
        found = {}
        for entry in json.loads(self._write(self._store.executorList(True))):
            if entry["isActive"] and (entry["id"] == "driver") is self._local and entry["totalCores"]:
                counts = {name: len(info["addresses"]) for name, info in entry["resources"].items()}
                host, _, port = entry["hostPort"].rpartition(":")
                host = host if host else port  # without a port until the executor's block manager is there
                found[entry["id"]] = Executor(entry["id"], host, entry["totalCores"], counts)
        return found

    def running(self, stage: int) -> list[tuple[int, int, str, int]]:
        """(partition, Spark's task id, executor id, number of the try) of every task of a stage that runs now."""
        tasks = self._store.taskList(stage, 0, 0, 1_000_000, self._order, self._running)
        return [(t["index"], t["taskId"], t["executorId"], t["attempt"]) for t in json.loads(self._write(tasks))]


def look_around(measure_speed: bool) -> dict[str, float]:
    """What an executor says of itself: ``memory`` bytes of its machine and, if asked, ``seconds`` of fixed work."""
    import psutil

    found = {"memory": float(psutil.virtual_memory().total)}
    if measure_speed:
        found["seconds"] = min(_timed_work() for _ in range(SPEED_ROUNDS))
    return found


def _timed_work() -> float:
    begin = time.perf_counter()
    total = 0
    for i in range(200_000):
        total += i * i % 7
    return time.perf_counter() - begin


def workers_of(
    executors: Mapping[str, Executor],
    looks: Mapping[str, Any],
    settings: Callable[[str, str], str],
    speeds: Mapping[str, float],
) -> list[Worker]:
    """Workers in the order of executor ids.

    ``looks`` are the answers of ``look_around`` by executor id; one that joined since is taken for the smallest seen.
    ``settings(name, default)`` reads the Spark configuration; ``speeds`` are declared, by executor id or host.
    """
    shared = Counter(e.host for e in executors.values())
    timed = [look["seconds"] for look in looks.values() if isinstance(look, dict) and "seconds" in look]
    reference = median(timed) if timed else 1.0
    least = min((look["memory"] for look in looks.values() if isinstance(look, dict)), default=float("inf"))
    workers = []
    for name, executor in sorted(executors.items(), key=lambda item: (len(item[0]), item[0])):
        look = looks.get(name)
        about = look if isinstance(look, dict) else {}
        measured = reference / about["seconds"] if "seconds" in about else 1.0
        resources = {k: float(v) for k, v in executor.resources.items() if k != "gpu"}
        workers.append(
            Worker(
                worker_id=name,
                cpus=float(executor.cores),
                memory_bytes=python_memory(settings, about.get("memory", least) / shared[executor.host]),
                gpus=float(executor.resources.get("gpu", 0)),
                resources=resources,
                speed=float(speeds.get(name, speeds.get(executor.host, measured))),
                host=executor.host,
            )
        )
    return workers


def python_memory(settings: Callable[[str, str], str], machine_share: float) -> float:
    """Bytes that the Python workers of one executor may use together.

    ``spark.executor.pyspark.memory`` where it is set (Spark enforces it); in YARN and Kubernetes the memory overhead of the
    container, which is what Python gets there; else ``machine_share``, the machine's memory over its executors.
    """
    declared = settings("spark.executor.pyspark.memory", "")
    if declared:
        return _bytes(declared, "m")
    master = settings("spark.master", "")
    if not master.startswith(("yarn", "k8s")):
        return machine_share
    overhead = settings("spark.executor.memoryOverhead", "")
    if overhead:
        return _bytes(overhead, "m")
    default = "0.4" if master.startswith("k8s") else "0.1"
    factor = float(settings("spark.executor.memoryOverheadFactor", default))
    return max(384.0 * 2**20, factor * _bytes(settings("spark.executor.memory", "1g"), "m"))


def _bytes(text: str, unit: str) -> float:
    """Bytes of a Spark size such as ``4g`` or ``512m``, binary units as Spark has them; ``unit`` where none is written."""
    digits = text.strip().lower().removesuffix("b")
    letter = digits[-1] if digits[-1].isalpha() else unit
    return parse_bytes(f"{digits.rstrip('kmgt')}{letter}ib") if letter != "b" else parse_bytes(digits)
