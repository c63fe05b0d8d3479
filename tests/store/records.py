"""Literal commit records."""

from typing import Any

from partitioner.model import CommitRecord


def record(key: str, **changes: Any) -> CommitRecord:
    """Ten rows in, ten out, nothing odd, but for ``changes``."""
    values: dict[str, Any] = {
        "task_key": key, "attempt_id": f"{key}-a0", "worker_id": "w", "path": f"part-{key}.parquet",
        "rows_in": 10, "rows_out": 10, "rows_written": 10, "quarantined": 0, "segments": ((0, 10),), "bytes_read": 80,
        "seconds": 1.5, "cpu_seconds": 1.0, "load_seconds": 0.0, "read_seconds": 0.1, "peak_memory_bytes": 7,
        "started": 1.0, "finished": 2.5, "digest": f"d-{key}", "size": 5, "tag": "e",
    }  # fmt: skip
    return CommitRecord(**{**values, **changes})
