"""Is the camera what it was? Stable, moved or blinded, and since when; from one small look every third of a second."""

import logging
import math
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field

from ...models.inputs.form import PICTURES, InputForm
from ...outputs import Array
from ...settings import Table
from .kept_view import KeptView
from .look import Look
from .view import View

logger = logging.getLogger(__name__)

State = Literal["stable", "moved", "blinded"]

LOOK_S = 0.3
"""The least time between two looks, in seconds of capture."""
# A view is known once it was looked at so often; before, only a dark picture tells something.
_KNOWN = 10
# At least so many blocks must stand still for them to tell anything.
_LEAST_STILL = 6
_LEAST_LOOKS = 3
# Chosen on twelve clips, reported on the others (tests/bench/device/bench_camera.py). What ends a state is stricter
# than what begins it.
_SAME, _FEW_SAME = {False: 0.5, True: 0.6}, 0.35
_DETAIL, _VEILED = {False: 0.5, True: 0.65}, {False: 0.25, True: 0.18}
_SHIFT, _ALIKE_SHIFT = 0.025, 0.02
_DARK_LIGHT, _DARK_STRUCTURE = 24.0, 30.0
_COVERED = 0.15
_CONFIRM_S = {
    **{"dark": 2.0, "covered": 2.0, "moved": 2.0, "colour": 2.0},
    **{"other": 3.0, "blurred": 4.0, "veiled": 6.0, "partly": 20.0},
}
# Where nothing stands still any more the camera moves on and on, or something else does: rain, a crowd, the noise of a
# dark picture. These have more structure than was there.
_UNSTEADY_S, _UNSTEADY_STRUCTURE = 15.0, 2.0
_BACK_S = 2.0
# A view that stays blurred or partly covered, or never stands still, is taken for the camera's new one after so long.
_ACCEPTED_S = 300.0
# How often what it sees is kept: a card wears.
_KEEP_EVERY_S = 600.0
_BLINDED = ("dark", "covered", "blurred", "veiled")
_REASONS = {
    "dark": "it is dark: hardly anything can be seen",
    "covered": "it is covered: what stood still in the picture is gone, and there is hardly any structure",
    "blurred": "it is blurred: out of focus, or something is on the lens",
    "veiled": "a part of it is covered by something near the lens (a web, a drop, a hand)",
    "other": "nearly nothing that stood still in the picture is where it was",
    "partly": "much of what stood still in the picture is not where it was",
    "off": "it has no colours any more: switched to infrared",
    "on": "it has colours again: switched from infrared",
}


@dataclass(frozen=True)
class Condition:
    """What a camera is in.

    Attributes:
        state: stable; moved: it sees something else; blinded: it sees little.
        reason: why, in words; empty while stable.
        view: counts the views that it has had, 0 the first; another number, another view.
    """

    state: State = "stable"
    reason: str = ""
    view: int = 0

    @property
    def text(self) -> str:
        """It in words; empty while stable."""
        return "" if self.state == "stable" else f"{self.state}: {self.reason}"


class CameraSettings(Table):
    """The table `[camera]`; `DEFAULT_TOML` says what each is for."""

    watch: bool = True
    settle_s: float = Field(default=10.0, ge=1.0, le=3600.0)


