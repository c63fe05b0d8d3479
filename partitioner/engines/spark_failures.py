"""How failures of Spark come through to Python, and what of them a person needs."""

from __future__ import annotations

import re

from partitioner.engines.spark_imports import Py4JError, PySparkException

FAILURES = (Py4JError, PySparkException, OSError)
"""What calls to Spark raise: translated exceptions, those of the bridge, and a bridge to a JVM that is gone."""


def message_of(error: BaseException) -> str:
    """What Spark says went wrong, without the stack of the bridge to the JVM."""
    java = getattr(error, "java_exception", None)
    return str(error) if java is None else str(java.getMessage() or java.toString())


def first_cause(text: str) -> str:
    """The line of a Spark failure that a person needs: the Python error at its end, else its first line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    python = [line for line in lines if re.match(r"[A-Za-z_.]+(Error|Exception|Exit|Interrupt)\b", line)]
    return (python[-1] if python else lines[0] if lines else "no message")[:500]
