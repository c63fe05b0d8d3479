"""Every error the library raises on purpose.

    PartitionerError                 exit code
    ├── ConfigError                  2   a setting, argument or table is wrong
    │   ├── UnknownName              2   no algorithm, engine, ... of that name
    │   ├── MissingDependency        2   an extra is not installed
    │   ├── Tampered                 2   what a run directory holds is not what this user sealed
    │   └── DamagedRun               2   what a run directory says of its run is missing or torn
    ├── DataError                    2   the input is missing, corrupt or lacks a column
    │   ├── OutOfReach               2   a file is not there, or may not be read, from where it was tried
    │   └── CostError                2   a cost is negative, NaN or infinite
    ├── ProgramError                 2   the function cannot be pickled or built
    ├── OutputExists                 2   the output already holds another run
    ├── ResumeRefused                2   input, config or code differ from the run's
    ├── InfeasiblePlan               3   no placement can meet the demands
    ├── InvalidPlan                  3   an algorithm made a plan that breaks what was asked
    ├── CallFailed                   4   a fit of a search, or another call that was planned, raised
    ├── ProgramExited                4   the function called sys.exit() or the like, which ends no process here
    ├── RunFailed                    4   a sub-task failed for good, or rows do not add up
    │   ├── PreflightFailed          4   a worker cannot do its part, found before the first sub-task
    │   ├── EngineLost               4   the cluster went away or cannot be reached; resumable
    │   ├── StorageFailed            4   a disk or store does not take a write; resumable
    │   └── DamagedOutput            4   a committed file is torn or another's; a resume discards it and runs it again
    ├── RunHeld                      6   another driver is working on the run, or on the output, right now
    │   └── LeaseLost                6   another driver took this run over while this one was silent
    └── Interrupted                130   Ctrl-C, SIGTERM; resumable

A message says what was received, what the limit is and what to do next.
"""

from __future__ import annotations

import re
import shlex
import traceback
from collections.abc import Iterable

from partitioner.known_secrets import masked

_NOT_THE_USERS = ("/partitioner/", "/connectors/", "/site-packages/", "/lib/python3", "<frozen", ".pxi", ".pyx")


def is_users(file: str) -> bool:
    """Whether a file of a traceback is the user's own: neither ours, nor a library's, nor Python's."""
    return not any(part in file for part in _NOT_THE_USERS)


class PartitionerError(Exception):
    """Root of the tree; ``exit_code`` is what the command line returns for it, ``fatal``: no retry mends it."""

    exit_code = 1
    fatal = False

    def __str__(self) -> str:
        """The message, without the secrets that this process knows, and with nothing that no terminal can show."""
        return masked(super().__str__()).encode(errors="backslashreplace").decode()

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the user's own lines and the message, without the library's."""
        own = [frame for frame in traceback.extract_tb(self.__traceback__) if is_users(frame.filename)]
        return [*traceback.format_list(own), f"{type(self).__name__}: {self}"]


class ConfigError(PartitionerError, ValueError):
    """A setting, an argument or a column of an input table is wrong."""

    exit_code = 2
    fatal = True


class UnknownName(ConfigError):
    """Nothing of that kind is registered under the name."""


class MissingDependency(ConfigError):
    """An optional package is not installed; the message holds the command that installs it."""


class Tampered(ConfigError):
    """What should hold code was not sealed with this user's key; nothing of it was loaded."""


class DamagedRun(ConfigError):
    """What a run directory says of its run (``run.json``, its sub-tasks) is missing, torn or something else."""


class DataError(PartitionerError):
    """The input is missing, corrupt, or lacks what was asked of it."""

    exit_code = 2
    fatal = True


class OutOfReach(DataError):
    """A file is missing or forbidden: on one worker, whose disk or mount may be at fault, another is tried."""

    fatal = False


class CostError(DataError):
    """A cost is negative, NaN or infinite; the message names the fragment or sub-task."""


class ProgramError(PartitionerError):
    """The user's function or class cannot be pickled, imported or built."""

    exit_code = 2
    fatal = True


class CallFailed(PartitionerError):
    """A call of ``partitioner.search`` raised ``error``; ``at_once``: it is not tried again."""

    exit_code = 4

    def __init__(self, error: BaseException, at_once: bool) -> None:
        super().__init__(text_of(error))
        self.kind = type(error)
        self.fatal = at_once


class ProgramExited(PartitionerError):
    """The user's function raised SystemExit or another exception that is meant to end a process: an error like others."""

    exit_code = 4

    @classmethod
    def by(cls, error: BaseException) -> ProgramExited:
        """In the place of what the function raised."""
        return cls(f"the program raised {type(error).__name__}({text_of(error)}) instead of returning")


class OutputExists(PartitionerError):
    """The output directory already holds another run."""

    exit_code = 2


