"""The layers, drawn from the code: imports go down only, no module needs itself through another, none is too large."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent

LAYERS = [
    ("known_secrets",),
    ("errors", "measure", "frames", "casting", "sizes", "importing", "interrupts"),
    ("model",),
    ("security",),
    ("storage", "registry", "choices", "config", "own_code", "program"),
    ("security.sealing",),
    ("stages.filters", "stages.narrowing"),
    ("store", "output.arranged", "output.output", "output.versions"),
    ("connectors", "reducers", "costs"),
    ("splits",),
    ("attempt",),
    ("engines",),
    ("coordinator",),
    ("placement",),
    ("report",),
    ("output",),
    ("stages",),
    ("runs", "reading", "running", "simulation", "rebalancing"),
    ("iteration", "graphs", "outlook"),
    ("training", "search"),
    ("commands",),
    ("cli",),
]
"""Bottom up. ``partitioner/__init__.py`` holds the public names, above all; ``testing`` is for tests alone."""

RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


MOST_LINES = {"module": 400, "function": 50}
"""A function counts from its first statement to its last: its parameters and its docstring are as long as they must be."""


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def modules() -> dict[str, Path]:
    """Dotted name to file, of both packages."""
    found = {}
    for package in ("partitioner", "connectors"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of ours that a file imports anywhere in it, and under ``TYPE_CHECKING`` too."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in known}
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inside & known.keys()) or {str(node.module)}
            if not inside <= known.keys():
                found.add(str(node.module))
    return found


def layer(module: str) -> int | None:
    """The rank of a module, or None for the public names and the contract suites."""
    first, _, rest = module.partition(".")
    if first == "connectors":
        return RANK["connectors"]
    room = rest.partition(".")[0]
    return None if room in ("", "testing") else RANK.get(".".join(rest.split(".")[:2]), RANK.get(room))


@cache
def drawn() -> dict[str, set[str]]:
    """Module to the modules it imports."""
    known = modules()
    return {name: imports_of(path, known) - {name} for name, path in known.items()}


def test_imports_go_down_only() -> None:
    graph = drawn()
    upward = [
        f"{name} imports {target}"
        for name, targets in graph.items()
        for target in sorted(targets)
        if (here := layer(name)) is not None and ((there := layer(target)) is None or there > here)
    ]
    assert not upward, "\n".join(upward)


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one module (Tarjan 1972, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []
    for root in graph:
        if root in index:
            continue
        work = [(root, iter(sorted(graph[root])))]
        index[root] = low[root] = len(index)
        stack.append(root)
        while work:
            node, targets = work[-1]
            target = next(targets, None)
            if target is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    at = stack.index(node)
                    component, stack = stack[at:], stack[:at]
                    if len(component) > 1:
                        found.append(sorted(component))
            elif target not in index:
                index[target] = low[target] = len(index)
                stack.append(target)
                work.append((target, iter(sorted(graph[target]))))
            elif target in stack:
                low[node] = min(low[node], index[target])
    return found


def test_no_import_circle() -> None:
    assert circles(drawn()) == []


def test_no_circle_of_rooms() -> None:
    """A folder, or a file at the top: one that uses another is used by it neither directly nor through a third."""
    rooms: dict[str, set[str]] = {}
    for module, targets in drawn().items():
        rooms.setdefault(room_of(module), set()).update(room_of(target) for target in targets)
    assert circles({room: targets - {room} for room, targets in rooms.items()}) == []


def room_of(module: str) -> str:
    first, *rest = module.split(".")
    return f"{first}.{rest[0]}" if first == "partitioner" and rest else first


def test_every_module_has_a_layer() -> None:
    assert [name for name in modules() if layer(name) is None and ".testing" not in name] == ["partitioner"]


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    files = [
        path for room in ("partitioner", "connectors", "jobs", "benchmarks", "scripts", "tests") for path in ours(room)
    ]
    lines = {path.relative_to(ROOT).as_posix(): path.read_text().count("\n") for path in files}
    assert {name: n for name, n in lines.items() if n > MOST_LINES["module"]} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    files = [path for room in ("partitioner", "connectors", "jobs") for path in ours(room)]
    lengths = {f"{path.relative_to(ROOT)}:{name}": n for path in files for name, n in functions(parsed(path))}
    assert {name: n for name, n in lengths.items() if n > MOST_LINES["function"]} == {}


def ours(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def functions(tree: ast.Module) -> list[tuple[str, int]]:
    """Every function, nested ones too, with the lines from its first statement after the docstring to its last."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            found.append((node.name, body[-1].end_lineno - body[0].lineno + 1 if body else 0))
    return found


def test_a_function_that_is_too_long_is_found() -> None:
    text = 'def f():\n    """Docs.\n\n    More.\n    """\n' + "    x = 1\n" * 51
    assert functions(ast.parse(text)) == [("f", 51)]
