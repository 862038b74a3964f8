"""One target's link: an ONNX file with its `LinkSpec` inside, and the session that runs it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import InvalidInput
from ..models.encoding.encoding import Encoding
from ..models.session import open_session
from ..outputs import Array
from .layout import FeatureLayout, layout_of
from .sequences.runner import SequenceRunner
from .sequences.search import Decoding

METADATA_KEY = "infilink.link"
FORMAT = 1
Net = Literal["ours", "paper", "domain"]
"""One network a target for any subset of the sources, the MLink paper's pairwise links and ensemble, or a small network
for one set of sources that was learnt across domains."""
NETS: tuple[Net, ...] = ("ours", "paper")
"""What `train_links` can train."""


def parse_net(text: str) -> Net:
    """The net of that name.

    Raises:
        InvalidInput: there is none.
    """
    for net in NETS:
        if text == net:
            return net
    raise InvalidInput(f"net {text!r} is not known; choose from {', '.join(NETS)}")


@dataclass(frozen=True)
class LinkSpec:
    """Everything there is to know of a link beside its weights.

    Attributes:
        target: the model whose output it predicts.
        encodings: how each model's outputs become vectors: every source's, in the order the link reads them, and
            the target's.
        digests: the digest of each of those models' files: the link is for these very models.
        version: the version of infilink that trained it.
        net: whose network it is.
        decoding: how sequences are read, if the target gives tokens; else None.
    """

    target: str
    encodings: Mapping[str, Encoding]
    digests: Mapping[str, str]
    version: str
    net: Net = "ours"
    decoding: Decoding | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """The models the link can predict from, any of them at a time."""
        return tuple(name for name in self.encodings if name != self.target)

    @property
    def layout(self) -> FeatureLayout:
        """What the network reads."""
        ids = reads_ids(self.net, self.encodings[self.target])
        return layout_of(self.encodings, self.target, self.sources, ids=ids)

    def dump(self) -> str:
        """The spec as JSON."""
        encodings = {name: encoding.as_dict() for name, encoding in self.encodings.items()}
        plain = {"format": FORMAT, "target": self.target, "version": self.version, "digests": dict(self.digests)}
        decoding = {} if self.decoding is None else {"decoding": self.decoding.as_dict()}
        return json.dumps({**plain, "net": self.net, **decoding, "encodings": encodings})

    @classmethod
    def parse(cls, text: str, *, where: str) -> "LinkSpec":
        """Reads what `dump` wrote.

        Raises:
            InvalidInput: it was written by another format, or is damaged.
        """
        try:
            data: dict[str, Any] = json.loads(text)
            if data["format"] != FORMAT:
                raise InvalidInput(
                    f"{where}: has format {data['format']}, this version reads {FORMAT}; train the links again"
                )
            encodings = {name: Encoding.from_dict(encoding) for name, encoding in data["encodings"].items()}
            decoding = Decoding.from_dict(data["decoding"]) if "decoding" in data else None
            return cls(data["target"], encodings, data["digests"], data["version"], data.get("net", "ours"), decoding)
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise InvalidInput(f"{where}: its link spec is damaged ({error!r}); train the links again") from error


def reads_ids(net: Net, target: Encoding) -> bool:
    """Whether a target's network reads tokens one by one: ours only to say some, as their description does as well."""
    return net == "paper" or target.tokens is not None


class Link:
    """A link ready to predict, one input at a time.

    Args:
        path: the `.onnx` file.

    Raises:
        InvalidInput: it is not there, or is not a link.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise InvalidInput(f"{self.path}: there is no such link")
        self._session = open_session(self.path)
        metadata = self._session.get_modelmeta().custom_metadata_map
        if METADATA_KEY not in metadata:
            raise InvalidInput(f"{self.path}: is an ONNX model, but no link (train some: `infilink train links`)")
        self.spec = LinkSpec.parse(metadata[METADATA_KEY], where=str(self.path))
        self.layout = self.spec.layout
        self._features = np.zeros((1, self.layout.size), np.float32)
        self._feed = {"features": self._features}
        self._sequence = None if self.spec.decoding is None else SequenceRunner(self._session, self.spec.decoding)

    def predict(
        self, now: Mapping[str, Array], then: Mapping[str, Array], last: Array | None, age_s: float
    ) -> tuple[Array, float]:
        """The target's predicted vector, or row of ids, and the probability that it agrees with the exact one.

        Args:
            now: what the sources that ran say, as vectors.
            then: what they said when the target last ran, as vectors.
            last: the target's own last exact output as a vector; None if it never ran.
            age_s: how old that is.
        """
        self.layout.pack(self._features[0], now, then, last, age_s)
        if self._sequence is not None:
            ids, confidence = self._sequence.predict(self._features)
            return ids[0], float(confidence[0])
        vector, agree = self._session.run(None, self._feed)
        return vector[0], float(agree[0, 0])

    def predict_many(self, features: Array) -> tuple[Array, Array]:
        """Predicted vectors (n, length), or rows of ids, and probabilities (n,) of features (n, `layout.size`)."""
        if self._sequence is not None:
            return self._sequence.predict(features)
        vectors, agree = self._session.run(None, {"features": features})
        return vectors, agree[:, 0]
