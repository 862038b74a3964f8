"""What is set per model: the tables `[model.NAME]` of the coordinator's configuration."""

from pydantic import BaseModel, ConfigDict, Field

from ..models.providers import Execution, Providers, available


class ModelConfig(BaseModel):
    """One model's table. What it leaves out is as for the whole site.

    Attributes:
        providers: what runs it, the one that is liked best first.
        device: which card, counted from 0.
        threads: how many threads of the processors one inference may use.
        pinned: whether it stays loaded, whatever it is worth.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    providers: Providers | None = None
    device: int = Field(default=0, ge=0, le=255)
    threads: int | None = Field(default=None, ge=1, le=256)
    pinned: bool = False


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
