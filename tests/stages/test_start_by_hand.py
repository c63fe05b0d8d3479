"""Before the plan, by hand: what slots answer, who is waited for how long, and what is said of those that do not come."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from partitioner import config as configuration
from partitioner.attempt.pilot import Loaded, loaded
from partitioner.engines.asked import Answers, Asked
from partitioner.engines.base import Capabilities
from partitioner.engines.pilot import OnSlots
from partitioner.engines.preflight import TOKEN, Ready, versions
from partitioner.errors import InfeasiblePlan, PreflightFailed
from partitioner.model import CostFacts, SubTasks, Worker, Workers
from partitioner.placement.algorithms.lpt import Lpt
from partitioner.stages import start as starting
from partitioner.stages.start import Here, Start, delayed, forget_late, start, told_here, tried_here
from partitioner.store.run_directory import RunDirectory
from tests.coordinator.paper import by_hand

GIGABYTE = 1 << 30


class Clock:
    """Seconds that pass only while somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Script(Asked):
    """Each call gives the next workers' answers, so many seconds later; ``waits`` are what the calls would have waited."""

    def __init__(self, answers: Mapping[str, list[Any]], clock: Clock, script: list[tuple[float, str]]) -> None:
        super().__init__(answers)
        self.clock, self.script, self.waits, self.closed = clock, list(script), list[float](), False

    def collect(self, timeout: float) -> Answers:
        self.waits.append(round(timeout, 6))
        seconds, names = self.script.pop(0)
        self.clock.now += min(seconds, timeout)
        return {name: self._there.pop(name) for name in names}

    def close(self) -> None:
        self.closed = True
        super().close()


class Engine:
    """Workers of so many cores whose slots answer as told; asked again, they say ``again``."""

    name = "by hand"
    capabilities = Capabilities()

    def __init__(self, script: list[tuple[float, str]], clock: Clock, **cpus: float) -> None:
        self.script, self.clock = script, clock
        self.table = Workers.of([Worker(name, cpus=n, memory_bytes=GIGABYTE) for name, n in cpus.items()])
        self.says: dict[str, list[Any]] = {}
        self.wrong: dict[str, Any] = {}
        self.unsound = ""
        self.again: Callable[[], dict[str, Any]] | None = None
        self.late: Any = "of the run before"
        self.slots: dict[str, int] = {}

    def coming(self) -> int:
        """No worker is being started."""
        return 0

    def workers(self) -> Workers:
        return self.table

    def facts(self, worker: str, run: RunDirectory) -> dict[str, Any]:
        token = run.files.get(TOKEN).decode()
        facts = {"versions": versions(), "memory": 2 * GIGABYTE, "token": token, "error": None}
        return {**facts, **({"error": self.wrong[worker]} if worker in self.wrong else {})}

    def ask_slots(self, function: Any, slots: Mapping[str, int], url: str, key: bytes) -> Script:
        run, self.slots = RunDirectory(url, key), dict(slots)
        plain = {w: [Ready(self.facts(w, run), Loaded(f"of {w}", 0.0, 0.0))] * n for w, n in slots.items()}
        for worker, loads in self.says.items():
            facts, unsound = self.facts(worker, run), self.unsound
            plain[worker] = [x if isinstance(x, Exception) else Ready(facts, x, unsound) for x in loads]
        self.asked = Script(plain, self.clock, self.script)
        return self.asked

    def call(self, function: Any, url: str, key: bytes) -> dict[str, Any]:
        assert self.again is not None, "nobody needs to be asked again"
        return {worker: self.facts(worker, RunDirectory(url, key)) | said for worker, said in self.again().items()}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(starting, "time", made)
    return made


@pytest.fixture
def run(tmp_path: Any) -> RunDirectory:
    return RunDirectory(str(tmp_path / "r"))


def begun(engine: Any, run: RunDirectory, measures: bool = False, forked: bool = False, **options: Any) -> Start:
    config = configuration.make({"dataset": "d", "checkpoint": "/runs", **options})
    return start(config, engine, run, measures, forked)


def test_slots_say_the_longest_load_the_most_memory_and_how_many_share_a_process(
    clock: Clock, run: RunDirectory
) -> None:
    engine = Engine([(0.1, "abc")], clock, a=2, b=1, c=1)
    engine.says = {"a": [Loaded("1", 2.0, 100.0), Loaded("1", 0.0, 120.0)], "b": [Loaded("2", 3.0, 90.0)]}
    found = begun(engine, run)
    assert (found.load_seconds, found.memory_bytes, found.slots_in_process) == (3.0, 120.0, 2)
    assert (found.slots, found.workers, found.told, engine.late) == ({"a": 2, "b": 1, "c": 1}, engine.table, {}, None)
    assert isinstance(found.runner, OnSlots)
    assert (found.runner.slots, found.runner._traced) == (found.slots, False)


