"""A driver process that kills itself with SIGKILL at a moment given by name: ``python dying_driver.py SETTINGS MOMENT N``.

The serial engine runs attempts in the driver, so that every moment of an attempt is a moment of this process too. Moments:
``before_commit``, ``after_commit`` (the file is there, the record is not), ``after_record`` of the N-th sub-task, and
``before_manifest``, ``before_success`` of the run. With ``:merge`` behind the first two, of the N-th merge.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import partitioner as pt
from connectors.parquet_sink import ParquetSink
from connectors.value_sink import ValueSink
from partitioner.storage import Directory
from partitioner.store.run_directory import RunDirectory

SINKS = {"": ParquetSink, "merge": ValueSink}
MOMENTS = ("before_commit", "after_commit", "after_record", "before_manifest", "before_success")


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(owner: type, name: str, count: int, before: bool, when: Callable[..., bool] = lambda *_: True) -> None:
    """Die before or after the ``count``-th call of a method for which ``when`` holds."""
    original, calls = getattr(owner, name), [0]

    def counted(self: Any, *args: Any) -> Any:
        calls[0] += when(*args)
        if before and calls[0] == count and when(*args):
            die()
        result = original(self, *args)
        if not before and calls[0] == count and when(*args):
            die()
        return result

    setattr(owner, name, counted)


def arm(moment: str, count: int) -> None:
    if moment.startswith(("before_commit", "after_commit")):
        at_call(SINKS[moment.partition(":")[2]], "commit", count, before=moment.startswith("before_commit"))
    elif moment == "after_record":
        at_call(RunDirectory, "commit", count, before=False)
    elif moment in ("before_manifest", "before_success"):
        verb, name = {"before_manifest": ("put_pieces", "_manifest.json"), "before_success": ("put", "_SUCCESS")}[
            moment
        ]
        at_call(Directory, verb, 1, before=True, when=lambda key, *_: key == name)


if __name__ == "__main__":
    arm(sys.argv[2], int(sys.argv[3]))
    pt.run(**json.loads(sys.argv[1]))
