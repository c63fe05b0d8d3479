"""Conditions on rows, as Arrow evaluates them: from a text, a list of triples, or an expression of pyarrow's."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from partitioner.errors import MOST_QUOTED, ConfigError, DataError, clause, excerpt, listed, nearest, shortened
from partitioner.frames import UNFIT

_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FLIPPED: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """``expression`` of pyarrow's; ``columns`` that it names, empty where only pyarrow knows; ``given`` as text or triples:
    dates in them are told from other texts once the columns are known."""

    expression: Any
    columns: tuple[str, ...] = ()
    given: Any = None

    def fitted(self, schema: pa.Schema) -> Filter:
        """With texts as dates and times where they are compared with such columns: ``day >= '2026-01-31'``.

        Raises ConfigError for a text that is no date or time, and what ``check`` raises.
        """
        timely = {f.name: f.type for f in schema if f.name in self.columns and pa.types.is_temporal(f.type)}
        made = self
        if timely and isinstance(self.given, str):
            tree = ast.parse(self.given.strip(), mode="eval").body
            made = replace(self, expression=_condition(tree, _Read(self.given, timely)))
        elif timely and self.given is not None:
            made = _of_triples(self.given, timely)
        made.check(schema)
        return made

    def check(self, schema: pa.Schema) -> None:
        """Raise DataError for a column that is not there, or values that cannot be compared."""
        for name in self.columns:
            if name not in schema.names:
                raise DataError(
                    f"filter names column {name!r}; there are {listed(schema.names)}.{nearest(name, schema.names)}"
                )
        try:
            schema.empty_table().filter(self.expression)
        except (pa.ArrowException, TypeError) as error:
            raise DataError(
                f"filter {shortened(str(self.expression), MOST_QUOTED)} cannot be evaluated: "
                f"{str(error).partition(chr(10))[0].removesuffix('.')}. Compare columns with values of their types."
            ) from error


def parse(given: Any) -> Filter | None:
    """The filter that was asked for. Raises ConfigError naming what cannot be understood."""
    if given is None:
        return None
    if isinstance(given, pc.Expression):
        return Filter(given)
    if isinstance(given, str):
        return _of_text(given)
    if isinstance(given, list | tuple):
        return _of_triples(given)
    raise ConfigError(
        f"filter is a {type(given).__name__}; give a text such as \"x > 3 and name == 'a'\", a list of (column, operator, "
        "value), or an expression of pyarrow.compute."
    )


def _of_triples(given: Any, timely: Mapping[str, pa.DataType] = MappingProxyType({})) -> Filter:
    import pyarrow.parquet as pq

    if _is_triple(given):
        given = [given]
    groups = [given] if all(_is_triple(part) for part in given) else given
    read = _Read(str(given), timely)
    try:
        expression = pq.filters_to_expression([[_triple(triple, read) for triple in group] for group in groups])
        names = tuple(dict.fromkeys(str(triple[0]) for group in groups for triple in group))
        return Filter(expression, names, given)
    except (ValueError, TypeError, IndexError) as error:
        raise ConfigError(
            f"filter {excerpt(given)} is no list of (column, operator, value): {clause(error)}. Write [('x', '>', 3)]."
        ) from error


def _triple(given: Any, read: _Read) -> tuple[Any, ...]:
    """With texts as the dates or times that they are compared with."""
    if not _is_triple(given) or given[0] not in read.timely:
        return tuple(given)
    name, operation, value = given
    several = isinstance(value, list | tuple | set)
    kind = read.timely[name]
    return name, operation, [_timely(v, kind, read) for v in value] if several else _timely(value, kind, read)


def _is_triple(given: Any) -> bool:
    """(column, operator, value), as a list too: YAML has no tuples."""
    return isinstance(given, list | tuple) and len(given) == 3 and all(isinstance(part, str) for part in given[:2])


def _of_text(text: str) -> Filter:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ConfigError(
            f"filter {excerpt(text)} cannot be read: {error.msg} at character {error.offset}. Write it as in "
            '"x > 3 and y in [1, 2]".'
        ) from None
    names = tuple(dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)))
    return Filter(_condition(tree, _Read(text)), names, text)


_OFFSET = re.compile(r":\d{2}(\.\d+)? ?(Z|[+-]\d{2}(:?\d{2})?)$")
"""The end of a time that names its zone."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A filter as it was written, and the types of its columns of dates and times, as far as they are known."""

    text: str
    timely: Mapping[str, pa.DataType] = field(default_factory=dict)


