"""From measurements to a fitted cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from partitioner.costs.fitting.fitted import Fitted
from partitioner.costs.fitting.regression import Regression, errors, floor_of, robust, robust_many
from partitioner.costs.fitting.selection import PIECES_FOR_SHAPES, Selection, select
from partitioner.costs.fitting.terms import Term
from partitioner.costs.measuring.measurements import Measurements, program_seconds, wall_per_cpu
from partitioner.costs.measuring.row_ranges import SPAN
from partitioner.costs.memory import MEMORY_PER_BYTE, WRITING_BYTES
from partitioner.errors import CostError
from partitioner.model.data import Floats

MOST_WAITING = 4.0
"""Wall / CPU seconds above which a program waits rather than computes, so that its CPU seconds tell nothing."""

CLEARLY = 0.8

DIFFERENT = 2.0
"""Largest over smallest piece below which all count as of one size."""

PIECES = "pieces"
"""Column with the number of pieces in each call."""

SEVERAL = 4
LEAST_HELD = 0.5
"""Share of what pieces hold one by one that calls of ``SEVERAL`` are thought to hold at least: a resident size that hardly
grows may mean memory that was free before."""

SLACK = 1.02
"""Memory above the quantile seen: what allocators round up and a run of other pieces leaves behind."""


UNDERCUT = 2.0
"""Times the shortest call that what each call costs by itself may come out as: more is no noise, but rows that differ."""

BRIEFEST = 0.05
"""Share of the calls that may be shorter still: of some thousand one is short by chance. Of twenty it is the shortest."""

NOTABLE_BYTES = 64e3
"""Traced bytes below which what a call allocates by itself hides how they grow."""

FASTER = 1.5
"""Power of the bytes of a call from which on its memory grows faster than them."""


@dataclass(frozen=True, slots=True)
class FitOptions:
    """``quantile`` of memory; ``clock`` ``"auto"``, ``"wall"`` or ``"cpu"``; ``seed`` of folds and bootstrap.

    ``bytes_held`` is the least memory per byte of input: the rows read must be held, whatever small pieces show.
    ``bootstraps``: resamplings for the covariance of the coefficients, none for zeros.
    """

    quantile: float = 0.99
    clock: str = "auto"
    bytes_held: float = 2.0
    seed: int = 0
    bootstraps: int = 60


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """The fit of the program's own seconds: ``coefficients`` of 1 and the chosen terms; ``ratio`` wall / CPU, 0 for wall."""

    seconds: Floats
    design: Floats
    selection: Selection
    regression: Regression
    ratio: float = 0.0


def fit(measurements: Measurements, terms: Sequence[Term], options: FitOptions | None = None) -> Fitted:
    """Coefficients >= 0 of the terms that cross-validation picks, intervals by bootstrap, memory at a quantile.

    Time spent reading is fitted on bytes by itself and joined. Raises CostError without measurements.
    """
    options = options or FitOptions()
    if not len(measurements):
        raise CostError("No measurement to fit a cost to: the pilot ran nothing. Raise its budget or declare the cost.")
    steady = measurements.take(~measurements.first) if (~measurements.first).sum() >= 3 else measurements
    usable = [t for t in terms if t.name in steady.columns]
    work = _fit_work(steady, usable, options)
    chosen = [usable[i] for i in work.selection.chosen]
    scale = work.ratio or 1.0
    beta = work.regression.coefficients
    beta = beta * _unbiased(work.design @ beta, work.seconds) * scale
    covariance = _bootstrap(work.design, work.seconds, options) * scale**2
    chosen, coefficients, covariance = _with_reading(steady, options.clock, chosen, beta, covariance)
    memory_terms, memory = _memory(measurements, usable, options)
    return Fitted(
        terms=tuple(chosen),
        coefficients=tuple(float(c) for c in coefficients[1:]),
        fixed_seconds=float(coefficients[0]),
        covariance=tuple(tuple(float(v) for v in row) for row in covariance),
        noise=work.regression.scale,
        piece_seconds=float(np.median(work.seconds)) * scale,
        process_seconds=_process_seconds(measurements, beta, work),
        memory_terms=tuple(memory_terms),
        memory_coefficients=tuple(float(m) for m in memory[1:]),
        memory_fixed=float(memory[0]),
        memory_baseline=float(np.median(steady.baseline_memory_bytes)),
        quantile=options.quantile,
        measurements=len(measurements),
        held_out_error=math.expm1(work.selection.error),
        cpu_ratio=work.ratio,
        considered=work.selection.considered,
        notes=(*_notes(chosen, work, len(steady)), *_memory_notes(measurements)),
    )


