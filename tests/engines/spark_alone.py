"""Run as a process of its own, for these need a Spark context of their own: what each case found, as JSON, last line.

python -m tests.engines.spark_alone FOLDER
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

import partitioner as pt
from partitioner.engines.spark import SparkEngine
from partitioner.errors import PartitionerError
from partitioner.model import EventKind, Workers
from tests.engines import spark_programs as programs

DISCOVERY = '#!/bin/sh\necho \'{"name": "gpu", "addresses": ["5"]}\'\n'


def gpu_conf(folder: Path) -> dict[str, Any]:
    """Executors that hold one GPU, which a script says is there."""
    script = folder / "discover.sh"
    script.write_text(DISCOVERY)
    script.chmod(0o755)
    return {
        "spark.worker.resource.gpu.amount": 1,
        "spark.worker.resource.gpu.discoveryScript": script,
        "spark.executor.resource.gpu.amount": 1,
        "spark.executor.resource.gpu.discoveryScript": script,
        "spark.ui.enabled": False,
    }


def table(workers: Workers | None) -> list[list[float | str]]:
    """Id, cores, memory, GPUs and host of every worker."""
    assert workers is not None
    rows = (workers[j] for j in range(len(workers)))
    return [[w.worker_id, w.cpus, w.memory_bytes, w.gpus, w.host] for w in rows]


def devices(folder: Path) -> dict[str, Any]:
    """Sub-tasks with half a GPU, with none, and a whole run with ``task_gpus``."""
    options = {"master": "local-cluster[1,2,1024]", "conf": gpu_conf(folder), "timeout": 240}
    expected = SparkEngine.expected_workers(options)
    engine = SparkEngine(**options)
    workers = engine.workers()
    attempts = programs.prepared(str(folder / "runs"), programs.devices, engine, 4, seconds=3.0)
    mixed = [replace(a, gpus=0.5) if a.task < 2 else a for a in attempts]
    engine.submit(mixed)
    finished: dict[str, Any] = {}
    while len(finished) < 4:
        finished |= {e.record.task_key: e.record for e in engine.poll(0.2) if e.kind is EventKind.FINISHED}
    told = {key: _told(f"{attempts[0].run_url}/output/{record.path}") for key, record in finished.items()}
    run = pt.run(
        programs.ROWS, programs.devices, task_gpus=0.5, max_tasks=4, engine=engine, checkpoint=f"{folder}/runs"
    )
    halves = [finished[a.task_key] for a in mixed if a.gpus]
    return {
        "gpus": workers.gpus.tolist(),
        "expected": [table(expected), table(workers)],
        "told": told,
        "whole_run": sorted(set(run.result.to_pandas()["told"])),
        "halves_overlap": max(r.started for r in halves) < min(r.finished for r in halves),
        "engine": engine,
    }


def _told(path: str) -> list[str]:
    import pyarrow.parquet as pq

    return list(pq.read_table(path).slice(0, 1).to_pylist()[0].values())


def stopped_context(folder: Path, engine: SparkEngine) -> str:
    """What a run says whose Spark context is stopped under it."""

    def stop() -> None:
        marks = folder / "marks"
        while not list(marks.glob("t0*")):
            time.sleep(0.1)
        engine._session.spark.stop()

    (folder / "marks").mkdir()
    stopper = threading.Thread(target=stop)
    stopper.start()
    try:
        arguments = {"folder": f"{folder}/marks"}
        options = {"arguments": arguments, "engine": engine, "checkpoint": f"{folder}/runs", "max_tasks": 60}
        pt.run(programs.ROWS, programs.slowly_marked, min_tasks_per_slot=30, **options)
    except PartitionerError as error:
        return f"{type(error).__name__}: {error}"
    finally:
        stopper.join()
    return "nothing"


def python_of_a_new_executor(engine: SparkEngine) -> list[str]:
    """The Python below an executor that came in the place of a killed one; nothing is submitted."""
    known = set(engine.workers().worker_id)
    (killed,) = executors()
    killed.kill()
    events, until = [], time.monotonic() + 120
    while not any(e.kind is EventKind.WORKER_JOINED for e in events) and time.monotonic() < until:
        events += engine.poll(0.2)
    came = [e.worker.worker_id for e in events if e.kind is EventKind.WORKER_JOINED and e.worker is not None]
    assert not known & set(came), came
    found: list[str] = []
    while not found and time.monotonic() < until:
        found = [p.name() for e in executors() for p in e.children() if "python" in p.name()]
        time.sleep(0.05)
    return found


def executors() -> list[psutil.Process]:
    """The executors' processes below this one."""
    below = psutil.Process().children(recursive=True)
    return [p for p in below if p.name() == "java" and "--executor-id" in p.cmdline()]


def told(call: Callable[[], Any]) -> str:
    """What a call raises."""
    try:
        call()
    except (PartitionerError, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def killed_jvm(folder: Path) -> list[str]:
    """What a run says whose JVM is killed under it, and one in that session after it; closing the engine is quiet."""
    engine = SparkEngine(master="local[1]", conf={"spark.ui.enabled": False})
    options: dict[str, Any] = {"checkpoint": f"{folder}/runs", "cost": "rows", "max_tasks": 2}
    found = [
        told(lambda: pt.run(programs.ROWS, programs.kills_the_jvm, engine=engine, **options)),
        told(lambda: SparkEngine(session=engine._session.spark)),
    ]
    engine.close()
    return found


def interrupted_call(folder: Path) -> dict[str, Any]:
    """A session after a killed one, and what closing an engine on it leaves after a call that a signal broke off."""
    engine = SparkEngine(master="local[1]", conf={"spark.ui.enabled": False})
    run = pt.run(programs.ROWS, programs.double, engine=engine, checkpoint=f"{folder}/runs", reducer="count")
    second = SparkEngine(session=engine._session.spark, locality_wait=7.0)
    jvm: Any = engine._context._jvm

    def stop(*_: object) -> None:
        raise SystemExit(3)

    def breaks_off() -> None:
        signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            jvm.java.lang.Thread.sleep(1000)
        finally:
            second.close()

    found = {"rows": run.result, "said": told(breaks_off)}
    reading = threading.Thread(target=lambda: found.update(wait=wait_of(engine)))  # has a connection of its own
    reading.start()
    reading.join()
    engine.close()
    return found


def wait_of(engine: SparkEngine) -> str:
    return str(engine._session.jvm_context.conf().get("spark.locality.wait"))


def main() -> None:
    """All cases in turn."""
    folder = Path(sys.argv[1])
    found = devices(folder)
    engine = found.pop("engine")
    found["came"] = python_of_a_new_executor(engine)
    found["stopped"] = stopped_context(folder, engine)
    found["given stopped"] = told(lambda: SparkEngine(session=engine._session.spark))
    engine.close()
    found["killed"] = killed_jvm(folder)
    found["interrupted"] = interrupted_call(folder)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
