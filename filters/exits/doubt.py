"""How far a small model's answer can be expected to agree with the big one's, from its cues; NumPy only."""

import base64
import binascii
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from ...errors import InvalidInput
from ...models.heads.calibration import fit_logistic, logistic
from ...models.heads.linear import Linear
from ...models.heads.threads import one_blas_thread
from ...outputs import Array


@dataclass
class Doubt:
    """Expected agreement, from 0 to 1: a logistic curve over a ridge regression on cues and products of them.

    Attributes:
        linear: expanded cues to agreement.
        curve: slope and constant (2,).
    """

    linear: Linear
    curve: Array

    @classmethod
    def fit(cls, cues: Array, agreements: Array) -> Self:
        """Learns it.

        Args:
            cues: (n, d), in the order of time.
            agreements: of the small model's answers with the big one's, from 0 to 1 (n,).
        """
        with one_blas_thread():
            linear, left_out = Linear.fit_judged(expanded(cues), np.asarray(agreements)[:, None])
        said = left_out.numbers
        level, spread = said.mean(axis=0), said.std(axis=0) + 1e-9
        slope, constant = fit_logistic((said - level) / spread, np.asarray(agreements, np.float64))
        slope /= spread[0]
        return cls(linear, np.asarray([slope, constant - slope * level[0]]))

    def confidence(self, cues: Array) -> Array:
        """The expected agreement (n,) for cues (n, d)."""
        return logistic(self.linear.predict(expanded(cues))[:, 0] * self.curve[0] + self.curve[1])

    def unlike(self, cues: Array) -> Array:
        """How unlike what it learnt each input's cues are (n,)."""
        return self.linear.doubt(expanded(cues))

    def pack(self) -> str:
        """It as text, for a file's metadata."""
        file = io.BytesIO()
        arrays: dict[str, Any] = {"curve": self.curve}
        arrays |= {name: np.asarray(each, np.float32) for name, each in self.linear.as_arrays("linear").items()}
        np.savez_compressed(file, **arrays)
        return base64.b64encode(file.getvalue()).decode("ascii")

    @classmethod
    def unpack(cls, text: str, *, path: Path) -> Self:
        """What was packed.

        Raises:
            InvalidInput: it is damaged.
        """
        try:
            with np.load(io.BytesIO(base64.b64decode(text, validate=True)), allow_pickle=False) as found:
                arrays = {name: np.asarray(found[name], np.float64) for name in found.files}
            curve = arrays.pop("curve")
            if curve.shape != (2,) or not np.isfinite(curve).all():
                raise ValueError("its curve is no curve")
            return cls(Linear.from_arrays(arrays, "linear"), curve)
        except (binascii.Error, ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise InvalidInput(f"{path}: what its exit has learnt is damaged: train it again ({error})") from error


def expanded(cues: Array) -> Array:
    """Cues (n, 2 d) with the products of the first d, which are an output's own: (n, 2 d + d (d + 1) / 2)."""
    x = np.asarray(cues, np.float64)
    own = x[:, : x.shape[1] // 2]
    first, second = np.triu_indices(own.shape[1])
    return np.concatenate([x, own[:, first] * own[:, second]], axis=1)
