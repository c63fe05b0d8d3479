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
