"""Whether a device may join: the models it names are the coordinator's, and it does what its placement says."""

from collections.abc import Iterable, Mapping

import numpy as np
from pydantic import ValidationError

from ...errors import InvalidInput, UnknownModel
from ...links.graph import LinkGraph
from ...links.linear.link import LinearLink
from ...links.table import STEM
from ...models.inputs.form import PICTURES, InputForm
from ...models.placement import PlacementFile
from ...models.spec import ModelSpec
from ...models.stem.stem import Stem
from ...protos import edge_pb2
from ...protos.features import FeatureRange
from ...settings import validation_text
from ...traces.stream_names import SLASH
from ..plans.initial import InitialPlan
from ..repository import Repository
from ..security.caller import current_caller
from .bounds import check_form, check_names
from .session import Session, SessionKey


def check_hello(
    hello: edge_pb2.Hello, repository: Repository, placement: PlacementFile | None, stem: Stem | None = None
) -> None:
    """Makes sure that the coordinator can serve a device.

    Args:
        hello: the device's first message.
        repository: the coordinator's models.
        placement: what runs for which devices; None: the coordinator has none.
        stem: whose features the links read; None: they read none.

    Raises:
        NotAllowed: whoever calls may not send as this device.
        UnknownModel: it wants a model that is not here.
        InvalidInput: it names what can't be a name; it runs a model whose file is not here, or other models than its
            placement says; or it sends the features of another stem.
    """
    check_names(hello)
    current_caller().check_device(hello.device)
    for name in hello.models:
        if name not in repository.specs:
            raise UnknownModel(name, tuple(repository.specs))
    _check_local(hello.local, repository, device=hello.device)
    _check_class(hello.device_class, hello.local, placement)
    if stem is not None and hello.stem not in ("", stem.digest):
        raise InvalidInput(
            f"{hello.device} sends the features of a stem with digest {hello.stem}, and the links here read that with "
            f"{stem.digest}: give the device the `stem.onnx` of the links' folder (`stem`), or links that read its own"
        )


def form_of(hello: edge_pb2.Hello) -> InputForm:
    """What a stream's inputs are.

    Raises:
        InvalidInput: it says what can't be.
    """
    if not hello.form:
        return PICTURES
    try:
        form = InputForm.model_validate_json(hello.form)
    except (ValidationError, RecursionError) as error:
        told = validation_text(error, InputForm) if isinstance(error, ValidationError) else "is too deep"
        raise InvalidInput(f"`form`: {told}") from error
    check_form(form)
    return form


def fitting_models(
    hello: edge_pb2.Hello, form: InputForm, repository: Repository, initial: InitialPlan
) -> tuple[dict[str, ModelSpec], LinkGraph | None]:
    """The models that look at a stream's inputs, and the links for them; None: there are none.

    Raises:
        InvalidInput: there is none, or one that the device wants, or runs itself, does not; the message says why.
    """
    reasons = {name: _why_not(spec, form, repository) for name, spec in repository.specs.items()}
    links, why = initial.links_for(form, [name for name, reason in reasons.items() if not reason])
    for name, spec in repository.specs.items():
        if spec.virtual:
            none = "links alone answer for it, and there are none for these inputs"
            reasons[name] = "" if links is not None and name in links.models else why or none
    for name in (*hello.models, *hello.local):
        if reasons.get(name):
            raise InvalidInput(f"model {name!r} does not look at this stream: {reasons[name]}")
    fitting = {name: spec for name, spec in repository.specs.items() if not reasons[name]}
    if not fitting:
        # First what is nearly right: devices show no more than a few hundred letters.
        nearest = sorted(reasons, key=lambda name: repository.specs[name].modality != form.modality)
        told = "; ".join(f"{name}: {reasons[name]}" for name in nearest)
        raise InvalidInput(f"no model here looks at this stream's inputs ({form.modality}): {told}")
    return fitting, links


def _why_not(spec: ModelSpec, form: InputForm, repository: Repository) -> str:
    """Why a model that runs does not look at a stream's inputs; "": it does."""
    if spec.virtual:
        return "links answer for it"
    if repository.tail is not None and form != PICTURES:
        return f"it is the second part of {repository.tail.model}, which is sent the maps of pictures"
    return spec.fits(form)


def camera_name(key: SessionKey) -> str:
    """What links know a stream by: DEVICE, or DEVICE.STREAM, as no folder's name holds a slash."""
    return key.name.replace(SLASH, ".")


def feature_range(hello: edge_pb2.Hello, graph: LinkGraph | None, form: InputForm) -> FeatureRange | None:
    """How a device is to write the features that it sends instead of frames; None: it is to send frames.

    By the mean and deviation that those have who read them.
    """
    if not hello.stem or graph is None or graph.stem is None or form != PICTURES:
        return None
    bases = [link.bases[STEM] for link in graph.links.values() if isinstance(link, LinearLink) and link.reads_stem]
    if not bases:
        return None
    mean, scale = (values[: graph.stem.spec.length] for values in (bases[0].mean, bases[0].scale))
    return FeatureRange.of(mean, np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0))


def namesakes(hello: edge_pb2.Hello, sessions: Iterable[Session]) -> list[Session]:
    """The sessions of other runs by the same name that are connected now: two devices, or one started twice."""
    return [
        each
        for each in sessions
        if (each.key.device, each.key.stream) == (hello.device, hello.stream)
        and each.key.session != hello.session
        and each.connection is not None
    ]


def _check_local(local: Mapping[str, str], repository: Repository, *, device: str) -> None:
    """Makes sure that the models which a device runs are the same files as here; `local` has their digests."""
    for name, digest in local.items():
        known = repository.digests.get(name)
        if known is None:
            raise InvalidInput(
                f"{device} runs model {name!r} itself, and there is none of that name here (there are: "
                f"{', '.join(repository.paths)}): put its file into the coordinator's `models`, or take it out of the "
                "device's `local`"
            )
        if digest != known:
            raise InvalidInput(
                f"{device} runs model {name!r} with digest {digest}, and the one here has {known}: put the same file "
                "on both"
            )


def _check_class(device_class: str, local: Mapping[str, str], placement: PlacementFile | None) -> None:
    """Makes sure that a device runs what the placement says for its class; a device of no class runs what it likes."""
    if not device_class:
        return
    if placement is None:
        raise InvalidInput(
            f"the device is placed as {device_class!r}, and the coordinator has no placement: give both the same "
            "`placement`"
        )
    placed = placement.device(device_class).running("device")
    if set(placed) != set(local):
        raise InvalidInput(
            f"the device runs {', '.join(sorted(local)) or 'no model'}, and the coordinator's placement has "
            f"{device_class!r} run {', '.join(placed) or 'none'}: give both the same `placement`"
        )
