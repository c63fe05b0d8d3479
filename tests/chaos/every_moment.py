"""Drivers that die at each of ``MOMENTS``, each followed by one that resumes: ``python -m tests.chaos.every_moment FOLDER``.

Prints what was there between the two and after them, by moment, as one JSON object; ``never`` is the undisturbed run.
Every driver is a fork of this process, which has loaded the libraries and opened no store.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import partitioner as pt
from tests.chaos.dying_driver import MOMENTS, arm
from tests.chaos.every_write import LOADED, forked
from tests.chaos.scene import Scene


def story(home: Path, moment: str) -> dict[str, Any]:
    """A driver that dies at a moment, and ``partitioner resume`` after it."""
    scene = Scene(home)

    def dies() -> None:
        arm(moment, 4)
        pt.run(**scene.settings())

    def goes_on() -> None:
        done = scene.resume()
        told = {"code": done.returncode, "stdout": done.stdout, "stderr": done.stderr}
        (home / "told.json").write_text(json.dumps(told))

    facts: dict[str, Any] = {"died": forked(dies), "before": sorted(scene.committed()), "ran": scene.executions()}
    facts["success"] = (home / "out" / "_SUCCESS").exists()
    if moment != "never":
        facts["resume"] = forked(goes_on)
        facts |= json.loads((home / "told.json").read_text())
    output = {name: hashlib.sha256(data).hexdigest() for name, data in scene.output().items()}
    return facts | {"ran in all": scene.executions(), "output": output}


if __name__ == "__main__":
    for name in (*LOADED, "partitioner.cli"):
        import_module(name)
    print(json.dumps({moment: story(Path(sys.argv[1], moment), moment) for moment in ("never", *MOMENTS)}))
