"""Seconds of one L-BFGS evaluation on a9a: two Dask workers beside plain Dask, two Spark executors beside MLlib.

    python -m benchmarks.iterate_a9a --data path/to/a9a [--engine dask|spark|both] [--rows-times 1] [--turns 2]

All evaluate the same loss and gradient; the first evaluation, which reads the data, is not counted among the seconds of one.
``--rows-times N``: rows drawn N times as often from the file, and then the seconds of the whole fit count, reading included,
until both are at the same loss.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.versions import versions
from partitioner.engines.dask import DaskEngine
from partitioner.engines.dask_deaths import known
from partitioner.training import fit_logistic
from partitioner.training.logistic import KEPT_STEPS

MLLIB_TOLERANCE = 1e-9
"""Relative change of the objective at which MLlib stops: about where ours does, by the gradient."""


def loss_and_gradient(x: Any, y: Any, w: Any) -> tuple[float, Any]:
    """Of one partition, as plain Dask would do it."""
    score = x @ w[:-1] + w[-1]
    sign = 2.0 * y - 1.0
    rest = 1.0 / (1.0 + np.exp(-score)) - y
    return float(np.logaddexp(0.0, -sign * score).sum()), np.append(x.T @ rest, rest.sum())


def plain_dask(engine: DaskEngine, path: str, most: int) -> tuple[list[float], float]:
    """Two futures per evaluation, data scattered once, scipy on the client; at most so many evaluations."""
    from scipy.optimize import minimize
    from sklearn.datasets import load_svmlight_file

    client = engine._client
    x, y = load_svmlight_file(path, n_features=123)
    y, half = (y > 0).astype(float), x.shape[0] // 2
    addresses = list(known(client) or {})[:2]
    parts = [(x[:half], y[:half]), (x[half:], y[half:])]
    held = [client.scatter(part, workers=[a]) for part, a in zip(parts, addresses, strict=True)]
    n, seconds = len(y), []

    def on_part(part: Any, w: Any) -> tuple[float, Any]:
        return loss_and_gradient(part[0], part[1], w)

    def evaluate(w: Any) -> tuple[float, Any]:
        begin = time.perf_counter()
        found = client.gather([client.submit(on_part, part, w, pure=False) for part in held])
        loss, gradient = sum(f[0] for f in found) / n, sum(f[1] for f in found) / n
        seconds.append(time.perf_counter() - begin)
        return loss + (w[:-1] ** 2).sum() / (2 * n), gradient + np.append(w[:-1], 0.0) / n

    options = {"gtol": 1e-8, "ftol": 8 * np.finfo(float).eps, "maxls": 50, "maxcor": KEPT_STEPS[1], "maxfun": most}
    best = minimize(evaluate, np.zeros(124), jac=True, method="L-BFGS-B", options=options)
    return seconds[1:], float(best.fun)


def ours(engine: Any, path: str, most: int = 1000) -> tuple[list[float], float]:
    """The same by rounds."""
    with tempfile.TemporaryDirectory() as folder:
        found = fit_logistic(
            {"connector": "libsvm", "path": path},
            "label",
            width=123,
            engine=engine,
            checkpoint=folder,
            progress=False,
            max_tasks=2,
            rounds=most + 1,
        )
    return [r.seconds for r in found.rounds[2:]], found.loss


def line(name: str, seconds: list[float], loss: float) -> None:
    middle, high = statistics.median(seconds), np.quantile(seconds, 0.9)
    each = f"{middle:.4f} s each (median), {high:.4f} (0.9)  loss {loss:.10f}"
    print(f"{name:12} {len(seconds):4} evaluations  {each}", flush=True)


def grown(path: str, times: int, folder: str) -> str:
    """A file of so many times the rows, drawn from those of ``path``."""
    if times == 1:
        return path
    lines = Path(path).read_bytes().splitlines(keepends=True)
    draw = np.random.default_rng(11)
    place = Path(folder) / f"a9a-times-{times}"
    with place.open("wb") as out:
        for _ in range(times):
            out.write(b"".join(lines[i] for i in draw.integers(0, len(lines), len(lines))))
    return str(place)


def mllib(session: Any, path: str, n: int, most: int) -> tuple[float, int, float]:
    """Seconds of MLlib's own fit at the same regularisation, its iterations, and the objective that it ends at."""
    from pyspark.ml.classification import LogisticRegression

    begin = time.perf_counter()
    frame = session.read.format("libsvm").option("numFeatures", "123").load(path)
    frame = frame.selectExpr("cast(label > 0 as double) as label", "features")
    if frame.rdd.getNumPartitions() < 2:  # a small file is one
        frame = frame.repartition(2)
    frame = frame.cache()
    lr = LogisticRegression(
        regParam=1.0 / n, elasticNetParam=0.0, standardization=False, tol=MLLIB_TOLERANCE, maxIter=most
    )
    found = lr.fit(frame)
    history = list(found.summary.objectiveHistory)
    seconds = time.perf_counter() - begin
    frame.unpersist()
    return seconds, len(history), float(history[-1])


def on_dask(path: str, most: int, turns: int) -> None:
    """Ours and plain Dask in turns, so that what else runs on the machine meets both; workers have imported what we need."""
    from benchmarks.spark_cluster import warm_up

    engine = DaskEngine(workers=2)
    try:
        with tempfile.TemporaryDirectory() as checkpoint:
            warm_up(engine, checkpoint)
        for _ in range(turns):
            for name, fit in (("plain Dask", plain_dask), ("pt.iterate", ours)):
                begin = time.perf_counter()
                line(name, *fit(engine, path, most))
                print(f"{'':12} {time.perf_counter() - begin:.2f} s in all, reading included", flush=True)
    finally:
        engine.close()


def on_spark(path: str, memory: int, most: int, turns: int) -> None:
    """Ours and MLlib in turns on one session of two executors of one core."""
    from benchmarks.spark_cluster import cluster, warm_up

    n = Path(path).read_bytes().count(b"\n")
    with tempfile.TemporaryDirectory() as checkpoint, cluster(2, memory) as session:
        warm_up(session, checkpoint)
        for _ in range(turns):
            seconds, iterations, loss = mllib(session, path, n, most)
            each = f"{seconds / iterations:.4f} s each with all else, loss {loss:.10f}, {seconds:.2f} s in all"
            print(f"{'MLlib':12} {iterations:4} iterations   {each}", flush=True)
            begin = time.perf_counter()
            evaluations, loss = ours(session, path, most)
            whole = time.perf_counter() - begin
            line("pt.iterate", evaluations, loss)
            print(f"{'':12} {whole:.2f} s in all, {whole / seconds:.2f} x MLlib on {n:,} rows", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--engine", choices=["dask", "spark", "both"], default="dask")
    parser.add_argument("--rows-times", type=int, default=1)
    parser.add_argument("--evaluations", type=int, default=1000, help="of each fit at most; MLlib's iterations too")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--memory", type=int, default=2048, help="MiB of each Spark executor's JVM")
    given = parser.parse_args()
    print(versions("dask", "distributed", "pyspark", "scipy", "scikit-learn"))
    with tempfile.TemporaryDirectory() as folder:
        path = grown(given.data, given.rows_times, folder)
        if given.engine != "spark":
            on_dask(path, given.evaluations, given.turns)
        if given.engine != "dask":
            on_spark(path, given.memory, given.evaluations, given.turns)


if __name__ == "__main__":
    main()
