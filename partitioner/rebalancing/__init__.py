"""Spark and Dask DataFrames with partitions of equal cost: costs per row, targets per row or key, one file per engine."""
