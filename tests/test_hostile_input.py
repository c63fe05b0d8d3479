"""Configurations and run directories by hostile or careless hands: refused in one line, as JSON too; nothing of it runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import partitioner as pt
from partitioner import cli
from tests.programs import double

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
)

CONFS = {
    "nothing in it": (b"", "is empty"),
    "no mapping": (b"- a\n- b\n", "mapping"),
    "no text": (b"\x00\x01\xff\xfe", "no YAML text"),
    "a control character": (b"name: a\x00b", "not valid YAML"),
    "no YAML": (b"dataset: [", "not valid YAML"),
    "a tag that calls": (b"dataset: !!python/object/apply:os.system ['touch PWNED']\n", "not valid YAML"),
    "brackets of a depth": (b"dataset: " + b"[" * 5000, "nested"),
    "an alias bomb": (BOMB.encode(), "aliases"),
    "an alias to itself": (b"x: &x {y: *x}\n", "alias"),
    "megabytes": (b"x: " + b"a" * 2**21, "bytes"),
    "a setting twice": (b"seed: 1\nseed: 2\n", "twice"),
    "an option twice": (b"dataset: {path: in.csv, path: other.csv}\n", "twice"),
    "a number as a setting": (b"1: 2\n", "no text"),
    "an integer without end": (b"seed: 0x" + b"f" * 5000, "an integer of 5002 characters"),
    "an integer in sixties": (b"arguments: {a: [" + b":".join([b"59"] * 3000) + b"]}", "an integer of 8999 characters"),
    "nothing as a setting": (b"~: 2\n", "no text"),
}

SETTINGS = {
    "a function of the system": ("program=os:system", "program"),
    "a reducer of the system": ("reducer=shutil:rmtree", "reducer"),
    "an engine of the system": ("engine=os:getcwd", "engine"),
    "code above": ("program=..other:doubled", "program"),
    "a filter that calls": ("filter=__import__('os').system('touch PWNED')", "filter"),
    "a cost that calls": ("cost={model: expression, expression: \"__import__('os').system('touch PWNED')\"}", "cost"),
    "a name that climbs": ("name=../../etc/x", "name"),
    "a name of colours": ('name="a\\e[31mred"', "name"),
    "a name without end": (f"name={'n' * 5000}", "name"),
    "a setting without end": (f"{'x' * 3000}=1", "unknown setting"),
    "a number of a dataset": ("dataset={path: in.csv, 1: 2}", "option 1"),
    "a number of an engine": ("engine={engine: serial, 1: 2}", "engine"),
    "a number of arguments": ("arguments={1: 2}", "arguments"),
    "not a number": ("target_task_seconds=.nan", "target_task_seconds"),
    "endless": ("timeout=.inf", "timeout"),
    "less than no memory": ("allowed_mem=-4GB", "allowed_mem"),
    "memory beyond doubles": ("allowed_mem=1e400 GB", "allowed_mem"),
    "files beyond doubles": ("bytes_per_file=1e400 GB", "bytes_per_file"),
    "files without end": ("bytes_per_file=.inf", "bytes_per_file"),
    "rows without end": ("max_quarantined=1e400", "max_quarantined"),
    "a path of a depth": (f"a{'.b' * 3000}=1", "nested more than 40 deep"),
    "private things": ("__class__.__init__=1", "__class__"),
    "fewer than no tasks": ("max_tasks=-5", "max_tasks"),
    "a number beyond doubles": ("max_tasks=1e999", "max_tasks"),
    "a scheme of nobody": ("dataset=foo://x/y", "foo"),
    "a device": ("dataset=/dev/zero", "/dev/zero"),
    "half a glob": ("dataset='[[['", "[[["),
    "no key before the sign": ("=x", "unknown setting"),
    "no character of a path": ('output="a\\0b"', "NUL"),
    "lists for groups": ("split={split: grouped, key: [[x]]}", "one name per fragment"),
    "a key that is not there": ("split={split: grouped, key: zz}", "no column"),
    "a version without its key": (["mode=incremental", "output=o", "incremental={key: zz, watermark: x}"], "zz"),
    "processes without end": ("engine={engine: dask, workers: 1000000000}", "at most 4096 processes"),
    "a share of rows that nobody has counted": ("max_quarantined=0.5", "give a number of rows"),
    "a version of nothing": (["mode=overwrite", "output=o", "filter=zz > 1"], "zz"),
    "a version of a broken file": (["mode=append", "output=o/p", "dataset=conf.yaml"], "conf.yaml"),
}

LONGEST = 2500
"""Characters of a refusal."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a good configuration and its data are, and commands run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text("x\n1\n2\n")
    (tmp_path / "conf.yaml").write_text(
        "dataset: in.csv\nprogram: tests.programs:double\ncost: bytes\nengine: serial\nprogress: false\n"
    )
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """What the one line says, which JSON says too; nothing was run."""
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, "--json"])
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert ended.value.code == told["exit_code"] == 2
    assert len(said.err.strip().splitlines()) == 1
    assert len(said.err) < LONGEST
    assert told["error"]["message"] in said.err
    assert not Path("PWNED").exists()
    assert {path.name for path in Path().iterdir()} <= {"in.csv", "conf.yaml", "hostile.yaml"}
    return said.err


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize("conf", CONFS)
def test_a_configuration_by_a_hostile_hand_is_refused_in_one_line(
    conf: str, command: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, says = CONFS[conf]
    (home / "hostile.yaml").write_bytes(text)
    assert says in refused(capsys, command, "hostile.yaml")


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_hostile_setting_is_refused_in_one_line(setting: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, says = SETTINGS[setting]
    given = [part for each in ([text] if isinstance(text, str) else text) for part in ("--set", each)]
    assert says in refused(capsys, "run", "conf.yaml", "--allow-module", "tests", *given)


@pytest.mark.parametrize("command", [["run"], ["plan"], ["simulate"], ["calibrate"]], ids=lambda c: c[0])
def test_a_configuration_without_end_is_refused_and_not_read_to_it(
    command: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "at most 1048576 bytes" in refused(capsys, *command, "/dev/zero")


@pytest.mark.parametrize("command", [["list"], ["show", "x"], ["forget", "x"]], ids=lambda c: c[0])
def test_a_directory_is_no_profile_store(command: list[str], home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is a directory" in refused(capsys, "profile", *command, "--store", ".")


@pytest.mark.parametrize("command", [["resume"], ["report"], ["explain", "t000000"]], ids=lambda c: c[0])
@pytest.mark.parametrize("place", ["nowhere", "in.csv", ".", "/dev/null", "s3://", "foo://x/y", "", "a\0b", "x" * 999])
def test_what_is_no_run_directory_is_refused_in_one_line(
    command: list[str], place: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(capsys, command[0], place, *command[1:])


@pytest.fixture(scope="module")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run of one row."""
    runs = str(tmp_path_factory.mktemp("runs"))
    run = pt.run({"x": [1]}, double, engine="serial", cost="rows", checkpoint=runs, progress=False)
    return Path(run.directory.url)


@pytest.fixture
def finished(finished_once: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(finished_once, tmp_path / "copy" / finished_once.name))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("run.json", b""),
        ("run.json", b"null"),
        ("run.json", b"[" * 100_000),
        ("run.json", b'{"config": 3}'),
        ("run.json", b'{"config": {"program": "os:system"}}'),
        ("run.json", b'{"config": {}, "fingerprints": {}}'),
        ("job.pkl", b"cos\nsystem\n(S'touch PWNED'\ntR."),
        ("job.pkl", None),
    ],
)
def test_a_run_directory_by_a_hostile_hand_does_not_resume(
    name: str, data: bytes | None, finished: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (finished / name).unlink()
    if data is not None:
        (finished / name).write_bytes(data)
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main(["resume", str(finished), "--json"])
    said = capsys.readouterr()
    assert ended.value.code == json.loads(said.out)["exit_code"] in (2, 4)
    assert len(said.err.strip().splitlines()) == 1
    assert name in said.err
    assert not Path("PWNED").exists()


@pytest.mark.parametrize(
    ("command", "setting"),
    [
        *((["resume"], name) for name in ("program", "cost", "placement", "split", "reducer")),
        (["quarantine", "retry"], "program"),
        (["quarantine", "retry"], "reducer"),
        (["whatif"], "placement"),
    ],
)
def test_code_that_a_hostile_hand_names_in_a_run_directory_is_not_imported(
    command: list[str],
    setting: str,
    set_aside_once: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = Path(shutil.copytree(set_aside_once, home / "copy" / set_aside_once.name))
    (home / "elsewhere").mkdir()
    (home / "elsewhere" / "of_a_stranger.py").write_text(f"open({str(home / 'PWNED')!r}, 'w')\n")
    (home / "work").mkdir()
    monkeypatch.chdir(home / "work")
    monkeypatch.syspath_prepend(str(home / "elsewhere"))
    told = json.loads((run / "run.json").read_text())
    told["config"][setting] = "of_a_stranger:f"
    (run / "run.json").write_text(json.dumps(told))
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, str(run)])
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert f"run.json: {setting} names 'of_a_stranger:f', and 'of_a_stranger' lies in " in line
    assert not (home / "PWNED").exists()


@pytest.fixture(scope="module")
def set_aside_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that has set a row aside."""
    runs = str(tmp_path_factory.mktemp("runs"))
    run = pt.run(
        {"x": [1, -1]}, "tests.programs:fails_on_negative", engine="serial", cost="rows", checkpoint=runs,
        progress=False, on_error="quarantine",
    )  # fmt: skip
    return Path(run.directory.url)
