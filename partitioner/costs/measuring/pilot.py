"""Which small pieces of a dataset to run before the rest, to learn what it costs.

Pieces are stratified over the range of sizes: single rows at the quantiles of row size, and blocks of rows whose lengths
grow geometrically, so that what a call costs and what a row costs can be told apart. They come from fragments at the
quantiles of fragment size. Together they hold at most the asked share of the bytes, and they are ordered from small to
large, so that any prefix is a pilot of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partitioner.costs.fitting.terms import Term, base_columns, columns, measured_columns, row_values
from partitioner.costs.formulas.formula import without_views
from partitioner.costs.measuring.row_ranges import BLOCKS, LEAST_PIECES, RESERVE, SINGLES, reserved, row_ranges
from partitioner.frames import to_numpy
from partitioner.model import Dataset, Fragments
from partitioner.model.data import Floats, Ints

PARENTS = 24
READ_LIMIT = 256 << 20
LEAST_BYTES = 2048
LONGER = 4.0
"""Times that ranges of bytes grow when too few of them hold a row."""

TOUCHED = "bytes touched"


@dataclass(frozen=True, slots=True, eq=False)
class Pilot:
    """n ``pieces`` from small to large, and what is known of them before they run.

    ``origin`` int64[n] the fragment each was cut from; ``columns`` float64[n] the terms of each, from its own rows where
    they were read, and ``bytes touched``, what reading it costs; ``share`` of the dataset's bytes. ``reserve``: pieces like
    those of the run, in random order, none of them in ``pieces``; None where there are none.
    """

    pieces: Fragments
    origin: Ints
    columns: Mapping[str, Floats]
    share: float
    reserve: Pilot | None = None

    def take(self, indices: Ints) -> Pilot:
        """The pieces at ``indices``."""
        part = {k: v[indices] for k, v in self.columns.items()}
        size = self.columns["bytes"]
        share = self.share * float(part["bytes"].sum()) / max(float(size.sum()), 1e-300)
        return Pilot(self.pieces.take(indices), self.origin[indices], part, share)


def choose(
    dataset: Dataset,
    terms: Sequence[Term],
    share: float = 0.01,
    seed: int = 0,
    read_columns: Sequence[str] | None = None,
    slots: int = 1,
) -> Pilot:
    """Pieces that hold at most ``share`` of the bytes, and ``LEAST_PIECES`` where there are so many.

    Reads the fragments it cuts (at most ``PARENTS``, about 256 MB) to know the pieces' own bytes and per-row terms;
    ``read_columns`` are those the program reads, None for all; ``slots`` how many run the first pieces, each all of them.
    Deterministic for a seed.
    """
    rng = np.random.default_rng(seed)
    f = dataset.fragments
    kept = np.flatnonzero((f.stop > f.start) & (f.rows != 0))
    if not len(kept):
        return Pilot(
            f.take([]), kept, {name: np.zeros(0) for name in (*(t.name for t in terms), "rows", "bytes", TOUCHED)}, 0.0
        )
    if dataset.divisible_by == "rows":
        pilot = _by_rows(dataset, terms, share, rng, _parents(f, kept, rng), read_columns)
    elif dataset.divisible_by == "bytes":
        pilot = _by_bytes(dataset, terms, share, rng, kept, read_columns)
    else:
        pilot = _whole(dataset, terms, share, kept, rng, slots)
    return replace(_within(pilot, share), reserve=pilot.reserve)


def _parents(f: Fragments, kept: Ints, rng: np.random.Generator) -> Ints:
    """Fragments at the quantiles of size, one at random per stratum, while reading them stays affordable."""
    by_size = kept[np.argsort(f.bytes[kept], kind="stable")]
    strata = np.array_split(by_size, min(PARENTS, max(len(by_size), 1)))
    picked = np.array([s[rng.integers(len(s))] for s in strata if len(s)], np.int64)
    affordable = np.cumsum(f.bytes[picked]) <= READ_LIMIT
    affordable[:2] = True
    return picked[affordable]


def _by_rows(
    dataset: Dataset,
    terms: Sequence[Term],
    share: float,
    rng: np.random.Generator,
    parents: Ints,
    read_columns: Sequence[str] | None,
) -> Pilot:
    """Row ranges of ``parents``, with their own rows, bytes, column bytes and per-row terms."""
    f = dataset.fragments
    sums = [_prefix_sums(dataset, int(parent), terms, read_columns) for parent in parents]
    lengths = np.array([len(s["bytes"]) - 1 for s in sums], np.int64)
    total_rows = int((f.stop - f.start).sum())
    budget = max(int(share * total_rows), min(LEAST_PIECES, int(lengths.sum())))
    sizes = [np.diff(s["bytes"]) for s in sums]
    free = [np.ones(int(n), np.bool_) for n in lengths]
    chosen = row_ranges(sizes, lengths, free, budget, share * float(f.bytes.sum()), rng)
    pilot = _cut(dataset, terms, parents, sums, *chosen)
    return replace(pilot, reserve=_cut(dataset, terms, parents, sums, *reserved(lengths, free, budget, rng)))


def _cut(
    dataset: Dataset,
    terms: Sequence[Term],
    parents: Ints,
    sums: Sequence[Mapping[str, Floats]],
    which: Ints,
    start: Ints,
    stop: Ints,
) -> Pilot:
    """The row ranges ``start`` to ``stop`` of parents ``which``."""
    f = dataset.fragments
    places = list(zip(which, start, stop, strict=True))
    own = {
        name: np.array([sums[w][name][b] - sums[w][name][a] for w, a, b in places])
        for name in (sums[0] if sums else {})
    }
    origin = parents[which]
    base = {name: own[name] if name in own else f.features[name][origin] for name in base_columns(dataset)}
    rows = stop - start
    pieces = replace(
        f.take(origin),
        start=f.start[origin] + start,
        stop=f.start[origin] + stop,
        rows=rows,
        bytes=own["bytes"].astype(np.int64),
    )
    touched = np.where(f.section[origin] >= 0, f.bytes[origin], own["bytes"]).astype(np.float64)
    values = measured_columns(terms, base, own)
    values |= {"rows": rows.astype(np.float64), "bytes": own["bytes"], TOUCHED: touched}
    return Pilot(pieces, origin, values, float(own["bytes"].sum()) / max(float(f.bytes.sum()), 1.0))


def _prefix_sums(
    dataset: Dataset, parent: int, terms: Sequence[Term], read_columns: Sequence[str] | None
) -> dict[str, Floats]:
    """float64[rows + 1] by name: bytes, features and per-row terms summed over the rows before.

    Bytes, column bytes and other features are shared by row bytes and scaled to the fragment's own total.
    """
    f = dataset.fragments
    table = _read(dataset, parent, read_columns, [t for t in terms if t.per_row])
    by_column = {name: _column_bytes(column) for name, column in zip(table.column_names, table.columns, strict=True)}
    together = np.sum(list(by_column.values()), axis=0) if by_column else np.zeros(table.num_rows)
    per_row = {"rows": np.ones(table.num_rows), "bytes": _scaled(together, float(f.bytes[parent]))}
    for name, values in f.features.items():
        per_row[name] = _scaled(by_column.get(name.removeprefix("bytes:"), together), float(values[parent]))
    per_row |= {t.name: row_values(t, table) for t in terms if t.per_row}
    return {name: np.concatenate([[0.0], np.cumsum(values)]) for name, values in per_row.items()}


def _scaled(values: Floats, total: float) -> Floats:
    return np.asarray(values * (total / max(float(values.sum()), 1e-300)))


def _by_bytes(
    dataset: Dataset,
    terms: Sequence[Term],
    share: float,
    rng: np.random.Generator,
    kept: Ints,
    read: Sequence[str] | None,
) -> Pilot:
    """Byte ranges of text: lines that start in the range; ranges that hold no line are dropped.

    Where rows are so long that too few ranges hold one, longer ranges are read.
    """
    f = dataset.fragments
    length = (f.stop - f.start).astype(np.float64)
    least = float(LEAST_BYTES)
    while True:
        pilot = _described(dataset, *_byte_ranges(f, length, share, least, rng, kept), terms, read)
        if len(pilot.pieces) >= LEAST_PIECES or least >= float(length.max()):
            return pilot
        least *= LONGER


def _byte_ranges(
    f: Fragments, length: Floats, share: float, least: float, rng: np.random.Generator, kept: Ints
) -> tuple[Fragments, Ints]:
    """Ranges of at least ``least`` bytes anywhere in the fragments ``kept``, and the fragment of each."""
    budget = share * float(length.sum())
    count = int(np.clip(budget / least, LEAST_PIECES, SINGLES + BLOCKS))
    sizes = least * np.geomspace(1.0, max(2 * budget / (count * least), 1.0001), count)
    origin = rng.choice(kept, size=count, p=length[kept] / length[kept].sum()) if len(kept) else np.empty(0, np.int64)
    size = np.minimum(sizes[: len(origin)], length[origin]).astype(np.int64)
    start = f.start[origin] + (rng.random(len(origin)) * (length[origin] - size + 1)).astype(np.int64)
    part = size / np.maximum(length[origin], 1)
    pieces = replace(
        f.take(origin),
        start=start,
        stop=start + size,
        rows=np.full(len(origin), -1, np.int64),
        bytes=np.maximum((f.bytes[origin] * part).astype(np.int64), 1),
        features={k: v[origin] * part for k, v in f.features.items()},
    )
    return pieces, origin


def _described(
    dataset: Dataset, pieces: Fragments, origin: Ints, terms: Sequence[Term], read: Sequence[str] | None
) -> Pilot:
    """Read the pieces themselves for their rows, the share of the bytes these have, and per-row terms."""
    cut = replace(dataset, fragments=pieces)
    per_row = [t for t in terms if t.per_row]
    rows, held = np.zeros(len(pieces)), np.zeros(len(pieces))
    rowwise = {t.name: np.zeros(len(pieces)) for t in per_row}
    for i in range(len(pieces)):
        table = _read(cut, i, read, per_row)
        if not table.num_rows:
            continue
        rows[i], held[i] = table.num_rows, table.nbytes
        for t in per_row:
            rowwise[t.name][i] = float(row_values(t, table).sum())
    # A range holds the rows that begin in it, however long they are; all ranges together hold what they are long.
    scale = _scaled(held, float(pieces.bytes.sum())) / np.maximum(pieces.bytes, 1)
    base = {name: values * scale for name, values in base_columns(cut).items()} | {"rows": rows}
    pieces = replace(pieces, bytes=np.maximum(base["bytes"].astype(np.int64), 1))
    values = measured_columns(terms, base, rowwise) | {"rows": rows, "bytes": base["bytes"], TOUCHED: base["bytes"]}
    total = max(float(dataset.fragments.bytes.sum()), 1.0)
    pilot = Pilot(pieces, origin.astype(np.int64), values, float(base["bytes"].sum()) / total)
    return pilot.take(np.flatnonzero(rows > 0))


def _whole(
    dataset: Dataset, terms: Sequence[Term], share: float, kept: Ints, rng: np.random.Generator, slots: int
) -> Pilot:
    """Fragments that cannot be cut, of all sizes that the share affords."""
    order = kept[np.argsort(dataset.fragments.bytes[kept], kind="stable")]
    size = dataset.fragments.bytes[order].astype(np.float64)
    picked = order[spanning(size, share * float(dataset.fragments.bytes.sum()), slots)]
    read = any(t.per_row for t in terms)
    others = rng.permutation(np.setdiff1d(kept, picked))[: PARENTS if read else RESERVE]
    others = others[np.cumsum(dataset.fragments.bytes[others]) <= READ_LIMIT] if read else others
    return replace(_uncut(dataset, terms, picked), reserve=_uncut(dataset, terms, others) if len(others) else None)


def spanning(size: Floats, budget: float, slots: int) -> Ints:
    """Indices of sizes (ascending) that together hold at most ``budget``, and ``LEAST_PIECES`` where there are so many.

    The largest holds a quarter of it, with more slots less, since each runs it; the next half of that, and so on; of what is
    left as many at the quantiles of size as it holds. The smallest ones alone would not tell what the size is to the cost,
    and most bytes are in the large ones.
    """
    within = max(int((size <= budget / (4 * sqrt(slots))).sum()), min(LEAST_PIECES, len(size)))
    halves = size[within - 1] / 2.0 ** np.arange(SINGLES) if within else np.zeros(0)
    picked = set(np.searchsorted(size[:within], halves[halves >= size[0]]).tolist()) if within else set()
    rest = budget - float(size[sorted(picked)].sum())
    for count in range(SINGLES + BLOCKS - len(picked), 0, -1):
        strata = np.array_split(np.setdiff1d(np.arange(within), sorted(picked)), count)
        middles = [int(s[len(s) // 2]) for s in strata if len(s)]
        if float(size[middles].sum()) <= rest:
            picked.update(middles)
            break
    smallest = (i for i in range(len(size)) if i not in picked)
    while len(picked) < min(LEAST_PIECES, len(size)):
        picked.add(next(smallest))
    return np.array(sorted(picked), np.int64)


def _uncut(dataset: Dataset, terms: Sequence[Term], picked: Ints) -> Pilot:
    part = replace(dataset, fragments=dataset.fragments.take(picked))
    base = base_columns(part)
    values = columns(part, terms) | {"rows": base["rows"], "bytes": base["bytes"], TOUCHED: base["bytes"]}
    whole = max(float(dataset.fragments.bytes.sum()), 1.0)
    return Pilot(part.fragments, picked, values, float(base["bytes"].sum()) / whole)


def _within(pilot: Pilot, share: float) -> Pilot:
    """Ordered from small to large, the largest left out until the share is kept."""
    order = np.argsort(pilot.columns["bytes"], kind="stable")
    sorted_ = pilot.take(order)
    size = sorted_.columns["bytes"]
    total = float(size.sum()) / pilot.share if pilot.share > 0 else 0.0
    fits = int((np.cumsum(size) <= share * total).sum())
    return sorted_.take(np.arange(max(fits, min(LEAST_PIECES, len(size)))))


def _read(dataset: Dataset, i: int, read_columns: Sequence[str] | None, terms: Sequence[Term]) -> pa.Table:
    from partitioner.costs.formulas.formula import parse

    needed = None
    if read_columns is not None:
        needed = list(dict.fromkeys([*read_columns, *(n for t in terms for n in parse(t.formula).names)]))
    fragment = dataset.fragments[i]
    batches = list(dataset.source.read(fragment, needed))
    return pa.Table.from_batches(batches) if batches else pa.table({})


def _column_bytes(column: pa.ChunkedArray) -> Floats:
    """float64[rows]: bytes of each value in memory, lengths of text, binary and lists included."""
    kind = without_views(column.type)
    column, tests = column.cast(kind), pa.types
    if any(t(kind) for t in (tests.is_string, tests.is_large_string, tests.is_binary, tests.is_large_binary)):
        return np.asarray(4.0 + to_numpy(pc.fill_null(pc.binary_length(column), 0)), np.float64)
    if tests.is_list(kind) or tests.is_large_list(kind):
        items = max(sum(len(c.values) for c in column.chunks), 1)
        lengths = to_numpy(pc.fill_null(pc.list_value_length(column), 0))
        return np.asarray(4.0 + lengths * (column.nbytes / items), np.float64)
    return np.full(len(column), column.nbytes / max(len(column), 1))
