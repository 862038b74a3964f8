"""The file that says which devices there are, what they and the cloud have, and what sending costs: `devices.toml`."""

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ...errors import InvalidInput
from ...models.cost import ModelCost
from ...settings import load_settings
from ...units import parse_budget, typical_bytes
from ..graph import LinkGraph
from .places import CLOUD, Cloud, Device, LinkCost
from .problem import PlacementProblem, Weigh

NONE = "none"

DEFAULT_TOML = """\
# Where models may run: `infilink plan LINKS --devices devices.toml`. Sizes are "300MiB", "40%" of what all models
# take, or "none" for no limit; each second's network is such a size, too.

# What counts: "inputs", every input the same, or "devices", every device the same.
weigh = "inputs"

# How much each model's answers matter (1 where it is not named).
# weights = { person = 2.0 }

# Bytes of a model's output as it travels, where the usual size of its kind will not do.
# output_sizes = { person = "2KiB" }

# The machine that all devices send to. Leave this out if there is none.
[cloud]
memory = "2GiB" # each model is held once for all devices
cores = 4.0 # core-seconds of computing each second
network_per_s = "none" # what may arrive from all devices together
slowdown = 1.0 # an inference takes so many times as long as where the trace was recorded

# What a link costs that predicts a model's output from others.
[link]
memory = "1MiB"
infer_s = 0.0001

# One such section for each class of devices that are alike; budgets are of one device.
[[device]]
name = "camera"
count = 4
inputs_per_s = 2.0 # of one device, behind its filter
input_size = "40KB" # of one input as it travels
slowdown = 6.0
memory = "300MiB"
cores = 1.0
network_per_s = "250KB"
# energy_w = 1.5 # joules a second for computing and sending
# active_w = 3.0 # watts that one core takes more while it computes
# sent_j_per_mb = 0.5 # joules for sending a million bytes
# weights = { person = 2.0 } # in the place of the weights above
"""


def _size(value: str) -> str:
    if value != NONE:
        try:
            parse_budget(value, {})
        except InvalidInput as error:
            raise ValueError(f'{error}, or "{NONE}" for no limit') from error
    return value


Size = Annotated[str, AfterValidator(_size)]
Figure = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CloudSection(_Section):
    """`[cloud]`."""

    memory: Size
    cores: Figure
    network_per_s: Size = NONE
    slowdown: Factor = 1.0


class LinkSection(_Section):
    """`[link]`."""

    memory: Size = "1MiB"
    infer_s: Figure = 1e-4


class DeviceSection(_Section):
    """One `[[device]]`."""

    name: str = Field(min_length=1)
    count: int = Field(default=1, ge=1)
    inputs_per_s: Factor
    input_size: Size
    slowdown: Factor = 1.0
    memory: Size
    cores: Figure = 1.0
    network_per_s: Size = NONE
    energy_w: Figure | None = None
    active_w: Figure = 0.0
    sent_j_per_mb: Figure = 0.0
    weights: dict[str, Figure] = {}


class DevicesFile(_Section):
    """The whole file; `DEFAULT_TOML` says what each key is for."""

    weigh: Weigh = "inputs"
    weights: dict[str, Figure] = {}
    output_sizes: dict[str, Size] = {}
    cloud: CloudSection | None = None
    link: LinkSection = LinkSection()
    device: tuple[DeviceSection, ...] = Field(min_length=1)

    @classmethod
    def load(cls, path: Path) -> "DevicesFile":
        """Reads and checks it.

        Raises:
            InvalidInput: naming the file, the key and what is allowed.
        """
        return load_settings(cls, path, None, init="devices")

    def problem(
        self, graph: LinkGraph, weights: Mapping[str, float] | None = None, *, links_on_devices: bool = True
    ) -> PlacementProblem:
        """The placement problem of these devices and a graph's models and links.

        Args:
            graph: the models, what they cost, and what was measured.
            weights: how much models' answers matter, in the place of those in the file.
            links_on_devices: whether links can answer on devices; else only in the cloud.

        Raises:
            InvalidInput: a model is named that the links do not know, or a figure makes no sense.
        """
        unknown = sorted(set(self.output_sizes) - set(graph.models))
        if unknown:
            raise InvalidInput(f"output_sizes.{unknown[0]}: no such model; there are {', '.join(sorted(graph.models))}")
        output_bytes: dict[str, float] = {name: typical_bytes(spec.output) for name, spec in graph.models.items()}
        output_bytes.update(
            {name: _bytes(text, {}, f"output_sizes.{name}") for name, text in self.output_sizes.items()}
        )
        link = LinkCost(_bytes(self.link.memory, graph.costs, "link.memory"), self.link.infer_s)
        return PlacementProblem.of(
            graph.tables,
            graph.costs,
            [replace(self._device(section, graph.costs), links=links_on_devices) for section in self.device],
            self._cloud(graph.costs),
            output_bytes=output_bytes,
            links=dict.fromkeys(graph.models, link),
            weights={**self.weights, **(weights or {})},
            weigh=self.weigh,
            virtual=graph.virtual,
        )

    def _cloud(self, costs: Mapping[str, ModelCost]) -> Cloud:
        section = self.cloud
        if section is None:
            return Cloud(0.0, 0.0, 0.0)
        network = _bytes(section.network_per_s, {}, f"{CLOUD}.network_per_s", limit=False)
        return Cloud(
            _bytes(section.memory, costs, f"{CLOUD}.memory", limit=False), section.cores, network, section.slowdown
        )

    def _device(self, section: DeviceSection, costs: Mapping[str, ModelCost]) -> Device:
        where = f"device {section.name!r}"
        return Device(
            section.name,
            section.count,
            section.inputs_per_s,
            _bytes(section.input_size, {}, f"{where}: input_size"),
            section.slowdown,
            _bytes(section.memory, costs, f"{where}: memory", limit=False),
            section.cores,
            _bytes(section.network_per_s, {}, f"{where}: network_per_s", limit=False),
            inf if section.energy_w is None else section.energy_w,
            section.active_w,
            section.sent_j_per_mb / 1e6,
            section.weights,
        )


def _bytes(text: str, costs: Mapping[str, ModelCost], where: str, *, limit: bool = True) -> float:
    """A size in bytes; `limit`: whether there must be one. A share is one of all models' memory."""
    if text == NONE:
        if limit:
            raise InvalidInput(f"{where}: write a size such as 40KB, not {NONE!r}")
        return inf
    if text.strip().endswith("%"):
        if not costs:
            raise InvalidInput(f"{where}: write a size such as 40KB; only memory can be a share of what models take")
        share = float(text.strip()[:-1]) / 100
        return share * sum(cost.memory_bytes for cost in costs.values())
    return float(parse_budget(text, {}))
