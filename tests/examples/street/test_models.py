"""The street's models: seven, small, and as good on frames they have not seen as their table says."""

from pathlib import Path

import numpy as np
import pytest
from infilink.examples.street import dataset, train_models
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import find_models

FOLDER = Path(train_models.__file__).parent / "models"
# Below the table's figures by what seventy frames may be off.
LEAST = {
    "vehicles": 0.62,
    "people": 0.67,
    "traffic": 0.85,
    "conditions": 0.9,
    "parked": 0.71,
    "cyclist": 0.82,
    "activity": 0.79,
}


@pytest.fixture(scope="module")
def test_frames() -> dataset.Frames:
    return dataset.render_frames(range(3000, 3006), 12, train_models.SIZE, lambda done, total: None)


def test_there_are_seven_and_each_is_small() -> None:
    models = find_models(FOLDER)
    assert set(models) == {task.name for task in train_models.TASKS}
    for path in models.values():
        assert path.stat().st_size < 1.5e6


@pytest.mark.parametrize("task", train_models.TASKS, ids=lambda task: task.name)
def test_each_is_as_good_as_its_table_says(task: train_models.Task, test_frames: dataset.Frames) -> None:
    model = OnnxModel(FOLDER / f"{task.name}.onnx")
    assert model.spec == task.spec
    right = [
        task.agreement(model.infer(np.ascontiguousarray(image[:, :, ::-1])), truth)[0]
        for image, truth in zip(test_frames.images, test_frames.truths, strict=True)
    ]
    assert np.mean(right) >= LEAST[task.name]
