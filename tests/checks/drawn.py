"""Outputs of every kind, drawn from a seed."""

import numpy as np
from infilink.outputs import KINDS, Array, OutputSpec

CLASSES = ("car", "truck", "bus")
SPECS = {
    kind: OutputSpec(
        kind=kind,
        classes=CLASSES if kind in ("label", "multilabel", "boxes") else (),
        length=5 if kind in ("vector", "tokens") else 0,
    )
    for kind in KINDS
}
"""A spec of every kind."""


def output_of(spec: OutputSpec, random: np.random.Generator) -> Array:
    """A value that fits the spec; of kinds without a fixed size, also an empty one."""
    if spec.kind == "tokens":
        return random.integers(0, spec.length, random.integers(0, 4))
    shape = [int(random.integers(0, 4)) if size < 0 else size for size in spec.shape]
    value = random.random(shape, dtype=np.float32)
    if spec.kind == "boxes":
        value[:, 2:4] = np.minimum(value[:, :2] + 0.2, 1.0)
        value[:, 5] = random.integers(0, len(spec.classes), len(value))
    return spec.check(value)
