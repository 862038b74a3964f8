"""A site's whole part in a federation: its trace's blocks, the rounds, and whether it was of use to this site."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...links.domains.controls import constant
from ...links.domains.fusion import Fusion
from ...links.domains.link import learn_link
from ...links.domains.pairs import Pairs
from ...links.domains.site import Site
from ...links.domains.task import LinkTask
from ...trace import Trace
from .site_client import Joined, join

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SiteRun:
    """What it came to.

    Attributes:
        joined: the link and the traffic.
        reported: how many inputs the figures are from.
        agreements: mean agreement with the exact model on the last block, by who answered.
        weights: of the fused.
    """

    joined: Joined
    reported: int
    agreements: Mapping[str, float]
    weights: Mapping[str, float]

    def figures(self) -> dict[str, Any]:
        """Plain values for JSON."""
        traffic = {name: getattr(self.joined, name) for name in ("sent_bytes", "received_bytes", "central_bytes")}
        return {
            "rounds": self.joined.rounds,
            "reported": self.reported,
            "agreements": dict(self.agreements),
            "weights": dict(self.weights),
            **traffic,
        }


def run_site(
    address: str,
    trace: Trace,
    target: str,
    sources: Sequence[str],
    *,
    name: str,
    seed: int = 0,
    token: str = "",
    tls_ca: Path | None = None,
) -> SiteRun:
    """Takes part with a trace, then compares.

    Raises:
        InvalidInput: the trace or the models do not fit, or the aggregator refused the site.
        UnknownModel: the trace has no such model.
        Unavailable: the aggregator can't be reached, or ended before the last round.
    """
    task = LinkTask.of(trace, sources, target)
    train, validation, report = Pairs.read(trace, task).blocks(0.6, 0.2, 0.2)
    joined = join(
        address,
        Site(name, task, train, seed=seed),
        token=token,
        tls_ca=tls_ca,
        on_round=lambda index: logger.info("round %d", index + 1),
    )
    links = {"this site's link": learn_link(task, train, validation, seed=seed), "the link of all": joined.link}
    fused = Fusion.choose(
        task.form, {name: link.predict(validation.inputs) for name, link in links.items()}, validation.targets
    )
    predictions = {name: link.predict(report.inputs) for name, link in links.items()}
    agreements = {"constant": constant(task, train).agreement(report)}
    agreements |= {name: link.agreement(report) for name, link in links.items()}
    agreements["both fused"] = float(task.form.agreements(fused.predict(predictions), report.targets).mean())
    return SiteRun(joined, len(report), agreements, fused.weights)
