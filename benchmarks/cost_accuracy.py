"""How well sub-task seconds and memory are predicted after a small pilot, and from the profile of earlier runs.

python -m benchmarks.cost_accuracy [--data FOLDER] [--tasks 60] [--clock wall|cpu] [--only text image quadratic fixed ...]

Each job: a pilot of at most 1 % of the work, an ordered split into sub-tasks, then every sub-task is run in a process of its
own and compared with its prediction. Errors are |predicted / actual - 1|. ``--clock cpu`` compares CPU seconds, which other
work on the machine hardly changes; predictions then come from CPU seconds too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.versions import versions
from connectors.parquet import ParquetSource
from partitioner.costs.calibrated import Calibrated
from partitioner.costs.fitting.boosted import boost
from partitioner.costs.fitting.fit import FitOptions, fit
from partitioner.costs.fitting.terms import Term, candidates, columns
from partitioner.costs.history import History
from partitioner.costs.learned import Learned
from partitioner.costs.measuring.measurements import Measurements, Timing
from partitioner.measure import measured
from partitioner.model import Costs, Dataset, Limits, SubTasks
from partitioner.splits.ordered import Ordered
from partitioner.testing.tables import TableSource

DATA = Path(os.environ.get("PARTITIONER_SHARED_DATA", "../shared/data"))
Build = Callable[[], Callable[[pa.RecordBatch], Any]]


def signature(passes: int) -> Build:
    """CPU-bound and linear in text length: a rolling hash in pure Python, character by character."""

    def call(batch: pa.RecordBatch) -> list[int]:
        hashes = []
        for text in batch.column("text").to_pylist():
            h = 7
            for _ in range(passes):
                for character in text:
                    h = (h * 31 + ord(character)) & 0xFFFFFFFF
            hashes.append(h)
        return hashes

    return lambda: call


def self_similarity(stride: int) -> Build:
    """Quadratic in text length: every ``stride``-th character compared with the whole text."""

    def call(batch: pa.RecordBatch) -> list[int]:
        counts = []
        for text in batch.column("text").to_pylist():
            codes = np.frombuffer(text.encode(), np.uint8)
            counts.append(sum(int((code == codes).sum()) for code in codes[::stride]))
        return counts

    return lambda: call


def with_fixed_cost(seconds: float, passes: int = 36) -> Build:
    """As ``signature``, after work of about ``seconds`` that every call does, however few its rows."""
    inner = signature(passes)()
    rounds = int(seconds / 1e-7)

    def call(batch: pa.RecordBatch) -> list[int]:
        x = 0
        for i in range(rounds):
            x = (x * 31 + i) & 0xFFFF
        return inner(batch)

    return lambda: call


def image_classifier(data: Path) -> Build:
    """CIFAR-10 pixels into ten classes by a support vector machine of scikit-learn, trained on other images when built."""

    def build() -> Callable[[pa.RecordBatch], Any]:
        from sklearn.svm import SVC

        train = pd.read_parquet(data / "cifar10" / "test.parquet").iloc[:1000]
        model = SVC(gamma="scale", C=5.0).fit(_pixels(train["pixels"]), train["label"])
        return lambda batch: model.predict(_pixels(batch.column("pixels").to_pylist()))

    return build


def _pixels(values: Any) -> Any:
    return np.stack([np.frombuffer(v, np.uint8) for v in values]).astype(np.float64) / 255


def run_tasks(dataset: Dataset, tasks: SubTasks, job: tuple[str, Any]) -> list[Timing]:
    """Every sub-task once, all its rows in one call, in a process of its own, as on a worker."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as worker:
        return worker.submit(_run_tasks, dataset, tasks, job).result()


def _run_tasks(dataset: Dataset, tasks: SubTasks, job: tuple[str, Any]) -> list[Timing]:
    call = PROGRAMS[job[0]](job[1])()
    timings = []
    assert tasks.fragments is not None
    for i in range(len(tasks)):
        with measured() as m:
            batches = [b for j in tasks.fragments_of(i) for b in dataset.source.read(tasks.fragments[int(j)])]
            for batch in pa.Table.from_batches(batches).combine_chunks().to_batches():
                call(batch)
            del batches
        timings.append(Timing(m.wall_seconds, m.cpu_seconds, peak_memory_bytes=float(m.peak_memory_bytes)))
    return timings


