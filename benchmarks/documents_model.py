"""The stand-in model of ``benchmarks.documents``, in a module of its own so that workers import it by name."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

HELD_BYTES = 64 * 2**20
"""What a model holds in every process."""

SCHEMA = "document long, score long"


class Reader:
    """Takes ``load`` seconds to build, holds 64 MB, and reads every text ``rounds`` times, character by character."""

    def __init__(self, rounds: int, load: float) -> None:
        self.rounds = rounds
        end = time.process_time() + load
        while time.process_time() < end:
            read("a model is being loaded", 100)
        self.weights = np.ones(HELD_BYTES // 8)

    def __call__(self, batch: pd.DataFrame) -> pd.DataFrame:
        """One score per document."""
        scores = [read(text, self.rounds) for text in batch["text"]]
        return pd.DataFrame({"document": batch["document"].to_numpy(), "score": scores})


def read(text: str, rounds: int) -> int:
    """A rolling hash, in pure Python."""
    found = 7
    for _ in range(rounds):
        for character in text:
            found = (found * 31 + ord(character)) & 0xFFFFFFFF
    return found


@lru_cache(maxsize=1)
def loaded(run: str, rounds: int, load: float) -> Reader:
    """The model of a plain run, built once per process as an expert does."""
    return Reader(rounds, load)


def of_partition(frame: pd.DataFrame, run: str, rounds: int, load: float) -> pd.DataFrame:
    """What a user of Dask maps over partitions."""
    return loaded(run, rounds, load)(frame)


def of_batches(run: str, rounds: int, load: float) -> Any:
    """What a user of Spark gives to ``mapInPandas``."""

    def embed(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            yield loaded(run, rounds, load)(batch)

    return embed


def _characters(seconds: float) -> float:
    text, done, begin = "the pace of this machine " * 400, 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        read(text, 1)
        done += len(text)
    return done / (time.perf_counter() - begin)


def pace(slots: int, seconds: float = 2.0) -> float:
    """Characters a second that so many processes read together: on many machines less than so many times one."""
    with multiprocessing.get_context("spawn").Pool(slots) as pool:
        return float(sum(pool.map(_characters, [seconds] * slots, chunksize=1)))