def _fit_work(m: Measurements, terms: Sequence[Term], options: FitOptions) -> _Work:
    """Fit on the asked clock; ``auto`` takes CPU seconds where they are held out clearly better, are most of the wall time
    of large pieces too, and tell all wall seconds.

    On a busy machine wall seconds are mostly noise. CPU seconds tell the shape, and the median wall / CPU the level.
    """
    ones = np.ones(len(m))
    design = np.stack([ones, *(m.columns[t.name] for t in terms)], axis=1)

    def on(seconds: Floats, ratio: float = 0.0) -> _Work:
        selection = select(terms, design, seconds, options.seed)
        if (jointly := _jointly(terms, design, selection)) is not None:
            return _line(design, seconds, jointly, ratio, told_apart=True)
        if not selection.chosen and (size := _of_one_size(terms, design)) is not None:
            selection = replace(selection, chosen=(size,))
        if selection.rival is not None:
            return _averaged(design, seconds, selection, selection.rival, ratio)
        if not selection.chosen and _undercut(robust(design[:, :1], seconds).coefficients[0], seconds):
            selection = replace(selection, chosen=_size(terms, design))
        return _line(design, seconds, selection, ratio)

    wall, cpu = program_seconds(m, "wall"), program_seconds(m, "cpu")
    if options.clock != "auto":
        return on(cpu if options.clock == "cpu" else wall)
    by_wall = on(wall)
    if not len(cpu) or not (cpu > 0).all():
        return by_wall
    at_large, ratio = wall_per_cpu(wall, cpu, _predicted(by_wall)), wall_per_cpu(wall, cpu, np.sqrt(cpu))
    if max(at_large, ratio) > MOST_WAITING:
        return by_wall
    by_cpu = on(cpu, ratio)
    clearer = by_cpu.selection.error < CLEARLY * by_wall.selection.error
    return by_cpu if clearer and _tells_wall(by_cpu, wall, by_wall.selection.error) else by_wall


def _predicted(work: _Work) -> Floats:
    """float64[n]: seconds of the measurements as fitted, on the wall clock."""
    return work.design @ work.regression.coefficients * (work.ratio or 1.0)


def _tells_wall(by_cpu: _Work, wall: Floats, error: float) -> bool:
    """Whether CPU seconds times their ratio meet the wall seconds as well as the fit of these does, whose held-out error is
    ``error``. Waiting that grows with the work is in no CPU second, however even these are.
    """
    return float(errors(_predicted(by_cpu), wall, floor_of(wall)).mean()) <= error


def _line(design: Floats, seconds: Floats, selection: Selection, ratio: float, told_apart: bool = False) -> _Work:
    """The fit to what was chosen, all counted to it where a call by itself would cost more than whole calls took.

    A row that is dear by chance looks like a dear call, and a sub-task of many rows would cost no more. ``told_apart``: the
    calls differ enough for what each costs by itself.
    """
    x = design[:, [0, *(i + 1 for i in selection.chosen)]]
    x = x if told_apart else _told_apart(x)
    found = robust(x, seconds)
    if selection.chosen and _undercut(found.coefficients[0], seconds):
        x[:, 0] = 0.0
        found = robust(x, seconds)
    return _Work(seconds, x, selection, found, ratio)


