"""The documents job: a model that takes seconds to load, over long texts of uneven length, on two slots.

python -m benchmarks.documents --engine dask|spark [--seconds 40] [--load 3] [--runs N] [--only PART] [--short]

The model is a stand-in in pure Python that keeps a core busy for ``--load`` seconds while it is built, and holds 64 MB; all
texts take both slots together about ``--seconds``. A first run has no profile: it measures what it needs within its wall
seconds, with the default settings.

predictions   first runs: predicted / actual makespan, and predicted / actual peak memory of a process;
              how often the interval of the ETA held what was left
tax (dask)    texts of one length, 60 s: wall of ``pt.run``, first and second run, beside ``map_partitions`` in as many
              partitions
plain (spark) wall of ``pt.run`` beside ``mapInPandas`` with default partitions and with ``repartition(32)``, the model
              loaded in all of them, on one session that is warm
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import partitioner as pt
from benchmarks import eta_asked
from benchmarks.documents_model import SCHEMA, Reader, of_batches, of_partition, pace
from benchmarks.versions import versions
from partitioner.report.facts import read
from partitioner.report.summary import Summary, summarise

SLOTS = 2
FILES = 4
EXPERT = 32
"""Partitions that an expert asks for."""

TAX_SECONDS = 60.0
LIMITS = {"median": 0.05, "nine of ten": 0.10, "memory": 0.30}


@dataclass(frozen=True)
class Job:
    """Texts in a folder, as one frame too, and what the model does with them."""

    folder: str
    frame: pd.DataFrame
    rounds: int
    load: float

    @property
    def arguments(self) -> dict[str, Any]:
        return {"rounds": self.rounds, "load": self.load}


def made(home: Path, name: str, seconds: float, load: float, rate: float, even: bool) -> Job:
    """Texts that two slots read in about so many seconds, at ``rate`` characters a second."""
    draw = np.random.RandomState(7)
    lengths = np.full(256, 20_000) if even else np.minimum(draw.lognormal(9.0, 1.0, 240), 120_000).astype(int)
    words = np.array(["cost", "partition", "worker", "plan", "of", "the", "and", "makespan", "bound", "skew"])
    texts = [" ".join(draw.choice(words, n // 5 + 1))[:n] for n in lengths]
    frame = pd.DataFrame({"document": np.arange(len(texts)), "text": texts})
    folder = home / name
    folder.mkdir()
    for i, rows in enumerate(np.array_split(np.arange(len(frame)), FILES)):
        frame.iloc[rows].to_parquet(folder / f"part-{i}.parquet", index=False)
    rounds = max(1, round(seconds * rate / int(frame["text"].str.len().sum())))
    return Job(str(folder), frame, rounds, load)


@contextmanager
def profiles(home: Path, name: str) -> Iterator[None]:
    """What runs in the block learn lies in a store of their own, empty the first time."""
    before = os.environ.get("PARTITIONER_PROFILES")
    os.environ["PARTITIONER_PROFILES"] = str(home / f"{name}.sqlite")
    try:
        yield
    finally:
        del os.environ["PARTITIONER_PROFILES"]
        if before is not None:
            os.environ["PARTITIONER_PROFILES"] = before


def ours(engine: Any, job: Job, home: Path) -> tuple[float, pt.Run]:
    """Wall seconds of ``pt.run`` from call to result, and the run."""
    begin = time.perf_counter()
    run = pt.run(
        f"{job.folder}/*.parquet",
        Reader,
        arguments=job.arguments,
        engine=engine,
        checkpoint=str(home / "runs"),
        progress=False,
        report=False,
    )
    wall = time.perf_counter() - begin
    check(run.result.to_pandas(), job)
    return wall, run


def check(result: pd.DataFrame, job: Job) -> None:
    """Every document once."""
    assert sorted(result["document"]) == list(range(len(job.frame))), "documents are missing or doubled"


def told(name: str, wall: float, run: pt.Run) -> Summary:
    """One line for a run of ours; what it predicted of itself."""
    found = summarise(read(run.directory))
    phases = ", ".join(f"{phase} {seconds:.2f}" for phase, seconds in found.phases if seconds >= 0.05)
    print(
        f"{name:30}{wall:8.2f} s  {len(run.records)} sub-tasks, idle {1 - (found.busy or 0):.1%}; {phases}", flush=True
    )
    return found


def ratios(found: Summary) -> tuple[float, float]:
    """Predicted over actual, of the makespan and of the largest process."""
    pairs = (found.predicted_makespan, found.makespan), (found.predicted_memory, found.peak_memory)
    (seconds, memory) = [
        told / seen if told and seen else float("nan") for told, seen in pairs
    ]  # nan: it predicted nothing
    return seconds, memory


def predictions(engine: Any, job: Job, home: Path, runs: int) -> list[float]:
    """So many first runs; their wall seconds."""
    walls, kept = [], []
    with eta_asked.asking() as askers:
        for i in range(runs):
            with profiles(home, f"prediction-{i}"):
                wall, run = ours(engine, job, home)
            walls.append(wall)
            kept.append(ratios(told(f"first run {i + 1}", wall, run)))
            print(f"{'':30}predicted / actual: makespan {kept[-1][0]:.3f}, memory {kept[-1][1]:.2f}", flush=True)
    judged(kept)
    eta_asked.held([asker.answers for asker in askers])
    return walls


def judged(kept: Sequence[tuple[float, float]]) -> None:
    """Over all runs: the median error, the share within 10 %, and the least and most memory."""
    errors = [abs(makespan - 1) for makespan, _ in kept]
    within = sum(error <= LIMITS["nine of ten"] for error in errors)
    print(
        f"predictions of {len(kept)} first runs: median error {statistics.median(errors):.1%} (asked: 5 %), within 10 %: "
        f"{within} of {len(kept)} (asked: 9 of 10); memory predicted / actual {min(m for _, m in kept):.2f} to "
        f"{max(m for _, m in kept):.2f} (asked: 1.00 to 1.30)",
        flush=True,
    )


def on_dask(asked: argparse.Namespace, home: Path, rate: float) -> None:
    """Predictions, and the tax on work where there is nothing to balance."""
    from partitioner.engines.dask import DaskEngine

    engine = DaskEngine(workers=SLOTS)
    try:
        warm(engine, home, rate)
        if asked.only in (None, "predictions"):
            predictions(engine, made(home, "texts", asked.seconds, asked.load, rate, False), home, asked.runs)
        if asked.only in (None, "tax"):
            tax(engine, made(home, "even", 4.0 if asked.short else TAX_SECONDS, asked.load, rate, True), home)
    finally:
        engine.close()


def tax(engine: Any, job: Job, home: Path) -> None:
    """First run, the same partitions in plain Dask, second run, and plain Dask again: the least of plain counts."""
    with profiles(home, "tax"):
        first, run = ours(engine, job, home)
        told("even texts, first run", first, run)
        parts = len(run.records)
        plain = [plain_dask(engine, job, parts, "one")]
        second, run = ours(engine, job, home)
        told("even texts, second run", second, run)
        plain.append(plain_dask(engine, job, len(run.records), "two"))
    print(f"{'map_partitions':30}{plain[0]:8.2f} s in {parts} partitions, {plain[1]:.2f} s in {len(run.records)}")
    print(
        f"tax: first run {first / plain[0]:.3f} (asked: 1.02), second {second / plain[1]:.3f} (asked: 1.01)", flush=True
    )


def plain_dask(engine: Any, job: Job, parts: int, name: str) -> float:
    """``map_partitions`` as a user writes it, the model once per process."""
    import dask.dataframe as dd

    begin = time.perf_counter()
    frame = dd.read_parquet(job.folder).repartition(npartitions=parts)
    meta = pd.DataFrame({"document": pd.Series([], dtype="int64"), "score": pd.Series([], dtype="int64")})
    mapped = frame.map_partitions(of_partition, f"{job.folder}-{name}", job.rounds, job.load, meta=meta)
    result = engine._client.compute(mapped).result()
    wall = time.perf_counter() - begin
    check(result, job)
    return wall


def warm(engine: Any, home: Path, rate: float) -> None:
    """A small job first, so that processes are there and have imported what all of them import."""
    job = made(home, "warm", 0.5, 0.1, rate, True)
    with profiles(home, "warm"):
        ours(engine, job, home)


def on_spark(asked: argparse.Namespace, home: Path, rate: float) -> None:
    """Ours beside plain Spark in turns, on one session."""
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(f"local[{SLOTS}]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    session = builder.config("spark.executorEnv.PYTHONPATH", os.getcwd()).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    try:
        job = made(home, "texts", asked.seconds, asked.load, rate, False)
        small = made(home, "small", 0.5, 0.1, rate, True)
        plain_spark(session, small, EXPERT, "warm")
        warm(session, home, rate)
        if asked.only == "predictions":
            predictions(session, job, home, asked.runs)
            return
        beside_plain(session, job, home, asked.runs)
    finally:
        session.stop()


def beside_plain(session: Any, job: Job, home: Path, runs: int) -> None:
    """Rounds of default partitions, ``repartition``, and a first run of ours."""
    names = ("default partitions", f"repartition({EXPERT})", "ours")
    walls: dict[str, list[float]] = {name: [] for name in names}
    kept = []
    for i in range(runs):
        walls[names[0]].append(plain_spark(session, job, None, f"default-{i}"))
        walls[names[1]].append(plain_spark(session, job, EXPERT, f"expert-{i}"))
        for name in names[:2]:
            print(f"{name:30}{walls[name][-1]:8.2f} s", flush=True)
        with profiles(home, f"spark-{i}"):
            wall, run = ours(session, job, home)
        walls[names[2]].append(wall)
        kept.append(ratios(told("ours, first run", wall, run)))
        print(f"{'':30}predicted / actual: makespan {kept[-1][0]:.3f}, memory {kept[-1][1]:.2f}", flush=True)
    typical = {name: statistics.median(found) for name, found in walls.items()}
    better = min(typical[name] for name in names[:2])
    print("median wall: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in typical.items()))
    print(f"ours / the better of plain: {typical['ours'] / better:.3f} (asked: 1.02 at most)", flush=True)
    judged(kept)


def plain_spark(session: Any, job: Job, parts: int | None, name: str) -> float:
    """``mapInPandas`` as a user writes it, the model once per Python worker."""
    begin = time.perf_counter()
    frame = session.read.parquet(job.folder)
    frame = frame if parts is None else frame.repartition(parts)
    embed = of_batches(f"{job.folder}-{name}", job.rounds, job.load)
    result = frame.mapInPandas(embed, SCHEMA).toArrow()
    wall = time.perf_counter() - begin
    check(result.to_pandas(), job)
    return wall


def main() -> None:
    """Print the lines of one engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=["dask", "spark"], required=True)
    parser.add_argument("--seconds", type=float, default=40.0, help="Of both slots together.")
    parser.add_argument("--load", type=float, default=3.0, help="Seconds to build the model.")
    parser.add_argument("--runs", type=int, help="First runs; 10 on Dask and 3 on Spark by default.")
    parser.add_argument("--only", choices=["predictions", "tax"])
    parser.add_argument("--short", action="store_true", help="A few seconds of each, to see that all of it runs.")
    asked = parser.parse_args()
    asked.runs = asked.runs or (1 if asked.short else 10 if asked.engine == "dask" else 3)
    if asked.short:
        asked.seconds, asked.load = 4.0, 0.5
    print(versions("dask", "distributed", "pyspark", "pandas", "pyarrow"))
    rate = pace(SLOTS)
    print(f"{SLOTS} slots read {rate / 1e6:.1f} million characters a second; load average {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        {"dask": on_dask, "spark": on_spark}[asked.engine](asked, Path(folder), rate)


if __name__ == "__main__":
    main()
