"""The Spark session behind the engine: the caller's, the one ``spark-submit`` prepared, or one started here."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from partitioner.engines import preload
from partitioner.engines.spark_failures import first_cause, message_of
from partitioner.engines.spark_imports import FAILURES, Py4JError, SparkConf, SparkContext, SparkSession
from partitioner.engines.spark_names import PARENT
from partitioner.engines.spark_parent import Parent
from partitioner.errors import ConfigError, EngineLost

LOCALITY_WAIT = "spark.locality.wait"
DEFAULT_MASTER = "local[*,4]"
EXECUTOR_PATH = "spark.executorEnv.PYTHONPATH"
DAEMON_SETTING, DAEMON = "spark.python.daemon.module", "partitioner.engines.spark_daemon"
CONNECT = (
    "a Spark Connect session cannot run engine='spark': it has no SparkContext to place tasks on executors with; "
    "give engine='spark_connect' (or the session itself as engine=), a classic SparkSession, or run through spark-submit."
)


class Session:
    """A session with the settings that the engine needs, and what to undo at the end.

    A session that was there before (given, active, or prepared by ``spark-submit``) is never stopped here, for in YARN and
    Kubernetes cluster mode its end is the end of the application; only its locality wait is changed, and set back.
    """

    def __init__(
        self,
        given: Any,
        master: str | None,
        conf: Mapping[str, Any],
        locality_wait: float | None,
        app_name: str,
        timeout: float = 60.0,
    ) -> None:
        _refuse_connect(given, master)
        if locality_wait is not None and not 0 <= locality_wait < float("inf"):
            raise ConfigError(f"engine option locality_wait is {locality_wait!r}; give seconds of at least 0, or None.")
        self._parent: Parent | None = None
        conf = _as_mapping(given) | dict(conf) if isinstance(given, SparkConf) else dict(conf)
        found = None if isinstance(given, SparkConf) else _existing(given)
        if found is not None and master is not None:
            _check_answers(master, timeout)
            _refuse_another_master(found, master)
        self.ours = found is None and "PYSPARK_GATEWAY_PORT" not in os.environ
        self.spark = found if found is not None else self._start(master, conf, app_name, timeout)
        self.context: SparkContext = self.spark.sparkContext
        self.jvm_context = self.context._jsc.sc()
        self._wait = None if locality_wait is None else f"{round(locality_wait * 1000)}ms"  # Spark takes no fractions
        if self._wait is not None:
            _WAITS.change(self.context, self._wait)

    def _start(self, master: str | None, conf: dict[str, Any], app_name: str, timeout: float) -> SparkSession:
        builder = SparkSession.builder.appName(str(conf.get("spark.app.name", app_name)))
        submitted = "PYSPARK_GATEWAY_PORT" in os.environ
        master = master or conf.get("spark.master") or (None if submitted else DEFAULT_MASTER)
        if master is not None:
            _check_answers(master, timeout)
            builder = builder.master(master)
        if master is not None and master.startswith("local"):
            self._prepare_local(conf)
        if preload.VARIABLE in os.environ:
            conf.setdefault(DAEMON_SETTING, DAEMON)
        for name in (preload.VARIABLE, preload.FORMAT):
            if name in os.environ:
                conf.setdefault(f"spark.executorEnv.{name}", os.environ[name])
        for name, value in conf.items():
            builder = builder.config(name, _text(value))
        if "spark.ui.showConsoleProgress" not in conf:
            builder = builder.config("spark.ui.showConsoleProgress", "false")
        try:
            return builder.getOrCreate()
        except Exception as error:
            if self._parent is not None:
                self._parent.close()
            raise EngineLost(
                f"no Spark session could be started at {master or 'the submitted master'}: "
                f"{first_cause(message_of(error))}. Check the master URL and that Java 17 or later is installed."
            ) from error

    def _prepare_local(self, conf: dict[str, Any]) -> None:
        """Executors on this machine must find the driver whatever its name resolves to, our Python and packages.

        Their Python workers are forked from one process that has imported what all of them need; not where paths of the
        caller's are set, for that process must find our packages before any file that Spark ships is there.
        """
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        if EXECUTOR_PATH in conf:
            return
        packages = str(Path(__file__).resolve().parents[2])
        conf[EXECUTOR_PATH] = os.pathsep.join(p for p in (os.environ.get("PYTHONPATH"), packages) if p)
        ours = shutil.which(os.environ["PYSPARK_PYTHON"]) == sys.executable  # another interpreter has other packages
        if conf.setdefault(DAEMON_SETTING, DAEMON) == DAEMON and ours and os.name == "posix":
            self._parent = Parent()
            conf[f"spark.executorEnv.{PARENT}"] = self._parent.path

    @property
    def alive(self) -> bool:
        """Whether the context still runs."""
        try:
            return self.context._jsc is not None and not self.jvm_context.isStopped()
        except (Py4JError, OSError):  # the JVM is gone
            return False

    def close(self, first: Callable[[], None] = lambda: None) -> None:
        """Call ``first``, then stop what was started here, or set the locality wait of a caller's session back.

        In a thread, which has a connection to the JVM of its own: on that of a thread that was interrupted in a call the
        answer is left, and the next call would take it for its own. A JVM that is gone is no error here.
        """
        closing = threading.Thread(target=self._close, args=(first,), name="close-spark")
        closing.start()
        closing.join()

    def _close(self, first: Callable[[], None]) -> None:
        with contextlib.suppress(*FAILURES):
            first()
        if self.ours:
            self._stop()
        elif self._wait is not None and self.alive:
            with contextlib.suppress(*FAILURES):
                _WAITS.set_back(self.context, self._wait)
        self._wait = None

    def _stop(self) -> None:
        leftovers = self._executor_directory()
        logging.getLogger("py4j").setLevel(logging.CRITICAL)  # the JVM may be gone already
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # that the JVM had ended by itself
                self.spark.stop()
        except FAILURES:
            forget_jvm()
        finally:
            if self._parent is not None:
                self._parent.close()
        if leftovers is not None:
            shutil.rmtree(leftovers, ignore_errors=True)

    def _executor_directory(self) -> Path | None:
        """Where the executors of a ``local-cluster`` lived: below Spark's own home, and nobody else removes it."""
        if not self.alive or not (self.context.master or "").startswith("local-cluster"):
            return None
        jvm: Any = self.context._jvm
        return Path(jvm.java.lang.System.getenv("SPARK_HOME")) / "work" / str(self.context.applicationId)


