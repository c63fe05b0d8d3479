"""All mutants of some files: ``python -m tests.mutants.every FILE... [--tests TEST...]``.

The tests are loaded once. Each mutant is a fork of that process whose functions have the wrong code, so that it costs a
tenth of a second and no copy of the sources. What is no function's code (a constant, a default of a field) is told as not
tried; ``python -m tests.mutants`` makes those. Tests that work in other processes see nothing of a mutant and are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import gc
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

from tests.mutants.generated import mutants_of
from tests.mutants.mutants import MUTANTS, ROOT, Mutant
from tests.mutants.noticing import tests_of

ELSEWHERE = {"dask_engine", "spark", "s3", "connect_server", "postgres", "shared_data"}
"""Fixtures of tests that need other processes, or data that is not the project's."""

CAUGHT, SURVIVED, NOT_TRIED = 1, 0, 77
MOST_LEFT_OUT = 5
SECONDS = 60.0  # of computing, after which a mutant hangs
PATIENCE = 3.0  # seconds of the clock for one of computing, on a busy machine


class Every:
    """A plugin: instead of running the tests, makes each mutant and runs the tests over it until one fails."""

    def __init__(self, mutants: Sequence[Mutant], processes: int, seconds: float) -> None:
        self.mutants, self.processes, self.seconds = list(mutants), processes, seconds
        self.survived: list[Mutant] = []
        self.caught: set[Mutant] = set()
        self.told: Callable[[str], object] = lambda text: None
        self.counts: Counter[str] = Counter()

    def pytest_configure(self) -> None:
        """Examples are the same for every mutant, and what one fails on is not kept for the next."""
        from hypothesis import settings

        settings.register_profile("mutants", database=None, derandomize=True)
        settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what a mutant in this process does not reach."""
        items[:] = [item for item in items if not ELSEWHERE & set(getattr(item, "fixturenames", ()))]

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Every mutant, ``processes`` at a time."""
        if session.testsfailed:
            raise SystemExit("the tests cannot be loaded")
        base: Path = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        began = time.monotonic()
        self._leave_out_what_no_fork_can(session, base / "none")
        print(f"{len(session.items)} tests, {time.monotonic() - began:.1f} s without any change", flush=True)
        running: dict[int, tuple[Mutant, Path, float]] = {}
        for number, mutant in enumerate(self.mutants):
            place = base / f"m{number}"
            running[_forked(session, mutant, place, self.seconds)] = (mutant, place, time.monotonic())
            while len(running) >= self.processes:
                self._one_ended(running)
        while running:
            self._one_ended(running)
        return True

    def _leave_out_what_no_fork_can(self, session: pytest.Session, place: Path) -> None:
        """Run the tests once without a change: what fails in a fork (its threads are gone there) says nothing."""
        failed = place.with_suffix(".failed")
        failed.touch()
        if _code(_forked(session, None, place, self.seconds * PATIENCE, failed)) != SURVIVED:
            raise SystemExit("the tests end the process without any change; mend that first")
        names = set(failed.read_text().splitlines())
        for name in sorted(names):
            self.told(f"left out in forks, where it fails without a change: {name}")
        if len(names) > MOST_LEFT_OUT:
            raise SystemExit("the tests fail without any change; mend that first")
        session.items = [item for item in session.items if item.nodeid not in names]

    def _one_ended(self, running: dict[int, tuple[Mutant, Path, float]]) -> None:
        pid, status = 0, 0
        while not pid:
            time.sleep(0.005)
            for waiting, (_, _, began) in running.items():
                if time.monotonic() - began > self.seconds * PATIENCE:  # a mutant that makes a test wait is caught too
                    os.killpg(waiting, signal.SIGKILL)
            pid, status = os.waitpid(-1, os.WNOHANG)
        mutant, place, began = running.pop(pid)
        shutil.rmtree(place, ignore_errors=True)
        code = os.waitstatus_to_exitcode(status)
        if code == SURVIVED:
            self.survived.append(mutant)
            print(f"SURVIVED {mutant.file} {mutant.law}: {mutant.right!r} -> {mutant.wrong!r}", flush=True)
        elif code == CAUGHT:
            self.caught.add(mutant)
            self.told(f"caught   {time.monotonic() - began:5.1f} s  {mutant.file}: {mutant.law}")
        self.counts[
            mutant.file, "survived" if code == SURVIVED else "not tried" if code == NOT_TRIED else "caught"
        ] += 1


def _code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _forked(
    session: pytest.Session, mutant: Mutant | None, place: Path, seconds: float, failed: Path | None = None
) -> int:
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    code = NOT_TRIED
    try:
        os.setsid()
        signal.setitimer(signal.ITIMER_PROF, seconds)  # a mutant that makes the tests hang is caught too
        place.mkdir()
        session.config._tmp_path_factory._basetemp = place  # type: ignore[attr-defined]
        if mutant is None or _swapped(mutant):
            code = CAUGHT  # also where a test ends the process
            code = _verdict(session, failed)
    finally:
        os._exit(code)


