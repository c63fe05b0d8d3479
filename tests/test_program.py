import importlib
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from partitioner import program as programs
from partitioner.errors import ProgramError

SOURCE = """
def helper(x):
    return x + 1

def main(batch):
    return helper(batch)

class Model:
    def __call__(self, batch):
        return helper(batch)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Write the user's module with some text and import it afresh."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = tmp_path / "users_module.py"

    def load(text: str) -> ModuleType:
        path.write_text(text)
        sys.modules.pop("users_module", None)
        importlib.invalidate_caches()
        import linecache

        linecache.clearcache()
        return importlib.import_module("users_module")

    yield load
    sys.modules.pop("users_module", None)


def fingerprint(module: ModuleType, name: str = "main", **arguments: Any) -> str:
    return programs.fingerprint(getattr(module, name), arguments)


@pytest.mark.parametrize("name", ["main", "Model"])
def test_comments_formatting_and_docstrings_do_not_count(module: Callable[[str], ModuleType], name: str) -> None:
    before = fingerprint(module(SOURCE), name)
    other = SOURCE.replace("def main(batch):\n", 'def main( batch ):  # so\n    """Now said."""\n\n')
    after = module(other.replace("class Model:\n", 'class Model:\n    """Said too."""\n'))
    assert fingerprint(after, name) == before


@pytest.mark.parametrize("name", ["main", "Model"])
def test_a_changed_helper_in_the_same_module_counts(module: Callable[[str], ModuleType], name: str) -> None:
    before = fingerprint(module(SOURCE), name)
    assert fingerprint(module(SOURCE.replace("x + 1", "x + 2")), name) != before


def test_arguments_count(module: Callable[[str], ModuleType]) -> None:
    loaded = module(SOURCE)
    assert fingerprint(loaded, k=1) != fingerprint(loaded, k=2)


def test_what_a_closure_holds_counts() -> None:
    def make(k: int) -> Callable[[int], int]:
        return lambda x: x + k

    assert programs.fingerprint(make(1), {}) != programs.fingerprint(make(2), {})


def test_partial_arguments_count() -> None:
    from functools import partial

    assert programs.fingerprint(partial(pow, 2), {}) != programs.fingerprint(partial(pow, 3), {})


def test_users_modules_travel_by_value(module: Callable[[str], ModuleType], tmp_path: Path) -> None:
    loaded = module(SOURCE)
    data = programs.dumps(loaded.main, loaded.main)
    (tmp_path / "p.pkl").write_bytes(data)
    code = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb'))(41))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "p.pkl")], capture_output=True, text=True, check=True, cwd="/"
    )
    assert done.stdout == "42\n"


def test_a_name_is_resolved_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here_only.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert programs.resolve("here_only:main")(1) == 2
    sys.modules.pop("here_only")


def test_a_misspelt_name_comes_with_the_nearest(module: Callable[[str], ModuleType]) -> None:
    module(SOURCE)
    with pytest.raises(ProgramError, match=r"users_module has no such name. Did you mean 'helper'"):
        programs.resolve("users_module:helpr")


def test_installed_packages_travel_by_name() -> None:
    import numpy as np

    assert len(programs.dumps(np.sum, np.sum)) < 200
    assert pickle.loads(programs.dumps(np.sum, np.sum)) is np.sum


def test_modules_that_the_users_module_imports_travel_too(module: Callable[[str], ModuleType], tmp_path: Path) -> None:
    (tmp_path / "users_other.py").write_text("def plus(x):\n    return x + 1\n\nTABLE = {1: 2}\n")
    loaded = module(
        "import users_other\nfrom users_other import plus\n\ndef main(x):\n    return users_other.plus(plus(x))\n"
    )
    data = programs.dumps(loaded.main, loaded.main)
    sys.modules.pop("users_other")
    (tmp_path / "p.pkl").write_bytes(data)
    code = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb'))(40))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "p.pkl")], capture_output=True, text=True, check=True, cwd="/"
    )
    assert done.stdout == "42\n"


class Sized:
    """A model of a size."""

    def __init__(self, layers: int = 1) -> None:
        self.layers = layers

    def __call__(self, rows: Any) -> Any:
        return rows


def of_size(layers: int) -> Any:
    def grown(rows: Any) -> Any:
        return [layers] * len(rows)

    return grown


def profile_names(*all_given: Any) -> list[str]:
    return [programs.profile_name(*(given if isinstance(given, tuple) else (given, {}))) for given in all_given]


def test_a_profile_knows_a_function_and_a_class_by_name() -> None:
    assert profile_names(of_size, Sized) == [f"{__name__}:of_size", f"{__name__}:Sized"]


def test_programs_that_are_given_other_things_have_profiles_of_their_own() -> None:
    several = [
        ((Sized, {"layers": 2}), partial(Sized, layers=2), Sized(2)),
        ((Sized, {"layers": 40}), Sized(40)),
        (of_size(2), of_size(2)),
        (of_size(40),),
        (lambda rows: rows,),
        (lambda rows: [2] * len(rows),),
    ]
    names = [set(profile_names(*alike)) for alike in several]
    assert [len(alike) for alike in names] == [1] * 6
    assert len(set.union(*names)) == 6


def test_functions_of_scripts_go_by_the_file_of_the_script(tmp_path: Path) -> None:
    names = []
    for folder in ("embed", "count"):
        script: dict[str, Any] = {"__name__": "__main__"}
        exec(compile("def rows(batch):\n    return batch\n", str(tmp_path / f"{folder}.py"), "exec"), script)
        names += profile_names(script["rows"])
    typed: dict[str, Any] = {"__name__": "__main__"}
    exec(compile("def rows(batch):\n    return batch\n", "<stdin>", "exec"), typed)
    assert names == ["embed.py:rows", "count.py:rows"]
    assert profile_names(typed["rows"])[0].startswith("__main__:rows [")
