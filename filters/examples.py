"""Labelled inputs as the network learns from them. NumPy only."""

from dataclasses import dataclass

from ..outputs import Array


@dataclass(frozen=True)
class Examples:
    """What the network learns from: images (uint8, channels last), scalars, and the losses to expect."""

    images: Array
    scalars: Array
    targets: Array
