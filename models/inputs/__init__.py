"""How an input of any kind becomes what a model's graph is fed, as the model's spec says (`[input]`).

To add a kind: a file here with a class like the others, its name in `joint.Kinds`, and a model that looks at it in
tests/models/inputs/kinds.py, which the checks in tests/checks/test_inputs.py try.
"""

from typing import Annotated

from pydantic import Discriminator, Tag

from .joint import JointInput, Kinds, modality_of

ModelInput = Annotated[Kinds | Annotated[JointInput, Tag("joint")], Discriminator(modality_of)]
"""Any of them."""
