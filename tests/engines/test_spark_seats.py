"""Seats of rounds on Spark: letters that are read once, partitions that stay, and what becomes of a seat's attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from partitioner.engines import spark_letters
from partitioner.engines.spark_executors import Executor
from partitioner.engines.spark_letters import Letters
from partitioner.engines.spark_seat import seat_id
from partitioner.engines.spark_seats import Seats
from partitioner.errors import Tampered
from partitioner.model import Attempt, Event, EventKind

KEY = bytes(32)
EXECUTORS = {"0": Executor("0", "h", 2, {}), "1": Executor("1", "h", 1, {})}


def attempt(task: int, worker: str = "0", number: int = 0, run_url: str = "", **demands: Any) -> Attempt:
    return Attempt(f"t{task}", task, number, worker, run_url, key=KEY, round=number, **demands)


@pytest.fixture
def letters(tmp_path: Path) -> Letters:
    return Letters(str(tmp_path), KEY, "abcd")


def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_letters, "IDLE_SECONDS", -1.0)


def test_a_letter_is_read_once_and_then_known_to_be_taken(letters: Letters) -> None:
    assert letters.post(3, 0, [attempt(7)])
    assert not letters.taken(3, 0)
    assert letters.next(3, 0) == [attempt(7)]
    assert letters.taken(3, 0)


def test_a_seat_that_waited_long_enough_leaves_and_gets_no_letter(letters: Letters, monkeypatch) -> None:
    letters.post(3, 0, [attempt(7)])
    letters.next(3, 0)
    no_wait(monkeypatch)
    assert letters.next(3, 1) is None
    assert not letters.post(3, 1, [attempt(8)])


def test_a_letter_that_is_there_before_the_seat_is_read(letters: Letters, monkeypatch) -> None:
    no_wait(monkeypatch)
    letters.post(3, 0, [attempt(7), attempt(8)])
    assert letters.next(3, 0) == [attempt(7), attempt(8)]


def test_a_dismissed_seat_reads_an_empty_letter(letters: Letters) -> None:
    letters.post(3, 0, [attempt(7)])
    letters.next(3, 0)
    letters.dismiss(3, 1)
    assert letters.next(3, 1) == []


def test_a_seat_does_not_bring_a_removed_run_back(tmp_path: Path, monkeypatch) -> None:
    gone = tmp_path / "gone"
    letters = Letters(str(gone), KEY, "abcd")
    no_wait(monkeypatch)
    assert letters.next(0, 0) is None
    letters.dismiss(0, 0)
    assert not gone.exists()


def test_a_wait_looks_less_often_the_longer_it_lasts(letters: Letters) -> None:
    assert [spark_letters.pause(waited) for waited in (0.0, 0.5, 60.0)] == [0.001, 0.01, 0.05]


def test_answers_arrive_and_are_taken_once(letters: Letters, tmp_path: Path) -> None:
    ended = Event(EventKind.FINISHED, "t7-a0", "0")
    assert not letters.arrived()(3, 0, 1)
    letters.answer(3, 0, 1, ended)
    assert letters.arrived()(3, 0, 1)
    assert letters.take(3, 0, 1) == ended
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_letter_of_somebody_else_is_refused(letters: Letters, tmp_path: Path) -> None:
    Letters(str(tmp_path), bytes(31) + b"1", "abcd").post(3, 0, [attempt(7)])
    with pytest.raises(Tampered, match="00003-000000"):
        letters.next(3, 0)


@dataclass
class Future:
    done: bool = False

    def isDone(self) -> bool:
        return self.done

    def get(self) -> int:
        return 0


@dataclass
class Jobs:
    """What was asked of Spark: numbers of the seats, and the executors that they prefer."""

    began: list[tuple[list[int], list[str]]] = field(default_factory=list)
    futures: list[Future] = field(default_factory=list)

    def begin(self, items: Sequence[int], where: Sequence[Any], run: Any, demand: Any, text: str) -> Future:
        self.began.append((list(items), [executor.executor_id for executor in where]))
        self.futures.append(Future())
        return self.futures[-1]


@dataclass
class Scene:
    """Seats with the letters that they write, read here in place of executors."""

    seats: Seats
    jobs: Jobs
    letters: Letters

    def take(self, seat: int, number: int) -> list[str]:
        """The attempts of a letter, as the seat reads them."""
        return [a.attempt_id for a in self.letters.next(seat, number) or ()]

    def finish(self, seat: int, number: int, i: int, name: str) -> None:
        self.letters.answer(seat, number, i, Event(EventKind.FINISHED, name, "0"))

    def lost(self, seat: int) -> list[tuple[str, str]]:
        return kinds(self.seats.lost(seat_id(self.letters._files.url.rpartition("/")[2], seat)))


def kinds(events: Sequence[Event] | None) -> list[tuple[str, str]]:
    assert events is not None
    return [(e.attempt_id, str(e.kind)) for e in events]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    jobs = Jobs()
    seats = Seats(jobs, None, str(tmp_path), KEY)  # type: ignore[arg-type]
    return Scene(seats, jobs, seats._letters)


def test_a_worker_gets_a_seat_per_core_and_each_partition_stays_where_it_was(scene: Scene) -> None:
    scene.seats.post([attempt(0), attempt(1), attempt(2), attempt(3, "1")], EXECUTORS)
    assert scene.jobs.began == [([0, 1, 2], ["0", "0", "1"])]
    assert [scene.take(seat, 0) for seat in range(3)] == [["t0-a0", "t2-a0"], ["t1-a0"], ["t3-a0"]]
    scene.seats.post([attempt(3, "1", 1), attempt(2, number=1), attempt(1, number=1), attempt(0, number=1)], EXECUTORS)
    assert [scene.take(seat, 1) for seat in range(3)] == [["t2-a1", "t0-a1"], ["t1-a1"], ["t3-a1"]]
    assert len(scene.jobs.began) == 1


def test_attempts_of_two_cores_have_seats_of_two_cores(scene: Scene) -> None:
    scene.seats.post([attempt(0, cpus=2.0), attempt(1, cpus=2.0)], EXECUTORS)
    assert scene.jobs.began == [([0], ["0"])]


def test_answers_come_in_the_order_of_the_letter(scene: Scene) -> None:
    scene.seats.post([attempt(0, "1"), attempt(1, "1")], EXECUTORS)
    scene.take(0, 0)
    scene.finish(0, 0, 1, "t1-a0")
    assert scene.seats.answers() == []
    scene.finish(0, 0, 0, "t0-a0")
    assert kinds(scene.seats.answers()) == [("t0-a0", "finished"), ("t1-a0", "finished")]
    assert not scene.seats.busy


def test_a_seat_that_left_is_followed_by_another_that_keeps_its_partitions(scene: Scene, monkeypatch) -> None:
    scene.seats.post([attempt(0, "1")], EXECUTORS)
    scene.take(0, 0)
    scene.finish(0, 0, 0, "t0-a0")
    scene.seats.answers()
    no_wait(monkeypatch)
    assert scene.letters.next(0, 1) is None
    scene.seats.post([attempt(0, "1", 1)], EXECUTORS)
    assert scene.jobs.began == [([0], ["1"]), ([1], ["1"])]
    assert scene.take(1, 0) == ["t0-a1"]


def test_of_a_dead_seat_the_attempt_that_ran_is_lost_and_the_others_wait_again(scene: Scene) -> None:
    scene.seats.post([attempt(0, "1"), attempt(1, "1"), attempt(2, "1")], EXECUTORS)
    scene.take(0, 0)
    scene.finish(0, 0, 0, "t0-a0")
    assert scene.lost(0) == [
        ("t0-a0", "finished"),
        ("t1-a0", "started"),
        ("t1-a0", "lost"),
        ("t2-a0", "cancelled"),
    ]
    assert scene.lost(0) == []


def test_a_seat_that_died_before_it_read_its_letter_blames_no_attempt(scene: Scene) -> None:
    scene.seats.post([attempt(0, "1")], EXECUTORS)
    assert scene.lost(0) == [("t0-a0", "cancelled")]


def test_a_job_that_ends_with_work_left_says_so(scene: Scene) -> None:
    scene.seats.post([attempt(0, "1"), attempt(1, "1")], EXECUTORS)
    scene.take(0, 0)
    scene.jobs.futures[0].done = True
    (job,) = scene.seats.done()
    assert kinds(scene.seats.ended(job)) == [("t0-a0", "failed"), ("t1-a0", "cancelled")]
    assert scene.seats.done() == []


def test_an_event_of_no_seat_is_somebody_elses(scene: Scene) -> None:
    assert scene.seats.lost("run/1/t0-a0") is None
