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
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from partitioner.errors import DamagedOutput
from partitioner.output.versions import FOLDER, PLAIN_MANIFEST, SUCCESS, check_newest, later_claim
from partitioner.security.sealing import SIGNATURE
from partitioner.storage import Directory

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


class _Shown(Directory):
    """An output as a driver changes what readers see of it: each change asks first whether that is still its to do.

    A driver may have been stopped for so long between two of them that another run took the output.
    """

    def __init__(self, output: Directory, manifest: Mapping[str, Any], claimed: int) -> None:
        super().__init__(output.url, output.fsync)
        self._number, self._run, self._claimed = int(manifest["version"]), str(manifest.get("run", "")), claimed
        self.later_claim = later_claim(self._number, claimed)

    def check(self) -> None:
        check_newest(self, self._number, self._run, self._claimed)

    def put(self, name: str, data: bytes) -> None:
        self.check()
        super().put(name, data)

    def copy(self, name: str, to: str) -> None:
        self.check()
        super().copy(name, to)

    def delete(self, name: str) -> None:
        self.check()
        super().delete(name)


def publish(output: Directory, manifest: Mapping[str, Any], claimed: int = 0) -> None:
    """Make the folder show a committed version. May be called again after a death in between.

    ``claimed``: the later version that the caller has claimed, 0 for none. Raises as ``check_newest``, before each step.
    """
    place, data = _Shown(output, manifest, claimed), _shown(manifest)
    place.check()
    if "result" in manifest:
        _value(place, str(manifest["result"]), data)
    elif "single" in manifest:
        _single(output, manifest)
        place.put(PLAIN_MANIFEST, data)
    elif output.local_path is None or not _exchanged(place, output.local_path.resolve(), manifest, data):
        _in_steps(place, manifest, data)
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
    """Where one driver makes the folder of the next version, and that of the one before ends."""
    return folder.with_name(f".{folder.name}.publishing-{secrets.token_hex(4)}")


def tidy(output: Directory) -> None:
    """Remove what a driver that died while it published left beside an output.

    It gets another name first: a driver that only slept finds nothing there, and exchanges no folder half removed.
    """
    if output.local_path is None:
        return
    folder = output.local_path.resolve()
    left = re.compile(re.escape(f".{folder.name}.publishing") + "(-[0-9a-f]{8})?")
    with suppress(OSError):  # who may not write there left nothing there
        for path in [p for p in folder.parent.iterdir() if left.fullmatch(p.name)]:
            shutil.rmtree(path.rename(_beside(folder)), ignore_errors=True)


def _exchanged(place: _Shown, folder: Path, manifest: Mapping[str, Any], shown: bytes) -> bool:
    """The folder changed for one with this version's files; False where this disk or system cannot do that."""
    tidy(place)
    beside = _beside(folder)
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
        place.check()
        if not _exchange(beside, folder):
            return False
        if (beside / place.later_claim).exists() and not (folder / place.later_claim).exists():
            _exchange(beside, folder)  # another run took the output in between: what it has there comes back
            place.check()
            return False
        return True
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
        data = entry.name.endswith(".parquet") or "/shown/" in entry.name
        if data and entry.name not in kept and not _later(entry.name, manifest["version"]):
            output.delete(entry.name)


def _later(stored: str, number: int) -> bool:
    """Whether a file is of a later version, which a run may be writing now."""
    found = stored.split("/")[1]
    return not found.isdecimal() or int(found) > number
