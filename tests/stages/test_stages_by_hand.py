"""The stages by hand: slots and memory, what is said of an engine, how batches are set, and phases."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from partitioner import config as configuration
from partitioner.config import RunConfig
from partitioner.engines.base import Capabilities
from partitioner.errors import ConfigError, DataError
from partitioner.model import Costs, Worker, Workers
from partitioner.stages import steps
from partitioner.stages.phases import Phases
from partitioner.stages.resolved import Resolved, batching_of, engine_of
from partitioner.stages.start import Start, preloads, slots_of, told_here


def config(**options: Any) -> RunConfig:
    return configuration.make({"dataset": "d", "checkpoint": "/runs", **options})


def workers(*of: dict[str, Any]) -> Workers:
    return Workers.of([Worker(f"w{i}", **facts) for i, facts in enumerate(of)])


THREE = workers(
    {"cpus": 4, "memory_bytes": 8e9}, {"cpus": 1.5, "gpus": 2, "memory_bytes": 2e9}, {"cpus": 0.5, "gpus": 4}
)


@pytest.mark.parametrize(
    ("cpus", "gpus", "slots"),
    [
        (1, 0, [4, 1, 0]),
        (0.5, 0, [8, 3, 1]),
        (2, 0, [2, 0, 0]),
        (0.5, 1, [0, 2, 1]),
        (0.1, 0.5, [0, 4, 5]),
        (0.3, 0, [13, 5, 1]),
    ],
)
def test_slots_are_as_many_as_cores_and_gpus_allow(cpus: float, gpus: float, slots: list[int]) -> None:
    assert slots_of(THREE, cpus, gpus) == dict(zip(("w0", "w1", "w2"), slots, strict=True))


class Declares:
    """Wants to be loaded once per machine."""

    preload = True


class Refuses:
    """Must not be."""

    preload = False


class Heir(Declares):
    """What it is made from wants it."""


class Silent:
    """Says nothing."""


@pytest.mark.parametrize(
    ("setting", "program", "expected"),
    [
        ("auto", Declares, True),
        ("auto", Refuses, False),
        ("auto", Heir, True),
        ("auto", Silent, False),
        (True, Declares, True),
        (True, Refuses, False),
        (True, Silent, True),
        (False, Declares, False),
        (True, len, False),
    ],
)
def test_a_class_may_say_whether_it_is_loaded_once(setting: Any, program: Any, expected: bool) -> None:
    assert preloads(config(preload=setting), program) is expected


COSTS = Costs(np.ones(2), np.ones(2), fixed_memory_bytes=100.0, details={"a": 1})


@pytest.mark.parametrize(
    ("costs", "memory", "slots", "fixed"),
    [
        ({}, 80.0, 1, 24e6 + 180.0),
        ({}, 80.0, 4, 24e6 + 120.0),
        ({"process_memory": True}, 80.0, 4, 40.0),
        ({"process_memory": True}, 300.0, 3, 100.0),
    ],
)
def test_the_memory_of_a_process_is_shared_by_its_slots(
    costs: dict[str, Any], memory: float, slots: int, fixed: float
) -> None:
    found = Start(THREE, memory_bytes=memory, slots_in_process=slots).with_process(replace(COSTS, **costs))
    assert (found.fixed_memory_bytes, found.process_memory) == (fixed, True)
    assert found.details == {"a": 1, "process memory": {"resident": memory, "slots": slots}}


def test_memory_that_is_declared_or_not_known_stays() -> None:
    assert Start(THREE).with_process(COSTS) is COSTS
    declared = replace(COSTS, memory_declared=True)
    assert Start(THREE, memory_bytes=80.0).with_process(declared) is declared
    assert Start(THREE, {"a": 2, "b": 3}).count == 5
    assert told_here(None) == (0.0, {})
    assert told_here(Start(THREE)) == (0.0, {})


def resolved(divisible: bool = True, **options: Any) -> Any:
    fields = dict.fromkeys(Resolved.__dataclass_fields__)
    return Resolved(**{**fields, "config": config(**options), "reducer": SimpleNamespace(divisible=divisible)})  # type: ignore[arg-type]


def test_limits_are_of_the_slot_with_least_memory() -> None:
    both = workers({"cpus": 4, "memory_bytes": 8e9}, {"cpus": 1.5, "memory_bytes": 1e9})
    found = resolved(target_task_seconds=30, max_tasks=9, min_tasks_per_slot=2).limits(both)
    assert (found.allowed_mem, found.slots, found.divisible) == (0.8e9, 5, True)
    assert (found.target_task_seconds, found.max_tasks, found.min_tasks_per_slot) == (30, 9, 2)
    assert resolved().limits(workers({"cpus": 4, "memory_bytes": 8e9})).allowed_mem == pytest.approx(1.6e9)
    assert resolved(task_cpus=8).limits(workers({"cpus": 4, "memory_bytes": 8e9})).allowed_mem == pytest.approx(6.4e9)
    assert resolved(task_cpus=8).limits(workers({"cpus": 4})).slots == 1
    assert resolved(allowed_mem=5e8).limits(both).allowed_mem == 5e8
    assert resolved().limits(workers({"cpus": 4, "memory_bytes": np.inf})).allowed_mem is None
    assert resolved().limits(workers()).allowed_mem is None
    assert resolved(divisible=False).limits(both).divisible is False


def test_batches_are_set_by_what_is_given() -> None:
    assert batching_of(config()) == {}
    given = {"batch_size": 5, "weight": "x", "max_batch_weight": 9.0, "sort_by_weight": True, "padded": True}
    assert batching_of(config(**given)) == given
    assert batching_of(config(weight="x", max_batch_weight="auto")) == {"weight": "x", "max_batch_weight": "auto"}
    assert batching_of(config(weight="x", columns=["x"])) == {"weight": "x"}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"weight": "x + y", "columns": ["x"]}, "weight reads column 'y', which is not among columns; add it there"),
    ({"weight": "x", "sort_by_weight": True, "allow_row_change": True}, "leave out allow_row_change"),
    ({"max_batch_weight": "auto"}, "max_batch_weight = auto needs a weight"),
    (
        {"split": "by_weight", "weight": "x", "allow_row_change": True},
        "puts the output back in order by one output row per input row",
    ),
]


@pytest.mark.parametrize(("options", "said"), REFUSED)
def test_settings_of_batches_that_do_not_fit_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        batching_of(config(**options))


def test_rows_may_change_where_order_does_not_matter() -> None:
    assert batching_of(config(split="by_weight", weight="x", allow_row_change=True, preserve_order=False))
    assert batching_of(config(weight="x", allow_row_change=True)) == {"weight": "x"}


def test_a_run_follows_the_engine_of_its_data_unless_it_names_one(capfd: pytest.CaptureFixture[str]) -> None:
    own = object()
    source: Any = SimpleNamespace(own_engine=lambda: own)
    assert engine_of(config(), source) is own
    assert "the run follows the DataFrame given to its object; engine= names another" in capfd.readouterr().err
    assert engine_of(config(engine="serial"), source) == "serial"
    assert engine_of(config(), SimpleNamespace(own_engine=lambda: None)) == config().engine  # type: ignore[arg-type]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "lacks", "said"),
    [
        ({"allowed_mem": 5e8}, "memory_limit", "planned with; engine 'mine' does not hold its workers to their memory"),
        ({"timeout": 5}, "cancel", "waited for; engine 'mine' cannot stop an attempt that runs"),
        ({"task_gpus": 1}, "gpu", "counted; engine 'mine' assigns no devices, so every sub-task sees all those of its"),
    ],
)
def test_what_an_engine_only_plans_with_is_said(options: dict[str, Any], lacks: str, said: str) -> None:
    able = Capabilities(cancel=True, memory_limit=True, gpu=True)
    engine: Any = SimpleNamespace(name="mine", capabilities=replace(able, **{lacks: False}))
    ((name, text),) = steps.unmet(config(**options), engine).items()
    assert name in options
    assert text.startswith(said)
    assert steps.unmet(config(), engine) == {}
    assert steps.unmet(config(**options), SimpleNamespace(name="mine", capabilities=able)) == {}  # type: ignore[arg-type]


def test_workers_are_a_count_values_or_those_of_the_engine() -> None:
    parts: Any = SimpleNamespace(engine=SimpleNamespace(expected_workers=lambda: THREE))
    assert steps.workers_of(parts, None) is THREE
    assert steps.workers_of(parts, THREE) is THREE
    assert steps.workers_of(parts, 2).worker_id == ("worker-0", "worker-1")
    assert steps.workers_of(parts, [Worker("a"), Worker("b")]).worker_id == ("a", "b")
    with pytest.raises(ConfigError, match=r"workers is 0; a plan needs at least 1\."):
        steps.workers_of(parts, 0)
    assert steps.workers_of(parts, pd.DataFrame({"worker_id": ["x"], "cpus": [2]})).cpus.tolist() == [2.0]


def test_speeds_that_a_pilot_measured_replace_those_that_were_said() -> None:
    speeds: dict[str, float] = {"w0": 2.0, "w2": 1.0}
    runner: Any = SimpleNamespace(speeds=lambda workers: speeds)
    parts: Any = SimpleNamespace(config=SimpleNamespace(measure_speeds=True))
    given = workers({"speed": 1.0}, {"speed": 0.5}, {"speed": 3.0})
    found, told = steps.workers_to_use(parts, Start(given, runner=runner))
    assert (found.speed.tolist(), told) == ([2.0, 0.5, 1.0], {"worker speeds": "measured, {'w0': 2.0}"})
    speeds.pop("w0")
    assert steps.workers_to_use(parts, Start(given, runner=runner))[1] == {"worker speeds": "measured, all alike"}
    parts.config.measure_speeds = False
    assert steps.workers_to_use(parts, Start(given, runner=runner)) == (given, {})
    parts.config.measure_speeds = True
    assert steps.workers_to_use(parts, Start(given)) == (given, {})


def test_columns_that_are_not_there_name_the_nearest() -> None:
    steps._check_columns(["a"], ["a", "b"])
    with pytest.raises(DataError, match=r"the dataset has no column 'aa'; it has a, b\. Did you mean 'a'"):
        steps._check_columns(["b", "aa"], ["a", "b"])


def test_phases_add_up_and_count_what_raises_too() -> None:
    now = iter([0.0, 1.0, 3.0, 5.0, 9.0, 10.0, 10.5, 20.0])
    phases = Phases(lambda: next(now))
    with phases("plan"):
        pass
    with phases("run"):
        pass

    def stopped() -> None:
        with phases("plan"):
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        stopped()
    assert phases.seconds == {"plan": 2.5, "run": 4.0}
    assert phases.total() == 20.0
