"""What readers of plain folders see: the files of one version, put in place all at once where the disk can do that.

On a local disk the files of a version are hard links, made in a folder beside the output that then changes places with it in
one step (Linux: ``renameat2`` with ``RENAME_EXCHANGE``): a reader that lists the folder sees the old version or the new one.
File names tell versions apart, so one that listed before and opens after gets an error and never a mixture. Object stores
have no such step: new files are copied into place, then the old ones removed, and a listing in between sees both;
``_manifest.json`` names the right ones.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from partitioner.errors import DamagedOutput
from partitioner.output.versions import FOLDER, PLAIN_MANIFEST, SUCCESS
from partitioner.security.sealing import SIGNATURE
from partitioner.storage import Directory

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


def publish(output: Directory, manifest: Mapping[str, Any]) -> None:
    """Make the folder show a committed version. May be called again after a death in between."""
    data = _shown(manifest)
    if "result" in manifest:
        _value(output, str(manifest["result"]), data)
    elif "single" in manifest:
        _single(output, manifest)
        output.put(PLAIN_MANIFEST, data)
    elif output.local_path is None or not _exchanged(output.local_path.resolve(), manifest, data):
        _in_steps(output, manifest, data)
    _forget_old(output, manifest)


def said(output: Directory, manifest: Mapping[str, Any]) -> None:
    """Note that a version is seen by readers, which its table shows them."""
    output.put(PLAIN_MANIFEST, _shown(manifest))
    output.put(SUCCESS, b"")
    _forget_old(output, manifest)


def is_shown(output: Directory, manifest: Mapping[str, Any]) -> bool:
    """Whether readers see a committed version, and nothing else; a torn word of it is said once more."""
    try:
        number = json.loads(output.get(PLAIN_MANIFEST))["version"]
    except (FileNotFoundError, ValueError, TypeError, KeyError, RecursionError):
        return False
    return bool(number == manifest["version"]) and ("single" in manifest or output.exists(SUCCESS))


def _shown(manifest: Mapping[str, Any]) -> bytes:
    shown = {
        "files": [_outside(f) for f in _files(manifest)],
        "counts": manifest["counts"],
        "version": manifest["version"],
    }
    return json.dumps(shown, indent=1, sort_keys=True).encode()


def _files(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The files that readers find: those of the form asked for, else the files with the rows themselves."""
    return list(manifest.get("shown", manifest["files"]))


def _single(output: Directory, manifest: Mapping[str, Any]) -> None:
    """The one file of an output takes the place of that before in one step."""
    folder, _, name = str(manifest["single"]).rpartition("/")
    if output.url != f"{folder}/.{name}.versions":
        raise DamagedOutput(
            f"{output.url} holds the versions of another file than {folder}/{name}; restore its manifest."
        )
    (file,) = _files(manifest)
    Directory(folder).replace(f"{output.url.removeprefix(folder + '/')}/{file['stored']}", name)


RESULT = "result.pkl"
"""The result of a reducer that returns no rows."""


def _value(output: Directory, stored: str, shown: bytes) -> None:
    """One file that is replaced whole; the partial results stay among the versions.

    A reader finds the signature of the file that it read, of the old one or the new.
    """
    signature = output.get(f"{stored}{SIGNATURE}")
    before = output.get(f"{RESULT}{SIGNATURE}") if output.exists(f"{RESULT}{SIGNATURE}") else b""
    output.put(f"{RESULT}{SIGNATURE}", b"\n".join(dict.fromkeys([signature, *before.split()])))
    output.put(RESULT, output.get(stored))
    output.put(f"{RESULT}{SIGNATURE}", signature)
    output.put(PLAIN_MANIFEST, shown)
    output.put(SUCCESS, b"")


def _outside(file: Mapping[str, Any]) -> dict[str, Any]:
    return {key: file[key] for key in ("path", "rows", "sha256")}


_PART = re.compile(r"(?:[^_./=][^/=]*=[^/]*/)*part-[^/]+\.(?:parquet|csv|jsonl|arrow)")


def _is_part(name: str) -> bool:
    return bool(_PART.fullmatch(name))


def _beside(folder: Path) -> Path:
    """Where the folder of the next version is made, and that of the one before ends."""
    return folder.with_name(f".{folder.name}.publishing")


def tidy(output: Directory) -> None:
    """Remove what a driver that died while it published left beside an output."""
    if output.local_path is not None:
        shutil.rmtree(_beside(output.local_path.resolve()), ignore_errors=True)


def _exchanged(folder: Path, manifest: Mapping[str, Any], shown: bytes) -> bool:
    """The folder changed for one with this version's files; False where this disk or system cannot do that."""
    beside = _beside(folder)
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir()
        rights = {beside: folder}
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder)
            if path.is_dir() and not path.is_symlink():
                if "=" not in relative.parts[0]:  # folders of values come with their files
                    (beside / relative).mkdir()
                    rights[beside / relative] = path
            elif not _is_part(relative.as_posix()) and relative.as_posix() not in (PLAIN_MANIFEST, SUCCESS):
                os.link(path, beside / relative)
        for file in _files(manifest):
            (beside / file["path"]).parent.mkdir(parents=True, exist_ok=True)
            os.link(folder / file["stored"], beside / file["path"])
        (beside / PLAIN_MANIFEST).write_bytes(shown)
        (beside / SUCCESS).touch()
        for new, old in rights.items():  # once they are filled; a mode given to mkdir loses what the umask takes
            new.chmod(old.stat().st_mode & 0o7777)
        return _exchange(beside, folder)
    except OSError:  # no hard links, no room beside it, no right to: the steps below need none of these
        return False
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    return int(call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)) == 0


def _in_steps(output: Directory, manifest: Mapping[str, Any], shown: bytes) -> None:
    there = {entry.name for entry in output.entries() if _is_part(entry.name)}
    live = {file["path"]: file["stored"] for file in _files(manifest)}
    output.delete(SUCCESS)  # until nothing of the version before is left
    for path, stored in live.items():
        if path not in there and stored != path:
            output.copy(stored, path)
    output.put(PLAIN_MANIFEST, shown)
    for stale in there - live.keys():
        output.delete(stale)
    output.put(SUCCESS, b"")


def _forget_old(output: Directory, manifest: Mapping[str, Any]) -> None:
    """Remove files that neither this version nor the one before it names: a reader of that one may still be at work."""
    kept = {file["stored"] for file in [*manifest["files"], *_files(manifest)]} | set(manifest["before"])
    kept |= {manifest["rows"]["stored"]} if "rows" in manifest else set()
    for entry in list(output.entries(FOLDER)):
        if (entry.name.endswith(".parquet") or "/shown/" in entry.name) and entry.name not in kept:
            output.delete(entry.name)
