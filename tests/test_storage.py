import errno
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import partitioner as pt
from connectors.parquet_sink import ParquetSink
from partitioner.errors import ConfigError, StorageFailed
from partitioner.model import CommitRecord
from partitioner.storage import Directory, absolute_url
from partitioner.store.run_directory import RunDirectory


def race(attempts: int, create: object) -> list[object]:
    """What each of several threads got that were let go at the same moment."""
    gate, results = threading.Barrier(attempts), [None] * attempts

    def one(i: int) -> None:
        gate.wait()
        results[i] = create(i)  # type: ignore[operator]

    threads = [threading.Thread(target=one, args=(i,)) for i in range(attempts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results  # type: ignore[return-value]


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path / "place")
    return f"{request.getfixturevalue('s3')}/{tmp_path.name}"


def test_exactly_one_of_many_writers_creates_the_object(place: str) -> None:
    directory = Directory(place)
    for trial in range(20):
        wins = race(8, lambda i, trial=trial: directory.put_new(f"k{trial}", bytes([i])))
        assert wins.count(True) == 1
        assert directory.get(f"k{trial}") == bytes([wins.index(True)])


def test_the_stand_in_for_s3_creates_in_one_step(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its look and its write had a gap, wider on a busy machine, in which two writers won."""
    from moto.s3.models import S3Backend

    look = S3Backend.get_object

    def slowly(*args: Any, **options: Any) -> Any:
        found = look(*args, **options)
        time.sleep(0.02)
        return found

    monkeypatch.setattr(S3Backend, "get_object", slowly)
    directory = Directory(f"{s3}/{tmp_path.name}")
    assert race(4, lambda i: directory.put_new("k", bytes([i]))).count(True) == 1


def staged_rows(sink: ParquetSink, rows: list[int]) -> object:
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pydict({"x": rows})

    return sink.write("t000000", batches(), lambda: {"rows_written": len(rows)})


def test_racing_commits_agree_on_the_file_of_one_winner(place: str) -> None:
    sink = ParquetSink(place)
    staged = [staged_rows(sink, [i] * (i + 1)) for i in range(8)]
    facts = race(8, lambda i: sink.commit(staged[i]))  # type: ignore[arg-type]
    assert all(f == facts[0] for f in facts)
    assert sink.committed("t000000") == facts[0]
    assert Directory(place).names() == ["part-t000000.parquet"]


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = (staged_rows(ParquetSink(str(tmp_path / n)), [1, 2, 3]) for n in "ab")
    assert one.data.to_pybytes() == two.data.to_pybytes()  # type: ignore[attr-defined]


def test_a_foreign_file_under_the_name_is_refused(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    sink = ParquetSink(str(tmp_path))
    pq.write_table(pa.table({"x": [1]}), tmp_path / "part-t000000.parquet")
    with pytest.raises(FileExistsError, match="was not written by this library; choose another output"):
        sink.commit(staged_rows(sink, [1]))  # type: ignore[arg-type]


def test_the_first_commit_record_stays(tmp_path: Path) -> None:
    run = RunDirectory(str(tmp_path))
    record = CommitRecord("t0", "t0-a0", "w", "p", 1, 1, 1, 0, ((0, 1),), 0, 1.0, 1.0, 0.0, 0.0, 0, 0.0, 1.0, "d")
    for attempt in ("t0-a0", "t0-a1"):
        run.commit(CommitRecord.from_json({**record.to_json(), "attempt_id": attempt}))
    assert run.commits()["t0"].attempt_id == "t0-a0"


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "absent")
    assert not directory.exists("x")
    assert directory.names() == []
    with pytest.raises(FileNotFoundError):
        directory.get("x")
    assert not (tmp_path / "absent").exists()


def test_local_paths_become_absolute_and_urls_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_url("out/") == str(tmp_path / "out")
    assert absolute_url(f"file://{tmp_path}/out") == str(tmp_path / "out")
    assert absolute_url("s3://bucket/out/") == "s3://bucket/out"


def test_sweep_removes_what_interrupted_writes_left(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    directory.put("kept.parquet", b"x")
    (tmp_path / "part-t000001.parquet#1").write_bytes(b"half")
    assert directory.sweep() == 1
    assert directory.names() == ["kept.parquet"]


def test_an_unknown_scheme_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"Cannot open 'ftpx://host/x'.*Use a local path, s3://"):
        Directory("ftpx://host/x").put("k", b"")


def test_reading_a_small_table_starts_no_thread() -> None:
    """A thread that Arrow starts at the end of a process may abort it: one read in six did, on a busy machine."""
    program = (
        "import io, os\n"
        "import pyarrow as pa\n"
        "import pyarrow.parquet as pq\n"
        "from partitioner.storage import read_parquet\n"
        "data = io.BytesIO()\n"
        "pq.write_table(pa.table({'x': [1, 2], 'y': ['a', 'b']}), data)\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "table = read_parquet(data.getvalue(), ['y'])\n"
        "print(len(os.listdir('/proc/self/task')) - before, table.to_pydict())\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout == "0 {'y': ['a', 'b']}\n"


def test_a_private_directory_is_its_owners_alone(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "runs" / "one")
    directory.make_private()
    assert (tmp_path / "runs" / "one").stat().st_mode & 0o777 == 0o700


def test_folders_are_told_without_what_they_hold(tmp_path: Path, s3: str) -> None:
    for place in (str(tmp_path / "a"), f"{s3}/{tmp_path.name}-folders"):
        directory = Directory(place)
        assert directory.folders() == []
        for name in ("two/x", "one/deep/y", "file"):
            directory.put(name, b"")
        assert directory.folders() == ["one", "two"]


class LetsNobodyIn(BaseHTTPRequestHandler):
    """A store that answers 403 to all."""

    def do_GET(self) -> None:
        self.send_response(403)
        self.send_header("content-length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    "look",
    [
        lambda d: d.get("run.json"),
        lambda d: d.view("run.json"),
        lambda d: d.get_range("run.json", 0, 1),
        lambda d: d.get_tail("run.json", 8),
        lambda d: d.exists("run.json"),
        lambda d: d.names(),
        lambda d: d.folders(),
    ],
)
def test_a_store_that_lets_nobody_in_is_told_in_one_sentence(
    look: Callable[[Directory], object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = HTTPServer(("127.0.0.1", 0), LetsNobodyIn)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told = {"AWS_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "x"}
    for name, value in {**told, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageFailed, match=r"^cannot read .* in s3://closed-.*Restore access there") as caught:
        look(Directory(f"s3://closed-{server.server_port}/runs"))
    server.shutdown()
    server.server_close()
    assert "\n" not in str(caught.value)


def test_a_file_that_a_death_left_half_replaced_is_replaced_and_nothing_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Directory(tmp_path)
    folder.put("new", b"new")
    folder.put("file", b"old")

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", dies)
        with pytest.raises(KeyboardInterrupt):
            folder.replace("new", "file")
    assert folder.get("file") == b"old"
    folder.replace("new", "file")
    assert {name: folder.get(name) for name in folder.names()} == {"file": b"new", "new": b"new"}


def behind(tmp_path: Path, link: str, run: bool = True) -> Path:
    """A folder with a file of somebody else, to which a link below ``tmp_path`` leads; files to copy beside it."""
    victim = tmp_path / "victim"
    victim.mkdir()
    for name in ("mine", "x#1"):
        (victim / name).write_text("mine")
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to(victim)
    (tmp_path / "run" / "new").write_text("new")
    if run:
        (tmp_path / "run" / "run.json").write_text("{}")
    return victim


@pytest.mark.parametrize("link", ["run/a", "run/a/b"])
@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.put("a/b/mine", b""),
        lambda d: d.put_new("a/b/new", b""),
        lambda d: d.put_pieces("a/b/mine", iter([b""])),
        lambda d: d.copy("new", "a/b/mine"),
        lambda d: d.replace("new", "a/b/mine"),
        lambda d: d.delete("a/b/mine"),
        lambda d: d.delete_all(["a/b/mine"]),
        lambda d: d.names("a/b"),
        lambda d: d.child("a/b").put("mine", b""),  # where ``run.json`` says that it is below a run directory
        lambda d: d.child("a/b").delete_all(["mine"]),
        lambda d: d.child("a/b").sweep(),
        lambda d: d.child("a").put("b/mine", b""),
    ],
)
def test_nothing_is_changed_behind_a_link_in_the_place_of_a_folder_of_ours(
    tmp_path: Path, link: str, change: Callable[[Directory], object]
) -> None:
    victim = behind(tmp_path, link)
    with pytest.raises(StorageFailed, match=f"{link} is a symbolic link in the place of a folder of ours.*remove it"):
        change(Directory(tmp_path / "run"))
    assert {path.name: path.read_text() for path in victim.iterdir()} == {"mine": "mine", "x#1": "mine"}


def test_nothing_is_changed_behind_a_link_in_the_place_of_the_versions_of_one_file(tmp_path: Path) -> None:
    rows = pd.DataFrame({"x": range(4)})
    output = str(tmp_path / "out.csv")

    def run() -> None:
        pt.run(
            rows,
            lambda batch: batch,
            output=output,
            mode="overwrite",
            engine="serial",
            checkpoint=str(tmp_path / "runs"),
            report=False,
            progress=False,
        )

    run()
    (tmp_path / ".out.csv.versions").rename(tmp_path / "victim")
    (tmp_path / ".out.csv.versions").symlink_to(tmp_path / "victim")
    before = sorted((path, path.read_bytes()) for path in (tmp_path / "victim").rglob("*") if path.is_file())
    with pytest.raises(
        StorageFailed, match=r"/\.out\.csv\.versions is a symbolic link in the place of a folder of ours"
    ):
        run()
    assert sorted((path, path.read_bytes()) for path in (tmp_path / "victim").rglob("*") if path.is_file()) == before


def test_the_way_to_an_output_may_have_links(tmp_path: Path) -> None:
    victim = behind(tmp_path, "run/out", run=False)
    for folder in (Directory(tmp_path / "run" / "out"), Directory(tmp_path / "run" / "out" / "below")):
        folder.put("_versions/1/a", b"a")
        folder.delete("_versions/1/a")
    assert sorted(path.name for path in victim.iterdir()) == ["_versions", "below", "mine", "x#1"]


@pytest.mark.parametrize("change", [lambda d: d.delete("a"), lambda d: d.delete_all(["a"])])
def test_what_a_store_does_not_let_go_is_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Directory], object]
) -> None:
    directory = Directory(tmp_path)
    directory.put("a", b"")

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("obstore.delete", refused)
    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(StorageFailed, match=r"^cannot write a below .*Read-only file system\. .*then resume the run"):
        change(directory)
