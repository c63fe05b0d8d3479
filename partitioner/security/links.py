"""A symbolic link in the place of a folder that we made would have us write and remove elsewhere."""

from __future__ import annotations

import os

from partitioner.errors import StorageFailed


def refuse_links(url: str, name: str) -> None:
    """Raises StorageFailed where a folder of ours on the way to ``name`` below ``url`` is a symbolic link, on a local disk.

    Ours are the folders in ``name``, the hidden folder of the versions of one file, and of a directory below one with
    ``run.json`` it and the one above. The way to an output or to a run directory is the user's own, and may have links.
    """
    if "://" in url:
        return
    above = os.path.dirname(url)
    linked = [place for place in (above, url) if os.path.islink(place) and (_of_versions(place) or _in_run(place))]
    place = url
    for part in name.split("/")[:-1]:
        place = f"{place}/{part}"
        linked += [place] if os.path.islink(place) else []
    if linked:
        raise StorageFailed(
            f"{linked[0]} is a symbolic link in the place of a folder of ours; nothing is written, listed or removed behind "
            "it. Move the folder that it leads to into its place, or remove it."
        )


def _of_versions(place: str) -> bool:
    """As ``output.exporting`` names it."""
    name = os.path.basename(place)
    return name.startswith(".") and name.endswith(".versions")


def _in_run(place: str) -> bool:
    above = os.path.dirname(place)
    return any(os.path.isfile(f"{folder}/run.json") for folder in (above, os.path.dirname(above)))
