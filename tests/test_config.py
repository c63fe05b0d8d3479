import json
from pathlib import Path

import pytest

from partitioner import choices, config
from partitioner.config.section import Section
from partitioner.errors import ConfigError
from partitioner.sizes import as_bytes


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "conf.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "expected"), [("4GB", 4e9), ("512MiB", 2**29), ("4Gi", 2**32), ("1.5 kb", 1500.0), (7, 7.0), ("12", 12.0)]
)
def test_sizes_in_bytes(text: object, expected: float) -> None:
    assert config.parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["4 GiBs", "lots", "", None, True])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(ConfigError, match="is no size in bytes; write a number or for example '4GB'"):
        config.parse_bytes(text)


def test_later_sources_win(tmp_path: Path) -> None:
    path = write(tmp_path, "seed: 1\nplacement: lpt\nmax_retries: 1\n")
    made = config.load_config(path, ["max_retries=3"], {"PARTITIONER_SEED": "2", "PARTITIONER_MAX_RETRIES": "2"})
    assert (made.seed, made.placement, made.max_retries) == (2, "lpt", 3)


def test_a_dotted_setting_reaches_into_a_named_part(tmp_path: Path) -> None:
    made = config.load_config(write(tmp_path, "engine: dask\n"), ["engine.workers=4"], {})
    assert choices.named(made.engine, "engines") == ("dask", {"workers": 4})


def test_environment_variables_are_expanded(tmp_path: Path) -> None:
    made = config.load_config(write(tmp_path, "dataset: ${HERE}/x.csv\n"), [], {"HERE": "/data"})
    assert made.dataset == "/data/x.csv"


def test_an_unset_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="environment variable NOWHERE, which is not set"):
        config.load_config(write(tmp_path, "dataset: ${NOWHERE}/x.csv\n"), [], {})


def test_a_misspelt_key_comes_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown setting 'target_task_second'. Did you mean 'target_task_seconds'"):
        config.load_config(write(tmp_path, "target_task_second: 3\n"), [], {})


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("n_workers", 4, r"unknown setting 'n_workers'\. .*engine=\{'engine': 'dask', 'workers': 4\}"),
        ("npartitions", 4, "'max_tasks' and 'min_tasks_per_slot' bound them"),
        ("retries", 4, "Did you mean 'max_retries'"),
        ("mode", "overwite", r"'incremental'; did you mean 'overwrite'\?$"),
        ("sample", "10%", r"write a number\. sample: Share of the rows to take"),
        ("incremental", "id", r"write a mapping\. incremental: .*\{key: id, watermark: updated_at\}"),
        ("name", "", "begin with a letter or a digit"),
    ],
)
def test_what_people_write_elsewhere_is_answered_with_what_to_write_here(
    setting: str, value: object, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        config.make({setting: value})


def test_times_may_have_a_unit() -> None:
    made = config.make({"target_task_seconds": "30s", "time_limit": "2min", "lease_seconds": "1 min", "timeout": "1h"})
    assert (made.target_task_seconds, made.time_limit, made.lease_seconds) == (30.0, 120.0, 60.0)
    assert config.timeout_of(made) == (3600.0, float("inf"))


def test_every_wrong_value_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        config.make({"max_tasks": 0, "on_error": "ignore"})
    assert "setting 'max_tasks' is 0" in str(caught.value)
    assert "setting 'on_error' is 'ignore'" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("- a\n", r"holds ..'a'..; a configuration is a mapping"), ("a: [1\n", "is not valid YAML")],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.load_config(write(tmp_path, text), [], {})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no configuration at .*none\.yaml"):
        config.load_config(tmp_path / "none.yaml")


def test_a_setting_without_a_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--set 'seed': write key=value"):
        config.load_config(write(tmp_path, "seed: 1\n"), ["seed"], {})


@pytest.mark.parametrize("setting", ["limit", "sample", "batch_size", "timeout", "allowed_mem", "max_tasks"])
def test_yes_is_no_number(setting: str) -> None:
    with pytest.raises(ConfigError, match=f"setting '{setting}.*' is True: .*input should be a number"):
        config.make({setting: True})


def test_a_configuration_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        config.make({}).seed = 3  # type: ignore[misc]


def test_the_schema_describes_every_setting() -> None:
    properties = config.schema()["properties"]
    assert set(properties) == set(config.RunConfig.model_fields)
    assert all(properties[name].get("description") for name in properties)


def test_live_objects_become_a_description() -> None:
    made = config.make({"program": test_sizes_in_bytes, "dataset": [1, {"x": object()}], "seed": 4})
    plain = config.plain(made)
    assert plain["program"].endswith("test_sizes_in_bytes>")
    assert plain["dataset"] == [1, {"x": "<object>"}]
    assert plain["seed"] == 4


def test_a_part_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"write a name, or \{engine: <name>, <option>: <value>\}"):
        choices.named({"workers": 4}, "engines")


def test_the_schema_in_the_docs_is_that_of_the_settings() -> None:
    shown = json.loads((Path(__file__).parents[1] / "docs" / "config.schema.json").read_text())
    assert shown == config.schema(), "run `make docs`"


def test_storage_options_are_not_written_down() -> None:
    dataset = {"path": "s3://bucket/x.parquet", "storage_options": {"secret_access_key": "hunter2"}}
    assert config.plain(config.make({"dataset": dataset}))["dataset"] == {
        "path": "s3://bucket/x.parquet",
        "storage_options": "<not written down>",
    }


def test_long_lists_of_data_are_not_written_down() -> None:
    from partitioner.config import make, plain

    assert plain(make({"dataset": ["a prompt"] * 2000}))["dataset"] == "<list of 2000>"
    assert plain(make({"dataset": ["a.csv", "b.csv"]}))["dataset"] == ["a.csv", "b.csv"]


def test_no_check_of_a_section_hides_one_of_another() -> None:
    sections = [kind for kind in config.RunConfig.__mro__ if issubclass(kind, Section)]
    own = [name for kind in sections[1:] for name in kind.__pydantic_decorators__.field_validators]
    assert len(own) == len(set(own)), "two of one name are one"


def test_true_is_no_number_for_any_setting_that_takes_numbers() -> None:
    takes = {
        name: {one.get("type") for one in about.get("anyOf", [about])}
        for name, about in config.schema()["properties"].items()
    }
    numbers = [name for name, types in takes.items() if types & {"integer", "number"} and "boolean" not in types]
    assert "max_retries" in numbers
    for name in numbers:
        with pytest.raises(ConfigError, match=f"setting '{name}.*input should be a number"):
            config.make({name: True})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (62.0, "62 bytes"),
        (999_999, "999999 bytes"),
        (261_534_720, "262MB"),
        (4e9, "4GB"),
        (9.991e9, "10GB"),
        (1e15, "1000TB"),
    ],
)
def test_bytes_are_told_as_they_may_be_written(value: float, text: str) -> None:
    assert as_bytes(value) == text
    assert config.parse_bytes(text.removesuffix(" bytes")) >= value
