"""Build ``dist/batch_partitioner_pyfiles.zip`` for ``spark-submit --py-files``: both packages, the jobs and the version.

    python scripts/build_pyfiles.py [--output FILE]

Pure Python only; what the packages import (numpy, pyarrow, obstore, ...) must be on the executors, see docs/spark.md. The
same sources give the same bytes.
"""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("connectors", "jobs", "partitioner")
NAME = "batch_partitioner"
EARLIEST = (1980, 1, 1, 0, 0, 0)  # zip knows no earlier time; a fixed one keeps equal sources equal


def version(root: Path) -> str:
    """The version in pyproject.toml."""
    import tomllib

    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


def contents(root: Path) -> Iterator[tuple[str, bytes]]:
    """Name in the zip and bytes of every file, sorted; metadata lets executors tell the version that preflight compares."""
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            yield path.relative_to(root).as_posix(), path.read_bytes()
    number = version(root)
    metadata = f"Metadata-Version: 2.1\nName: batch-partitioner\nVersion: {number}\n"
    yield f"{NAME}-{number}.dist-info/METADATA", metadata.encode()


def build(root: Path, output: Path) -> int:
    """Write the zip; the number of files in it."""
    output.parent.mkdir(parents=True, exist_ok=True)
    files = list(contents(root))
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            info = zipfile.ZipInfo(name, EARLIEST)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)
    return len(files)


def main() -> None:
    """Build and say what was built."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / f"{NAME}_pyfiles.zip")
    output = parser.parse_args().output
    print(f"{output}: {build(ROOT, output)} files, {output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