class ResumeRefused(PartitionerError):
    """Input, config or code differ from those of the run to resume; the message shows the difference."""

    exit_code = 2


class InfeasiblePlan(PartitionerError):
    """No placement can meet the demands; the message names the resource, the demand and the largest capacity."""

    exit_code = 3


class InvalidPlan(PartitionerError, AssertionError):
    """An algorithm made a plan that breaks a constraint or claims what it cannot back: its defect, not the input's."""

    exit_code = 3


class RunFailed(PartitionerError):
    """A sub-task failed for good, or the rows do not add up. What is committed stays and can be resumed.

    ``raised``: ``module:Class`` of what a call of ``partitioner.search`` raised, and ``said`` its text; empty of all else.
    """

    exit_code = 4
    raised = ""
    said = ""


class PreflightFailed(RunFailed):
    """A worker cannot do its part; one sentence per failure, found before the first sub-task."""


class EngineLost(RunFailed):
    """The cluster cannot be reached or went away; the run can be resumed."""


class StorageFailed(RunFailed):
    """A disk or an object store does not take a write; the run can be resumed once it does."""


class DamagedOutput(RunFailed):
    """A committed file is torn, missing or another's; a resume discards it and runs its sub-task again."""


class RunHeld(PartitionerError):
    """Another driver is working on the run or its output; the message says who, since when, and its last heartbeat."""

    exit_code = 6


class LeaseLost(RunHeld):
    """Another driver took the run over while this one showed no sign of life; nothing more of this one is committed."""

    fatal = True


class Interrupted(PartitionerError):
    """Stopped by Ctrl-C, SIGTERM or SIGHUP; the message says what is left, and the command that resumes."""

    exit_code = 130


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and newline

MOST_SAID = 2_000
"""Characters of one error's text that are kept in events, ledger, messages and beside rows; its log has all of it."""


def text_of(error: BaseException, most: int = MOST_SAID) -> str:
    """What any error says, without secrets, in about ``most`` characters that can be written anywhere.

    Errors of strangers may fail when they are asked, or say megabytes, or hold bytes of a file name that are no text.
    """
    try:
        said = " ".join([str(error), *map(str, vars(error).get("__notes__", ()))])
    except Exception as failure:
        said = f"<its text cannot be had: {type(failure).__name__}>"
    return shortened(masked(said), most)


def in_one_line(text: str) -> str:
    """The lines of a text, one behind the other: what a message or a line of the ledger says of it."""
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def clause(error: BaseException) -> str:
    """``text_of`` as a part of a sentence, which has a period of its own."""
    return text_of(error).rstrip().removesuffix(".")


_ANSWER = re.compile(r"<Code>(.*?)</Code>\s*<Message>(.*?)</Message>", re.DOTALL)


def store_says(error: BaseException) -> str:
    """One line of what an object store's client raises: the store's own answer where there is one, else its first line."""
    said = text_of(error)
    answer = _ANSWER.search(said)
    return f"{answer[1]}: {answer[2].rstrip('.')}" if answer else said.partition("\n")[0].rstrip(". ")


def shortened(text: str, most: int) -> str:
    """The beginning and the end of a long text; what UTF-8 cannot encode, or a terminal obeys, is written out."""
    text = text.encode(errors="backslashreplace").decode().replace("\r\n", "\n")
    text = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    if len(text) <= most:
        return text
    return f"{text[: most // 2]} ... ({len(text)} characters in all) ... {text[-(most // 2) :]}"


def to_go_on(url: str) -> str:
    """The command that resumes the run in a directory, as a shell takes it: paths may hold blanks."""
    return f"partitioner resume {shlex.quote(url)}"


MOST_QUOTED = 200
"""Characters of what a user wrote that a message repeats: enough to know it again."""


def excerpt(given: object) -> str:
    """What a user gave as a message quotes it: a long formula by its beginning and its end."""
    return shortened(repr(given), MOST_QUOTED)


MOST_LISTED = 20
"""Names, of columns or files, that a message lists: all of a table that people read, not ten thousand."""


def listed(names: Iterable[object]) -> str:
    """Names with commas between them; of very many the first ones, and how many there are."""
    every = [str(name) for name in names]
    more = f", ... ({len(every)} in all)" if len(every) > MOST_LISTED else ""
    return ", ".join(every[:MOST_LISTED]) + more


def nearest(name: str, known: list[str]) -> str:
    """`` Did you mean 'x'?`` for the known name closest to ``name``, in whatever letters, or nothing."""
    import difflib

    plain = {each.casefold(): each for each in reversed(known)}
    close = difflib.get_close_matches(name.casefold(), plain, n=1, cutoff=0.5)
    return f" Did you mean {plain[close[0]]!r}?" if close else ""
