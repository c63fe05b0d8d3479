"""What a file holds, told by its content: input that is rewritten with the same size and time is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from connectors.listing import in_threads
from connectors.location import Options, reading, system
from connectors.systems import FileInfo

WHOLE_BYTES = 2**20
"""Files up to this size are read whole; of larger ones both ends, which hold headers and footers."""
END_BYTES = 2**16
FILES = 50_000
"""Datasets of more files go by size and time: reading a part of each would take longer than planning does."""


def contents(files: Sequence[FileInfo], options: Options) -> dict[str, str]:
    """Path to what tells the content of a file apart: a digest, with size and time where it does not cover all of the file.

    Object stores keep a tag of the content themselves, which is taken as it is.
    """
    if len(files) > FILES or any("://" in info.path for info in files):
        return {info.path: info.tag for info in files}
    return dict(
        zip((i.path for i in files), in_threads(lambda i: _content(i, options), list(files), False), strict=True)
    )


def _content(info: FileInfo, options: Options) -> str:
    store = system(info.path, options)
    with reading(info.path):
        if info.size <= WHOLE_BYTES:
            return f"sha256:{hashlib.sha256(store.read(info.path, 0, info.size)).hexdigest()}"
        ends = store.read(info.path, 0, END_BYTES) + store.read(info.path, info.size - END_BYTES, info.size)
    return f"{info.tag} ends:{hashlib.sha256(ends).hexdigest()}"
