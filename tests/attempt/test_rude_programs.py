"""Programs that behave badly in their own way: what they raise, print, fork and catch harms no attempt but their own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partitioner.attempt.asynchronous import Concurrency, call_all
from partitioner.attempt.isolate import ERROR_COLUMN, alone
from partitioner.attempt.job import build
from partitioner.attempt.surroundings import TimedOut, kept_prints, limited
from partitioner.errors import ProgramError, ProgramExited, clause, shortened, text_of
from partitioner.model import Care, Failure
from tests.attempt.by_hand import ByHand, doubled

ROOT = Path(__file__).parents[2]


class Panic(BaseException):
    """As a library in Rust raises it: no Exception."""


class Speechless(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        return self.args[0]["reason"]  # type: ignore[no-any-return]


NO_UTF8 = os.fsdecode(b"caf\xe9.jpg")


def on_row_3(error: BaseException) -> Any:
    def program(batch: pa.RecordBatch) -> pa.RecordBatch:
        if 3 in batch.column("x").to_pylist():
            raise error
        return doubled(batch)

    return program


def set_aside(made: ByHand, path: str) -> list[str]:
    return pq.read_table(Path(made.directory.url.removeprefix("file://")) / path)[ERROR_COLUMN].to_pylist()


@pytest.mark.parametrize(
    ("error", "type_", "message"),
    [
        (Panic("poisoned"), "ProgramExited", "the program raised Panic(poisoned) instead of returning"),
        (Speechless("x"), "Speechless", "<its text cannot be had: TypeError>"),
        (ValueError(NO_UTF8), "ValueError", "caf\\udce9.jpg"),
    ],
)
def test_whatever_a_program_raises_is_an_event(tmp_path: Path, error: BaseException, type_: str, message: str) -> None:
    event = ByHand(tmp_path, on_row_3(error)).run()
    assert event.error is not None
    assert (event.error.type, event.error.message) == (type_, message)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Panic("poisoned"), "ProgramExited: the program raised Panic(poisoned) instead of returning"),
        (Speechless("x"), "Speechless: <its text cannot be had: TypeError>"),
        (ValueError(NO_UTF8), "ValueError: caf\\udce9.jpg"),
    ],
)
def test_whatever_a_row_makes_it_raise_the_row_is_set_aside(tmp_path: Path, error: BaseException, reason: str) -> None:
    made = ByHand(tmp_path, on_row_3(error), on_error="quarantine")
    record = made.record(care=Care(isolate=True))
    assert (record.rows_out, record.quarantined, record.left_out) == (19, 1, ((3, 4),))
    assert set_aside(made, record.quarantine) == [reason]


def test_an_error_of_megabytes_is_cut_where_it_travels() -> None:
    failure = Failure.of(ValueError("a" * 3_000_000))
    assert failure.message == f"{'a' * 1000} ... (3000000 characters in all) ... {'a' * 1000}"
    assert len(failure.traceback) < 21_000
    assert len(alone(ValueError("a" * 3_000_000)).reason) < 2_100
    assert shortened("as it is", 8) == "as it is"


def test_what_a_terminal_obeys_is_written_out() -> None:
    assert text_of(ValueError("\x1b[2Jgone\0 a\r\nb\tc\r")) == "\\x1b[2Jgone\\x00 a\nb\tc\\x0d"


def test_a_sentence_has_one_period() -> None:
    assert clause(ValueError("Column 'a' is text.")) == "Column 'a' is text"
    assert clause(ValueError("Column 'a' is text")) == "Column 'a' is text"


def test_a_secret_is_masked_before_a_text_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partitioner.known_secrets._known", {"hunter2hunter2": "<masked>"})
    assert "hunter2" not in text_of(ValueError("x" * 993 + "hunter2hunter2" + "x" * 5000))


def test_sys_exit_where_the_program_is_built_is_an_error_of_it() -> None:
    class Leaves:
        def __init__(self, token: str) -> None:
            sys.exit(0)

        def __call__(self, batch: Any) -> Any:
            return batch

    with pytest.raises(ProgramError, match=r"Leaves\(\*\*{'token': 'abc'}\) failed: SystemExit\('0'\)"):
        build(Leaves, {"token": "abc"})


def test_prints_that_are_no_text_are_kept_too(tmp_path: Path) -> None:
    def program(batch: pa.RecordBatch) -> pa.RecordBatch:
        print(f"skipped {NO_UTF8}")
        return doubled(batch)

    made = ByHand(tmp_path, program)
    made.record()
    assert made.directory.files.get("attempts/t000000-a0.log") == b"skipped caf\\udce9.jpg\n"


def test_a_program_may_close_standard_output_write_bytes_to_it_and_set_it_up(tmp_path: Path) -> None:
    def program(batch: pa.RecordBatch) -> pa.RecordBatch:
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        sys.stdout.buffer.write(b"b\xc3\xbc\xff\n")
        print(sys.stdout.encoding, sys.stdout.closed)
        sys.stdout.close()
        print("still here", flush=True)
        return doubled(batch)

    made = ByHand(tmp_path, program)
    original = io.TextIOWrapper(io.BytesIO())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", original)
        made.record()
        assert sys.stdout is original
    assert not original.closed
    log = made.directory.files.get("attempts/t000000-a0.log").decode()
    assert log == "bü\\xff\nutf-8 False\nstill here\n"


def test_prints_of_a_closed_stream_go_where_the_prints_go() -> None:
    with kept_prints() as kept:
        sys.stderr.close()
        print("after", file=sys.stderr)
    assert kept.getvalue() == "after\n"


def test_a_program_that_tries_again_whatever_comes_is_ended_by_its_timeout(tmp_path: Path) -> None:
    def program(batch: Any) -> Any:
        while True:
            try:
                time.sleep(20)
            except Exception:
                continue

    event = ByHand(tmp_path, program).run(timeout_seconds=0.02)
    assert event.error is not None
    assert (event.error.type, event.error.timeout) == ("TimedOut", True)


def test_one_that_catches_even_that_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partitioner.attempt.surroundings.TOLD_AGAIN", 0.01)
    caught: list[type] = []

    def stubborn() -> None:
        while len(caught) < 3:
            try:
                time.sleep(20)
            except BaseException as error:
                caught.append(type(error))
        time.sleep(20)

    with pytest.raises(TimedOut), limited(0.01):
        stubborn()
    assert caught == [TimedOut] * 3
    time.sleep(0.03)  # nothing comes after the end


FORKING = """
import os, sys
from pathlib import Path
from tests.attempt.by_hand import ByHand, doubled

