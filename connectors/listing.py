"""From what a user wrote (file, directory, glob, or a list of them) to the files it means, in input order."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from connectors.location import Options, absolute, planning, reading, system
from connectors.systems import FileInfo, hidden
from partitioner.errors import DataError

PathLike = str | os.PathLike[str]
Paths = PathLike | Sequence[PathLike]
R = TypeVar("R")

_MAGIC = re.compile(r"[*?[]")


def as_paths(paths: Paths) -> tuple[str, ...]:
    """One path or several, as absolute paths and URLs. Raises DataError for an empty list."""
    several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not several:
        raise DataError("An empty list of input paths was given; give at least one file, directory or glob.")
    return tuple(absolute(p) for p in several)


CHECKED = 1000
"""Local paths at most whose existence is looked at before anything else; of more it shows when they are listed."""


def check_there(paths: Paths) -> None:
    """Raise DataError for a local path, no glob, that does not exist: a misspelt input is told before all else."""
    several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    for path in [absolute(p) for p in several] if len(several) <= CHECKED else ():
        if "://" not in path and not os.path.exists(path) and not _MAGIC.search(path):
            raise DataError(_nothing_at(path))


BACKSLASH = chr(92)


def _nothing_at(path: str) -> str:
    return (
        f"Nothing at {path}: no such file or directory. Check the spelling; a relative path is looked up "
        f"from the working directory ({os.getcwd()})."
        f"{' Its parts are divided by /, not by backslashes.' * (BACKSLASH in path and os.sep == '/')}"
    )


def expand(
    paths: Sequence[str], extensions: Sequence[str], options: Options | None = None, left_out: Sequence[str] = ()
) -> list[FileInfo]:
    """The files meant by ``paths``: as given, directories and globs sorted by name, no file twice.

    A directory means its files, at any depth, whose names end in one of ``extensions`` (empty: all); names that
    begin with ``_`` or ``.`` are ignored there and in globs, and so is what lies at a place of ``left_out`` or below.
    Raises DataError for a path that does not exist, for a glob or directory that matches nothing, and for a name that is
    not UTF-8.
    """
    found: dict[str, FileInfo] = {}
    for path in paths:
        with planning(path):
            found.update((info.path, info) for info in _expand_one(path, tuple(extensions), options, tuple(left_out)))
    for path in found:
        if not path.isascii() and path.encode(errors="ignore").decode() != path:
            raise DataError(
                f"The name of the file {path!a} is not UTF-8, and nothing that is written down of a run could name it; "
                "rename it."
            )
    return list(found.values())


def within(path: str, place: str) -> str | None:
    """``place`` in terms of a directory or glob that would mean what is written there; None where it would not.

    The directory itself, without a slash at its end, where it is that. Links are followed, on a disk.
    """
    root = glob_base(path)
    held, there = (p.rstrip("/") if "://" in p else os.path.realpath(p) for p in (root, place))
    if held == there and not _is_glob(path):
        return root
    if not there.startswith(f"{held}/"):
        return None
    below = there[len(held) + 1 :]
    rest = path[len(root) + 1 :]
    # A pattern without a slash means files of one directory.
    meant = not _is_glob(path) or "/" in rest or _glob_regex(rest).fullmatch(below)
    return f"{root}/{below}" if meant else None


def _is_glob(path: str) -> bool:
    return bool(_MAGIC.search(path)) and not os.path.exists(path)


def _outside(files: Iterable[FileInfo], left_out: tuple[str, ...]) -> list[FileInfo]:
    below = tuple(f"{place}/" for place in left_out)
    return [f for f in files if f.path not in left_out and not f.path.startswith(below)]


def _expand_one(
    path: str, extensions: tuple[str, ...], options: Options | None, left_out: tuple[str, ...]
) -> list[FileInfo]:
    at = system(path, options)
    if "://" not in path and os.path.isfile(path):
        return [at.stat(path)]
    if _is_glob(path):
        return _glob(path, options, left_out)
    if "://" in path and not path.endswith("/"):
        try:
            return [at.stat(path)]
        except (FileNotFoundError, IsADirectoryError):
            pass  # a directory of an object store has no object of its own
    return _directory(path.rstrip("/"), extensions, options, left_out)


def _directory(
    path: str, extensions: tuple[str, ...], options: Options | None, left_out: tuple[str, ...]
) -> list[FileInfo]:
    with reading(path):
        try:
            below = _outside(system(path, options).walk(path, deep=True), left_out)
        except FileNotFoundError as error:
            raise DataError(_nothing_at(path)) from error
    kept = [f for f in below if f.path.endswith(extensions or "") and not _ignored(f.path[len(path) :])]
    if not kept:
        raise DataError(
            f"No input at {path}: it does not exist, or holds no file{' ending in ' * bool(extensions)}"
            f"{' or '.join(extensions)} (of {len(below)} files; names that begin with _ or . are ignored). Correct the "
            "path, or name the files by a glob."
        )
    return sorted(kept)


def glob_base(path: str) -> str:
    """The directory before the first part of a glob that has ``*``, ``?`` or ``[``; a plain path itself."""
    magic = _MAGIC.search(path)
    return path[: magic.start()].rpartition("/")[0] if magic else path.rstrip("/")


def _glob(pattern: str, options: Options | None, left_out: tuple[str, ...]) -> list[FileInfo]:
    base = glob_base(pattern)
    rest = pattern[len(base) + 1 :]
    matches = _glob_regex(rest).fullmatch
    try:
        walked = system(base or "/", options).walk(base or "/", deep="/" in rest or "**" in rest)
        below = [f for f in _outside(walked, left_out) if f.path == pattern or matches(f.path[len(base) :].lstrip("/"))]
        kept = [f for f in below if f.path == pattern] or below  # an object may be named like a glob
    except FileNotFoundError as error:
        raise DataError(f"The glob {pattern} matches nothing: there is no directory {base}. Check it.") from error
    if not kept:
        raise DataError(f"The glob {pattern} matches no file below {base or '/'}. Check the pattern and the extension.")
    return sorted(kept)


def _glob_regex(pattern: str) -> re.Pattern[str]:
    """``*``, ``?`` and ``[..]`` within a path part, ``**`` over any number of parts; hidden names only when written."""
    parts = []
    for part in pattern.split("/"):
        if part == "**":
            parts.append(r"(?:(?![_.])[^/]+/)*")
            continue
        body = ""
        for piece in re.findall(r"\[!?[^]]+\]|\*+|\?|[^*?[]+|\[", part):
            if piece.startswith("["):
                body += re.escape(piece) if piece == "[" else piece.replace("[!", "[^")
            else:
                body += "[^/]*" if piece[0] == "*" else "[^/]" if piece == "?" else re.escape(piece)
        parts.append(("" if hidden(part) else "(?![_.])") + body + "/")
    expression = "".join(parts)
    # A pattern ends in a file name; one that ends in ``**`` means every file below.
    return re.compile(expression[:-1] if expression.endswith("/") else expression + r"(?![_.])[^/]+")


def _ignored(relative: str) -> bool:
    return any(hidden(part) for part in relative.split("/") if part)


def in_threads(function: Callable[[FileInfo], R], files: Sequence[FileInfo], remote: bool) -> list[R]:
    """``[function(f) for f in files]`` with overlapping input and output; the first error is raised, naming its file."""

    def one(info: FileInfo) -> R:
        with planning(info.path):
            return function(info)

    if len(files) < 4:
        return [one(info) for info in files]
    with ThreadPoolExecutor(32 if remote else 8, "partitioner-listing") as pool:
        return list(pool.map(one, files))