class _Waits:
    """The locality waits of sessions, as they were and as the engines on them want them: that of the newest one counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before: dict[str, str] = {}
        self._wanted: dict[str, list[str]] = {}

    def change(self, context: SparkContext, wait: str) -> None:
        """For one more engine."""
        settings, name = context._jsc.sc().conf(), str(context.applicationId)
        with self._lock:
            self._before.setdefault(name, settings.get(LOCALITY_WAIT, "3s"))
            self._wanted.setdefault(name, []).append(wait)
            settings.set(LOCALITY_WAIT, wait)

    def set_back(self, context: SparkContext, wait: str) -> None:
        """For an engine that is closed."""
        settings, name = context._jsc.sc().conf(), str(context.applicationId)
        with self._lock:
            self._wanted[name].remove(wait)
            settings.set(LOCALITY_WAIT, [self._before[name], *self._wanted[name]][-1])
            if not self._wanted[name]:
                del self._before[name], self._wanted[name]


_WAITS = _Waits()


def forget_jvm() -> None:
    """The JVM of a session that was started here is gone: the next session of this process starts another."""
    SparkContext._gateway = SparkContext._jvm = SparkContext._active_spark_context = None
    SparkSession._instantiatedSession = SparkSession._activeSession = None


def _refuse_another_master(active: SparkSession, master: str) -> None:
    """A process has one Spark context: it cannot silently stand for another master than the one asked for."""
    if active.sparkContext.master != master:
        raise ConfigError(
            f"engine option master is {master!r}, and this process has a Spark session on "
            f"{active.sparkContext.master!r}. Leave master out to use that one, or stop it first."
        )


def _check_answers(master: str, timeout: float) -> None:
    """EngineLost at once where nobody listens at a ``spark://`` address: Spark itself would try for a minute."""
    if not master.startswith("spark://"):
        return
    problem: OSError | ValueError | None = None
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout).close()
            return
        except (OSError, ValueError) as error:
            problem = error
    raise EngineLost(
        f"no Spark master answers at {master!r} within {timeout:g} s ({problem}). Check the address, or leave it out to run "
        "on this machine."
    ) from problem


