"""Which rotating models there is time for, and how often: a multiple-choice knapsack, solved exactly or quickly."""

from dataclasses import dataclass

import numpy as np

from ...outputs import Array

_PRICES = 12
_EPS = 1e-9
_HALVINGS = 30


@dataclass(frozen=True)
class Turns:
    """Which turns there is time for: each model has none, or one refresh time, and its share of the time.

    Attributes:
        shares: of real time that a model takes at a refresh time, (refresh choices, models).
        prices: gains per share of time that are tried in bounds.
    """

    shares: Array
    prices: tuple[float, ...]

    @classmethod
    def of(cls, shares: Array, *, most: float) -> "Turns":
        """With prices that suit gains of at most `most`."""
        largest = most / shares.min(initial=1.0)
        return cls(shares, (0.0, *np.geomspace(largest / 1e4, largest, _PRICES)))

    def bounds(self, gains: Array, room: Array) -> Array:
        """At most what turns can add to each set: (sets,) from (refresh choices, models, sets) and (sets,)."""
        least = np.full(gains.shape[2], np.inf)
        for price in self.prices:
            bound = price * room
            for model in range(gains.shape[1]):
                bound += np.maximum((gains[:, model] - price * self.shares[:, model, None]).max(axis=0, initial=0.0), 0)
            np.minimum(least, bound, out=least)
        return least

    def best(self, gains: Array, room: float, *, at_least: float) -> tuple[float, tuple[int, ...]]:
        """The most that turns add to one set, and each model's option: 0, or 1 + a refresh choice.

        A multiple-choice knapsack, exact: the fronts of Nemhauser and Ullmann, less what can't exceed `at_least`.

        Args:
            gains: (refresh choices, models).
            room: the share of time that all may take together.
            at_least: what is of no use; -1 is returned if nothing exceeds it.
        """
        options, models = gains.shape[0] + 1, gains.shape[1]
        # What the models from each on could add, at each price.
        priced = [np.maximum((gains - price * self.shares).max(axis=0, initial=0.0), 0.0) for price in self.prices]
        later = [np.append(np.cumsum(each[::-1])[::-1], 0.0) for each in priced]
        shares, added, codes = np.zeros(1), np.zeros(1), np.zeros(1, np.int64)
        for model in range(models):
            useful = np.flatnonzero(gains[:, model] > 0)
            shares = np.concatenate([shares, *(shares + self.shares[choice, model] for choice in useful)])
            added = np.concatenate([added, *(added + gains[choice, model] for choice in useful)])
            step = options**model
            codes = np.concatenate([codes, *(codes + (int(choice) + 1) * step for choice in useful)])
            kept = shares <= room + _EPS
            for price, rest in zip(self.prices, later, strict=True):
                kept &= added + price * (room - shares) + rest[model + 1] > at_least
            order = np.flatnonzero(kept)[np.lexsort((-added[kept], shares[kept]))]
            front = np.maximum.accumulate(added[order]) if len(order) else added[order]
            order = order[np.append(True, added[order][1:] > front[:-1])] if len(order) else order
            shares, added, codes = shares[order], added[order], codes[order]
            if not len(order):
                return -1.0, (0,) * models
        code = int(codes[-1])
        return float(added[-1]), tuple(code // options**model % options for model in range(models))

    def quick(self, gains: Array, room: float) -> tuple[float, tuple[int, ...], float]:
        """`best` for any number of models, nearly: what turns add, each model's option, and the price of time.

        Each model takes what it gains most from at the lowest price at which there is time for all, then the time that
        is left goes to whatever gains most for it. No choice adds more than `at_price` says at the price returned.
        """
        low, high = 0.0, float((gains / self.shares).max(initial=0.0)) + 1.0
        options, used = self._taken(gains, 0.0)
        if used > room + _EPS:
            for _ in range(_HALVINGS):
                middle = (low + high) / 2
                if self._taken(gains, middle)[1] > room + _EPS:
                    low = middle
                else:
                    high = middle
            options, used = self._taken(gains, high)
        else:
            high = 0.0
        models = np.arange(gains.shape[1])
        shares = np.concatenate([np.zeros((1, len(models))), self.shares])
        added = np.concatenate([np.zeros((1, len(models))), gains])
        while True:
            more = added - added[options, models]
            extra = shares - shares[options, models]
            better = (more > _EPS) & (used + extra <= room + _EPS)
            if not better.any():
                break
            score = np.where(better, more / np.maximum(extra, 1e-12), -1.0)
            option, model = np.unravel_index(int(score.argmax()), score.shape)
            used += float(extra[option, model])
            options[model] = option
        return float(added[options, models].sum()), tuple(int(option) for option in options), high

    def at_price(self, gains: Array, room: float, price: float) -> float:
        """At most what turns add if time has this price."""
        return price * room + float(np.maximum((gains - price * self.shares).max(axis=0, initial=0.0), 0.0).sum())

    def _taken(self, gains: Array, price: float) -> tuple[Array, float]:
        """Each model's option at a price, 0 for none, and the time that all take."""
        net = np.concatenate([np.zeros((1, gains.shape[1])), gains - price * self.shares])
        options = net.argmax(axis=0)
        models = np.flatnonzero(options)
        return options, float(self.shares[options[models] - 1, models].sum())