def _undercut(of_a_call: float, seconds: Floats) -> bool:
    """Whether whole calls took clearly less than what each is said to cost by itself."""
    return bool(len(seconds)) and of_a_call > UNDERCUT * float(np.quantile(seconds, BRIEFEST, method="lower"))


def _size(terms: Sequence[Term], design: Floats) -> tuple[int, ...]:
    """The rows, or the bytes where rows are not known; nothing where these are not either."""
    named = {t.name: i for i, t in enumerate(terms) if design[:, i + 1].any()}
    return tuple(named[name] for name in ("rows", "bytes") if name in named)[:1]


def _jointly(terms: Sequence[Term], design: Floats, selection: Selection) -> Selection | None:
    """Rows and their size, where few pieces tell what calls, rows and size cost: single rows of sizes that differ by
    ``SPAN``, and a call of several. None where there are no such pieces, or enough to choose terms by.
    """
    rows = next((i for i, t in enumerate(terms) if t.name == "rows"), None)
    if rows is None or len(np.unique(design, axis=0)) >= PIECES_FOR_SHAPES:
        return None
    alone = design[:, rows + 1] == 1
    if alone.all() or not alone.any():
        return None
    linear = [i for i, t in enumerate(terms) if i != rows and t.complexity < 1 and not t.of_number]
    spans = [i for i in linear if np.ptp(design[alone, i + 1]) > 0 and _spread(design[alone, i + 1]) >= SPAN]
    size = next((i for i in (*selection.chosen, *spans) if i in spans), None)
    return None if size is None else replace(selection, chosen=(rows, size), rival=None)


def _spread(values: Floats) -> float:
    return float(values.max()) / max(float(values.min()), 1e-300)


def _averaged(design: Floats, seconds: Floats, selection: Selection, rival: int, ratio: float) -> _Work:
    """The mean of two costs of one term each that few pieces do not tell apart: half of the error of the wrong one."""
    both = (*selection.chosen, rival)
    alone = [_line(design, seconds, replace(selection, chosen=(i,)), ratio).regression.coefficients for i in both]
    mean = np.array([alone[0][0] + alone[1][0], alone[0][1], alone[1][1]]) / 2
    x = design[:, [0, *(i + 1 for i in both)]]
    return _Work(seconds, x, replace(selection, chosen=both), replace(robust(x, seconds), coefficients=mean), ratio)


def _of_one_size(terms: Sequence[Term], design: Floats) -> int | None:
    """The term of rows, or of bytes where rows are not known, where all pieces have about as many: None where they differ.

    What a call costs and what a row costs cannot be told apart then. A sub-task holds many such pieces, so all of it is
    counted to the rows: to the call it would leave out nearly all of the work.
    """
    known = {t.name: i for i, t in enumerate(terms) if t.name in ("rows", "bytes")}
    i = known.get("rows", known.get("bytes"))
    if i is None or not len(design):
        return None
    sizes = design[:, i + 1]
    return i if 0 < sizes.max() < DIFFERENT * sizes.min() else None


def _told_apart(x: Floats) -> Floats:
    """``x``, its ones zeroed where all calls are of nearly one size: what a call costs besides cannot be told from them, and
    taken for the whole it would be paid once by sub-tasks of any size.
    """
    size = (x[:, 1:] / np.maximum(x[:, 1:].max(axis=0, initial=0.0), 1e-300)).sum(axis=1)
    if x.shape[1] > 1 and 0 < size.max() < SPAN * size.min():
        x[:, 0] = 0.0
    return x


def _unbiased(predicted: Floats, actual: Floats) -> float:
    """What a robust fit must be multiplied by so that totals agree, ratios beyond three deviations cut off.

    Robust loss follows the median; a sum of many skewed times follows the mean.
    """
    if predicted.sum() <= 0:
        return 1.0
    floor = floor_of(actual)
    ratio = (actual + floor) / (predicted + floor)
    spread = 3 * 1.4826 * float(np.median(np.abs(ratio - np.median(ratio)))) + 1e-3
    clipped = np.clip(ratio, np.median(ratio) - spread, np.median(ratio) + spread)
    return float(np.sum(clipped * predicted) / predicted.sum())


