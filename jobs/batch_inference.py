"""Apply a fitted model to every row, in batches; one output row per input row, in input order.

    python -m jobs.batch_inference conf/batch_inference.yaml [--set key=value]...

The model is an object with ``predict`` (and, if it has it, ``predict_proba``), the path of one that a training job kept
(``model.skops``), or of its signed pickle (``result.pkl`` of a run, or what ``partitioner sign`` signed); it is loaded once
per worker process.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

import partitioner as pt
from jobs.session import job_main, job_parser, print_plan
from partitioner.training import kept_model


def matrix(batch: pa.RecordBatch, column: str) -> np.ndarray:
    """n x f floats of a fixed-size-list column, a list column, or a binary column of equal lengths (pixels)."""
    values = batch.column(column)
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        flat = np.frombuffer(b"".join(values.to_pylist()), np.uint8)
    else:
        flat = values.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(values), -1).astype(np.float64) if len(values) else np.empty((0, 0))


class Predict:
    """Adds ``prediction`` and, where the model knows it, ``confidence`` to the columns named in ``keep``."""

    def __init__(self, model: Any, features: str, keep: Sequence[str] = ()) -> None:
        self.model = _loaded(model) if isinstance(model, str) else model
        self.features, self.keep = features, list(keep)

    def __call__(self, batch: pa.RecordBatch) -> dict[str, Any]:
        """Columns of n values."""
        x = matrix(batch, self.features)
        columns: dict[str, Any] = {name: batch[name] for name in self.keep}
        columns["prediction"] = np.asarray(self.model.predict(x))
        if hasattr(self.model, "predict_proba"):
            columns["confidence"] = np.asarray(self.model.predict_proba(x)).max(axis=1)
        return columns


def _loaded(path: str) -> Any:
    """The model of a run. FileNotFoundError with what makes one."""
    try:
        return kept_model(path) if path.endswith(".skops") else pt.load_result(path)
    except FileNotFoundError as error:
        train = "partitioner run conf/ensemble.yaml --set output=out/ensemble"
        here = f" (seen from {os.getcwd()}; workers have directories of their own, so give the whole path)"
        place = path if _absolute(path) == path else path + here
        raise FileNotFoundError(f"no model at {place}: train one first, for example with: {train}") from error


def _absolute(path: str) -> str:
    return path if "://" in path else os.path.abspath(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the configured inference and print plan and report."""
    parser = job_parser(__doc__)
    parser.add_argument("--resume", help="id or directory of the run to go on with")
    given = parser.parse_args(arguments)
    config = pt.load_config(given.conf, given.set, allow_modules=["jobs"])
    if isinstance(model := config.arguments.get("model"), str):  # workers have working directories of their own
        config = config.model_copy(update={"arguments": {**config.arguments, "model": _absolute(model)}})
    finished = pt.run_config(config, given.resume, on_plan=print_plan("inference"))
    print(finished.report)
    print(f"\nresult  {finished.result!r}\nreport  {finished.url}/report.html")
    return finished.exit_code


if __name__ == "__main__":
    job_main(main)
