"""The report and the progress line at size: seconds and megabytes for a made-up run of many sub-tasks.

python -m benchmarks.report_scale [--tasks 20000] [--workers 24] [--browser chromium]

With ``--browser`` the page is also opened in a headless browser, from process start to drawn.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.versions import versions
from partitioner.coordinator.execute import write_plan
from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Policy, Submit, initial
from partitioner.model import CommitRecord, Event, EventKind, Fragment, Fragments, Plan, SubTasks, Workers
from partitioner.placement.algorithms.lpt import Lpt
from partitioner.report.progress import Progress
from partitioner.report.report import Report
from partitioner.store.run_directory import RunDirectory


def planned(tasks: int, workers: int, seed: int = 0) -> Plan:
    """Log-normal durations placed by lpt."""
    seconds = np.random.default_rng(seed).lognormal(0.0, 0.7, tasks)
    fragments = Fragments.of([Fragment(i, "made-up", -1, i, i + 1, 1, 8) for i in range(tasks)])
    chain = {"fragments": fragments, "offsets": np.arange(tasks + 1), "fragment_index": np.arange(tasks)}
    return Lpt().place(SubTasks.build(seconds, **chain), Workers.identical(workers), "makespan", seed, None)


def record(plan: Plan, i: int, start: float, seconds: float) -> CommitRecord:
    key, worker = plan.tasks.task_id[i].as_py(), plan.workers.worker_id[plan.worker[i]]
    counts = {"rows_in": 1, "rows_out": 1, "rows_written": 1, "quarantined": 0, "bytes_read": 8}
    times = {"seconds": seconds, "cpu_seconds": seconds, "load_seconds": 0.0, "read_seconds": 0.0}
    return CommitRecord(
        **counts,
        **times,
        task_key=key,
        attempt_id=f"{key}-a0",
        worker_id=worker,
        path="",
        segments=((i, 1),),
        peak_memory_bytes=10**8,
        started=start,
        finished=start + seconds,
        digest="",
    )


def made_up(plan: Plan, run: RunDirectory, seed: int = 1) -> None:
    """The files of a run that followed the plan with durations 15 % off."""
    noise = np.random.default_rng(seed).lognormal(0.0, 0.15, len(plan))
    at = np.full(len(plan.workers), 1000.0)
    run.create({"run_id": run.run_id, "config": {"task_cpus": 1.0}})
    run.write_tasks(plan.tasks)
    write_plan(run, plan)
    lines = [{"what": "session", "time": 1000.0, "engine": "made-up", "workers": list(plan.workers.worker_id)}]
    for i in np.lexsort((np.arange(len(plan)), plan.start)).tolist():
        made = record(plan, i, float(at[plan.worker[i]]), float(plan.tasks.seconds[i] * noise[i]))
        at[plan.worker[i]] = made.finished
        run.commit(made)
        who = {"attempt": made.attempt_id, "worker": made.worker_id}
        times = {"submitted": made.started, "started": made.started, "finished": made.finished}
        lines += [{"what": what, "time": t, **who} for what, t in times.items()]
    lines.sort(key=lambda line: line["time"])
    run.files.put("ledger/0.jsonl", "\n".join(json.dumps(line) for line in lines).encode())


def report_seconds(tasks: int, workers: int, browser: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(f"{folder}/run")
        made_up(planned(tasks, workers), run)
        begin = time.perf_counter()
        report = Report.of(run)
        read = time.perf_counter()
        report.save(Path(folder) / "page.html")
        drawn = time.perf_counter()
        size = (Path(folder) / "page.html").stat().st_size
        print(
            f"{tasks} sub-tasks, {workers} workers: read {read - begin:.2f} s, page {drawn - read:.2f} s, "
            f"{size / 1e6:.1f} MB"
        )
        if browser:
            flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile", "--dump-dom"]
            begin = time.perf_counter()
            subprocess.run(
                [browser, *flags, f"file://{folder}/page.html"], capture_output=True, check=True, timeout=300
            )
            print(f"opened and drawn in a headless browser: {time.perf_counter() - begin:.1f} s")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def progress_seconds(tasks: int, pace: float) -> None:
    """Cost of ``observe`` per step, when steps come every ``pace`` seconds."""
    plan = planned(tasks, 4)
    for stream in (Terminal(), io.StringIO()):
        state, spent, steps, news = initial(plan, "", Policy()), 0.0, 0, list[Event]()
        with Progress(plan, stream=stream) as progress:
            while not state.finished:
                _, actions = step(state, news, time.monotonic())
                begin = time.perf_counter()
                progress.observe(state, news, actions)
                spent, steps = spent + time.perf_counter() - begin, steps + 1
                sent = [a.attempt for a in actions if isinstance(a, Submit)]
                news = [Event(EventKind.STARTED, a.attempt_id, a.worker_id) for a in sent]
                if not news and state.attempts:
                    live = next(iter(state.attempts.values())).attempt
                    made = record(plan, live.task, 0.0, live.seconds)
                    news = [Event(EventKind.FINISHED, live.attempt_id, live.worker_id, made)]
                time.sleep(pace)
        kind = "terminal" if stream.isatty() else "log"
        print(f"progress in a {kind}: {spent / steps * 1e6:.1f} microseconds per step over {steps} steps")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=24)
    parser.add_argument("--browser")
    arguments = parser.parse_args()
    print(versions("plotly", "rich", "numpy", "pyarrow"))
    report_seconds(arguments.tasks, arguments.workers, arguments.browser)
    progress_seconds(2000, 0.001)
