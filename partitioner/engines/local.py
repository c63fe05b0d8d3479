"""Slots where there is no cluster: processes of this machine, for the pilot of a plan."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import cloudpickle

from partitioner.errors import EngineLost


class LocalProcesses:
    """``count`` fresh Python processes, one slot each, from entering to leaving; they import no main module, so scripts
    need no guard.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._slots: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> LocalProcesses:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)}
        command = [sys.executable, "-m", "partitioner.engines.local_slot"]
        self._slots = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
            )
            for _ in range(self._count)
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for slot in self._slots:
            slot.kill()
            slot.wait()
            for pipe in (slot.stdin, slot.stdout):
                if pipe is not None:
                    pipe.close()

    @property
    def slots(self) -> dict[str, int]:
        """One slot on each process."""
        return {f"process-{i}": 1 for i in range(self._count)}

    def call_slots(self, function: Callable[..., Any], slots: Mapping[str, int], *args: Any) -> dict[str, list[Any]]:
        """See ``Engine.call_slots``; a process that ended answers with EngineLost."""
        chosen = [int(name.rpartition("-")[2]) for name, count in slots.items() if count]
        asked = [self._ask(i, (function, (k, len(chosen), *args))) for k, i in enumerate(chosen)]
        return {f"process-{i}": [self._answer(i) if sent else _ended()] for i, sent in zip(chosen, asked, strict=True)}

    def _ask(self, i: int, call: Any) -> bool:
        pipe = self._slots[i].stdin
        assert pipe is not None, "made with a pipe"
        try:
            pipe.write(cloudpickle.dumps(call))
            pipe.flush()
        except OSError:
            return False
        return True

    def _answer(self, i: int) -> Any:
        pipe = self._slots[i].stdout
        assert pipe is not None, "made with a pipe"
        try:
            return pickle.load(pipe)
        except (EOFError, pickle.UnpicklingError):
            return _ended()


def _ended() -> EngineLost:
    return EngineLost("the process ended")
