"""What a stream and its coordinator agree on: which models look at its inputs, and what of these travels for that."""

import threading
from collections.abc import Callable, Mapping

from ..errors import InvalidInput
from ..filters.serves import Served
from ..models.inputs.form import InputForm
from ..models.spec import ModelSpec
from ..protos import edge_pb2
from .config import DeviceConfig
from .local_models import LocalModels
from .messages import InputBuilder
from .told_models import read_specs, served
from .uplink.features import FeatureEncoder
from .uplink.frame_ring import FrameRing
from .uplink.payload_encoder import PayloadEncoder
from .uplink.travelling import Travelling

CheckServed = Callable[[Mapping[str, Served]], None]


class Agreement:
    """What holds until the coordinator says something else.

    Args:
        config: the stream's settings.
        encoder: encodes the payloads.
        local: the models that run here.
        form: what the stream's inputs are.
        features: what travels instead of frames; None: frames do.
        ring: keeps the frames that may be asked for; None: none may.
        travelling: what of a picture travels.
        check_served: called with the coordinator's models; raises InvalidInput if this device can't do with them.

    Attributes:
        specs: the coordinator's models; None: neither it nor what it said last has told them yet.
        builder: builds the inputs for them.
    """

    def __init__(
        self,
        config: DeviceConfig,
        encoder: PayloadEncoder,
        local: LocalModels,
        form: InputForm,
        *,
        features: FeatureEncoder | None,
        ring: FrameRing | None,
        travelling: Travelling,
        check_served: CheckServed,
    ) -> None:
        self.config = config
        self.encoder = encoder
        self.local = local
        self.form = form
        self.features = features
        self.ring = ring
        self.travelling = travelling
        self.check_served = check_served
        self.specs: dict[str, ModelSpec] | None = None
        self.builder = self._make_builder(None)
        self._news: dict[str, ModelSpec] | None = None
        self._taking = threading.Lock()

    @property
    def frames_stay(self) -> bool:
        """Whether no frame is kept for the coordinator to ask for."""
        return self.builder.frames_stay

    @frames_stay.setter
    def frames_stay(self, value: bool) -> None:
        self.builder.frames_stay = value

    def take(self, welcome: edge_pb2.Welcome, *, is_new: bool = True) -> None:
        """Takes the coordinator's models, and how it takes inputs; from any thread.

        Args:
            welcome: what it says of itself.
            is_new: whether it says so now; what it said in an earlier run counts only until then.

        Raises:
            InvalidInput: they are not what this device needs.
            Unavailable: what it says of them is no specs of models.
        """
        if set(self.local.models) - set(welcome.local):
            raise InvalidInput(
                f"the coordinator at {self.config.coordinator} (infilink {welcome.version}) takes no outputs of models "
                "that run on devices: install the same version on both, or leave `local` out"
            )
        specs = read_specs(welcome, self.form, self.config.coordinator)
        with self._taking:
            if self.specs is not None and not is_new:
                return
            self.check_served(served(welcome, specs))
            if self.specs is None:
                self.encoder.check(specs)
            if self.features is not None:
                self.features.agree(welcome)
            if specs != self.specs:
                frames_stay, self.builder = self.frames_stay, self._make_builder(specs)
                self.frames_stay = frames_stay
                self.specs = self._news = specs

    def take_news(self) -> dict[str, ModelSpec] | None:
        """The models, where they were told anew since this was last asked; None: nothing is new."""
        if self._news is None:
            return None
        with self._taking:
            news, self._news = self._news, None
        return news

    def _make_builder(self, specs: Mapping[str, ModelSpec] | None) -> InputBuilder:
        """Builds the inputs for these models; None: they are not known yet."""
        return InputBuilder(
            self.config,
            self.encoder,
            self.local,
            specs,
            virtual=[name for name, spec in (specs or {}).items() if spec.virtual],
            features=self.features,
            ring=self.ring,
            travelling=self.travelling,
        )
