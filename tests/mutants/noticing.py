"""Which tests have to notice a wrong change, by where it is made."""

from __future__ import annotations

LADDER = tuple(f"tests/coordinator/test_ladder_{part}.py" for part in ("errors", "deaths", "time", "ends"))
_MACHINE = (
    "tests/coordinator/test_rungs.py",
    "tests/coordinator/test_handover.py",
    *LADDER,
    "tests/coordinator/test_machine.py",
    "tests/coordinator/test_transitions.py",
    "tests/coordinator/test_constraints.py",
    "tests/coordinator/test_seeds.py",
    "tests/coordinator/test_laws.py",
)
_FIGURES = tuple(
    f"tests/coordinator/test_{part}.py"
    for part in (
        "reasons_of_ends",
        "sessions_in_full",
        "capacity",
        "readiness",
        "time_limits",
        "dividing",
        "retry_figures",
        "death_figures",
        "blame_figures",
        "attempt_orders",
        "sharing_rests",
        "start_and_end_events",
        "trouble_events",
        "worker_events",
        "stability",
        "single_steps",
        "plan_order",
        "waiting_ahead",
        "reservations",
        "submitting",
        "taking_over",
        "bundle_sizes",
        "forecast_figures",
        "moved_work",
        "driving",
        "ledger_lines",
        "starting_figures",
        "sessions",
        "eta_figures",
        "whole_stories",
        "upcoming",
        "awaiting",
        "alike",
    )
)
_FORECAST = tuple(
    f"tests/coordinator/test_{part}.py" for part in ("bundling", "stealing", "forecast", "eta", "keeps_plan")
)
_SLOW = "--deselect=tests/coordinator/test_eta.py::test_the_interval_holds_the_truth_about_nine_times_in_ten"
_ATTEMPT = (
    "tests/attempt",
    "tests/test_results.py",
    "--deselect=tests/attempt/test_guest.py",
)
_CHECKS = tuple(
    f"tests/runs/test_{part}.py" for part in ("checks", "damaged_files", "before_a_resume", "reduced_by_hand")
)
_RESUME = (
    "tests/test_resume.py",
    "--deselect=tests/test_resume.py::test_a_run_of_a_script_with_data_in_memory_resumes_from_its_directory_alone",
    "--deselect=tests/test_resume.py::test_a_resume_from_another_working_directory_writes_to_the_same_output",
)

_MERGES = (  # what starts Spark notices nothing that the others do not
    "tests/test_merging.py",
    "--deselect=tests/test_merging.py::test_merges_on_spark_outlive_a_worker_that_dies_in_one",
)
_PROBES = (
    "tests/test_batch_weight.py",
    "--deselect=tests/test_batch_weight.py::test_a_death_in_the_probe_does_not_end_the_run",
)
_BY_KEY = (
    "tests/stages/test_changes_by_hand.py",
    "tests/stages/test_picked_by_hand.py",
    "tests/modes/test_keys.py",
    "tests/modes/test_sections.py",
    "tests/modes/test_starting_again.py",
)

TESTS: dict[str, tuple[str, ...]] = {
    "partitioner/coordinator": (*_FIGURES, *_MACHINE, *_FORECAST, _SLOW),
    "partitioner/attempt": _ATTEMPT,
    "partitioner/model": (
        "tests/attempt/test_calling.py",
        "tests/attempt/test_isolate_errors.py",
        *LADDER,
    ),
    "partitioner/runs/results.py": (
        *_CHECKS,
        "tests/runs/test_schemas_at_the_end.py",
        "tests/test_results.py",
        "tests/test_commit_log.py",
    ),
    "partitioner/runs/integrity.py": (*_CHECKS, "tests/test_integrity.py"),
    "partitioner/runs/resume.py": ("tests/runs/test_placed_again.py", *_CHECKS, *_RESUME),
    "partitioner/store/lease.py": ("tests/store/test_lease_facts.py", "tests/test_lease.py"),
    "partitioner/store": ("tests/store", "tests/test_commit_log.py", "tests/test_integrity.py", *_RESUME),
    "partitioner/runs/repair.py": ("tests/runs/test_repaired_output.py", "tests/test_repair.py"),
    "partitioner/runs/merg": (
        "tests/runs/test_merging_by_hand.py",
        "tests/runs/test_merger_by_hand.py",
        *_MERGES,
    ),
    "partitioner/runs": (*_CHECKS, "tests/test_repair.py", *_MERGES),
    "partitioner/running.py": (
        "tests/runs/test_on_the_medium.py",
        "tests/runs/test_torn_columns.py",
        "tests/runs/test_last_steps.py",
        "tests/test_integrity.py",
        *_RESUME,
    ),
    "partitioner/output/versions.py": ("tests/output/test_versions.py",),
    "partitioner/output/publishing.py": (
        "tests/output/test_exchanged_folders.py",
        "tests/output/test_shown_versions.py",
    ),
    "partitioner/output/modes.py": ("tests/output/test_modes_by_hand.py", "tests/output/test_incremental_by_hand.py"),
    "partitioner/output/finishing.py": (
        "tests/output/test_parts.py",
        "tests/runs/test_last_steps.py",
        "tests/runs/test_on_the_medium.py",
        "tests/modes/test_reduced.py",
        "tests/modes/test_every_mode.py",
    ),
    "partitioner/output": ("tests/output", "tests/modes"),
    "partitioner/stages/narrowing.py": ("tests/test_narrowing.py",),
    "partitioner/stages/filters.py": ("tests/test_narrowing.py",),
    "partitioner/stages/batch_weight.py": (
        "tests/stages/test_batch_weight_by_hand.py",
        "tests/stages/test_probing_by_hand.py",
        *_PROBES,
    ),
    "partitioner/stages/start.py": ("tests/stages", "tests/engines/test_late.py"),
    "partitioner/stages/changes.py": _BY_KEY,
    "partitioner/stages/picked.py": _BY_KEY,
    "partitioner/stages/scanning.py": _BY_KEY,
    "partitioner/stages": ("tests/stages",),
    "partitioner/security/sealing.py": ("tests/test_sealing.py", "tests/reducers/test_signed_partials.py"),
    "partitioner/storage.py": ("tests/runs/test_on_the_medium.py", "tests/test_storage.py"),
    "connectors/parquet_sink.py": (
        "tests/test_storage.py",
        "tests/test_merging.py::test_a_piece_with_another_byte_is_named_with_its_sub_task",
        "tests/test_integrity.py",
    ),
}
"""Where a file is -> the tests that have to notice; how long they take ``python -m tests.mutants`` says at its start."""


def tests_of(file: str) -> tuple[str, ...]:
    """The tests for a file: those of the first place that it is in."""
    return next(tests for place, tests in TESTS.items() if file.startswith(place))