class CameraWatch:
    """Follows one camera.

    Args:
        settle_s: how long a new view must stay as it is before it is taken for the camera's.
        kept: where the view that it begins with outlives the agent; None: nowhere.

    Attributes:
        condition: what the camera is in.
    """

    def __init__(self, *, settle_s: float = 10.0, kept: KeptView | None = None) -> None:
        self.settle_s = settle_s
        self.condition = Condition()
        self._kept, self._kept_s = kept, math.inf
        self._view = self._home = (None if kept is None else kept.read()) or View()
        self._fresh = View()
        self._views = 0
        self._shift: tuple[float, float] | None = None
        # When the symptom, the fresh view and the absence of symptoms began, and since when there is something to see.
        self._since_s = self._fresh_s = self._normal_s = self._seen_s = 0.0
        self._looked_s = -math.inf
        self._since_looks = self._normal_looks = 0

    def see(self, picture: Array, captured_s: float) -> Condition:
        """Takes the next picture (uint8 BGR), captured at `captured_s` seconds; most are not even looked at."""
        passed_s = captured_s - self._looked_s
        if 0.0 <= passed_s < LOOK_S:
            return self.condition
        if passed_s < 0.0:
            # The source's clock was set back, or it began anew: what lasts is counted anew.
            self._since_s = self._fresh_s = self._normal_s = self._seen_s = captured_s
        self._looked_s = captured_s
        look = Look.at(picture)
        if self.condition.state == "stable":
            self._watch(look, captured_s)
        else:
            self._settle(look, captured_s)
        return self.condition

    def begin_here(self, gate: str) -> Condition:
        """What it sees now is what it begins with from now on: there is another gate.

        Args:
            gate: its digest.
        """
        self._home, self._kept_s = self._view, math.inf
        self.condition = replace(self.condition, view=0)
        if self._kept is not None:
            self._kept.gate = gate
        return self.condition

    def close(self) -> None:
        """Keeps what it began with a last time."""
        if self._kept is not None:
            if self._home.looks >= _KNOWN:
                self._kept.keep(self._home)
            self._kept.close()

    @property
    def doubted(self) -> bool:
        """Whether something looks wrong, though it has not lasted: the camera may have changed already."""
        return self._since_looks > 0

    def _symptom_of(self, look: Look, view: View, *, strict: bool = False) -> str:
        """What is wrong with a look, beside a view, in a word; empty: nothing.

        Args:
            look: the look.
            view: what it should be.
            strict: whether something was wrong before.
        """
        if look.light < _DARK_LIGHT and float(look.structure.mean()) < _DARK_STRUCTURE:
            return "dark"
        found = view.compare(look)
        if view.looks < _KNOWN or found.still < _LEAST_STILL:
            return ""
        if found.same < _SAME[strict]:
            if found.structure < _COVERED:
                return "covered"
            if found.same < _FEW_SAME:
                return "moved" if self._has_shifted(look, view) else "other"
            return "moved" if self._has_shifted(look, view) else "partly"
        if found.colour_changed:
            return "colour"
        if found.detail < _DETAIL[strict]:
            return "blurred"
        return "veiled" if found.veiled > _VEILED[strict] else ""

    def _has_shifted(self, look: Look, view: View) -> bool:
        """Whether a look is the view shifted, by as much as the last such look."""
        shift, before = view.shift(look), self._shift
        self._shift = shift
        if shift is None or before is None or max(map(abs, shift)) < _SHIFT:
            return False
        return max(abs(now - then) for now, then in zip(shift, before, strict=True)) < _ALIKE_SHIFT

    def _count(self, symptom: str, now_s: float) -> None:
        """How long there has been some symptom, or none."""
        if not symptom:
            self._normal_looks += 1
            if self._normal_looks == 1:
                self._normal_s = now_s
            self._since_looks = 0
            return
        self._normal_looks = 0
        self._since_looks += 1
        if self._since_looks == 1:
            self._since_s = now_s

    def _watch(self, look: Look, now_s: float) -> None:
        """A stable camera: learns its view, until some symptom has lasted."""
        symptom = self._symptom_of(look, self._view)
        self._count(symptom, now_s)
        if not symptom:
            self._view.add(look)
            self._keep(now_s)
            return
        if self._since_looks == 1:
            self._fresh, self._fresh_s = View(), now_s
        self._fresh.add(look)
        lasted_s = now_s - self._since_s
        if self._since_looks >= _LEAST_LOOKS and lasted_s >= self._confirm_s(symptom, look):
            self._seen_s = now_s
            self._tell(symptom, look, lasted_s)

    def _keep(self, now_s: float) -> None:
        """Keeps the view that it began with, now and then."""
        if self._kept is None or self._view is not self._home or self._view.looks < _KNOWN:
            return
        if not 0.0 <= now_s - self._kept_s < _KEEP_EVERY_S:
            self._kept_s = now_s
            self._kept.keep(self._view)

    def _confirm_s(self, symptom: str, look: Look) -> float:
        """How long a symptom must last to be believed."""
        if symptom not in ("moved", "other", "partly") or self._is_steady(look):
            return _CONFIRM_S[symptom]
        return math.inf if self._view.compare(look).structure > _UNSTEADY_STRUCTURE else _UNSTEADY_S

    def _is_steady(self, look: Look) -> bool:
        """Whether what is seen since the symptom began stands still."""
        found = self._fresh.compare(look)
        return found.still >= _LEAST_STILL and found.same >= _SAME[False]

    def _settle(self, look: Look, now_s: float) -> None:
        """A camera that is not stable: an earlier view comes back, or a new one stays long enough."""
        before = self.condition
        known = self._view
        symptom = self._symptom_of(look, known, strict=True)
        if symptom and self._home is not known and not self._symptom_of(look, self._home, strict=True):
            known, symptom = self._home, ""
        self._count(symptom, now_s)
        if not symptom:
            if self._normal_looks >= _LEAST_LOOKS and now_s - self._normal_s >= _BACK_S:
                view = 0 if known is self._home else before.view
                self._begin(known, view, "sees what it saw before")
            return
        if symptom in ("dark", "covered"):
            self._seen_s = now_s
        if symptom in ("dark", "covered") or (self._fresh.looks >= _KNOWN and not self._is_steady(look)):
            self._fresh = View()
        if not self._fresh.looks:
            self._fresh_s = now_s
        self._fresh.add(look)
        # What covers a part hides what stood still there: that is no movement.
        blinded = symptom in _BLINDED or (symptom == "partly" and before.state == "blinded")
        if blinded != (before.state == "blinded"):
            self._tell(symptom, look, 0.0)
        settled = not blinded and self._fresh.looks >= _KNOWN and now_s - self._fresh_s >= self.settle_s
        if settled or now_s - self._seen_s >= max(_ACCEPTED_S, self.settle_s):
            self._views += 1
            self._begin(self._fresh, self._views, "sees something else than before; everything starts anew from that")

    def _begin(self, view: View, number: int, what: str) -> None:
        """The camera is stable, with this view."""
        self._view, self._fresh, self._shift = view, View(), None
        self._since_looks = self._normal_looks = 0
        self.condition = Condition(view=number)
        logger.warning("camera: stable again: it %s", what)

    def _tell(self, symptom: str, look: Look, lasted_s: float) -> None:
        reason = symptom
        if symptom == "colour":
            reason = "off" if self._view.is_coloured else "on"
        text = _moved_text(self._view.shift(look)) if symptom == "moved" else _REASONS[reason]
        state: State = "blinded" if symptom in _BLINDED else "moved"
        self.condition = Condition(state, text, self.condition.view)
        logger.warning("camera: %s: %s (for %.1f s)", state, text, lasted_s)


def open_watch(settings: CameraSettings, form: InputForm, kept: KeptView | None = None) -> CameraWatch | None:
    """A watch of the camera that gives such inputs, if it is to be watched and they are pictures."""
    return CameraWatch(settle_s=settings.settle_s, kept=kept) if settings.watch and form == PICTURES else None


def _moved_text(shift: tuple[float, float] | None) -> str:
    """Where what stood still in the picture is now."""
    ways = []
    for share, less, more in zip(shift or (), ("left", "up"), ("right", "down"), strict=False):
        if abs(share) >= _ALIKE_SHIFT:
            ways.append(f"{abs(share):.0%} {less if share < 0 else more}")
    return f"the picture has moved {' and '.join(ways) or 'a little'}"
