"""Make every mutant and run the fast tests over it: ``python -m tests.mutants [--only TEXT]``.

First all these tests run once without any change, and how long that took is said. Then each mutant is a fork of a process
that has loaded the tests (``every``); what such a fork cannot try, or does not notice, is tried in a copy of the sources by
a process of its own. ``--random N --seed S`` makes N mutants that nobody chose instead (``generated``).
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import distributed  # noqa: F401  loaded once for all
import numpy as np  # noqa: F401
import pandas as pd  # noqa: F401
import psutil
import pyarrow.parquet  # noqa: F401
import pytest

from tests.mutants.generated import drawn
from tests.mutants.mutants import MUTANTS, ROOT, Mutant, outdated
from tests.mutants.noticing import tests_of

PACKAGES = ("partitioner", "connectors", "benchmarks", "tests")
CPU_SECONDS, SECONDS = 120.0, 600.0  # a mutant that makes the tests hang is caught too
FAILED, NO_VERDICT = 1, 99  # what pytest says when a test failed; anything else says nothing of the mutant
FORK = multiprocessing.get_context("fork")


def main() -> int:
    """Print each mutant with what became of it; exit code 1 where one survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="Mutants whose file or law holds this text.")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--random", type=int, default=0, help="So many mutants at seeded places instead of the list.")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if gone := outdated(ROOT):
        print("\n".join([*gone, "bring tests/mutants/listed up to date"]))
        return 2
    every = drawn(ROOT, asked.random, asked.seed) if asked.random else MUTANTS
    chosen = [m for m in every if asked.only in f"{m.file} {m.law}"]
    if not _unchanged(chosen):
        return 2
    left = [m for tests in sorted({tests_of(m.file) for m in chosen}) for m in _left_by_forks(chosen, tests, asked)]
    survived = _in_copies(left, asked.processes)
    print(f"{len(chosen) - len(survived)} of {len(chosen)} caught")
    for mutant in survived:
        print(f"survived: {mutant.law}\n  {mutant.file}: {mutant.right!r} -> {mutant.wrong!r}")
    return bool(survived)


def _unchanged(chosen: Sequence[Mutant]) -> bool:
    """Whether the tests of all mutants pass as the sources are; says how many and how long they take."""
    tests = list(dict.fromkeys(t for m in chosen for t in tests_of(m.file)))
    receives, sends = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_counted, args=(tests, sends))
    before, began = _computed(), time.perf_counter()
    process.start()
    sends.close()
    try:
        count = receives.recv()
    except EOFError:
        count = 0
    process.join()
    spent, took = _computed() - before, time.perf_counter() - began
    print(f"{count} tests, {spent:.0f} s of computing ({took:.0f} s by the clock)", flush=True)
    if process.exitcode:
        print("the tests fail without any change; mend that first")
    return not process.exitcode


def _computed() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Counting:
    """A plugin: how many tests ran."""

    def __init__(self) -> None:
        self.count = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One more."""
        self.count += report.when == "call"


def _counted(tests: Sequence[str], sends: Any) -> None:
    counting = _Counting()
    code = _ran(ROOT, tests, [counting])
    sends.send(counting.count)
    sends.close()
    os._exit(code)


def _left_by_forks(chosen: Sequence[Mutant], tests: tuple[str, ...], asked: argparse.Namespace) -> list[Mutant]:
    """The mutants with these tests that forks of one process did not catch."""
    mutants = [m for m in chosen if tests_of(m.file) == tests]
    receives, sends = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_forks, args=(mutants, tests, asked.processes, sends))
    process.start()
    sends.close()
    try:
        left = receives.recv()
    except EOFError:  # it could not so much as load the tests
        left = list(range(len(mutants)))
    process.join()
    return [mutants[i] for i in left]


def _forks(mutants: Sequence[Mutant], tests: Sequence[str], processes: int, sends: Any) -> None:
    from tests.mutants.every import in_forks

    sends.send(in_forks(mutants, tests, processes))
    sends.close()
    os._exit(0)


def _in_copies(mutants: Sequence[Mutant], processes: int) -> list[Mutant]:
    """Those that survive in copies of the sources."""
    survived, waiting, running = list[Mutant](), list(mutants), list[Trial]()
    while waiting or running:
        while waiting and len(running) < processes:
            running.append(Trial(waiting.pop(0)))
        time.sleep(0.02)
        for trial in [t for t in running if t.ended]:
            running.remove(trial)
            survived += [] if trial.told() else [trial.mutant]
    return survived


class Trial:
    """One mutant in a copy of its own, tested by a process of its own."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant, self.began = mutant, time.perf_counter()
        self.folder = tempfile.TemporaryDirectory(prefix="mutant-")
        file, right, wrong = mutant[:3]
        home = Path(self.folder.name)
        for name in PACKAGES:
            shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", home)
        text = (home / file).read_text()
        at = mutant.at if mutant.at >= 0 else text.index(right)
        assert text[at:].startswith(right)
        (home / file).write_text(text[:at] + wrong + text[at + len(right) :])
        self.process = FORK.Process(target=_test, args=(home, tests_of(file)))
        self.process.start()

    @property
    def ended(self) -> bool:
        """It has a verdict, or hangs."""
        with contextlib.suppress(psutil.NoSuchProcess):
            worked = sum(psutil.Process(self.process.pid).cpu_times()[:2])
            if worked > CPU_SECONDS or time.perf_counter() - self.began > SECONDS:
                self.process.kill()
        return not self.process.is_alive()

    def told(self) -> bool:
        """Whether a test noticed; says so."""
        self.process.join()
        caught = self.process.exitcode == FAILED or (self.process.exitcode or 0) < 0
        seconds = time.perf_counter() - self.began
        print(
            f"{'caught  ' if caught else 'SURVIVED'} {seconds:5.1f} s  {self.mutant.file}: {self.mutant.law}",
            flush=True,
        )
        self.folder.cleanup()
        return caught


def _test(home: Path, tests: Sequence[str]) -> None:
    os._exit(_ran(home, ["-x", *tests], []))


def _ran(home: Path, tests: Sequence[str], plugins: list[Any]) -> int:
    """In a forked process: forget what there is of ours, and run the tests of the copy. What pytest says."""
    for name in [n for n in sys.modules if n.partition(".")[0] in PACKAGES]:
        del sys.modules[name]
    os.chdir(home)
    os.environ["PYTHONPATH"] = str(home)
    sys.path[:] = [str(home), *(p for p in sys.path if Path(p or ".").resolve() != ROOT)]
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
        try:
            return int(pytest.main(["-q", "-p", "no:cacheprovider", *tests], plugins=plugins))
        except BaseException:  # pytest itself did not run, which says nothing of the mutant
            return NO_VERDICT


if __name__ == "__main__":
    raise SystemExit(main())
