"""A rendered street camera with its ground truth, and seven models for its frames: the demonstration's data."""

from .street import Street
from .truth import ACTIVITY, CLASSES, CONDITIONS, TRAFFIC, Box, Truth
from .video import read_truth, write_video

__all__ = ["ACTIVITY", "CLASSES", "CONDITIONS", "TRAFFIC", "Box", "Street", "Truth", "read_truth", "write_video"]
