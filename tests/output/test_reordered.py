"""Whether the files of an earlier run hold its rows in another order than its input, as its run.json says."""

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from partitioner.errors import ConfigError
from partitioner.output.finishing import reordered
from partitioner.splits.ordered import Ordered
from partitioner.storage import Directory
from tests.output.home import Home


class Shuffled(Ordered):
    reorders = True


MINE = f"{__name__}:Shuffled"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"split": "ordered"}, False),
        ({"split": "by_weight"}, True),
        ({"split": {"split": "by_weight"}}, True),
        ({"split": "by_weight", "preserve_order": False}, False),
        ({"split": "<Shuffled>"}, True),
        ({"split": "<Shuffled>", "preserve_order": False}, False),
    ],
)
def test_a_splitter_that_mixes_rows_says_so_and_an_object_may(
    tmp_path: Path, config: dict[str, Any], expected: bool
) -> None:
    assert reordered(Home(tmp_path).run("a", **config)) is expected


def test_code_that_the_run_began_with_is_asked_and_other_code_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Home(tmp_path).run("a", split=MINE)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    run.write_job(pickle.dumps(SimpleNamespace(named=(MINE,))))
    assert reordered(run)
    (tmp_path / "runs" / "hostile.py").write_text(f"import os; os.mkdir({str(tmp_path / 'PWNED')!r})")
    monkeypatch.syspath_prepend(str(tmp_path / "runs"))
    Directory(run.url).put("run.json", b'{"config": {"split": "hostile:Split"}}')
    with pytest.raises(ConfigError, match="names 'hostile:Split'"):
        reordered(run)
    assert not (tmp_path / "PWNED").exists()
