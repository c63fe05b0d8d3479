"""Whether a run can write where it is told to, asked before anything of it runs."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from partitioner.config import RunConfig
from partitioner.errors import ConfigError
from partitioner.output.exporting import form_of, home_of
from partitioner.output.modes import VERSIONED


def check(config: RunConfig) -> None:
    """Raises ConfigError where nothing can be made at ``checkpoint`` or ``output``, on a disk."""
    _writable("checkpoint", config.checkpoint)
    if config.output is None:
        return
    form = form_of(config)
    if form is None or not form.table:
        single = form is not None and form.single
        _writable("output", config.output, single)
        if single and config.mode in VERSIONED:
            _writable("the versions of output", str(home_of(config)))
        _apart(config)


def _apart(config: RunConfig) -> None:
    """Run directories hold rows too: readers of a folder around them would find rows twice."""
    out, runs = str(config.output), config.checkpoint
    if runs == out or runs.startswith(f"{out}/"):
        raise ConfigError(
            f"checkpoint {runs} lies in output {out}, where readers would find what runs keep for themselves; name another."
        )


def _writable(setting: str, url: str, single: bool = False) -> None:
    if "://" in url:
        return
    try:
        _there(Path(url))  # a name that is too long, links in a circle
        path = Path(os.path.realpath(url))
        folder = path.parent if single else path
        while not _there(folder):
            folder = folder.parent
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".partitioner-"):
            pass
    except OSError as error:
        raise ConfigError(f"{setting} {url} cannot be written: {error.strerror}. Name another.") from error


def _there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path.is_symlink()
    return True
