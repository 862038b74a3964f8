"""A stretch as a trace: the pictures that were sent, and what the models themselves said of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select

from ...errors import InvalidInput
from ...models.cost import ModelCost
from ...models.spec import ModelSpec
from ...outputs import Array
from ...protos import edge_pb2
from ...protos.arrays import read_array
from ...traces.info import TraceInfo
from ...traces.trace import TraceWriter
from ..ledger.tables import ANSWERS, RESULTS
from ..ledger.viewer_time import iso_utc
from .decoding import Picture
from .stretch import MOST_BYTES, Material

_OWN = ("executed", "local")
_UNKNOWN = ModelCost(0, 0.0, 0.0)


@dataclass(frozen=True)
class _Model:
    """What a trace says of a model."""

    spec: ModelSpec
    digest: str


def write_trace(material: Material, path: Path, costs: Mapping[str, ModelCost]) -> None:
    """Writes a trace of the inputs on which all its models ran, as nothing is learnt from what others predicted.

    Times are those of capture by the device's clock, from 0 on; where a device did not tell them, those of the answers.

    Args:
        material: what there is.
        path: a new file.
        costs: of the models, as far as they are known.

    Raises:
        InvalidInput: there is no such input.
    """
    models = _models(material)
    stretch, first_s = material.stretch, None
    info = TraceInfo(
        source=stretch.stream,
        fps=_rate(material),
        models={name: each.spec for name, each in models.items()},
        digests={name: each.digest for name, each in models.items()},
        costs={name: costs.get(name, _UNKNOWN) for name in models},
        notes={
            "exported": f"what was sent from {iso_utc(stretch.since_us)} to {iso_utc(stretch.until_us)}: what the "
            "device's gate left out is not in it, and how often things happen can't be learnt from it",
        },
    )
    written = size_bytes = 0
    with TraceWriter(path, info) as trace, material.pictures() as pictures, material.database.read() as connection:
        for place, picture in enumerate(pictures):
            at_s = (picture.captured_us or picture.at_us) / 1e6
            first_s = at_s if first_s is None else first_s
            outputs = _outputs(connection, stretch.stream, picture, models)
            is_later = trace.last_s is None or at_s - first_s > trace.last_s
            if len(outputs) < len(models) or not is_later:
                trace.leave_out(place)
                continue
            size_bytes += len(picture.jpeg) + sum(output.nbytes for output in outputs.values())
            if size_bytes > 2 * MOST_BYTES:
                raise InvalidInput(
                    "what was said of these pictures is too much for one file: choose one model, or a shorter time"
                )
            trace.append(place, at_s - first_s, picture.jpeg, outputs)
            written += 1
        if not written:
            raise InvalidInput(
                f"on none of these pictures all of {', '.join(models)} ran: choose one model, or a longer time"
            )


def _models(material: Material) -> dict[str, _Model]:
    """The models that ran in the stretch, each as the version that ran last."""
    found: dict[str, _Model] = {}
    for result in material.results():
        if result.origin in _OWN and result.spec is not None and result.output.digest:
            found[result.model] = _Model(result.spec, result.output.digest)
    if not found:
        what = material.model or "no model"
        raise InvalidInput(
            f"{what} {'did not run' if material.model else 'ran'} in this time: there is nothing to learn"
        )
    return dict(sorted(found.items()))


def _rate(material: Material) -> float:
    """About how many pictures there were in a second."""
    stretch = material.stretch
    wanted = "SELECT count(*), min(at_us), max(at_us) FROM sent WHERE stream = ? AND at_us >= ? AND at_us < ?"
    with material.sent.sent.read() as database:
        given = (stretch.stream, stretch.since_us, stretch.until_us)
        count, first_us, last_us = database.execute(wanted, given).fetchone()
    return round((count - 1) * 1e6 / (last_us - first_us), 3) if last_us > first_us else 1.0


def _outputs(connection: Connection, stream: str, picture: Picture, models: Mapping[str, _Model]) -> dict[str, Array]:
    """What the models themselves said of a picture, those in the version that the trace is of."""
    wanted = (
        select(RESULTS.c.model, RESULTS.c.output)
        .join(ANSWERS, ANSWERS.c.number == RESULTS.c.answer)
        .where(ANSWERS.c.device == stream, ANSWERS.c.session == picture.session)
        .where(ANSWERS.c.sequence == picture.sequence, RESULTS.c.origin.in_(_OWN))
    )
    found: dict[str, Array] = {}
    for row in connection.execute(wanted):
        output = edge_pb2.Output.FromString(row.output)
        if row.model in models and output.digest == models[row.model].digest:
            found[row.model] = read_array(output)
    return found
