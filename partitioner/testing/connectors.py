"""The laws of a source. A connector's author gives one ``SourceCase`` and runs every function of ``SOURCE_LAWS`` on it.

@pytest.mark.parametrize("law", SOURCE_LAWS, ids=lambda law: law.__name__)
def test_source(law, tmp_path):
    law(SourceCase(make, expected, change), tmp_path)
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from partitioner.errors import DataError
from partitioner.model import Dataset, Fragments

if TYPE_CHECKING:
    from partitioner.model.source import Source

MAX_BATCH_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class SourceCase:
    """One source over known rows.

    ``make`` writes what the source reads into an empty directory and returns the source; ``expected`` are its rows in
    input order, with its column names and types, at least three of them; ``change`` alters the content behind the
    source made last in that directory and returns the source to look at afterwards (the same one for files).
    """

    make: Callable[[Path], Source]
    expected: Callable[[Path], pa.Table]
    change: Callable[[Path], Source]


Law = Callable[[SourceCase, Path], None]


def read_all(dataset: Dataset, fragments: Fragments, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of ``fragments``, read one after the other."""
    batches = [b for i in range(len(fragments)) for b in dataset.source.read(fragments[i], columns)]
    schema = dataset.schema if columns is None else None
    if schema is None and not batches:
        raise AssertionError("no batch was read, so that the schema of the projection is unknown")
    return pa.Table.from_batches(batches, schema or batches[0].schema)


def every_row_once_in_input_order(case: SourceCase, directory: Path) -> None:
    """Concatenating the reads of all fragments gives the expected rows, with the described schema."""
    dataset = case.make(directory).describe()
    assert_same_rows(read_all(dataset, dataset.fragments), case.expected(directory))


def the_source_itself_reads_too(case: SourceCase, directory: Path) -> None:
    """A source reads without the state that ``describe`` may have added to ``dataset.source``."""
    source = case.make(directory)
    fragments = source.describe().fragments
    batches = [b for i in range(len(fragments)) for b in source.read(fragments[i])]
    assert_same_rows(pa.Table.from_batches(batches), case.expected(directory))


def rows_are_counted_or_unknown(case: SourceCase, directory: Path) -> None:
    """Where a fragment says how many rows it has, it has them."""
    dataset = case.make(directory).describe()
    for i in range(len(dataset.fragments)):
        fragment = dataset.fragments[i]
        read = sum(batch.num_rows for batch in dataset.source.read(fragment))
        assert fragment.rows in (-1, read), f"{fragment.name} says {fragment.rows} rows and has {read}"
        assert fragment.bytes >= 0


def cuts_keep_every_row(case: SourceCase, directory: Path) -> None:
    """However divisible fragments are cut, with cuts of cuts, the rows stay the same; others stay whole."""
    dataset = case.make(directory).describe()
    expected = case.expected(directory)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        finer = dataset.fragments
        if dataset.divisible_by is not None:
            for most in (1 << seed, 3):
                finer, _ = finer.cut(rng.integers(1, most + 1, len(finer)))
        assert_same_rows(read_all(dataset, finer), expected)


def the_finest_cut_keeps_every_row(case: SourceCase, directory: Path) -> None:
    """Fragments cut into single rows or bytes still give every row once."""
    dataset = case.make(directory).describe()
    if dataset.divisible_by is None:
        return
    finest, _ = dataset.fragments.cut(dataset.fragments.stop - dataset.fragments.start)
    assert len(finest) == int((dataset.fragments.stop - dataset.fragments.start).sum())
    assert_same_rows(read_all(dataset, finest), case.expected(directory))


def columns_are_selected_in_the_order_asked(case: SourceCase, directory: Path) -> None:
    """``columns`` of a read gives those columns only, in that order; an empty selection still counts rows."""
    dataset = case.make(directory).describe()
    expected = case.expected(directory)
    names = expected.column_names[::-1][:2]
    assert_same_rows(read_all(dataset, dataset.fragments, names), expected.select(names))
    none = [b for i in range(len(dataset.fragments)) for b in dataset.source.read(dataset.fragments[i], [])]
    assert sum(batch.num_rows for batch in none) == expected.num_rows
    assert all(batch.num_columns == 0 for batch in none)