def _condition(node: ast.expr, text: _Read) -> Any:
    if isinstance(node, ast.BoolOp):
        parts = [_condition(value, text) for value in node.values]
        joined = parts[0]
        for part in parts[1:]:
            joined = joined & part if isinstance(node.op, ast.And) else joined | part
        return joined
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return ~_condition(node.operand, text)
    if isinstance(node, ast.Compare):
        return _comparison(node, text)
    if isinstance(node, ast.Name):
        return pc.field(node.id)
    raise _unknown(node, text)


def _comparison(node: ast.Compare, text: _Read) -> Any:
    """One or a chain: ``0 < x <= 5``."""
    whole: Any = None
    left = node.left
    for op, right in zip(node.ops, node.comparators, strict=True):
        part = _one_comparison(left, op, right, text)
        whole = part if whole is None else whole & part
        left = right
    return whole


def _one_comparison(left: ast.expr, op: ast.cmpop, right: ast.expr, text: _Read) -> Any:
    if isinstance(op, ast.In | ast.NotIn):
        inside = _inside(left, right, text)
        return inside if isinstance(op, ast.In) else ~inside
    if isinstance(left, ast.Constant | ast.UnaryOp) and type(op) in (*_FLIPPED, ast.Eq, ast.NotEq):
        left, op, right = right, _FLIPPED.get(type(op), type(op))(), left
    alike, unlike = isinstance(op, ast.Is | ast.Eq), isinstance(op, ast.IsNot | ast.NotEq)
    if (alike or unlike) and isinstance(right, ast.Constant) and right.value is None:
        null = _column(left, text).is_null()
        return null if alike else ~null
    if type(op) not in _COMPARISONS:
        raise _unknown(right, text)
    kinds = [text.timely.get(side.id) for side in (left, right) if isinstance(side, ast.Name)]
    kind = kinds[0] if len(kinds) == 1 else None
    return _COMPARISONS[type(op)](_side(left, text, kind), _side(right, text, kind))


def _inside(left: ast.expr, right: ast.expr, text: _Read) -> Any:
    """``x in [1, 2]``. Raises ConfigError for anything but a column and a list: ``'a' in x`` asks for a part of a text."""
    column, values = _column(left, text), _value(right, text)
    if not isinstance(values, list | tuple | set):
        raise ConfigError(
            f"filter {excerpt(text.text)}: after 'in' comes a list such as [1, 2], and {excerpt(values)} is none."
        )
    kind = text.timely.get(left.id) if isinstance(left, ast.Name) else None
    try:
        return column.isin([_timely(value, kind, text) for value in values])
    except UNFIT as error:
        raise ConfigError(
            f"filter {excerpt(text.text)}: the list {excerpt(values)} holds values of several types, and a column has one."
        ) from error


def _column(node: ast.expr, text: _Read) -> Any:
    if not isinstance(node, ast.Name):
        raise _unknown(node, text)
    return pc.field(node.id)


def _side(node: ast.expr, text: _Read, kind: pa.DataType | None = None) -> Any:
    return pc.field(node.id) if isinstance(node, ast.Name) else _timely(_value(node, text), kind, text)


def _timely(value: Any, kind: pa.DataType | None, text: _Read) -> Any:
    """A text as the date or time that it is compared with: in the zone of the column where it names none."""
    if kind is None or not isinstance(value, str):
        return value
    try:
        if pa.types.is_timestamp(kind) and kind.tz is not None and not _OFFSET.search(value):
            return pc.assume_timezone(pa.scalar(value).cast(pa.timestamp(kind.unit)), kind.tz)
        return pa.scalar(value).cast(kind)
    except UNFIT as error:
        example = "'2026-01-31'" if pa.types.is_date(kind) else "'2026-01-31 12:00:00'"
        raise ConfigError(f"filter {excerpt(text.text)}: {value!r} is no {kind}; write it as {example}.") from error


def _value(node: ast.expr, text: _Read) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise _unknown(node, text) from None


def _unknown(node: ast.AST, text: _Read) -> ConfigError:
    part = ast.get_source_segment(text.text.strip(), node) or text.text
    return ConfigError(
        f"filter {excerpt(text.text)} holds {excerpt(part)}, which is not understood; compare columns with values "
        "(==, !=, <, <=, >, >=, in, is None) and join with and, or, not."
    )
