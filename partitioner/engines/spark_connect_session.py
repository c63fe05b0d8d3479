"""The Spark Connect session behind the engine: the caller's, the active one, one of a server, or a server started here."""

from __future__ import annotations

import os
import socket
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from partitioner.engines.spark_failures import first_cause, message_of
from partitioner.errors import ConfigError, EngineLost, MissingDependency

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

DEFAULT_REMOTE = "local[*,4]"
DEFAULT_PORT = 15002
KNOCK_SECONDS = 20.0
"""To reach the port of a server, before anything is asked of it."""

RETRIES = 6
"""Tries of a call to a server of ours that does not answer, later and later: about a minute, where pyspark takes ten."""


def connect_module() -> Any:
    """``pyspark.sql.connect.session``. MissingDependency names what its client needs.

    Where the main module is no file (``python -c``) pyspark takes a missing package for a doctest that is to be skipped,
    and ends the process with exit code 0.
    """
    try:
        return _imported()
    except (ImportError, SystemExit):
        # One that was disturbed (pyspark warns about pandas 3, and a filter made an error of it) leaves halves behind.
        for name in [n for n in sys.modules if n.startswith(("pyspark.sql.connect", "pyspark.testing"))]:
            del sys.modules[name]
    try:
        return _imported()
    except (ImportError, SystemExit) as error:
        cause = first_cause(str(error)) if isinstance(error, ImportError) else "a package of it is missing or too old"
        raise MissingDependency(
            f"engine 'spark_connect' needs the client of Spark Connect ({cause}): "
            "pip install 'batch-partitioner[connect]'"
        ) from error


def _imported() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyspark.sql.connect import session
    return session


class ConnectSession:
    """A session, and whether it is ours to stop."""

    def __init__(self, given: Any, remote: str | None, conf: Mapping[str, Any]) -> None:
        module = connect_module()
        _check(given, remote, module)
        found = given if given is not None else module.SparkSession.getActiveSession() if remote is None else None
        self.ours = found is None
        self.spark: SparkSession = found if found is not None else _opened(module, remote, conf)
        self.address = remote or os.environ.get("SPARK_REMOTE", "the session given")
        self.endpoint = _endpoint(self.spark)

    def setting(self, name: str, default: str) -> str:
        """A setting of the server's; ``default`` where it has none."""
        return str(self.spark.conf.get(name, default) or default)

    @property
    def refused(self) -> bool:
        """Whether nobody listens at the server's address any more, which the client finds out after many tries only."""
        if not self.endpoint:
            return False
        try:
            _knock(f"sc://{self.endpoint}")
        except ConnectionRefusedError:
            return True
        except OSError:  # slow, or a name that is not resolved now: the client's own tries decide
            return False
        return False

    @property
    def alive(self) -> bool:
        """Whether the server answers."""
        if self.spark.is_stopped:
            return False
        try:
            return bool(self.spark.version)
        except Exception:  # whatever the client raises, there is no answer
            return False

    def close(self, lost: bool = False) -> None:
        """Stop what was opened here; a server that was started here ends with it. One that is ``lost`` is told nothing."""
        if lost:
            self.spark.client.close()
        elif self.ours:
            self.spark.stop()


def _endpoint(spark: SparkSession) -> str:
    """``host:port`` of the server, empty for a client whose connection is made in a way of its own."""
    from pyspark.sql.connect.client import DefaultChannelBuilder

    builder = spark.client._builder  # in public it tells its host alone
    return builder.endpoint if isinstance(builder, DefaultChannelBuilder) else ""


def remote_of(given: Any, remote: str | None) -> str | None:
    """Where a server would be started here: its master; None where a session or a server is there."""
    if given is not None or (remote is None and connect_module().SparkSession.getActiveSession() is not None):
        return None
    wanted = remote or os.environ.get("SPARK_REMOTE") or DEFAULT_REMOTE
    return None if wanted.startswith("sc://") else wanted


def _check(given: Any, remote: str | None, module: Any) -> None:
    if given is not None and not isinstance(given, module.SparkSession):
        raise ConfigError(
            f"engine option session is a {type(given).__module__}.{type(given).__name__}; engine 'spark_connect' takes a "
            "SparkSession of Spark Connect (SparkSession.builder.remote(...)). A classic one goes to engine='spark'."
        )
    if given is not None and remote is not None:
        raise ConfigError(f"give engine option session or remote ({remote!r}), not both.")
    if remote is not None and not remote.startswith(("sc://", "local")):
        raise ConfigError(
            f"engine option remote is {remote!r}; write sc://host:port, or local[2] (local-cluster[2,1,1024]) to start a "
            "server on this machine."
        )


def _opened(module: Any, remote: str | None, conf: Mapping[str, Any]) -> SparkSession:
    wanted = remote or os.environ.get("SPARK_REMOTE") or DEFAULT_REMOTE
    try:
        spark = _started(wanted, dict(conf)) if wanted.startswith("local") else _reached(module, wanted, conf)
        assert spark.version  # a session is made without a word to the server
    except ImportError as error:
        raise MissingDependency(
            f"a server of Spark Connect at {wanted!r} starts in this process, which has the client alone "
            f"({first_cause(str(error))}): pip install 'batch-partitioner[connect]', or give the address of one (sc://host:port)."
        ) from error
    except Exception as error:
        raise EngineLost(
            f"no Spark Connect server answers at {wanted!r}: {first_cause(message_of(error))}. Check the address, that the "
            "server runs (start-connect-server.sh), and that no classic Spark session of this process is in its way."
        ) from error
    return spark


def _reached(module: Any, remote: str, conf: Mapping[str, Any]) -> SparkSession:
    from pyspark.sql.connect.client.retries import DefaultPolicy

    _knock(remote)
    builder = module.SparkSession.builder.remote(remote)
    for name, value in conf.items():
        builder = builder.config(name, str(value))
    spark: SparkSession = builder.create()
    spark.client.set_retry_policies([DefaultPolicy(max_retries=RETRIES, max_backoff=30_000)])
    return spark


def _knock(remote: str) -> None:
    """Raise OSError where nobody listens: the client would try again for a minute, and then not say why."""
    found = urlsplit(remote)
    with socket.create_connection((found.hostname or "", found.port or DEFAULT_PORT), KNOCK_SECONDS):
        return


def _started(master: str, conf: dict[str, Any]) -> SparkSession:
    """A server in a JVM of this process; its Python workers find our packages and Python."""
    from partitioner.engines.spark_imports import SparkSession as Either

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    packages = str(Path(__file__).resolve().parents[2])
    paths = [p for p in (os.environ.get("PYTHONPATH"), packages) if p]
    conf.setdefault("spark.executorEnv.PYTHONPATH", os.pathsep.join(paths))
    conf.setdefault("spark.ui.showConsoleProgress", "false")
    builder: Any = Either.builder
    builder = builder.remote(master)
    for name, value in conf.items():
        builder = builder.config(name, str(value).lower() if isinstance(value, bool) else str(value))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the server was started with cannot be set again by its client
        spark: SparkSession = builder.getOrCreate()
    return spark
