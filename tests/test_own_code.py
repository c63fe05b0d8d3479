"""Which modules are installed, which are the user's own, and what of those a program reaches."""

import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from partitioner.own_code import digest, installed, libraries, sources


def module(home: Path, name: str, text: str) -> str:
    path = home / (name.replace(".", "/") + ".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_file_of_the_users_own_is_not_installed(home: Path) -> None:
    assert not installed("mine", module(home, "mine", ""))


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages"])
def test_folders_of_packages_are_installed_wherever_they_are(home: Path, folder: str) -> None:
    assert installed("lib", module(home / "usr" / folder, "lib", ""))


def test_what_a_distribution_lists_is_installed(home: Path) -> None:
    file = module(home, "lib.inner", "")
    (home / "lib-1.0.dist-info").mkdir()
    (home / "lib-1.0.dist-info" / "METADATA").write_text("Name: lib\nVersion: 1.0\n")
    (home / "lib-1.0.dist-info" / "RECORD").write_text("lib/inner.py,,\n")
    assert installed("lib.inner", file)
    assert not installed("mine", module(home, "mine", ""))


def test_a_package_with_compiled_parts_is_installed_without_metadata(home: Path) -> None:
    file = module(home, "fast.pure", "")
    (home / "fast" / "core.abi3.so").write_bytes(b"")
    assert installed("fast.pure", file)


def test_numpy_is_installed_however_it_is_found() -> None:
    assert installed("numpy", np.__file__)
    assert installed("partitioner", "/anywhere/partitioner/__init__.py")
    assert installed("json", sys.modules["json"].__file__)


def test_sources_are_followed_through_imports_of_every_kind(home: Path) -> None:
    main = module(home, "main_one", "import json, numpy\nfrom pack.one import x\n\ndef f():\n    import late\n")
    module(home, "pack.__init__", "")
    module(home, "pack.one", "from . import two\nx = 1\n")
    module(home, "pack.two", "import main_one\n")
    module(home, "late", "")
    module(home, "unrelated", "")
    assert set(sources("main_one", main)) == {"pack", "pack.one", "pack.two", "late"}


def test_comments_and_docstrings_change_no_digest(home: Path) -> None:
    one = Path(module(home, "one", "x = 1\n"))
    two = Path(module(home, "two", '"""Said."""\nx = 1  # so\n'))
    three = Path(module(home, "three", "x = 2\n"))
    assert digest(one) == digest(two) != digest(three)


def test_libraries_are_those_that_own_modules_import_too(home: Path) -> None:
    main = module(home, "main_two", "import helper_two\nimport sklearn.linear_model\n")
    module(home, "helper_two", "import numpy as np\n")
    assert libraries("main_two", main)["numpy"] == np.__version__
    assert "scikit-learn" in libraries("main_two", main)


def test_modules_within_a_zip_are_read_as_those_of_a_folder(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = {"shipped/__init__.py": "", "shipped/one.py": "from shipped.two import f\n", "shipped/two.py": "f = 1\n"}
    with zipfile.ZipFile(tmp_path / "sent.zip", "w") as archive:
        for name, held in text.items():
            archive.writestr(name, held)
    script = module(home, "script", "import shipped.one\n")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path / "sent.zip")
        found = sources("__main__", script)
    for name, held in text.items():
        module(home / "folder", name.removesuffix(".py").replace("/", "."), held)
    monkeypatch.syspath_prepend(home / "folder")
    assert found == sources("__main__", script)
    assert found.keys() == {"shipped", "shipped.one", "shipped.two"}
