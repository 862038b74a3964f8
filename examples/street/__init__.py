"""A rendered street camera with its truth, and seven models that watch it: the project's demonstration."""

from .street import Street
from .truth import ACTIVITY, CLASSES, CONDITIONS, TRAFFIC, Box, Truth
from .video import read_truth, write_video

__all__ = ["ACTIVITY", "CLASSES", "CONDITIONS", "TRAFFIC", "Box", "Street", "Truth", "read_truth", "write_video"]
