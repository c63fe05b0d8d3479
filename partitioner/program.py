"""The user's program: found by name, pickled so that workers need not have its file, fingerprinted by its code."""

from __future__ import annotations

import hashlib
import inspect
import io
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle

from partitioner.errors import ProgramError, clause, nearest, shortened
from partitioner.importing import module_of
from partitioner.known_secrets import masked
from partitioner.own_code import dumped, installed, libraries, sources

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # differs from process to process


SHOWN = 100
"""Characters of what is no program, in the message that says so."""


def resolve(program: Any) -> Callable[..., Any]:
    """A function or class from itself or from ``package.module:name`` (the working directory is searched too)."""
    if callable(program):
        return program  # type: ignore[no-any-return]
    if not isinstance(program, str) or ":" not in program:
        said = shortened(" ".join(repr(program).split()), SHOWN)
        raise ProgramError(
            f"program is {said}; give a function or class itself, not what it returns, or 'package.module:name'."
        )
    module_name, _, attribute = program.partition(":")
    try:
        module = module_of(module_name)
    except ModuleNotFoundError as error:
        raise ProgramError(f"program {program!r}: {error}; run from the directory that holds it.") from error
    found = getattr(module, attribute, None)
    if not callable(found):
        known = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise ProgramError(f"program {program!r}: {module_name} has no such name.{nearest(attribute, known)}")
    return found  # type: ignore[no-any-return]


def unwrapped(program: Callable[..., Any]) -> Callable[..., Any]:
    """The function or class inside any number of ``functools.partial``."""
    while isinstance(program, partial):
        program = program.func
    return program


ONE_BATCH = ("one batch",)
A_ROUND = ("the data of a partition", "the state of the round")
"""What a program is called with, in a run and in a round of ``pt.iterate``."""


def check_call(program: Callable[..., Any], arguments: Mapping[str, Any], given: tuple[str, ...] = ONE_BATCH) -> None:
    """Raise ProgramError where a program cannot be built from its arguments, or called with what it is given."""
    words = " and ".join(given)
    name = name_of(program).rpartition(":")[2]
    if not inspect.isclass(program):
        _check_bind(program, (None,) * len(given), arguments, f"{name} cannot be called with {words}")
        return
    if "__call__" not in dir(program):
        raise ProgramError(f"{name} has no __call__; give it one that takes {words}.")
    _check_bind(program, (), arguments, f"{name} cannot be built")
    _check_bind(program.__call__, (None,) * (1 + len(given)), {}, f"{name}.__call__ cannot be called with {words}")


def _check_bind(target: Any, given: tuple[Any, ...], arguments: Mapping[str, Any], problem: str) -> None:
    if (why := refusal(target, given, arguments)) is not None:
        named = f" and the arguments {', '.join(arguments)}" if arguments else ""
        raise ProgramError(f"{problem}{named}: {why}; give what it needs in arguments.")


def refusal(target: Any, given: Sequence[Any], keywords: Mapping[str, Any]) -> str | None:
    """Why ``target`` cannot be called with these, and what it takes; None where it can be, or does not say."""
    try:
        signature = inspect.signature(target)
    except (ValueError, TypeError):  # compiled functions need not say what they take
        return None
    try:
        signature.bind(*given, **keywords)
    except TypeError as error:
        return f"{clause(error)}. It takes {signature}"
    return None


def name_of(program: Callable[..., Any]) -> str:
    """``module:name`` for messages and profiles."""
    program = unwrapped(program)
    target = program if hasattr(program, "__qualname__") else type(program)
    return f"{target.__module__}:{target.__qualname__}"


def profile_name(program: Callable[..., Any], arguments: Mapping[str, Any]) -> str:
    """What profiles know a program by: ``module:name``, and a digest of what it is given where it is given anything.

    Arguments, and the numbers and texts that it closes over or carries, make another program of it: a model of another
    size. Of a script the module is its file. Of a lambda, of a function within another and of what was typed into a notebook
    the code counts too, for many share a name.
    """
    inner = unwrapped(program)
    name, file = name_of(inner), _file_of(inner)
    nameless = "<" in name
    if name.startswith("__main__:"):
        script = file is not None and not file.startswith("<") and "ipykernel" not in file
        nameless = nameless or not script
        name = f"{Path(file).name}:{name.partition(':')[2]}" if script and file is not None else name
    state = _state(program, arguments)
    code = _code_facts(inner.__code__) if nameless and inspect.isfunction(inner) else ()
    given = fingerprint(program, arguments) if nameless else ""
    digest = hashlib.sha256(f"{code}\n{given}\n{state}".encode()).hexdigest()
    return f"{name} [{digest[:8]}]" if state or nameless else name


def _file_of(program: Any) -> str | None:
    """The file that a function, or the first function of a class, was compiled from: they know it wherever they travel."""
    inside = vars(program if inspect.isclass(program) else type(program)).values()
    functions = [program] if inspect.isfunction(program) else [f for f in inside if inspect.isfunction(f)]
    return functions[0].__code__.co_filename if functions else None


