"""The rendered street through a camera that turns to infrared in the dark: drawn, like all of it, and it says so."""

import cv2
import numpy as np
from infilink.examples.street.backdrop import Backdrop
from infilink.examples.street.camera import HEIGHT, WIDTH
from infilink.examples.street.canvas import Canvas
from infilink.examples.street.figures import Figure, Rider
from infilink.examples.street.lens import BANK, Lens
from infilink.examples.street.street import Actor, Street
from infilink.examples.street.weather import Air
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
ON_AT, OFF_AT = 0.45, 0.35
_NOISIER = 2.0
_COARSE = 4
# What warm things add to the grey level: people, the bodies of running vehicles and the engine at their front.
_SKIN, _BODY, _ENGINE = 120, 35, 110
_FARTHEST_BLOOM = 41


class InfraredStreet(Street):
    """The street of the same seed, with the same truth, in infrared from dusk to dawn.

    The camera switches when it gets dark (`ON_AT`) and back when it gets light (`OFF_AT`, lower, so that it does not
    flicker). What it then sees is grey and has another contrast: its own lamp lights what is near, leaves are bright,
    the sky is black, headlamps bloom, bodies and engines glow, and the noise is stronger.

    Args:
        seed: as for `Street`; also chooses the noise.
        fps: frames per second of simulated time.
        day_s: length of a day with its night, in seconds of video.
        start: time of day of the first frame (0 morning, 0.5 dusk, 0.75 night); drawn from the seed when None.
        backdrop: the rendered empty street of another `Street`, to save making it again.

    Attributes:
        infrared: whether the current frame is in infrared.
    """

    def __init__(
        self,
        seed: int = 0,
        fps: float = 15.0,
        *,
        day_s: float = 360.0,
        start: float | None = None,
        backdrop: Backdrop | None = None,
    ) -> None:
        super().__init__(seed, fps, day_s=day_s, start=start, backdrop=backdrop)
        self.infrared = self.air.darkness >= ON_AT
        self.lens = InfraredLens(self, np.random.default_rng([seed, 5]))
        self.seen: list[tuple[float, Actor]] = []

    def advance(self) -> None:
        """Go to the next frame without drawing it."""
        super().advance()
        self.infrared = self.air.darkness >= (OFF_AT if self.infrared else ON_AT)

    def _actors(self, canvas: Canvas) -> list[tuple[float, Actor]]:
        self.seen = super()._actors(canvas)
        return self.seen


class InfraredLens(Lens):
    """What the camera makes of a clean picture: as ever by day, else turned to infrared first."""

    def __init__(self, street: InfraredStreet, rng: np.random.Generator) -> None:
        super().__init__(rng, street.lens.caption)
        self.street = street
        self.by_day = self.caption
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
        away = ((x - WIDTH / 2) / WIDTH) ** 2 + ((y - 0.62 * HEIGHT) / HEIGHT) ** 2
        # The camera's own lamp: brightest below the middle of the picture, and lost in the sky.
        self.lamp = (3.6 / (1.0 + 3.0 * away) * np.clip(0.2 + 3.0 * y / HEIGHT, 0.0, 1.0)).astype(np.float32)

    def expose(self, picture: Picture, air: Air, time_s: float) -> Picture:
        """Finish a frame."""
        if not self.street.infrared:
            self.caption = self.by_day
            return super().expose(picture, air, time_s)
        self.caption = f"{self.by_day} - infrared"
        turned = cv2.cvtColor(self._turn(picture, air), cv2.COLOR_GRAY2BGR)
        # The sensor sees no colour, so its noise has none either.
        grey = cv2.cvtColor(super().expose(np.asarray(turned, np.uint8), air, time_s), cv2.COLOR_BGR2GRAY)
        left, top = self.rng.integers(0, BANK, 2)
        noise = np.ascontiguousarray(self.noise[top : top + HEIGHT, left : left + WIDTH, 0])
        level = _NOISIER * (1.6 + 2.2 * air.darkness) / 20
        noisy = cv2.addWeighted(grey, 1.0, noise, level, -128 * level)
        return np.asarray(cv2.cvtColor(noisy, cv2.COLOR_GRAY2BGR), np.uint8)

    def _turn(self, picture: Picture, air: Air) -> Picture:
        blue, green, red = (channel.astype(np.float32) for channel in cv2.split(picture))
        # The darker it is, the more of what is seen is the camera's own light.
        light = 1.0 + (self.lamp - 1.0) * air.darkness
        leaves = np.maximum(green - np.maximum(red, blue), 0.0)
        grey = light * (0.25 * blue + 0.25 * green + 0.5 * red + 4.0 * leaves)
        bright = np.where(cv2.min(picture[:, :, 1], picture[:, :, 2]) > 225, 255.0, 0.0).astype(np.float32)
        small = cv2.resize(bright, (WIDTH // _COARSE, HEIGHT // _COARSE), interpolation=cv2.INTER_AREA)
        bloom = 5.0 * cv2.GaussianBlur(small, (0, 0), 4.0) + cv2.GaussianBlur(small, (_FARTHEST_BLOOM, 1), 9.0)
        glow = cv2.resize(bloom + self._warmth(), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
        return np.asarray(np.clip(np.minimum(grey, 170.0) + glow, 0, 255), np.uint8)

    def _warmth(self) -> NDArray[np.float32]:
        """What glows by itself, a coarse picture; who stands nearer hides who stands behind."""
        warm = np.zeros((HEIGHT // _COARSE, WIDTH // _COARSE), np.float32)
        for _, actor in self.street.seen:
            hull = np.rint(actor.hull / _COARSE * 16).astype(np.int32)
            if isinstance(actor, Figure | Rider):
                cv2.fillPoly(warm, [hull], _SKIN, cv2.LINE_AA, 4)
                continue
            running = not actor.vehicle.parked
            cv2.fillPoly(warm, [hull], _BODY if running else 0, cv2.LINE_AA, 4)
            if running:
                engine = actor.place + 0.8 * actor.ahead * actor.shape.profile[-1][0] + (0.0, 0.0, actor.shape.lamp_z)
                at = actor.canvas.camera.project(engine[None])[0] / _COARSE
                radius = 0.7 * actor.canvas.camera.focal_px / actor.canvas.camera.depth(engine[0], engine[1]) / _COARSE
                cv2.circle(warm, (int(at[0] * 16), int(at[1] * 16)), int(radius * 16), _ENGINE, -1, cv2.LINE_AA, 4)
        return np.asarray(cv2.GaussianBlur(warm, (0, 0), 0.8), np.float32)
