"""Kinds of input that are not pictures of a stream: how each becomes what a network is fed. NumPy only, but `encoder`.

To add one: a file here with a class as the others are, and its name in `MODALITIES`.
"""

from typing import Annotated, Any

from pydantic import Field

from ...errors import InvalidInput
from ...outputs import Array
from .audio import Audio
from .feature_map import FeatureMap
from .signal import Signal
from .text import Text

Modality = Annotated[Text | Signal | Audio | FeatureMap, Field(discriminator="kind")]
"""Any of them; a filter's spec holds the one it was trained for."""

MODALITIES: dict[str, Any] = {"text": Text, "signal": Signal, "audio": Audio, "map": FeatureMap}


def fit_modality(name: str, values: list[Array]) -> Text | Signal | Audio | FeatureMap:
    """The modality of that name, with sizes and scales that suit the inputs a filter is trained on.

    Raises:
        InvalidInput: there is no such modality, or the inputs do not fit it.
    """
    if name not in MODALITIES:
        raise InvalidInput(f"modality {name!r} is not known; there are {', '.join(MODALITIES)}")
    found: Text | Signal | Audio | FeatureMap = MODALITIES[name].fit(values)
    return found
