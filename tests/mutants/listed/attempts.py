"""Of attempts on workers: calls, batches, isolated rows, the fence and the commit."""

from __future__ import annotations

A = "partitioner/attempt"

CHOSEN: list[tuple[str, str, str, str]] = [
    (f"{A}/calling.py", "if care.suspects is None or not rows:", "if True:", "suspects are confirmed"),
    (
        f"{A}/calling.py",
        "if tally.surroundings == tally.quarantined == tally.rows_in > 1:",
        "if False:",
        "surroundings",
    ),
    (f"{A}/calling.py", "    if tally.suspects:\n", "    if False:\n", "suspects are confirmed"),
    (
        f"{A}/calling.py",
        "places = None if places is None else np.delete(places, sorted(bad))",
        "pass",
        "places of poison rows",
    ),
    (f"{A}/calling.py", "else base + places", "else places", "positions"),
    (f"{A}/calling.py", "(1 if job.reducer.whole_task else care.smaller)", "care.smaller", "whole sub-tasks"),
    (
        f"{A}/calling.py",
        "        raise ProgramExited.by(error) from error\n    except BaseException as error:",
        "        raise ProgramExited.by(error) from error\n    except GeneratorExit as error:",
        "sys.exit",
    ),
    (f"{A}/isolate.py", "return not isinstance(error, MemoryError | TimedOut) and", "return", "memory blames no row"),
    (f"{A}/isolate.py", "isinstance(error, OSError))", "False)", "surroundings"),
    (
        f"{A}/work.py",
        "low, high = max(start - first, 0), min(stop - first, batch.num_rows)",
        "low, high = 0, batch.num_rows",
        "rows of a part",
    ),
    (f"{A}/work.py", "position += fragment.rows  # wholly", "pass  # wholly", "rows of a part"),
    (f"{A}/parts.py", "return None if known.split else known", "return None", "a whole committed late"),
    (f"{A}/run.py", "    for whole in attempt.care.split_from:\n", "    for whole in ():\n", "the whole is given up"),
    (
        f"{A}/run.py",
        "if facts is not None and (known := loaded.run.committed(key)) is not None:",
        "if False:",
        "committed work stays",
    ),
    ("partitioner/model/execution.py", "gpu or isinstance(error, MemoryError)", "gpu", "memory is told"),
    (
        f"{A}/run.py",
        "        check_epoch(loaded.run.files, attempt)\n        return sink.commit",
        "        return sink.commit",
        "the fence",
    ),
    (
        f"{A}/run.py",
        "    load_seconds, loaded.load_seconds = loaded.load_seconds, 0.0",
        "    load_seconds = loaded.load_seconds",
        "one load",
    ),
    (
        f"{A}/returned.py",
        "for row, value in zip(rows, values, strict=True)) and any",
        "for row, value in zip(values, rows, strict=True)) and any",
        "a number among dicts",
    ),
    (
        f"{A}/batching.py",
        "np.maximum(np.maximum.accumulate(weights), held.heaviest)",
        "np.maximum.accumulate(weights)",
        "padding by the heaviest so far",
    ),
    (f"{A}/trial.py", 'if not run.files.put_new(CLAIM, b""):', "if False:", "one worker tries"),
    (f"{A}/agreement.py", "            _check_writable(wanted.schema)\n", "", "columns that no file holds"),
    (f"{A}/surroundings.py", "            over.set()\n", "            pass\n", "no alarm behind the end"),
    (f"{A}/job.py", "    masking.remember_environment(os.environ)\n", "", "secrets of a worker's own"),
]
"""File, right text, wrong text, and the law that is broken."""
