"""Light and weather over time: the sun, clouds, rain and the camera's exposure."""

from dataclasses import dataclass

import numpy as np

KEYS = ("clear", "overcast", "dusk", "night")
"""The light situations that are rendered ahead; every other one is a blend of these."""

# (share of the day, darkness): long holds keep the labels clear, the ramps between them are short
DARKNESS = (
    (0.0, 0.0),
    (0.40, 0.0),
    (0.45, 0.5),
    (0.55, 0.5),
    (0.60, 1.0),
    (0.88, 1.0),
    (0.91, 0.5),
    (0.96, 0.5),
    (1.0, 0.0),
)
SPELLS_S = {"clear": (22.0, 40.0), "cloudy": (18.0, 32.0), "rain": (30.0, 60.0)}
FADE_S = 3.0


@dataclass(frozen=True)
class Air:
    """Light and weather at one moment."""

    clock: float
    darkness: float
    clouds: float
    rain: float
    gain: float

    @property
    def light(self) -> str:
        """``day``, ``dusk`` or ``night``."""
        return "day" if self.darkness < 0.25 else "dusk" if self.darkness < 0.75 else "night"

    @property
    def weather(self) -> str:
        """``clear``, ``cloudy`` or ``rain``."""
        return "rain" if self.rain > 0.5 else "cloudy" if self.clouds > 0.5 else "clear"

    @property
    def weights(self) -> tuple[float, float, float, float]:
        """How much of each of `KEYS` the light consists of, rounded so that pictures can be cached."""
        dusk = max(0.0, 1.0 - abs(self.darkness - 0.5) * 2)
        day, night = max(0.0, 1.0 - self.darkness * 2), max(0.0, self.darkness * 2 - 1.0)
        overcast = round(day * self.clouds * 128) / 128
        dusk, night = round(dusk * 128) / 128, round(night * 128) / 128
        return 1.0 - overcast - dusk - night, overcast, dusk, night

    @property
    def wet(self) -> float:
        """How wet the street is, rounded likewise."""
        return round(self.rain * 64) / 64


class Weather:
    """Deterministic weather: spells of sun, cloud and rain over a repeating day.

    Args:
        rng: The random generator.
        day_s: Length of a whole day with its night, in seconds of video.
        start: Time of day of the first frame, 0..1; drawn when None.
    """

    def __init__(self, rng: np.random.Generator, day_s: float = 360.0, start: float | None = None) -> None:
        self.rng = rng
        self.day_s = day_s
        self.start = float(rng.random()) if start is None else start
        self.spell = str(rng.choice(list(SPELLS_S)))
        self.spell_left_s = float(rng.uniform(5.0, 30.0))
        self.clouds, self.rain = float(self.spell != "clear"), float(self.spell == "rain")
        self.gain, self.jump_left_s, self.jump = 1.0, float(rng.uniform(5, 25)), 1.0
        self.drift = float(rng.uniform(0, 100))

    def step(self, time_s: float, step_s: float) -> Air:
        """Advance to ``time_s`` and say what it looks like."""
        self._spell(step_s)
        self._expose(step_s)
        clock = (self.start + time_s / self.day_s) % 1.0
        ramp = np.interp(clock, [at for at, _ in DARKNESS], [dark for _, dark in DARKNESS])
        # thin clouds pass before the sun, so that a clear or grey sky still drifts in brightness
        passing = 0.5 + 0.5 * np.sin(time_s * 0.35 + self.drift) * np.sin(time_s * 0.11 + 2 * self.drift)
        clouds = float(np.clip(0.22 * passing * (1 - self.clouds) + self.clouds, 0, 1))
        gain = self.gain * (1.0 - 0.06 * passing * self.clouds)
        return Air(clock, float(ramp), clouds, self.rain, float(gain))

    def _spell(self, step_s: float) -> None:
        self.spell_left_s -= step_s
        if self.spell_left_s <= 0:
            following = {"clear": ("cloudy", "rain"), "cloudy": ("clear", "rain"), "rain": ("clear", "cloudy")}
            self.spell = str(self.rng.choice(following[self.spell]))
            self.spell_left_s = float(self.rng.uniform(*SPELLS_S[self.spell]))
        fade = step_s / FADE_S
        self.clouds += float(np.clip((self.spell != "clear") - self.clouds, -fade, fade))
        self.rain += float(np.clip((self.spell == "rain") - self.rain, -fade, fade))

    def _expose(self, step_s: float) -> None:
        self.jump_left_s -= step_s
        if self.jump_left_s <= 0:
            self.jump = float(self.rng.uniform(0.9, 1.1))
            self.gain, self.jump_left_s = self.jump, float(self.rng.uniform(12, 35))
        self.gain += (1.0 - self.gain) * min(1.0, step_s / 6.0)
