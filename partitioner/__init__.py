"""Cost-based partitioning for batch training and inference on Dask and Spark."""