def test_slots_that_are_processes_of_their_own_share_none(clock: Clock, run: RunDirectory) -> None:
    engine = Engine([(0.1, "a")], clock, a=2)
    engine.says = {"a": [Loaded("1", 1.0, 10.0), Loaded("2", 1.0, 10.0)]}
    found = begun(engine, run)
    assert found.slots_in_process == 1
    assert isinstance(found.runner, OnSlots)
    assert found.runner._traced


def test_a_worker_that_holds_no_sub_task_is_not_asked(clock: Clock, run: RunDirectory) -> None:
    engine = Engine([(0.1, "b")], clock, a=1, b=4)
    assert begun(engine, run, task_cpus=2).slots == engine.slots == {"b": 2}


def test_where_no_worker_holds_a_sub_task_a_pilot_is_refused_and_a_run_asks_everybody(
    clock: Clock, run: RunDirectory
) -> None:
    engine = Engine([(0.1, "ab")], clock, a=1, b=4)
    said = r"No worker can hold one piece of the pilot: it needs cpus = 8, the largest worker has 4\. Lower task_cpus"
    with pytest.raises(InfeasiblePlan, match=said):
        begun(engine, run, measures=True, task_cpus=8)
    assert begun(engine, run, task_cpus=8).slots == {"a": 1, "b": 1}
    gpus = r"it needs gpus = 1, the most that a worker has is 0\. Lower task_gpus, or declare the GPUs"
    with pytest.raises(InfeasiblePlan, match=gpus):
        begun(engine, run, measures=True, task_gpus=1, task_cpus=4)


@pytest.mark.parametrize(
    ("measures", "script", "waits"),
    [
        (False, [(0.5, "a"), (1.0, ""), (1.0, "b"), (9.0, "")], [1.0, 1.0, 1.0, 0.625]),  # half at 2.5 s, over at 3.125
        (False, [(0.1, "ab"), (9.0, "")], [1.0, 0.15]),
        (True, [(0.1, "ab"), (9.0, "")], [1.0, 1.9]),
        (False, [(0.1, "abcd")], [1.0]),
    ],
)
def test_half_of_the_workers_say_how_long_the_others_are_waited_for(
    clock: Clock, run: RunDirectory, measures: bool, script: list[tuple[float, str]], waits: list[float]
) -> None:
    engine = Engine(script, clock, a=1, b=1, c=1, d=1)
    found = begun(engine, run, measures)
    assert engine.asked.waits == waits
    there = {name for _, names in script for name in names}
    assert found.slots == dict.fromkeys(sorted(there), 1)
    if len(there) < 4:
        assert engine.late.waiting == {"c", "d"}
        assert found.told == {"workers not there yet": "2 (c, d); they join when they answer"}


def test_where_one_fails_ten_seconds_are_waited_for_all_that_do(clock: Clock, run: RunDirectory) -> None:
    engine = Engine([(0.1, "ab"), (2.0, "c"), (99.0, "")], clock, a=1, b=1, c=1, d=1)
    engine.wrong = {"b": "no torch", "c": "no jax"}
    with pytest.raises(PreflightFailed) as caught:
        begun(engine, run)
    assert engine.asked.waits == [1.0, 9.9, 7.9]
    assert "worker b cannot load the program: no torch" in str(caught.value)
    assert "worker c cannot load the program: no jax" in str(caught.value)
    assert (engine.asked.closed, engine.late) == (True, None)


def test_one_whose_slot_died_over_the_program_is_asked_for_the_facts_alone(clock: Clock, run: RunDirectory) -> None:
    engine = Engine([(0.1, "ab"), (99.0, "")], clock, a=1, b=1, c=1)
    engine.says = {"b": [RuntimeError("its process died")]}
    engine.again = lambda: {"a": {"error": "asked before"}, "b": {}, "c": {"error": "not waited for"}}
    assert begun(engine, run).load_seconds == 0.0
    engine.script, engine.again = [(0.1, "ab"), (99.0, "")], lambda: {"b": {"error": "no torch"}}
    with pytest.raises(PreflightFailed, match="worker b cannot load the program: no torch"):
        begun(engine, run)


def test_nobody_answers_where_workers_are_real(clock: Clock, run: RunDirectory) -> None:
    engine = Engine([], clock)
    engine.again = dict
    with pytest.raises(PreflightFailed, match="no worker answered; is the cluster running"):
        begun(engine, run)
    engine.capabilities = replace(Capabilities(), real=False)
    assert begun(engine, run).slots == {}


@pytest.mark.parametrize(
    ("seconds", "unsound", "said"),
    [
        (0.0, "", "forked with the program"),
        (1.0, "", "built in every process"),
        (None, "", "built in every process"),  # nobody says that it holds the program
        (0.0, "CUDA is initialised", "built in every process, for a fork is unsound: CUDA is initialised"),
    ],
)
def test_what_became_of_loading_once_per_machine(
    clock: Clock, run: RunDirectory, seconds: float | None, unsound: str, said: str
) -> None:
    engine = Engine([(0.1, "a")], clock, a=1)
    engine.says, engine.unsound = {"a": [None if seconds is None else Loaded("1", seconds, 1.0)]}, unsound
    assert begun(engine, run, forked=True).told == {"preload": said}


