"""Mutants that nobody chose: at seeded places one small change of the kind that a reviewer makes by hand.

Conditions are negated, moved by one or joined otherwise, numbers and signs changed, extremes and arguments exchanged,
statements, returns and whole bodies left out, collections emptied, members of an enumeration taken for each other; a guard
that always or never holds, one element or argument left out, a bound or an order left out, all for any, only the first of
several, set for added, one field read for another, two statements exchanged.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from tests.mutants.mutants import Mutant

PLACES = (
    "partitioner/coordinator/*.py",
    "partitioner/attempt/*.py",
    "partitioner/store/*.py",
    "partitioner/runs/results.py",
    "partitioner/runs/resume.py",
    "partitioner/runs/integrity.py",
)

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
}
_SUMS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_MEMBERS = {
    "EventKind": ("STARTED", "FINISHED", "FAILED", "LOST", "CANCELLED"),
    "Change": ("FREED", "SUBMITTED", "RETURNED", "FINISHED", "SPLIT", "DROPPED"),
}
_EFFECTS = (ast.Expr, ast.Assign, ast.AugAssign, ast.If, ast.For, ast.Delete)
_SIBLINGS = dict(
    pair.split()
    for pair in (
        "rows_in rows_out",
        "rows_out rows_written",
        "rows_written rows_in",
        "quarantined rows_out",
        "start stop",
        "stop start",
        "seconds expected",
        "expected seconds",
        "task_key whole",
        "whole task_key",
        "failed_on died_on",
        "died_on failed_on",
        "deaths failures",
        "failures deaths",
        "losses rounds",
        "cpus gpus",
        "used_cpus used_memory",
        "predicted_done actual_done",
        "good condemned",
        "clock last_now",
        "last_now clock",
        "successes exclusions",
        "run run_id",
        "path stored",
        "digest tag",
        "popleft pop",
        "append appendleft",
        "add discard",
        "failing blamed",
        "blamed failing",
        "excluded awaited",
        "awaited excluded",
        "keys values",
        "values keys",
        "worker_id attempt_id",
        "put_new put",
        "discard add",
        "started unwanted",
        "position rows_in",
        "base number",
    )
)
_STATES = ("READY", "LIVE", "DONE", "BLOCKED", "SPLIT")


def drawn(root: Path, count: int, seed: int) -> list[Mutant]:
    """``count`` mutants of the files of ``PLACES``, spread over them by how many there could be."""
    every = [m for pattern in PLACES for path in sorted(root.glob(pattern)) for m in mutants_of(root, path)]
    draw = random.Random(seed)
    return sorted(draw.sample(every, min(count, len(every))), key=lambda m: (m.file, m.line))


def mutants_of(root: Path, path: Path) -> Iterator[Mutant]:
    """Every mutant of one file: one change each. F-strings, which only talk, and annotations stay as they are."""
    text = path.read_text()
    name = str(path.relative_to(root))
    for node in _told(ast.parse(text)):
        for what, right, wrong in _changed(node):
            yield _mutant(name, text, right, wrong, what)


def _told(node: ast.AST) -> Iterator[ast.AST]:
    silent = [getattr(node, name, None) for name in ("annotation", "returns")]
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.JoinedStr) or any(child is one for one in silent)):
            yield child
            yield from _told(child)


Change = tuple[str, ast.AST, ast.AST]


def _changed(node: ast.AST) -> Iterator[Change]:
    for change in _CHANGES:
        yield from change(node)


def _negated(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.If | ast.While | ast.IfExp) and not isinstance(node.test, ast.Constant):
        yield "condition negated", node.test, ast.UnaryOp(ast.Not(), node.test)
    if isinstance(node, ast.comprehension):
        for test in node.ifs:
            yield "condition negated", test, ast.UnaryOp(ast.Not(), test)


def _moved(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Compare):
        wrong = copy.deepcopy(node)
        wrong.ops[0] = _COMPARISONS[type(node.ops[0])]()
        yield "comparison", node, wrong
        if type(node.ops[0]) in _TURNED:
            wrong = copy.deepcopy(node)
            wrong.ops[0] = _TURNED[type(node.ops[0])]()
            yield "comparison turned round", node, wrong


def _either(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.BoolOp):
        wrong = copy.deepcopy(node)
        wrong.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "and for or", node, wrong
        for i in range(len(node.values)):
            short = copy.deepcopy(node)
            del short.values[i]
            yield "part of a condition left out", node, short if len(short.values) > 1 else short.values[0]


def _sum(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _SUMS:
        wrong = copy.deepcopy(node)
        wrong.op = _SUMS[type(node.op)]()
        yield "another operator", node, wrong
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield "sign or not left out", node, node.operand


def _number(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) <= 3:
        yield "off by one", node, ast.Constant(node.value + 1)
        if node.value > 0:
            yield "off by one", node, ast.Constant(node.value - 1)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        assert isinstance(node.value, int | float)
        yield "twice as much", node, ast.Constant(node.value * 2 or 1.0)


def _truth(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "truth", node, ast.Constant(not node.value)


def _extreme(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("min", "max"):
        wrong = copy.deepcopy(node)
        assert isinstance(wrong.func, ast.Name)
        wrong.func.id = "max" if node.func.id == "min" else "min"
        yield "min for max", node, wrong


def _left_out(node: ast.AST) -> Iterator[Change]:
    whole = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    if whole or isinstance(node, ast.AugAssign | ast.Delete | ast.Raise | ast.Continue | ast.Break):
        yield "statement left out", node, ast.Pass()
    if isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Name | ast.Tuple):
        yield "statement left out", node, ast.Pass()


def _exchanged(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Call) and len(node.args) > 1 and ast.dump(node.args[0]) != ast.dump(node.args[1]):
        if any(isinstance(a, ast.Starred) for a in node.args[:2]) or _of_any_order(node.func):
            return
        wrong = copy.deepcopy(node)
        wrong.args[:2] = wrong.args[1::-1]
        yield "arguments exchanged", node, wrong


def _of_any_order(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id in ("min", "max", "isinstance")


def _emptied(node: ast.AST) -> Iterator[Change]:
    empty: ast.expr | None = None
    if isinstance(node, ast.List | ast.ListComp) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        empty = ast.List([], ast.Load())
    elif isinstance(node, ast.Dict | ast.DictComp):
        empty = ast.Dict([], [])
    if empty is not None and (not isinstance(node, ast.List | ast.Dict) or ast.dump(node) != ast.dump(empty)):
        yield "collection emptied", node, empty


def _mistaken(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in _MEMBERS:
        members = _MEMBERS[node.value.id]
        if node.attr in members:
            other = members[(members.index(node.attr) + 1) % len(members)]
            yield "another member", node, ast.Attribute(node.value, other, ast.Load())
    if isinstance(node, ast.Name) and node.id in _STATES and isinstance(node.ctx, ast.Load):
        yield "another state", node, ast.Name(_STATES[(_STATES.index(node.id) + 1) % len(_STATES)], ast.Load())


def _goes_on(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.If | ast.For | ast.While):
        for statement in node.body:
            if isinstance(statement, ast.Return):
                yield "return left out", statement, ast.Pass()
            if isinstance(statement, ast.Break):
                yield "continue for break", statement, ast.Continue()


def _does_nothing(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.FunctionDef) and isinstance(node.returns, ast.Constant) and node.returns.value is None:
        first = next((s for s in node.body if not _is_text(s)), None)
        if first is not None and not isinstance(first, ast.Return):
            yield "nothing is done", first, ast.Return(None)


def _unguarded(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.If | ast.IfExp) and not isinstance(node.test, ast.Constant):
        yield "condition always true", node.test, ast.Constant(True)
        yield "condition never true", node.test, ast.Constant(False)
    if isinstance(node, ast.comprehension):
        for test in node.ifs:
            yield "condition always true", test, ast.Constant(True)


def _shortened(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.List | ast.Tuple | ast.Set) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        whole = len(node.elts) < 2 or any(isinstance(part, ast.Slice) for part in node.elts)
        for i in () if whole else range(len(node.elts)):
            wrong = copy.deepcopy(node)
            del wrong.elts[i]
            yield "element left out", node, wrong
    if isinstance(node, ast.Dict) and len(node.keys) > 1:
        for i in range(len(node.keys)):
            short = copy.deepcopy(node)
            del short.keys[i], short.values[i]
            yield "entry left out", node, short
    if isinstance(node, ast.Call):
        for i in range(len(node.keywords)):
            call = copy.deepcopy(node)
            del call.keywords[i]
            yield "argument left out", node, call


def _bare(node: ast.AST) -> Iterator[Change]:
    """What a function that orders, bounds or copies was given, without it."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        if node.func.id in ("min", "max") and len(node.args) > 1:
            for argument in (a for a in node.args if not isinstance(a, ast.Starred)):
                yield "bound left out", node, argument
        if node.func.id in ("sorted", "reversed", "abs", "dict", "set", "frozenset") and len(node.args) == 1:
            yield "function left out", node, node.args[0]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("any", "all"):
        wrong = copy.deepcopy(node)
        wrong.func = ast.Name("all" if node.func.id == "any" else "any", ast.Load())
        yield "any for all", node, wrong


