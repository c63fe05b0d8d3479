"""A configuration names code of its own project only; what it names is refused before any of it is imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from partitioner import config
from partitioner.errors import ConfigError


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that leaves a mark when it is imported, on the path but in no project of the configuration."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    name = f"hostile_{abs(hash(str(tmp_path)))}"
    (folder / f"{name}.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w').close()\ndef program(batch): return batch\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    return name


def conf(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir(exist_ok=True)
    path = folder / "conf.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "program: os:system",
        "program: subprocess:run",
        "program: builtins:exec",
        "program: numpy:save",
        "program: no_such_module_at_all:f",
        "program: jobs.batch_inference:f\ncost: {model: 'os:system'}",
        "reducer: {reducer: by_key, of: {reducer: 'shutil:rmtree'}}",
        "dataset: {connector: 'os:system', path: x}",
        "engine: 'os:system'",
        "split: {split: 'os:system'}",
        "placement: 'os:system'",
    ],
)
def test_code_of_elsewhere_is_refused_with_the_flag_that_allows_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="--allow-module"):
        config.load_config(conf(tmp_path, text))


def test_what_is_refused_is_never_imported(tmp_path: Path, elsewhere: str) -> None:
    with pytest.raises(ConfigError, match=f"{elsewhere}.*elsewhere"):
        config.load_config(conf(tmp_path, f"program: {elsewhere}:program"))
    assert not (tmp_path / "ran").exists()
    assert elsewhere not in sys.modules


def test_the_caller_may_allow_a_module(tmp_path: Path, elsewhere: str) -> None:
    made = config.load_config(conf(tmp_path, f"program: {elsewhere}:program"), allow_modules=[elsewhere])
    assert made.program == f"{elsewhere}:program"


def test_the_environment_may_allow_a_module(tmp_path: Path, elsewhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTITIONER_ALLOW_MODULES", f"other, {elsewhere}")
    assert config.load_config(conf(tmp_path, f"program: {elsewhere}:program")).program == f"{elsewhere}:program"


def test_code_beside_the_configuration_is_its_own(tmp_path: Path) -> None:
    path = conf(tmp_path, "program: beside_the_conf:program")
    (path.parent / "beside_the_conf.py").write_text("def program(batch): return batch\n")
    assert config.load_config(path).program == "beside_the_conf:program"


def test_code_of_the_project_around_the_configuration_is_its_own(tmp_path: Path) -> None:
    path = conf(tmp_path, "program: project_code.inner:program")
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "project_code").mkdir()
    (tmp_path / "project_code" / "__init__.py").write_text("")
    assert config.load_config(path).program == "project_code.inner:program"


def test_the_command_line_is_held_to_the_same(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="standard library"):
        config.load_config(conf(tmp_path, "program: mine:f"), ["program=os:system"])


def test_the_shipped_configurations_name_their_own_code() -> None:
    paths = sorted((Path(__file__).parent.parent / "conf").glob("*.yaml"))
    assert paths
    jobs = [config.job_of(path) or config.load_config(path, environment={}).program for path in paths]
    assert all(str(job).startswith("jobs.") for job in jobs)


def test_a_job_of_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"job names 'antigravity'.*standard library"):
        config.job_of(conf(tmp_path, "job: antigravity"))
