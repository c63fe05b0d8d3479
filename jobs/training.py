"""What the training jobs share: the configuration of one, its model kept with a card, its figures printed.

A conf has the settings of ``pt.run`` or ``pt.iterate``, and under ``arguments`` those of the model.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import partitioner as pt
from partitioner.errors import ConfigError, nearest
from partitioner.training import keep

Values = dict[str, Any]


def configured(arguments: Sequence[str] | None, about: str) -> tuple[Any, Values, Values]:
    """Dataset, arguments of the model and settings from the command line."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("conf")
    parser.add_argument("--set", action="append", default=[], metavar="key=value")
    parser.add_argument("--resume", metavar="RUN_ID", help="go on with an earlier training")
    given = parser.parse_args(arguments)
    values = pt.load_settings(given.conf, given.set, allow_modules=["jobs"])
    values.pop("job", None)
    known = [*pt.RunConfig.model_fields, "cache", "rounds", "tolerance"]
    for name in values:
        if name not in known:
            raise ConfigError(f"{given.conf}: no setting {name!r}.{nearest(name, known)}")
    if given.resume:
        values["resume"] = given.resume
    dataset, model = values.pop("dataset", None), dict(values.pop("arguments", {}))
    if dataset is None:
        raise ConfigError(f"{given.conf} names no dataset; write 'dataset: ...'.")
    for name in model:
        if name in values or name == "dataset":
            raise ConfigError(
                f"{given.conf}: {name!r} is a setting and one of arguments too; leave out 'arguments.{name}'."
            )
    return dataset, model, values


def kept(model: Any, place: str, dataset: Any, arguments: Values, facts: Values) -> None:
    """Keep the model, and print where and how good it is."""
    about = dataset if isinstance(dataset, str | Mapping | list) else type(dataset).__name__
    name = keep(model, place, {"dataset": about, "arguments": arguments, **facts})
    for key, value in facts.items():
        print(f"{key:12} {value}")
    print(f"model        {place}/{name}")


def by_rounds(arguments: Sequence[str] | None, about: str, fit: Callable[..., Any], needed: Sequence[str]) -> int:
    """A job around a fit in rounds, such as ``fit_logistic``."""
    dataset, model, settings = configured(arguments, about)
    place = settings.pop("output", None)
    for name in needed:
        if name not in model:
            raise ConfigError(f"arguments need {name!r}; write it below 'arguments:'.")
    found = fit(dataset, **model, **settings)
    seconds = sum(r.seconds for r in found.rounds)
    facts = {"run": found.url, "loss": found.loss, "rounds": len(found.rounds), "rows": found.rounds[0].rows}
    kept(found.model, place or f"{found.url}/model", dataset, model, {**facts, "seconds": round(seconds, 3)})
    return 0
