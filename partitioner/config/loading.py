"""Settings from YAML, environment and ``--set``.

Later sources win: defaults, the YAML file, ``PARTITIONER_<KEY>`` environment variables, ``--set key=value``. Values of the
last two are read as YAML; ``.`` reaches into a mapping (``engine.workers=4``).
"""

from __future__ import annotations

import os
import re
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from partitioner.config.run_config import RunConfig, make
from partitioner.errors import ConfigError, clause
from partitioner.security import masking, safe_yaml, trust

ENVIRONMENT = "PARTITIONER_"
_BUILT_IN_VARIABLES = {"PYTHON_STDLIB": sysconfig.get_path("stdlib"), "PYTHON_PACKAGES": sysconfig.get_path("purelib")}
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def load_config(
    path: str | Path,
    settings: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    allow_modules: Sequence[str] = (),
) -> RunConfig:
    """The configuration of a YAML file, with environment and ``key=value`` settings on top.

    Code that it names must be its own project's, or of ``allow_modules``; see ``trust``.
    """
    values = load_settings(path, settings, environment, allow_modules)
    if "job" in values:
        raise ConfigError(f"{path} is for the job {values['job']!r}, which plans its own runs: partitioner run {path}.")
    return make(values)


def job_of(path: str | Path, settings: Sequence[str] = (), allow_modules: Sequence[str] = ()) -> str | None:
    """The module of the job that a configuration is for (setting ``job``), checked as all code that it names; else None."""
    job = _layered(path, settings, None).get("job")
    if job is not None and not isinstance(job, str):
        raise ConfigError(f"{path}: job is {job!r}; write the module that has its main, for example jobs.train_linear.")
    return None if job is None else str(load_settings(path, settings, None, allow_modules)["job"])


def load_settings(
    path: str | Path,
    settings: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    allow_modules: Sequence[str] = (),
) -> dict[str, Any]:
    """The plain values behind ``load_config``, of any names: for a job with settings of its own beside those of a run."""
    values = _layered(path, settings, environment)
    trust.check_named(values, Path(path), allow_modules)
    return values


def _layered(path: str | Path, settings: Sequence[str], environment: Mapping[str, str] | None) -> dict[str, Any]:
    env = os.environ if environment is None else environment
    values: dict[str, Any] = _expanded(read_mapping(Path(path)), {**_BUILT_IN_VARIABLES, **env})
    for name, text in sorted(env.items()):
        if name.startswith(ENVIRONMENT) and name.removeprefix(ENVIRONMENT).lower() in RunConfig.model_fields:
            _put(values, name.removeprefix(ENVIRONMENT).lower(), text)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting!r}: write key=value, for example --set engine.workers=4.")
        _put(values, key.strip(), text)
    return values


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. ConfigError for a file that is not there, or holds something else."""
    try:
        values = safe_yaml.read_file(path)
    except FileNotFoundError:
        raise ConfigError(f"no configuration at {path.absolute()}; give the path of a YAML file.") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a directory; give the path of a YAML file.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no YAML text: {clause(error)}. Save it as UTF-8.") from None
    if not isinstance(values, dict):
        held = "is empty" if values is None else f"holds {str(values)[:40]!r}"
        raise ConfigError(f"{path} {held}; a configuration is a mapping of settings, such as 'dataset: data.csv'.")
    if other := [key for key in values if not isinstance(key, str)]:
        raise ConfigError(
            f"{path} has a setting {other[0]!r}, which is no text; settings have names, such as 'dataset'."
        )
    return values


def _expanded(value: Any, variables: Mapping[str, str]) -> Any:
    """``${NAME}`` becomes a variable of the environment, or ours (``PYTHON_PACKAGES``); ConfigError for an unknown one."""
    if isinstance(value, Mapping):
        return {k: _expanded(v, variables) for k, v in value.items()}
    if isinstance(value, list):
        return [_expanded(v, variables) for v in value]
    if not isinstance(value, str):
        return value
    try:
        for name in _VARIABLE.findall(value):
            masking.remember_variable(name, variables[name])
        return _VARIABLE.sub(lambda match: variables[match[1]], value)
    except KeyError as error:
        raise ConfigError(
            f"{value!r} uses the environment variable {error.args[0]}, which is not set. Set it, or write the value."
        ) from None


def _put(values: dict[str, Any], key: str, text: str) -> None:
    """Set a dotted key to a YAML value; a plain name on the way becomes ``{<kind>: name}`` (engine: dask)."""
    *path, last = key.split(".")
    if len(path) > safe_yaml.MAX_DEPTH:
        raise ConfigError(f"setting {key[:40]}... is nested more than {safe_yaml.MAX_DEPTH} deep; write it flatter.")
    at = values
    for part in path:
        inner = at.get(part)
        if not isinstance(inner, dict):
            inner = {} if inner is None else {part: inner}
        at[part] = dict(inner)
        at = at[part]
    at[last] = safe_yaml.read(text, f"setting {key}")
