"""The site as it was recorded: every model's output on every input that is served, and what the device sees of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ...filters.open_gate import open_gate
from ...models.cost import ModelCost
from ...models.spec import ModelSpec
from ...models.stem.stem import Stem
from ...outputs import Array
from ...traces.trace import Trace
from ..videofile import stream_sizes
from .site import Camera

# What the free gate of frame difference compares.
_SMALL = (64, 48)


@dataclass(frozen=True)
class Recorded:
    """One camera's later part.

    Attributes:
        camera: whose.
        captured_s: when each input was captured, from 0: float (inputs,).
        outputs: each model's own, the reference of every policy.
        features: what the stem makes of each input: float32 (inputs, length); None: there is no stem.
        scores: the filter's, of each input: float (inputs,); None: it has none.
        kept: the inputs that the filter sends: bool (inputs,).
        pictures: each input, small and grey: float32 (inputs, pixels).
        frame_bytes: what each takes as a JPEG: int (inputs,).
        stream_bytes: what each takes in an H.264 stream: int (inputs,).
    """

    camera: Camera
    captured_s: Array
    outputs: Mapping[str, Sequence[Array]]
    features: Array | None
    scores: Array | None
    kept: Array
    pictures: Array
    frame_bytes: Array
    stream_bytes: Array

    def __len__(self) -> int:
        """How many inputs."""
        return len(self.captured_s)


@dataclass(frozen=True)
class Site:
    """All cameras' later parts, and what there is to serve them.

    Attributes:
        cameras: by name.
        specs: the models', by name.
        costs: what each model takes, measured while it was recorded.
        budget_bytes: the memory that models may take.
        compute_cores: the processors' seconds that models may take in a second.
        links: the folder of links.
        resident: the models that are loaded at the beginning.
    """

    cameras: Mapping[str, Recorded]
    specs: Mapping[str, ModelSpec]
    costs: Mapping[str, ModelCost]
    budget_bytes: int
    compute_cores: float
    links: Path
    resident: tuple[str, ...] = ()

    @property
    def inputs(self) -> int:
        """Of all cameras."""
        return sum(map(len, self.cameras.values()))

    @property
    def seconds(self) -> float:
        """How long serving them takes."""
        return max(len(each) / each.camera.fps for each in self.cameras.values())

    @property
    def full_cores(self) -> float:
        """What all models on all inputs would take."""
        return full_cores([each.camera for each in self.cameras.values()], self.costs)

    @property
    def full_bytes(self) -> int:
        """What all models take."""
        return sum(cost.memory_bytes for cost in self.costs.values())

    @property
    def stream_bytes(self) -> int:
        """What the cameras take as H.264 streams."""
        return sum(int(each.stream_bytes.sum()) for each in self.cameras.values())


def full_cores(cameras: Sequence[Camera], costs: Mapping[str, ModelCost]) -> float:
    """The processors that all models on all inputs of some cameras would take."""
    return sum(camera.fps for camera in cameras) * sum(cost.infer_s for cost in costs.values())


def read_recorded(camera: Camera, trace_path: Path, stem_path: Path | None, filter_path: Path) -> Recorded:
    """A camera's later part, seen by the device's stem and filter as an agent would."""
    stem = None if stem_path is None else Stem(stem_path)
    gate = open_gate(filter_path, camera=camera.name)
    kept, scores, features, pictures = [], [], [], []
    with Trace(trace_path) as whole, whole.part(camera.learnt, len(whole)) as trace:
        at_s = trace.captured_s - trace.captured_s[0]
        frames = list(trace.frames())
        for frame, captured_s in zip(frames, trace.captured_s, strict=True):
            decision = gate.decide(frame, float(captured_s))
            kept.append(decision.keep)
            scores.append(np.nan if decision.score is None else decision.score)
            if stem is not None:
                features.append(stem.see(frame).features)
            grey = cv2.cvtColor(cv2.resize(frame, _SMALL, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
            pictures.append(grey.astype(np.float32).ravel())
        return Recorded(
            camera,
            at_s,
            {name: trace.outputs(name) for name in sorted(trace.models)},
            np.asarray(features, np.float32) if features else None,
            None if np.isnan(scores).any() else np.asarray(scores),
            np.asarray(kept, bool),
            np.asarray(pictures),
            np.asarray([len(jpeg) for jpeg in trace.payloads()]),
            stream_sizes(zip(at_s, frames, strict=True), fps=camera.fps),
        )
