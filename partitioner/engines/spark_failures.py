"""How failures of Spark come through to Python, and what of them a person needs."""

from __future__ import annotations

import re

_DEATHS = ("Python worker exited unexpectedly", "ExecutorLostFailure", "Python worker failed to connect back")


def is_death(text: str) -> bool:
    """Whether Spark says that the process of a task died."""
    return any(sign in text for sign in _DEATHS)


def message_of(error: BaseException) -> str:
    """What Spark says went wrong, without the stack of the bridge to the JVM."""
    java = getattr(error, "java_exception", None)
    return str(error) if java is None else str(java.getMessage() or java.toString())


def first_cause(text: str) -> str:
    """The line of a Spark failure that a person needs: the Python error at its end, else its first line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    python = [line for line in lines if re.match(r"[A-Za-z_.]+(Error|Exception|Exit|Interrupt)\b", line)]
    return (python[-1] if python else lines[0] if lines else "no message")[:500]
