"""A PostgreSQL server of Debian's package for a benchmark, on a socket and in a folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def server() -> Iterator[str]:
    """Its URL, while the block lasts. Raises FileNotFoundError where no PostgreSQL is installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        raise FileNotFoundError("no PostgreSQL below /usr/lib/postgresql: sh scripts/system_packages.sh postgresql")
    home = Path(tempfile.mkdtemp(prefix="postgres-"))  # short, for its socket; a server does not run as root
    user = "postgres" if os.getuid() == 0 else None
    if user:
        shutil.chown(home, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    binary, data = folders[-1], home / "data"
    calls: dict[str, Any] = {"user": user, "check": True, "capture_output": True, "cwd": home}
    subprocess.run([binary / "initdb", "-D", data, "-A", "trust", "-U", "me", "--no-sync", "-E", "UTF8"], **calls)
    options = f"-c listen_addresses=127.0.0.1 -p {port} -k {home} -c fsync=off"
    subprocess.run([binary / "pg_ctl", "-D", data, "-o", options, "-l", home / "log", "-w", "start"], **calls)
    try:
        yield f"postgresql://me@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([binary / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **calls)
        shutil.rmtree(home)
