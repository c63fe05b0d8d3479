"""Modules by name, those in the working directory too: the user's program often lies there."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType


def module_of(name: str) -> ModuleType:
    """The module, imported. Raises what the import raises, ModuleNotFoundError among it."""
    search_here()
    return importlib.import_module(name)


def search_here() -> None:
    """Put the working directory on the search path, first."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
