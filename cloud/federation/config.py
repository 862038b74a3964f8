"""What the aggregator is told, checked before it listens."""

from typing import Self

from pydantic import Field, model_validator

from ..listening import Listening


class FederationConfig(Listening):
    """The aggregator's settings."""

    listen: str = Field(default="127.0.0.1:7430", description="HOST:PORT; port 0 takes a free one")
    sites: int = Field(default=2, ge=1, le=1000, description="how many sites it waits for before the first round")
    quorum: int = Field(default=0, ge=0, le=1000, description="how many changes a round needs; 0: most of the sites")
    rounds: int = Field(default=30, ge=1, le=100_000, description="how many rounds")
    by_samples: bool = Field(default=False, description="weigh sites by their samples; the paper's mean is plain")
    seed: int = Field(default=0, ge=0, description="of the first weights")
    join_timeout_s: float = Field(default=600.0, gt=0, description="how long it waits for the sites to join")
    round_timeout_s: float = Field(default=60.0, gt=0, description="how long a round waits for the slowest site")
    largest_norm: float = Field(default=100.0, gt=0, description="of a change; a larger one is refused")
    max_message_bytes: int = Field(default=8 * 2**20, ge=4096, le=2**30, description="the largest message taken")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.quorum > self.sites:
            raise ValueError(f"`quorum` {self.quorum} can't be above `sites` {self.sites}")
        return self

    @property
    def least(self) -> int:
        """How many changes a round needs."""
        return self.quorum or self.sites // 2 + 1
