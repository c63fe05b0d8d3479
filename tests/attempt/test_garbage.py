"""What a worker has loaded is out of sight of its collector, what it drops is not, and no process of a user is touched."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from partitioner.attempt import garbage, job


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in (("_driver", False), ("_worker", False), ("_modules", 0), ("_built", 0)):
        monkeypatch.setattr(garbage, name, value)
    monkeypatch.setattr(job, "_built", 0)
    yield
    gc.unfreeze()


class Model:
    """With a cycle, which only the collector ends."""

    def __init__(self) -> None:
        self.me = self


def test_what_is_there_goes_out_of_sight_once_and_what_comes_later_does_not() -> None:
    garbage.worker()
    garbage.settle()
    frozen = gc.get_freeze_count()
    assert frozen > 1000
    kept = [Model() for _ in range(2000)]
    garbage.settle()
    assert gc.get_freeze_count() <= frozen + 1000 < frozen + len(kept)


def test_a_program_built_since_goes_out_of_sight_too(monkeypatch: pytest.MonkeyPatch) -> None:
    garbage.worker()
    garbage.settle()
    frozen, kept = gc.get_freeze_count(), [Model() for _ in range(2000)]
    monkeypatch.setattr(job, "_built", 1)
    garbage.settle()
    assert gc.get_freeze_count() >= frozen + len(kept)


def test_many_modules_imported_since_go_out_of_sight_too(monkeypatch: pytest.MonkeyPatch) -> None:
    garbage.worker()
    garbage.settle()
    frozen, kept = gc.get_freeze_count(), [Model() for _ in range(2000)]
    monkeypatch.setattr(garbage, "_modules", len(sys.modules) // 2)
    garbage.settle()
    assert gc.get_freeze_count() >= frozen + len(kept)


def test_a_program_of_an_earlier_run_that_was_dropped_is_freed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    garbage.worker()
    model = Model()
    gone = weakref.ref(model)
    monkeypatch.setattr(job, "_built", 1)
    garbage.settle()
    del model
    gc.collect()
    assert gone() is not None
    monkeypatch.setattr(job, "_built", 2)
    garbage.settle()
    assert gone() is None


@pytest.mark.parametrize("known", [(), (garbage.worker, garbage.driver)])
def test_a_process_of_a_user_stays_as_it_is(known: tuple[object, ...]) -> None:
    for say in known:
        say()  # type: ignore[operator]
    before = gc.get_freeze_count()
    garbage.settle()
    assert gc.get_freeze_count() == before


def test_workers_of_a_cluster_are_settled_before_their_first_sub_task(tmp_path: Path) -> None:
    script = tmp_path / "job.py"
    script.write_text(
        "import gc, partitioner as pt\n"
        "def frozen(batch):\n"
        "    return [{'frozen': gc.get_freeze_count()} for _ in range(len(batch))]\n"
        "if __name__ == '__main__':\n"
        "    run = pt.run(list(range(4)), frozen, engine={'engine': 'dask', 'workers': 2}, checkpoint='runs',\n"
        "                 report=False, progress=False)\n"
        "    print(min(run.result.to_pandas()['frozen']), gc.get_freeze_count())\n"
    )
    said = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True)
    on_workers, here = map(int, said.stdout.split()[-2:])
    assert on_workers > 10_000
    assert here == 0
