"""``pt.cascade``: a small model sees every record, a larger one only those that the small one is not sure of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from partitioner import config as configuration
from partitioner import registry
from partitioner.engines.resolve import resolve as resolve_engine
from partitioner.errors import ConfigError, DataError, listed, nearest
from partitioner.frames import to_numpy
from partitioner.model import Dataset, Fragment, Fragments
from partitioner.model.given import check_number
from partitioner.model.source import Source
from partitioner.reading import read_table
from partitioner.running import run
from partitioner.runs.run import Run

PIECE_ROWS = 4096
"""Rows of the input that a piece of the second pass holds at most, before the certain ones are left out: the plan balances
pieces, and reading one costs a row group at most."""


@dataclass(frozen=True, slots=True, eq=False)
class ChosenSource(Source):
    """Some rows of ``inner``: ``chosen`` are bits, one for each row in input order; ``pieces`` its fragments, none empty."""

    inner: Source
    chosen: bytes
    first_rows: tuple[int, ...]
    pieces: Fragments

    name: ClassVar[str] = "chosen rows"

    @classmethod
    def of(cls, inner: Source, mask: Any) -> ChosenSource:
        """From bool[n] of all rows."""
        dataset = inner.describe()
        pieces = dataset.fragments
        if dataset.divisible_by == "rows":
            pieces, _ = pieces.cut(-(-pieces.rows // PIECE_ROWS))
        ends = np.cumsum(pieces.rows)
        counts = np.add.reduceat(mask.astype(np.int64), ends - pieces.rows) if len(mask) else np.zeros(0, np.int64)
        kept = np.flatnonzero((counts > 0) & (pieces.rows > 0))
        return cls(inner, np.packbits(mask).tobytes(), tuple((ends - pieces.rows)[kept].tolist()), pieces.take(kept))

    def _mask(self, i: int) -> Any:
        first, rows = self.first_rows[i], int(self.pieces.rows[i])
        low = first // 8
        bits = np.unpackbits(np.frombuffer(self.chosen, np.uint8, -(-(first + rows) // 8) - low, low))
        return bits[first - 8 * low : first - 8 * low + rows].astype(bool)

    def describe(self) -> Dataset:
        """The pieces, with the rows that are chosen."""
        found = []
        for i in range(len(self.pieces)):
            piece, rows = self.pieces[i], int(self._mask(i).sum())
            share = rows / max(1, piece.rows)
            features = {name: value * share for name, value in piece.features.items()}
            found.append(Fragment(i, piece.path, i, 0, rows, rows, int(piece.bytes * share), features))
        return Dataset(self, Fragments.of(found), self.inner.describe().schema, None)

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The chosen rows of a piece, in order."""
        mask, at = self._mask(fragment.section), 0
        for batch in self.inner.read(self.pieces[fragment.section], columns):
            yield batch.filter(pa.array(mask[at : at + batch.num_rows]))
            at += batch.num_rows

    def fingerprints(self) -> dict[str, str]:
        """Those of the input."""
        return self.inner.fingerprints()

    def contents(self) -> dict[str, str]:
        """Those of the input."""
        return self.inner.contents()


