"""Jobs: modules with a ``main`` that plan several runs, or rounds, from one configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from partitioner.errors import ConfigError
from partitioner.importing import module_of


def run_job(module: str, conf: Path, settings: Sequence[str], resume: str | None) -> int:
    """The exit code of ``main([CONF, --set ..., --resume ...])`` of the job's module, as ``python -m`` would call it.

    Raises ConfigError where there is no such module or it has no ``main``.
    """
    try:
        main = module_of(module).main
    except (ModuleNotFoundError, AttributeError) as error:
        raise ConfigError(f"job {module!r} of {conf}: {error}; name a module that has a main(arguments).") from error
    given = [part for setting in settings for part in ("--set", setting)]
    return int(main([str(conf), *given, *(["--resume", resume] if resume else [])]) or 0)
