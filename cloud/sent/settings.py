"""The table `[pictures]` of cloud.toml: what is kept of what devices send."""

from pathlib import Path

from pydantic import Field

from ...settings import Table
from ...traces.stream_names import is_meant
from ..publishing.settings import Pattern


class PicturesConfig(Table):
    """Which pictures are kept, for the pages of the streams.

    Attributes:
        keep_bytes: what those of all streams may take; 0: none are kept.
        keep_stream_bytes: what those of one stream may.
        streams: whose; names, `*` and `?` allowed; one without a slash means a device with all its streams.
    """

    keep_bytes: int = Field(default=256 * 2**20, ge=0, le=2**44)
    keep_stream_bytes: int = Field(default=64 * 2**20, ge=0, le=2**44)
    streams: tuple[Pattern, ...] = ("*",)

    def keeps(self, stream: str) -> bool:
        """Whether a stream's are kept."""
        return min(self.keep_bytes, self.keep_stream_bytes) > 0 and any(is_meant(stream, each) for each in self.streams)


def pictures_path(ledger: Path | str) -> Path:
    """Where what was sent is kept: beside the ledger; where that is no file, where the coordinator was started."""
    place = ledger if isinstance(ledger, Path) else Path("infilink")
    return place.with_name(f"{place.name}.pictures")
