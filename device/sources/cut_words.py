"""What a cut names by words, for the settings and for the commands' options, which are read before anything else."""

from typing import Literal

TimeUnit = Literal["s", "ms", "us", "ns"]
Modality = Literal["image", "video", "audio", "signal", "text"]
