"""The executors that a Spark session on this machine would have, from its master and settings alone."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from partitioner.engines.spark_executors import Executor, look_around, workers_of
from partitioner.engines.spark_session import DEFAULT_MASTER, will_start
from partitioner.model import Workers

LOCAL = re.compile(r"local(?:\[(\*|\d+)(?:,\d+)?\])?")
CLUSTER = re.compile(r"local-cluster\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\]")
_AMOUNT = re.compile(r"spark\.executor\.resource\.(.+)\.amount")


def expected(options: Mapping[str, Any]) -> Workers | None:
    """The workers of an engine built with ``options``; None where a session or a cluster that runs must be asked."""
    conf = {name: str(value) for name, value in dict(options.get("conf") or {}).items()}
    master = options.get("master") or conf.get("spark.master") or DEFAULT_MASTER
    if not will_start(options.get("session")):
        return None
    speeds = options.get("speeds")
    return on_this_machine(master, conf, speeds if isinstance(speeds, Mapping) else {})


def on_this_machine(
    master: str, conf: Mapping[str, str], declared: Mapping[str, float] | None = None
) -> Workers | None:
    """The workers of a session with this master and settings; None where the master is a cluster's."""
    executors = _executors(master, conf)
    if not executors:
        return None
    looks = {name: look_around(False) for name in executors}
    return Workers.of(workers_of(executors, looks, {"spark.master": master, **conf}.get, declared or {}))


def _executors(master: str, conf: Mapping[str, str]) -> dict[str, Executor]:
    """By id as Spark numbers them: one, the driver, in local mode; none where the master is a cluster's."""
    devices = {m[1]: int(float(amount)) for name, amount in conf.items() if (m := _AMOUNT.fullmatch(name))}
    if cluster := CLUSTER.fullmatch(master):
        count, cores = int(cluster[1]), int(cluster[2])
        return {str(i): Executor(str(i), "127.0.0.1", cores, devices) for i in range(count)}
    if local := LOCAL.fullmatch(master):
        cores = (os.cpu_count() or 1) if local[1] == "*" else int(local[1] or 1)
        return {"driver": Executor("driver", "127.0.0.1", cores, {})}
    return {}
