"""Linear or ridge regression in one pass.

python -m jobs.train_linear conf/train_linear.yaml [--set arguments.alpha=1.0]
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.session import job_main
from jobs.training import configured, kept
from partitioner.errors import ConfigError
from partitioner.training import fit_linear


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, keep the model with its card, print what it was made of."""
    dataset, model, settings = configured(arguments, "Linear or ridge regression in one pass.")
    if "label" not in model:
        raise ConfigError("arguments need 'label'; write it below 'arguments:'.")
    place = settings.pop("output", None)
    found = fit_linear(dataset, **{"metrics": True, **model}, **settings)
    facts = {"run": found.run.url, "rows": found.run.counts["rows_in"], "sub-tasks": len(found.run.records)}
    facts["metrics"] = dict(found.metrics)
    kept(found.model, place or f"{found.run.url}/model", dataset, model, facts)
    return found.run.exit_code


if __name__ == "__main__":
    job_main(main)
