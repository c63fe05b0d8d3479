"""What people give as input: every form is read, or refused in one sentence; nothing is guessed wrong in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from pyiceberg.catalog import load_catalog
from pyiceberg.types import StringType

from connectors.delta import DeltaSource
from connectors.iceberg import IcebergSource
from connectors.resolve import resolve
from partitioner.errors import ConfigError, DataError, PartitionerError

TWO = {"a": [1, 2], "b": ["x", "y"]}


def read(given: Any, **options: Any) -> dict[str, list[Any]]:
    dataset = resolve(given, **options).describe()
    batches = [b for i in range(len(dataset.fragments)) for b in dataset.source.read(dataset.fragments[i])]
    found: dict[str, list[Any]] = pa.Table.from_batches(batches, dataset.schema).to_pydict()
    return found


GIVEN: dict[str, tuple[Any, dict[str, list[Any]]]] = {
    "pandas frame": (pd.DataFrame(TWO), TWO),
    "pandas text in chunks": (
        pd.concat([pd.DataFrame({"b": [v]}) for v in "xy"], ignore_index=True),
        {"b": ["x", "y"]},
    ),
    "pandas series": (pd.Series([1, 2], name="a"), {"a": [1, 2]}),
    "frames in a list": ([pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]})], {"a": [1, 2]}),
    "polars frame": (pl.DataFrame(TWO), TWO),
    "polars categories": (pl.DataFrame({"b": ["x", "y"]}, schema={"b": pl.Categorical}), {"b": ["x", "y"]}),
    "polars lazy frame": (pl.DataFrame(TWO).lazy(), TWO),
    "polars series": (pl.Series("a", [1, 2]), {"a": [1, 2]}),
    "Arrow table": (pa.table(TWO), TWO),
    "Arrow array": (pa.array([1, 2]), {"value": [1, 2]}),
    "Hugging Face data set": (datasets.Dataset.from_dict(TWO), TWO),
    "Hugging Face selection": (datasets.Dataset.from_dict(TWO).select([1]), {"a": [2], "b": ["y"]}),
    "numpy": (np.array([1, 2]), {"value": [1, 2]}),
    "dict of columns": (TWO, TWO),
    "list of dicts": ([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}], TWO),
    "list of ragged dicts": ([{"a": 1}, {"b": "y"}], {"a": [1, None], "b": [None, "y"]}),
    "list of numbers": ([1, 2], {"value": [1, 2]}),
    "list of lists": ([[1], [2, 3]], {"value": [[1], [2, 3]]}),
    "list of prompts": (["What is 2?", "Write report.csv for me"], {"text": ["What is 2?", "Write report.csv for me"]}),
    "list of words": (["cat", "dog"], {"text": ["cat", "dog"]}),
    "strings that are data, said": ({"connector": "memory", "data": ["a.csv", "b/c"]}, {"text": ["a.csv", "b/c"]}),
    "range": (range(2), {"value": [0, 1]}),
}


@pytest.mark.parametrize("form", GIVEN)
def test_every_form_is_read(form: str) -> None:
    given, expected = GIVEN[form]
    assert read(given) == expected


REFUSED: dict[str, tuple[Any, str]] = {
    "an iterator": (iter([1]), "An input of type list_iterator can be read only once and not in parts; give list"),
    "Python objects of polars": (pl.DataFrame({"o": [object()]}), "its column 'o' holds Python objects."),
    "keys that are one column as text": ({1: [1], "1": [2]}, "two of its keys are the same column as text: 1, '1'."),
    "frames of other columns": (
        [pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})],
        "entry 0 has the columns a, and entry 1 has b; make them the same.",
    ),
    "a filtered dataset": (
        pyarrow.dataset.dataset(pa.table({"a": [1]})).filter(pyarrow.dataset.field("a") > 1),
        "give the dataset as it was before .filter(...), and the condition as filter=".capitalize(),
    ),
    "a number": (5, "An input of type int is not one the framework reads"),
    "nothing in a list": ([], "An empty list"),
    "paths beside text": (
        ["a/b.csv", "what is this?"],
        "holds 'a/b.csv', which looks like a path, and 'what is this?'",
    ),
    "files that are not there": (["a.csv", "b.csv"], "a.csv"),
    "dicts beside numbers": ([{"a": 1}, 2], "some entries of the list are dicts and some are not"),
    "several splits": (
        datasets.DatasetDict({"train": datasets.Dataset.from_dict(TWO)}),
        "holds the splits train; give one",
    ),
    "mixed values": ([1, "x"], "has no table form"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_cannot_be_read_is_one_sentence(form: str) -> None:
    given, message = REFUSED[form]
    with pytest.raises(PartitionerError) as refused:
        read(given)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_class_of_the_users_own_frames_is_a_frame() -> None:
    class Frame(pd.DataFrame):
        pass

    assert read(Frame(TWO)) == TWO


def test_text_that_might_have_been_paths_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    read(["cat", "dog"])
    assert "the list of 2 strings is read as text, in the column 'text'" in capfd.readouterr().err


def test_strings_that_exist_are_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table(TWO), "plain")
    assert read(["plain"], connector="parquet") == TWO
    pq.write_table(pa.table(TWO), "two words.parquet")
    assert read(["two words.parquet"]) == TWO


def test_a_pyarrow_dataset_is_read_with_its_partitions(tmp_path: Path) -> None:
    (tmp_path / "year=2024").mkdir()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "year=2024" / "x.parquet")
    assert read(pyarrow.dataset.dataset(tmp_path, partitioning="hive")) == {"a": [1], "year": [2024]}


def test_feather_and_saved_hugging_face_data_are_read(tmp_path: Path) -> None:
    pyarrow.feather.write_feather(pa.table(TWO), tmp_path / "x.feather")
    assert read(tmp_path / "x.feather") == TWO
    datasets.Dataset.from_dict(TWO).save_to_disk(str(tmp_path / "saved"))
    assert read(tmp_path / "saved") == TWO


def test_saved_splits_and_selections_are_refused(tmp_path: Path) -> None:
    whole = datasets.Dataset.from_dict(TWO)
    datasets.DatasetDict({"train": whole}).save_to_disk(str(tmp_path / "splits"))
    with pytest.raises(DataError, match="holds several splits of a Hugging Face data set"):
        read(tmp_path / "splits")


def overwritten_delta(folder: Path) -> str:
    for start in (0, 100, 200):
        write_deltalake(folder, pa.table({"x": range(start, start + 100)}), mode="overwrite")
    return str(folder)


def test_a_delta_table_is_its_live_rows(tmp_path: Path) -> None:
    table = overwritten_delta(tmp_path)
    assert sorted(read(table)["x"]) == list(range(200, 300))
    assert sorted(read({"connector": "delta", "path": table, "version": 1})["x"]) == list(range(100, 200))


def test_a_delta_table_agrees_with_deltalake_after_delete_evolution_and_compaction(tmp_path: Path) -> None:
    table = overwritten_delta(tmp_path)
    DeltaTable(table).delete("x < 210")
    write_deltalake(table, pa.table({"x": [1, 2], "y": ["a", "b"]}), mode="append", schema_mode="merge")
    for _ in range(2):
        expected = DeltaTable(table).to_pyarrow_table().sort_by("x")
        dataset = resolve(table).describe()
        batches = [b for i in range(len(dataset.fragments)) for b in dataset.source.read(dataset.fragments[i])]
        assert pa.Table.from_batches(batches).sort_by("x").equals(expected)
        DeltaTable(table).optimize.compact()
    assert dataset.rows == 92


@pytest.mark.parametrize("given", ["{}/*.parquet", "{}/part-x.parquet"])
def test_files_of_a_delta_table_one_by_one_are_refused(tmp_path: Path, given: str) -> None:
    table = overwritten_delta(tmp_path)
    with pytest.raises(DataError, match=r"lies in the Delta table .*not all live.*give the folder .* itself"):
        resolve(given.format(table))
    with pytest.raises(DataError, match="lies in the Delta table"):
        resolve({"connector": "parquet", "path": table})


def test_a_delta_table_on_an_object_store_is_not_read_as_files(s3: str) -> None:
    options = {"AWS_S3_ALLOW_UNSAFE_RENAME": "true"}
    write_deltalake(f"{s3}/given/table", pa.table({"x": [1]}), storage_options=options)
    with pytest.raises(DataError, match="lies in the Delta table"):
        resolve(f"{s3}/given/table/*.parquet").describe()
    assert isinstance(resolve(f"{s3}/given/table"), DeltaSource)


def test_a_version_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Cannot read the Delta table .* at version 9"):
        DeltaSource(overwritten_delta(tmp_path), version=9).describe()
    for version in (-1, "2026-11-21"):
        with pytest.raises(ConfigError, match=r"version is .*; of a Delta table it is a number from 0 on"):
            DeltaSource(tmp_path, version=version)  # type: ignore[arg-type]


def iceberg_table(folder: Path) -> Any:
    catalog = load_catalog("c", type="sql", uri=f"sqlite:///{folder}/c.db", warehouse=f"file://{folder}")
    catalog.create_namespace("n")
    table = catalog.create_table("n.t", pa.schema([("x", pa.int64())]))
    table.append(pa.table({"x": range(100)}))
    table.overwrite(pa.table({"x": range(100, 200)}))
    return table


def test_an_iceberg_table_is_its_live_rows(tmp_path: Path) -> None:
    table = iceberg_table(tmp_path)
    assert sorted(read(tmp_path / "n" / "t")["x"]) == list(range(100, 200))
    first = table.metadata.snapshots[0].snapshot_id
    assert sorted(read({"connector": "iceberg", "path": f"{tmp_path}/n/t", "version": first})["x"]) == list(range(100))
    with pytest.raises(DataError, match=r"lies in the Iceberg table .*/n/t, whose files are not all live"):
        resolve(f"{tmp_path}/n/t/data/*.parquet")


def test_an_iceberg_table_agrees_with_pyiceberg_after_delete_and_evolution(tmp_path: Path) -> None:
    table = iceberg_table(tmp_path)
    table.delete("x < 110")
    with table.update_schema() as update:
        update.add_column("y", StringType())
    table.append(pa.table({"x": [1], "y": ["a"]}))
    expected = table.scan().to_arrow().sort_by("x").to_pydict()
    found = pa.table(read(tmp_path / "n" / "t")).sort_by("x").to_pydict()
    assert found == expected
    assert len(found["x"]) == 91


@pytest.mark.parametrize("lost", ["snap-*.avro", "*-m*.avro"])
def test_a_manifest_of_an_iceberg_table_that_is_gone_is_named(tmp_path: Path, lost: str) -> None:
    iceberg_table(tmp_path)
    for file in (tmp_path / "n" / "t" / "metadata").glob(lost):
        file.unlink()
    with pytest.raises(
        DataError, match=r"Cannot read the Iceberg table of .*\.avro.*Restore the file, or name a snapshot"
    ):
        resolve(tmp_path / "n" / "t").describe()


def test_an_iceberg_table_is_found_by_its_name(tmp_path: Path) -> None:
    iceberg_table(tmp_path)
    catalog = {"name": "c", "type": "sql", "uri": f"sqlite:///{tmp_path}/c.db"}
    assert IcebergSource("n.t", catalog=catalog).describe().rows == 100
    with pytest.raises(DataError, match=r"The catalogue has no Iceberg table 'n.gone'"):
        IcebergSource("n.gone", catalog=catalog).describe()
    assert resolve("iceberg://n.t", catalog=catalog).describe().rows == 100
    with pytest.raises(ConfigError, match=r"iceberg://n\.t is found in a catalogue: catalog="):
        resolve("iceberg://n.t")
    with pytest.raises(ConfigError, match=r"the Iceberg catalogue cannot be opened: 'nope' is not a valid"):
        IcebergSource("n.t", catalog={"type": "nope"}).describe()
