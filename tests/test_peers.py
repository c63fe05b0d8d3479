"""The benchmark beside other engines: the same input for all, one table, and failures that are told."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import peers
from benchmarks.peers import Row


def row(who: str, seconds: float | None, total: float | None = 6.0, note: str = "") -> Row:
    return Row("sleeps", who, "as written" if seconds is not None else "", seconds, total, f"{who} 1.0", note)


def test_the_table_has_the_fastest_first_and_failures_last() -> None:
    found = peers.table([row("b", 3.0), row("c", None, None, "no wheel"), row("a", 2.0)])
    assert found[2:] == [
        "| sleeps | a | as written | 2.00 | 1.00 | a 1.0 |",
        "| sleeps | b | as written | 3.00 | 1.50 | b 1.0 |",
        "| sleeps | c | no wheel | – | – | c 1.0 |",
    ]


def test_results_that_differ_make_no_table() -> None:
    with pytest.raises(SystemExit, match="sleeps: the results differ"):
        peers.table([row("a", 2.0), row("b", 3.0, total=7.0)])


def test_the_table_of_a_page_is_replaced_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{peers.BEGIN}\nold\n{peers.END}\nafter\n")
    peers.written(page, ["new"])
    assert page.read_text() == f"before\n{peers.BEGIN}\nnew\n{peers.END}\nafter\n"


def test_the_page_of_the_docs_has_the_marks() -> None:
    text = (peers.ROOT / "docs" / "benchmarks.md").read_text()
    assert 0 < text.index(peers.BEGIN) < text.index(peers.END)


def test_every_benchmark_that_the_page_lists_is_there() -> None:
    text = (peers.ROOT / "docs" / "benchmarks.md").read_text().partition("## All benchmarks")[2]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = [name.strip(" `") for row in rows for name in row.split(",")]
    assert len(named) > 30
    assert [name for name in named if not (peers.ROOT / "benchmarks" / f"{name}.py").exists()] == []


def test_input_is_the_same_for_all_and_skewed_or_even_as_it_says(tmp_path: Path) -> None:
    for workload in peers.SHAPES:
        peers.write_input(tmp_path / workload, workload, 0.01, None)
    sleeps, text, documents = (pd.read_parquet(tmp_path / workload) for workload in peers.SHAPES)
    assert (len(sleeps), round(float(sleeps["s"].sum()), 3)) == (500, 29.602)
    assert (text["text"].str.len().max() / text["text"].str.len().median() > 20, set(documents["text"].str.len())) == (
        True,
        {120},
    )


def test_a_peer_runs_and_one_that_cannot_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(peers.PEERS, "daft", peers.Peer("Nobody", (), "no_such_program"))
    peers.write_input(tmp_path / "sleeps", "sleeps", 1e-4, None)
    python = Path(sys.executable)
    found = peers.measured(python, "dask", "sleeps", tmp_path / "sleeps", 1, 120.0)
    assert [(r.peer, r.form, r.total) for r in found] == [
        ("plain Dask", "as written", 0.296),
        ("plain Dask", "tuned: longest first", 0.296),
    ]
    (failed,) = peers.measured(python, "daft", "sleeps", tmp_path / "sleeps", 1, 120.0)
    assert (failed.seconds, "No module named benchmarks.peer_programs.no_such_program" in failed.note) == (None, True)


def test_a_form_that_fails_or_is_late_is_a_row_and_the_others_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "benchmarks" / "peer_programs").mkdir(parents=True)
    for package in ("benchmarks", "benchmarks/peer_programs"):
        (tmp_path / package / "__init__.py").touch()
    work = (peers.ROOT / "benchmarks" / "peer_programs" / "work.py").read_text()
    (tmp_path / "benchmarks" / "peer_programs" / "work.py").write_text(work)
    forms = """
import time
from benchmarks.peer_programs.work import told

told("good", lambda: [1.0], "numpy")
told("bad", lambda: [1.0, None], "numpy")
told("late", lambda: [time.sleep(600)], "numpy")
told("last", lambda: [1.0], "numpy")
"""
    (tmp_path / "benchmarks" / "peer_programs" / "mixed.py").write_text(forms)
    monkeypatch.setattr(peers, "ROOT", tmp_path)
    monkeypatch.setitem(peers.PEERS, "daft", peers.Peer("Mixed", (), "mixed"))
    found = {r.form: r for r in peers.measured(Path(sys.executable), "daft", "sleeps", tmp_path, 2, 15.0)}
    assert list(found) == ["good", "last", "bad", "late"]
    assert [found[form].total for form in ("good", "last")] == [1.0, 1.0]
    assert "unsupported operand" in found["bad"].note
    assert found["late"].note == "not done after 15 s"
    assert "| sleeps | Mixed | late: not done after 15 s | – | – |  |" in peers.table(list(found.values()))
