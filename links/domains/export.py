"""Writes a link across domains as the file of an ordinary link, so that whatever knows links knows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from ...errors import InvalidInput
from ...models.encoding.encoding import Encoding
from ...outputs import Array
from ..link import LinkSpec
from .fusion import FusedLink
from .link import DomainLink
from .task import Form, LinkTask, sigmoid

if TYPE_CHECKING:
    from ..networks.onnx_nodes import Nodes

_NEWTON_STEPS = 25
_PULL = 1e-2
_SUREST = 1.0 - 1e-4


def check_can_export() -> None:
    """Whether links can be written here; asked before work that would else be lost.

    Raises:
        InvalidInput: the package onnx is not installed.
    """
    try:
        import onnx  # noqa: F401
    except ModuleNotFoundError as error:
        raise InvalidInput("writing links needs the package onnx: pip install 'infilink[train]'") from error


@dataclass(frozen=True)
class Confidence:
    """The probability that an answer agrees, from how sure its numbers look: Platt's scaling.

    Attributes:
        slope: by which the log-odds rise with `sureness`.
        shift: the log-odds at a sureness of 0.
    """

    slope: float
    shift: float

    @classmethod
    def fit(cls, form: Form, numbers: Array, agreements: Array) -> Self:
        """From predicted numbers (n, length) and how they agreed (n,), with Platt's softened targets."""
        right, wrong = agreements.sum(), (1.0 - agreements).sum()
        wanted = agreements * (right + 1.0) / (right + 2.0) + (1.0 - agreements) / (wrong + 2.0)
        sure = sureness(form, numbers)
        spread, share = float(sure.std()), float(wanted.mean())
        alike = cls(0.0, float(np.log(share / (1.0 - share))))
        if spread < 1e-9:
            return alike
        read = np.stack([(sure - sure.mean()) / spread, np.ones(len(sure))], axis=1)
        weights, pull = np.zeros(2), np.diag([_PULL, 0.0])
        for _ in range(_NEWTON_STEPS):
            p = sigmoid(read @ weights)
            gradient = read.T @ (p - wanted) / len(read) + pull @ weights
            curve = (read * (p * (1.0 - p) + 1e-6)[:, None]).T @ read / len(read) + pull
            weights = weights - np.clip(np.linalg.solve(curve, gradient), -2.0, 2.0)
        # What is surer and agrees less is chance.
        slope, shift = float(weights[0] / spread), float(weights[1] - weights[0] * sure.mean() / spread)
        return cls(slope, shift) if slope > 0.0 else alike

    def of(self, form: Form, numbers: Array) -> Array:
        """The probabilities (n,) for predicted numbers (n, length)."""
        return sigmoid(self.slope * sureness(form, numbers) + self.shift)


def sureness(form: Form, numbers: Array) -> Array:
    """How far predicted numbers (n, length) are from undecided (n,).

    Of a label the log-odds of its first class, of a multilabel the mean height of its log-odds; of numbers nothing
    tells.
    """
    if form.output.kind == "label":
        p = np.minimum(np.exp(form.centred(numbers)).max(axis=1), _SUREST)
        return np.asarray(np.log(p / (1.0 - p)))
    if form.output.kind == "multilabel":
        return np.asarray(np.abs(numbers).mean(axis=1))
    return np.zeros(len(numbers))


def export_fused(link: FusedLink, confidence: Confidence, spec: LinkSpec, path: Path) -> None:
    """Writes a link.

    It reads what its sources say now from an ordinary link's features, and nothing else of them: neither the target's
    last output nor which sources are there, so all must be.

    Args:
        link: the link.
        confidence: of its answers.
        spec: goes into the file; its encodings are those of the folder that the link will stand in.
        path: where.

    Raises:
        InvalidInput: the package onnx is not installed.
    """
    check_can_export()
    from ..networks.onnx_nodes import Nodes, save

    parts, form, layout = Nodes(), link.task.form, spec.layout
    parts.cut("features", 0, layout.total, "now")
    read = _numbers_of(link.task, spec.encodings)
    terms = [_add_link(parts, f"link{index}", one, weight, read) for index, (one, weight) in enumerate(link.parts)]
    numbers = terms[0] if len(terms) == 1 else _centred(parts, form, parts.node("Sum", terms, "mean"), "numbers")
    encoding = spec.encodings[spec.target]
    columns = np.eye(form.length)[:, encoding.columns]
    parts.affine("encode", columns / encoding.std, -encoding.mean / encoding.std, numbers, "vector")
    _add_sureness(parts, form, numbers)
    parts.affine("agree", np.array([[confidence.slope]]), np.array([confidence.shift]), "sure", "agree_logit")
    parts.node("Sigmoid", ["agree_logit"], "agree")
    outputs: dict[str, tuple[int | str, ...]] = {"vector": ("n", encoding.length), "agree": ("n", 1)}
    save(parts, spec, path, inputs={"features": ("n", layout.size)}, outputs=outputs)


