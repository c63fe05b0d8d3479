"""Sealed bytes: opened by their key alone, and by nobody when a bit differs."""

from __future__ import annotations

import hashlib
import hmac
import os
import pickle
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import partitioner as pt
from partitioner import cli
from partitioner.engines.dask import DaskEngine
from partitioner.errors import ConfigError, Tampered
from partitioner.runs.resume import from_directory
from partitioner.security import sealing
from partitioner.store.run_directory import RunDirectory

KEY = bytes(range(32))


@pytest.fixture(autouse=True)
def own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv(sealing.KEY_VARIABLE, raising=False)


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_what_is_sealed_comes_back(size: int) -> None:
    data = os.urandom(size)
    assert sealing.unseal(sealing.seal(data, KEY), KEY, "it") == data


def test_chunks_come_back_in_order_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "_CHUNK", 10)
    sealed, step = sealing.seal(b"0123456789abcdefghij!", KEY), 12 + 10 + 16
    assert sealing.unseal(sealed, KEY, "it") == b"0123456789abcdefghij!"
    mark, body = sealed[: -(2 * step + 29)], sealed[-(2 * step + 29) :]
    for changed in (body[step:], body[step : 2 * step] + body[:step] + body[2 * step :], body[: 2 * step]):
        with pytest.raises(Tampered):
            sealing.unseal(mark + changed, KEY, "it")


def test_the_plain_bytes_are_not_to_be_seen() -> None:
    assert b"a token" not in sealing.seal(b"a token", KEY)


@pytest.mark.parametrize("at", [0, 25, -1])
def test_one_changed_bit_is_noticed(at: int) -> None:
    sealed = bytearray(sealing.seal(b"some data", KEY))
    sealed[at] ^= 1
    with pytest.raises(Tampered, match=r"job\.pkl was not sealed"):
        sealing.unseal(bytes(sealed), KEY, "job.pkl")


@pytest.mark.parametrize("data", [b"", b"x", pickle.dumps({"a": 1})])
def test_what_was_never_sealed_is_refused(data: bytes) -> None:
    with pytest.raises(Tampered):
        sealing.unseal(data, KEY, "it")


def test_the_key_is_made_once_for_its_owner_alone() -> None:
    first = sealing.key_of_run("a")
    sealing._filed_key.cache_clear()
    assert sealing.key_of_run("a") == first != sealing.key_of_run("b")
    assert stat.S_IMODE(sealing.key_file().stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o601])
def test_a_key_that_others_can_read_is_refused(mode: int) -> None:
    sealing.key_of_run("a")
    sealing.key_file().chmod(mode)
    sealing._filed_key.cache_clear()
    with pytest.raises(ConfigError, match="chmod 600"):
        sealing.key_of_run("a")


def test_a_short_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sealing.KEY_VARIABLE, "short")
    with pytest.raises(ConfigError, match="has 5 characters; a key has at least 16"):
        sealing.key_of_run("a")


def test_a_key_of_sixteen_characters_is_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sealing.KEY_VARIABLE, "0123456789abcdef")
    own = hashlib.sha256(b"0123456789abcdef").digest()
    assert sealing.key_of_run("a") == hmac.digest(own, b"run\0a", "sha256")
    assert sealing.sign(b"data") == hmac.digest(own, b"file\0data", "sha256").hex().encode()
    sealing.check_signed(b"data", sealing.sign(b"data") + b"\n", "it")


def filed(text: str) -> None:
    sealing._filed_key.cache_clear()
    sealing.key_file().parent.mkdir(parents=True)
    sealing.key_file().write_text(text)
    sealing.key_file().chmod(0o600)


def test_the_key_in_the_file_is_taken_without_its_line_end() -> None:
    filed("0123456789abcdef\n")
    own = hashlib.sha256(b"0123456789abcdef").digest()
    assert sealing.key_of_run("a") == hmac.digest(own, b"run\0a", "sha256")


def test_a_key_file_that_is_too_short_says_what_to_do() -> None:
    filed("0123456789abcde")
    with pytest.raises(ConfigError, match=r"key has 15 characters; remove it, and a new one is made"):
        sealing.key_of_run("a")


