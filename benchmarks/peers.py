"""Plain Dask, plain Spark, Ray Data and Daft beside ours, each in an environment of its own that this script makes.

python -m benchmarks.peers [--scale 1.0] [--only ours dask] [--workloads sleeps text documents] [--repeat 3]
                           [--environments FOLDER] [--file TEXT.parquet] [--write docs/benchmarks.md]

Run it alone on the machine: it says nothing otherwise. Workloads: ``sleeps``, Coiled's 500 skewed sleeps (seed 42) on
2 x 20 slots; ``text``, documents of lognormal length (or those of FILE) and a function in pure Python whose time follows
the length, on 2 x 1 slots; ``documents``, the same function on documents of one length, where there is nothing to balance.
Each peer is run as a user writes it and tuned, on a cluster that is up; seconds are wall, from the call to the result, the
least of ``--repeat``. All results must be equal. A peer that cannot be installed, fails or takes longer than ``--limit`` is
a row that says so; its other forms are tried without it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
COMMON = ("pandas>=2.2", "pyarrow>=17", "numpy>=1.26")


@dataclass(frozen=True, slots=True)
class Peer:
    """A name for the table, what pip installs, and the program."""

    name: str
    packages: tuple[str, ...]
    module: str


PEERS = {
    "ours": Peer("ours, on Dask", (str(ROOT),), "ours"),
    "dask": Peer("plain Dask", ("dask[dataframe,distributed]>=2025.1",), "plain_dask"),
    "spark": Peer("plain Spark", ("pyspark>=4.0,<5",), "plain_spark"),
    "ray": Peer("Ray Data", ("ray[data]>=2.40,<3",), "ray_data"),
    "daft": Peer("Daft", ("daft>=0.4,<1",), "daft_frame"),
}
SHAPES = {"sleeps": (2, 20), "text": (2, 1), "documents": (2, 1)}
"""Workers and threads of each workload."""

FILES = 8
"""Files of a workload's input: what a user finds, fewer than a balanced run needs."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; ``seconds`` None where it failed, and ``note`` why."""

    workload: str
    peer: str
    form: str
    seconds: float | None
    total: float | None
    versions: str
    note: str = ""


def environment(home: Path, key: str, peer: Peer) -> Path:
    """Its Python, with the packages installed; made once. Raises CalledProcessError where pip fails."""
    place = home / key
    python, ready, wanted = place / "bin" / "python", place / "ready", "\n".join((*COMMON, *peer.packages))
    if not ready.exists() or ready.read_text() != wanted:
        print(f"making the environment of {peer.name} in {place}", flush=True)
        venv.create(place, with_pip=True, clear=True)
        install = [python, "-m", "pip", "install", "--quiet", *COMMON, *peer.packages]
        subprocess.run(install, env=_clean(), cwd=home, check=True)
        ready.write_text(wanted)
    return python