def _bootstrap(x: Floats, target: Floats, options: FitOptions) -> Floats:
    """Covariance of the coefficients over resampled measurements."""
    if not options.bootstraps:
        return np.zeros((x.shape[1], x.shape[1]))
    rng = np.random.default_rng(options.seed)
    n = len(target)
    floor = floor_of(target)
    draws = rng.integers(0, n, (options.bootstraps, n))
    fits = robust_many(x[draws], target[draws], np.ones(draws.shape, np.bool_), floor, iterations=4)
    return np.asarray(np.cov(fits, rowvar=False)).reshape(x.shape[1], x.shape[1])


def _with_reading(
    m: Measurements, clock: str, terms: list[Term], coefficients: Floats, covariance: Floats
) -> tuple[list[Term], Floats, Floats]:
    """Join seconds per byte read and per read, fitted apart, to the formula."""
    m = m.take(m.read_seconds > 0)
    seconds = m.read_cpu_seconds if clock == "cpu" else m.read_seconds
    touched = m.columns.get("bytes touched", m.columns.get("bytes"))
    if touched is None or not len(m):
        return terms, coefficients, covariance
    reading = robust(np.stack([np.ones(len(m)), touched], axis=1), seconds).coefficients
    if not touched.any() or np.ptp(touched) < 0.2 * touched.max():
        # All reads alike: a rate and a constant cannot be told apart; a rate is what carries over to other sizes.
        reading = np.array([0.0, float(np.median(seconds / np.maximum(touched, 1.0)))])
    names = [t.name for t in terms]
    coefficients = coefficients.copy()
    coefficients[0] += reading[0]
    if "bytes" in names:
        coefficients[1 + names.index("bytes")] += reading[1]
        return terms, coefficients, covariance
    grown = np.zeros((len(covariance) + 1, len(covariance) + 1))
    grown[:-1, :-1] = covariance
    return [*terms, Term("bytes")], np.append(coefficients, reading[1]), grown


def _process_seconds(m: Measurements, beta: Floats, work: _Work) -> float:
    """Loading, and what the first piece of a process took beyond the slowest of the others: warming up."""
    loads = m.load_seconds[m.load_seconds > 0]
    load = float(np.median(loads)) if len(loads) else 0.0
    first = program_seconds(m.take(m.first), "cpu" if work.ratio else "wall") * (work.ratio or 1.0)
    if not len(first) or not len(work.seconds):
        return load
    usual = max(float(work.seconds.max()) * (work.ratio or 1.0), float(beta[0]))
    return load + max(0.0, float(np.median(first)) - usual)


def _memory(m: Measurements, terms: Sequence[Term], options: FitOptions) -> tuple[list[Term], Floats]:
    """Peak resident bytes at the quantile: a line in bytes, raised until the peaks lie below it.

    The amount is the conformal quantile of what peaks exceed the line by (Vovk et al., Algorithmic Learning in a Random
    World, 2005); with fewer measurements than that needs, the largest.
    """
    bytes_term = next((t for t in terms if t.name == "bytes"), None)
    peaks = m.peak_memory_bytes
    if bytes_term is None or not peaks.any():
        return [], np.array([float(peaks.max(initial=0.0)) * SLACK])
    size = m.columns["bytes"]
    alone = _memory_slope(m, size, peaks)
    slope = max(_held_together(m, size, peaks, alone), options.bytes_held)
    above = np.sort(peaks - slope * size)
    rank = min(math.ceil((len(above) + 1) * options.quantile), len(above))
    fixed = max(float(above[rank - 1]), 0.0) + (WRITING_BYTES if PIECES in m.columns else 0.0)
    return [bytes_term], np.array([fixed, slope]) * SLACK


