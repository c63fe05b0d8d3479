"""Who can reach a Dask cluster of ours."""

from __future__ import annotations

import psutil
import pytest

from partitioner.engines.dask import DaskEngine


def listening() -> set[str]:
    """Addresses on which this process and its children listen."""
    mine = psutil.Process()
    return {
        connection.laddr.ip
        for process in [mine, *mine.children(recursive=True)]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


@pytest.mark.parametrize("tls", [False, True])
def test_a_cluster_of_ours_is_reached_from_this_machine_alone(tls: bool) -> None:
    before = listening()
    engine = DaskEngine(workers=1, tls=tls)
    try:
        assert listening() - before <= {"127.0.0.1"}
        assert [worker.split("://")[0] for worker in engine._known.values()] == ["tls" if tls else "tcp"]
        assert list(engine.call(abs, -3).values()) == [3]
    finally:
        engine.close()
