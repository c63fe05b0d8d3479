"""Mutants that nobody chose: at seeded places a condition is negated, a comparison moved, a statement left out."""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterator
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
_SUMS: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Sub: ast.Add}


def drawn(root: Path, count: int, seed: int) -> list[Mutant]:
    """``count`` mutants of the files of ``PLACES``, spread over them by how many there could be."""
    every = [m for pattern in PLACES for path in sorted(root.glob(pattern)) for m in mutants_of(root, path)]
    draw = random.Random(seed)
    return sorted(draw.sample(every, min(count, len(every))), key=lambda m: (m.file, m.line))


def mutants_of(root: Path, path: Path) -> Iterator[Mutant]:
    """Every mutant of one file: one change each. The insides of f-strings, which only talk, stay as they are."""
    text = path.read_text()
    name = str(path.relative_to(root))
    for node in _told(ast.parse(text)):
        for what, right, wrong in _changed(node):
            yield _mutant(name, text, right, wrong, what)


def _told(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.JoinedStr):
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
        yield "plus for minus", node, wrong


def _number(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) <= 3:
        yield "off by one", node, ast.Constant(node.value + 1)


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


_CHANGES: list[Callable[[ast.AST], Iterator[Change]]] = [
    _negated,
    _moved,
    _either,
    _sum,
    _number,
    _truth,
    _extreme,
    _left_out,
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
