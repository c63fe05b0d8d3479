"""Runs in processes of their own that tests kill, interrupt and resume."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from partitioner.cli import main

ROOT = Path(__file__).parents[2]
TASKS = 8


@dataclass(frozen=True)
class Scene:
    """Input, output, run and marks of one run in ``home``. A ``gated`` one stops after four sub-tasks until opened."""

    home: Path
    gated: bool = False

    def __post_init__(self) -> None:
        (self.home / "marks").mkdir(parents=True)
        pq.write_table(pa.table({"x": range(400)}), self.home / "input.parquet", row_group_size=50)

    def settings(self, engine: Any = "serial") -> dict[str, Any]:
        return {
            "dataset": str(self.home / "input.parquet"),
            "program": "tests.programs:marking",
            "arguments": {"folder": str(self.home / "marks"), "gate": self.gate},
            "cost": "rows",
            "max_tasks": TASKS,
            "min_tasks_per_slot": TASKS,
            "engine": engine,
            "output": str(self.home / "out"),
            "checkpoint": str(self.home / "runs"),
            "progress": False,
            "report": False,
        }

    @property
    def gate(self) -> str:
        return str(self.home / "gate") if self.gated else ""

    def open(self) -> None:
        Path(self.gate).touch()

    def start_dying(self, moment: str, count: int, engine: Any = "serial") -> subprocess.Popen[bytes]:
        arguments = [json.dumps(self.settings(engine)), moment, str(count)]
        return subprocess.Popen([sys.executable, "-m", "tests.chaos.dying_driver", *arguments], cwd=ROOT)

    def start_cli(
        self, engine: Any = "serial", settings: Mapping[str, Any] = MappingProxyType({})
    ) -> subprocess.Popen[str]:
        """``partitioner run`` in a process group of its own, as a shell starts it."""
        conf = self.home / "conf.yaml"
        conf.write_text(yaml.safe_dump({**self.settings(engine), **settings}))
        return subprocess.Popen(
            [sys.executable, "-m", "partitioner.cli", "run", str(conf)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def resume_command(self) -> list[str]:
        return [sys.executable, "-m", "partitioner.cli", "resume", str(self.run), "--engine", "serial", "--json"]

    def resume(self, *options: str) -> subprocess.CompletedProcess[str]:
        """``partitioner resume`` in this process, which knows nothing of the driver that died in another."""
        arguments = [*self.resume_command()[3:], *options]
        out, err, code = io.StringIO(), io.StringIO(), 0
        with contextlib.chdir(ROOT), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(arguments)
            except SystemExit as ended:
                code = int(ended.code or 0)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    @property
    def run(self) -> Path:
        (run,) = (self.home / "runs").iterdir()
        return run

    def executions(self) -> Counter[str]:
        """How often the program ran, by sub-task."""
        names = (mark.name.split("-")[0] for mark in (self.home / "marks").iterdir())
        return Counter(name for name in names if name != "trial")  # the first rows, before the run

    def executions_of_subtasks(self) -> int:
        """How often the program ran on a sub-task, the trial before the run left out."""
        return sum(n for key, n in self.executions().items() if key != "trial")

    def committed(self) -> set[str]:
        return {p.stem.removeprefix("part-") for p in (self.home / "out").glob("part-*.parquet")}

    def output(self) -> dict[str, bytes]:
        """The output byte for byte, but for the name of the run that made it."""
        files = (p for p in (self.home / "out").iterdir() if p.name != "_run.json")
        return {p.name: p.read_bytes() for p in files}


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Poll until it holds; AssertionError after a time that only a hang reaches."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def kill_group(process: subprocess.Popen[Any], number: int) -> None:
    os.killpg(process.pid, number)


SIGINT, SIGKILL = signal.SIGINT, signal.SIGKILL
