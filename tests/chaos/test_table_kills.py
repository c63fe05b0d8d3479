"""Exactly once into tables under SIGKILL: three moments of the driver each; ``benchmarks.table_kills`` has all of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.chaos.scene import ROOT


@pytest.mark.parametrize("table", ["delta", "iceberg", "postgresql"])
def test_rows_are_in_the_table_once_whenever_the_driver_is_killed(request: pytest.FixtureRequest, table: str) -> None:
    url = ["--postgres", request.getfixturevalue("postgres")] if table == "postgresql" else []
    command = [sys.executable, "-m", "benchmarks.table_kills", "--short", "--table", table, *url]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "every row once each time" in ended.stdout