@pytest.mark.parametrize("there", [True, False])
def test_a_key_is_made_whole_in_a_folder_for_its_owner(there: bool) -> None:
    folder = sealing.key_file().parent
    sealing._filed_key.cache_clear()
    if there:
        folder.mkdir(parents=True)
    sealing.key_of_run("a")
    assert [p.name for p in folder.iterdir()] == ["key"]
    assert len(sealing.key_file().read_text()) == 64
    assert there or stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_without_a_place_for_a_key_this_process_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("read-only")

    sealing._filed_key.cache_clear()
    monkeypatch.setattr(sealing, "_create", refuse)
    one = sealing.key_of_run("a")
    assert sealing.key_of_run("a") == one
    assert not sealing.key_file().exists()
    sealing._filed_key.cache_clear()
    assert sealing.key_of_run("a") != one


def test_of_two_that_make_a_key_at_once_both_have_that_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    create = sealing._create

    def late(path: Path, text: str) -> None:
        create(path, "the key of the other process")
        create(path, text)

    sealing._filed_key.cache_clear()
    monkeypatch.setattr(sealing, "_create", late)
    own = hashlib.sha256(b"the key of the other process").digest()
    assert sealing.key_of_run("a") == hmac.digest(own, b"run\0a", "sha256")
    assert [p.name for p in sealing.key_file().parent.iterdir()] == ["key"]


class Hostile:
    """Unpickling it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.mark), "w")


def test_a_hostile_job_is_never_loaded(tmp_path: Path) -> None:
    finished = pt.run({"x": [1, 2]}, _same, engine="serial", checkpoint=str(tmp_path / "runs"), cost="rows")
    (Path(finished.url) / "job.pkl").write_bytes(pickle.dumps(Hostile(tmp_path / "ran")))
    with pytest.raises(Tampered, match="Nothing of it was loaded"):
        from_directory(RunDirectory(finished.url), {})
    assert not (tmp_path / "ran").exists()


def test_a_job_of_another_user_is_refused_and_opens_with_the_key_it_was_made_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(sealing.KEY_VARIABLE, "the key of this schedule")
    finished = pt.run({"x": [1, 2]}, _same, engine="serial", checkpoint=str(tmp_path / "runs"), cost="rows")
    monkeypatch.setenv(sealing.KEY_VARIABLE, "the key of somebody else")
    with pytest.raises(Tampered):
        from_directory(RunDirectory(finished.url), {})
    monkeypatch.setenv(sealing.KEY_VARIABLE, "the key of this schedule")
    assert from_directory(RunDirectory(finished.url), {}).engine == "serial"


def _same(batch: object) -> object:
    return batch


def test_the_key_travels_with_the_attempts(
    dask_engine: DaskEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(sealing.KEY_VARIABLE, "a key that the workers, started before, do not have")
    finished = pt.run({"x": [1, 2, 3]}, _same, engine=dask_engine, checkpoint=str(tmp_path / "runs"), cost="rows")
    assert finished.result.to_pandas()["x"].tolist() == [1, 2, 3]


def test_the_result_of_a_run_is_signed_and_loaded_only_unchanged(tmp_path: Path) -> None:
    pt.run(
        {"x": [1, 2, 3]},
        _count,
        reducer="mean",
        engine="serial",
        cost="rows",
        checkpoint=str(tmp_path),
        output=str(tmp_path / "out"),
    )
    result = tmp_path / "out" / "result.pkl"
    assert pt.load_result(str(result)) == pytest.approx(2.0)
    result.write_bytes(pickle.dumps(Hostile(tmp_path / "ran")))
    with pytest.raises(Tampered, match="partitioner sign"):
        pt.load_result(str(result))
    assert not (tmp_path / "ran").exists()


def test_an_own_pickle_is_loaded_once_it_is_signed(tmp_path: Path) -> None:
    model = tmp_path / "model.pkl"
    model.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(Tampered):
        pt.load_result(str(model))
    with pytest.raises(SystemExit) as done:
        cli.main(["sign", str(model)])
    assert done.value.code == 0
    assert pt.load_result(str(model)) == [1, 2]


def _count(batch: pd.DataFrame) -> np.ndarray:
    return batch["x"].to_numpy()
