"""How an input of any kind becomes what a model's graph is fed, as the model's spec says (`[input]`).

To add a kind: a file here with a class like the others, and its name in `ModelInput`.
"""

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from .picture import PictureInput
from .signal import SignalInput


def _modality(value: Any) -> str:
    """Which of the kinds a spec speaks of; one that says nothing is of pictures."""
    found = value.get("modality", "image") if isinstance(value, dict) else getattr(value, "modality", "image")
    return str(found)


ModelInput = Annotated[
    Annotated[PictureInput, Tag("image")] | Annotated[SignalInput, Tag("signal")],
    Discriminator(_modality),
]
"""Any of them."""
