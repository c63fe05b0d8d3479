"""The terms a cost may be made of: features of fragments, formulas summed over rows, and their super-linear shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from partitioner.costs.expression import column_names, evaluate
from partitioner.costs.formulas.formula import parse, without_views
from partitioner.errors import ConfigError, excerpt
from partitioner.model import Dataset
from partitioner.model.data import Floats

SHAPES = {"linear": "{0}", "log": "({0}) * log1p({0})", "power 1.5": "({0}) ** 1.5", "square": "({0}) ** 2"}
_NUMBER = "positive("
NUMERIC_LIMIT = 64 << 20
MOST_NUMBERS = 8
"""Columns of numbers that are considered as costs of rows; a table of more holds the features of a model."""

_SYMBOLS = {"linear": "{0}", "log": "{0} log {0}", "power 1.5": "{0}^1.5", "square": "{0}^2"}


@dataclass(frozen=True, slots=True)
class Term:
    """One column of the cost formula.

    ``feature`` is ``rows``, ``bytes``, a feature of fragments, or, with ``per_row``, a formula over data columns that is
    shaped row by row and then summed. Without ``per_row`` the shape applies to the whole fragment, so that a super-linear
    one is not additive: cutting fragments lowers the total.
    """

    feature: str
    shape: str = "linear"
    per_row: bool = False

    @property
    def name(self) -> str:
        """How it is stored and shown: ``bytes``, ``rows^2``, ``len(text)``, ``sum len(text)^2``."""
        symbol = _SYMBOLS[self.shape].format(self.feature if self.feature.isidentifier() else self._inner)
        return f"sum {symbol}" if self.per_row and self.shape != "linear" else symbol

    @property
    def _inner(self) -> str:
        simple = self.shape == "linear" or self.feature.endswith(")")
        return self.feature if simple else f"({self.feature})"

    @property
    def unit(self) -> str:
        """Of its coefficient."""
        return "s/row" if self.name == "rows" else "s/byte" if self.name == "bytes" else f"s per {self.name}"

    @property
    def formula(self) -> str:
        """What is evaluated for every row."""
        return SHAPES[self.shape].format(self.feature)

    @property
    def complexity(self) -> float:
        """Of terms that explain equally well the least complex is taken; bytes, which cuts share by length, late, and later
        numbers that nobody named, which may grow with the rows by chance.
        """
        if self.shape == "linear":
            simple = self.per_row and "*" not in self.feature
            return 0.9 if self.of_number else 0.0 if self.feature == "rows" or simple else 0.5
        return (1 if self.per_row else 2) + (self.shape == "power 1.5")  # few programs cost that, many look like it

    @property
    def of_number(self) -> bool:
        """Whether it is a number of each row that nobody named: an identifier grows with the rows as a cost does."""
        return self.feature.startswith(_NUMBER)

    def of_whole(self, values: Floats) -> Floats:
        """The shape applied to totals of fragments or pieces."""
        if self.shape == "linear":
            return values
        if self.shape == "log":
            return np.asarray(values * np.log1p(values))
        return np.asarray(values ** (1.5 if self.shape == "power 1.5" else 2.0))


def candidates(dataset: Dataset, features: Sequence[str], products: bool = True) -> list[Term]:
    """Every term to consider: rows where known, bytes, connector features, the formulas ``features``, and their shapes.

    ``products`` adds the pairwise products of formulas over columns. Raises DataError for a name that is not there.
    """
    whole = [name for name, known in base_columns(dataset).items() if bool(np.any(known))]
    terms = [Term(name, shape) for name in whole for shape in SHAPES]
    rowwise = [text for text in features if text not in whole]
    for text in rowwise:
        if parse(text).aggregates:
            raise ConfigError(
                f"feature {excerpt(text)} is summed over rows by itself; write it without sum(), mean(), min(), max()."
            )
    every = (Term(text, shape, per_row=True) for text in rowwise for shape in SHAPES)
    terms += [t for t in every if t.shape == "linear" or not t.of_number]
    pairs = [(a, b) for i, a in enumerate(rowwise) for b in rowwise[i + 1 :] if products]
    return terms + [Term(f"({a}) * ({b})", per_row=True) for a, b in pairs]


def base_columns(dataset: Dataset) -> dict[str, Floats]:
    """What is known of each fragment without reading: float64[n] by name; rows only where all are known."""
    f = dataset.fragments
    known = {"rows": f.rows.astype(np.float64)} if bool((f.rows >= 0).all()) else {}
    return {**known, "bytes": np.maximum(f.bytes, 0).astype(np.float64), **f.features}


def columns(dataset: Dataset, terms: Sequence[Term]) -> dict[str, Floats]:
    """float64[n] per term name for the fragments; reads the data columns that per-row terms need, all in one pass."""
    return columns_and_rows(dataset, terms, None)[0]


def columns_and_rows(
    dataset: Dataset, terms: Sequence[Term], coefficients: Sequence[float] | None
) -> tuple[dict[str, Floats], list[Floats]]:
    """``columns``, and of the same pass the per-row terms times ``coefficients``, one array of its rows per fragment.

    Without coefficients, or per-row terms, the list is empty.
    """
    base = base_columns(dataset)
    out = {t.name: t.of_whole(base[t.feature]) for t in terms if not t.per_row}
    per_row = [t for t in terms if t.per_row]
    if not per_row:
        return out, []
    formulas = [parse(t.formula) for t in per_row]
    rows: list[Floats] = []
    if coefficients is None:
        values = evaluate(formulas, dataset)
    else:
        weight = dict(zip(terms, coefficients, strict=True))
        weighted = parse(" + ".join(f"{float(weight[t])!r} * ({t.formula})" for t in per_row))
        values = evaluate([weighted, *formulas], dataset, rows)[1:]
    return out | {t.name: v for t, v in zip(per_row, values, strict=True)}, rows


def row_values(term: Term, table: pa.Table) -> Floats:
    """float64[rows]: a per-row term on the rows of ``table``."""
    formula = parse(term.formula)
    value = np.asarray(formula.evaluate({name: table[name] for name in formula.names}), np.float64)
    return np.array(np.broadcast_to(value, table.num_rows))


def automatic(dataset: Dataset, limit_bytes: float, most: int = 3) -> list[str]:
    """Lengths of the text, binary and list columns, where reading them all stays below ``limit_bytes``, and numbers.

    At most ``most`` lengths, in schema order; the numbers of at most ``MOST_NUMBERS`` columns, of a dataset below
    ``NUMERIC_LIMIT``, none where there are more. Nothing where the schema is not known.
    """
    size = float(np.maximum(dataset.fragments.bytes, 0).sum())
    if dataset.schema is None or size > limit_bytes:
        return []
    lengthy = [f"len({text})" for text in _columns_of(dataset, _LENGTHY)]
    numbers = [f"{_NUMBER}{text})" for text in _columns_of(dataset, _NUMERIC)]
    few = size <= NUMERIC_LIMIT and len(numbers) <= MOST_NUMBERS
    return lengthy[:most] + (numbers if few else [])


def _is_encoded_text(kind: pa.DataType) -> bool:
    plain = without_views(kind)
    return bool(plain != kind and any(test(plain) for test in _LENGTHY[:4]))


_LENGTHY = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_list,
    pa.types.is_large_list,
    _is_encoded_text,
)
_NUMERIC = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)


def _columns_of(dataset: Dataset, kinds: Sequence[Callable[[pa.DataType], bool]]) -> list[str]:
    """How formulas name the columns that are of one of ``kinds``."""
    assert dataset.schema is not None
    names = [n for n in column_names(dataset) if any(test(dataset.schema.field(n).type) for test in kinds)]
    return [name if name.isidentifier() else f"column({name!r})" for name in names]


def measured_columns(
    terms: Sequence[Term], base: dict[str, Floats], rowwise: dict[str, npt.NDArray[np.float64]]
) -> dict[str, Floats]:
    """Term columns of pieces from their measured totals ``base`` and the sums ``rowwise`` of per-row terms by name."""
    return {t.name: rowwise[t.name] if t.per_row else t.of_whole(base[t.feature]) for t in terms}
