"""Reads the files in a folder of links, and makes sure that they belong together."""

import logging
from pathlib import Path

from ..errors import InvalidInput
from ..models.stem.stem import Stem
from .index import INDEX, STEM_FILE, Index
from .linear.link import SUFFIX, LinearLink
from .link import Link
from .table import STEM

logger = logging.getLogger(__name__)


def read_links(folder: Path, top: Path, index: Index, stem: Stem | None) -> dict[str, Link | LinearLink]:
    """Every target's link.

    Args:
        folder: where they lie.
        top: the folder that it is in, whose networks all cameras share; the same if it is in none.
        index: of the folder.
        stem: that of `top`; None: it has none.

    Raises:
        InvalidInput: a file is missing, damaged, or belongs to other models or another stem.
    """
    if not index.certified:
        logger.warning(
            "%s: an earlier version certified these links as if inputs were independent, on what they were chosen "
            "on: none of that counts, and no linked answer is trusted; train the links again",
            folder,
        )
    if STEM in index.models:
        raise InvalidInput(
            f"{folder}: has a model named {STEM!r}, which is what links call the stem's features; name the model "
            "otherwise, record and train again"
        )
    if index.stem and (stem is None or stem.digest != index.stem):
        raise InvalidInput(f"{folder / INDEX}: names another stem than {top / INDEX}; train the links again")
    links = {name: _find_link(folder, top, name) for name in index.links}
    for name, link in links.items():
        if isinstance(link, LinearLink) and link.stem not in ("", index.stem):
            raise InvalidInput(f"{link.path}: reads another stem than {folder / INDEX} says; train the links again")
        if isinstance(link, LinearLink) and not link.regressions.keys() >= index.tables[name].linked.keys():
            raise InvalidInput(f"{link.path}: lacks links that {folder / INDEX} names; train the links again")
        if dict(link.spec.digests) != dict(index.digests):
            raise InvalidInput(f"{link.path}: was trained with other models than {folder / INDEX} says")
    return links


def open_link(path: Path) -> Link | LinearLink:
    """The link in a file, in closed form or a network.

    Raises:
        InvalidInput: it is not there, or is not a link.
    """
    return LinearLink.read(path) if path.suffix == SUFFIX else Link(path)


def _find_link(folder: Path, top: Path, name: str) -> Link | LinearLink:
    """The link in a folder, else the network in the one that it is in: cameras share those."""
    linear, network = folder / f"{name}{SUFFIX}", folder / f"{name}.onnx"
    return open_link(linear if linear.is_file() else network if network.is_file() else top / network.name)


def read_stem(folder: Path, digest: str) -> Stem | None:
    """The stem in a folder of links whose index names that digest; an empty one: none."""
    if not digest:
        return None
    path = folder / STEM_FILE
    if not path.is_file():
        raise InvalidInput(f"{path}: is missing, and the links read it; copy the folder of links as a whole")
    stem = Stem(path)
    if stem.digest != digest:
        raise InvalidInput(f"{path}: is another stem ({stem.digest}) than the links were learnt with ({digest})")
    return stem
