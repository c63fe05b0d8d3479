"""YAML that strangers may write: plain values only, bounded in size, depth and in what its aliases unfold to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from partitioner.errors import ConfigError, in_one_line

MAX_BYTES = 2**20
"""A configuration of a few kilobytes is long; a table belongs in a file of its own."""

MAX_DEPTH = 40
"""Nested collections; the parser calls itself once for each."""

MAX_NODES = 100_000
"""Values after every alias is written out: what walking the document costs."""

MAX_DIGITS = 400
"""Characters of an integer, in any base: more are beyond every double, and those beyond 4,300 digits cannot be written."""


def read_file(path: Path) -> Any:
    """The plain value of a file, of which no more is read than a document may have: it may be a device without end.

    Raises OSError, UnicodeDecodeError, and ConfigError as ``read``.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    _check_size(len(data), str(path))
    return read(data.decode(), str(path))


def read(text: str, what: str) -> Any:
    """The plain value of a YAML document; ``what`` names it in messages.

    Raises ConfigError for text that is no YAML, for tags that would build objects, and above ``MAX_BYTES``, ``MAX_DEPTH`` or
    ``MAX_NODES``, and for a key that a mapping has twice, before any of it is built.
    """
    _check_size(len(text.encode()), what)
    try:
        _check_depth(text, what)
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_nodes(node, what)
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date with a 13th month, an integer of 5,000 digits
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{what} is not valid YAML here: {in_one_line(str(error))}") from None


def _check_size(size: int, what: str) -> None:
    if size > MAX_BYTES:
        raise ConfigError(
            f"{what} is too long: a YAML document here has at most {MAX_BYTES} bytes. Move data to a file."
        )


def _check_depth(text: str, what: str) -> None:
    """Events come one by one, without recursion, so the depth is known before anything is composed."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ConfigError(f"{what} is nested more than {MAX_DEPTH} deep; write it flatter.")


def _check_nodes(node: yaml.Node, what: str) -> None:
    """What the document weighs with its aliases written out; an alias to something it is part of has no end."""
    if _weight(node, {}, set(), what) > MAX_NODES:
        raise ConfigError(
            f"{what} unfolds to more than {MAX_NODES} values through its aliases; write them out or shorten the document."
        )


def _check_integer(node: yaml.ScalarNode, what: str) -> None:
    if node.tag == "tag:yaml.org,2002:int" and len(node.value) > MAX_DIGITS:
        raise ConfigError(f"{what} has an integer of {len(node.value)} characters; at most {MAX_DIGITS} are read.")


def _weight(node: yaml.Node, known: dict[int, int], open_: set[int], what: str) -> int:
    if id(node) in open_:
        raise ConfigError(f"{what} holds an alias to something that it is part of; write the value out.")
    if id(node) not in known:
        open_.add(id(node))
        if isinstance(node, yaml.MappingNode):
            _check_keys(node, what)
        if isinstance(node, yaml.ScalarNode):
            _check_integer(node, what)
        inner = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        parts = [] if isinstance(node, yaml.ScalarNode) else inner
        known[id(node)] = 1 + sum(_weight(part, known, open_, what) for part in parts)
        open_.discard(id(node))
    return known[id(node)]


_MERGE = "tag:yaml.org,2002:merge"


def _check_keys(node: yaml.MappingNode, what: str) -> None:
    """A key given twice would silently win over the first; YAML forbids it, and PyYAML does not look."""
    seen = set()
    for key, _ in node.value:
        name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE else None
        if name is not None and name in seen:
            line = key.start_mark.line + 1
            raise ConfigError(f"{what} has {key.value!r} twice in one mapping, again in line {line}; keep one of them.")
        seen.add(name)
