"""What models take of this machine's processors, which is what the coordinator counts."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import BadOutput
from ...models.cost import ModelCost
from ...models.onnx_model import OnnxModel

_RUNS = 9
_SIZE = (360, 640, 3)


def processor_costs(models: Mapping[str, Path], costs: Mapping[str, ModelCost]) -> dict[str, ModelCost]:
    """The costs with the processors' seconds in the place of the clock's.

    Those of a recording are the clock's, while all models ran at once: several times as much on a busy machine.

    Args:
        models: the models' files, by name.
        costs: as they were recorded.
    """
    return {name: _measured(path, costs[name]) for name, path in models.items()}


def _measured(path: Path, cost: ModelCost) -> ModelCost:
    image = np.zeros(_SIZE, np.uint8)
    begun_s = time.process_time()
    model = OnnxModel(path)
    load_s, took_s = time.process_time() - begun_s, []
    for _ in range(_RUNS):
        begun_s = time.process_time()
        # With a bad output it ran all the same.
        with suppress(BadOutput):
            model.infer(image)
        took_s.append(time.process_time() - begun_s)
    return replace(cost, infer_s=float(np.median(took_s)), load_s=load_s + took_s[0])
