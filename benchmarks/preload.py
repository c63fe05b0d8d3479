"""One model per machine: generated weights on four slots, loaded once and forked, or in every process.

    python -m benchmarks.preload [--megabytes 400] [--load 0] [--engines dask spark ray]

Seconds from the call to the first result of the last slot, and the proportional set size of all computing processes and of
those that they were forked from, with ``preload=True`` and ``False``, beside the seconds and bytes of one load in a process
of its own; and where the seconds between call and result went. ``--load``: processor seconds that building the model takes
besides, as one does that is read from a disk and put together. ``ray``: Ray Data's actors beside them, in the environment
that ``benchmarks.peers`` makes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

import partitioner as pt
from benchmarks.preload_model import Model
from benchmarks.versions import versions
from partitioner.report.facts import read

SLOTS = 4

ENGINES: dict[str, dict[str, Any]] = {
    "dask": {"engine": "dask", "workers": SLOTS},
    "spark": {"engine": "spark", "master": f"local-cluster[2,{SLOTS // 2},1024]", "conf": {"spark.ui.enabled": False}},
}


def held_in_all(frame: Any) -> float:
    """Bytes of the computing processes, and of those that they were forked from."""
    total = frame.groupby("pid")["pss"].last().sum()
    servers = {}
    for level in range(2):
        servers |= frame.groupby(f"above {level}")[f"above {level} pss"].last().to_dict()
    return float(total + sum(servers.values()))


def one_run(engine: str, megabytes: int, load: float, preload: bool) -> tuple[float, float, str]:
    """Seconds to the first result of the last slot, bytes of all processes, and what the plan says of the fork."""
    began = time.time()
    with TemporaryDirectory() as folder:
        run = pt.run(
            pa.table({"x": range(SLOTS * 4)}),
            Model,
            arguments={"megabytes": megabytes, "load": load},
            batch_format="arrow",
            cost="rows",
            max_tasks=SLOTS * 4,
            engine=ENGINES[engine],
            preload=preload,
            checkpoint=folder,
            report=False,
            progress=False,
        )
        frame = run.result.to_pandas()
        phases = ", ".join(f"{name} {took:.2f}" for name, took in read(run.directory).phases.items() if took >= 0.05)
    first = frame.groupby("pid")["at"].min()
    return float(first.max() - began), held_in_all(frame), f"{run.plan.reasons.get('preload', 'not asked')}; {phases}"


def one_load(megabytes: int, load: float) -> tuple[float, float]:
    """Seconds and bytes of one process that imports and builds the model."""
    code = (
        "import time; began = time.time(); from benchmarks.preload_model import Model, proportional; "
        f"model = Model({megabytes}, {load}); print(time.time() - began, proportional())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return float(said[0]), float(said[1])


def in_ray(megabytes: int, load: float) -> dict[str, Any]:
    """What Ray Data's actors tell: seconds to the first result of the last of them, from before Ray starts, and bytes."""
    from benchmarks import peers  # pandas, which workers that import this module as their main one do without

    python = peers.environment(peers.ROOT / "build" / "peers", "ray", peers.PEERS["ray"])
    command = [python, "-m", "benchmarks.peer_programs.ray_model", str(megabytes), str(load), str(SLOTS)]
    said, why = peers.once(command, limit=600.0)
    if why:
        raise SystemExit(f"Ray: {why}")
    return said[0]


def main() -> None:
    """All engines, with and without."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--load", type=float, default=0.0, help="processor seconds of building, besides the weights")
    parser.add_argument("--engines", nargs="*", choices=[*ENGINES, "ray"], default=list(ENGINES))
    options = parser.parse_args()
    print(versions("dask", "numpy"))
    seconds, held = one_load(options.megabytes, options.load)
    print(f"one load in a process of its own: {seconds:.1f} s, {held / 1e6:.0f} MB")
    for engine in options.engines:
        if engine == "ray":
            told = in_ray(options.megabytes, options.load)
            line(f"Ray Data {told['version']}, {told['actors']} actors", told["seconds"], told["held"], seconds, held)
            continue
        for preload in (False, True):
            took, all_of_them, said = one_run(engine, options.megabytes, options.load, preload)
            line(f"{engine:6s} preload={preload!s:5s} {SLOTS} slots", took, all_of_them, seconds, held, f"; {said}")


def line(name: str, took: float, held: float, one_took: float, one_holds: float, said: str = "") -> None:
    """Print one, beside one load."""
    print(
        f"{name}: {took:5.1f} s to the last first result, {took / one_took:.2f} loads, "
        f"{held / 1e6:6.0f} MB in all, {held / one_holds:.2f} of one{said}",
        flush=True,
    )


if __name__ == "__main__":
    main()