def _verdict(session: pytest.Session, failed: Path | None) -> int:
    """Whether a test fails; with ``failed`` all are run, and those that do are named there."""
    nothing = open(os.devnull, "w")  # noqa: SIM115  as long as this process
    session.config.pluginmanager.getplugin("terminalreporter")._tw._file = nothing
    for item, following in zip(session.items, [*session.items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed and failed is None:
            return CAUGHT
        if session.testsfailed and failed is not None:
            with failed.open("a") as names:
                names.write(f"{item.nodeid}\n")
            session.testsfailed = 0
    return SURVIVED


def _swapped(mutant: Mutant) -> bool:
    """Give the functions of the file the code of the mutant; whether any changed."""
    path = ROOT / mutant.file
    text = path.read_text()
    wrong = text[: mutant.at] + mutant.wrong + text[mutant.at + len(mutant.right) :]
    new = _by_name(_functions(compile(wrong, str(path), "exec")))
    held = [f for f in gc.get_objects() if isinstance(f, FunctionType) and f.__code__.co_filename == str(path)]
    old = _by_name({f.__code__ for f in held})
    changed = False
    for name, before in old.items():
        after = new.get(name, [])
        if len(before) != len(after):
            continue
        for one, other in zip(before, after, strict=True):
            if _told(one) != _told(other):
                for function in [f for f in held if f.__code__ is one or f.__code__ == one]:
                    function.__code__ = other
                changed = True
    return changed


def _told(code: CodeType) -> Any:
    """What a function does, wherever it stands."""
    constants = tuple(_told(c) if isinstance(c, CodeType) else (type(c), repr(c)) for c in code.co_consts)
    return code.co_code, constants, code.co_names, code.co_varnames


def _functions(code: CodeType) -> Iterator[CodeType]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            yield from _functions(inner)


def _by_name(codes: Any) -> dict[str, list[CodeType]]:
    """Functions that are no other's own, by name, in the order of the file."""
    found: dict[str, list[CodeType]] = defaultdict(list)
    for code in sorted(set(codes), key=lambda c: c.co_firstlineno):
        if "<locals>" not in code.co_qualname:
            found[code.co_qualname].append(code)
    return found


def _listed(name: str) -> list[Mutant]:
    """Those of the list, with the place that each changes."""
    text = (ROOT / name).read_text()
    return [m._replace(at=text.index(m.right)) for m in MUTANTS if m.file == name]


def in_forks(mutants: Sequence[Mutant], tests: Sequence[str], processes: int) -> list[int]:
    """Places in ``mutants`` of those that forks of this process, with these tests, do not catch."""
    os.chdir(ROOT)
    placed = [m if m.at >= 0 else m._replace(at=(ROOT / m.file).read_text().index(m.right)) for m in mutants]
    for name in {m.file for m in placed}:
        import_module(name.removesuffix(".py").replace("/", "."))
    plugin = Every(placed, processes, SECONDS)
    with os.fdopen(os.dup(1), "w") as out, open(os.devnull, "w") as nothing:
        plugin.told = partial(print, file=out, flush=True)
        with contextlib.redirect_stdout(nothing), contextlib.suppress(SystemExit):
            pytest.main(["-q", "-p", "no:cacheprovider", f"--timeout={SECONDS}", *tests], plugins=[plugin])
    return [i for i, mutant in enumerate(placed) if mutant not in plugin.caught]


def main() -> int:
    """Print what survives; exit code 1 where something does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", help="Source files, or patterns of them.")
    parser.add_argument("--tests", nargs="+", default=[], help="Instead of those of tests.mutants for the first file.")
    parser.add_argument("--listed", action="store_true", help="Those of the list of tests.mutants instead of all.")
    parser.add_argument("--random", type=int, default=0, help="So many of them, drawn with --seed; all by default.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lines", default="", help="Only those of these lines, such as 10-40.")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="Of computing, after which a mutant hangs.")
    asked = parser.parse_args()
    names = sorted(
        str(p.relative_to(ROOT)) for top in ("partitioner", "connectors") for p in (ROOT / top).rglob("*.py")
    )
    files = [n for n in names if any(fnmatch.fnmatch(n, f) for f in asked.files)]
    every = [m for name in files for m in (_listed(name) if asked.listed else mutants_of(ROOT, ROOT / name))]
    if asked.lines:
        first, _, last = asked.lines.partition("-")
        every = [m for m in every if int(first) <= m.line <= int(last or first)]
    if asked.random:
        every = random.Random(asked.seed).sample(every, min(asked.random, len(every)))
    for name in files:
        import_module(name.removesuffix(".py").replace("/", "."))
    plugin = Every(every, asked.processes, asked.seconds)
    tests = asked.tests or list(tests_of(files[0]))
    code = pytest.main(
        ["-q", "-p", "no:cacheprovider", "--no-header", f"--timeout={asked.seconds}", *tests], plugins=[plugin]
    )
    for name in files:
        counts = {kind: plugin.counts[name, kind] for kind in ("caught", "survived", "not tried")}
        print(f"{name}: {', '.join(f'{n} {kind}' for kind, n in counts.items())}")
    tried = sum(plugin.counts.values()) - sum(plugin.counts[n, "not tried"] for n in files)
    print(f"{tried - len(plugin.survived)} of {tried} caught")
    return int(bool(plugin.survived) or code not in (0, 5))


if __name__ == "__main__":
    raise SystemExit(main())
