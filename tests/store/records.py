"""Literal commit records."""

from typing import Any

import pyarrow as pa

from partitioner.model import CommitRecord
from partitioner.storage import read_parquet


def record(key: str, **changes: Any) -> CommitRecord:
    """Ten rows in, ten out, nothing odd, but for ``changes``."""
    values: dict[str, Any] = {
        "task_key": key, "attempt_id": f"{key}-a0", "worker_id": "w", "path": f"part-{key}.parquet",
        "rows_in": 10, "rows_out": 10, "rows_written": 10, "quarantined": 0, "segments": ((0, 10),), "bytes_read": 80,
        "seconds": 1.5, "cpu_seconds": 1.0, "load_seconds": 0.0, "read_seconds": 0.1, "peak_memory_bytes": 7,
        "started": 1.0, "finished": 2.5, "digest": f"d-{key}", "size": 5, "tag": "e",
    }  # fmt: skip
    return CommitRecord(**{**values, **changes})


def has_checksums(data: bytes) -> bool:
    """Whether a flipped bit in a page of a Parquet object is noticed as that."""
    for at in range(4, len(data) // 2, 7):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        try:
            read_parquet(bytes(damaged))
        except (pa.ArrowException, OSError, ValueError) as error:
            if "CRC" in str(error):
                return True
    return False
