"""How an async program is called, and which settings are for it: by hand."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from partitioner import config as configuration
from partitioner.attempt.asynchronous import Concurrency
from partitioner.config import RunConfig
from partitioner.errors import ConfigError
from partitioner.stages.calling import concurrency_of


def config(**options: Any) -> RunConfig:
    return configuration.make({"dataset": "d", "checkpoint": "/runs", **options})


class OutOfTokens(Exception):
    """Of a model server."""


async def by_row(row: dict[str, Any]) -> Any:
    return row


async def by_frame(batch: pd.DataFrame) -> Any:
    return batch


async def by_text(batch: list) -> Any:  # type: ignore[type-arg]
    return batch


class Service:
    """Is called with a frame."""

    async def __call__(self, batch: pd.DataFrame) -> Any:
        return batch


@pytest.mark.parametrize(
    ("program", "options", "rows"),
    [
        (by_row, {}, 0),
        (by_row, {"batch_size": 7}, 7),
        (by_row, {"batch_format": "pandas"}, 1),
        (by_frame, {}, 1),
        (by_text, {}, 1),
        (Service, {}, 1),
        (by_frame, {"batch_size": 7}, 7),
    ],
)
def test_an_async_program_gets_rows_or_batches(program: Any, options: dict[str, Any], rows: int) -> None:
    found = concurrency_of(config(**options), program)
    assert found == Concurrency(rows=rows, retries=config().retry_calls, backoff_seconds=config().retry_backoff)


def test_settings_of_calls_are_taken_over() -> None:
    options = {"max_concurrency": 3, "rate_limit": 9.0, "retry_on": ["OSError"], "retry_calls": 2, "retry_backoff": 0.1}
    assert concurrency_of(config(**options), by_row) == Concurrency(0, 3, 9.0, ("OSError",), 2, 0.1)
    assert concurrency_of(config(), len) is None


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("Exception", "Exception"),
        ("OutOfTokens", "OutOfTokens"),
        ("OSError", "OSError"),
        ("builtins.OSError", "builtins.OSError"),
        ("asyncio.TimeoutError", "builtins.TimeoutError"),
        ("urllib.error.HTTPError", "urllib.error.HTTPError"),
        (f"{__name__}.OutOfTokens", f"{__name__}.OutOfTokens"),
    ],
)
def test_errors_to_try_again_are_known_by_the_names_of_their_classes(given: str, known: str) -> None:
    found = concurrency_of(config(retry_on=[given]), by_row)
    assert found is not None
    assert found.retry_on == (known,)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("TimoutError", r"'TimoutError', and no exception class of that name .* Did you mean 'TimeoutError'\?"),
        ("len", "'len', and no exception class of that name is loaded"),
        ("", "'', and no exception class of that name is loaded"),
        ("urllib.error.HTPError", "'urllib.error.HTPError', which cannot be found: module 'urllib.error' has no"),
        ("no_such_package.Busy", "'no_such_package.Busy', which cannot be found: No module named"),
        ("os.path.join", "'os.path.join', which is <function join .*> and no class of exceptions"),
        ("asyncio.CancelledError", "'asyncio.CancelledError', which is <class .*> and no class of exceptions"),
    ],
)
def test_an_error_to_try_again_that_is_none_is_refused(given: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^retry_on names {message}"):
        concurrency_of(config(retry_on=[given]), by_row)


@pytest.mark.parametrize("option", [{"max_concurrency": 3}, {"rate_limit": 9.0}, {"retry_on": ["OSError"]}])
def test_settings_of_async_programs_are_for_these(option: dict[str, Any]) -> None:
    with pytest.raises(
        ConfigError, match=f"{next(iter(option))} is for async programs; write the program as async def"
    ):
        concurrency_of(config(**option), len)


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ({"batch_size": "auto"}, "batch_size: auto"),
        ({"weight": "x"}, "weight"),
        ({"weight": "x", "max_batch_weight": 5.0}, "max_batch_weight"),
        ({"weight": "x", "sort_by_weight": True}, "sort_by_weight"),
    ],
)
def test_settings_of_batches_are_not_for_async_programs(option: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is not for async programs; give batch_size as a number of rows"):
        concurrency_of(config(**option), by_row)