def wait_for_executors(session: Session, count: Any, timeout: float) -> None:
    """Until ``count()`` is what was asked for, or stays at one or more; EngineLost after ``timeout`` seconds."""
    expected = _expected(session.context)
    if session.context.getConf().get("spark.dynamicAllocation.enabled", "false") == "true" and not count():
        session.context.parallelize(range(expected), expected)._jrdd.countAsync()  # without work none would ever come
    begin = grown = time.monotonic()
    most = 0
    while session.alive:
        now, there = time.monotonic(), count()
        if there > most:
            most, grown = there, now
        if there >= expected or (there and now - grown > timeout / 4):
            return
        if now - begin > timeout:
            break
        time.sleep(0.1)
    raise EngineLost(
        f"no Spark executor registered at {session.context.master} within {timeout:g} s. Check the master URL, that the "
        "cluster has free cores and memory for one executor, and that executors can reach the driver."
    )


def _expected(context: SparkContext) -> int:
    """Executors that the configuration promises; 1 where it promises none."""
    master, conf = context.master or "", context.getConf()
    if master.startswith("local-cluster["):
        return int(master.partition("[")[2].partition(",")[0])
    if conf.get("spark.dynamicAllocation.enabled", "false") == "true":
        least = [conf.get(f"spark.dynamicAllocation.{k}", "0") for k in ("minExecutors", "initialExecutors")]
        return max(1, *(int(n or 0) for n in least))
    return max(1, int(conf.get("spark.executor.instances", "1") or 1))


def _refuse_connect(given: Any, master: str | None) -> None:
    if ".connect" in type(given).__module__ or (master or "").startswith("sc://"):
        raise ConfigError(CONNECT)
    if given is None and master is None and os.environ.get("SPARK_REMOTE"):
        raise ConfigError(f"SPARK_REMOTE is {os.environ['SPARK_REMOTE']!r}: {CONNECT}")


def will_start(given: Any) -> bool:
    """Whether an engine given ``given`` starts a session here, rather than use one that is there or was submitted."""
    if given is None:
        return _active() is None and "PYSPARK_GATEWAY_PORT" not in os.environ
    return isinstance(given, SparkConf) and "PYSPARK_GATEWAY_PORT" not in os.environ


def _existing(given: Any) -> SparkSession | None:
    """The session of what the caller gave, or the one that is active in this process. EngineLost where it has ended."""
    if given is None:
        return _active()
    if isinstance(given, SparkContext):
        _check_runs(given)
        return SparkSession(given)
    if not isinstance(given, SparkSession):
        raise ConfigError(
            f"engine option session is a {type(given).__name__}; give a SparkSession, SparkContext or SparkConf."
        )
    _check_runs(given.sparkContext)
    return given


def _active() -> SparkSession | None:
    """The session that is active in this process. EngineLost where its JVM is gone."""
    if SparkContext._active_spark_context is not None:
        _check_runs(SparkContext._active_spark_context)
    return SparkSession.getActiveSession()


def _check_runs(context: SparkContext) -> None:
    """Raise EngineLost for a context that was stopped, or whose JVM is gone."""
    try:
        if context._jsc is not None and not context._jsc.sc().isStopped():
            return
    except (Py4JError, OSError) as error:
        raise EngineLost(
            f"the Spark session of this process no longer answers, its JVM is gone ({message_of(error)}). Start this "
            "process (in a notebook: its kernel) anew, and a session in it."
        ) from error
    raise EngineLost("the Spark session was stopped. Start another: SparkSession.builder.getOrCreate().")


def _as_mapping(conf: SparkConf) -> dict[str, Any]:
    return dict(conf.getAll())


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