def _sliced(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice) and isinstance(node.ctx, ast.Load):
        yield "slice left out", node, node.value


def _overwritten(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.AugAssign):
        target = copy.deepcopy(node.target)
        yield "set instead of added", node, ast.Assign([target], node.value)


def _once(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.For) and not isinstance(node.body[-1], ast.Return | ast.Raise | ast.Break):
        wrong = copy.deepcopy(node)
        wrong.body.append(ast.Break())
        yield "only the first", node, wrong


def _misread(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and node.attr in _SIBLINGS:
        yield "another field", node, ast.Attribute(node.value, _SIBLINGS[node.attr], ast.Load())


def _forgotten(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name | ast.Tuple):
        yield "statement left out", node, ast.Pass()


def _reordered(node: ast.AST) -> Iterator[Change]:
    for body in (getattr(node, "body", ()), getattr(node, "orelse", ()), getattr(node, "finalbody", ())):
        for one, other in pairwise(body if isinstance(body, list) else ()):
            if isinstance(one, _EFFECTS) and isinstance(other, _EFFECTS) and not (_is_text(one) or _is_text(other)):
                span, wrong = ast.Module([one, other], []), ast.Module([other, one], [])
                span.lineno, span.col_offset = one.lineno, one.col_offset  # type: ignore[attr-defined]
                span.end_lineno, span.end_col_offset = other.end_lineno, other.end_col_offset  # type: ignore[attr-defined]
                yield "statements exchanged", span, wrong


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


_CHANGES: list[Callable[[ast.AST], Iterator[Change]]] = [
    _negated,
    _moved,
    _either,
    _sum,
    _number,
    _truth,
    _extreme,
    _left_out,
    _exchanged,
    _emptied,
    _mistaken,
    _goes_on,
    _does_nothing,
    _unguarded,
    _shortened,
    _bare,
    _sliced,
    _overwritten,
    _once,
    _misread,
    _forgotten,
    _reordered,
]


def _mutant(name: str, text: str, node: ast.AST, wrong: ast.AST, what: str) -> Mutant:
    right = ast.get_source_segment(text, node)
    assert right is not None
    lines = text.splitlines(keepends=True)
    assert hasattr(node, "lineno")
    offset = sum(len(line) for line in lines[: node.lineno - 1])
    at = offset + len(lines[node.lineno - 1].encode()[: node.col_offset].decode())
    changed = ast.unparse(ast.fix_missing_locations(wrong))
    if isinstance(node, ast.expr):
        changed = f"({changed})"
    indent = " " * node.col_offset
    changed = changed.replace("\n", "\n" + indent)
    return Mutant(name, right, changed, f"line {node.lineno}: {what}", at, node.lineno)