@dataclass(frozen=True, slots=True, eq=False)
class Cascaded:
    """What ``pt.cascade`` returns.

    ``table``: ``prediction``, ``confidence`` of the small model, and ``stage`` (``small`` or ``large``), a row for each
    record in input order. ``rows`` of all, ``uncertain`` of them went to the large model, ``audited`` besides, to see what
    is lost. ``small_seconds`` and ``large_seconds`` were spent by all workers together; ``all_large_seconds`` the large
    model would take for every record, drawn out by rows. ``disagreement``: share of the audited records on which the large
    model says otherwise. ``accuracy`` of the small model and the cascade over all records, and of the large one as the
    audit estimates it; empty without labels. ``small`` and ``large`` are the runs (None: no record went to the large one).
    """

    table: pa.Table
    rows: int
    uncertain: int
    audited: int
    small_seconds: float
    large_seconds: float
    all_large_seconds: float
    disagreement: float
    accuracy: Mapping[str, float]
    small: Run
    large: Run | None

    @property
    def seconds_saved(self) -> float:
        """Against the large model for every record; below 0 where the cascade does not pay."""
        return self.all_large_seconds - self.small_seconds - self.large_seconds

    def facts(self) -> dict[str, Any]:
        """The figures as plain values."""
        names = ["rows", "uncertain", "audited", "small_seconds", "large_seconds", "all_large_seconds", "seconds_saved"]
        names += ["disagreement"]
        return {**{name: getattr(self, name) for name in names}, "accuracy": dict(self.accuracy)}

    def __str__(self) -> str:
        share = self.uncertain / max(1, self.rows)
        lines = [
            f"{self.uncertain} of {self.rows} records ({share:.1%}) went to the large model, {self.audited} more to audit",
            f"{self.small_seconds + self.large_seconds:.3g} s of work instead of about {self.all_large_seconds:.3g} s: "
            f"{abs(self.seconds_saved):.3g} s {'saved' if self.seconds_saved >= 0 else 'more'}",
            *(
                [f"the large model says otherwise on {self.disagreement:.2%} of the audited records"]
                if self.audited
                else []
            ),
            *(f"accuracy of {name}: {value:.4f}" for name, value in self.accuracy.items()),
        ]
        return "\n".join(lines)


def cascade(
    dataset: Any,
    small: Any,
    large: Any,
    *,
    threshold: float,
    audit: float = 0.01,
    label: str | None = None,
    small_arguments: Mapping[str, Any] | None = None,
    large_arguments: Mapping[str, Any] | None = None,
    **options: Any,
) -> Cascaded:
    """The small model's predictions where it is sure, the large model's elsewhere; what that saves, and what it loses.

    Two runs of ``pt.run``. The second reads only the uncertain records, and its plan balances those, wherever they lie.

    Parameters
    ----------
    small, large
        Programs as for ``pt.run`` that return one row for each: a column ``prediction``, and of the small one ``confidence``
        too.
    threshold
        Records whose confidence is below go to the large model.
    audit
        Share of the other records that the large model sees too: their predictions stay the small model's, and say how often
        the two differ, and so how good the large model would be on all.
    label
        Column of the truth: with it there are accuracies.
    options
        Settings of ``RunConfig`` for both runs: engine, columns, batch_format, cost, checkpoint, seed, ...

    Raises ConfigError for a share or threshold that cannot be, DataError where the input does not say how many rows it has,
    and what ``pt.run`` raises.
    """
    for name, value in (("threshold", threshold), ("audit", audit)):
        check_number(name, value)
    if options.get("on_error") == "quarantine" or options.get("allow_row_change"):
        raise ConfigError(
            "a cascade has a row for each record, by which it finds those that the large model is to see; leave out "
            "on_error='quarantine' and allow_row_change, and have the models return a row for rows that they cannot bear."
        )
    if not np.isfinite(threshold):
        raise ConfigError(f"threshold is {threshold}; give the confidence below which records go to the large model.")
    if not 0 <= audit <= 1:
        raise ConfigError(f"audit is {audit}; give a share from 0 to 1 of the records that the small model is sure of.")
    for name in ("reducer", "output", "mode", "arguments", "limit", "sample", "filter"):
        if name in options:
            raise ConfigError(
                f"pt.cascade has no setting {name!r}; take the 'table' of its result, or narrow the dataset."
            )
    source: Source = registry.import_ours("connectors.resolve").resolve(dataset)
    engine = options.pop("engine", source.own_engine() or configuration.make({}).engine)
    with resolve_engine(engine).opened() as opened:
        settings = {**options, "engine": opened}
        first = run(dataset, small, arguments=dict(small_arguments or {}), **settings)
        said = _columns(first, "the small model", ("prediction", "confidence"))
        unsure, audited = _divided(to_numpy(said["confidence"]), threshold, audit, first.plan.seed)
        inner = source.materialise(f"{first.url}/input")
        if (inner.describe().fragments.rows < 0).any():
            raise DataError(
                "a cascade needs an input that says how many rows it has, such as Parquet; convert it first."
            )
        second = None
        if (unsure | audited).any():
            chosen = ChosenSource.of(inner, unsure | audited)
            second = run(chosen, large, arguments=dict(large_arguments or {}), **settings)
    truth = None if label is None else _column(read_table(dataset, [label])[label])
    return _told(first, second, said, unsure, audited, truth)