def _numbers_of(task: LinkTask, encodings: Mapping[str, Encoding]) -> tuple[Array, Array]:
    """From the sources' vectors side by side to their numbers: a matrix and a bias."""
    lengths = [encodings[name].length for name in task.source_forms]
    matrix, bias = np.zeros((sum(lengths), task.inputs)), np.zeros(task.inputs)
    row, column = 0, 0
    for name, form in task.source_forms.items():
        encoding = encodings[name]
        # Of boxes only the counts are read, which come first.
        known = encoding.columns < form.length
        bias[column : column + form.length] = encoding.fill[: form.length]
        bias[column + encoding.columns[known]] = encoding.mean[known]
        matrix[row + np.flatnonzero(known), column + encoding.columns[known]] = encoding.std[known]
        row, column = row + encoding.length, column + form.length
    return matrix, bias


def _add_link(parts: "Nodes", name: str, link: DomainLink, weight: float, read: tuple[Array, Array]) -> str:
    """The nodes of one link's numbers, times its weight; scales are worked into the matrices."""
    matrix, bias = (read[0] / link.of_inputs.std, (read[1] - link.of_inputs.mean) / link.of_inputs.std)
    own = link.network.parts
    scale = link.of_targets.std
    first, first_bias = matrix @ own["first"], bias @ own["first"] + own["first_bias"]
    straight, straight_bias = matrix @ own["skip"] * scale, (bias @ own["skip"] + own["bias"]) * scale
    parts.affine(f"{name}.first", first, first_bias, "now", f"{name}.bent")
    parts.node("Tanh", [f"{name}.bent"], f"{name}.hidden")
    parts.affine(f"{name}.second", own["second"] * scale, link.of_targets.mean, f"{name}.hidden", f"{name}.curved")
    parts.affine(f"{name}.skip", straight, straight_bias, "now", f"{name}.straight")
    found = parts.node("Add", [f"{name}.curved", f"{name}.straight"], f"{name}.numbers")
    found = _centred(parts, link.task.form, found, f"{name}.centred")
    if weight == 1.0:
        return found
    return parts.node("Mul", [found, parts.constant(f"{name}.weight", np.float32(weight))], f"{name}.weighted")


def _centred(parts: "Nodes", form: Form, numbers: str, target: str) -> str:
    """`Form.centred`."""
    return parts.node("LogSoftmax", [numbers], target, axis=1) if form.output.kind == "label" else numbers


def _add_sureness(parts: "Nodes", form: Form, numbers: str) -> None:
    """`sureness` as nodes, (n, 1)."""
    if form.output.kind == "label":
        parts.node("Exp", [parts.node("ReduceMax", [numbers], "first", axes=[1], keepdims=1)], "first_p")
        parts.node("Min", ["first_p", parts.constant("surest", np.float32(_SUREST))], "p")
        parts.node("Sub", [parts.constant("one", np.float32(1.0)), "p"], "others_p")
        parts.node("Log", [parts.node("Div", ["p", "others_p"], "odds")], "sure")
    elif form.output.kind == "multilabel":
        parts.node("Abs", [numbers], "heights")
        parts.node("ReduceMean", ["heights"], "sure", axes=[1], keepdims=1)
    else:
        parts.affine("nothing", np.zeros((form.length, 1)), np.zeros(1), numbers, "sure")
