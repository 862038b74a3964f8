"""Kinds of input, and how each is prepared for a network. NumPy and OpenCV only, except for `encoder`.

To add one: a file here with a class like the others, and its name in `MODALITIES`.
"""

from typing import Annotated, Any

from pydantic import Field

from ...errors import InvalidInput
from ...outputs import Array
from .audio import Audio
from .descriptor import Descriptor
from .feature_map import FeatureMap
from .image import Image
from .joint import Joint
from .net import Net
from .signal import Signal
from .text import Text
from .video import Video

Learnable = Text | Signal | Audio | FeatureMap | Image | Video | Joint
"""Those with a feature network."""

Modality = Annotated[Learnable | Descriptor, Field(discriminator="kind")]
"""Any of them; a filter's spec holds the one it was trained for."""

MODALITIES: dict[str, Any] = {
    "text": Text,
    "image": Image,
    "video": Video,
    "audio": Audio,
    "signal": Signal,
    "map": FeatureMap,
}


def fit_modality(name: str, values: list[Array], *, net: Net = "ours") -> Learnable:
    """The modality of that name, with sizes and scales that suit the inputs a filter is trained on.

    Several joined by + are the parts of each input, in the order of its fields: "audio+text".

    Raises:
        InvalidInput: there is no such modality, or the inputs do not fit it.
    """
    kinds = name.split("+")
    if any(kind not in MODALITIES for kind in kinds):
        known = ", ".join(MODALITIES)
        raise InvalidInput(f"--modality {name!r} is not known; there are {known}, and several at once: audio+text")
    if net == "filterforward" and name != "map":
        raise InvalidInput("FilterForward's micro-classifier takes feature maps: --modality map")
    if len(kinds) > 1:
        return Joint.of([MODALITIES[kind] for kind in kinds], values, net=net)
    found: Learnable = MODALITIES[name].fit(values, net=net)
    return found
