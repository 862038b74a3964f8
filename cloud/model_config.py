"""What is set per model: the tables `[model.NAME]` of the coordinator's configuration."""

from typing import Annotated

from pydantic import Field

from ..models.providers import Execution, Providers, available
from ..settings import Table


class ModelConfig(Table):
    """One model's table. What it leaves out is as for the whole site.

    Attributes:
        providers: what runs it, the one that is liked best first.
        device: which card, counted from 0.
        threads: how many threads of the processors one inference may use.
        pinned: whether it stays loaded, whatever it is worth.
        processes: in how many it is loaded; None: in more than one while its inputs wait for it and there is room.
        max_batch: the most inputs that one run takes, where its graph leaves their number open.
        preferred_batches: the sizes of batches that are tried; none: 1, 2, 4, 8 and so on. Of those that can be had it
            is the one that answers most, by what was measured.
        batch_delay_s: how long an input waits at most for others to fill the largest batch.
    """

    providers: Providers | None = None
    device: int = Field(default=0, ge=0, le=255)
    threads: int | None = Field(default=None, ge=1, le=256)
    pinned: bool = False
    processes: int | None = Field(default=None, ge=1, le=64)
    max_batch: int = Field(default=1, ge=1, le=256)
    preferred_batches: tuple[Annotated[int, Field(ge=1, le=256)], ...] = ()
    batch_delay_s: float = Field(default=0.0, ge=0, le=1)


def execution(config: ModelConfig, name: str, *, providers: Providers, threads: int) -> Execution:
    """How one model runs here, as far as the installed onnxruntime can; of what it lacks it is warned.

    Args:
        config: the model's table.
        name: the model, for the warning.
        providers: the site's, where the table names none.
        threads: the site's, where the table says nothing.
    """
    wanted = providers if config.providers is None else config.providers
    return Execution(available(wanted, what=name), config.device, config.threads or threads)
