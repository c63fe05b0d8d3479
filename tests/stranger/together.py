"""One run that uses all six, chosen by name as in a configuration: what came of it, as JSON, on the last line."""

import json
import sys
from pathlib import Path

import numpy as np

import partitioner as pt


def double(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"x": batch["x"] * 2}


def main(folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    for i in range(4):
        np.savez(data / f"{i}.npz", x=np.arange(100.0) + 100 * i)
    finished = pt.run(
        str(data),
        double,
        batch_format="numpy",
        cost={"model": "squared", "seconds_per_megabyte": 2.0},
        split="next_fit",
        placement={"placement": "last_first", "skip": 1},
        reducer={"reducer": "extent", "column": "x"},
        engine={"engine": "threads", "workers": 3},
        checkpoint=str(folder / "runs"),
        progress=False,
    )
    plan = finished.plan
    facts = {
        "result": list(finished.result),
        "placement": plan.algorithm,
        "workers": len(plan.workers),
        "cost": plan.reasons["cost source"],
        "rows": finished.counts["rows_in"],
        "page": "squared" in (folder / "runs" / finished.run_id / "report.html").read_text(),
        "explained": "squared" in plan.explain(),
        "text": bool(str(finished.report)),
        "resumed": list(pt.run(str(data), double, resume=finished.run_id, **_settings(folder)).result),
    }
    print(json.dumps(facts))


def _settings(folder: Path) -> dict[str, object]:
    return {
        "batch_format": "numpy",
        "cost": {"model": "squared", "seconds_per_megabyte": 2.0},
        "split": "next_fit",
        "reducer": {"reducer": "extent", "column": "x"},
        "engine": "serial",
        "checkpoint": str(folder / "runs"),
        "progress": False,
        "report": False,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
