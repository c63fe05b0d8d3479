"""What stays in a Python worker of Spark is kept out of sight of the garbage collector.

Spark's daemon collects garbage after every task, and each collection looks at every object there is: with the imports of a
program that is 30 to 50 ms of rest between two sub-tasks of a slot.
"""

from __future__ import annotations

import gc

from partitioner.attempt.job import KEPT_JOBS

_settled: list[str] = []


def settle(run_url: str) -> None:
    """After the first attempt of a run in this process, when its program is loaded: later collections pass over all of it.

    Programs that were kept for earlier runs and are dropped by now are looked at once more, so that none stays for ever.
    """
    if run_url in _settled:
        return
    _settled.append(run_url)
    if len(_settled) > KEPT_JOBS:
        gc.unfreeze()
        del _settled[:-KEPT_JOBS]
    gc.collect()
    gc.freeze()
