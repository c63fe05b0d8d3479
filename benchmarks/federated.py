"""Federated averaging over skewed clients, beside FedProx, FedAdam, a robust mean, and one model on everything.

    python -m benchmarks.federated --data path/to/fashion_mnist [--rounds 2 5 10 20 50]

A softmax classifier; the file has the columns ``pixels`` (bytes), ``label`` and ``client``. Accuracy is that on the test
file after so many rounds of five steps each, seconds are of a round, in the median, on two Dask workers. No client is
cut: each training says whose rows it saw and how many, which is compared with the file.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.versions import versions
from jobs.train_federated import softmax_steps
from partitioner.engines.dask import DaskEngine
from partitioner.training import Design, federate, fit_logistic

CLASSES = 10
STEPS = {"classes": CLASSES, "steps": 5, "rate": 0.1, "scale": 1.0}


@dataclass(frozen=True)
class Images:
    """Pixels from 0 to 1, float32[n, 784], with their labels and clients."""

    pixels: Any
    labels: Any
    clients: Any

    @classmethod
    def read(cls, path: Path) -> Images:
        """From Parquet with one image as bytes in a row."""
        table = pq.read_table(path)
        pixels = np.stack([np.frombuffer(b, np.uint8) for b in table["pixels"].to_pylist()])
        return cls((pixels / 255).astype(np.float32), table["label"].to_numpy(), table["client"].to_numpy())

    def write(self, path: Path) -> None:
        """As columns ``x`` (a vector in a row), ``label`` and ``client``."""
        x = pa.FixedSizeListArray.from_arrays(pa.array(self.pixels.ravel()), self.pixels.shape[1])
        pq.write_table(pa.table({"x": x, "label": self.labels, "client": self.clients}), path)

    def accuracy(self, parameters: Any) -> float:
        """Share of the images whose class has the highest score."""
        scores = self.pixels @ parameters["weights"] + parameters["bias"]
        return float((scores.argmax(axis=1) == self.labels).mean())


class Told:
    """A client's training, which leaves the name of the client and its number of rows as an empty file."""

    def __init__(self, train: Any, folder: str) -> None:
        self.train, self.folder = train, folder

    def __call__(self, rows: pa.RecordBatch, parameters: Any) -> Any:
        """Parameters and their weight."""
        names = set(rows.column("client").to_pylist())
        Path(self.folder, f"{'+'.join(map(str, sorted(names)))}={rows.num_rows}").touch()
        return self.train(rows, parameters)


def in_rounds(
    engine: DaskEngine, data: str, test: Images, at: Sequence[int], **server: Any
) -> tuple[list[float], float]:
    """Accuracy after each number of rounds, and the median of the seconds of one."""
    proximal, seen = server.pop("proximal", 0.0), server.pop("folder", None)
    train: Any = partial(softmax_steps, design=Design.of("x", "label"), proximal=proximal, **STEPS)
    train = Told(train, seen) if seen else train
    zero = {"weights": np.zeros((test.pixels.shape[1], CLASSES)), "bias": np.zeros(CLASSES)}
    accuracies, seconds = [], list[float]()
    with tempfile.TemporaryDirectory() as runs:
        for rounds in at:
            options = {"rounds": rounds, "engine": engine, "checkpoint": runs, "progress": False, **server}
            found = federate(data, train, zero, client="client", batch_format="arrow", **options)
            accuracies.append(test.accuracy(found.state["parameters"]))
            seconds += [r.seconds for r in found.rounds[1:]]  # the first reads the data
    return accuracies, statistics.median(seconds)


def main() -> None:
    """Print a line for each kind of round, then for the model on everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--rounds", type=int, nargs="+", default=[2, 5, 10, 20, 50])
    asked = parser.parse_args()
    train, test = (Images.read(next(asked.data.glob(f"*{part}.parquet"))) for part in ("train", "test"))
    sizes = Counter(train.clients.tolist())
    print(versions("dask", "scikit-learn"))
    print(f"{len(train.labels)} images, {len(sizes)} clients of {min(sizes.values())} to {max(sizes.values())}")
    print(f"{'accuracy after rounds':24}", *[f"{n:>6}" for n in asked.rounds], "  seconds a round")
    engine = DaskEngine(workers=2)
    with tempfile.TemporaryDirectory() as folder:
        data, seen = Path(folder, "train.parquet"), Path(folder, "seen")
        train.write(data)
        seen.mkdir()
        kinds: dict[str, dict[str, Any]] = {
            "FedAvg": {"folder": str(seen)},
            "FedProx, mu 0.1": {"proximal": 0.1},
            "FedAdam, rate 0.01": {"server": "adam", "rate": 0.01},
            "trimmed mean, 0.1": {"merge": {"reducer": "trimmed_mean", "share": 0.1}},
        }
        for name, server in kinds.items():
            accuracies, seconds = in_rounds(engine, str(data), test, asked.rounds, **server)
            print(f"{name:24}", *[f"{a:6.3f}" for a in accuracies], f"  {seconds:.3f}", flush=True)
        whole = {f"{client}={rows}" for client, rows in sizes.items()} == {p.name for p in seen.iterdir()}
        print("every client whole:", whole)
        fitted = fit_logistic(
            str(data), "label", "x", C=0.1, engine=engine, checkpoint=f"{folder}/runs", progress=False
        )
        score = fitted.model.score(test.pixels, test.labels)
        seconds = statistics.median(r.seconds for r in fitted.rounds[1:])
        print(f"one model on everything  {score:.3f} after {len(fitted.rounds)} evaluations of {seconds:.3f} s")
    engine.close()


if __name__ == "__main__":
    main()
