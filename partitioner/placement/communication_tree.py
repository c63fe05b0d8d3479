"""The tree along which partial results are merged: a minimum spanning tree over link costs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from partitioner.errors import ConfigError, MissingDependency


@dataclass(frozen=True, slots=True)
class CommunicationTree:
    """``links`` (a, b) of the tree, cheapest first, with ``total`` cost; ``parent`` of each node on the way to ``root``."""

    root: Hashable
    links: tuple[tuple[Hashable, Hashable], ...]
    total: float
    parent: Mapping[Hashable, Hashable]


def communication_tree(
    costs: Mapping[tuple[Hashable, Hashable], float], root: Hashable | None = None
) -> CommunicationTree:
    """The minimum spanning tree of undirected link costs (Kruskal 1956, O(e log e)), hung from ``root`` (the first node).

    Costs are any unit, finite and at least 0. ConfigError for a bad cost, an unknown root or nodes that no links connect.
    """
    try:
        import networkx as nx
    except ModuleNotFoundError as error:
        raise MissingDependency(
            'a communication tree needs networkx: pip install "batch-partitioner[solver]"'
        ) from error
    graph = nx.Graph()
    for (a, b), cost in costs.items():
        if not 0 <= cost < float("inf"):
            raise ConfigError(f"link {a!r} to {b!r} costs {cost}: a cost is finite and at least 0")
        graph.add_edge(a, b, weight=cost)
    if not len(graph):
        raise ConfigError("a communication tree needs at least one link")
    top = next(iter(graph)) if root is None else root
    if top not in graph:
        raise ConfigError(f"root {root!r} is not among the nodes {list(graph)}")
    if not nx.is_connected(graph):
        apart = min((sorted(map(str, part)) for part in nx.connected_components(graph)), key=len)
        raise ConfigError(f"no links connect {', '.join(apart)} to the rest; add a link between the parts")
    tree = list(nx.minimum_spanning_edges(graph, algorithm="kruskal", data=True))
    spanning = nx.Graph([(a, b) for a, b, _ in tree])
    parent = {child: upper for upper, child in nx.bfs_edges(spanning, top)}
    return CommunicationTree(top, tuple((a, b) for a, b, _ in tree), float(sum(d["weight"] for *_, d in tree)), parent)
