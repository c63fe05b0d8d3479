"""Seconds of one L-BFGS evaluation on a9a with two Dask workers, beside plain Dask with the data kept on its workers.

    python -m benchmarks.iterate_a9a --data path/to/a9a [--spark] [--rounds 60]

Both evaluate the same loss and gradient at the same points; the first evaluation, which reads the data, is not counted.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from typing import Any

import numpy as np

from benchmarks.versions import versions
from partitioner.engines.dask import DaskEngine
from partitioner.training import fit_logistic


def loss_and_gradient(x: Any, y: Any, w: Any) -> tuple[float, Any]:
    """Of one partition, as plain Dask would do it."""
    score = x @ w[:-1] + w[-1]
    sign = 2.0 * y - 1.0
    rest = 1.0 / (1.0 + np.exp(-score)) - y
    return float(np.logaddexp(0.0, -sign * score).sum()), np.append(x.T @ rest, rest.sum())


def plain_dask(engine: DaskEngine, path: str) -> tuple[list[float], float]:
    """Two futures per evaluation, data scattered once, scipy on the client."""
    from scipy.optimize import minimize
    from sklearn.datasets import load_svmlight_file

    client = engine._client
    x, y = load_svmlight_file(path, n_features=123)
    y, half = (y > 0).astype(float), x.shape[0] // 2
    addresses = list(client.scheduler_info(n_workers=-1)["workers"])[:2]
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

    best = minimize(
        evaluate, np.zeros(124), jac=True, method="L-BFGS-B", options={"gtol": 1e-8, "ftol": 0, "maxls": 50}
    )
    return seconds[1:], float(best.fun)


def ours(engine: Any, path: str) -> tuple[list[float], float]:
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
        )
    return [r.seconds for r in found.rounds[2:]], found.loss


def line(name: str, seconds: list[float], loss: float) -> None:
    middle, high = statistics.median(seconds), np.quantile(seconds, 0.9)
    print(f"{name:12} {len(seconds):4} evaluations  {middle:.4f} s each (median), {high:.4f} (0.9)  loss {loss:.10f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--spark", action="store_true", help="also on Spark, local-cluster[2,1,1024]")
    given = parser.parse_args()
    print(versions("dask", "distributed", "scipy", "scikit-learn"))
    engine = DaskEngine(workers=2)
    try:
        for _ in range(2):  # in turns, so that what else runs on the machine meets both
            line("plain Dask", *plain_dask(engine, given.data))
            line("pt.iterate", *ours(engine, given.data))
    finally:
        engine.close()
    if given.spark:
        line("on Spark", *ours({"engine": "spark", "master": "local-cluster[2,1,1024]"}, given.data))


if __name__ == "__main__":
    main()
