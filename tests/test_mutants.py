"""The list of seeded bugs is about the code as it stands: each still finds what it changes, and has tests to fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import mutants
from tests.mutants.mutants import MUTANTS, Mutant, outdated

ROOT = Path(__file__).parents[1]


def test_every_mutant_of_the_list_finds_the_text_that_it_changes() -> None:
    assert outdated(ROOT) == []
    assert all(m.right != m.wrong for m in MUTANTS)


def test_a_mutant_whose_text_or_file_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        mutants,
        "MUTANTS",
        [
            Mutant("partitioner/store/a.py", "x = 1", "x = 2", "law"),
            Mutant("partitioner/store/a.py", "= 3", "= ", "value"),
            Mutant("b.py", "y", "z", "order"),
        ],
    )
    (tmp_path / "partitioner/store").mkdir(parents=True)
    (tmp_path / "partitioner/store/a.py").write_text("x = 3")
    assert outdated(tmp_path) == [
        "partitioner/store/a.py has no 'x = 1' any more (law)",
        "b.py has no 'y' any more (order)",
        "partitioner/store/a.py cannot be read with '= ' (value)",
        "b.py has no tests",
    ]
