"""Conditions on rows, as Arrow evaluates them: from a text, a list of triples, or an expression of pyarrow's."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from partitioner.errors import ConfigError, DataError, clause, nearest

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
    """``expression`` of pyarrow's; ``columns`` that it names, empty where only pyarrow knows."""

    expression: Any
    columns: tuple[str, ...] = ()

    def check(self, schema: pa.Schema) -> None:
        """Raise DataError for a column that is not there, or values that cannot be compared."""
        for name in self.columns:
            if name not in schema.names:
                raise DataError(
                    f"filter names column {name!r}; there are {', '.join(schema.names)}.{nearest(name, schema.names)}"
                )
        try:
            schema.empty_table().filter(self.expression)
        except (pa.ArrowException, TypeError) as error:
            raise DataError(
                f"filter {self.expression} cannot be evaluated: {str(error).partition(chr(10))[0]}"
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


def _of_triples(given: Any) -> Filter:
    import pyarrow.parquet as pq

    if _is_triple(given):
        given = [given]
    groups = [given] if all(_is_triple(part) for part in given) else given
    try:
        expression = pq.filters_to_expression([[tuple(triple) for triple in group] for group in groups])
        return Filter(expression, tuple(dict.fromkeys(str(triple[0]) for group in groups for triple in group)))
    except (ValueError, TypeError, IndexError) as error:
        raise ConfigError(f"filter {given!r} is no list of (column, operator, value): {clause(error)}.") from error


def _is_triple(given: Any) -> bool:
    """(column, operator, value), as a list too: YAML has no tuples."""
    return isinstance(given, list | tuple) and len(given) == 3 and all(isinstance(part, str) for part in given[:2])


def _of_text(text: str) -> Filter:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ConfigError(f"filter {text!r} cannot be read: {error.msg} at character {error.offset}.") from None
    names = tuple(dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)))
    return Filter(_condition(tree, text), names)


def _condition(node: ast.expr, text: str) -> Any:
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


def _comparison(node: ast.Compare, text: str) -> Any:
    """One or a chain: ``0 < x <= 5``."""
    whole: Any = None
    left = node.left
    for op, right in zip(node.ops, node.comparators, strict=True):
        part = _one_comparison(left, op, right, text)
        whole = part if whole is None else whole & part
        left = right
    return whole


def _one_comparison(left: ast.expr, op: ast.cmpop, right: ast.expr, text: str) -> Any:
    if isinstance(op, ast.Is | ast.IsNot) and isinstance(right, ast.Constant) and right.value is None:
        null = _side(left, text).is_null()
        return null if isinstance(op, ast.Is) else ~null
    if isinstance(op, ast.In | ast.NotIn):
        inside = _side(left, text).isin(_value(right, text))
        return inside if isinstance(op, ast.In) else ~inside
    if isinstance(left, ast.Constant | ast.UnaryOp) and type(op) in (*_FLIPPED, ast.Eq, ast.NotEq):
        left, op, right = right, _FLIPPED.get(type(op), type(op))(), left
    if type(op) not in _COMPARISONS:
        raise _unknown(right, text)
    return _COMPARISONS[type(op)](_side(left, text), _side(right, text))


def _side(node: ast.expr, text: str) -> Any:
    return pc.field(node.id) if isinstance(node, ast.Name) else _value(node, text)


def _value(node: ast.expr, text: str) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise _unknown(node, text) from None


def _unknown(node: ast.AST, text: str) -> ConfigError:
    part = ast.get_source_segment(text.strip(), node) or text
    return ConfigError(
        f"filter {text!r} holds {part!r}, which is not understood; compare columns with values (==, !=, <, <=, >, >=, in, "
        "is None) and join with and, or, not."
    )
