"""Carries out the governor's level on one stream: its gate, what decides, and what is sent."""

from collections.abc import Iterator
from contextlib import contextmanager

from ...filters.gates.base import Gate
from ...filters.stricter import Stricter, stricter_of
from ..deciding import Decider
from ..exchange import Exchange
from .governor import Governor
from .ladder import Level
from .settings import GovernorSettings
from .stream_level import StreamLevel
from .traffic import Counts


class Easing:
    """One stream under a governor.

    Args:
        governor: the agent's; None: nothing is ever left out.
        settings: the stream's.
        decider: decides on its inputs.
        exchange: sends them.
        asks: whether features travel first, and frames where the coordinator asks for them.

    Attributes:
        levels: those that change anything here.
        level: what is carried out.
    """

    def __init__(
        self,
        governor: Governor | None,
        settings: GovernorSettings,
        decider: Decider,
        exchange: Exchange,
        *,
        asks: bool,
    ) -> None:
        self.governor = governor
        self.settings = settings
        self.decider = decider
        self.exchange = exchange
        self._asks = asks
        self._stricter: Stricter | None = None
        self.levels: tuple[Level, ...] = ()
        self.level = StreamLevel(governor, every=settings.every, change=self._ease)
        self.use(decider.gate)

    def use(self, gate: Gate) -> None:
        """Goes on with a gate; another one is as strict as the level says, too."""
        self._stricter = stricter_of(gate, self.settings.accuracy)
        levels = [Level.FULL, Level.SLOWER, Level.LOCAL]
        if self._stricter is not None or self.exchange.travelling.rungs > 1:
            levels.append(Level.STRICTER)
        if self._asks:
            levels.append(Level.FEATURES)
        self.levels = self.level.levels = tuple(sorted(levels))
        if self.level.level:
            self._ease(self.level.level)

    @contextmanager
    def joined(self, name: str) -> Iterator[None]:
        """The governor counts the stream in, by its name, while the body runs."""
        if self.governor is None:
            yield
            return
        with self.governor.governs(name, self):
            yield

    def counts(self) -> Counts:
        """What the link bears; from the governor's thread."""
        counted = self.exchange.counts
        return Counts(counted["kept"], counted["dropped"], self.exchange.uplink.sent_bytes, self.exchange.round_trip_s)

    def _ease(self, level: Level) -> None:
        if self._stricter is not None:
            self._stricter.apply(level >= Level.STRICTER)
        if self.exchange.held and level < Level.LOCAL and not self.exchange.spools:
            # What the gate took for sent was not: the next input is.
            self.decider.gate.reset()
        certified = self._stricter is not None and self._stricter.certified
        # What was certified is of pictures of the first size.
        certified = certified and self.exchange.travelling.rungs <= 1
        stands = level is Level.FULL or (level is Level.STRICTER and certified)
        self.decider.ease(level.text if level else "", stands=stands)
        # Down the ladder of sizes: one step when stricter, another one when slower.
        self.exchange.travelling.lower(min(level, Level.SLOWER))
        self.exchange.ease(frames_stay=level >= Level.FEATURES, held=level >= Level.LOCAL)