def dumps(value: Any, program: Callable[..., Any]) -> bytes:
    """Pickle a job. Modules of the user's own (not installed packages) travel by value, so workers need no copy.

    They are the program's, with those it takes names from, and those of every other class in the job: a reducer or a
    source of the user's. Raises ProgramError naming what cannot be pickled.
    """
    try:
        own = _own_modules(inspect.getmodule(unwrapped(program)))
        for name in _modules_in(value):
            own = _own_modules(sys.modules.get(name), own)
        for module in own:
            cloudpickle.register_pickle_by_value(module)
        try:
            return bytes(cloudpickle.dumps(value))
        finally:
            for module in own:
                cloudpickle.unregister_pickle_by_value(module)
    except Exception as error:
        raise ProgramError(
            f"{name_of(program)} cannot be sent to workers: {type(error).__name__}: {clause(error)}. "
            "Open locks, files and connections inside the function or in the class's __init__, not around it."
        ) from error


def _modules_in(value: Any) -> list[str]:
    """Names of the modules whose classes and functions a value is made of."""
    pickler = _Noting(io.BytesIO())
    pickler.dump(value)
    return list(pickler.modules)


class _Noting(cloudpickle.Pickler):  # type: ignore[misc]
    """Notes the modules of what it pickles."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.modules: dict[str, None] = {}

    def reducer_override(self, obj: Any) -> Any:
        """Called for every object that is no plain value."""
        if inspect.isclass(obj) or inspect.isfunction(obj):
            self.modules[obj.__module__] = None
        return super().reducer_override(obj)


def _own_modules(module: Any, found: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    """The module and those it takes names from, as far as they are the user's own and not installed."""
    if module is None or module in found or _installed(module):
        return found
    found = found if module.__name__ == "__main__" else (*found, module)
    for value in list(vars(module).values()):
        home = getattr(value, "__module__", None)
        taken = value if inspect.ismodule(value) else sys.modules.get(home) if isinstance(home, str) else None
        if taken is not module:
            found = _own_modules(taken, found)
    return found


def _installed(module: Any) -> bool:
    return installed(module.__name__, getattr(module, "__file__", None))


def is_own(kind: type[Any]) -> bool:
    """Whether a class is the user's own: in a script, a notebook or a file that is not installed."""
    module = sys.modules.get(kind.__module__)
    return kind.__module__.partition(".")[0] not in ("partitioner", "builtins") and (
        module is None or module.__name__ == "__main__" or not _installed(module)
    )


_held: list[tuple[Any, Mapping[str, Any]]] = []


def hold(loaded: Any, known: Mapping[str, Any]) -> None:
    """Note that a program, or a reducer, was loaded from a run whose fingerprints are ``known``: its source may be out of
    reach here.
    """
    _held.append((loaded, known))


def known_of(loaded: Any) -> Mapping[str, Any] | None:
    """The fingerprints of the run that something was loaded from; None where it was not."""
    return next((known for held, known in _held if held is loaded), None)


def surroundings(program: Callable[..., Any]) -> dict[str, Any]:
    """``modules`` of the user's own that the program's module imports, with digests; ``libraries`` with versions."""
    program = unwrapped(program)
    known = known_of(program)
    if known is not None:
        return {name: dict(known.get(name, {})) for name in ("modules", "libraries")}
    module = inspect.getmodule(program)
    file = getattr(module, "__file__", None)
    if module is None or file is None or not file.endswith(".py") or _installed(module):
        return {"modules": {}, "libraries": {}}
    return {"modules": sources(module.__name__, file), "libraries": libraries(module.__name__, file)}


def fingerprint(program: Callable[..., Any], arguments: Mapping[str, Any]) -> str:
    """sha256 of the program's code and arguments; comments, formatting and docstrings do not count.

    The whole module counts where the program is in a file of the user's own, so that a changed helper is noticed; for
    notebooks and installed packages the object's own source, or its bytecode where there is no source.
    """
    known = known_of(program)
    if known is not None:
        return str(known["code"])
    if isinstance(program, partial):
        return fingerprint(program.func, _given(program, arguments))
    module = inspect.getmodule(program)
    own_file = module is not None and module.__name__ != "__main__" and not _installed(module)
    try:
        source = inspect.getsource(module if own_file and module is not None else program)
        code = dumped(source if own_file else inspect.cleandoc("\n" + source))
    except (OSError, TypeError, SyntaxError):
        target = getattr(program, "__code__", None)
        code = repr(_code_facts(target)) if target else name_of(program)
    state = _state(program, arguments)
    return hashlib.sha256(f"{name_of(program)}\n{code}\n{state}".encode()).hexdigest()


def _given(program: partial[Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a program, with those that were bound before."""
    return {f"partial {i}": v for i, v in enumerate(program.args)} | program.keywords | dict(arguments)


def _state(program: Callable[..., Any], arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and text of all that a program is given, closes over or carries; secrets are masked."""
    while isinstance(program, partial):
        arguments = _given(program, arguments)
        program = program.func
    return sorted((k, _ADDRESS.sub("", masked(repr(v)))) for k, v in {**arguments, **_plain_state(program)}.items())


def _plain_state(program: Callable[..., Any]) -> dict[str, Any]:
    """Numbers and strings that the program closes over or carries; other objects have no stable representation."""
    held = dict(getattr(program, "__dict__", {})) if not inspect.isclass(program) else {}
    if inspect.isfunction(program):
        held |= inspect.getclosurevars(program).nonlocals
    return {k: v for k, v in held.items() if isinstance(v, int | float | str | bool | bytes | tuple | None)}


def _code_facts(code: Any) -> tuple[Any, ...]:
    constants = tuple(_code_facts(c) if hasattr(c, "co_code") else repr(c) for c in code.co_consts)
    return (code.co_code, code.co_names, constants)