def _columns(made: Run, who: str, names: Sequence[str]) -> pa.Table:
    table = made.result.to_table()
    for name in names:
        if name not in table.column_names:
            known = table.column_names
            raise DataError(f"{who} returns no column {name!r}; it returns {listed(known)}.{nearest(name, known)}")
    return table.select(list(names))


def _column(column: Any) -> Any:
    return np.asarray(to_numpy(column))


def _divided(confidence: Any, threshold: float, audit: float, seed: int) -> tuple[Any, Any]:
    """bool[n] of the uncertain records (a confidence that is no number counts as such), and of those audited besides."""
    unsure = ~(np.asarray(confidence, np.float64) >= threshold)
    drawn = np.random.default_rng(seed).random(len(unsure)) < audit
    return unsure, drawn & ~unsure


def _told(first: Run, second: Run | None, said: pa.Table, unsure: Any, audited: Any, truth: Any) -> Cascaded:
    prediction = _column(said["prediction"])
    final, other = prediction.copy(), prediction.copy()
    seen = unsure | audited
    if second is not None:
        answers = _column(_columns(second, "the large model", ("prediction",))["prediction"])
        kind = np.result_type(final.dtype, answers.dtype) if final.dtype != answers.dtype else final.dtype
        final, other = final.astype(kind), other.astype(kind)
        other[seen] = answers
        final[unsure] = other[unsure]
    spent = 0.0 if second is None else sum(r.seconds for r in second.records)
    stage = pa.array(np.where(unsure, "large", "small"))
    found = Cascaded(
        table=pa.table({"prediction": final, "confidence": said["confidence"], "stage": stage}),
        rows=len(final),
        uncertain=int(unsure.sum()),
        audited=int(audited.sum()),
        small_seconds=sum(r.seconds for r in first.records),
        large_seconds=spent,
        all_large_seconds=spent * len(final) / max(1, int(seen.sum())),
        disagreement=float((other[audited] != prediction[audited]).mean()) if audited.any() else float("nan"),
        accuracy={} if truth is None or not len(final) else _accuracy(truth, prediction, final, other, unsure, audited),
        small=first,
        large=second,
    )
    (second or first).directory.files.put("cascade.json", json.dumps(_known(found.facts()), allow_nan=False).encode())
    return found


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    """With null for NaN, which JSON has none of."""
    shown = {k: _known(v) if isinstance(v, dict) else v for k, v in facts.items()}
    return {k: None if isinstance(v, float) and isnan(v) else v for k, v in shown.items()}


def _accuracy(truth: Any, prediction: Any, final: Any, other: Any, unsure: Any, audited: Any) -> dict[str, float]:
    """Of the large model: measured on the uncertain records, estimated by the audit on the others."""
    found = {"the small model": float((prediction == truth).mean()), "the cascade": float((final == truth).mean())}
    if audited.any() or unsure.all():
        right = (other[unsure] == truth[unsure]).sum()
        rest = (other[audited] == truth[audited]).mean() * (~unsure).sum() if audited.any() else 0.0
        found["the large model (by the audit)"] = float((right + rest) / len(truth))
    return found
