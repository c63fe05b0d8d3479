"""Measure every Python source file: a CPU-bound program over truly skewed input (a few bytes to hundreds of kilobytes).

partitioner run conf/stdlib.yaml
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from math import log2

import pandas as pd


def analyse(files: pd.DataFrame) -> pd.DataFrame:
    """Per file: path, lines, tokens, functions, branches, and the entropy of its names in bits."""
    return pd.DataFrame(
        [{"path": path, **measure(text)} for path, text in zip(files["path"], files["text"], strict=True)]
    )


def measure(text: str) -> dict[str, float]:
    """The figures of one file; -1 throughout where it is not valid Python (test data of the library itself)."""
    try:
        tree = ast.parse(text)
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (SyntaxError, ValueError, tokenize.TokenError):
        return dict.fromkeys(("lines", "tokens", "functions", "branches", "entropy"), -1.0)
    nodes = Counter(type(node).__name__ for node in ast.walk(tree))
    names = Counter(token.string for token in tokens if token.type == tokenize.NAME)
    total = names.total()
    return {
        "lines": float(text.count("\n")),
        "tokens": float(len(tokens)),
        "functions": float(nodes["FunctionDef"] + nodes["AsyncFunctionDef"]),
        "branches": float(sum(nodes[kind] for kind in ("If", "For", "While", "Try", "IfExp", "comprehension"))),
        "entropy": -sum(c / total * log2(c / total) for c in names.values()) if total else 0.0,
    }
