"""One driver at a time: who holds a run, when it may be taken over, and what a replaced driver can still do."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.attempt.run import run_attempt
from partitioner.errors import LeaseLost, RunHeld, StorageFailed
from partitioner.model import Attempt, EventKind
from partitioner.storage import Directory
from partitioner.store import lease as leases
from partitioner.store.lease import Lease, holder, superseded
from tests import programs
from tests.chaos.scene import SIGKILL, Scene, wait_until

ELSEWHERE = {"epoch": 1, "host": "elsewhere", "machine": "other", "pid": 7, "started": 0.0, "since": "yesterday"}


@pytest.fixture
def run(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "run")


def held_elsewhere(run: Directory, lease_seconds: float) -> None:
    run.put("lease/000001.json", json.dumps({**ELSEWHERE, "lease_seconds": lease_seconds}).encode())
    run.put("lease/000001.beat", b"")


def test_a_second_driver_is_told_who_holds_the_run(run: Directory) -> None:
    with Lease(run), pytest.raises(RunHeld, match=r"being worked on by pid \d+ on \S+ since \S+ \(epoch 1, last heart"):
        Lease(run).__enter__()


def test_the_next_driver_has_the_next_epoch(run: Directory) -> None:
    with Lease(run) as first:
        assert first.epoch == 1
    assert holder(run) is None
    with Lease(run) as second:
        assert (first.epoch, second.epoch) == (1, 2)
    assert superseded(run, 1)
    assert not superseded(run, 2)


@pytest.mark.parametrize("trial", range(10))
def test_of_many_drivers_one_gets_the_lease(run: Directory, trial: int) -> None:
    gate, got = threading.Barrier(6), []

    def one() -> None:
        lease = Lease(run)
        gate.wait()
        try:
            got.append(lease.__enter__())
        except RunHeld:
            got.append(None)

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [lease for lease in got if lease is not None]
    winner.__exit__(None, None, None)


def test_a_driver_elsewhere_keeps_its_lease_while_it_beats(run: Directory) -> None:
    held_elsewhere(run, 60.0)
    with pytest.raises(RunHeld, match=r"pid 7 on elsewhere since yesterday .* Its lease ends \d+ s from now"):
        Lease(run, take_over=True).__enter__()


def test_a_driver_elsewhere_that_is_silent_is_replaced(run: Directory) -> None:
    held_elsewhere(run, 0.0)
    time.sleep(0.01)
    with Lease(run) as lease:
        assert lease.epoch == 2


def test_a_process_that_is_gone_from_this_machine_is_replaced_at_once(run: Directory) -> None:
    code = "import sys, os; from partitioner.store.lease import Lease; from partitioner.storage import Directory\n"
    code += "Lease(Directory(sys.argv[1])).__enter__(); os._exit(1)"
    subprocess.run([sys.executable, "-c", code, run.url], check=False, timeout=120)
    assert holder(run).alive is False  # type: ignore[union-attr]
    with Lease(run) as lease:
        assert lease.epoch == 2


def test_a_lease_that_this_process_could_not_give_back_is_no_hindrance_to_it(
    run: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageFailed("the disk is full")

    lease = Lease(run).__enter__()
    with monkeypatch.context() as patch:
        patch.setattr(Directory, "put", full)
        lease.__exit__(None, None, None)
    with Lease(run) as again:
        assert again.epoch == 2


def test_a_reboot_since_the_last_driver_is_noticed(run: Directory) -> None:
    with Lease(run) as first:
        assert not first.rebooted
    facts = json.loads(run.get("lease/000001.json"))
    with Lease(run) as second:
        assert not second.rebooted
    run.put("lease/000002.json", json.dumps({**facts, "machine": "another-boot pid:[1]"}).encode())
    with Lease(run) as third:
        assert third.rebooted


def test_a_process_number_that_another_process_has_now_is_no_sign_of_life(run: Directory) -> None:
    with Lease(run):
        facts = json.loads(run.get("lease/000001.json"))
    held = {**facts, "started": facts["started"] - 1000}
    run.delete("lease/000001.released")
    run.put("lease/000001.json", json.dumps(held).encode())
    assert holder(run).dead  # type: ignore[union-attr]


def test_one_that_runs_here_in_silence_is_taken_over_only_on_demand(
    run: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BEATS", 0.001)
    silent = Lease(run, seconds=0.01).__enter__()
    time.sleep(0.05)
    with pytest.raises(RunHeld, match=r"no sign of life for longer than its lease of 0\.01 s\. .* with --take-over"):
        Lease(run).__enter__()
    with Lease(run, take_over=True) as lease:
        assert lease.epoch == 2
        silent.check()
        with pytest.raises(
            LeaseLost, match=r"this driver \(epoch 1\) was replaced by another: pid \d+ on .* drives run"
        ):
            silent.check(now=True)
    silent._ended.set()


def test_a_heartbeat_notices_the_next_driver(run: Directory) -> None:
    with Lease(run, seconds=0.06) as lease:
        run.put("lease/000002.json", json.dumps({**ELSEWHERE, "epoch": 2}).encode())
        end = time.monotonic() + 60
        while not lease._lost:
            assert time.monotonic() < end
            time.sleep(0.005)
        with pytest.raises(LeaseLost):
            lease.check()
    assert not run.exists("lease/000001.released")


def test_a_torn_lease_goes_by_its_heartbeat(run: Directory) -> None:
    run.put("lease/000001.json", b"{")
    assert (holder(run).host, holder(run).alive) == ("unknown", None)  # type: ignore[union-attr]


def finished(home: Path) -> pt.Run:
    options: dict[str, Any] = {"cost": "rows", "max_tasks": 2, "min_tasks_per_slot": 2, "engine": "serial"}
    places = {"checkpoint": str(home / "runs"), "output": str(home / "out")}
    return pt.run(pa.table({"x": range(10)}), programs.double, progress=False, report=False, **options, **places)


def test_an_attempt_of_an_older_epoch_is_not_committed(tmp_path: Path) -> None:
    run = finished(tmp_path)
    Directory(run.url).put("lease/000002.json", b"{}")
    (tmp_path / "out" / "part-t000001.parquet").unlink()
    event = run_attempt(Attempt("t000001", 1, 5, "w", run.url, key=run.directory.key, epoch=1))
    assert (event.kind, event.error.type, event.error.fatal) == (EventKind.FAILED, "LeaseLost", True)
    assert "by a driver (epoch 1) that another one has replaced" in event.error.message
    assert not (tmp_path / "out" / "part-t000001.parquet").exists()


def test_an_output_that_is_being_written_names_the_driver_and_the_exit_code_is_6(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "scene", gated=True)
    first = scene.start_cli()
    wait_until(lambda: len(scene.committed()) >= 2)
    second = scene.start_cli()
    _, said = second.communicate(timeout=120)
    resumed = scene.resume()
    scene.open()
    _, trouble = first.communicate(timeout=120)
    assert first.returncode == 0, trouble
    assert second.returncode == 6
    assert f"is being written by run {scene.run.name}: pid {first.pid} on " in said
    assert resumed.returncode == 6
    assert f"RunHeld: run {scene.run.name} is being worked on by pid {first.pid} on " in resumed.stderr
    assert scene.executions_of_subtasks() == 8


def test_of_two_drivers_that_resume_at_once_one_works(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "scene")
    assert scene.start_dying("after_record", 3).wait(timeout=120) == -SIGKILL
    both = [subprocess.Popen(scene.resume_command(), stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        process.communicate(timeout=120)
    codes = sorted(process.returncode for process in both)
    assert codes in ([0, 6], [0, 0])  # the second may come after the first has ended
    assert scene.executions_of_subtasks() == 8
    assert (scene.home / "out" / "_SUCCESS").exists()


def test_a_driver_that_was_stopped_for_longer_than_its_lease_commits_nothing_more(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "scene", gated=True)
    first = scene.start_cli(settings={"lease_seconds": 0.5})
    wait_until(lambda: len(scene.committed()) >= 2)
    first.send_signal(signal.SIGSTOP)
    time.sleep(0.8)
    scene.open()
    done = scene.resume("--take-over")
    before = scene.output()
    first.send_signal(signal.SIGCONT)
    _, said = first.communicate(timeout=120)
    assert done.returncode == 0, done.stderr
    assert first.returncode == 6, said
    assert "LeaseLost: this driver (epoch 1) was replaced by another: it is done with run" in said
    assert "Traceback" not in said
    assert scene.output() == before