def report(name: str, tasks: SubTasks, timings: list[Timing], costs: Costs, model: Calibrated, clock: str) -> None:
    """One line per job."""
    actual = np.array([t.cpu_seconds if clock == "cpu" else t.seconds for t in timings])
    peak = np.array([t.peak_memory_bytes for t in timings])
    error = np.abs(tasks.seconds / actual - 1)
    assert model.measurements is not None
    m = model.measurements
    pilot = float((m.cpu_seconds if clock == "cpu" else m.seconds).sum())
    terms = ", ".join(k for k in costs.details["coefficients"] if k != "fixed")
    memory = np.median(tasks.memory_bytes / peak)
    tenth = np.quantile(error, 0.9)
    print(
        f"{name:10s} {len(tasks):4d} sub-tasks {actual.sum():7.1f} s | pilot {pilot:5.2f} s = {pilot / actual.sum():5.2%} "
        f"of the work, {len(m)} pieces | median error {np.median(error):6.1%}, 90th percentile {tenth:6.1%}, "
        f"total {tasks.seconds.sum() / actual.sum() - 1:+6.1%} | memory under-predicted "
        f"{np.mean(peak > tasks.memory_bytes):4.1%}, predicted / actual {memory:4.2f} | {terms}",
        flush=True,
    )


def split_by_cost(dataset: Dataset, model: Any, tasks: int) -> tuple[Costs, SubTasks]:
    """What the pipeline does: estimate, then an ordered split."""
    costs = model.estimate(dataset)
    return costs, Ordered().split(dataset, costs, Limits(min_tasks_per_slot=tasks, slots=1))


def job(name: str, dataset: Dataset, program: tuple[str, Any], tasks: int, clock: str) -> None:
    """Pilot, split, run, compare."""
    model = Calibrated(clock="cpu" if clock == "cpu" else "auto").bind(PROGRAMS[program[0]](program[1]))
    costs, split = split_by_cost(dataset, model, tasks)
    report(name, split, run_tasks(dataset, split, program), costs, model, clock)


NUMBERS = ["num_inference_steps", "num_images_per_prompt", "num_lora", "prompt_length", "negative_prompt_length"]
KINDS = ["predict_type", "checkpoint_model_version_id"]
MULTIPLY = list(combinations(NUMBERS, 2))  # as costs/history.py considers them
RUN = 1000
"""Requests of one run, where the trace is predicted run by run in time."""


def inference_trace(data: Path) -> None:
    """Requests of image generation: learn from the first half in time, predict the second; then run by run in time."""
    frame = pd.read_csv(data / "inference_trace_genai" / "lora_requests_first_half.csv")
    frame = frame[frame["predict_status"] == "SUCCEED"].sort_values("gmt_create", kind="stable")
    x, y = frame[NUMBERS].fillna(0.0).astype(float), frame["exec_time_seconds"].to_numpy(float)
    kinds = {name: frame[name].astype(str).to_numpy() for name in KINDS}
    half = len(frame) // 2  # in time
    print(f"inference trace: {half} requests to learn from, {len(y) - half} predicted")
    at = [(0, half, len(y))]
    for name, predict in MODELS.items():
        told(name, y, predict(x, kinds, y, at), at)
    runs = [(0, k, min(k + RUN, len(y))) for k in range(half, len(y), RUN)]
    print(f"run by run in time: {len(runs)} runs of {RUN}, each predicted from all before it")
    for name in ("gradient boosting", "boosted cost", "history"):
        told(name, y, MODELS[name](x, kinds, y, runs), runs)


Spans = list[tuple[int, int, int]]
"""First and past the last measurement to learn from, and past the last to predict from there."""


def told(name: str, y: np.ndarray, predicted: list[np.ndarray], spans: Spans) -> None:
    """One line: errors per request, and of sums of 50."""
    guess = np.concatenate(predicted)
    actual = np.concatenate([y[b:c] for _, b, c in spans])
    groups = np.arange(len(guess)) // 50
    sums = np.abs(np.bincount(groups, guess)[:-1] / np.bincount(groups, actual)[:-1] - 1)
    error = np.abs(guess - actual)
    print(
        f"  {name:20s} mean absolute error {error.mean():6.3f} s, median relative {np.median(error / actual):6.1%}, "
        f"sums of 50: median {np.median(sums):6.2%}, mean {sums.mean():6.2%}",
        flush=True,
    )


