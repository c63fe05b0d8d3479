"""``partitioner run`` of a configuration that is for a job."""

from __future__ import annotations

from pathlib import Path

import pytest

from partitioner import cli

JOB = """
import json
import pathlib
def main(arguments):
    pathlib.Path({seen!r}).write_text(json.dumps(arguments))
    return 5
"""


def test_the_job_gets_conf_and_settings_and_its_exit_code_counts(tmp_path: Path) -> None:
    seen = tmp_path / "seen.json"
    (tmp_path / "a_job_of_a_test.py").write_text(JOB.format(seen=str(seen)))
    conf = tmp_path / "conf.yaml"
    conf.write_text("job: a_job_of_a_test\nrounds: 3\n")
    with pytest.raises(SystemExit) as done:
        cli.main(["run", str(conf), "--set", "rounds=4", "--engine", "serial"])
    assert done.value.code == 5
    assert seen.read_text() == f'["{conf}", "--set", "rounds=4", "--set", "engine=serial"]'


def test_a_plan_of_a_job_says_how_to_run_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "another_job_of_a_test.py").write_text("def main(arguments): return 0\n")
    (tmp_path / "conf.yaml").write_text("job: another_job_of_a_test\n")
    with pytest.raises(SystemExit) as done:
        cli.main(["plan", str(tmp_path / "conf.yaml")])
    assert done.value.code == 2
    assert "plans its own runs: partitioner run" in capsys.readouterr().err
