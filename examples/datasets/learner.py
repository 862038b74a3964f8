"""Trains a small classifier and writes it as an ONNX file with its spec: what stands for a user's own model."""

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ...filters.training.fit_loop import one_thread
from ...models.spec import parse_spec, write_spec
from ...outputs import Array

_BATCH = 64
_OPSET = 17

Augment = Callable[[torch.Tensor], torch.Tensor]


def train(
    make: Callable[[], nn.Module],
    inputs: Array,
    labels: Sequence[int],
    *,
    epochs: int,
    augment: Augment | None = None,
    seed: int = 0,
) -> nn.Module:
    """Trains a network to say a class of each input, by cross-entropy.

    Args:
        make: makes a network that gives a number for each class.
        inputs: as the network takes them, a row each.
        labels: the classes' numbers.
        epochs: how many times it sees them.
        augment: changes a batch, so that no input is seen twice alike.
        seed: of what the network begins with, and of the order of inputs.
    """
    torch.manual_seed(seed)
    network = make()
    values, wanted = torch.as_tensor(inputs), torch.as_tensor(np.asarray(labels))
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    steps = -(-len(values) // _BATCH) * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    network.train()
    # Several threads take longer at such sizes, many times longer beside other work.
    with one_thread():
        for epoch in range(epochs):
            order = torch.randperm(len(values))
            for start in range(0, len(order), _BATCH):
                index = order[start : start + _BATCH]
                batch = values[index] if augment is None else augment(values[index])
                loss = nn.functional.cross_entropy(network(batch), wanted[index], label_smoothing=0.05)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
            if epoch % 4 == 3:
                print(f"trained {epoch + 1} of {epochs} rounds", file=sys.stderr, flush=True)
    return network.eval()


def accuracy(network: nn.Module, inputs: Array, labels: Sequence[int]) -> float:
    """The share of inputs whose class a network says rightly."""
    with torch.no_grad():
        said = np.concatenate([network(torch.as_tensor(part)).argmax(1).numpy() for part in _parts(inputs)])
    return float((said == np.asarray(labels)).mean())


def save(
    network: nn.Module, path: Path, *, example: Array, spec: Mapping[str, Any], free: Mapping[int, str] | None = None
) -> None:
    """Writes a network as an ONNX file, with its spec (docs/MODELS.md) inside.

    Args:
        network: what was trained.
        path: the file.
        example: one input, as the network takes it, with an axis of 1 in front.
        spec: the spec's keys; the classes' probabilities are made of its outputs by its decoder.
        free: the axes of its input that may be of any size, by their numbers, each with a name.
    """
    axes = {"input": {0: "n", **(free or {})}, "output": {0: "n"}}
    with warnings.catch_warnings():
        # As in models/export.py: the exporter that needs no other package.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        torch.onnx.export(
            network,
            (torch.as_tensor(example),),
            str(path),
            input_names=["input"],
            output_names=["output"],
            dynamic_axes=axes,
            opset_version=_OPSET,
            dynamo=False,
        )
    write_spec(path, parse_spec(spec, where=path.name))


def shares(count: int, *parts: float) -> list[slice]:
    """So many things cut into parts of these shares, in order."""
    ends = [0, *(round(count * share) for share in np.cumsum(parts))]
    return [slice(start, stop) for start, stop in pairwise(ends)]


def _parts(inputs: Array) -> list[Array]:
    return [inputs[start : start + _BATCH] for start in range(0, len(inputs), _BATCH)]