def by_mean(x: pd.DataFrame, kinds: dict[str, np.ndarray], y: np.ndarray, spans: Spans) -> list[np.ndarray]:
    """The mean of what came before."""
    return [np.full(c - b, y[a:b].mean()) for a, b, c in spans]


def by_gradient_boosting(
    x: pd.DataFrame, kinds: dict[str, np.ndarray], y: np.ndarray, spans: Spans
) -> list[np.ndarray]:
    """scikit-learn's, with its defaults, on the same features: numbers, and codes of the categories."""
    from sklearn.ensemble import GradientBoostingRegressor

    full = np.column_stack([x, *(pd.factorize(values)[0] for values in kinds.values())])
    return [GradientBoostingRegressor(random_state=0).fit(full[a:b], y[a:b]).predict(full[b:c]) for a, b, c in spans]


def by_boosted_cost(x: pd.DataFrame, kinds: dict[str, np.ndarray], y: np.ndarray, spans: Spans) -> list[np.ndarray]:
    """Ours."""
    columns = {name: x[name].to_numpy() for name in NUMBERS}
    out = []
    for a, b, c in spans:
        cut = [
            ({k: v[s] for k, v in columns.items()}, {k: v[s].tolist() for k, v in kinds.items()})
            for s in (slice(a, b), slice(b, c))
        ]
        out.append(boost(y[a:b], *cut[0], MULTIPLY).predict(*cut[1]))
    return out


def by_history(x: pd.DataFrame, kinds: dict[str, np.ndarray], y: np.ndarray, spans: Spans) -> list[np.ndarray]:
    """Ours, as a user has it: ``cost={model: history, ...}``, which chooses among several models."""
    columns = {**{name: x[name].to_numpy() for name in NUMBERS}, **kinds}
    out = []
    for a, b, c in spans:
        earlier = {**{name: values[a:b] for name, values in columns.items()}, "took": y[a:b]}
        later = TableSource(pa.table({name: values[b:c] for name, values in columns.items()}))
        costs = History(earlier, "took", NUMBERS, KINDS).estimate(later.dataset([c - b]))
        assert costs.record_seconds is not None, "the table is cut by rows"
        out.append(costs.record_seconds)
    return out


def by_fitted_cost(x: pd.DataFrame, kinds: dict[str, np.ndarray], y: np.ndarray, spans: Spans) -> list[np.ndarray]:
    """The fitted terms, which only add."""
    table = pa.Table.from_pandas(x, preserve_index=False)
    terms = candidates(TableSource(table).dataset([1] * len(x)), NUMBERS)
    values = columns_of_rows(table, terms)
    out = []
    for a, b, c in spans:
        measurements = Measurements.of({k: v[a:b] for k, v in values.items()}, [Timing(float(s)) for s in y[a:b]])
        fitted = fit(measurements, terms, FitOptions(clock="wall"))
        out.append(fitted.predict({k: v[b:c] for k, v in values.items()})[0] + fitted.fixed_seconds)
    return out


MODELS: dict[str, Callable[..., list[np.ndarray]]] = {
    "mean of what was": by_mean,
    "fitted cost": by_fitted_cost,
    "gradient boosting": by_gradient_boosting,
    "boosted cost": by_boosted_cost,
    "history": by_history,
}


def columns_of_rows(table: pa.Table, terms: list[Term]) -> dict[str, Any]:
    """Terms of every row by itself."""
    from partitioner.costs.fitting.terms import row_values

    base = {"rows": np.ones(table.num_rows), "bytes": np.full(table.num_rows, table.nbytes / table.num_rows)}
    return {t.name: row_values(t, table) if t.per_row else t.of_whole(base[t.feature]) for t in terms}


