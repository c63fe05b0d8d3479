"""What is free on one worker over time, and the earliest moment that a demand fits for its whole duration."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import Protocol

import numpy as np

from partitioner.model.data import Floats
from partitioner.placement.problem import TOLERANCE, Problem

Devices = tuple[int, ...]
_UNLIMITED = 1e300

INSTANT = 1e-9
"""Seconds that a task of no duration is booked for: it needs its worker too, so what is placed later may not lie over it."""


class Timeline(Protocol):
    """Reservations on one worker. Tasks may be inserted into holes between earlier reservations."""

    def earliest(self, i: int, ready: float, duration: float) -> float:
        """The first start >= ``ready`` at which task i fits for ``duration`` seconds."""
        ...

    def reserve(self, i: int, start: float, duration: float, devices: Devices = ()) -> Devices:
        """Book task i, on ``devices`` where they are given; returns the GPU devices it got (none where it needs none)."""
        ...

    def release(self, i: int, start: float, duration: float, devices: Devices = ()) -> None:
        """Undo a reservation."""
        ...


class Exclusive:
    """A worker that runs one task at a time: busy intervals in order."""

    __slots__ = ("begins", "ends")

    def __init__(self) -> None:
        self.begins: list[float] = []
        self.ends: list[float] = []

    def earliest(self, i: int, ready: float, duration: float) -> float:
        """First hole of ``duration`` at or after ``ready``."""
        ends, begins = self.ends, self.begins
        if not ends or ready >= ends[-1]:
            return ready
        at = bisect_right(ends, ready)
        start = ready
        while at < len(begins):
            if start + duration <= begins[at]:
                return start
            start = max(start, ends[at])
            at += 1
        return start

    def reserve(self, i: int, start: float, duration: float, devices: Devices = ()) -> Devices:
        """Book [start, start + duration), an instant of it where that is nothing."""
        at = bisect_left(self.begins, start)
        self.begins.insert(at, start)
        self.ends.insert(at, _end(start, duration))
        return ()

    def release(self, i: int, start: float, duration: float, devices: Devices = ()) -> None:
        """Undo a reservation."""
        at = bisect_left(self.begins, start)
        del self.begins[at], self.ends[at]


class Capacity:
    """A worker that runs several at once: free amounts per segment of time, per resource and per GPU device.

    Columns are the K resources, then for each device its free share and its free memory. Segment s lasts from
    ``times[s]`` to ``times[s + 1]``; the last one for ever.
    """

    __slots__ = ("demand", "devices", "free", "gpu_memory", "gpus", "kinds", "slack", "times", "uses_gpu")

    def __init__(self, problem: Problem, group: int) -> None:
        self.kinds = len(problem.resources)
        self.devices = int(problem.devices[group]) if problem.uses_gpu.any() else 0
        device = [1.0, float(problem.device_memory[group])] * self.devices
        total = np.minimum(np.concatenate([problem.capacity[group], np.array(device)]), _UNLIMITED)
        self.slack: Floats = np.where(total < _UNLIMITED, total * TOLERANCE, 0.0)
        self.times: list[float] = [0.0]
        self.free: Floats = total.reshape(1, -1).copy()
        self.demand = problem.demand
        self.gpus, self.gpu_memory, self.uses_gpu = problem.gpus, problem.gpu_memory, problem.uses_gpu

    def earliest(self, i: int, ready: float, duration: float) -> float:
        """First start at which resources and, on the same devices throughout, GPUs suffice."""
        first = bisect_right(self.times, ready) - 1
        fits = np.all(self.free[first:, : self.kinds] + self.slack[: self.kinds] >= self.demand[i], axis=1)
        if not self.uses_gpu[i] and fits.all():
            return ready
        bad = (np.flatnonzero(~fits) + first).tolist()
        edge = 0
        start, last = ready, len(self.times)
        for stop in [*bad, last]:
            end = self.times[stop] if stop < last else np.inf
            if start < end and (start + duration <= end):
                found = self._device_start(i, start, duration, end) if self.uses_gpu[i] else start
                if found is not None:
                    return found
            edge = stop + 1
            if edge < last:
                start = max(ready, self.times[edge])
        raise ValueError(f"task {i} does not fit on this worker even when it is empty")

    def _device_start(self, i: int, start: float, duration: float, end: float) -> float | None:
        """The first start in [start, end - duration] at which devices are free throughout."""
        at = bisect_right(self.times, start)
        while start + duration <= end:
            if self._choose(i, start, duration):
                return start
            if at >= len(self.times) or self.times[at] >= end:
                return None
            start = self.times[at]
            at += 1
        return None

    def _choose(self, i: int, start: float, duration: float) -> Devices:
        """Devices that task i can have for the whole time: the tightest that fits, or whole free ones."""
        first = bisect_right(self.times, start) - 1
        last = max(first + 1, bisect_left(self.times, start + duration))
        window = self.free[first:last, self.kinds :].min(axis=0)
        share, memory = window[0::2], window[1::2]
        want = self.gpus[i] if self.gpus[i] < 1 else 1.0
        fits = (share + TOLERANCE >= want) & (memory * (1 + TOLERANCE) + TOLERANCE >= self.gpu_memory[i])
        able = np.flatnonzero(fits)
        count = max(1, round(float(self.gpus[i])))
        if len(able) < count:
            return ()
        return tuple(int(d) for d in able[np.argsort(share[able], kind="stable")[:count]])

    def reserve(self, i: int, start: float, duration: float, devices: Devices = ()) -> Devices:
        """Book task i over [start, start + duration), an instant of it where that is nothing."""
        if not devices and self.uses_gpu[i]:
            devices = self._choose(i, start, duration)
        self._add(start, _end(start, duration), -self._column(i, devices))
        return devices

    def release(self, i: int, start: float, duration: float, devices: Devices = ()) -> None:
        """Undo a reservation."""
        end = _end(start, duration)
        self._add(start, end, self._column(i, devices))
        self._join(end)
        self._join(start)

    def _join(self, at: float) -> None:
        """Merge the segment that begins at ``at`` with the one before where the same is free in both."""
        s = bisect_left(self.times, at)
        if s and bool(np.all(np.abs(self.free[s] - self.free[s - 1]) <= self.slack * 1e-3)):
            del self.times[s]
            self.free = np.delete(self.free, s, axis=0)

    def _column(self, i: int, devices: Devices) -> Floats:
        amounts = np.zeros(self.free.shape[1])
        amounts[: self.kinds] = self.demand[i]
        for d in devices:
            amounts[self.kinds + 2 * d] = self.gpus[i] if self.gpus[i] < 1 else 1.0
            amounts[self.kinds + 2 * d + 1] = self.gpu_memory[i]
        return amounts

    def _add(self, start: float, end: float, amounts: Floats) -> None:
        first, last = self._cut(start), self._cut(end)
        self.free[first:last] += amounts

    def _cut(self, at: float) -> int:
        """Index of the segment that begins at ``at``, made by splitting one if need be."""
        s = bisect_left(self.times, at)
        if s == len(self.times) or self.times[s] != at:
            self.times.insert(s, at)
            self.free = np.insert(self.free, s, self.free[s - 1], axis=0)
        return s


def _end(start: float, duration: float) -> float:
    """When a booking ends: later than it begins, however large the time is."""
    return max(start + duration, start + INSTANT, math.nextafter(start, math.inf))


def timeline_of(problem: Problem, group: int) -> Timeline:
    """The cheapest timeline that is exact for a worker of ``group``."""
    slots = problem.slots
    exclusive = slots is not None and slots.per_group[group] == 1
    return Exclusive() if exclusive else Capacity(problem, group)
