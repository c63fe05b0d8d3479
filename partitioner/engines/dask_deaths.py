"""What became of workers that are gone, asked of the scheduler, and the end of a process that hangs."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from typing import Any

from distributed import Client, Nanny, SpecCluster, Status
from distributed.client import ClosedClientError

UNREACHABLE = (OSError, TimeoutError, ClosedClientError)
"""What a client raises whose scheduler does not answer."""


def known(client: Client) -> dict[str, dict[str, Any]] | None:
    """What the scheduler says of its workers, by address; None where it does not answer now.

    ``Client.scheduler_info`` gives what any thread asked last: every two seconds the client itself asks, for none of the
    workers, and who looked at that moment saw all of them gone. ConnectionError from a client that has lost its scheduler.
    """
    found: dict[str, dict[str, Any]] | None = client.sync(_asked, client)
    return found


async def _asked(client: Client) -> dict[str, dict[str, Any]] | None:
    if client.status not in ("running", "connecting") or client.scheduler is None:
        raise ConnectionError("the connection is lost")
    with contextlib.suppress(OSError):
        return dict((await client.scheduler.identity(n_workers=-1))["workers"])
    return None


RETIRED = "its worker left in an orderly way (retired, scaled down or preempted)"
NEIGHBOUR = "its process was ended because of another sub-task in it"


def blamed(client: Client, keys: Sequence[str]) -> set[str]:
    """Of tasks whose worker is gone, those that Dask holds to have died with it; of the others the worker left in order.

    All of them where the scheduler does not say.
    """
    with contextlib.suppress(ValueError, *UNREACHABLE):
        found: dict[str, int] = client.run_on_scheduler(_suspicious, list(keys))
        return {key for key in keys if found.get(key, 1)}
    return set(keys)


_BEFORE = {Status.init, Status.starting, Status.running}
_NOT_YET = {Status.init, Status.starting, Status.stopping, Status.stopped}


def starting(cluster: Any) -> int:
    """Workers whose nannies, which live in this process, are starting them, at first or again; 0 of any other cluster.

    A nanny whose process failed to start closes, and counts no more.
    """
    if not isinstance(cluster, SpecCluster):
        return 0
    alive = [n for n in list(cluster.workers.values()) if isinstance(n, Nanny) and n.status in _BEFORE]
    return sum(nanny.process is None or nanny.process.status in _NOT_YET for nanny in alive)


def _suspicious(keys: list[str], dask_scheduler: Any = None) -> dict[str, int]:
    """Runs on the scheduler: how often each task was running when a worker went away unexpectedly."""
    return {key: dask_scheduler.tasks[key].suspicious for key in keys if key in dask_scheduler.tasks}


def kill(client: Client, addresses: Sequence[str]) -> None:
    """End the processes of some workers, by their nannies where they have one, which start new ones."""
    with contextlib.suppress(ValueError, *UNREACHABLE):  # the next poll says that the scheduler is gone
        nannies = {a for a, info in (known(client) or {}).items() if info.get("nanny")}
        guarded = [a for a in addresses if a in nannies]
        alone = [a for a in addresses if a not in nannies]
        if guarded:
            client.run(_kill_from_nanny, workers=guarded, nanny=True, on_error="ignore")
        if alone:
            client.run(_kill_itself, workers=alone, wait=False)


def _kill_from_nanny(dask_worker: Any = None) -> None:
    """Runs in the nanny, which a hanging worker cannot hold up."""
    if dask_worker.pid is not None:
        os.kill(dask_worker.pid, signal.SIGKILL)


def _kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
