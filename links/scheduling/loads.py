"""What loading a model is worth to all streams, and what unloading one loses, per second of the use of memory."""

from collections.abc import Sequence

import numpy as np

from ...outputs import Array
from ..table import AGE_EDGES_S
from .worth import StreamWorth

_AGES_S = np.geomspace(0.05, 256.0, 50)
_MIDDLES_S = np.asarray([0.5, *np.sqrt(np.asarray(AGE_EDGES_S) * np.asarray((*AGE_EDGES_S[1:], 128.0)))])
"""The ages that the measured ones stand for."""
_GONE_S = 3.0
"""A stream that has sent nothing for so long, or for so many of its inputs, waits for nothing."""


def active(streams: Sequence[StreamWorth], now_s: float) -> list[StreamWorth]:
    """Those that are sending."""
    return [each for each in streams if now_s - each.seen_s <= _GONE_S * max(1.0, each.every_s)]


def waiting(streams: Sequence[StreamWorth], costs_s: Array, price: float) -> Array:
    """What one run on every stream would prevent, beyond what it costs: losses, float (models,)."""
    if not streams:
        return np.zeros(len(costs_s))
    gains = np.stack([each.gain for each in streams])
    result: Array = np.maximum(gains - _priced(costs_s, price), 0.0).sum(axis=0)
    return result


def keeping(streams: Sequence[StreamWorth], costs_s: Array, loads_s: Array, price: float) -> Array:
    """What each second of a model's memory prevents while it stays loaded: losses a second, float (models,).

    A model that goes for `T` seconds, the last of them for being loaded again, frees its memory for all but these; with
    a loss of `f(age)` a second it loses the integral of `f` over them. The shortest absence that is cheapest counts.
    """
    if not streams:
        return np.zeros(len(costs_s))
    total = np.zeros((len(costs_s), len(_MIDDLES_S)))
    for each in streams:
        rate = 1.0 / each.every_s if each.every_s > 0.0 else 1.0
        total += rate * each.weight[:, None] * each.fresh
    kept = np.zeros(len(costs_s))
    rates = sum(1.0 / each.every_s if each.every_s > 0.0 else 1.0 for each in streams)
    for at, losses in enumerate(total):
        lost = np.interp(_AGES_S, _MIDDLES_S, losses)
        areas = np.concatenate([[lost[0] * _AGES_S[0]], np.diff(_AGES_S) * (lost[1:] + lost[:-1]) / 2.0]).cumsum()
        # At this price a stream is served so seldom, loaded or not, that it loses at least this much a second.
        cycles = len(streams) * _priced(costs_s, price)[at]
        usual = float(((areas + cycles) / np.maximum(_AGES_S, len(streams) / rates)).min()) if cycles > 0.0 else 0.0
        excess = np.maximum(lost - usual, 0.0)
        beyond = np.concatenate(
            [[excess[0] * _AGES_S[0]], np.diff(_AGES_S) * (excess[1:] + excess[:-1]) / 2.0]
        ).cumsum()
        away = _AGES_S - 1.05 * loads_s[at] > 0.0
        kept[at] = (beyond[away] / (_AGES_S[away] - loads_s[at])).min() if away.any() else np.inf
    return kept


def _priced(costs_s: Array, price: float) -> Array:
    result: Array = costs_s * min(price, 1e12)
    return result
