"""Versions of an output: claimed and committed by one conditional create each, then published for readers of plain folders.

<output>/
  part-*.parquet, _manifest.json, _SUCCESS     the published version, as any reader sees it
  _run.json                                    the run that wrote version 0 straight into the folder (modes error, resume)
  _versions/000001/claim.json                  the run that writes this version
  _versions/000001/*.parquet                   its files; readers of folders pass over names that begin with ``_``
  _versions/000001/manifest.json               its commit: from here on it is the output (or who abandoned it)

Version n + 1 can be claimed once version n is committed or abandoned, so one run writes at a time. Whoever creates
``manifest.json`` first decides: the run commits, or another run abandons it and the first can never commit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from partitioner.errors import DamagedOutput, LeaseLost, OutputExists, RunHeld, to_go_on
from partitioner.storage import Directory, remove_if_empty
from partitioner.store.lease import holder

FOLDER = "_versions"
PLAIN_CLAIM, PLAIN_MANIFEST, SUCCESS = "_run.json", "_manifest.json", "_SUCCESS"


def home(number: int) -> str:
    """The folder of one version, relative to the output."""
    return f"{FOLDER}/{number:06d}"


@dataclass(frozen=True, slots=True)
class Version:
    """One version: the run that claimed it (id and directory), and its manifest once it is committed.

    ``abandoned``: the run that took its place; empty where none did.
    """

    number: int
    run_id: str
    run: str
    manifest: Mapping[str, Any] | None = None
    abandoned: str = ""

    @property
    def settled(self) -> bool:
        """Committed or abandoned: the next version may be claimed."""
        return self.manifest is not None or bool(self.abandoned)


_CLAIM = re.compile(rf"{FOLDER}/([0-9]{{6,9}})/claim\.json")


def _claimed(output: Directory) -> list[int]:
    """Numbers of the versions that were claimed, the last one first."""
    claims = (_CLAIM.fullmatch(entry.name) for entry in output.entries(FOLDER))
    return sorted((int(claim[1]) for claim in claims if claim), reverse=True)


def newest(output: Directory) -> Version | None:
    """The version that was claimed last; None where none was."""
    if numbers := _claimed(output):
        return _version(output, numbers[0])
    return _plain(output) if output.exists(PLAIN_CLAIM) else None


def committed(output: Directory) -> Version | None:
    """The version that is the output now; None where there is none yet."""
    for number in _claimed(output):
        found = _version(output, number)
        if found.manifest is not None:
            return found
    plain = _plain(output) if output.exists(PLAIN_CLAIM) else None
    return plain if plain is not None and plain.manifest is not None and not plain.manifest.get("version") else None


def at(output: Directory, number: int) -> Version:
    """One version, as it is now."""
    return _version(output, number) if number else _plain(output)


def _version(output: Directory, number: int) -> Version:
    claim = _json(output, f"{home(number)}/claim.json") or {}
    manifest = _json(output, f"{home(number)}/manifest.json")
    about = Version(number, str(claim.get("run_id", "")), str(claim.get("run", "")))
    if manifest is None:
        return about
    if "abandoned_by" in manifest:
        return Version(number, about.run_id, about.run, None, str(manifest["abandoned_by"]))
    if not isinstance(manifest.get("files"), list):
        raise _torn(output, f"{home(number)}/manifest.json", "it names no files")
    if manifest.get("version", number) != number:
        raise _torn(output, f"{home(number)}/manifest.json", f"it is of version {manifest['version']!r:.40}")
    _check_names(output, f"{home(number)}/manifest.json", manifest)
    return Version(number, about.run_id, about.run, manifest)


def _plain(output: Directory) -> Version:
    claim = _json(output, PLAIN_CLAIM) or {}
    manifest = _json(output, PLAIN_MANIFEST) if output.exists(SUCCESS) else None
    if manifest is not None and "counts" not in manifest:  # in another form: the run has its rows as Parquet
        rows = f"{claim.get('run', '')}/output"
        inner = _json(Directory(rows), PLAIN_MANIFEST) if claim.get("run") else None
        manifest |= {} if inner is None else {**inner, "rows_in": rows}
    if manifest is not None:
        _check_names(output, PLAIN_MANIFEST, manifest)
    abandoned = str(claim.get("abandoned_by", ""))
    return Version(0, str(claim.get("run_id", "")), str(claim.get("run", "")), manifest, abandoned)


def _check_names(output: Directory, where: str, manifest: Mapping[str, Any]) -> None:
    """What is published, copied and removed lies in the output, whoever wrote the manifest."""
    files = [*manifest.get("files", ()), *manifest.get("shown", ()), manifest.get("rows", {})]
    names = [file[key] for file in files if isinstance(file, dict) for key in ("path", "stored") if key in file]
    names += [*manifest.get("before", ()), *([manifest["result"]] if "result" in manifest else [])]
    for name in names:
        if not isinstance(name, str) or "\0" in name or not {"", ".", ".."}.isdisjoint(name.split("/")):
            raise _torn(output, where, f"it names {name!r:.100}, which is no file of the output")


def _json(output: Directory, name: str) -> dict[str, Any] | None:
    try:
        values = json.loads(output.get(name))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise _torn(output, name, str(error)) from error
    if not isinstance(values, dict):
        raise _torn(output, name, f"it holds a {type(values).__name__}")
    return values


def _torn(output: Directory, name: str, why: str) -> DamagedOutput:
    return DamagedOutput(f"{output.url}/{name} is torn ({why}). Restore it, or write to a new directory.")


def check_nobody_writes(output: Directory, last: Version | None, mine: str = "") -> None:
    """Raises RunHeld while the run of a version goes on, and OutputExists where the folder holds what no run claimed."""
    if last is None:
        names = [entry.name for entry in output.entries()]
        if names:
            raise OutputExists(
                f"output {output.url} is not empty (it holds {min(names)}) and names no run; "
                "name a new directory, or empty it."
            )
        return
    who = holder(Directory(last.run)) if last.run and last.run != mine else None
    if who is not None and not who.dead:
        raise RunHeld(
            f"output {output.url} is being written by run {last.run_id}: {who}. Wait for it, or stop it; "
            f"then go on with it: {to_go_on(last.run)}"
        )


def check_newest(output: Directory, number: int, run: str, claimed: int = 0) -> None:
    """Raises LeaseLost where a version after ``number`` is the output by now, RunHeld while another run works on one.

    ``run`` is the caller's, ``claimed`` the later version that it has claimed itself.
    """
    if not output.exists(later_claim(number, claimed)):
        return
    now = committed(output)
    if now is not None and now.number > number:
        raise LeaseLost(
            f"version {number} of output {output.url} is not shown any more: run {now.run_id} wrote version {now.number} "
            "while this driver was silent."
        )
    check_nobody_writes(output, newest(output), run)


def later_claim(number: int, claimed: int) -> str:
    """What another run makes first, once it takes the one that shows version ``number`` for dead."""
    return f"{home(max(number, claimed) + 1)}/claim.json"


def claim(output: Directory, run_id: str, run: str) -> int:
    """Take the next version for a run, which holds its own lease by now; the number.

    Raises RunHeld where another run is faster.
    """
    last = newest(output)
    check_nobody_writes(output, last, run)
    if last is not None and not last.settled:
        raise RunHeld(
            f"version {last.number} of output {output.url} was taken by run {last.run_id} just now; wait for its end."
        )
    number = 1 if last is None else last.number + 1
    if not output.put_new(f"{home(number)}/claim.json", json.dumps({"run_id": run_id, "run": run}).encode()):
        taken = _version(output, number)
        if taken.run == run:  # a store's first answer was lost, and its second is about what the first had made
            return number
        check_nobody_writes(output, taken)
        raise RunHeld(
            f"version {number} of output {output.url} was taken by run {taken.run_id} just now; wait for its end."
        )
    return number


def withdraw(output: Directory, number: int, run: str) -> None:
    """Take back the claim of a run that came to nothing before it began, so that nothing of it is left."""
    claimed = _version(output, number)
    if claimed.run != run or claimed.settled:
        return
    output.delete(f"{home(number)}/claim.json")
    if (root := output.local_path) is not None:
        remove_if_empty(root / home(number))
        remove_if_empty(root / FOLDER)


def abandon(output: Directory, last: Version, by: str) -> bool:
    """Settle a version that its dead run will not finish; False where that run committed it after all."""
    if last.number:
        tomb = json.dumps({"abandoned_by": by}).encode()
        return output.put_new(f"{home(last.number)}/manifest.json", tomb)
    claimed = {"run_id": last.run_id, "run": last.run, "abandoned_by": by}
    output.put(PLAIN_CLAIM, json.dumps(claimed).encode())
    return True


def commit(output: Directory, number: int, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Make a version the output; its manifest, also where an earlier driver of the same run committed it.

    Raises LeaseLost where another run abandoned it.
    """
    data = json.dumps(manifest, indent=1).encode()
    if output.put_new(f"{home(number)}/manifest.json", data):
        return manifest
    there = _version(output, number)
    if there.manifest is None:
        raise LeaseLost(
            f"version {number} of output {output.url} was abandoned by run {there.abandoned}, which writes to it now. "
            "Nothing of this run is in the output."
        )
    return there.manifest
