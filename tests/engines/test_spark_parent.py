"""What Spark's Python daemons of one machine are forked from: real processes, and a test in the place of Spark."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from partitioner.engines.spark_names import JVM, PARENT
from partitioner.engines.spark_parent import Parent
from partitioner.engines.spark_place import executor_id
from tests.chaos.scene import wait_until


@pytest.fixture
def parent() -> Iterator[Parent]:
    started = Parent()
    yield started
    started.close()


def daemon(path: str, folder: Path) -> subprocess.Popen[bytes]:
    """As an executor starts it."""
    command = [sys.executable, "-m", "partitioner.engines.spark_daemon", "pyspark.worker"]
    known = {**os.environ, PARENT: path, "PYTHON_WORKER_FACTORY_SECRET": "secret", "PYTHONPATH": os.getcwd()}
    return subprocess.Popen(command, cwd=folder, env=known, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def serving(process: subprocess.Popen[bytes]) -> int:
    """The process that forks a worker when somebody connects, as Spark asks for one."""
    (port,) = struct.unpack("!i", _read(process.stdout, 4))
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as told:
        (pid,) = struct.unpack("!i", _read(told, 4))
        found = parent_of(pid)
        connection.sendall(struct.pack("!i", 5) + b"wrong")  # not the secret, so the worker leaves
    return found


def _read(pipe: IO[bytes] | None, count: int) -> bytes:
    assert pipe is not None
    return pipe.read(count)


def end(process: subprocess.Popen[bytes]) -> None:
    """As an executor ends it: its input ends."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.stdout.close()
    process.wait(60)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_daemons_are_forked_from_it_and_end_when_spark_says_so(parent: Parent, tmp_path: Path) -> None:
    both = [daemon(parent.path, tmp_path) for _ in range(2)]
    found = [serving(process) for process in both]
    assert len(set(found)) == 2
    assert [parent_of(pid) for pid in found] == [parent._process.pid] * 2
    assert {os.readlink(f"/proc/{pid}/cwd") for pid in found} == {str(tmp_path)}
    for process in both:
        end(process)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in found))


def test_a_daemon_stands_for_itself_where_the_parent_is_gone(tmp_path: Path) -> None:
    process = daemon(str(tmp_path / "nobody"), tmp_path)
    assert serving(process) == process.pid
    end(process)


def test_it_ends_with_the_driver() -> None:
    begin = "import os; from partitioner.engines.spark_parent import Parent; pid = Parent()._process.pid; "
    code = begin + "print(pid, flush=True); os._exit(0)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    wait_until(lambda: not Path(f"/proc/{int(found.stdout)}").exists())


def test_a_worker_forked_elsewhere_knows_its_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    sleeper = [sys.executable, "-c", "input()", "--executor-id", "7", "--cores", "1"]
    with subprocess.Popen(sleeper, stdin=subprocess.PIPE) as executor:
        monkeypatch.setenv(JVM, str(executor.pid))
        executor_id.cache_clear()
        try:
            wait_until(lambda: executor_id.__wrapped__() is not None)
            assert executor_id() == "7"
        finally:
            executor_id.cache_clear()
            executor.kill()
