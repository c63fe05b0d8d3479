"""What a run writes into a folder of its input is no input of the next night."""

from pathlib import Path

import pandas as pd
import pytest

import partitioner as pt
from partitioner.errors import ConfigError
from tests import programs
from tests.modes.schedule import Schedule

SAID = "lies in the input, and is left out of it"


def start(home: Path, dataset: object, output: str, checkpoint: str = "runs", mode: str = "overwrite") -> list[int]:
    done = pt.run(
        dataset, programs.double, output=str(home / output), checkpoint=str(home / checkpoint), mode=mode,
        engine="serial", cost="bytes", max_tasks=2, progress=False, report=False,
    )  # fmt: skip
    return list(done.result.to_pandas()["y"])


@pytest.mark.parametrize("mode", ["overwrite", "incremental"])
@pytest.mark.parametrize("dataset", ["in", "in/**/*.parquet", "link"])
def test_nights_into_a_folder_of_the_input(
    night: Schedule, capfd: pytest.CaptureFixture[str], dataset: str, mode: str
) -> None:
    home = night.home
    (home / "link").symlink_to(home / "in")
    expected = night.expected
    for _ in range(3):
        assert start(home, str(home / dataset), "in/out", "in/runs", mode) == expected
        said = capfd.readouterr().err
        assert f"output {home}/in/out {SAID}" in said
        assert f"checkpoint {home}/in/runs {SAID}" in said


def test_files_of_another_format_among_the_input_tell_no_format(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    pd.DataFrame({"x": [1, 2]}).to_csv(tmp_path / "in" / "a.csv", index=False)
    for _ in range(2):
        assert start(tmp_path, str(tmp_path / "in"), "in/out.csv", "in/runs") == [2, 4]


@pytest.mark.parametrize(("dataset", "output"), [("in/*.parquet", "in/out"), ("in", "out"), ("in/a.parquet", "in/out")])
def test_nothing_is_said_where_the_input_does_not_mean_the_output(
    night: Schedule, capfd: pytest.CaptureFixture[str], dataset: str, output: str
) -> None:
    start(night.home, str(night.home / dataset), output)
    assert SAID not in capfd.readouterr().err


def test_run_directories_in_the_folder_of_the_input_are_refused(night: Schedule) -> None:
    with pytest.raises(ConfigError, match=r"checkpoint .*/in is the folder of the input.* set checkpoint to another"):
        start(night.home, str(night.home / "in"), "out", "in")


def test_an_unfinished_run_goes_on_beside_what_it_wrote_into_its_input(night: Schedule) -> None:
    night.options = {"output": str(night.home / "in" / "out")}
    first = night.start("error")
    (night.home / "in" / "out" / "_SUCCESS").unlink()
    again = night.start("resume", resume=first.url)
    assert list(again.result.to_pandas()["y"]) == [2 * x for i in range(3) for x in range(1000 * i, 1000 * i + 100)]
