"""One frozen, validated configuration of a run, in sections: a file for each.

``run_config`` is all sections, ``loading`` reads them from YAML, environment and ``--set``, ``written`` says what
``run.json`` holds. A new setting is a field of its section.
"""

from partitioner.config.attempts import Attempts, timeout_of
from partitioner.config.calls import Calls
from partitioner.config.input import Input
from partitioner.config.loading import job_of, load_config, load_settings, read_mapping
from partitioner.config.output import Output
from partitioner.config.planning import Planning
from partitioner.config.repeating import Repeating
from partitioner.config.run_config import SHAPING, RunConfig, make, schema
from partitioner.config.written import plain
from partitioner.sizes import parse_bytes

__all__ = [
    "SHAPING",
    "Attempts",
    "Calls",
    "Input",
    "Output",
    "Planning",
    "Repeating",
    "RunConfig",
    "job_of",
    "load_config",
    "load_settings",
    "make",
    "parse_bytes",
    "plain",
    "read_mapping",
    "schema",
    "timeout_of",
]
