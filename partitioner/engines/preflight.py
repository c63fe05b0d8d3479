"""Before the first sub-task every worker proves that it can do its part; one sentence per failure."""

from __future__ import annotations

import math
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from partitioner.attempt.pilot import Loaded, loaded
from partitioner.engines import preload
from partitioner.errors import PreflightFailed, ProgramError
from partitioner.model import Workers
from partitioner.own_code import version
from partitioner.store.run_directory import RunDirectory

TOKEN = "preflight.token"
NOBODY = "no worker answered; is the cluster running?"
# A pickle or an Arrow file written by one of these is not always readable by another.
_MUST_AGREE = {"python": 2, "cloudpickle": 1, "pyarrow": 1, "numpy": 1, "batch-partitioner": 3}


@dataclass(frozen=True, slots=True)
class Ready:
    """What a slot says of itself: the ``facts`` of its process, and how the program was ``loaded`` there, where it was.

    ``unsound``: why it could not be forked with the program, empty where it was, None where nobody tried.
    """

    facts: Mapping[str, Any]
    loaded: Loaded | None = None
    unsound: str | None = None


def ready(index: int, count: int, run_url: str, key: bytes) -> Ready:
    """In a slot, the one question before a run: prove what it can, and build the program now.

    A program that cannot be built is told by the trial and by the run, with its error; one that cannot be read is told here.
    """
    found = _surroundings(run_url, key)
    try:
        return Ready(found, loaded(index, count, run_url, key), preload.found)
    except ProgramError:
        return Ready(found)
    except Exception as error:
        return Ready({**found, "error": _unless_missing(error)})


def facts(run_url: str, key: bytes = b"") -> dict[str, Any]:
    """What a worker says of itself: versions, memory, the token it reads, and whether the program loads there."""
    import pickle

    found = _surroundings(run_url, key)
    try:
        pickle.loads(RunDirectory(run_url, key).read_job())
    except Exception as error:
        found["error"] = _unless_missing(error)
    return found


def _surroundings(run_url: str, key: bytes) -> dict[str, Any]:
    import psutil

    found = {"versions": versions(), "memory": psutil.virtual_memory().total, "token": None, "error": None}
    try:
        found["token"] = RunDirectory(run_url, key).files.get(TOKEN).decode()
    except Exception as error:
        found["error"] = _unless_missing(error)
    return found


def _unless_missing(error: Exception) -> str | None:
    """Nothing where a file is not there: the token says that."""
    return None if isinstance(error, FileNotFoundError) else f"{type(error).__name__}: {error}"


def versions() -> dict[str, str]:
    """Versions of what driver and workers must agree on."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in _MUST_AGREE:
        if name != "python":
            found[name] = version(name)
    return found


def refuse(failures: Sequence[str]) -> None:
    """Raise PreflightFailed with them, where there are any."""
    if failures:
        raise PreflightFailed("preflight failed before the first sub-task:\n- " + "\n- ".join(failures))


@dataclass(frozen=True, slots=True)
class Check:
    """What the workers of one run have to prove: they read ``token`` at ``url``, have the memory that they claim, and the
    driver's ``versions``.
    """

    token: str
    url: str
    claims: Mapping[str, float]
    versions: Mapping[str, str]

    @classmethod
    def of(cls, workers: Workers, run: RunDirectory) -> Check:
        """Puts a new token into the run directory."""
        token = secrets.token_hex(8)
        run.files.put(TOKEN, token.encode())
        claims = dict(zip(workers.worker_id, workers.memory_bytes.tolist(), strict=True))
        return cls(token, run.url, claims, versions())

    def failures(self, worker: str, answer: Any) -> list[str]:
        """One sentence for each thing that is wrong with what a worker said of itself, or with the error it raised."""
        return _failures(worker, answer, self) + _overclaims(worker, answer, self.claims)

    def of_slots(self, worker: str, answers: Sequence[Any]) -> list[str]:
        """The same of the answers to ``ready``: slots of one worker say the same of it."""
        return self.failures(worker, answers[0].facts if isinstance(answers[0], Ready) else answers[0])


def _failures(worker: str, answer: Any, check: Check) -> list[str]:
    if isinstance(answer, TimeoutError):
        return [f"worker {worker} cannot run the check: {answer}. Free its cores, or give the run workers of its own."]
    if isinstance(answer, BaseException):
        return [
            f"worker {worker} cannot run the check: {type(answer).__name__}: {answer}. "
            "Install batch-partitioner there in the driver's version."
        ]
    found = _disagreements(worker, answer["versions"], check.versions)
    if answer["token"] != check.token:
        found.append(
            f"worker {worker} does not see the run directory {check.url}: "
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


def _disagreements(worker: str, theirs: Mapping[str, str], ours: Mapping[str, str]) -> list[str]:
    return [
        f"worker {worker} has {name} {theirs.get(name, 'missing')}, the driver {ours[name]}; install the same version."
        for name, parts in _MUST_AGREE.items()
        if theirs.get(name, "").split(".")[:parts] != ours[name].split(".")[:parts]
    ]