def a_missing_column_is_refused_with_the_nearest(case: SourceCase, directory: Path) -> None:
    """DataError naming the column asked for and the one probably meant."""
    dataset = case.make(directory).describe()
    near = case.expected(directory).column_names[0]
    typed = f"{near}x"
    message = _refusal(dataset, typed)
    assert repr(typed) in message, f"the column {typed!r} is not named: {message}"
    assert f"Did you mean {near!r}?" in message, f"the nearest column {near!r} is not named: {message}"


def _refusal(dataset: Dataset, column: str) -> str:
    try:
        list(dataset.source.read(dataset.fragments[0], [column]))
    except DataError as error:
        return str(error)
    raise AssertionError(f"reading the missing column {column!r} raised no DataError")


def a_pickled_source_reads_alike(case: SourceCase, directory: Path) -> None:
    """What a worker gets by pickle reads the same rows."""
    dataset = case.make(directory).describe()
    copy = pickle.loads(pickle.dumps(dataset.source))
    batches = [b for i in range(len(dataset.fragments)) for b in copy.read(dataset.fragments[i])]
    assert_same_rows(pa.Table.from_batches(batches), case.expected(directory))


def describing_twice_gives_the_same(case: SourceCase, directory: Path) -> None:
    """Fragments and schema depend on the data only."""
    source = case.make(directory)
    first, second = source.describe(), source.describe()
    assert first.fragments.to_arrow().equals(second.fragments.to_arrow())
    assert first.schema == second.schema
    assert first.divisible_by == second.divisible_by


def fingerprints_follow_the_content(case: SourceCase, directory: Path) -> None:
    """Equal while nothing changes, different once the content has."""
    source = case.make(directory)
    fragment = source.describe().fragments[0]
    before = source.fingerprint(fragment)
    assert source.fingerprint(fragment) == before
    changed = case.change(directory)
    assert changed.fingerprint(changed.describe().fragments[0]) != before


def one_listing_gives_every_fingerprint(case: SourceCase, directory: Path) -> None:
    """``fingerprints`` says for every path what ``fingerprint`` says for its fragments."""
    source = case.make(directory)
    fragments = source.describe().fragments
    single = {fragments[i].path: source.fingerprint(fragments[i]) for i in range(len(fragments))}
    together = source.fingerprints()
    assert {path: together[path] for path in single} == single


def batches_are_bounded(case: SourceCase, directory: Path) -> None:
    """No record batch is empty or longer than 65,536 rows."""
    dataset = case.make(directory).describe()
    sizes = [b.num_rows for i in range(len(dataset.fragments)) for b in dataset.source.read(dataset.fragments[i])]
    assert all(0 < size <= MAX_BATCH_ROWS for size in sizes)


def assert_same_rows(found: pa.Table, expected: pa.Table) -> None:
    """Equal column names, types and values, row by row."""
    assert found.schema.equals(expected.schema), f"schema {found.schema} instead of {expected.schema}"
    assert found.num_rows == expected.num_rows, f"{found.num_rows} rows instead of {expected.num_rows}"
    assert found.equals(expected), f"rows differ: {found.to_pylist()[:5]} instead of {expected.to_pylist()[:5]}"


SOURCE_LAWS: tuple[Law, ...] = (
    every_row_once_in_input_order,
    the_source_itself_reads_too,
    rows_are_counted_or_unknown,
    cuts_keep_every_row,
    the_finest_cut_keeps_every_row,
    columns_are_selected_in_the_order_asked,
    a_missing_column_is_refused_with_the_nearest,
    a_pickled_source_reads_alike,
    describing_twice_gives_the_same,
    fingerprints_follow_the_content,
    one_listing_gives_every_fingerprint,
    batches_are_bounded,
)
