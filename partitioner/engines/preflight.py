"""Before the first sub-task every worker proves that it can do its part; one sentence per failure."""

from __future__ import annotations

import importlib.metadata
import math
import secrets
import sys
from collections.abc import Mapping
from typing import Any

from partitioner.engines.base import Engine
from partitioner.errors import PreflightFailed
from partitioner.store.run_directory import RunDirectory

TOKEN = "preflight.token"
# A pickle or an Arrow file written by one of these is not always readable by another.
_MUST_AGREE = {"python": 2, "cloudpickle": 1, "pyarrow": 1, "numpy": 1, "batch-partitioner": 3}


def facts(run_url: str, key: bytes = b"") -> dict[str, Any]:
    """What a worker says of itself: versions, memory, the token it reads, and whether the program loads there."""
    import pickle

    import psutil

    found: dict[str, Any] = {
        "versions": versions(),
        "memory": psutil.virtual_memory().total,
        "token": None,
        "error": None,
    }
    run = RunDirectory(run_url, key)
    try:
        found["token"] = run.files.get(TOKEN).decode()
        pickle.loads(run.read_job())
    except FileNotFoundError:
        pass
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {error}"
    return found


def versions() -> dict[str, str]:
    """Versions of what driver and workers must agree on."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in _MUST_AGREE:
        if name != "python":
            found[name] = importlib.metadata.version(name)
    return found


def preflight(engine: Engine, run: RunDirectory) -> dict[str, Any]:
    """Check all workers; what each said. Raises PreflightFailed with one sentence per failure."""
    token = secrets.token_hex(8)
    run.files.put(TOKEN, token.encode())
    answers = engine.call(facts, run.url, run.key)
    claimed = dict(zip((table := engine.workers()).worker_id, table.memory_bytes.tolist(), strict=True))
    failures = [s for worker, answer in sorted(answers.items()) for s in _failures(worker, answer, token, run.url)]
    failures += [s for worker, answer in sorted(answers.items()) for s in _overclaims(worker, answer, claimed)]
    if engine.capabilities.real and not answers:
        failures.append("no worker answered; is the cluster running?")
    if failures:
        raise PreflightFailed("preflight failed before the first sub-task:\n- " + "\n- ".join(failures))
    return answers


def _failures(worker: str, answer: Any, token: str, url: str) -> list[str]:
    if isinstance(answer, BaseException):
        return [
            f"worker {worker} cannot run the check: {type(answer).__name__}: {answer}. "
            "Install batch-partitioner there in the driver's version."
        ]
    found = _disagreements(worker, answer["versions"])
    if answer["token"] != token:
        found.append(
            f"worker {worker} does not see the run directory {url}: "
            f"{'nothing' if answer['token'] is None else 'another token'} is there. "
            "Give checkpoint= a place that driver and workers share (a network disk or an object store URL)."
        )
    if answer["error"]:
        found.append(f"worker {worker} cannot load the program: {answer['error']}. Install what it imports there.")
    return found


def _overclaims(worker: str, answer: Any, claimed: Mapping[str, float]) -> list[str]:
    claim = claimed.get(worker, math.inf)
    if isinstance(answer, BaseException) or math.isinf(claim) or claim <= answer["memory"]:
        return []
    return [
        f"worker {worker} claims {claim:.3g} bytes of memory, its machine has {answer['memory']:.3g}; "
        "lower the worker's memory limit, for plans rely on it."
    ]


def _disagreements(worker: str, theirs: Mapping[str, str]) -> list[str]:
    ours = versions()
    return [
        f"worker {worker} has {name} {theirs.get(name, 'missing')}, the driver {ours[name]}; install the same version."
        for name, parts in _MUST_AGREE.items()
        if theirs.get(name, "").split(".")[:parts] != ours[name].split(".")[:parts]
    ]
