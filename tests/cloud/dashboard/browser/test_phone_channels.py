"""The phone's page sees frames and decides on them as Python does, to the bit where that is whole numbers."""

import base64
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from infilink.filters.budget import Budget
from infilink.filters.gates.learned import FilterRuntime
from infilink.filters.modalities.stream import SCALARS, Channels
from infilink.filters.spec import FilterSpec

from ....filters.made import REPEATS, scalar, write_filter
from .conftest import View
from .phone_frames import DECIDES, SEES, clip, made, sent

SIZES = ((640, 360), (853, 480), (480, 640), (361, 641), (427, 119), (100, 80), (112, 112))
"""As cameras have them, upright and not, odd, smaller than what a filter sees, and of its own size."""
TIMES = [0.0, 0.1, 0.7, 0.7, 9.0]


async def check_seen(view: View, frames: list[np.ndarray], *, pairwise: bool, step_s: float) -> None:
    """Compares what the browser sees of frames with what Python does."""
    kept, channels = [2], Channels(pairwise=pairwise, step_s=step_s)
    given = {"frames": sent(frames), "times": TIMES, "pairwise": pairwise, "stepS": step_s, "kept": kept}
    found = await view.page.evaluate(SEES, given)
    for at, (frame, (pictures, scalars)) in enumerate(zip(frames, found, strict=True)):
        channels.see(frame, TIMES[at])
        seen = [np.frombuffer(base64.b64decode(picture), np.uint8) for picture in pictures]
        np.testing.assert_array_equal(seen, np.rint(255 * channels.tensor[0]).astype(np.uint8).reshape(3, -1))
        np.testing.assert_allclose(scalars, channels.scalars[0], atol=2e-5)
        if at in kept:
            channels.kept()


@pytest.mark.parametrize("pairwise", [True, False])
def test_the_browser_sees_frames_of_any_size_as_python_does(look: Callable, pairwise: bool) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/login")
        for width, height in SIZES:
            await check_seen(view, made(width, height), pairwise=pairwise, step_s=0.2)

    look(story)


@pytest.mark.parametrize("name", ["lobby_person.mp4", "shop_aisle.mp4", "night_billboards.mp4"])
def test_the_browser_sees_real_clips_as_python_does(look: Callable, name: str) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/login")
        await check_seen(view, clip(name), pairwise=True, step_s=0.0)

    look(story)


def test_the_browser_decides_as_python_does(look: Callable, tmp_path: Path) -> None:
    kinds = {
        "above": REPEATS.model_copy(update={"threshold": 0.2}),
        "overdue": REPEATS.model_copy(update={"threshold": 1.0, "longest_s": 0.4}),
        "flip": REPEATS.model_copy(update={"threshold": -1.0, "keeps": "flip", "state_weights": (3.0, 2.0)}),
        "budget": REPEATS.model_copy(update={"threshold": 0.1, "budget": Budget(share=0.2, reserve=3.0, step=0.05)}),
    }
    frames, number = made(320, 240), SCALARS.index("top difference")

    async def story(view: View) -> None:
        await view.page.goto("/login")
        for kind, spec in kinds.items():
            gate = FilterRuntime(write_filter(tmp_path / f"{kind}.onnx", scalar("top difference"), spec))
            expected = [gate.decide(frame, at_s) for frame, at_s in zip(frames, TIMES, strict=True)]
            found = await view.page.evaluate(DECIDES, given(spec, frames, number))
            assert [keep for keep, _ in found] == [each.keep for each in expected], kind
            for (_, score), each in zip(found, expected, strict=True):
                assert score == (None if each.score is None else pytest.approx(each.score, abs=1e-4)), kind

    look(story)


def test_an_input_that_the_filter_fails_on_is_kept(look: Callable) -> None:
    frames = made(160, 120)

    async def story(view: View) -> None:
        await view.page.goto("/login")
        # There is no such number: the graph fails, as it were.
        found = await view.page.evaluate(DECIDES, given(REPEATS, frames, 99))
        assert found == [[True, None]] * len(frames)

    look(story)


def given(spec: FilterSpec, frames: list[np.ndarray], number: int) -> dict[str, object]:
    """What a decision needs in the browser."""
    return {"frames": sent(frames), "times": TIMES, "spec": spec.model_dump(mode="json"), "scalar": number}
