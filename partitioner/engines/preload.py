"""Load once per machine, fork per slot: a server process imports and builds the program, workers are forked from it.

What forbids it is found out: building the program in the server must start no thread, open no socket, initialise no CUDA,
and a forked child must be able to put the first row through it in time. Else the server starts anew with the imports alone.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from typing import Any

from partitioner.errors import ConfigError, ProgramError

VARIABLE = "PARTITIONER_PRELOAD"
"""Environment variable with the run directory whose program a server process builds before it forks."""

CHECK_SECONDS = 60.0
"""A forked child that has not answered by then hangs in a lock that a thread of its parent held."""

SERVER_MODULES = ["partitioner.engines.preloaded"]


found = "nothing was built before the fork"
"""In a server process and those forked from it: why a fork is unsound; empty if it is not."""


@contextmanager
def wanted(run_url: str | None) -> Iterator[None]:
    """Engines that are started in the block load the program of this run once per machine; None for as they are."""
    if run_url is None:
        yield
        return
    os.environ[VARIABLE] = run_url
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)


def build_here(beside: str = "") -> str:
    """In a server process: build the program that the environment names, and import the module ``beside`` meanwhile.

    Why a fork is unsound then; empty if it is not.
    """
    url = os.environ.get(VARIABLE)
    if not url:
        with _importing(beside):
            return "nothing to build"
    from partitioner.attempt.job import build_before_fork

    threads, sockets = _threads(), _sockets()
    try:
        with _importing(beside):
            build_before_fork(url)
    except (ProgramError, ConfigError) as error:
        return f"the program cannot be built: {error}"
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return "it initialises CUDA"
    if _threads() > threads:
        return f"it starts {_threads() - threads} threads"
    if _sockets() > sockets:
        return f"it opens {_sockets() - sockets} connections"
    return ""


@contextmanager
def _importing(module: str) -> Iterator[None]:
    """Import a module in a thread, which has ended afterwards; none where no name is given."""
    if not module:
        yield
        return
    thread = threading.Thread(target=importlib.import_module, args=(module,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        while os.path.exists(f"/proc/self/task/{thread.native_id}"):  # the system needs a moment longer to end it
            time.sleep(0.001)


def _threads() -> int:
    return len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else threading.active_count()


def _sockets() -> int:
    if not os.path.isdir("/proc/self/fd"):
        return 0
    links = (_link(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd"))
    return sum(link.startswith("socket:") for link in links)


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:  # closed since it was listed
        return ""


@contextmanager
def fork_server() -> Iterator[str]:
    """For clusters started in the block: processes are forked from a server. Gives why the program is not in it, or "".

    The server of this process is started anew, and stopped at the end: it holds one program.
    """
    import dask
    from distributed.utils import get_mp_context

    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        _begin_server()
        get_mp_context()  # imports what Dask would have the server import, and sets that list: meanwhile ours builds
        reason = _checked_in_a_child()
        if reason:
            os.environ.pop(VARIABLE, None)
            _begin_server()
        yield reason


def _begin_server() -> None:
    """Start the fork server of this process anew; it imports and builds by itself."""
    stop_server()
    multiprocessing.get_context("forkserver").set_forkserver_preload(SERVER_MODULES)
    forkserver.ensure_running()


def stop_server() -> None:
    """End the fork server of this process; processes forked from it must have ended."""
    forkserver._forkserver._stop()  # type: ignore[attr-defined]


def _checked_in_a_child() -> str:
    context = multiprocessing.get_context("forkserver")
    theirs, ours = context.Pipe()
    child = context.Process(target=_say, args=(theirs,), daemon=True)
    child.start()
    theirs.close()
    try:
        answer = ours.recv() if ours.poll(CHECK_SECONDS) else f"a forked child did not answer in {CHECK_SECONDS:g} s"
    except EOFError:
        answer = "a forked child died"
    child.kill()
    child.join()
    return str(answer)


def _say(answer: Any) -> None:
    """In a forked child: what the server found, once the numeric libraries have worked here."""
    import numpy as np

    _ = np.ones((64, 64)) @ np.ones((64, 64))
    answer.send(found)
