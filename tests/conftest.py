"""What all tests share: one Dask cluster, real data where it is, and runs in a temporary directory."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from distributed.core import Status

from benchmarks.postgres_server import server
from partitioner import interrupts
from partitioner.engines.dask import DaskEngine

hypothesis.settings.load_profile("ci")  # the same examples everywhere, every time
os.environ.setdefault("PARTITIONER_KEY", "the key of the test suite")  # tests write nothing into the home directory

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from partitioner.engines.spark_session import Session


@pytest.fixture(scope="session", autouse=True)
def profiles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What runs of tests took is no profile of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARTITIONER_PROFILES", str(tmp_path_factory.mktemp("profiles") / "profiles.sqlite"))
        yield


SPARK = {
    f"tests/{name}.py"
    for name in (
        "chaos/test_ladder",
        "chaos/test_stopped_worker",
        "connectors/test_frames",
        "engines/test_expected_workers",
        "engines/test_follows_frame",
        "engines/test_spark",
        "graphs/test_pipeline",
        "iteration/test_iterate",
        "reducers/test_statistics_on_engines",
        "search/test_grid",
        "search/test_kills",
        "test_exporting",
        "test_merging",
        "test_rebalance",
        "test_secret_places",
    )
}
"""The files whose tests ask for ``spark``: one process runs them all, so that its executors start once."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files one by one to whichever process is free, those of ``SPARK`` to one."""
    from xdist.scheduler import LoadFileScheduling

    class OneSpark(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "spark" if file in SPARK else file

    return OneSpark(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_configure() -> None:
    """Tests send the signals that a shell and ``nohup`` have what is in the background ignore."""
    for number in interrupts.NAMES:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is read and compiled before the first test stays: looking through it again and again took a quarter."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.fixture(autouse=True)
def same_draws(request: pytest.FixtureRequest) -> None:
    """The generator of a module draws the same for a test, whichever ran before it in the process."""
    module = getattr(request, "module", None)
    if (generator := getattr(module, "RNG", None)) is not None:
        first = module.__dict__.setdefault("_first_draws", generator.bit_generator.state)
        generator.bit_generator.state = first


@pytest.fixture(scope="module", autouse=True)
def settled() -> None:
    """Collections look at what a module's tests make: thousands of tests and all their imports are looked at once."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Libraries that count what is left at the end find nothing."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of datasets that are no part of the project; a visible skip where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    path = Path(os.environ.get("PARTITIONER_SHARED_DATA", default))
    if not path.is_dir():
        pytest.skip(f"no datasets at {path}; set PARTITIONER_SHARED_DATA")
    return path


@pytest.fixture(scope="session")
def dask_engines() -> Iterator[list[DaskEngine]]:
    """Those that ``dask_engine`` started: the last is the one that lives."""
    engines: list[DaskEngine] = []
    yield engines
    for engine in engines[-1:]:
        engine.close()


@pytest.fixture
def dask_engine(dask_engines: list[DaskEngine]) -> DaskEngine:
    """Two worker processes of one thread, shared by every test that does not kill them.

    What ended the event loop of their client, in whichever test that was, is told as a warning, and others are started.
    """
    if dask_engines and dask_engines[-1]._client.loop.asyncio_loop.is_closed():
        cluster = dask_engines[-1]._cluster
        error = getattr(cluster._loop_runner._loop_thread, "_exception", None)
        told = "stopped by a call" if error is None else "".join(traceback.format_exception(error))
        with warnings.catch_warnings():
            warnings.simplefilter("always")  # for the summary: what ended it was another test
            warnings.warn(
                f"the event loop of the tests' Dask cluster ended since the last test with it: {told}", stacklevel=1
            )
        cluster.status = Status.closed  # without its loop nothing can be closed
        dask_engines[-1]._client.status = "closed"
        dask_engines.append(DaskEngine(workers=2))
    if not dask_engines:
        dask_engines.append(DaskEngine(workers=2))
    return dask_engines[-1]


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """Three executors of one core, shared by every test of Spark; a killed executor comes back under a new id."""
    from partitioner.engines.spark_session import Session

    settings = {"spark.ui.enabled": False, "spark.sql.shuffle.partitions": 3, "spark.sql.adaptive.enabled": False}
    session = Session(None, "local-cluster[3,1,1024]", settings, 0.5, "tests")
    session.context.setLogLevel("OFF")
    wait_for_spark(session)
    yield session.spark
    session.close()


@pytest.fixture(scope="session")
def connect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Spark Connect server in a process of its own, with two executors of one core."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    import pyspark

    home, folder = Path(pyspark.__file__).parent, tmp_path_factory.mktemp("connect")
    conf = {
        "spark.connect.grpc.binding.port": port,
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.executorEnv.PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }
    command = [str(home / "bin" / "spark-submit"), "--class", "org.apache.spark.sql.connect.service.SparkConnectServer"]
    command += ["--master", "local-cluster[2,1,1024]"]
    command += [part for name, value in conf.items() for part in ("--conf", f"{name}={value}")]
    local = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_WORKER_DIR": str(folder), "PYSPARK_PYTHON": sys.executable}
    environment = {k: v for k, v in os.environ.items() if k != "SPARK_REMOTE"} | local
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, "spark-internal"], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    wait_for_port(port, server, folder / "log")
    yield f"sc://127.0.0.1:{port}"
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def wait_for_port(port: int, server: subprocess.Popen[bytes], log: Path, seconds: float = 240.0) -> None:
    """Until a server listens; fails with its log where it ends, or is silent for a generous time."""
    end = time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError(f"no server on port {port}: {log.read_text()[-2000:]}")


def wait_for_spark(session: Session) -> None:
    """Until all executors are there."""
    from partitioner.engines.spark_executors import StatusStore
    from partitioner.engines.spark_session import wait_for_executors

    store = StatusStore(session)
    wait_for_executors(session, lambda: len(store.executors()), 240.0)


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The URL of a bucket on a local server that speaks S3, with the environment set so that every store finds it."""
    from moto.s3.responses import S3Response
    from moto.server import ThreadedMotoServer

    put, lock = S3Response.put_object, threading.Lock()

    def one_at_a_time(self: S3Response) -> Any:
        """A conditional put is one step, as S3 promises; the stand-in looks and then writes, in many threads."""
        with lock:
            return put(self)

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    endpoint = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/commits", method="PUT")).close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3Response, "put_object", one_at_a_time)
        for name, value in {
            "AWS_ENDPOINT": endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }.items():
            patch.setenv(name, value)
        yield "s3://commits"
    server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of Debian's package, on a socket of its own."""
    try:
        with server() as url:
            yield url
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    """Where the runs of one test live."""
    return str(tmp_path / "runs")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With CI=true a skipped test is a failure: everything that tests need is installed there."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter is not None else []
    if os.environ.get("CI") == "true" and skipped:
        reporter.write_line(f"\n{len(skipped)} skipped with CI=true, where no test may be skipped", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
