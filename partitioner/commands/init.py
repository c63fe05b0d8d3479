"""The command ``partitioner init``: a small project that runs at once, to be changed into one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from partitioner.errors import ConfigError

CONF = """\
# partitioner run conf.yaml        partitioner plan conf.yaml --explain        partitioner schema: every setting
dataset: reviews.csv
program: my_program:spelling
cost: auto                         # seconds by earlier runs or a pilot; of small jobs bytes; or yours: "1e-5 * len(text)"
max_tasks: 8
engine: {engine: dask, workers: 2} # or serial, spark, the address of a cluster
on_error: quarantine               # rows that keep failing are set aside with their errors
output: out
mode: overwrite                    # of an earlier run; or error, append, incremental, resume
checkpoint: runs
"""

PROGRAM = '''\
"""What is done to every batch of rows: one output row per input row."""

from difflib import get_close_matches

import pandas as pd

KNOWN = ["good", "bad", "slow", "fast", "late", "kind", "cheap", "dear"]


def spelling(rows: pd.DataFrame) -> pd.DataFrame:
    """The words of each text, how many of them are misspelt, and the text as it was probably meant."""
    words = [text.split() for text in rows["text"]]
    meant = [[(get_close_matches(word, KNOWN, 1) or [word])[0] for word in each] for each in words]
    wrong = [sum(a != b for a, b in zip(*pair)) for pair in zip(words, meant)]
    return pd.DataFrame({"id": rows["id"], "words": [*map(len, words)], "misspelt": wrong, "meant": [*map(" ".join, meant)]})
'''

ROWS = 2000
"""Of the sample: two seconds of work for two workers, so that a pilot is worth its while and the run is predicted."""


def init(
    folder: Annotated[Path, typer.Argument(help="Where the project begins; made if it is not there.")] = Path(),
) -> None:
    """Write conf.yaml, my_program.py and reviews.csv, and say how to run them. Nothing that is there is overwritten."""
    files = {"conf.yaml": CONF, "my_program.py": PROGRAM, "reviews.csv": reviews(ROWS)}
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise ConfigError(f"{(folder / there[0]).absolute()} is there already; name another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make {folder.absolute()}: {error.strerror}; name another folder.") from error
    for name, text in files.items():
        (folder / name).write_text(text)
    go = "" if folder.resolve() == Path.cwd() else f"  cd {folder}\n"
    typer.echo(f"wrote {', '.join(files)} in {folder.absolute()}; now:\n{go}  partitioner run conf.yaml")


def reviews(count: int) -> str:
    """A table of texts whose lengths are skewed as those of people are: most short, few long."""
    words = ("good", "bad", "slwo", "fast", "late", "knid", "cheap", "dear")
    rows = (" ".join(words[(i * j) % 8] for j in range(1, 3 + 2000 // (1 + i % 97))) for i in range(count))
    return "id,text\n" + "".join(f"{i},{text}\n" for i, text in enumerate(rows))
