"""The states of a sub-task and every legal change between them. Read this first.

::

    BLOCKED --freed--> READY --submitted--> LIVE --finished--> DONE
                         ^                   |                   ^
                         +----- returned ----+---split--> SPLIT -+ finished

``BLOCKED``: it waits for predecessors to be committed, for the delay after them, or for its release. ``READY``: it waits
for a worker. ``LIVE``: an attempt at it is with the engine. ``DONE``: it is committed, for good. ``SPLIT``: its attempts
kept dying, so its rows were divided among parts, which are sub-tasks of their own; it is done when they are. A part that
turns out not to be needed is ``dropped``.

The machine changes the state of a sub-task through ``after`` alone. Whatever the table does not list is a defect of ours.
"""

from __future__ import annotations

from enum import StrEnum

READY, LIVE, DONE, BLOCKED, SPLIT = range(5)

NAMES = ("READY", "LIVE", "DONE", "BLOCKED", "SPLIT")


class Change(StrEnum):
    """What can happen to a sub-task. Several events of engines can mean the same to it: see ``machine``."""

    FREED = "freed"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    FINISHED = "finished"
    SPLIT = "split"
    DROPPED = "dropped"


TRANSITIONS: dict[tuple[int, Change], int] = {
    (BLOCKED, Change.FREED): READY,  # the last predecessor is committed and delay and release are over
    (READY, Change.SUBMITTED): LIVE,
    (LIVE, Change.RETURNED): READY,  # its attempt failed, was lost or was cancelled, and may be tried again
    (LIVE, Change.FINISHED): DONE,
    (LIVE, Change.SPLIT): SPLIT,  # too many of its attempts died
    (READY, Change.SPLIT): SPLIT,  # a resume finds that an earlier session split it
    (SPLIT, Change.FINISHED): DONE,  # its parts are done
    (READY, Change.DROPPED): DONE,  # a late attempt at the whole had committed it before it was split
    (LIVE, Change.DROPPED): DONE,
    (SPLIT, Change.DROPPED): DONE,
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
