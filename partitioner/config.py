"""One frozen, validated configuration from YAML, environment and ``--set``; its JSON Schema can be exported.

Later sources win: defaults, the YAML file, ``PARTITIONER_<KEY>`` environment variables, ``--set key=value``. Values of the
last two are read as YAML; ``.`` reaches into a mapping (``engine.workers=4``).
"""

from __future__ import annotations

import os
import re
import sysconfig
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError, field_validator

from partitioner.errors import ConfigError, clause, nearest
from partitioner.security import masking, safe_yaml, trust
from partitioner.sizes import parse_bytes
from partitioner.storage import absolute_url

ENVIRONMENT = "PARTITIONER_"
_BUILT_IN_VARIABLES = {"PYTHON_STDLIB": sysconfig.get_path("stdlib"), "PYTHON_PACKAGES": sysconfig.get_path("purelib")}
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def _shaping(default: Any, **about: Any) -> Any:
    """A setting that shapes the result: a resume with another value is refused. The others may differ."""
    return Field(default, json_schema_extra={"shapes_result": True}, **about)


_NUMBERS = (
    *("sample", "limit", "batch_size", "max_batch_weight", "max_concurrency", "rate_limit", "retry_calls"),
    *("retry_backoff", "target_task_seconds", "allowed_mem", "max_tasks", "min_tasks_per_slot", "task_cpus"),
    *("task_gpus", "time_limit", "merge_above", "rows_per_file", "bytes_per_file", "max_retries", "timeout"),
    *("max_quarantined", "lease_seconds", "seed"),
)