def learned(dataset: Dataset, tasks: int, clock: str) -> None:
    """Four scheduled runs with one profile: the program becomes twice as slow before the third."""
    with tempfile.TemporaryDirectory() as folder:
        for number, passes in enumerate((4, 4, 8, 8), start=1):
            model = Learned(f"{folder}/profiles.sqlite", clock=clock if clock == "cpu" else "auto")
            model = model.bind(signature(passes), program="benchmark:signature")
            costs, split = split_by_cost(dataset, model, tasks)
            timings = run_tasks(dataset, split, ("signature", passes))
            actual = np.array([t.cpu_seconds if clock == "cpu" else t.seconds for t in timings])
            assert split.fragments is not None
            cut = Dataset(dataset.source, split.fragments, dataset.schema, "rows")
            per_fragment = columns(cut, model.terms(dataset))
            owner = np.repeat(np.arange(len(split)), np.diff(split.offsets))
            sums = {k: np.bincount(owner, v[split.fragment_index], len(split)) for k, v in per_fragment.items()}
            drift = model.observe(dataset, Measurements.of(sums, timings), f"run-{number}")
            pilot = costs.details.get("pilot")
            print(
                f"  run {number}: program {'as before' if passes == 4 else 'twice as slow'}, "
                f"{'pilot ' + format(pilot['seconds'], '.2f') + ' s' if pilot else 'no pilot'}, median error "
                f"{np.median(np.abs(split.seconds / actual - 1)):6.1%} | {drift[0].message if drift else 'a new profile'}",
                flush=True,
            )


def overhead(count: int = 5000) -> None:
    """Microseconds that measuring adds to an attempt: the median, since a busy machine stretches the mean."""
    took = []
    for _ in range(count):
        begin = time.perf_counter()
        with measured():
            pass
        took.append(time.perf_counter() - begin)
    print(f"measuring one attempt: median {np.median(took) * 1e6:.0f} microseconds of {count} times")


def scale(n: int = 1_000_000) -> None:
    """Estimating a million fragments from a fit."""
    from partitioner.costs.fitting.fitted import Fitted
    from partitioner.model import Fragments

    i = np.arange(n)
    fragments = Fragments(("f",), np.zeros(n, np.int32), i.astype(np.int32), i * 0, i * 0 + 9, i * 0 + 9, i + 1)
    terms = (Term("rows"), Term("bytes"))
    fitted = Fitted(
        terms, (1e-3, 1e-9), 0.1, ((0.0,) * 3,) * 3, 0.1, 1.0, 0.0, terms[1:], (2.0,), 1e8, 0.99, 30, 0.1
    )  # fmt: skip
    dataset = Dataset(TableSource(pa.table({})), fragments, None, "rows")
    begin = time.process_time()
    fitted.estimate(dataset, "calibrated")
    print(f"estimating {n} fragments from a fit: {time.process_time() - begin:.2f} CPU seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--tasks", type=int, default=60)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    every = ["overhead", "scale", "text", "image", "quadratic", "fixed", "inference", "learned"]
    parser.add_argument("--only", nargs="*", choices=every, default=every)
    options = parser.parse_args()
    print(versions("numpy", "pyarrow", "scikit-learn"), f"| {options.clock} seconds | load {os.getloadavg()[0]:.1f}")
    text = ParquetSource(str(options.data / "text" / "php_doc_en.parquet")).describe()
    images = ParquetSource(str(options.data / "cifar10" / "train.parquet")).describe()
    jobs: dict[str, tuple[Dataset, tuple[str, Any]]] = {
        "text": (text, ("signature", 12)),
        "image": (images, ("image", options.data)),
        "quadratic": (text, ("quadratic", 8)),
        "fixed": (text, ("fixed", 0.03)),
    }
    if "overhead" in options.only:
        overhead()
    if "scale" in options.only:
        scale()
    for name in (n for n in jobs if n in options.only):
        job(name, *jobs[name], options.tasks, options.clock)
    if "inference" in options.only:
        inference_trace(options.data)
    if "learned" in options.only:
        print("learned: the text job, four scheduled runs")
        learned(text, options.tasks, options.clock)


PROGRAMS: dict[str, Callable[[Any], Build]] = {
    "signature": signature,
    "image": image_classifier,
    "quadratic": self_similarity,
    "fixed": with_fixed_cost,
}

if __name__ == "__main__":
    main()
