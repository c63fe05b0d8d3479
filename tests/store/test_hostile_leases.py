"""What lies among the leases by a hostile hand, or a stranger's, is no lease, and ends nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from partitioner.storage import Directory
from partitioner.store import lease as leases
from partitioner.store.lease import Lease, holder


@pytest.fixture
def run(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "run")


@pytest.mark.parametrize(
    "name", ["foobar.json", "a/000009.json", "7.json", "-00001.json", "\u0663\u0663\u0663\u0663\u0663\u0663.json"]
)
def test_files_of_other_names_are_no_lease(run: Directory, name: str) -> None:
    run.put(f"lease/{name}", b"{}")
    assert holder(run) is None
    with Lease(run) as taken:
        assert taken.epoch == 1


@pytest.mark.parametrize(
    "facts",
    [
        {"pid": "abc"},
        {"pid": -1},
        {"started": "z"},
        {"lease_seconds": "x"},
        {"lease_seconds": float("nan")},
        ["pid"],
        7,
    ],
)
def test_facts_by_a_hostile_hand_leave_the_heartbeat_to_go_by(run: Directory, facts: Any) -> None:
    more = {"machine": leases._machine(), "host": "h"}
    run.put("lease/000001.json", json.dumps({**more, **facts} if isinstance(facts, dict) else facts).encode())
    who = holder(run)
    assert who is not None
    assert (who.host, who.pid, who.lease_seconds, who.alive) == ("unknown", 0, leases.LEASE_SECONDS, None)