class RunConfig(BaseModel):
    """Everything a run is asked to do. Names are those of ``partitioner.run``'s parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    dataset: Any = _shaping(
        None, description="Path, glob, URL, list of those, {connector: ..., path: ...}, or data in memory."
    )
    program: Any = Field(None, description="Function or class, or 'package.module:name'.")
    arguments: dict[str, Any] = Field({}, description="Arguments of the class's __init__ or of the function.")
    columns: list[str] | None = _shaping(None, description="Columns to read; all by default.")
    filter: Any = _shaping(
        None,
        description="Rows to keep: text such as x > 3 and c == 'a', (column, operator, value) triples, an expression.",
    )
    sample: float | None = _shaping(
        None, gt=0, le=1, description="Share of the rows to take, by their places and seed."
    )
    limit: int | None = _shaping(None, ge=1, description="Rows to take at most: the first, after filter and sample.")
    batch_format: Literal["pandas", "numpy", "arrow", "polars", "rows", "torch"] = _shaping(
        "pandas", description="What the program is given; rows is a list of dicts."
    )
    batch_size: int | Literal["auto"] | None = _shaping(
        None, description="Rows per call; by default all rows of a sub-task at once."
    )
    max_batch_weight: PositiveFloat | Literal["auto"] | None = _shaping(
        None, description="Bound on the summed weight of a batch; auto: the largest whose memory is safe, by a pilot."
    )
    weight: Any = _shaping(
        None, description="Weight of a row: a column, an expression such as len(text), or a function."
    )
    sort_by_weight: bool = _shaping(False, description="Rows of like weight share a batch; output order is restored.")
    padded: bool = _shaping(False, description="A batch weighs rows times its heaviest row, as a padded tensor does.")
    max_concurrency: int | None = Field(
        None, ge=1, description="Calls of an async program at once, per running sub-task; 16 by default."
    )
    rate_limit: float | None = Field(
        None, gt=0, description="Calls of an async program per second, per running sub-task."
    )
    retry_on: list[str] = Field(
        [], description="Names of errors after which one call of an async program is tried again, later and later."
    )
    retry_calls: int = Field(5, ge=0, description="Further tries of a call that ended in an error of retry_on.")
    retry_backoff: float = Field(
        0.5, ge=0, description="Seconds before the first of these tries; doubled each time, a minute at most."
    )
    cost: Any = _shaping(
        "auto", description="auto, rows, bytes, calibrate, learned, an expression, numbers, or {model: ..., ...}."
    )
    measure_speeds: bool = Field(True, description="Time the pilot's pieces on every worker, where a pilot runs.")
    split: Any = _shaping("ordered", description="ordered, packed, by_weight, or {split: grouped, key: ...}.")
    target_task_seconds: float | None = _shaping(None, gt=0, description="Seconds a sub-task should take.")
    allowed_mem: Any = _shaping(None, description="Predicted peak bytes a sub-task may have, as a number or '4GB'.")
    max_tasks: int | None = _shaping(None, ge=1, description="Sub-tasks at most.")
    min_tasks_per_slot: int | None = _shaping(None, ge=1, description="Sub-tasks per slot at least.")
    task_cpus: float = Field(1.0, gt=0, description="Cores one sub-task uses.")
    task_gpus: float = Field(0.0, ge=0, description="GPUs one sub-task uses; a fraction shares a device.")
    placement: Any = Field(
        "refined_lpt", description="Placement algorithm: a name, or {placement: name, <option>: ...}."
    )
    objective: Any = Field("makespan", description="What the placement minimises.")
    time_limit: float | None = Field(None, gt=0, description="Seconds the placement may search.")
    engine: Any = Field(
        "dask", description="serial, dask, spark, a Client, a SparkSession, or {engine: dask, workers: 4}."
    )
    reducer: Any = _shaping(
        "concat", description="How partial results merge: a name or {reducer: mean, columns: [...]}."
    )
    merge_above: Any = Field(
        16 * 2**20,
        validate_default=True,
        description="Bytes of all partial results, as a number or '16MB', above which sub-tasks on the workers merge them.",
    )
    output: str | None = _shaping(
        None,
        description="Directory of the output rows, one file (.csv, .jsonl, .arrow), or a table (iceberg://, postgresql://...#t).",
    )
    format: Literal["parquet", "csv", "jsonl", "arrow", "delta", "iceberg"] | None = _shaping(
        None, description="Format of the output files; by default Parquet, or what the output's name ends in."
    )
    partition_by: list[str] = _shaping([], description="Columns whose values name key=value folders of the output.")
    catalog: dict[str, Any] = Field(
        {}, description="Properties of the catalogue of an Iceberg output, or storage options of a Delta output."
    )
    rows_per_file: int | None = _shaping(
        None, ge=1, description="Rows of an output file at most; small outputs are joined."
    )
    bytes_per_file: Any = _shaping(
        None, description="Bytes of an output file, about, as a number or '128MB'; small outputs are joined."
    )
    checkpoint: str = Field("runs", description="Directory that holds the run directories; workers must see it.")
    preserve_order: bool = _shaping(
        True, description="Rows are read in input order; else as they lie in the sub-tasks."
    )
    on_error: Literal["raise", "quarantine"] = Field("raise", description="What becomes of rows that keep failing.")
    preload: Literal["auto"] | bool = Field(
        "auto",
        description="Load a class once per machine and fork workers from there: True, False, or for classes that say so.",
    )
    max_retries: int = Field(2, ge=0, description="Further tries after the program raised.")
    timeout: float | str | None = Field(
        None, description="Seconds an attempt may take, or '3x': times the upper end of what is predicted for it."
    )
    hand_over: bool = Field(
        True,
        description="Rows that a running sub-task has not begun go to idle workers where that saves seconds; the output has "
        "more files then.",
    )
    max_quarantined: int | float | None = Field(
        None, ge=0, description="Rows set aside at most: a number, or a share below 1 of all rows. Then the run stops."
    )
    allow_row_change: bool = _shaping(False, description="The program may return fewer or more rows than it got.")
    mode: Literal["error", "resume", "overwrite", "append", "incremental"] = Field(
        "error",
        description="Where the output holds something: refuse; go on with its run; replace it; add to it; run what changed.",
    )
    incremental: dict[str, Any] | None = _shaping(
        None,
        description="How mode incremental tells rows: {key: id, watermark: updated_at}, or {watermark: ...} where rows are "
        "only added; by files where it is not given.",
    )
    name: str | None = Field(
        None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Name of the runs of a schedule."
    )
    verify: Literal["footer", "full"] = Field(
        "footer",
        description="Check of committed files before the end and at resume: size and footer, or every page of every file.",
    )
    lease_seconds: float = Field(
        60.0, gt=0, description="Seconds without a heartbeat after which another driver may take a run over."
    )
    fsync: Literal["end", "each", "never"] = Field(
        "end",
        description="On a local disk, output is on the medium before _SUCCESS (a resume after a reboot then reads it all), "
        "before each attempt ends, or when the system sees fit.",
    )
    seed: int = _shaping(0, description="Seed of everything random, together with the sub-task's id.")
    report: bool = Field(True, description="Write report.html at the end.")
    progress: bool = Field(True, description="Show the live progress line.")

    @field_validator("dataset", "output", "checkpoint", mode="before")
    @classmethod
    def _path(cls, value: Any) -> Any:
        """A Path is as good as text, and can be written down; so is a list of them."""
        if isinstance(value, list | tuple) and value and all(isinstance(v, os.PathLike) for v in value):
            return [os.fspath(v) for v in value]
        return os.fspath(value) if isinstance(value, os.PathLike) else value

    @field_validator("incremental")
    @classmethod
    def _rows_told(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        """Columns of the key as a list, and the watermark."""
        if value is None:
            return None
        unknown = sorted(value.keys() - {"key", "watermark"})
        key, mark = value.get("key") or [], value.get("watermark")
        key = [key] if isinstance(key, str) else key
        named = isinstance(key, list | tuple) and all(isinstance(name, str) and name for name in key)
        if unknown or not named or not isinstance(mark, str) or not mark:
            raise ValueError("write {key: <column or columns>, watermark: <column>}, or the watermark alone")
        return {"key": list(key), "watermark": mark}

    @field_validator(*_NUMBERS, mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        """``limit: yes`` is no limit of 1."""
        if isinstance(value, bool):
            raise ValueError("input should be a number")
        return value

    @field_validator("columns", "retry_on", "partition_by", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        """One may be given by its name."""
        return [value] if isinstance(value, str) else value

    @field_validator("output", "checkpoint")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        """A resume may be started from another working directory."""
        if value is not None and not value.strip():
            raise ValueError("name a directory")
        return None if value is None else absolute_url(value)

    @field_validator("columns")
    @classmethod
    def _some(cls, value: list[str] | None) -> list[str] | None:
        if value == []:
            raise ValueError("name a column at least, or leave it out for all")
        return value

    @field_validator("batch_size")
    @classmethod
    def _rows_of_a_batch(cls, value: Any) -> Any:
        if isinstance(value, int) and value < 1:
            raise ValueError("write a number of rows of at least 1, or 'auto'")
        return value

    @field_validator("timeout")
    @classmethod
    def _timeout(cls, value: float | str | None) -> float | str | None:
        if value is not None:
            _timeout(value)
        return value

    @field_validator("max_quarantined")
    @classmethod
    def _rows_or_share(cls, value: float | None) -> float | None:
        """1 is a row, 0.01 a share."""
        if value is None or 0 < value < 1:
            return value
        if value != int(value):
            raise ValueError("write a whole number of rows, or a share below 1")
        return int(value)

    @field_validator("merge_above")
    @classmethod
    def _size(cls, value: Any) -> float:
        size = 0.0 if value in (0, "0") else parse_bytes(value)
        if not size >= 0:
            raise ValueError("write bytes of at least 0, such as '16MB'")
        return size

    @field_validator("allowed_mem", "bytes_per_file")
    @classmethod
    def _bytes(cls, value: Any) -> float | None:
        size = None if value is None else parse_bytes(value)
        if size is not None and not size > 0:
            raise ValueError("write bytes above 0, such as '4GB'")
        return size


SHAPING = frozenset(
    name for name, about in RunConfig.model_fields.items() if about.json_schema_extra == {"shapes_result": True}
)
"""Settings that a resume must not change, as they declare it themselves."""


def _timeout(value: float | str) -> tuple[float, float]:
    text = str(value).strip()
    try:
        number = float(text.removesuffix("x"))
    except ValueError:
        number = 0.0
    if not 0 < number < inf:
        raise ValueError("write seconds above 0, such as 600, or times the prediction, such as '3x'")
    return (inf, number) if text.endswith("x") else (number, inf)


def timeout_of(config: RunConfig) -> tuple[float, float]:
    """Seconds that an attempt may take, and times the upper end of its prediction; infinite where not limited so."""
    return (inf, inf) if config.timeout is None else _timeout(config.timeout)


def make(values: Mapping[str, Any]) -> RunConfig:
    """A RunConfig; ConfigError names every wrong key or value, with the nearest valid key."""
    masking.remember(masking.secrets_in(_settings_only(values)))
    try:
        return RunConfig(**values)
    except ValidationError as error:
        raise ConfigError("\n".join(_sentences(error.errors()))) from None


def _settings_only(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without data in memory, whose columns may be named as they like."""
    dataset = values.get("dataset")
    is_place = isinstance(dataset, str) or (isinstance(dataset, Mapping) and isinstance(dataset.get("path"), str))
    return {key: value for key, value in values.items() if key != "dataset" or is_place}