def program(batch):
    child = os.fork()
    if not child:
        {how}
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == {code}
    return doubled(batch)

print(ByHand(Path(sys.argv[1]), program).record().rows_out)
"""


@pytest.mark.parametrize(("how", "code"), [("sys.exit(3)", 3), ("return None", 0), ("raise ValueError('x')", 1)])
def test_a_copy_of_the_process_that_a_program_forks_does_not_go_on_as_the_attempt(
    tmp_path: Path, how: str, code: int
) -> None:
    text = FORKING.format(how=how, code=code)
    command = [sys.executable, "-c", text, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout == "20\n", done.stderr


class Stopped(BaseException):
    """No Exception."""


@pytest.mark.parametrize("end", [SystemExit(3), KeyboardInterrupt(), Stopped("x")])
def test_an_async_call_that_leaves_fails_alone_and_the_loop_goes_on(end: BaseException) -> None:
    async def call(unit: int) -> int:
        if unit == 1:
            raise end
        return unit

    for _ in range(2):
        first, second, third = call_all(call, [0, 1, 2], Concurrency())
        assert (first, type(second), third) == (0, ProgramExited, 2)


def test_a_file_that_is_gone_is_tried_on_another_worker_and_a_torn_one_is_not(tmp_path: Path) -> None:
    made = ByHand(tmp_path)
    whole = (tmp_path / "input.parquet").read_bytes()
    (tmp_path / "input.parquet").unlink()
    gone = made.run().error
    assert gone is not None
    assert (gone.type, gone.fatal) == ("OutOfReach", False)
    (tmp_path / "input.parquet").write_bytes(whole[:100])
    torn = made.run(1).error
    assert torn is not None
    assert (torn.type, torn.fatal) == ("DataError", True)


def test_the_place_of_an_error_is_in_the_users_own_code() -> None:
    text = 'File "mine.py", line 3, in f\nFile "pyarrow/error.pxi", line 92, in pyarrow.lib.check_status'
    assert Failure(traceback=text).place == "Raised at mine.py, line 3, in f. "
