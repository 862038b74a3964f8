"""What sites that learn together begin with."""

from collections.abc import Mapping

import numpy as np

from .link import DomainLink
from .moments import Moments, pool
from .task import LinkTask


def first_link(task: LinkTask, moments: Mapping[str, Moments], *, seed: int) -> DomainLink:
    """What the first round begins with: all sites' pooled standards (they must share one), weights from a seed."""
    pooled = pool(moments[name] for name in sorted(moments))
    link = DomainLink.start(task, pooled, seed=seed)
    return link.with_weights(link.network.weights.astype(np.float32))
