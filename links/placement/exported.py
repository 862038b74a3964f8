"""A placement as a file for those who do what it says: agents and their coordinator."""

from collections.abc import Mapping
from math import isfinite
from typing import Literal

from ...placement_file import PlacedDevice, PlacedModel, PlacementFile
from .problem import PlacementProblem
from .result import Answer, Placement, Where

_WHERE: dict[Where, Literal["device", "cloud", "linked", "held", "constant"]] = {
    "device": "device",
    "cloud": "cloud",
    "linked in the cloud": "linked",
    "held": "held",
    "constant": "constant",
}


def placement_file(problem: PlacementProblem, placed: Placement, digests: Mapping[str, str]) -> PlacementFile:
    """What runs where and what travels, by class of devices.

    Args:
        problem: what was chosen from, without links on devices: nobody computes them there.
        placed: the choice.
        digests: each model file's digest.
    """
    budget = problem.cloud.memory_bytes
    devices = {
        device.name: PlacedDevice(
            send="inputs" if "inputs" in placed.sent[device.name] else "outputs",
            expected_agreement=float(
                sum(
                    weight * placed.answers[device.name][name].expected_agreement
                    for name, weight in zip(problem.names, weights, strict=True)
                )
            ),
            models={name: _model(answer) for name, answer in placed.answers[device.name].items()},
        )
        for device, weights in zip(problem.devices, problem.model_weights, strict=True)
    }
    return PlacementFile(
        digests=dict(digests),
        cloud_memory_bytes=int(budget) if isfinite(budget) else None,
        expected_agreement=placed.expected_agreement,
        devices=devices,
    )


def _model(answer: Answer) -> PlacedModel:
    return PlacedModel(where=_WHERE[answer.where], sources=answer.sources, expected_agreement=answer.expected_agreement)
