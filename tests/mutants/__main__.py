"""Make every mutant in a copy of the sources and run the fast tests over it: ``python -m tests.mutants [--only TEXT]``.

``--random N --seed S`` makes N mutants that nobody chose instead (``generated``). Each copy is tested in a process forked
from one that has the libraries loaded, but nothing of ours.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import distributed  # noqa: F401  loaded once for all
import numpy as np  # noqa: F401
import pandas as pd  # noqa: F401
import psutil
import pyarrow.parquet  # noqa: F401
import pytest

from tests.mutants.generated import drawn
from tests.mutants.mutants import MUTANTS, TESTS, Mutant, outdated

PACKAGES = ("partitioner", "connectors", "benchmarks", "tests")
ROOT = Path(__file__).parents[2]
CPU_SECONDS, SECONDS = 120.0, 600.0  # a mutant that makes the tests hang is caught too
FAILED, NO_VERDICT = 1, 99  # what pytest says when a test failed; anything else says nothing of the mutant


def main() -> int:
    """Print each mutant with what became of it; exit code 1 where one survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="Mutants whose file or law holds this text.")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--random", type=int, default=0, help="So many mutants at seeded places instead of the list.")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if gone := outdated(ROOT):
        print("\n".join([*gone, "bring tests/mutants/mutants.py up to date"]))
        return 2
    every = drawn(ROOT, asked.random, asked.seed) if asked.random else MUTANTS
    chosen = [m for m in every if asked.only in f"{m.file} {m.law}"]
    for tests in sorted({_tests_of(m.file) for m in chosen}):
        if Trial(
            Mutant(next(m.file for m in chosen if _tests_of(m.file) == tests), "", "", "nothing was changed")
        ).told():
            print("the tests fail without any change; mend that first")
            return 2
    survived = list[Mutant]()
    waiting, running = list(enumerate(chosen)), list[Trial]()
    while waiting or running:
        while waiting and len(running) < asked.processes:
            running.append(Trial(waiting.pop(0)[1]))
        time.sleep(0.02)
        for trial in [t for t in running if t.ended]:
            running.remove(trial)
            survived += [] if trial.told() else [trial.mutant]
    print(f"{len(chosen) - len(survived)} of {len(chosen)} caught")
    for mutant in survived:
        print(f"survived: {mutant.law}\n  {mutant.file}: {mutant.right!r} -> {mutant.wrong!r}")
    return bool(survived)


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
        self.process = multiprocessing.get_context("fork").Process(target=_test, args=(home, _tests_of(file)))
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


def _tests_of(file: str) -> tuple[str, ...]:
    return next(tests for place, tests in TESTS.items() if file.startswith(place))


def _test(home: Path, tests: Sequence[str]) -> None:
    """In the forked process: forget what there is of ours, and run the tests of the copy."""
    for name in [n for n in sys.modules if n.partition(".")[0] in PACKAGES]:
        del sys.modules[name]
    os.chdir(home)
    os.environ["PYTHONPATH"] = str(home)
    sys.path[:] = [str(home), *(p for p in sys.path if Path(p or ".").resolve() != ROOT)]
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
        try:
            code = int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *tests]))
        except BaseException:  # pytest itself did not run, which says nothing of the mutant
            code = NO_VERDICT
    os._exit(code)


if __name__ == "__main__":
    raise SystemExit(main())
