"""A Spark DataFrame as input: its own Parquet files where it only reads them, else written by Spark to the run directory."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import unquote

from connectors.frames import FrameSource
from connectors.parquet import ParquetSource
from partitioner.errors import DataError

_SPARK_SCHEMES = {"s3://": "s3a://"}  # what Hadoop calls the stores that we open under the first name


class SparkFrameSource(FrameSource):
    """A Spark DataFrame, classic or of Spark Connect, which is always written.

    It counts as a scan where the optimized plan is one relation of Parquet files without partition columns, and at most
    a selection of columns; anything else (filters, casts, joins, data in memory, other formats) is computed by Spark.
    Spark promises no row order for a scan; here files are read sorted by name.
    """

    name: ClassVar[str] = "spark_frame"
    kind: ClassVar[str] = "Spark"

    def own_engine(self) -> Any:
        """The frame's session."""
        return self.frame.sparkSession

    def _own_storage(self) -> ParquetSource | None:
        jframe = getattr(self.frame, "_jdf", None)
        if jframe is None:  # of Spark Connect, whose plan cannot be looked at
            return None
        relation = _parquet_relation(jframe.queryExecution().optimizedPlan())
        if relation is None:
            return None
        source = ParquetSource(sorted(_ours(p) for p in self.frame.inputFiles()), columns=tuple(self.frame.columns))
        return source if _same_types(source, self.frame) else None

    def _write(self, url: str) -> None:
        for ours, sparks in _SPARK_SCHEMES.items():
            url = url.replace(ours, sparks, 1) if url.startswith(ours) else url
        self.frame.write.mode("overwrite").parquet(url if "://" in url else f"file://{url}")


def _parquet_relation(plan: Any) -> Any:
    """The file relation below at most a selection of columns, None where the plan is anything else."""
    kind = plan.getClass().getSimpleName()
    if kind == "Project":
        columns = plan.projectList()
        plain = all(
            columns.apply(i).getClass().getSimpleName() == "AttributeReference" for i in range(columns.length())
        )
        return _parquet_relation(plan.child()) if plain else None
    if kind != "LogicalRelation":
        return None
    relation = plan.relation()
    if relation.getClass().getSimpleName() != "HadoopFsRelation":
        return None
    parquet = relation.fileFormat().toString() == "Parquet" and relation.partitionSchema().isEmpty()
    return relation if parquet else None


def _ours(path: str) -> str:
    """A Hadoop path as we write it: local paths without scheme, S3 as ``s3://``."""
    if path.startswith("file:"):
        return unquote("/" + path.removeprefix("file:").lstrip("/"))
    for ours, sparks in _SPARK_SCHEMES.items():
        path = path.replace(sparks, ours, 1) if path.startswith(sparks) else path
    return path


def _same_types(source: ParquetSource, frame: Any) -> bool:
    """Whether Arrow reads from the files the types that the frame has (a schema given by hand may differ)."""
    from pyspark.errors import PySparkException
    from pyspark.sql.pandas.types import from_arrow_schema

    try:
        read = from_arrow_schema(source.describe().schema)
    except (DataError, PySparkException):
        return False
    return [(f.name, f.dataType.simpleString()) for f in read] == [
        (f.name, f.dataType.simpleString()) for f in frame.schema
    ]
