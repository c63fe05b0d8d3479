"""An async program with 200 ms of latency a row, 32 calls at once, beside the same calls one after the other.

python -m benchmarks.async_calls [rows]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from typing import Any

import pandas as pd

import partitioner as pt

LATENCY = 0.2


async def ask(row: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(LATENCY)
    if row["x"] == 13:
        raise ValueError("the model refused")
    return {"x": row["x"], "answer": f"about {row['x']}"}


def seconds(rows: int, max_concurrency: int) -> float:
    with tempfile.TemporaryDirectory() as home:
        begin = time.perf_counter()
        run = pt.run(
            pd.DataFrame({"x": range(rows)}),
            ask,
            max_concurrency=max_concurrency,
            on_error="quarantine",
            max_tasks=1,
            engine="serial",
            cost="rows",
            checkpoint=home,
            progress=False,
            report=False,
        )
        took = time.perf_counter() - begin
        assert run.result.to_pandas()["x"].tolist() == [x for x in range(rows) if x != 13]
        assert run.quarantined == 1
    return took


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 320
    alone, together = seconds(rows, 1), seconds(rows, 32)
    print(f"{rows} rows: {alone:.1f} s one at a time, {together:.2f} s with 32 at once, {alone / together:.1f} x")


if __name__ == "__main__":
    main()
