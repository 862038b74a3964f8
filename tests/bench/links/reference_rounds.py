"""Rounds of learning together, all sites in this process: what the daemons do over the network, without one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from infilink.errors import InvalidInput
from infilink.links.domains.link import DomainLink
from infilink.links.domains.rounds import Site, SiteChange, averaged, check_change, first_link


@dataclass(frozen=True)
class RoundSettings:
    """How sites learn together.

    Attributes:
        rounds: how many.
        by_samples: weigh sites by their samples; the paper's mean is plain.
        seed: of the weights of the first round.
    """

    rounds: int = 30
    by_samples: bool = False
    seed: int = 0


def run_rounds(
    sites: Sequence[Site], settings: RoundSettings, *, present: Sequence[Collection[str]] | None = None
) -> DomainLink:
    """The link that these sites learn together.

    Args:
        sites: of one task, at least one, each with its own name.
        settings: how.
        present: the names of those that take part, round by round; by default all.

    Raises:
        InvalidInput: the sites' tasks or names do not go together, or a change can't be taken.
    """
    _check(sites)
    link = first_link(sites[0].task, {site.name: site.moments for site in sites}, seed=settings.seed)
    weights = link.network.weights.astype(np.float32)
    for index in range(settings.rounds):
        names = {site.name for site in sites} if present is None else set(present[index])
        changes: dict[str, SiteChange] = {}
        for site in sites:
            if site.name in names:
                changes[site.name] = check_change(site.change(link, weights, index), len(weights))
        if changes:
            weights = averaged(weights, changes, by_samples=settings.by_samples)
    return link.with_weights(weights)


def _check(sites: Sequence[Site]) -> None:
    if not sites or len({site.name for site in sites}) < len(sites):
        raise InvalidInput("sites: give at least one, each with a name of its own")
    for site in sites[1:]:
        differ = sites[0].task.differences(site.task)
        if differ:
            raise InvalidInput(f"sites: {site.name!r} differs from {sites[0].name!r}: {'; '.join(differ)}")