def test_at_the_end_nobody_waits_for_those_that_never_answered() -> None:
    closed: list[bool] = []
    engine: Any = SimpleNamespace(late=SimpleNamespace(close=lambda: closed.append(True)))
    forget_late(engine)
    forget_late(engine)
    assert (closed, engine.late) == ([True], None)


def test_no_slot_is_free_before_the_program_is_loaded() -> None:
    plan = by_hand([2.0, 3.0], 2, [0, 1])
    later = delayed(replace(plan, lower_bound=2.5), 5.0)
    assert (later.start.tolist(), later.finish.tolist()) == ([5.0, 5.0], [7.0, 8.0])
    assert (later.makespan, later.lower_bound, later.value) == (8.0, 7.5, 8.0)
    assert later.gap == pytest.approx(8 / 7.5 - 1)
    assert delayed(replace(plan, objective="flow", value=1.5), 5.0).value == 1.5
    assert delayed(plan, 0.0) is plan
    shares = replace(plan, about=replace(plan.about, cost=CostFacts("bytes", "bytes")))
    assert delayed(shares, 5.0) is shares  # seconds are not added to bytes
    empty = Lpt().place(SubTasks.build([]), plan.workers, "makespan", 0, None)
    assert delayed(empty, 5.0) is empty


MEASURES: Any = SimpleNamespace(config=configuration.make({"dataset": "d"}), model=SimpleNamespace(measures=True))


@pytest.mark.parametrize(
    ("job", "measures", "workers", "cores", "count"),
    [
        ("a job", True, 3, 8, 3),
        ("a job", True, 3, 2, 2),
        ("a job", True, 2, 8, 2),
        ("a job", True, 1, 8, None),
        ("a job", True, 3, None, None),
        ("a job", False, 3, 8, None),
        (None, True, 3, 8, None),
    ],
)
def test_a_plan_without_a_cluster_is_measured_in_as_many_processes_as_slots_up_to_the_cores(
    monkeypatch: pytest.MonkeyPatch, job: Any, measures: bool, workers: int, cores: int | None, count: int | None
) -> None:
    monkeypatch.setattr(starting.os, "cpu_count", lambda: cores)
    parts: Any = SimpleNamespace(config=MEASURES.config, model=SimpleNamespace(measures=measures))
    with tried_here(parts, job, Workers.identical(workers)) as found:
        assert (None if found is None else found.count) == count
        assert told_here(found) == (0.0, {})  # nothing was asked, so nothing was started
        if isinstance(found, Start) and isinstance(found.runner, Here):
            found.runner.load_seconds = 1.5
            told = f"measured in {count} processes of this machine at once"
            assert told_here(found) == (1.5, {"pilot ran": told, "start": {"program load": 1.5}})


class Processes:
    """Stands for processes of this machine: notes what they are asked, each call takes two seconds."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.entered, self.left = clock, 0, 0
        self.slots = {"process-0": 1, "process-1": 1}
        self.calls: list[tuple[Any, ...]] = []

    def __enter__(self) -> None:
        self.entered += 1

    def __exit__(self, *_: object) -> None:
        self.left += 1

    def call_slots(self, function: Any, slots: Mapping[str, int], *args: Any) -> dict[str, list[Any]]:
        self.calls.append((function, dict(slots), *args))
        self.clock.now += 2.0
        return {name: [name] for name in slots}


def test_the_processes_of_a_plan_start_and_load_the_program_once_when_they_are_asked(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Processes(clock)
    monkeypatch.setattr(starting, "LocalProcesses", lambda count: made)
    seen: list[tuple[Any, ...]] = []
    monkeypatch.setattr(OnSlots, "__call__", lambda self, *args: seen.append(args))
    job: Any = SimpleNamespace(program=len, told="all")
    with ExitStack() as held:
        here = Here(job, 2, held)
        assert (made.entered, here.load_seconds, here.slots, here._traced) == (0, None, made.slots, True)
        here("dataset", "pieces", 9.0, "sizes")  # type: ignore[arg-type]
        assert here.ask(len, "x") == ["process-0", "process-1"]
        assert (made.entered, made.left, here.load_seconds) == (1, 0, 2.0)
        assert pickle.loads(here._run.read_job()).told == "all"
    first, *others = made.calls
    assert first == (loaded, made.slots, here._run.url, here._run.key)
    assert [call[0] for call in others] == [len]
    assert (seen, made.left) == ([("dataset", "pieces", 9.0, "sizes")], 1)


def test_a_question_alone_starts_them_too(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Processes(clock)
    monkeypatch.setattr(starting, "LocalProcesses", lambda count: made)
    with ExitStack() as held:
        Here(SimpleNamespace(program=len), 2, held).ask(len)  # type: ignore[arg-type]
    assert ([call[0] for call in made.calls], made.entered) == ([loaded, len], 1)
