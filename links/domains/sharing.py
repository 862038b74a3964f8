"""What a site makes of the link that all learnt: compared with its own, the two fused, and written where it serves."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .adapt import constant
from .folder import LinkFolder, Written
from .fusion import FusedLink
from .link import DomainLink, learn_link
from .task import LinkTask, Pairs

SHARED, OWN, CHOSEN = "the link of all", "this site's link", "what is chosen"
_SHARES = (0.6, 0.2, 0.2)


@dataclass(frozen=True)
class Compared:
    """The link of all beside what a site has without it.

    Attributes:
        reported: how many inputs the figures are from.
        agreements: mean agreement with the exact model on the last block, by who answered.
        weights: of the link of all and of the site's own in what agreed best on the block that is chosen on.
        link: that.
    """

    reported: int
    agreements: Mapping[str, float]
    weights: Mapping[str, float]
    link: FusedLink

    def figures(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"reported": self.reported, "agreements": dict(self.agreements), "weights": dict(self.weights)}


@dataclass(frozen=True)
class SharingSite:
    """A site's recording, and what it is to predict.

    Attributes:
        folder: the recording, and the links that are there already.
        task: what the link is for.
    """

    folder: LinkFolder
    task: LinkTask

    @property
    def blocks(self) -> list[Pairs]:
        """To learn from, to choose on, and to report on."""
        return Pairs.of(self.task, self.folder.samples_of(self.task)).blocks(*_SHARES)

    def compare(self, shared: DomainLink, *, seed: int = 0) -> Compared:
        """Learns the site's own link and finds out what agrees best here: it, the link of all, or both."""
        train, validation, report = self.blocks
        # Of equals the first is taken.
        links = {SHARED: shared, OWN: learn_link(self.task, train, validation, seed=seed)}
        link, fusion = FusedLink.choose(links, validation)
        agreements = {"constant": constant(self.task, train).agreement(report)}
        agreements |= {name: one.agreement(report) for name, one in links.items()} | {CHOSEN: link.agreement(report)}
        return Compared(len(report), agreements, fusion.weights, link)

    def write(self, out: Path, compared: Compared, *, seed: int = 0) -> Written:
        """Writes what agreed best as a link of a folder.

        Raises:
            InvalidInput: something else than links is at `out`, or the package onnx is not installed.
        """
        told = {"learnt_from": "sites", "weights": dict(compared.weights)}
        samples = self.folder.samples_of(self.task)
        return self.folder.write(out, compared.link, samples, seed=seed, told=told)
