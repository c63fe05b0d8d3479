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
    if not will_start(options.get("session")):
        return None
    speeds, conf = options.get("speeds"), _conf(options)
    return on_this_machine(_named(options) or DEFAULT_MASTER, conf, speeds if isinstance(speeds, Mapping) else {})


def assumed(options: Mapping[str, Any]) -> str:
    """Where a session built with ``options`` would be started, in words; empty where it runs elsewhere or is there."""
    if not will_start(options.get("session")):
        return ""
    named = _named(options)
    if named is not None:
        return f"a Spark session started on this machine ({named})" if _executors(named, _conf(options)) else ""
    return f"a Spark session started on this machine ({DEFAULT_MASTER}), for no session is there and no master is named"


def _named(options: Mapping[str, Any]) -> str | None:
    """The master that the options or the settings among them name."""
    named = options.get("master") or _conf(options).get("spark.master")
    return str(named) if named else None


def _conf(options: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in dict(options.get("conf") or {}).items()}


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
