"""The work that all peers do, with numpy and pandas only, and the line that each prints."""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import pandas as pd

PASSES = 30


def nap(seconds: float) -> float:
    """Sleep, and say how long."""
    time.sleep(seconds)
    return seconds


def naps(frame: pd.DataFrame) -> pd.DataFrame:
    """``nap`` of every row."""
    return pd.DataFrame({"out": [nap(s) for s in frame["s"]]})


def signature(text: str) -> float:
    """A rolling hash in pure Python, character by character: time follows the length of the text."""
    a = 7
    for _ in range(PASSES):
        for character in text:
            a = (a * 31 + ord(character)) & 0xFFFFFF
    return float(a)


def signatures(frame: pd.DataFrame) -> pd.DataFrame:
    """``signature`` of every row."""
    return pd.DataFrame({"out": [signature(t) for t in frame["text"]]})


COLUMN: dict[str, str] = {"sleeps": "s", "text": "text", "documents": "text"}
FRAME: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "sleeps": naps,
    "text": signatures,
    "documents": signatures,
}
ROW: dict[str, Callable[[Any], float]] = {"sleeps": nap, "text": signature, "documents": signature}
PARTS = 32
"""Partitions of the tuned forms on text: sixteen for each of two workers."""


def told(form: str, run: Callable[[], Any], *packages: str) -> None:
    """Time ``run``, which returns the rows of the result, and print what came of it as one line of JSON, one before it too.

    Forms that the command line names after the slots are left out: an earlier run of the program has tried them.
    """
    if form in sys.argv[5:]:
        return
    _say({"form": form})
    begin = time.perf_counter()
    rows = run()
    seconds = time.perf_counter() - begin
    versions = {name: importlib.metadata.version(name) for name in packages}
    _say({"form": form, "seconds": seconds, "sum": round(float(sum(rows)), 3), "versions": versions})


def _say(what: dict[str, Any]) -> None:
    print("PEER " + json.dumps(what), flush=True)
