"""The best that one resident set does within its compute and its room for turns: a linear program over policies."""

from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from .priced import Policy, PricedRoom
from .problem import Problem

_MOST_STEPS = 100
_EPS = 1e-9
_DONE = 1e-7
# What computes less is taken of what is worth the same.
_LEAST_PRICE = 1e-8


@dataclass(frozen=True)
class Mixture:
    """Up to three policies that are alternated, each for a share of the time.

    Attributes:
        policies: what is done.
        shares: of the time, summing to 1.
        value: the weighted mean agreement.
        bound: no policies of this resident set exceed it.
        core_price: what a further processor second in a second would add.
        slot_price: what further room for turns would add.
    """

    policies: tuple[Policy, ...]
    shares: tuple[float, ...]
    value: float
    bound: float
    core_price: float
    slot_price: float

    def mean(self, name: str) -> Array:
        """One of the policies' figures on average."""
        each = np.asarray([getattr(policy, name) for policy in self.policies], np.float64)
        return np.asarray(np.tensordot(self.shares, each, axes=1))


def best_mixture(problem: Problem, priced: PricedRoom, *, at_least: float = -np.inf) -> Mixture | None:
    """The optimum, by the simplex method: its prices say which policy would add most, and that one enters.

    As policies may be alternated at any shares, nothing is rounded, and what is spent is exactly what there is.

    Args:
        problem: what is chosen from.
        priced: the resident set.
        at_least: what is of no use: None is returned once no policies can exceed it.
    """
    rhs = np.asarray([problem.cores, float(priced.room.slots), 1.0])
    # What is left over of both budgets, and what policies there are, in what they take and add.
    idle = priced.idle()
    known: list[Policy | None] = [None, None, idle]
    takes, gains = [*np.eye(3)], [0.0, 0.0, idle.value]
    basis, bound, steps = [0, 1, 2], np.inf, 0
    while True:
        inverse = np.linalg.inv(np.stack([takes[at] for at in basis], axis=1))
        level = inverse @ rhs
        prices = np.asarray([gains[at] for at in basis]) @ inverse
        value = float(np.asarray([gains[at] for at in basis]) @ level)
        adds = np.asarray(gains) - np.stack(takes) @ prices
        enters = int(adds.argmax())
        if adds[enters] <= _DONE:
            paid = np.maximum(prices[:2], _LEAST_PRICE)
            policy, net = priced.at(float(paid[0]), float(paid[1]))
            bound = min(bound, net + float(paid @ rhs[:2]))
            take = np.asarray([policy.cores, policy.slots, 1.0])
            steps += 1
            if bound <= at_least:
                return None
            if bound <= value + _DONE or policy.value - take @ prices <= _DONE or steps == _MOST_STEPS:
                break
            enters = len(known)
            known.append(policy)
            takes.append(take)
            gains.append(policy.value)
        step = inverse @ takes[enters]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(step > _EPS, np.maximum(level, 0.0) / step, np.inf)
        basis[int(ratios.argmin())] = enters
    taken = [(known[at], float(share)) for at, share in zip(basis, level, strict=True) if share > _EPS]
    used = [(policy, share) for policy, share in taken if policy is not None]
    return Mixture(
        tuple(policy for policy, _ in used),
        tuple(share for _, share in used),
        value,
        max(bound, value),
        max(float(prices[0]), 0.0),
        max(float(prices[1]), 0.0),
    )
