"""The published suites on everything of the package, found by name: laws kept, as JSON, on the last line."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from stranger_parts.merging import Extent
from stranger_parts.reading import NpzSource

from partitioner import choices
from partitioner.testing.connectors import SourceCase
from partitioner.testing.one_call import check

ROWS = pa.table({"x": [1.5, 2.5, 3.5, 4.5, 5.5], "y": [1, 2, 3, 4, 5]})


def write(directory: Path, last: int) -> NpzSource:
    for name, rows in (("1.npz", ROWS.slice(0, 3)), ("2.npz", ROWS.slice(3, last))):
        np.savez(directory / name, **{c: rows[c].to_numpy() for c in rows.column_names})
    return NpzSource(directory)


def main() -> None:
    outputs = [{"x": [3.0, 1.0]}, {"x": [2.0]}, {"x": [-4.0]}, {"x": [9.0, 0.5]}]
    kept = {
        "placements": check("placements", choices.choose("placements", "last_first")),
        "costs": check("costs", choices.choose("costs", "squared")),
        "splits": check("splits", choices.choose("splits", "next_fit")),
        "reducers": check("reducers", choices.choose("reducers", "extent"), values=outputs, expected=(-4.0, 9.0)),
        "engines": check("engines", choices.choose("engines", {"engine": "threads", "workers": 3})),
        "connectors": check("connectors", SourceCase(lambda d: write(d, 2), lambda _: ROWS, lambda d: write(d, 1))),
    }
    print(json.dumps({**kept, "broken": broken(outputs)}))


class Forgets(Extent):
    """Keeps only the left side of a merge."""

    def merge_accumulators(self, left, right):
        return left or right


def broken(outputs: list[dict[str, list[float]]]) -> str:
    try:
        check("reducers", Forgets(), values=outputs, expected=(-4.0, 9.0))
    except AssertionError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    main()
