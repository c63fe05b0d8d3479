"""Several programs over one dataset as a graph of steps: planned together, run by the coordinator of every run."""

from partitioner.graphs.pipeline import PipelineRun, pipeline
from partitioner.graphs.step import Step

__all__ = ["PipelineRun", "Step", "pipeline"]
