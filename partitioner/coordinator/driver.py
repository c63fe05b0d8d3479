"""The driver loop: poll the engine, step the machine, apply the actions, tell the observers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from partitioner import interrupts
from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Action, Cancel, State, Stop, Submit
from partitioner.engines.base import Engine
from partitioner.errors import Interrupted, PartitionerError
from partitioner.model import Event, EventKind

POLL_SECONDS = 0.2
"""A real engine is waited for that long at most, so that Ctrl-C is heard."""


class Observer(Protocol):
    """Something that watches a run: ledger, progress line, collector of records."""

    def observe(self, state: State, events: Sequence[Event], actions: Sequence[Action]) -> None:
        """Called after every step."""
        ...


def drive(engine: Engine, state: State, observers: Sequence[Observer], clock: Callable[[], float]) -> State:
    """Run until nothing is left.

    Raises RunFailed or EngineLost where the machine stops, Interrupted after a signal; live attempts are cancelled then.
    """
    events: list[Event] = []
    longest = POLL_SECONDS if engine.capabilities.real else state.policy.trusted_seconds
    with interrupts.noted() as interrupted:
        while True:
            now = clock()
            state, actions = step(state, events, now)
            _apply(engine, actions)
            try:
                for observer in observers:
                    observer.observe(state, events, actions)
            except PartitionerError:
                engine.cancel(list(state.attempts))
                raise
            _raise_stop(actions)
            if state.finished:
                return state
            if interrupted.is_set():
                engine.cancel(list(state.attempts))
                raise Interrupted(interrupted.why)
            events = engine.poll(min(longest, state.quiet_seconds(now)))
            events += [] if engine.late is None else engine.late.events()
            events += _coming(engine, state)


def _coming(engine: Engine, state: State) -> list[Event]:
    """While nothing can run: how many workers are being started, where that has changed."""
    if state.stuck_since is None or (coming := engine.coming()) == state.coming:
        return []
    return [Event(EventKind.WORKERS_COMING, coming=coming)]


def _apply(engine: Engine, actions: Sequence[Action]) -> None:
    submits = [a.attempt for a in actions if isinstance(a, Submit)]
    cancels = [a.attempt_id for a in actions if isinstance(a, Cancel) and not a.kill]
    kills = [a.attempt_id for a in actions if isinstance(a, Cancel) and a.kill]
    if submits:
        engine.submit(submits)
    if cancels:
        engine.cancel(cancels)
    if kills:
        engine.kill(kills)


def _raise_stop(actions: Sequence[Action]) -> None:
    for action in actions:
        if isinstance(action, Stop):
            raise action.error
