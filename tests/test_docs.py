"""What the docs name is there: tests by name, files by path."""

import re
from pathlib import Path

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
