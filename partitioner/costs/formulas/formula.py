"""Arithmetic formulas over named values: parsed once, evaluated on numpy arrays, running no other code.

Numbers, names, ``+ - * / // % **``, comparisons, ``a if test else b`` and the functions listed here; anything else is
refused when parsed. ``column("odd name")`` names what is no identifier.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.errors import ConfigError, clause, excerpt, nearest
from partitioner.frames import doubles, to_numpy
from partitioner.model.data import Floats

_BINARY: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARE: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ELEMENTWISE: dict[str, Callable[[Any], Any]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "exp": np.exp,
    "floor": np.floor,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "positive": lambda x: np.where(np.isfinite(x) & (x > 0), x, 0.0),
    "sqrt": np.sqrt,
}
_AGGREGATE: dict[str, Callable[[Any], Any]] = {"sum": np.sum, "mean": np.mean, "min": np.min, "max": np.max}
_PAIRWISE: dict[str, Callable[[Any, Any], Any]] = {"min": np.minimum, "max": np.maximum}
FUNCTIONS = sorted({"len", "column", *_ELEMENTWISE, *_AGGREGATE})


MOST_DEEP = 250
"""Operations within one another: Python evaluates, and pickles, so many on any stack that a run has."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A parsed formula: ``names`` used, in order of appearance; ``inside`` those used within an aggregate only.

    ``aggregates``: it holds ``sum``, ``mean``, ``min`` or ``max`` of one argument, so its value is one per fragment.
    """

    text: str
    tree: ast.expr
    names: tuple[str, ...]
    inside: frozenset[str]
    aggregates: bool

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """The value, float64 scalar or array; ``values`` maps names to numbers, numpy or Arrow arrays.

        Division by zero and the like give infinity or NaN, which the cost check then reports with the fragment.
        """
        with np.errstate(all="ignore"):
            return _numeric(_evaluate(self.tree, values))


def parse(text: str) -> Formula:
    """The formula in ``text``; ConfigError naming what is not allowed and the nearest that is."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(
            f"cost expression {excerpt(text)} is no formula: {clause(error)}. Write such as '2e-6 * len(text) ** 2'."
        ) from error
    if _deeper(tree, MOST_DEEP):
        raise ConfigError(
            f"cost expression {excerpt(text)} goes more than {MOST_DEEP} operations deep, a sum of so many terms among "
            "them. Compute it in a function, or as a column."
        )
    outside: dict[str, None] = {}
    inside: dict[str, None] = {}
    found = [False]
    _collect(tree, text, outside, inside, found)
    return Formula(text, tree, tuple(outside | inside), frozenset(set(inside) - set(outside)), found[0])


