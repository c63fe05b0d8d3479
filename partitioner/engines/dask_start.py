"""A client: of a local cluster, which starts although a worker process dies while it does, or of what the caller has."""

from __future__ import annotations

from typing import Any

from distributed import Client, LocalCluster
from distributed.deploy.cluster import Cluster

from partitioner.errors import ConfigError, EngineLost
from partitioner.interrupts import held_back

STARTS = 3
"""Times that a cluster is started: a process that was killed once, for memory say, may live the next time."""


def started(**options: Any) -> LocalCluster:
    """A ``LocalCluster`` of these options. Raises EngineLost where its worker processes die each time."""
    for left in reversed(range(STARTS)):
        try:
            with held_back():
                return LocalCluster(**options)
        except RuntimeError as error:  # what a nanny says whose process ended before it was a worker
            if not left:
                raise EngineLost(
                    f"no cluster of {options['n_workers']} Dask workers could be started here in {STARTS} tries: their "
                    f"processes ended at once ({error}). Where they were killed for memory, ask for fewer workers."
                ) from error
        except TimeoutError as error:  # on a machine under heavy load
            if not left:
                raise EngineLost(
                    f"no cluster of {options['n_workers']} Dask workers could be started here in {STARTS} tries: their "
                    "processes did not come up in time. See what else loads this machine, or ask for fewer workers."
                ) from error
    raise AssertionError("the last try returns or raises")


def connected(address: str, timeout: float) -> Client:
    """A client of the scheduler at ``address``. Raises EngineLost where none answers within ``timeout`` seconds."""
    try:
        return Client(address, timeout=timeout)
    except (OSError, TimeoutError, ValueError) as error:
        raise EngineLost(
            f"no Dask scheduler answers at {address!r} within {timeout:g} s ({error}). "
            "Check the address, or leave it out to start a local cluster."
        ) from error


def client_of(given: Any) -> Client:
    """The caller's client, or one of the caller's cluster. ConfigError for what is closed or lives in an event loop."""
    if not isinstance(given, Client | Cluster):
        raise ConfigError(
            f"engine is {type(given).__module__}.{type(given).__qualname__}; of Dask give a Client, a cluster or an address."
        )
    what = "client" if isinstance(given, Client) else "cluster"
    if given.asynchronous:
        address = given.scheduler_info()["address"] if isinstance(given, Client) else given.scheduler_address
        raise ConfigError(
            f"the Dask {what} given is asynchronous: it answers only within its event loop, which a run would block. "
            f"Give its address, {address!r}, and call the run in a thread: "
            "await asyncio.to_thread(pt.run, ...)."
        )
    if isinstance(given, Client):
        if given.status not in ("running", "connecting"):
            raise ConfigError(f"the Dask client given is {given.status}; make another, or give engine='dask'.")
        return given
    if given.status.name != "running":
        raise ConfigError(f"the Dask cluster given is {given.status.name}; start another, or give engine='dask'.")
    return Client(given)
