"""Questions to slots of executors by hand: what was told, who is asked again, and what the end of a job means."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from partitioner.engines import spark_asked
from partitioner.engines.spark_asked import SparkAsked
from partitioner.engines.spark_executors import Executor
from partitioner.engines.spark_task import EventsParam

ONE_CORE = (1, 0.0, ())


@dataclass
class Future:
    """A job of Spark: ``why`` it failed, once it is done."""

    done: bool = False
    why: str = ""
    cancelled: bool = False

    def isDone(self) -> bool:
        return self.done

    def get(self) -> int:
        if self.why:
            raise OSError(self.why)
        return 0

    def cancel(self, _: bool) -> None:
        self.cancelled = True


@dataclass
class Scene:
    """Executors, what was asked of Spark, and a way to tell an answer."""

    there: dict[str, Executor]
    asked: list[list[tuple[int, str, bool]]] = field(default_factory=list)
    futures: list[Future] = field(default_factory=list)
    param: Any = None
    alive: bool = True

    @property
    def context(self) -> Scene:
        return self

    def accumulator(self, value: list[Any], param: EventsParam) -> Any:
        self.param = param
        return SimpleNamespace(aid=-1)

    def begin(self, items: Sequence[Any], where: Any, run: Any, demand: Any, text: str) -> Future:
        self.asked.append(list(items))
        self.futures.append(Future())
        return self.futures[-1]

    def tell(self, index: int, here: str, answer: Any) -> None:
        self.param.addInPlace([], [(index, here, pickle.dumps(answer))])


def scene_of(*names: str) -> tuple[Scene, SparkAsked]:
    """One slot of each executor, asked."""
    scene = Scene({name: Executor(name, "h", 1, {}) for name in names})
    owners = [scene.there[name] for name in names]
    asked = SparkAsked(scene, scene, owners, ONE_CORE, lambda: scene.there)  # type: ignore[arg-type]
    asked.ask(max, (), copies=False)
    return scene, asked


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look is due."""
    monkeypatch.setattr(spark_asked, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(spark_asked, "AGAIN_SECONDS", 0.0)


def test_executors_answer_one_after_the_other() -> None:
    scene, asked = scene_of("0", "1")
    scene.tell(1, "1", "yes")
    assert (asked.collect(0.0), asked.waiting) == ({"1": ["yes"]}, {"0"})
    scene.tell(0, "0", "also")
    assert (asked.collect(0.0), asked.waiting) == ({"0": ["also"]}, frozenset())


def test_a_copy_of_a_task_tells_nothing_more() -> None:
    scene, asked = scene_of("0")
    scene.tell(0, "0", "first")
    scene.tell(0, "0", "copy")
    assert asked.collect(0.0) == {"0": ["first"]}


@pytest.mark.usefixtures("at_once")
def test_an_executor_that_no_task_reached_is_asked_again_until_it_answers() -> None:
    scene, asked = scene_of("0", "1")
    scene.tell(0, "0", "yes")
    scene.tell(1, "0", "brought here")
    assert asked.collect(0.0) == {"0": ["yes", "brought here"]}
    scene.futures[0].done = True
    asked.collect(0.0)
    assert scene.asked[1:] == [[(1, "1", True)]]
    scene.futures[1].done = True  # it was brought elsewhere again, and said nothing
    asked.collect(0.0)
    assert scene.asked[2:] == [[(1, "1", True)]]
    scene.tell(1, "1", "free now")
    assert asked.collect(0.0) == {"1": ["free now"]}
    assert scene.futures[2].cancelled


@pytest.mark.usefixtures("at_once")
def test_an_executor_that_left_has_answered() -> None:
    scene, asked = scene_of("0")
    scene.tell(0, "other", "brought there")
    del scene.there["0"]
    scene.futures[0].done = True
    assert {w: str(*answers) for w, answers in asked.collect(0.0).items()} == {"0": "executor 0 went away"}


@pytest.mark.usefixtures("at_once")
def test_slots_of_a_job_that_failed_answer_with_its_failure() -> None:
    scene, asked = scene_of("0", "1")
    scene.tell(1, "1", "yes")
    assert asked.collect(0.0) == {"1": ["yes"]}
    scene.futures[0].done, scene.futures[0].why = True, "Python worker exited unexpectedly"
    assert {w: str(*answers) for w, answers in asked.collect(0.0).items()} == {"0": "Python worker exited unexpectedly"}
