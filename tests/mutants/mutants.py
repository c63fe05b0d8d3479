"""Small wrong changes, each of which a test must notice.

``python -m tests.mutants`` makes them one at a time and runs the tests of ``noticing.TESTS`` for that file.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

from tests.mutants.listed import attempts, ends, examiners, rungs, several, steps, strangers
from tests.mutants.noticing import TESTS

ROOT = Path(__file__).parents[2]


class Mutant(NamedTuple):
    """``right`` text of ``file`` becomes ``wrong``, which breaks ``law``; ``at``: at this character, else the first."""

    file: str
    right: str
    wrong: str
    law: str
    at: int = -1
    line: int = 0


MUTANTS = [
    Mutant(*chosen) for room in (steps, rungs, attempts, ends, strangers, examiners, several) for chosen in room.CHOSEN
]


def _parses(mutant: Mutant, text: str) -> bool:
    try:
        ast.parse(text.replace(mutant.right, mutant.wrong, 1))
    except SyntaxError:
        return False
    return True


def outdated(root: Path) -> list[str]:
    """A line for each mutant of the list whose text its file has no more, that is no Python, or that has no tests.

    It would break nothing, or everything.
    """
    texts = {m.file: (root / m.file).read_text() if (root / m.file).exists() else "" for m in MUTANTS}
    gone = [f"{m.file} has no {m.right!r} any more ({m.law})" for m in MUTANTS if m.right not in texts[m.file]]
    gone += [f"{m.file} cannot be read with {m.wrong!r} ({m.law})" for m in MUTANTS if not _parses(m, texts[m.file])]
    return gone + [f"{name} has no tests" for name in texts if not any(name.startswith(place) for place in TESTS)]