def _deeper(tree: ast.AST, most: int) -> bool:
    level: list[ast.AST] = [tree]
    for _ in range(most):
        level = [child for node in level for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        if not level:
            return False
    return True


def _collect(node: ast.expr, text: str, names: dict[str, None], inside: dict[str, None], found: list[bool]) -> None:
    """Check every node of the tree and note the names it uses."""
    match node:
        case ast.Constant(value=bool() | int() | float()):
            return
        case ast.Name(id=name):
            names[name] = None
            return
        case ast.Call(func=ast.Name(id="column"), args=[ast.Constant(value=str() as name)], keywords=[]):
            names[name] = None
            return
        case ast.Call(func=ast.Name(id=function), args=[_, *_] as args, keywords=[]) if function in FUNCTIONS:
            several = len(args) > 1
            if function == "column" or (several and function not in _PAIRWISE):
                raise ConfigError(f"cost expression {excerpt(text)}: {function}() takes one argument, got {len(args)}.")
            if function in _AGGREGATE and not several:
                found[0] = True
                names = inside
            children = args
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            children = [left, right]
        case ast.UnaryOp(op=ast.UAdd() | ast.USub(), operand=operand):
            children = [operand]
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            children = [left, right]
        case ast.IfExp(test=test, body=body, orelse=orelse):
            children = [test, body, orelse]
        case _:
            _refuse(node, text)
    for child in children:
        _collect(child, text, names, inside, found)


def _refuse(node: ast.expr, text: str) -> None:
    part = ast.unparse(node)
    hint = ""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        hint = nearest(node.func.id, FUNCTIONS)
    raise ConfigError(
        f"cost expression {excerpt(text)}: {excerpt(part)} is not allowed. Use numbers, column and feature names, "
        f"+ - * / // % **, comparisons, 'a if test else b' and the functions {', '.join(FUNCTIONS)}.{hint}"
    )


def _evaluate(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return np.float64(value)  # type: ignore[arg-type]
        case ast.Name(id=name):
            return values[name]
        case ast.Call(func=ast.Name(id=function), args=args):
            return _call(function, args, values)
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_numeric(_evaluate(left, values)), _numeric(_evaluate(right, values)))
        case ast.UnaryOp(op=op, operand=operand):
            value = _numeric(_evaluate(operand, values))
            return -value if isinstance(op, ast.USub) else value
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _COMPARE[type(op)](_numeric(_evaluate(left, values)), _numeric(_evaluate(right, values)))
        case ast.IfExp(test=test, body=body, orelse=orelse):
            parts = [_numeric(_evaluate(part, values)) for part in (test, body, orelse)]
            return np.where(parts[0] != 0, parts[1], parts[2])
    raise AssertionError(ast.dump(node))


def _call(function: str, args: list[ast.expr], values: Mapping[str, Any]) -> Any:
    if function == "column":
        return values[args[0].value]  # type: ignore[attr-defined]
    first = _evaluate(args[0], values)
    if function == "len":
        return lengths(first)
    if len(args) > 1:
        rest = [_numeric(_evaluate(a, values)) for a in args[1:]]
        return reduce(_PAIRWISE[function], rest, _numeric(first))
    number = _numeric(first)
    if function in _AGGREGATE:
        return _AGGREGATE[function](number) if np.size(number) else np.float64(0)
    return _ELEMENTWISE[function](number)


def without_views(kind: pa.DataType) -> pa.DataType:
    """The type of text and binary as functions of pyarrow take it: neither a view nor dictionary-encoded."""
    if pa.types.is_dictionary(kind):
        return without_views(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary_view(kind) else kind


def lengths(values: Any) -> Floats:
    """float64[n]: characters of strings, bytes of binary, items of lists; null is 0."""
    import pyarrow.compute as pc  # by whoever evaluates a formula: it is a third of what a worker imports

    if not isinstance(values, pa.Array | pa.ChunkedArray):
        raise ConfigError("len() in a cost expression takes a column of strings, bytes or lists, not a number.")
    kind = values.type
    if isinstance(values, pa.ChunkedArray):
        parts = [lengths(chunk) for chunk in values.chunks]
        return np.concatenate(parts) if parts else np.empty(0)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        counted = pc.utf8_length(values)
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        counted = pc.binary_length(values)
    elif (
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    ):
        counted = pc.list_value_length(values)
    elif (plain := without_views(kind)) != kind:
        return lengths(values.cast(plain))
    else:
        raise ConfigError(f"len() in a cost expression takes a column of strings, bytes or lists, got one of {kind}.")
    return np.asarray(to_numpy(pc.fill_null(counted, 0)), np.float64)


def _numeric(value: Any) -> Any:
    """``value`` as float64; a null counts as 0, a column that holds no numbers is refused."""
    import pyarrow.compute as pc

    if not isinstance(value, pa.Array | pa.ChunkedArray):
        return np.asarray(value, np.float64) if isinstance(value, np.ndarray) else np.float64(value)
    kind = value.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not numeric and not pa.types.is_decimal(kind):
        raise ConfigError(
            f"a cost expression computes with numbers, got a column of {kind}; use len(column) for its length."
        )
    filled = pc.fill_null(doubles(value) if not pa.types.is_boolean(kind) else value.cast(pa.int8()), 0)
    return np.asarray(to_numpy(filled), np.float64)
