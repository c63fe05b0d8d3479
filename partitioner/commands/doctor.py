"""The command ``partitioner doctor``: what this installation can do, and the command that mends what it cannot."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from partitioner import registry
from partitioner.errors import ConfigError
from partitioner.storage import Directory

PROBE = "doctor.probe"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: ``state`` is ok, missing (an extra that is not installed) or broken; ``remedy`` what to do."""

    what: str
    state: str
    detail: str
    remedy: str = ""


def doctor(
    checkpoint: Annotated[str | None, typer.Option(help="A place of run directories to try, path or URL.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output, nothing else.")] = False,
) -> None:
    """Look at Python, packages, extras, Java and a place of run directories. Exit code 2 where something is broken."""
    findings = [*look(), *([] if checkpoint is None else [_place(checkpoint)])]
    if as_json:
        typer.echo(json.dumps([asdict(f) for f in findings]))
    else:
        for f in findings:
            typer.echo(f"{f.state:8} {f.what:22} {f.detail}" + (f"\n{'':32}{f.remedy}" if f.remedy else ""))
    if any(f.state == "broken" for f in findings):
        raise typer.Exit(2)


def look() -> Iterator[Finding]:
    """Everything but the place of run directories."""
    yield Finding("python", "ok", ".".join(map(str, sys.version_info[:3])))
    yield _connectors()
    for extra, names in sorted(_requirements().items()):
        yield _packages(extra, names)
    yield _java()


def _connectors() -> Finding:
    try:
        ours = registry.import_ours("connectors")
    except ConfigError as error:
        return Finding("connectors", "broken", str(error), "Remove the other package from the Python path.")
    return Finding("connectors", "ok", str(ours.__file__))


def _requirements() -> Mapping[str, list[str]]:
    """Extra (empty: the core) to the names of the packages it asks for."""
    found: dict[str, list[str]] = {}
    for line in importlib.metadata.requires(registry.DISTRIBUTION) or []:
        name, extra = re.match(r"[\w.-]+", line), re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        if name is not None and name[0] != registry.DISTRIBUTION:
            found.setdefault(extra[1] if extra else "", []).append(name[0])
    return {extra: names for extra, names in found.items() if extra not in ("dev", "all")}


def _packages(extra: str, names: list[str]) -> Finding:
    there, lacking = [], []
    for name in sorted(set(names)):
        try:
            there.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            lacking.append(name)
    what = f"extra {extra}" if extra else "core packages"
    if not lacking:
        return Finding(what, "ok", ", ".join(there))
    asked = f"{registry.DISTRIBUTION}[{extra}]" if extra else registry.DISTRIBUTION
    state = "missing" if extra else "broken"
    return Finding(what, state, f"without {', '.join(lacking)}", f'pip install "{asked}"')


def _java() -> Finding:
    """Spark 4 asks for Java 17 or later."""
    path = shutil.which("java")
    if path is None:
        return Finding("java", "missing", "not on the path", "Install Java 17 or later for engine 'spark'.")
    done = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=60, check=False)
    said = re.search(r'version "(\d+)', done.stderr + done.stdout)
    if said is None or int(said[1]) < 17:
        return Finding("java", "missing", (done.stderr or done.stdout)[:80], "Engine 'spark' needs Java 17 or later.")
    return Finding("java", "ok", f"{said[1]} at {path}")


def _place(url: str) -> Finding:
    """Whether run directories can be made there: a conditional create, read back and removed."""
    try:
        directory = Directory(url)
        directory.put_new(PROBE, b"probe")
        readable = directory.get(PROBE) == b"probe"
        directory.delete(PROBE)
    except Exception as error:  # whatever a store raises is what is to be told
        said: Any = f"{type(error).__name__}: {error}"
        return Finding("run directories", "broken", f"{url}: {said}", "Name a place that can be written: --checkpoint.")
    return Finding("run directories", "ok" if readable else "broken", directory.url)
