"""An output folder beside a checkpoint folder, with runs, claims and versions put there by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from partitioner import config as configuration
from partitioner.config import RunConfig
from partitioner.storage import Directory
from partitioner.store.run_directory import RunDirectory


class Home:
    """An output folder and a checkpoint folder."""

    def __init__(self, home: Path) -> None:
        self.home, self.output = home, Directory(home / "out")

    def config(self, mode: str = "append", **options: Any) -> RunConfig:
        places = {"dataset": "d", "checkpoint": str(self.home / "runs"), "output": str(self.home / "out")}
        return configuration.make({**places, "mode": mode, **options})

    def run(self, run_id: str, finished: bool = False, **config: Any) -> RunDirectory:
        run = RunDirectory(str(self.home / "runs" / run_id))
        run.create({"config": config})
        if finished:
            run.mark_finished({})
        return run

    def put(self, name: str, **values: Any) -> None:
        self.output.put(name, json.dumps(values).encode())

    def version(self, number: int, run: str, state: str) -> None:
        self.put(f"_versions/{number:06d}/claim.json", run_id=run, run=str(self.home / "runs" / run))
        if state == "done":
            self.put(f"_versions/{number:06d}/manifest.json", files=[], counts={}, version=number)
        if state == "abandoned":
            self.put(f"_versions/{number:06d}/manifest.json", abandoned_by="other")
