"""Whose feature network a modality's inputs are prepared for."""

from typing import Literal

Net = Literal["ours", "paper", "filterforward"]
"""Ours; the InFi paper's, for comparison; the micro-classifier of FilterForward (feature maps only)."""
