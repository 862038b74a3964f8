"""An agent with a spool and its coordinator, killed while they work: nothing that was taken is lost or counts twice."""

import random

import pytest

from ..killing import FPS, Site
from .conftest import write_model

KILLS, SEED = 2, 7


@pytest.fixture
def make_site(tmp_path):
    made = []

    def make(**options):
        models = tmp_path / "models"
        models.mkdir()
        write_model(models / "bright.onnx")
        made.append(Site(tmp_path / "site", models, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("frames", [6 * FPS, None], ids=["recording", "live"])
def test_nothing_that_was_taken_is_lost_or_counts_twice(make_site, frames):
    queue = "all" if frames else "latest"
    outcome = make_site(frames=frames, queue=queue).run(KILLS, random.Random(SEED), within_s=(0.0, 0.5))
    assert (outcome.lost, outcome.duplicates, outcome.wrong, outcome.holes, outcome.tracebacks) == (0, 0, 0, 0, 0)
    assert len(outcome.taken) > 0 and sum(outcome.kills.values()) >= 1