def _clean() -> dict[str, str]:
    """The environment variables without those of the Python that calls."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL"))}


def write_input(folder: Path, workload: str, scale: float, file: str | None) -> None:
    """The rows of a workload, in order, in ``FILES`` files."""
    draw = np.random.RandomState(42)
    if workload == "sleeps":
        frame = pd.DataFrame({"s": np.minimum(draw.lognormal(1, 1.3, 500), 60) * scale})
    elif workload == "text" and file is not None:
        frame = pd.read_parquet(file)[["text"]]
        frame = frame.iloc[: max(FILES, int(len(frame) * scale))]
    else:
        lengths = draw.lognormal(8.5, 1.3, 2000) if workload == "text" else np.full(2000, 12_000.0)
        lengths = np.maximum(1, lengths * scale).astype(int)
        frame = pd.DataFrame({"text": ["".join(map(chr, draw.randint(97, 123, n))) for n in lengths]})
    folder.mkdir(parents=True)
    for i, rows in enumerate(np.array_split(np.arange(len(frame)), FILES)):
        frame.iloc[rows].to_parquet(folder / f"part-{i}.parquet", index=False)


def measured(python: Path, key: str, workload: str, folder: Path, repeat: int, limit: float) -> list[Row]:
    """The rows of one peer and workload, the least seconds of each form."""
    peer, shape = PEERS[key], SHAPES[workload]
    command = [python, "-m", f"benchmarks.peer_programs.{peer.module}", workload, folder, *map(str, shape)]
    found: dict[str, Row] = {}
    failed: dict[str, Row] = {}
    for _ in range(repeat):
        tried = list(failed)
        while True:
            said, note = once([*command, *tried], limit)
            for one in said:
                if "seconds" in one:
                    _keep(found, workload, peer, one)
            begun = [one["form"] for one in said]
            if not note:
                break
            form = "" if not begun or "seconds" in said[-1] else begun[-1]
            failed[form] = Row(workload, peer.name, form, None, None, "", note)
            tried += begun
            if not form:
                return [*found.values(), *failed.values()]
    return [*found.values(), *failed.values()]


def _keep(found: dict[str, Row], workload: str, peer: Peer, told: dict[str, Any]) -> None:
    """What was told of one form, where it is the fastest so far."""
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    row = Row(workload, peer.name, told["form"], told["seconds"], told["sum"], versions)
    before = found.get(row.form)
    if before is None or told["seconds"] < (before.seconds or 0.0):
        found[row.form] = row


def once(command: list[Any], limit: float) -> tuple[list[dict[str, Any]], str]:
    """What the program told, and why it ended early; one that is late ends with the processes it has begun."""
    own = {"PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": str(command[0])}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=_clean() | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, error = process.communicate(timeout=limit)
            code = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, error, code = process.communicate()[0], f"not done after {limit:.0f} s", 1
    said = [json.loads(line.removeprefix("PEER ")) for line in out.splitlines() if line.startswith("PEER ")]
    last = next((line.strip() for line in reversed(error.splitlines()) if line.strip()), f"exit code {code}")
    return said, last[:120] if code else ""


def table(rows: list[Row]) -> list[str]:
    """Markdown: seconds, and times the fastest of the workload. Raises SystemExit where results differ."""
    lines = ["| workload | who | form | seconds | / fastest | versions |", "|---|---|---|---|---|---|"]
    for workload in dict.fromkeys(row.workload for row in rows):
        mine = [row for row in rows if row.workload == workload]
        known = [row.seconds for row in mine if row.seconds is not None]
        totals = {row.total for row in mine if row.total is not None}
        if len(totals) > 1:
            raise SystemExit(f"{workload}: the results differ: {sorted((r.peer, r.form, r.total) for r in mine)}")
        for row in sorted(mine, key=lambda row: float("inf") if row.seconds is None else row.seconds):
            told = "–" if row.seconds is None else f"{row.seconds:.2f}"
            ratio = "–" if row.seconds is None else f"{row.seconds / min(known):.2f}"
            form = row.form if row.seconds is not None else ": ".join(filter(None, (row.form, row.note or "failed")))
            lines.append(f"| {workload} | {row.peer} | {form} | {told} | {ratio} | {row.versions} |")
    return lines


BEGIN, END = "<!-- peers: begin -->", "<!-- peers: end -->"


def written(page: Path, lines: list[str]) -> None:
    """Put the table between its marks in a page."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Make environments and input, run every peer, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="of the work; 0.05 to see that all of it runs")
    parser.add_argument("--only", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--workloads", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds that one program may take")
    parser.add_argument("--environments", type=Path, default=ROOT / "build" / "peers", help="kept from run to run")
    parser.add_argument("--file", help="Parquet with a column text, instead of the generated skewed text")
    parser.add_argument("--write", type=Path, help="page whose table is replaced")
    options = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as home:
        for workload in options.workloads:
            write_input(Path(home) / workload, workload, options.scale, options.file)
        for key in options.only:
            try:
                python = environment(options.environments.absolute(), key, PEERS[key])
            except subprocess.CalledProcessError as error:
                note = f"pip ended with {error.returncode}"
                rows += [Row(w, PEERS[key].name, "", None, None, "", note) for w in options.workloads]
                continue
            for workload in options.workloads:
                rows += measured(python, key, workload, Path(home) / workload, options.repeat, options.limit)
                print(f"{PEERS[key].name}, {workload}: done", file=sys.stderr, flush=True)
    where = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()}, scale {options.scale:g}"
    lines = [f"{where}, least of {options.repeat}.", "", *table(rows)]
    print("\n".join(lines))
    if options.write:
        written(options.write, lines)


if __name__ == "__main__":
    main()
