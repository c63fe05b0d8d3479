"""Worker processes import the script that starts them: one that starts a run at its top level would start them again."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import FrameType

from partitioner.errors import ConfigError


def check_main_guard() -> None:
    """Raise ConfigError where the main script starts worker processes outside of ``if __name__ == "__main__":``.

    Notebooks, the command line, ``python -c`` and packages run by ``python -m`` are imported by nobody, and pass.
    """
    main = sys.modules.get("__main__")
    file = vars(main).get("__file__") if main is not None else None
    spec = vars(main).get("__spec__") if main is not None else None
    if file is None or (spec is not None and spec.name.endswith("__main__")):
        return
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") == "__main__":
            _check_line(Path(file), frame.f_lineno)
            return
        frame = frame.f_back


def _check_line(script: Path, line: int) -> None:
    try:
        body = ast.parse(script.read_text()).body
    except (OSError, SyntaxError, UnicodeDecodeError):
        return  # not a script that Python itself could run again
    at = next((node for node in body if node.lineno <= line <= (node.end_lineno or node.lineno)), None)
    if at is None or (isinstance(at, ast.If) and "__name__" in ast.dump(at.test)):
        return
    raise ConfigError(
        f"{script}, line {line}, starts worker processes at its top level, and each of them would import the script and "
        'start more: put the call below a line  if __name__ == "__main__":  , or run with engine="serial".'
    )
