"""Modes of runs that end in a reducer, and outputs that are refused."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from partitioner.errors import ConfigError, OutputExists
from partitioner.reducers.count import Count
from tests.modes.schedule import Died, Dies, Schedule


class FirstCome(Count):
    """Accumulators of parts do not merge."""

    name = "first_come"
    mergeable = False


def as_is(batch: pd.DataFrame) -> pd.DataFrame:
    return batch


def test_nights_of_a_reducer_merge_what_is_kept_with_what_is_new(night: Schedule) -> None:
    options: dict[str, Any] = {"program": as_is, "reducer": "mean"}
    changes = [
        lambda: None,
        lambda: night.file("d", 3000),
        lambda: night.file("b", 7000, 150),
        lambda: (night.home / "in" / "a.parquet").unlink(),
        lambda: None,
    ]
    read = []
    for n, change in enumerate(changes):
        change()
        finished = night.start("incremental", **options)
        fresh = night.start("error", **options, output=str(night.home / f"fresh{n}"))
        assert finished.result == fresh.result
        assert finished.counts["rows_in"] == fresh.counts["rows_in"]
        read.append(sum(record.rows_in for record in finished.records))
        assert (night.home / "out" / "result.pkl").read_bytes() == (
            night.home / f"fresh{n}" / "result.pkl"
        ).read_bytes()
    assert read == [300, 100, 150, 0, 0]


def test_append_and_overwrite_of_a_reducer(night: Schedule) -> None:
    options: dict[str, Any] = {"program": as_is, "reducer": "count"}
    assert night.start("overwrite", **options).result == 300
    assert night.start("append", **options).result == 600
    again = night.start("overwrite", **options)
    assert again.result == 300
    assert night.start("overwrite", **options, resume=again.url).result == 300


def test_a_mode_without_an_output_or_rows_is_refused(night: Schedule) -> None:
    with pytest.raises(ConfigError, match=r"mode='append' is about an output that stays; name it with output="):
        night.start("append", output=None)
    with pytest.raises(ConfigError, match=r"mode='overwrite' merges the results of files, and reducer 'first_come'"):
        night.start("overwrite", reducer=FirstCome())
    with pytest.raises(ConfigError, match=r"leave out limit and sample"):
        night.start("incremental", limit=5)
    with pytest.raises(ConfigError, match=r"split .* puts rows of many together"):
        night.start("incremental", split={"split": "grouped", "key": "x"})


def test_a_folder_that_no_run_wrote_is_refused_in_every_mode(night: Schedule) -> None:
    (night.home / "out").mkdir()
    (night.home / "out" / "thesis.txt").write_text("mine")
    for mode in ("error", "resume", "overwrite", "append", "incremental"):
        with pytest.raises(OutputExists, match=r"is not empty \(it holds thesis\.txt\) and names no run"):
            night.start(mode)
    assert [p.name for p in (night.home / "out").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(("mode", "first"), [("incremental", 0), ("overwrite", 1), ("append", 2)])
def test_the_same_command_goes_on_after_a_death_at_any_write(tmp_path: Path, mode: str, first: int) -> None:
    deaths = 0
    for n in range(first, 60, 5):
        schedule = Schedule(tmp_path / f"{n}")
        for i, name in enumerate("abc"):
            schedule.file(name, 1000 * i)
        schedule.start(mode)
        before = schedule.shown
        schedule.file("b", 7000)
        with Dies(n) as dying:
            try:
                schedule.start(mode)
            except Died:
                deaths += 1
        if not dying.died:
            break
        schedule.start(mode)
        kept = before if mode == "append" else []
        # A death after the commit leaves nothing to go on with: the next append adds once more.
        assert schedule.shown in (kept + schedule.expected, kept + 2 * schedule.expected if mode == "append" else None)
    assert deaths >= 5
