"""A padded batch model over ragged text: records per second by how records are put into batches, one process.

python -m benchmarks.batching [--data FILE] [--every 4] [--context 1024] [--batch-size 32]

The model is one of attention, quantised: its weights are small whole numbers and its attention is rectified instead of
softmax, so that every sum is exact in float64 and an output does not depend on what else is in the batch. The outputs of
all ways of batching are therefore compared bit for bit. Seconds are those of the CPU, one thread, since other work on
the machine would count as the model's otherwise; wall seconds stand beside them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

import partitioner as pt
from benchmarks.versions import versions

DATA = Path(__file__).parents[2] / "shared" / "data" / "text" / "php_doc_en.parquet"
WIDTH, VOCABULARY = 16, 997


class Encoder:
    """A layer of rectified attention over words padded to the longest text of the batch."""

    def __init__(self, context: int) -> None:
        draw = np.random.default_rng(0)
        self.context = context
        self.embedding = draw.integers(-2, 3, (VOCABULARY, WIDTH)).astype(float)
        self.layer = draw.integers(-1, 2, (3, WIDTH, WIDTH)).astype(float)

    def __call__(self, batch: pa.RecordBatch) -> dict[str, Any]:
        words = [text.split()[: self.context] or [""] for text in batch["text"].to_pylist()]
        count = np.array([len(w) for w in words])
        x = np.zeros((len(words), count.max(), WIDTH))
        for i, text in enumerate(words):
            x[i, : len(text)] = self.embedding[[sum(word.encode()) % VOCABULARY for word in text]]
        query, key, value = self.layer
        scores = np.matmul(x @ query, (x @ key).transpose(0, 2, 1))
        np.maximum(scores, 0.0, out=scores)
        seen = np.matmul(scores, x @ value).sum(axis=1)
        return {"vector": seen / count[:, None] ** 2, "padded": np.full(len(words), x.shape[1])}


def run(data: Path, context: int, settings: dict[str, Any]) -> tuple[float, float, pa.Table]:
    """CPU and wall seconds of all sub-tasks (reading, batching, program, writing), and the output in input order."""
    with tempfile.TemporaryDirectory() as checkpoint:
        done = pt.run(
            str(data), Encoder, arguments={"context": context}, columns=["text"], batch_format="arrow", cost="bytes",
            min_tasks_per_slot=4, max_tasks=4, engine="serial", checkpoint=checkpoint, progress=False, report=False,
            **settings,
        )  # fmt: skip
        return sum(r.cpu_seconds for r in done.records), sum(r.seconds for r in done.records), done.result.to_table()


def sample(data: Path, every: int, directory: str) -> tuple[Path, list[int]]:
    """Every so many-th text in a Parquet file of its own, and their lengths in characters."""
    texts = pq.read_table(data, columns=["text"]).take(pa.array(range(0, pq.read_metadata(data).num_rows, every)))
    path = Path(directory) / "texts.parquet"
    pq.write_table(texts, path, row_group_size=500)
    return path, [len(text) for text in texts["text"].to_pylist()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--batch-size", type=int, default=32)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, threadpool_limits(1):
        data, lengths = sample(args.data, args.every, directory)
        print(versions("numpy", "pyarrow"))
        print(
            f"{len(lengths):,} texts of {min(lengths)} to {max(lengths):,} characters, context {args.context} words\n"
        )
        compare(data, lengths, args.context, args.batch_size)


def compare(data: Path, lengths: list[int], context: int, batch_size: int) -> None:
    """Print a row per way of batching."""
    budget = batch_size * float(np.mean(lengths))
    rows = {"batch_size": batch_size}
    by_weight = {"weight": "len(text)", "max_batch_weight": budget}
    ways: dict[str, dict[str, Any]] = {
        f"{batch_size} rows": rows,
        f"weight <= {budget:,.0f} characters": by_weight,
        f"rows x longest <= {budget:,.0f} characters": {**by_weight, "padded": True},
        f"{batch_size} rows, sort_by_weight": {**rows, "weight": "len(text)", "sort_by_weight": True},
        "weight-bounded, sort_by_weight": {**by_weight, "sort_by_weight": True},
        "rows x longest, sort_by_weight": {**by_weight, "padded": True, "sort_by_weight": True},
    }
    print("| batches | CPU s | records/CPU s | times the first | wall s | padded words, mean | outputs |")
    print("|---|---|---|---|---|---|---|")
    first: tuple[float, pa.Table] | None = None
    for name, settings in ways.items():
        cpu, wall, output = run(data, context, settings)
        first = first or (cpu, output)
        same = output["vector"].combine_chunks().equals(first[1]["vector"].combine_chunks())
        padded = float(np.mean(output["padded"].to_numpy()))
        print(
            f"| {name} | {cpu:.1f} | {len(lengths) / cpu:.0f} | {first[0] / cpu:.2f} | {wall:.1f} | {padded:.0f} "
            f"| {'identical, in order' if same else 'DIFFERENT'} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