def _sentences(errors: Sequence[Any]) -> list[str]:
    """One for each value: where it may be one of several things, with what it would have to be for each."""
    told: dict[str, tuple[str, list[str]]] = {}
    for error in errors:
        # Behind the name stand places in a list, or which of several types was tried.
        key = ".".join(str(p) for i, p in enumerate(error["loc"]) if not i or isinstance(p, int))
        if error["type"] == "extra_forbidden":
            told[key] = (f"unknown setting {key!r}.{nearest(key, list(RunConfig.model_fields))}", [])
            continue
        wanted = error["msg"].removeprefix("Value error, ").rstrip(".")
        told.setdefault(key, (f"setting {key!r} is {error['input']!r}: ", []))[1].append(wanted[0].lower() + wanted[1:])
    return [f"{begin}{', or '.join(wanted)}{'.' if wanted else ''}" for begin, wanted in told.values()]


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
        values = safe_yaml.read(path.read_text(), str(path))
    except FileNotFoundError:
        raise ConfigError(f"no configuration at {path.absolute()}; give the path of a YAML file.") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a directory; give the path of a YAML file.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no YAML text: {clause(error)}.") from None
    if not isinstance(values, dict):
        held = "is empty" if values is None else f"holds {str(values)[:40]!r}"
        raise ConfigError(f"{path} {held}; a configuration is a mapping of settings, such as 'dataset: data.csv'.")
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
        raise ConfigError(f"{value!r} uses the environment variable {error.args[0]}, which is not set.") from None


