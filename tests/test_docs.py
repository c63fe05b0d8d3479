"""What the docs name is there: tests by name, files by path, commands with their options, settings and hooks."""

import re
from pathlib import Path

import pytest
import typer.main

from partitioner.cli import app
from partitioner.config import RunConfig
from partitioner.costs.base import CostModel
from partitioner.engines.base import Engine
from partitioner.model.source import Source
from partitioner.placement.base import Algorithm
from partitioner.reducers.base import Reducer
from partitioner.splits.base import Splitter

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = "tests|benchmarks|partitioner|connectors|jobs|conf|examples|scripts"
DEFINED = {
    name
    for file in (ROOT / "tests").rglob("*.py")
    for name in re.findall(r"^ *(?:async )?def (test_\w+)", file.read_text(), re.M)
} | {file.stem for file in (ROOT / "tests").rglob("test_*.py")}


def test_every_test_that_the_docs_name_is_defined() -> None:
    named = {(page.name, name) for page in PAGES for name in re.findall(r"`(test_\w+)`", page.read_text())}
    assert named, "docs/guarantees.md names tests"
    assert [pair for pair in sorted(named) if pair[1] not in DEFINED] == []


def test_every_file_of_this_project_that_the_docs_name_is_there() -> None:
    path = re.compile(rf"(?<![\w/.-])(?:{FOLDERS})/[\w./-]+\.(?:py|yaml|ipynb|sh)\b")
    named = {(page.name, name) for page in PAGES for name in path.findall(page.read_text())}
    assert named, "the docs name files"
    assert [pair for pair in sorted(named) if not (ROOT / pair[1]).exists()] == []


def test_every_file_named_by_the_end_of_its_path_is_there() -> None:
    files = [
        f"/{path.relative_to(ROOT).as_posix()}"
        for folder in FOLDERS.split("|")
        for path in (ROOT / folder).rglob("*.*")
    ]
    named = {
        (page.name, name)
        for page in PAGES
        for name in re.findall(r"`([\w/]+\.(?:py|yaml|sh|ipynb))`", page.read_text())
    }
    assert [pair for pair in sorted(named) if not any(file.endswith(f"/{pair[1]}") for file in files)] == []


def test_every_command_that_the_docs_write_has_its_options() -> None:
    written = re.compile(r"(?:^ *|`)partitioner ([a-z]+)((?: +[^\n`#]+)?)", re.M)
    wrong = []
    for page in PAGES:
        for name, rest in written.findall(page.read_text()):
            command = typer.main.get_command(app).commands.get(name)
            command = getattr(command, "commands", {}).get(rest.strip().partition(" ")[0], command)
            known = {option for one in getattr(command, "params", ()) for option in (*one.opts, *one.secondary_opts)}
            options = set(re.findall(r"(?<![\w-])--[a-z-]+", rest))
            wrong += [(page.name, name)] * (command is None) + [(page.name, name, o) for o in sorted(options - known)]
    assert wrong == []


def test_every_setting_is_told_of() -> None:
    told = " ".join(page.read_text() for page in PAGES)
    assert [name for name in RunConfig.model_fields if not re.search(rf"\b{name}\b", told)] == []


@pytest.mark.parametrize("contract", [Source, CostModel, Splitter, Algorithm, Engine, Reducer])
def test_the_page_of_design_has_the_verbs_and_hooks_of_a_contract(contract: type) -> None:
    text = (ROOT / "docs" / "design.md").read_text()
    (row,) = [line for line in text.splitlines() if re.match(rf"\| `\w+` \| `[\w.]+\.{contract.__name__}` \|", line)]
    _, _, must, hooks = row.strip("| ").split(" | ")
    assert set(re.findall(r"`(\w+)`", must)) == contract.__abstractmethods__
    assert [name for name in re.findall(r"`(\w+)`", hooks) if name not in dir(contract)] == []


FAULTS = [
    "worker SIGKILL",
    "segfault",
    "preemption",
    "out of memory",
    "out of memory of one row",
    "out of memory of the GPU (a stand-in raises the error of torch)",
    "poison row",
    "innocent neighbours",
    "innocent neighbours in threads of one process",
    "bad node",
    "all workers excluded",
    "straggler",
    "both finish",
    "zombie of an older epoch",
    "crash between write and commit",
    "crash between commit and acknowledgement",
    "driver death before and after every write",
    "torn journal",
    "disk full at the n-th write",
    "a small file system that is full",
    "changed input",
    "changed code",
    "changed helper",
    "two drivers",
    "messages lost, doubled, reordered",
    "SIGSTOP beyond the lease",
    "clock jump both ways",
    "costs NaN, negative, infinite",
    "costs wrong by 100 x",
    "too large for every worker",
    "cycle",
    "empty",
    "one row",
    "no workers",
    "join and leave each second",
    "one big among endless small",
    "infeasible deadline",
    "unpicklable function",
    "unpicklable result",
    "`exit(0)`",
    "partial missing",
    "partial doubled",
    "partials swapped",
    "cancel in mid-run",
    "a secret in every place that has one",
    "a hostile configuration or run directory",
    "a symbolic link in the place of a folder that we made, in an output or a run directory",
    "links, folders and files of the user's own in an output",
    "a pickle in the place of a partial result",
    "the store is S3",
]


def test_every_fault_has_a_row_that_names_a_test_of_it() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text().partition("## Every fault")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
    assert [fault for fault, _ in rows] == FAULTS
    assert [fault for fault, shown in rows if not re.search(r"`test_\w+`", shown)] == []


def test_every_guarantee_names_what_shows_it() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    shown = re.compile(r"`(test_\w+|tests/[\w/.]+|python -m [\w.]+|benchmarks/\w+\.py)`|laws")
    assert [row[0] for row in rows if row[-1] not in ("shown by", "test") and not shown.search(row[-1])] == []
