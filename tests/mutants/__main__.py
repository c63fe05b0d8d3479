"""Make every mutant in a copy of the sources and run the fast tests over it: ``python -m tests.mutants [--only TEXT]``."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.mutants import MUTANTS, TESTS, Mutant

ROOT = Path(__file__).parents[2]
SECONDS = 240  # a mutant that makes the tests hang is caught too


def main() -> int:
    """Print each mutant with what became of it; exit code 1 where one survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="Mutants whose file or law holds this text.")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    chosen = [m for m in MUTANTS if asked.only in m[0] + " " + m[3]]
    with ThreadPoolExecutor(asked.processes) as pool:
        survived = [m for m, caught in zip(chosen, pool.map(_caught, chosen), strict=True) if not caught]
    print(f"{len(chosen) - len(survived)} of {len(chosen)} caught")
    for file, right, wrong, law in survived:
        print(f"survived: {law}\n  {file}: {right!r} -> {wrong!r}")
    return bool(survived)


def _caught(mutant: Mutant) -> bool:
    file, right, wrong, law = mutant
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        home = Path(folder)
        for name in ("partitioner", "connectors", "tests"):
            shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", home)
        text = (home / file).read_text()
        if text.count(right) < 1:
            raise SystemExit(f"{file} has no {right!r} any more; bring tests/mutants/mutants.py up to date")
        (home / file).write_text(text.replace(right, wrong, 1))
        caught = _tests_fail(home, _tests_for(file))
    print(f"{'caught  ' if caught else 'SURVIVED'} {time.perf_counter() - began:5.1f} s  {file}: {law}", flush=True)
    return caught


def _tests_for(file: str) -> list[str]:
    return next(tests for place, tests in TESTS.items() if file.startswith(place))


def _tests_fail(home: Path, tests: Sequence[str]) -> bool:
    environment = {**os.environ, "PYTHONPATH": str(home), "PYTHONDONTWRITEBYTECODE": "1", "CI": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(command, cwd=home, env=environment, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode == 1  # 1: a test failed; anything else is no verdict on the mutant


if __name__ == "__main__":
    raise SystemExit(main())
