"""Which code is the user's own, and what of it a program can reach: read from source, nothing is imported."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from itertools import islice
from pathlib import Path

LOOKED_AT = 20_000
"""Files of a package that are looked at for compiled ones; numpy has 2,000. A package may hold data too."""
OURS = frozenset({"partitioner", "connectors"})


@lru_cache(maxsize=4096)
def installed(name: str, file: str | None) -> bool:
    """Whether a module belongs to an installed package: workers have it too, and it is imported there by its name.

    Those are: built-in and ours; below the standard library or a ``site-packages`` or ``dist-packages`` folder, wherever
    that is; listed by a distribution's metadata (``pip install --target``, a user site, PYTHONPATH); or in a package with
    compiled parts.
    """
    top = name.partition(".")[0]
    if file is None or top in OURS or top in sys.stdlib_module_names:
        return True
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return True
    homes = {sysconfig.get_path(k) for k in ("stdlib", "platstdlib", "purelib", "platlib")}
    if any(path.is_relative_to(Path(home).resolve()) for home in homes):
        return True
    root = _root_of(name, path)
    return _compiled(root / top, path) or _listed(root, path.relative_to(root))


def _root_of(name: str, path: Path) -> Path:
    """The folder on the search path in which the top-level package or module of a file lies."""
    depth = name.count(".") + (path.name == "__init__.py")
    return path.parents[min(depth, len(path.parents) - 1)]


@lru_cache(maxsize=512)
def _compiled(package: Path, path: Path) -> bool:
    """Whether a module, or any of its package, is machine code, which cannot travel by value."""
    endings = tuple(EXTENSION_SUFFIXES)
    if path.name.endswith(endings):
        return True
    return package.is_dir() and any(p.name.endswith(endings) for p in islice(package.rglob("*"), LOOKED_AT))


def _listed(root: Path, relative: Path) -> bool:
    return relative.as_posix() in _files_of_distributions(root)


@lru_cache(maxsize=64)
def _files_of_distributions(root: Path) -> frozenset[str]:
    """Files that distributions whose metadata lies in a folder have beside it. Those of an editable one lie elsewhere."""
    found = importlib.metadata.distributions(path=[str(root)])
    return frozenset(file.as_posix() for one in found for file in one.files or ())


def sources(module_name: str, file: str) -> dict[str, str]:
    """Name to digest of every module of the user's own that a module reaches by imports, itself left out.

    Imports anywhere in the source count, within functions too; comments, formatting and docstrings do not.
    """
    found: dict[str, str] = {}
    waiting = [(module_name, Path(file))]
    seen = {Path(file).resolve()}
    while waiting:
        name, path = waiting.pop()
        for imported in _imports(name, path):
            place = _place(imported)
            if place is None or place in seen or installed(imported, str(place)):
                continue
            seen.add(place)
            found[imported] = digest(place)
            waiting.append((imported, place))
    return found


def libraries(module_name: str, file: str) -> dict[str, str]:
    """Distribution to version of the installed packages that a module, and what it reaches of the user's own, imports."""
    own = sources(module_name, file)
    paths = [(module_name, Path(file)), *((name, place) for name in own if (place := _place(name)) is not None)]
    names = {imported.partition(".")[0] for name, path in paths for imported in _imports(name, path)}
    versions = {}
    for name in sorted(names - OURS - sys.stdlib_module_names - {n.partition(".")[0] for n in own}):
        try:
            versions[name] = version(name)
        except importlib.metadata.PackageNotFoundError:
            for distribution in _distributions().get(name, ()):
                versions[distribution] = version(distribution)
    return versions


@lru_cache(maxsize=1024)
def version(distribution: str) -> str:
    """The installed version; raises PackageNotFoundError. What a process has imported does not change in its life."""
    return importlib.metadata.version(distribution)


@lru_cache(maxsize=1)
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


def digest(path: Path) -> str:
    """sha256 of the code in a file, or of its bytes where it is no Python that this version can read."""
    return _digest(_read(path))


@lru_cache(maxsize=256)
def _digest(data: bytes) -> str:
    try:
        return hashlib.sha256(dumped(data).encode()).hexdigest()
    except (SyntaxError, ValueError):
        return hashlib.sha256(data).hexdigest()


@lru_cache(maxsize=32)
def dumped(source: str | bytes) -> str:
    """The code of a source as text, without comments, formatting and docstrings. Raises SyntaxError or ValueError."""
    return ast.dump(without_docstrings(ast.parse(source)))


def _read(path: Path) -> bytes:
    """The bytes of a module, within a zip on the search path too (``spark-submit --py-files``)."""
    try:
        return path.read_bytes()
    except NotADirectoryError:
        archive = next(parent for parent in path.parents if parent.is_file())
        with zipfile.ZipFile(archive) as held:
            return held.read(path.relative_to(archive).as_posix())


def without_docstrings(tree: ast.AST) -> ast.AST:
    """The same tree, changed in place."""
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node):  # type: ignore[arg-type]
            node.body = node.body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
    return tree


def _imports(name: str, path: Path) -> tuple[str, ...]:
    """Full names that a file may import: ``from a import b`` gives ``a`` and ``a.b``, with the packages above them."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    try:
        return _imported(_read(path), package)
    except (SyntaxError, ValueError, OSError, KeyError):
        return ()


@lru_cache(maxsize=256)
def _imported(data: bytes, package: str) -> tuple[str, ...]:
    """What a source imports, each name once; sources are read again and parsed once."""
    return tuple(dict.fromkeys(_names(ast.parse(data), package)))


def _names(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            if base:
                yield from _with_parents(base)
                yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")


def _base(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    above = parts[: len(parts) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[: i + 1]) for i in range(len(parts)))


def _place(name: str) -> Path | None:
    """The source file of a module, without importing anything; None where there is none."""
    path: list[str] | None = None
    spec = None
    parts = name.split(".")
    for i in range(len(parts)):
        spec = PathFinder.find_spec(".".join(parts[: i + 1]), path)
        if spec is None:
            return None
        path = None if spec.submodule_search_locations is None else list(spec.submodule_search_locations)
        if path is None and i + 1 < len(parts):
            return None
    origin = None if spec is None else spec.origin
    return Path(origin).resolve() if origin is not None and origin.endswith(".py") else None
