"""Load once per machine, fork per slot: a server process imports and builds the program, workers are forked from it.

What forbids it is found out: building the program in the server must start no thread, open no socket, initialise no CUDA,
and a forked child must be able to compute. Else the server begins anew, without the program, before it forks any worker; so
nobody waits for the check, and what starts workers goes on meanwhile.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from partitioner.errors import ConfigError

VARIABLE = "PARTITIONER_PRELOAD"
"""Environment variable with the run directory whose program a server process builds before it forks."""

FORMAT = "PARTITIONER_PRELOAD_FORMAT"
"""Environment variable with the format of batches whose packages a server process imports before it forks."""

REASON = "PARTITIONER_PRELOAD_UNSOUND"
"""Environment variable of a server that began anew: why it holds no program."""

CHECK_SECONDS = 60.0
"""A forked child that has not computed by then hangs in a lock that a thread of its parent held."""

found: str | None = None
"""In a server process and those forked from it: why the program is not in it; empty where it is, None in other processes."""


@contextmanager
def wanted(run_url: str | None, batch_format: str = "") -> Iterator[None]:
    """Engines that are started in the block load the program of this run once per machine; None for what it needs alone."""
    told = {VARIABLE: run_url, FORMAT: batch_format}
    os.environ.update({name: value for name, value in told.items() if value})
    try:
        yield
    finally:
        for name in told:
            os.environ.pop(name, None)


def load_here(beside: str = "") -> str:
    """In a server process: ``build_here``; where a fork would be unsound the process begins anew, without the program."""
    if REASON in os.environ:
        build_here(beside)
        return os.environ.pop(REASON)
    reason = build_here(beside)
    if reason and VARIABLE in os.environ:
        del os.environ[VARIABLE]
        os.environ[REASON] = reason
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    return reason


def build_here(beside: str = "") -> str:
    """In a server process: build the program that the environment names, and import the module ``beside`` meanwhile.

    Why a fork is unsound then; empty if it is not.
    """
    url = os.environ.get(VARIABLE)
    if not url:
        with _importing(beside):
            _import_for(os.environ.get(FORMAT, ""))
            return "nothing to build"
    from partitioner.attempt.job import build_before_fork

    threads, sockets = _threads(), _sockets()
    try:
        with _importing(beside):
            build_before_fork(url)
    except (Exception, SystemExit) as error:  # told here as the reason, and by every worker as its own error
        return f"the program cannot be built: {type(error).__name__}: {error}"
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return "it initialises CUDA"
    if _threads() > threads:
        return f"it starts {_threads() - threads} threads"
    if _sockets() > sockets:
        return f"it opens {_sockets() - sockets} connections"
    return _checked_in_a_child()


def _import_for(batch_format: str) -> None:
    """What is missing is told by the first worker that needs it."""
    from partitioner.attempt.formats import import_for

    try:
        import_for(batch_format)
    except ConfigError as error:
        print(error, file=sys.stderr)


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


def _checked_in_a_child() -> str:
    """Why a forked child cannot compute, which is found out before anybody's worker is forked."""
    child = os.fork()
    if not child:
        _compute_and_leave()
    until = time.monotonic() + CHECK_SECONDS
    while time.monotonic() < until:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return "" if status == 0 else "a forked child died"
        time.sleep(0.001)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return f"a forked child did not compute within {CHECK_SECONDS:g} s"


def _compute_and_leave() -> None:
    """In a forked child: the numeric libraries work here."""
    code = 1
    try:
        import numpy as np

        code = 0 if float((np.ones((64, 64)) @ np.ones((64, 64)))[0, 0]) == 64.0 else 1
    finally:
        os._exit(code)
