"""Inputs of every kind by the Open Inference Protocol: as a whole with an answer, or as a graph's tensors."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.inference.request import InferRequest
from infilink.cloud.inference.whole import form_for, whole_of
from infilink.cloud.services.inference import InferenceService
from infilink.cloud.services.inference_messages import metadata_message
from infilink.errors import InfilinkError, InvalidInput, Overloaded
from infilink.models.cost import ModelCost
from infilink.outputs import Array
from infilink.protos.sounds import write_flac, write_opus

from ...e2e.links import write_links
from ...kinds import KINDS, a_jpeg, feature_map, grey, sound, text, window, write_models, write_twins


def elements(*values: bytes) -> Array:
    found = np.empty(len(values), object)
    found[:] = values
    return found


TONE, LEVEL = sound(9000), 65.0
PIXELS = {"color": "BGR"}
# Of each kind every way to send an input as a whole: its tensors, and the number that tells what is said of it.
WHOLE: list[tuple[str, dict[str, Array], float]] = [
    ("image", {"image": elements(a_jpeg(LEVEL))}, LEVEL),
    ("image", {"image": grey(LEVEL)}, LEVEL),
    ("video", {"video": elements(*[a_jpeg(LEVEL)] * 2)}, LEVEL),
    ("video", {"video": np.stack([grey(LEVEL)] * 2)}, LEVEL),
    ("audio", {"audio": TONE}, 9000),
    ("audio", {"audio": (TONE / 32768).astype(np.float32)}, 9000),
    ("audio", {"audio": elements(write_flac(TONE, 8000))}, 9000),
    ("audio", {"audio": elements(write_opus(TONE, 8000))}, 9000),
    ("signal", {"signal": window(0.5)}, 0.5),
    ("text", {"text": elements(text(LEVEL))}, LEVEL),
    ("map", {"map": feature_map(3.0)}, 3.0),
    ("audio+text", {"sound": sound(8192), "words": elements(text(LEVEL))}, LEVEL),
    ("audio+text", {"words": elements(text(LEVEL)), "sound": elements(write_flac(sound(8192), 8000))}, LEVEL),
]


@pytest.fixture(scope="module")
def all_kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("kinds") / "models")


def test_an_input_of_any_kind_may_be_sent_as_a_whole_and_belong_to_a_stream(serve: Callable, all_kinds: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        answering = InferenceService(coordinator).answering
        for stream in ("", "arm/{kind}"):
            for kind, tensors, level in WHOLE:
                of = KINDS[kind]
                named = {"stream": stream.format(kind=kind.replace("+", "-"))} if stream else {}
                request = InferRequest(of.model, parameters={**PIXELS, **named}, tensors=tensors)
                response = await answering.answer(request)
                assert response.parameters["origin"] == "executed"
                np.testing.assert_allclose(response.outputs["answer"], of.says(level), atol=max(of.tolerance, 0.01))
        kept = {key.name for key in coordinator.sessions}
        assert kept == {f"arm/{kind.replace('+', '-')}" for kind in KINDS}

    serve(story, models=all_kinds)


def test_graphs_of_any_kind_are_called_with_their_tensors(serve: Callable, all_kinds: Path) -> None:
    tensors = {
        "bright": {"image": np.full((1, 3, 16, 16), 7, np.float32)},
        "clip": {"clip": np.full((1, 3, 2, 16, 16), 7, np.float32)},
        "loud": {"sound": np.full((1, 50), 7, np.float32)},
        "shake": {"signal": np.full((1, 2, 8), 7, np.float32)},
        "letters": {"text": np.full((1, 9), 7, np.int64)},
        "cut": {"map": np.full((1, 4, 3, 3), 7, np.float32)},
        "both": {"sound": np.full((1, 50), 3, np.float32), "words": np.full((1, 9), 4, np.int64)},
    }

    async def story(coordinator: Coordinator) -> None:
        answering = InferenceService(coordinator).answering
        for model, given in tensors.items():
            response = await answering.answer(InferRequest(model, tensors=given))
            np.testing.assert_allclose(response.outputs["out"], [7.0])

    serve(story, models=all_kinds)


@pytest.mark.parametrize(
    ("model", "tensors", "said"),
    [
        ("letters", {"text": elements(b"caf\xe9")}, "input 'text': `payload`: is no UTF-8"),
        ("letters", {"text": elements(b"a"), "more": TONE}, "with 'text' there is no 'more'"),
        ("loud", {"audio": elements(b"RIFF")}, "input 'audio': its bytes are neither FLAC nor Opus"),
        ("loud", {"audio": elements(write_flac(TONE, 16000))}, "16000 Hz, and the stream has 8000 Hz"),
        ("loud", {"audio": TONE[:0]}, "holds nothing"),
        ("loud", {"audio": elements(b"fLaC", b"fLaC")}, "has no input 'audio'; it takes sound"),
        ("shake", {"signal": window(1)[:5]}, "has 8 samples"),
        ("shake", {"signal": np.full((8, 2), np.nan, np.float32)}, "NaN"),
        ("shake", {"signal": np.zeros((8, 3), np.float32)}, "2 channels"),
        ("clip", {"video": elements(*[a_jpeg(1)] * 65)}, "65 frames; 1 to 64"),
        ("clip", {"video": elements(b"a", b"b")}, "input 'video': .*JPEG"),
        ("clip", {"video": np.stack([grey(1)] * 3)}, "has 2 samples"),
        ("both", {"sound": TONE}, "input 'words': is missing"),
        ("both", {"sound": TONE, "words": TONE}, "input 'words': is not a text"),
    ],
)
def test_what_is_no_such_input_is_refused_by_its_name(
    serve: Callable, all_kinds: Path, model: str, tensors: dict[str, Array], said: str
) -> None:
    async def story(coordinator: Coordinator) -> None:
        answering = InferenceService(coordinator).answering
        with pytest.raises(InfilinkError, match=said) as raised:
            await answering.answer(InferRequest(model, parameters=PIXELS, tensors=tensors))
        assert isinstance(raised.value, InvalidInput)

    serve(story, models=all_kinds)


def test_metadata_says_how_an_input_of_each_kind_is_sent(serve: Callable, all_kinds: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        catalogue = InferenceService(coordinator).answering.catalogue
        for kind, of in KINDS.items():
            properties = metadata_message(catalogue.find(of.model)).properties
            names = list(whole_of(of.form))
            assert all(properties[name].startswith("instead of the inputs") for name in names), kind
            assert " and ".join(names) in properties["answer"]

    serve(story, models=all_kinds)


def test_a_form_is_one_that_its_model_looks_at(serve: Callable, all_kinds: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        for name, spec in coordinator.repository.specs.items():
            form = form_for(spec)
            assert form is not None and not spec.fits(form), name

    serve(story, models=all_kinds)


def test_links_answer_for_a_model_of_sounds_that_does_not_run(serve: Callable, tmp_path: Path) -> None:
    part = tmp_path / "sounds"
    whole = write_twins(write_models(tmp_path / "models"))
    part.mkdir()
    for name in ("loud", "loud2"):
        for suffix in (".onnx", ".toml"):
            shutil.copy(whole / f"{name}{suffix}", part)
    costs = dict.fromkeys(("loud", "loud2"), ModelCost(2**25, 0.001, 0.1))
    promise = {"loud2": {("loud",): 0.99}}
    form = KINDS["audio"].form
    links = write_links(
        tmp_path / "links", part, {"loud": 1.0, "loud2": 2.0}, costs, agreements=promise, held=0.3, form=form
    )

    async def story(coordinator: Coordinator) -> None:
        answering = InferenceService(coordinator).answering
        await coordinator.deployments.load("loud")
        await coordinator.deployments.unload("loud2")
        for named in ({}, {"stream": "arm/mic"}):
            for tensors in ({"audio": TONE}, {"audio": elements(write_flac(TONE, 8000))}):
                response = await answering.answer(InferRequest("loud2", parameters=named, tensors=tensors))
                assert response.parameters["origin"] == "linked" and response.parameters["sources"] == "loud"
                said = 2 * KINDS["audio"].says(9000)
                np.testing.assert_allclose(response.outputs["answer"], said, atol=0.02)
        exact = InferRequest("loud2", parameters={"fallback": "exact"}, tensors={"audio": TONE})
        with pytest.raises(Overloaded, match="an operator unloaded it"):
            await answering.answer(exact)

    serve(story, models=whole, links=links, answers="links", audit=0.0, least_every_s=0.0)