def _put(values: dict[str, Any], key: str, text: str) -> None:
    """Set a dotted key to a YAML value; a plain name on the way becomes ``{<kind>: name}`` (engine: dask)."""
    *path, last = key.split(".")
    at = values
    for part in path:
        inner = at.get(part)
        if not isinstance(inner, dict):
            inner = {} if inner is None else {part: inner}
        at[part] = dict(inner)
        at = at[part]
    at[last] = safe_yaml.read(text, f"setting {key}")


def schema() -> dict[str, Any]:
    """JSON Schema of the configuration, for editors."""
    return RunConfig.model_json_schema()


def plain(config: RunConfig) -> dict[str, Any]:
    """The configuration as JSON can hold it; live objects become a description of their type."""
    return {name: _plain(getattr(config, name)) for name in RunConfig.model_fields}


MOST_WRITTEN = 1000
"""Entries of a list that ``run.json`` holds at most."""


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        # Credentials do not belong in run.json; workers get theirs with the job.
        return {str(k): _plain_named(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        # Data given as a list lies in the run's input, and is not written down a second time.
        return [_plain(v) for v in value] if len(value) <= MOST_WRITTEN else f"<{type(value).__name__} of {len(value)}>"
    if isinstance(value, str):
        return masking.masked(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if callable(value) and hasattr(value, "__qualname__"):
        return f"<{value.__module__}:{value.__qualname__}>"
    return f"<{type(value).__name__}>"


def _plain_named(name: str, value: Any) -> Any:
    """A value under a name; one that the name calls a secret is masked however short it is."""
    if name == "storage_options":
        return "<not written down>"
    shown = _plain(value)
    secret = isinstance(value, str) and shown == value and value in masking.secrets_in({name: value})
    return masking.MASK if secret else shown