def _memory_slope(m: Measurements, size: Floats, peaks: Floats) -> float:
    """Bytes of memory per byte of input, the larger of what tracing and resident sizes say; 0 where neither can.

    The resident size moves by whole arenas: pieces must be of a megabyte, and the largest twice the smallest, to show it.
    """
    slopes = []
    traced = m.traced_bytes > 0
    if traced.sum() >= 2 and np.ptp(size[traced]) > 0:
        x = np.stack([np.ones(int(traced.sum())), size[traced]], axis=1)
        line = robust(x, m.traced_bytes[traced]).coefficients
        ratio = m.traced_bytes[traced] / np.maximum(x @ line, 1.0)
        # The input itself is not traced: Arrow allocates outside of Python.
        slopes.append(1.0 + float(line[1]) * max(1.0, float(ratio.max())))
    large = size >= 1 << 20
    if large.sum() >= 4 and size[large].max() >= 2 * size[large].min():
        x = np.stack([np.ones(int(large.sum())), size[large]], axis=1)
        slopes.append(float(robust(x, peaks[large]).coefficients[1]))
    return max(slopes, default=0.0)


def _memory_notes(m: Measurements) -> tuple[str, ...]:
    """Said where a call's memory grows faster than its bytes: what is predicted for longer calls is then too little."""
    size, traced = m.columns.get("bytes", np.zeros(len(m))), m.traced_bytes
    seen = (traced >= NOTABLE_BYTES) & (size > 0)
    if seen.sum() < 3 or size[seen].max() < SPAN * size[seen].min():
        return ()
    power = float(np.polyfit(np.log(size[seen]), np.log(traced[seen]), 1)[0])
    if power < FASTER:
        return ()
    return (
        f"memory grows as bytes ^ {power:.2g} in the pilot's pieces, and is predicted in proportion: longer calls take "
        "more. Bound a call with batch_size, or declare memory_bytes",
    )


def _held_together(m: Measurements, size: Floats, peaks: Floats, alone: float) -> float:
    """Bytes of memory per byte of a call of many pieces, where such calls were made: one that goes from piece to piece frees
    between them, and holds less than their sum.

    1.25 times what the processes have grown to; a stand-in where nothing tells.
    """
    several = m.columns.get(PIECES, np.ones(len(m))) >= SEVERAL
    if not several.any():
        return alone or MEMORY_PER_BYTE
    grown = peaks - m.baseline_memory_bytes[~m.first].min(initial=np.inf)
    together = 1.25 * float((grown[several] / np.maximum(size[several], 1.0)).max(initial=0.0))
    return min(max(together, LEAST_HELD * alone), alone) if alone else max(together, MEMORY_PER_BYTE)


def _notes(terms: Sequence[Term], work: _Work, n: int) -> tuple[str, ...]:
    notes = []
    for term in terms:
        if term.shape != "linear":
            where = "row" if term.per_row else "fragment: cutting fragments lowers the total"
            notes.append(f"super-linear cost: {term.name}, per {where}")
    if work.selection.rival is not None:
        notes.append(f"so few pieces do not tell {' from '.join(t.name for t in terms[:2])}: the mean of both is taken")
    if n < 8:
        notes.append(f"only {n} measurements: coefficients are uncertain")
    if work.ratio:
        notes.append(f"fitted on CPU seconds, times {work.ratio:.2f} wall seconds each")
    if work.selection.chosen and not work.design[:, 0].any():
        name = terms[0].name
        size = work.design[:, 1:].sum(axis=1)
        alike = size.max() < SPAN * max(float(size.min()), 1e-300)
        why = f"all pieces have about as many {name}" if alike else "rows differ more than calls of more of them do"
        notes.append(f"{why}: what a call costs by itself is not known, all is counted to {name}")
    if not work.selection.chosen:
        notes.append("no feature explains the seconds better than their mean")
    return tuple(notes)
