"""How pictures travel as H.264: the table `[video]`; `default_toml.py` says what each key is for."""

from pydantic import Field

from ...settings import Table


class VideoSettings(Table):
    """The table `[video]`: how pictures travel as H.264.

    Attributes:
        crf: x264's constant rate factor: the higher, the coarser.
        chain: how many pictures may refer to one another: the more, the less they take, and the more is sent again
            where a connection breaks.
        cpu_share: of one core's time, what encoding may take; above, it searches less, and then "auto" sends JPEGs.
    """

    crf: int = Field(default=22, ge=1, le=51)
    chain: int = Field(default=128, ge=1, le=512)
    cpu_share: float = Field(default=0.5, gt=0, le=1)
