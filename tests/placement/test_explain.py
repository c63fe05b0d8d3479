"""Plans in words, pictures and JSON."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from partitioner.model import CostFacts, Edges, SubTasks, Worker, Workers
from partitioner.placement.api import compare, place
from partitioner.placement.explain.decisions import Decider, Decision
from partitioner.placement.explain.mermaid import flow_to_mermaid

TASKS = SubTasks.build([4.0, 2.0, 3.0], ["big", "late", "fits"], memory_bytes=[8e9, 1e9, 1e9])
WORKERS = Workers.of([Worker("large", memory_bytes=8e9), Worker("small", memory_bytes=2e9)])


def test_a_decision_names_runner_up_and_binding_constraint() -> None:
    plan = place(TASKS, WORKERS, algorithm="lpt")
    decider = Decider(plan)
    assert decider.decide(0) == Decision("big", "large", 0.0, 4.0, "", 0.0, "memory")
    assert decider.decide(2) == Decision("fits", "small", 0.0, 3.0, "large", 4.0, "none")


def test_the_start_of_processes_is_no_choice_between_workers_and_what_is_no_time_has_its_unit() -> None:
    plan = place(SubTasks.build([2.0, 2.0]), Workers.identical(2), algorithm="lpt")
    later = replace(plan, start=plan.start + 3.0, finish=plan.finish + 3.0)
    assert str(Decider(later).decide(0)) == "t000000 on worker-0, 3 to 5 s; next worker-1, 2 s later; binding: none"
    rows = replace(plan, about=replace(plan.about, cost=CostFacts("rows", "rows")))
    assert (
        str(Decider(rows).decide(0)) == "t000000 on worker-0, 0 to 2 rows; next worker-1, 2 rows later; binding: none"
    )


def test_a_dependency_binds() -> None:
    edges = Edges(np.array([0]), np.array([1]), np.zeros(1), np.zeros(1))
    plan = place(SubTasks.build([2.0, 1.0], ["a", "b"], edges=edges), Workers.identical(2), algorithm="lpt")
    assert Decider(plan).decide(1).binding == "dependency on a"


@pytest.mark.parametrize(
    ("columns", "worker", "binding"),
    [
        ({"requires": {"ssd": np.array([True])}}, {"labels": frozenset({"ssd"})}, "label ssd"),
        ({"gpus": [0.5]}, {"gpus": 1.0}, "gpu"),
        ({"cpus": [3.0]}, {"cpus": 3.0}, "cpus"),
        ({"release": [2.0]}, {}, "release"),
    ],
)
def test_binding_constraints(columns: dict[str, object], worker: dict[str, object], binding: str) -> None:
    workers = Workers.of([Worker("w", **worker), Worker("other")])  # type: ignore[arg-type]
    plan = place(SubTasks.build([1.0], **columns), workers, algorithm="lpt")
    assert Decider(plan).decide(0).binding == binding


def test_explain_says_what_backs_the_plan() -> None:
    text = place(TASKS, WORKERS, algorithm="lpt").explain(limit=1)
    assert "makespan 5 s, lower bound 5 s, gap 0.00%, proven optimal" in text
    assert "big on large, 0 to 4 s; no other worker can run it; binding: memory" in text
    assert text.endswith("... and 2 more sub-tasks")


def test_mermaid_gantt() -> None:
    lines = place(TASKS, WORKERS, algorithm="lpt").to_mermaid().splitlines()
    assert lines[4:] == [
        "    section large", "    big : 0, 4000",
        "    section small", "    fits : 0, 3000", "    late : 3000, 5000",
    ]  # fmt: skip


def test_mermaid_flow_shows_the_seven_stages() -> None:
    text = flow_to_mermaid({"cost": "rows"})
    assert text.startswith("flowchart LR")
    assert '    cost["cost<br/>rows"]' in text
    assert text.count("-->") == 6


def test_json_holds_figures_and_assignments() -> None:
    values = place(TASKS, WORKERS, algorithm="lpt").to_json()
    assert {k: values[k] for k in ("algorithm", "objective", "makespan", "lower_bound", "gap")} == {
        "algorithm": "lpt", "objective": "makespan", "makespan": 5.0, "lower_bound": 5.0, "gap": 0.0,
    }  # fmt: skip
    assert values["assignments"][1] == {
        "task_id": "late",
        "worker_id": "small",
        "start": 3.0,
        "finish": 5.0,
        "order": 1,
    }


def test_compare_shows_every_applicable_algorithm() -> None:
    found = compare(TASKS, WORKERS, algorithms=["lpt", "round_robin", "multifit"])
    assert [row["algorithm"] for row in found.rows()] == ["lpt", "round_robin"]
    assert "tasks that only some workers can run" in found.refused["multifit"]
    assert found.best.algorithm == "lpt"
    assert "proven optimal" in found.to_text()
    assert re.search(r"<table>.*lpt.*</table>.*<svg", found.to_html(), re.DOTALL)


def test_what_one_algorithm_proves_measures_them_all() -> None:
    """The plain bound of this graph is 5 s; the relaxation proves the 6 s that both plans need."""
    edges = Edges(np.array([0, 0, 1, 2]), np.array([1, 2, 3, 3]), np.zeros(4), np.zeros(4))
    unlike = Workers.of([Worker("fast", speed=2.0), Worker("slow", speed=1.0)])
    tasks = SubTasks.build([2.0, 4.0, 4.0, 2.0], edges=edges)
    found = compare(tasks, unlike, algorithms=["heft", "time_indexed"])
    assert [(row["makespan"], row["lower_bound"], row["gap"]) for row in found.rows()] == [(6.0, 6.0, 0.0)] * 2
    assert [plan.reasons["bound_by"] for plan in found.plans] == ["time-indexed relaxation"] * 2
    assert [row["proven_optimal"] for row in found.rows()] == [True, True]
    assert place(tasks, unlike, algorithm="heft").lower_bound == 5.0


@pytest.fixture
def tables(tmp_path: Path) -> list[str]:
    (tmp_path / "tasks.csv").write_text("task_id,seconds\na,3\nb,2\nc,1\n")
    (tmp_path / "workers.csv").write_text("worker_id,speed\nw,1\nv,2\n")
    (tmp_path / "edges.csv").write_text("source,target,delay_seconds\na,b,1\n")
    return [f"--{name}={tmp_path / name}.csv" for name in ("tasks", "workers", "edges")]


def run(*arguments: str) -> str:
    from partitioner.cli import app

    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_place_prints_json_and_nothing_else(tables: list[str]) -> None:
    plan = json.loads(run("place", *tables, "--algorithm=heft", "--json"))
    assert (plan["makespan"], plan["lower_bound"]) == (3.5, 3.5)
    assert {a["task_id"] for a in plan["assignments"]} == {"a", "b", "c"}


def test_compare_prints_a_table_and_writes_a_page(tables: list[str], tmp_path: Path) -> None:
    text = run("compare", *tables, "--algorithm=lpt", "--algorithm=heft", f"--html={tmp_path / 'page.html'}")
    assert text.splitlines()[0].split() == [
        "algorithm", "makespan", "s", "lower", "bound", "s", "gap", "utilization", "loss", "money", "planning", "s",
    ]  # fmt: skip
    assert "<svg" in (tmp_path / "page.html").read_text()


def test_start_and_process_memory_are_told_in_units() -> None:
    planned = place([{"task_id": "t", "seconds": 1.0}], [{"worker_id": "w"}], algorithm="lpt")
    notes = {"start": {"engine start": 8.0123, "plan": 0.0331}, "process memory": {"resident": 1.738e8, "slots": 2}}
    told = replace(planned, about=replace(planned.about, notes=notes)).explain(0)
    assert "start: engine start 8.01 s, plan 0.0331 s" in told
    assert "process memory: 174 MB in each process, shared by 2 slots" in told
