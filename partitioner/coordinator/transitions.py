"""The states of a sub-task and every legal change between them. Read this first.

::

    BLOCKED --freed--> READY --submitted--> LIVE --finished--> DONE
                         ^                   |
                         +----- returned ----+

``BLOCKED``: it waits for predecessors to be committed, for the delay after them, or for its release. ``READY``: it waits
for a worker. ``LIVE``: an attempt at it is with the engine. ``DONE``: it is committed, for good.

The machine changes the state of a sub-task through ``after`` alone. Whatever the table does not list is a defect of ours.
"""

from __future__ import annotations

from enum import StrEnum

READY, LIVE, DONE, BLOCKED = range(4)

NAMES = ("READY", "LIVE", "DONE", "BLOCKED")


class Change(StrEnum):
    """What can happen to a sub-task. Several events of engines can mean the same to it: see ``machine``."""

    FREED = "freed"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    FINISHED = "finished"


TRANSITIONS: dict[tuple[int, Change], int] = {
    (BLOCKED, Change.FREED): READY,  # the last predecessor is committed and delay and release are over
    (READY, Change.SUBMITTED): LIVE,
    (LIVE, Change.RETURNED): READY,  # its attempt failed, was lost or was cancelled, and may be tried again
    (LIVE, Change.FINISHED): DONE,
}
"""(state, change) -> the state after it."""


class IllegalTransition(AssertionError):
    """The machine tried a change that ``TRANSITIONS`` does not list."""


def after(state: int, change: Change) -> int:
    """The state after ``change``. Raises IllegalTransition."""
    try:
        return TRANSITIONS[state, change]
    except KeyError:
        legal = ", ".join(name for start, name in TRANSITIONS if start == state) or "nothing"
        raise IllegalTransition(f"a sub-task that is {NAMES[state]} cannot be {change}; legal is {legal}") from None
