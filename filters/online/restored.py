"""A filter's network as torch has it, made of its ONNX file: so that any such filter can be trained further."""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from ...errors import InvalidInput
from ...outputs import Array
from ..training.temporal import TemporalNetwork, to_channels


def restored_network(path: Path, images: Array) -> TemporalNetwork:
    """The network that a filter file computes.

    The file has its batch norms worked into the convolutions. They are set up anew so that they change nothing, with
    the means and deviations of these images, or the first step of training would turn the network upside down.

    Args:
        path: a filter of kind "network" on frames, also with its weights as int8.
        images: uint8 (n, side, side, 3), n > 0: what it will be trained on.

    Raises:
        InvalidInput: the file holds another kind of network.
    """
    weights = _weights(path)
    try:
        network = TemporalNetwork(weights["mean"], weights["scale"])
        with torch.no_grad():
            for layer, name in ((network.hidden, "hidden"), (network.last, "last")):
                layer.weight.copy_(torch.from_numpy(weights[f"{name}_weight"]))
                layer.bias.copy_(torch.from_numpy(weights[f"{name}_bias"]))
            _restore_features(network.eval(), weights, to_channels(images))
    except (KeyError, RuntimeError) as error:
        raise InvalidInput(f"{path}: can't be trained further, it holds another kind of network ({error})") from error
    return network


def _restore_features(network: TemporalNetwork, weights: dict[str, Array], flow: torch.Tensor) -> None:
    blocks = list(network.features)
    for i, (conv, norm) in enumerate(zip(blocks[0::3], blocks[1::3], strict=True)):
        assert isinstance(conv, torch.nn.Conv2d) and isinstance(norm, torch.nn.BatchNorm2d)
        assert norm.running_mean is not None and norm.running_var is not None
        conv.weight.copy_(torch.from_numpy(weights[f"w{i}"]))
        flow = conv(flow)
        norm.running_mean.copy_(flow.mean(dim=(0, 2, 3)))
        norm.running_var.copy_(flow.var(dim=(0, 2, 3), unbiased=False))
        norm.weight.copy_(torch.sqrt(norm.running_var + norm.eps))
        norm.bias.copy_(torch.from_numpy(weights[f"b{i}"]) + norm.running_mean)
        flow = torch.relu(norm(flow))


def _weights(path: Path) -> dict[str, Array]:
    """A graph's weights by name, as float32."""
    graph = onnx.load(path).graph
    found = {tensor.name: np.array(numpy_helper.to_array(tensor)) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            whole, scale = (found[name] for name in node.input)
            shape = [1] * whole.ndim
            shape[node.attribute[0].i] = -1
            found[node.output[0]] = whole * scale.reshape(shape)
    return found
