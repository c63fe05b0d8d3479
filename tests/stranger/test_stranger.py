"""A package of somebody else's, installed beside ours: found by entry points alone, suites green, all six in one run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that has the package: its modules, and the entry points of its pyproject.toml."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(HERE / "stranger_parts", site / "stranger_parts", ignore=shutil.ignore_patterns("__pycache__"))
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    about = site / f"stranger_parts-{project['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    lines = [line for g, points in groups for line in (f"[{g}]", *(f"{n} = {at}" for n, at in points.items()))]
    (about / "entry_points.txt").write_text("\n".join(lines))
    return {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}


def said(environment: dict[str, str], *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"[-6000:]
    return done.stderr if code else done.stdout


@pytest.fixture(scope="module")
def suites(installed: dict[str, str]) -> dict[str, Any]:
    return dict(json.loads(said(installed, str(HERE / "suites.py")).splitlines()[-1]))


@pytest.mark.parametrize("kind", ["placements", "costs", "splits", "reducers", "engines", "connectors"])
def test_the_published_suite_is_green(suites: dict[str, Any], kind: str) -> None:
    assert suites[kind] >= 6


def test_a_suite_tells_the_law_that_was_broken(suites: dict[str, Any]) -> None:
    assert "test_grouping_does_not_matter" in suites["broken"]


def test_one_run_uses_all_six(installed: dict[str, str], tmp_path: Path) -> None:
    facts: dict[str, Any] = json.loads(said(installed, str(HERE / "together.py"), str(tmp_path)).splitlines()[-1])
    assert facts == {
        "result": [0.0, 798.0],
        "placement": "last_first",
        "workers": 3,
        "cost": "squared",
        "rows": 400,
        "page": True,
        "explained": True,
        "text": True,
        "resumed": [0.0, 798.0],
    }


def test_its_names_are_listed_and_offered(installed: dict[str, str]) -> None:
    shown = said(installed, "-m", "partitioner.cli", "list", "connectors")
    assert "npz" in shown
    assert "stranger_parts.reading:NpzSource" in shown
    wrong = "from partitioner import choices; choices.choose('reducers', 'extend')"
    assert "Did you mean 'extent'?" in said(installed, "-c", wrong, code=1)


def test_our_own_registry_tests_pass_with_it_installed(installed: dict[str, str]) -> None:
    ours = ["tests/contracts/test_connectors.py", "tests/contracts/test_costs.py", "tests/contracts/test_reducers.py"]
    chosen = ["-q", "-p", "no:cacheprovider", "-k", "registered or one_valid_cost or one_accumulator"]
    assert " passed" in said(installed, "-m", "pytest", *chosen, *ours)
