"""The sample inputs of a module that is exported: by the names that the graph's inputs get, one at a time."""

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import InvalidInput
from .guarded import guarded
from .inputs.picture import PictureInput
from .spec import ModelSpec

if TYPE_CHECKING:
    import torch

Sample = dict[str, "torch.Tensor"]
"""What the module takes, in its order."""


def read_samples(given: Any, module: "torch.nn.Module", spec: ModelSpec, *, where: str) -> list[Sample]:
    """Samples as the function returned them: each one tensor, a tuple of them, or a dict by the names of `forward`.

    Batches of single tensors are cut into batches of one.

    Raises:
        InvalidInput: they are no such thing, or not what the spec's input makes.
    """
    if not isinstance(given, Sequence) or not given:
        raise InvalidInput(f"{where}: must return a list of at least one sample input third")
    names = [each for each in inspect.signature(module.forward).parameters if each not in ("args", "kwargs")]
    samples: list[Sample] = []
    for i, each in enumerate(given):
        told = f"{where}: sample {i}"
        if isinstance(each, Mapping):
            if wrong := sorted(set(each) - set(names)):
                raise InvalidInput(f"{told} has {', '.join(wrong)}, but forward() takes {', '.join(names)}")
            samples.append({name: _tensor(each[name], told) for name in names if name in each})
        elif isinstance(each, tuple):
            if len(each) > len(names):
                raise InvalidInput(f"{told} has {len(each)} tensors, but forward() takes {', '.join(names)}")
            samples.append({name: _tensor(value, told) for name, value in zip(names, each, strict=False)})
        else:
            samples += [{spec.fed.name or "input": row} for row in _rows(_tensor(each, told), spec, told)]
    first = samples[0]
    if any(list(each) != list(first) for each in samples):
        raise InvalidInput(f"{where}: some samples have other tensors than the first, which has {', '.join(first)}")
    return samples


def open_axes(samples: list[Sample]) -> dict[str, dict[int, str]]:
    """The axes that are to be of any length: those on which samples differ."""
    found: dict[str, dict[int, str]] = {}
    for name, first in samples[0].items():
        for axis in range(first.ndim):
            if len({sample[name].shape[axis] for sample in samples if sample[name].ndim > axis}) > 1:
                found.setdefault(name, {})[axis] = f"{name}_{axis}"
    return found


def _tensor(value: Any, told: str) -> "torch.Tensor":
    import torch

    tensor: torch.Tensor = guarded(partial(torch.as_tensor, value), told).detach().cpu()
    return tensor.float() if tensor.is_floating_point() else tensor


def _rows(tensor: "torch.Tensor", spec: ModelSpec, told: str) -> Sequence["torch.Tensor"]:
    if isinstance(spec.fed, PictureInput):
        shape = spec.fed.tensor_shape
        if tensor.ndim != 4 or tuple(tensor.shape[1:]) != shape[1:] or not len(tensor):
            raise InvalidInput(f"{told} is {list(tensor.shape)}, but its spec's input makes {list(shape)}")
    if not tensor.ndim or not len(tensor):
        raise InvalidInput(f"{told} is {list(tensor.shape)}: it must be a batch of at least one")
    return tensor.split(1)  # type: ignore[no-any-return, no-untyped-call]
