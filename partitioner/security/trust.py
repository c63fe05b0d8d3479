"""Which code a configuration file may name.

A file that comes by mail must not run ``os:system``. What it names as ``module:name`` has to lie in the file's own folder or
below, in the project that folder belongs to, in the working directory, in an installed package that declares itself, or in
a module that the caller allows. Python's standard library and installed packages are none of these.
An object or a name that is handed over in Python is the caller's own affair and is not looked at.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import sysconfig
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from partitioner.errors import ConfigError
from partitioner.importing import search_here

ALLOW_VARIABLE = "PARTITIONER_ALLOW_MODULES"
"""Environment variable: modules that configurations may name besides their own, separated by commas."""

PROGRAMS = "partitioner.programs"
"""Entry point group by which an installed package offers modules to configurations."""

PROJECT_MARKS = ("pyproject.toml", "setup.py", "setup.cfg", ".git")
"""The nearest folder above a configuration that holds one of these is its project."""

_KINDS = ("cost", "split", "placement", "reducer", "engine")
_CODE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def check_named(values: Mapping[str, Any], path: Path, allowed: Iterable[str] = ()) -> None:
    """Refuse a configuration read from ``path`` that names code from elsewhere; nothing it names is imported.

    ``allowed`` are modules that the caller adds to those of ``PARTITIONER_ALLOW_MODULES``. Raises ConfigError.
    """
    _check(values, str(path), homes_of(path), allowed)


def check_resumed(values: Mapping[str, Any], where: str, begun_with: Iterable[str]) -> None:
    """Refuse settings read from ``where``, a ``run.json`` to which others may be able to write, that name code.

    What the run was ``begun_with`` may be named, and what lies in the working directory. Raises ConfigError.
    """
    _check(values, where, [Path.cwd().resolve()], (), frozenset(begun_with))


def _check(
    values: Mapping[str, Any], where: str, homes: Sequence[Path], allowed: Iterable[str], sure: Container[str] = ()
) -> None:
    known = [*allowed, *_from_environment(), *_declared()]
    for setting, text in _named(values):
        if text in sure:
            continue
        module = text.partition(":")[0]
        if any(module == name or module.startswith(f"{name}.") for name in known):
            continue
        found = _places(module, homes)
        if not found or not all(any(_is_below(place, home) for home in homes) for place in found):
            raise ConfigError(
                f"{where}: {setting} names {text!r}, and {_where(module, found)}. A configuration may name code in or below "
                f"{' or '.join(map(str, homes))}, or of a package that declares itself (entry point group {PROGRAMS!r}). "
                f"If you trust it, add --allow-module {module.partition('.')[0]} or set {ALLOW_VARIABLE}."
            )


def named_in(values: Mapping[str, Any]) -> list[str]:
    """Every ``module:name`` that settings name."""
    return list(dict.fromkeys(text for _, text in _named(values)))


def homes_of(path: Path) -> list[Path]:
    """The folder of a configuration, the project around it where there is one, and the working directory."""
    folder = path.resolve().parent
    project = [p for p in (folder, *folder.parents) if any((p / mark).exists() for mark in PROJECT_MARKS)][:1]
    return list(dict.fromkeys([folder, *project, Path.cwd().resolve()]))


def _from_environment() -> list[str]:
    return [name.strip() for name in os.environ.get(ALLOW_VARIABLE, "").split(",") if name.strip()]


def _declared() -> Iterator[str]:
    for point in entry_points(group=PROGRAMS):
        yield point.module


def _named(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(setting, ``module:name``) wherever a configuration can name code."""
    program = values.get("program")
    if isinstance(program, str) and ":" in program:
        yield "program", program
    if isinstance(job := values.get("job"), str):
        yield "job", job
    steps = values.get("steps")
    for step in steps.values() if isinstance(steps, Mapping) else steps if isinstance(steps, list) else ():
        named = [step.get("program"), *_strings(step.get("reducer"))] if isinstance(step, Mapping) else [step]
        yield from (("steps", text) for text in named if isinstance(text, str) and _CODE.fullmatch(text))
    for kind in _KINDS:
        yield from ((kind, text) for text in _strings(values.get(kind)) if _CODE.fullmatch(text))
    for setting in ("dataset", "output"):
        spec = values.get(setting)
        connector = spec.get("connector") if isinstance(spec, Mapping) else None
        if isinstance(connector, str) and _CODE.fullmatch(connector):
            yield setting, connector


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)


def _places(module: str, homes: Sequence[Path]) -> list[Path]:
    """Where the module's top package lies, found without running any of it; the homes are searched last."""
    spec = _spec(module.partition(".")[0], homes)
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(place) for place in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.origin and spec.has_location else []


def _spec(package: str, homes: Sequence[Path]) -> ModuleSpec | None:
    """As a later import will find it: loaded already, or on the path with the working directory first and the homes last."""
    if package in sys.stdlib_module_names:
        return None
    if package in sys.modules:
        return getattr(sys.modules[package], "__spec__", None)
    search_here()
    for home in homes:
        if str(home) not in sys.path:
            sys.path.append(str(home))
    try:
        return importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None


def _is_below(place: Path, home: Path) -> bool:
    """In the project itself: an environment or site-packages inside its folder is not the project's own code."""
    resolved = place.resolve()
    if not resolved.is_relative_to(home) or {"site-packages", "dist-packages"} & set(resolved.relative_to(home).parts):
        return False
    return not resolved.is_relative_to(Path(sysconfig.get_path("stdlib")).resolve())


def _where(module: str, found: Sequence[Path]) -> str:
    package = module.partition(".")[0]
    if package in sys.stdlib_module_names:
        return f"{package!r} is part of Python's standard library"
    return f"{package!r} lies in {found[0]}" if found else f"there is no module {package!r} to be found"
