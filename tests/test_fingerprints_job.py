"""The job of the first run: files that share a passage share fingerprints, and nothing depends on where it stands."""

from __future__ import annotations

import pandas as pd

from jobs.source_fingerprints import LONG, SHORT, WINDOW, fingerprint, winnowed

PASSAGE = bytes(range(33, 123)) * 2


def test_what_is_too_short_has_no_fingerprint() -> None:
    assert winnowed(b"x" * (SHORT - 1), SHORT) == set()
    assert len(winnowed(b"x" * SHORT, SHORT)) == 1


def test_files_that_share_a_long_passage_share_a_fingerprint() -> None:
    one, other = winnowed(b"a" * 50 + PASSAGE, LONG), winnowed(PASSAGE + b"b" * 500, LONG)
    assert len(PASSAGE) >= LONG + WINDOW
    assert one & other
    assert not winnowed(b"a" * 500, LONG) & winnowed(b"b" * 500, LONG)


def test_every_window_keeps_its_smallest_hash() -> None:
    from zlib import crc32

    hashes = [crc32(PASSAGE[i : i + SHORT]) for i in range(len(PASSAGE) - SHORT + 1)]
    windows = [min(hashes[i : i + WINDOW]) for i in range(len(hashes) - WINDOW + 1)]
    assert winnowed(PASSAGE, SHORT) == set(windows) | {min(hashes[-WINDOW:])}


def test_a_row_per_file_in_order() -> None:
    found = fingerprint(pd.DataFrame({"path": ["a.py", "b.py"], "text": ["", "x" * 100]}))
    assert found["path"].tolist() == ["a.py", "b.py"]
    assert found["bytes"].tolist() == [0, 100]
    assert found["long"].tolist() == [0, 1]
    assert found["sketch"].str.len().tolist() == [0, 8]
