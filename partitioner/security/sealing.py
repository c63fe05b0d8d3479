"""What a run directory holds is data: the job in it is sealed, so that nobody else can read it or put code in its place.

A key of the user's lies outside every run directory. From it and the run's id comes the key of one run, which travels to
workers with their attempts, never through the run directory. Sealed bytes are encrypted and authenticated (AES-256-GCM, NIST
SP 800-38D); keys are derived by HMAC-SHA256.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from functools import lru_cache
from pathlib import Path

from partitioner.errors import ConfigError, Tampered

KEY_VARIABLE = "PARTITIONER_KEY"
"""Environment variable that holds the user's key, for schedulers and containers; at least ``LEAST`` characters."""

LEAST = 16
_MARK = b"partitioner sealed 1\n"
_CHUNK = 2**30  # bytes; the cipher takes at most 2**31 - 1 at once
_NONCE = 12  # bytes, as GCM asks for
_TAG = 16


def key_file() -> Path:
    """Where the user's key lies when the environment gives none: readable by its owner alone, made when first needed."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "partitioner" / "key"


def key_of_run(run_id: str) -> bytes:
    """The key of one run. Raises ConfigError for a key that is too short or that others can read."""
    return hmac.digest(_own_key(), b"run\0" + run_id.encode(), "sha256")


def seal(data: bytes, key: bytes) -> bytes:
    """``data`` such that only a holder of ``key`` can read or make it."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cipher, parts = AESGCM(key), [_MARK]
    starts = range(0, max(len(data), 1), _CHUNK)
    for number, start in enumerate(starts):
        nonce = secrets.token_bytes(_NONCE)
        parts += [nonce, cipher.encrypt(nonce, data[start : start + _CHUNK], _place(number, len(starts)))]
    return b"".join(parts)


def is_sealed(data: bytes) -> bool:
    """Whether ``seal`` made these bytes, with whatever key."""
    return data.startswith(_MARK)


def unseal(sealed: bytes, key: bytes, what: str) -> bytes:
    """The data that ``seal`` was given. Raises Tampered, naming ``what``, for anything else."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cipher, step = AESGCM(key), _NONCE + _CHUNK + _TAG
    body = sealed.removeprefix(_MARK)
    starts = range(0, max(len(body), 1), step)
    try:
        if not sealed.startswith(_MARK):
            raise InvalidTag
        pieces = [body[start : start + step] for start in starts]
        plain = [cipher.decrypt(p[:_NONCE], p[_NONCE:], _place(i, len(pieces))) for i, p in enumerate(pieces)]
    except (InvalidTag, ValueError):
        raise Tampered(
            f"{what} was not sealed with this user's key: it was replaced or damaged, or another user or machine wrote it. "
            f"Nothing of it was loaded. Where it is yours, give the key it was made with ({KEY_VARIABLE}, or {key_file()})."
        ) from None
    return b"".join(plain)


SIGNATURE = ".signature"
"""What is added to the name of a file for the name of its signature."""


def sign(data: bytes) -> bytes:
    """The signature of a file of this user's (hex of HMAC-SHA256), to lie beside it."""
    return hmac.digest(_own_key(), b"file\0" + data, "sha256").hex().encode()


def check_signed(data: bytes, signature: bytes, what: str) -> None:
    """Raises Tampered, naming ``what``, where no line of ``signature`` is that of ``data`` by this user's key."""
    mine = sign(data)
    if not any(hmac.compare_digest(mine, line) for line in signature.split()):
        raise Tampered(
            f"{what} does not carry this user's signature: it was replaced, or another user or machine wrote it. "
            f"Nothing of it was loaded. If trusted: partitioner sign {what}; the key is {KEY_VARIABLE}, or {key_file()}."
        )


def key_of_partials() -> bytes:
    """The key that pickled partial results of this user carry, the same in all runs: one may go on with another's."""
    return hmac.digest(_own_key(), b"partials", "sha256")


_SIGNED = b"partitioner signed 1\n"


def with_signature(data: bytes, key: bytes) -> bytes:
    """``data`` behind its signature (HMAC-SHA256): equal data stays equal, which sealed data does not."""
    return b"".join((_SIGNED, _signature(data, key), data))


def without_signature(signed: bytes | memoryview, key: bytes, what: str) -> memoryview:
    """What ``with_signature`` was given, not copied. Raises Tampered, naming ``what``, for anything else."""
    held, start = memoryview(signed), len(_SIGNED) + hashlib.sha256().digest_size
    data = held[start:]
    told = bytes(held[len(_SIGNED) : start])
    if not key or bytes(held[: len(_SIGNED)]) != _SIGNED or not hmac.compare_digest(told, _signature(data, key)):
        raise Tampered(
            f"{what} does not carry this user's signature: it was replaced or damaged, or another user, machine or version "
            f"wrote it. Nothing of it was loaded. Where it is yours, give the key it was made with ({KEY_VARIABLE}, or "
            f"{key_file()}); else remove it with its commit record, and resume."
        )
    return data


def _signature(data: bytes | memoryview, key: bytes) -> bytes:
    return hmac.new(key, data, "sha256").digest()


def _place(number: int, count: int) -> bytes:
    """Which chunk of how many: so that chunks cannot be left out or change places."""
    return f"{number}/{count}".encode()


def _own_key() -> bytes:
    given = os.environ.get(KEY_VARIABLE)
    if given is None:
        return _filed_key(key_file())
    if len(given) < LEAST:
        raise ConfigError(f"{KEY_VARIABLE} has {len(given)} characters; a key has at least {LEAST}.")
    return hashlib.sha256(given.encode()).digest()


@lru_cache(maxsize=8)
def _filed_key(path: Path) -> bytes:
    """The key in the file, made where there is none; one for this process alone where no file can be written."""
    made = secrets.token_hex(32)
    with contextlib.suppress(FileExistsError):
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _create(path, made)
        except FileExistsError:
            raise
        except OSError:  # no home to write to: what this process seals, only this process can open
            return bytes.fromhex(made)
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"others can read the key {path}; run: chmod 600 {path}")
    text = path.read_text().strip()
    if len(text) < LEAST:
        raise ConfigError(f"the key {path} has {len(text)} characters; remove it, and a new one is made.")
    return hashlib.sha256(text.encode()).digest()


def _create(path: Path, text: str) -> None:
    """The whole key under its name or nothing, whoever else makes one at the same moment."""
    staged = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        os.link(staged, path)
    finally:
        staged.unlink()
