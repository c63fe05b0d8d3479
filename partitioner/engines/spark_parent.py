"""One process of this machine from which the Python daemons of all local executors are forked.

It imports, and builds the program where it may be, while the JVM and its executors start; so executors that share a machine
share one program. Spark starts a daemon as a child of an executor: that one only hands its pipes over, and stays until the
process that was forked in its place ends.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import warnings
from importlib import import_module
from typing import Any

from partitioner.engines.spark_names import JVM, PARENT

END_SECONDS = 5.0
"""The parent ends at once when it is told to; one that does not is killed."""

_LENGTH = struct.Struct("q")
_PIPES = 3


class Parent:
    """The parent, started by a driver whose executors run on this machine, until ``close``; ``path`` is its socket."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="partitioner-")  # nobody else may look into it
        self.path = f"{self._folder}/parent"
        known = {**os.environ, "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)}
        known.setdefault("OMP_NUM_THREADS", "1")  # threads of numeric libraries would not survive the fork
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path)
            listener.listen(64)  # who connects early waits until everything is loaded
            command = [sys.executable, "-m", __name__, str(listener.fileno())]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()], env=known, start_new_session=True
            )

    def close(self) -> None:
        """End it; what it forked lives on until Spark ends it."""
        assert self._process.stdin is not None, "made with a pipe"
        self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def replaced() -> bool:
    """In a daemon that Spark started: have one forked in its place, and stay until it ends; False where nobody does that."""
    path = os.environ.get(PARENT)
    if not path:
        return False
    told = {
        "environment": {**os.environ, JVM: str(os.getppid())},
        "argv": sys.argv,
        "path": sys.path,
        "directory": os.getcwd(),
    }
    data = json.dumps(told).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
            socket.send_fds(connection, [_LENGTH.pack(len(data))], range(_PIPES))
            connection.sendall(data)
            process = _LENGTH.unpack(_exactly(connection, _LENGTH.size))[0]
        except OSError:  # the parent is gone, or was never there
            return False
        signal.signal(signal.SIGTERM, lambda *_: os.kill(process, signal.SIGTERM))
        while connection.recv(1):
            pass
    return True


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = connection.recv(count - len(found))
        if not more:
            raise ConnectionError("the other end is gone")
        found += more
    return found


def serve(listener: socket.socket) -> None:
    """Fork a daemon for everybody who connects, until standard input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    awaited: list[Any] = [0, listener]
    while True:
        ready, _, _ = select.select(awaited, [], [])
        if 0 in ready:
            return
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            _daemon(connection)
        connection.close()


def _daemon(connection: socket.socket) -> None:
    """In a forked process: take the place of the one that connected, which knows that it lives by the connection."""
    code = 1
    try:
        told = _take_over(connection)
        connection.sendall(_LENGTH.pack(os.getpid()))
        os.environ.clear()
        os.environ.update(told["environment"])
        os.chdir(told["directory"])
        sys.argv[:], sys.path[:] = told["argv"], told["path"]
        from pyspark.daemon import manager

        manager()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        os._exit(code)


def _take_over(connection: socket.socket) -> Any:
    """Its pipes become the standard ones; what it told of itself."""
    header, pipes, _, _ = socket.recv_fds(connection, _LENGTH.size, _PIPES)
    for number, pipe in enumerate(pipes):
        os.dup2(pipe, number)
        os.close(pipe)
    return json.loads(_exactly(connection, _LENGTH.unpack(header)[0]))


def load() -> None:
    """Import what every worker needs, and build the program where it may be."""
    import connectors.parquet  # noqa: F401
    import partitioner.attempt.run
    import partitioner.engines.spark_task  # noqa: F401
    from partitioner.attempt import garbage
    from partitioner.engines import preload

    preload.found = preload.load_here()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # pyspark's about pandas 3: only Arrow paths are used
        import_module("pyspark.worker")  # what Spark itself has every worker import
    garbage.worker()
    garbage.settle()  # a collection in a forked worker would write to every page that it shares with the others


if __name__ == "__main__":
    from partitioner.engines import spark_parent

    spark_parent.load()
    with socket.socket(fileno=int(sys.argv[1])) as own:
        spark_parent.serve(own)
