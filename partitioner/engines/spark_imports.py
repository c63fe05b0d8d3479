"""The names of pyspark that the engine uses, imported without its warning about pandas 3: only Arrow paths are used here."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    from py4j.protocol import Py4JError, Py4JNetworkError  # type: ignore[import-untyped]
    from pyspark import Accumulator, AccumulatorParam, SparkConf, SparkContext, TaskContext, accumulators
    from pyspark.core.rdd import RDD
    from pyspark.errors import PySparkException
    from pyspark.resource import ResourceProfile, ResourceProfileBuilder, TaskResourceRequests
    from pyspark.serializers import CPickleSerializer
    from pyspark.sql import SparkSession

FAILURES = (Py4JError, PySparkException, OSError)
"""What calls to Spark raise: translated exceptions, those of the bridge, and a bridge to a JVM that is gone."""

__all__ = [
    "FAILURES",
    "RDD",
    "Accumulator",
    "AccumulatorParam",
    "CPickleSerializer",
    "Py4JError",
    "Py4JNetworkError",
    "PySparkException",
    "ResourceProfile",
    "ResourceProfileBuilder",
    "SparkConf",
    "SparkContext",
    "SparkSession",
    "TaskContext",
    "TaskResourceRequests",
    "accumulators",
]
