"""Links that read a stem and are made, not trained: what they answer, and how sure they are of it, is known beforehand.

They are of models that say how bright a frame is. What the stem tells of that is right; they are sure of it for two
seconds after a model itself ran, and not at all after that.
"""

from collections.abc import Mapping
from pathlib import Path
from shutil import copy2

import numpy as np
from infilink import __version__
from infilink.links.expectation.expectation import KNOTS_S as AGES_S
from infilink.links.expectation.expectation import Expectation
from infilink.links.index import STEM_FILE, Index
from infilink.links.linear.basis import Basis
from infilink.links.linear.link import SUFFIX, LinearLink
from infilink.links.linear.regression import KNOTS_S, Regression
from infilink.links.link import LinkSpec
from infilink.links.table import BUCKETS, NEVER, STEM, Measured, Table
from infilink.models.cost import ModelCost
from infilink.models.encoding.encoding import Encoding
from infilink.models.spec import digest, find_models, read_spec
from infilink.models.stem.stem import Stem

SURE_S = 2.0
LEVELS = np.linspace(0, 255, 52).astype(np.uint8)
# By the age of a model's last output alone; nothing but links is ever worth anything.
_WORTHLESS, _LINKED = (0.0, 0.0, -60.0, 0.0, 0.0), (0.0, 0.0, 12.0, -12.0, 0.0)
_EXPECTATION = Expectation(
    np.full(len(AGES_S), 0.4), 0.3, np.zeros(2), np.asarray([[_WORTHLESS, _LINKED, _WORTHLESS]] * 2)
)
_MEASURED = {"constant": Measured(0.3, 0.3), "held": Measured(0.4, 0.4), "stem": Measured(0.9, 0.9)}


def write_stem_links(
    folder: Path, models: Path, stem: Path, scales: Mapping[str, float], *, cost: ModelCost | None = None
) -> Path:
    """A folder of links, as training writes it.

    Args:
        folder: where they go.
        models: the models' folder.
        stem: the stem's file.
        scales: each model's output for a frame, as a share of its brightness.
        cost: of each model.
    """
    opened = Stem(stem)
    features = np.stack([opened.see(np.full((48, 64, 3), level, np.uint8)).features for level in LEVELS])
    basis = Basis.of_features(features)
    numbers = np.concatenate([basis.numbers(features), np.ones((len(features), 1))], axis=1)
    paths = find_models(models)
    digests = {name: digest(paths[name]) for name in scales}
    specs = {name: read_spec(paths[name]) for name in scales}
    outputs = {name: [np.asarray([scale * level], np.float32) for level in LEVELS] for name, scale in scales.items()}
    encodings = {name: Encoding.fit(specs[name].output, values) for name, values in outputs.items()}
    fades = np.asarray([1.0 if age_s <= SURE_S else 0.0 for age_s in KNOTS_S], np.float32)
    folder.mkdir(parents=True)
    copy2(stem, folder / STEM_FILE)
    for name, encoding in encodings.items():
        vectors = np.stack([encoding.encode(value) for value in outputs[name]])
        weights = np.linalg.lstsq(numbers, vectors, rcond=None)[0].astype(np.float32)
        regression = Regression(weights, fades, np.zeros((1, vectors.shape[1]), np.float32))
        spec = LinkSpec(name, {name: encoding}, digests, __version__)
        LinearLink(spec, {STEM: basis}, {(STEM,): regression}, _EXPECTATION, opened.digest).write(
            folder / f"{name}{SUFFIX}"
        )
    linked = {(STEM,): (_MEASURED["stem"],) * BUCKETS}
    Index(
        models=specs,
        costs=dict.fromkeys(scales, cost or ModelCost(30 * 2**20, 0.01, 0.1)),
        digests=digests,
        encodings=encodings,
        tables=dict.fromkeys(scales, Table(_MEASURED["constant"], (_MEASURED["held"],) * NEVER, linked)),
        constants={name: values[0] for name, values in outputs.items()},
        links=tuple(scales),
        notes={},
        stem=opened.digest,
    ).write(folder)
    return folder
