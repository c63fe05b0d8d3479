"""A slot that is a process of its own: calls come in on standard input, answers go out on what was standard output."""

from __future__ import annotations

import os
import pickle
import sys

import cloudpickle

from partitioner.attempt import garbage


def main() -> None:
    """Answer calls, each a pickled (function, arguments), until the input ends. What programs print goes to stderr."""
    garbage.worker()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            function, args = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = function(*args)
        except (Exception, SystemExit) as error:
            answer = error
        cloudpickle.dump(answer, out)
        out.flush()


if __name__ == "__main__":
    main()
