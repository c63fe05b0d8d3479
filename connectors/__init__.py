"""Sources and sinks: how datasets are described, read and written. Loaded through ``partitioner.registry``."""

DISTRIBUTION = "batch-partitioner"
