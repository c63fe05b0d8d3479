"""What the parts of ``run.json`` are, as far as readers rely on it: a file that somebody edited may hold others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PARTS: Mapping[tuple[str, ...], type | tuple[type, ...]] = {
    ("run_id",): str,
    ("config",): dict,
    ("config", "objective"): (str, dict),
    ("config", "task_cpus"): (int, float),
    ("fingerprints",): dict,
    ("fingerprints", "input"): dict,
    ("fingerprints", "config"): dict,
    ("fingerprints", "code"): str,
    ("fingerprints", "modules"): dict,
    ("fingerprints", "libraries"): dict,
    ("versions",): dict,
    ("target",): dict,
}
"""Where a part lies, and what it is there; none of them has to be."""


def well_formed(values: Mapping[str, Any]) -> bool:
    """Whether every part that is there is of its kind."""
    return all(_is(values, place, kind) for place, kind in _PARTS.items())


def _is(values: Mapping[str, Any], place: tuple[str, ...], kind: type | tuple[type, ...]) -> bool:
    at: Any = values
    for name in place:
        if not isinstance(at, dict) or name not in at:
            return True
        at = at[name]
    return isinstance(at, kind)
