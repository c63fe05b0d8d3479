"""A padded model over ragged text in many sub-tasks: rows of like weight together across fragments, beside two other ways.

python -m benchmarks.by_weight [--data FILE] [--every 1] [--tasks 400] [--context 1024] [--batch-size 32] [--rounds 2]
    [--weight characters] [--padding-only]

The model is that of ``benchmarks.batching``: attention over a batch padded to its longest text, exact in float64, so that
outputs are compared bit for bit. *Neither* takes rows as they come, *sorted* puts those of each sub-task in order of weight,
*by_weight* brings rows of like weight together across all fragments before they become sub-tasks. Rounds take turns in one
process, one thread; records per second are by the CPU seconds of sub-tasks (reading, batching, program, writing), wall
seconds stand beside. Planning is counted apart: by_weight reads the column of the weight once more, before the first.
``--weight words`` weighs a text by what the model pads to, its words up to the context; characters only stand for them.
``--padding-only`` runs nothing and counts: padded words of a text, and their squares, by how texts come into calls.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

import partitioner as pt
from benchmarks.batching import DATA, Encoder, sample
from benchmarks.versions import versions

WAYS: dict[str, dict[str, Any]] = {
    "neither": {"cost": "bytes"},
    "sorted within each sub-task": {"cost": "bytes", "sort_by_weight": True},
    "by_weight": {"cost": "bytes", "split": "by_weight"},
}


@dataclass(frozen=True)
class Words:
    """Words of each text, up to the context: what the model pads to."""

    context: int

    def __call__(self, batch: pa.RecordBatch) -> list[int]:
        return [min(len(text.split()), self.context) for text in batch["text"].to_pylist()]


@dataclass
class Took:
    """Seconds of the rounds of one way: CPU and wall of its sub-tasks, wall of the rest; the padded words of a batch."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    rest: list[float] = field(default_factory=list)
    padded: float = 0.0
    tasks: int = 0
    vectors: Any = None


def run(data: Path, context: int, batch_size: int, tasks: int, settings: dict[str, Any], took: Took) -> None:
    """One round of one way."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as checkpoint:
        done = pt.run(
            str(data), Encoder, arguments={"context": context}, columns=["text"], batch_format="arrow", engine="serial",
            batch_size=batch_size, min_tasks_per_slot=tasks, max_tasks=tasks, checkpoint=checkpoint, progress=False,
            report=False, **settings,
        )  # fmt: skip
        output = done.result.to_table()
    wall = sum(r.seconds for r in done.records)
    took.cpu.append(sum(r.cpu_seconds for r in done.records))
    took.wall.append(wall)
    took.rest.append(time.perf_counter() - begin - wall)
    took.padded, took.tasks = float(np.mean(output["padded"].to_numpy())), len(done.records)
    took.vectors = output["vector"].combine_chunks()


def compare(data: Path, records: int, args: argparse.Namespace) -> dict[str, Took]:
    """All ways, in turns."""
    found = {name: Took() for name in WAYS}
    weight: Any = Words(args.context) if args.weight == "words" else "len(text)"
    for _ in range(args.rounds):
        for name, way in WAYS.items():
            settings = way if name == "neither" else {**way, "weight": weight}
            run(data, args.context, args.batch_size, args.tasks, settings, found[name])
    print("| way | sub-tasks | CPU s | records/CPU s | wall s | rest of the run s | padded words, mean | outputs |")
    print("|---|---|---|---|---|---|---|---|")
    for name, took in found.items():
        same = took.vectors.equals(found["neither"].vectors)
        print(
            f"| {name} | {took.tasks} | {min(took.cpu):.1f} | {records / min(took.cpu):.0f} | {min(took.wall):.1f} "
            f"| {min(took.rest):.1f} | {took.padded:.0f} | {'identical, in order' if same else 'DIFFERENT'} |"
        )
    return found


def padding(data: Path, context: int, batch_size: int, tasks: int) -> None:
    """Padded words of a text, and their squares (what attention computes), in calls of equal sub-tasks; what is least."""
    texts = pq.read_table(data)["text"].to_pylist()
    weights = {"characters": np.array([len(text) for text in texts])}
    weights["words"] = words = np.array([max(1, min(len(text.split()), context)) for text in texts])
    held = [
        np.arange(a, min(a + -(-len(texts) // tasks), len(texts)))
        for a in range(0, len(texts), -(-len(texts) // tasks))
    ]
    ways = {"neither": held}
    for name, weight in weights.items():
        ways[f"sorted within each sub-task, by {name}"] = [
            rows[np.argsort(-weight[rows], kind="stable")] for rows in held
        ]
        order = np.argsort(-weight, kind="stable")
        ways[f"by_weight, by {name}"] = [order[rows] for rows in held]
    print(f"words and characters correlate by {np.corrcoef(weights['characters'], words)[0, 1]:.2f}")
    for name, groups in [*ways.items(), ("no padding", [np.array([i]) for i in range(len(texts))])]:
        calls = [rows[a : a + batch_size] for rows in groups for a in range(0, len(rows), batch_size)]
        longest = np.concatenate([np.full(len(call), words[call].max()) for call in calls]).astype(float)
        print(f"{name}: {len(calls)} calls, padded words {longest.mean():.0f}, their squares {(longest**2).mean():.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=400)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--weight", choices=("characters", "words"), default="characters")
    parser.add_argument("--padding-only", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, threadpool_limits(1):
        data, lengths = sample(args.data, args.every, directory)
        print(versions("numpy", "pyarrow"))
        print(
            f"{len(lengths):,} texts of {min(lengths)} to {max(lengths):,} characters, context {args.context} words\n"
        )
        if args.padding_only:
            padding(data, args.context, args.batch_size, args.tasks)
            return
        found = compare(data, len(lengths), args)
    best = {name: min(took.cpu) for name, took in found.items()}
    for name, asked in (("sorted within each sub-task", 1.3), ("neither", 2.5)):
        times = best[name] / best["by_weight"]
        print(f"\nby_weight beside {name}: {times:.2f} times the records per second (asked: {asked})")


if __name__ == "__main__":
    pa.set_cpu_count(1)
    main()
