"""Secrets, planted in many places, are searched for in every byte that a run writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

import partitioner as pt
from partitioner import config, known_secrets
from partitioner.engines.dask import DaskEngine
from partitioner.errors import ConfigError, RunFailed
from partitioner.known_secrets import masked
from partitioner.running import run_config
from partitioner.security import masking
from partitioner.security.recognising import says_secret, secrets_in

TOKEN = 'tok"en/with&odd<signs>é42'


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    before = known_secrets.known()
    known_secrets._known.clear()
    yield
    known_secrets._known.clear()
    known_secrets.remember(before)


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "hf_token",
        "apiKey",
        "api-key",
        "AWS_SECRET_ACCESS_KEY",
        "db.password",
        "spark.hadoop.fs.s3a.secret.key",
    ],
)
def test_names_that_say_secret(name: str) -> None:
    assert says_secret(name)


@pytest.mark.parametrize(
    "name", ["tokenizer", "max_token", "tokens", "key", "keys", "monkey", "author", "sassy", "path"]
)
def test_names_that_do_not(name: str) -> None:
    assert not says_secret(name)


def test_secrets_of_settings_and_urls() -> None:
    values = {
        "arguments": {"api_key": "abcdefgh", "retries": 3, "nested": [{"password": "hunter2222"}]},
        "dataset": "postgresql://me:pa55word!@host/db",
        "output": "https://store/x?sig=s1gnature&y=1",
    }
    assert set(secrets_in(values)) == {"abcdefgh", "hunter2222", "pa55word!", "s1gnature"}


def test_every_way_to_write_a_secret_is_masked() -> None:
    known_secrets.remember({TOKEN: "${MY_TOKEN}"})
    written = [json.dumps({"t": TOKEN}), repr(TOKEN), f"<p>{TOKEN}</p>", quote(TOKEN, safe=""), f"x{TOKEN}y"]
    assert all("odd" not in masked(text) and "${MY_TOKEN}" in masked(text) for text in written)


@pytest.mark.parametrize("value", ["/data/in", "s3://bucket/x", "~/x", "12345678", "short", "false"])
def test_places_and_numbers_of_variables_are_no_secrets(value: str) -> None:
    masking.remember_variable("WHERE", value)
    assert known_secrets.known() == {}


def test_errors_of_ours_do_not_tell_secrets() -> None:
    known_secrets.remember({TOKEN: known_secrets.MASK})
    assert str(ConfigError(f"setting x is {TOKEN!r}")) == "setting x is '<masked>'"


class Talkative:
    """Prints its token, fails with it, and returns nothing of it."""

    def __init__(self, token: str, password: str = "", inner: object = None) -> None:
        self.token = token

    def __call__(self, batch: object) -> object:
        print("connecting with", self.token)
        if (batch["x"] == 3).any():  # type: ignore[index]
            raise ValueError(f"denied: {self.token}")
        return batch


def everywhere(folder: Path) -> list[str]:
    """Files that hold a part of a secret, in whatever form."""
    marks = [b"odd<signs", b"odd&lt;signs", b"odd%3Csigns", b"hunter2222", b"pa55word"]
    return [str(p) for p in folder.rglob("*") if p.is_file() and any(mark in p.read_bytes() for mark in marks)]


@pytest.mark.parametrize("on_error", ["quarantine", "raise"])
def test_nothing_that_a_run_writes_holds_a_secret(
    on_error: str,
    tmp_path: Path,
    dask_engine: DaskEngine,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MY_TOKEN", TOKEN)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    (tmp_path / "in.csv").write_text("x\n" + "\n".join(map(str, range(8))))
    (tmp_path / "conf.yaml").write_text(
        f"""
dataset: {{path: {tmp_path}/in.csv, storage_options: {{password: hunter2222}}}}
program: tests.test_masking:Talkative
arguments: {{token: "${{MY_TOKEN}}", password: hunter2222, inner: [{{api_key: hunter2222}}, "https://me:pa55word@host/"]}}
max_tasks: 2
max_retries: 0
on_error: {on_error}
checkpoint: {tmp_path}/runs
output: {tmp_path}/out
"""
    )
    made = config.load_config(tmp_path / "conf.yaml").model_copy(update={"engine": dask_engine})
    said = ""
    if on_error == "raise":
        with pytest.raises(RunFailed) as failed:
            run_config(made)
        said = str(failed.value)
    else:
        finished = run_config(made)
        said = str(finished.report)
        assert finished.counts["quarantined"] == 1
    printed = capfd.readouterr()
    assert "odd<signs" not in said + printed.out + printed.err
    (tmp_path / "conf.yaml").unlink()
    assert everywhere(tmp_path) == []
    (run,) = (tmp_path / "runs").iterdir()
    assert json.loads((run / "run.json").read_text())["config"]["arguments"]["token"] == "${MY_TOKEN}"
    assert any("connecting with ${MY_TOKEN}" in log.read_text() for log in (run / "attempts").iterdir())


def test_a_rotated_token_does_not_stop_a_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for token in ("first-token-0001", "second-token-0002"):
        run = pt.run(
            {"x": [1]},
            Talkative,
            arguments={"token": token},
            engine="serial",
            cost="rows",
            checkpoint=str(tmp_path / "runs"),
        )
        seen.append(run.directory.description()["fingerprints"]["code"])
    assert seen[0] == seen[1]
