"""A coordinator with models of every kind of input: streams of each, and all that the models need with them."""

import shutil

import numpy as np
import pytest
from infilink.device.sources.base import Input
from infilink.device.uplink.form_encoders import form_encoder
from infilink.errors import InvalidInput
from infilink.models.inputs.form import InputForm
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import digest
from infilink.protos.arrays import read_array

from ..kinds import a_hello, write_models
from ..models.inputs.kinds import KINDS, WORDS, joint, tokens, write_tokenizer
from .messages import an_input, hello, origins

RANDOM = np.random.default_rng(5)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


async def settled(site):
    """Two looks: what is new is taken once it stays as it is."""
    await site.deployments.look()
    await site.deployments.look()


@pytest.mark.parametrize("budget", ["none", "4GiB"], ids=["as they are", "measured before"])
def test_each_is_loaded_and_answers_what_it_looks_at(serve, folder, budget):
    models = {kind: OnnxModel(KINDS[kind].save(folder)) for kind in KINDS}
    inputs = {kind: KINDS[kind].draw(RANDOM) for kind in KINDS}

    async def story(site):
        for kind, model in models.items():
            found = await site.pool.queue.run(model.spec.name, inputs[kind])
            np.testing.assert_allclose(found.value, model.infer(inputs[kind]), rtol=1e-5)
        with pytest.raises(InvalidInput, match="a text must be uint8"):
            await site.pool.queue.run("tokens", np.zeros(3, np.float32))

    serve(story, models=folder, budget=budget)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("constants", "pieces", "string", "bytes")])
def test_a_stream_is_answered_by_the_models_that_look_at_it(serve, folder, kind):
    form, random = KINDS[kind].form, np.random.default_rng(3)
    models = {each.spec.name: each for each in (OnnxModel(KINDS[name].save(folder)) for name in KINDS)}
    encoder, values = form_encoder(form, encoding="auto", quality=100), [KINDS[kind].draw(random) for _ in range(3)]
    fitting = {name for name, model in models.items() if model.spec.modality == form.modality}

    async def story(site):
        answers = []

        async def write(answer):
            answers.append(answer)

        async def sent():
            for sequence, value in enumerate(values):
                encoded = encoder.encode(Input(sequence, float(sequence), value))
                yield an_input(sequence, payload=encoded.payload, encoding=encoded.encoding)

        await site.stream(site.open_session(hello(form=form.model_dump_json()))).run(sent(), write)
        assert len(answers) == 3
        for value, answer in zip(values, answers, strict=True):
            found = {output.model: read_array(output) for output in answer.result.outputs}
            assert set(found) == fitting and set(origins(answer).values()) == {"executed"}
            # What travels is a JPEG, or sixteen bits: nearly the same.
            expected = {name: models[name].infer(value) for name in fitting}
            near = 12.0 if form.modality in ("image", "video") else 0.01
            for name, output in found.items():
                np.testing.assert_allclose(output, expected[name], atol=near * (3 if name == "constants" else 1))

    serve(story, models=folder)


def test_a_stream_of_another_rate_is_refused_with_what_differs(serve, folder):
    KINDS["audio"].save(folder)
    form = InputForm(modality="audio", rate_hz=16000)

    async def story(site):
        with pytest.raises(InvalidInput, match=r"audio: it takes 8000 samples a second .* these come 16000 a second"):
            site.open_session(hello(form=form.model_dump_json()))
        with pytest.raises(InvalidInput, match="model 'audio' does not look at this stream: it looks at audio"):
            site.open_session(hello(models=["audio"]))

    serve(story, models=folder)


def test_a_model_of_sounds_comes_while_it_runs(serve, folder):
    tokens(folder)

    async def story(site):
        path = KINDS["audio"].save(folder)
        await settled(site)
        found = await site.pool.queue.run("audio", np.array([0.25, -0.5], np.float32))
        assert found.value.tolist() == [0.25, -0.5] and site.repository.digests["audio"] == digest(path)

    serve(story, models=folder, watch_models_s=0)


def test_a_tokenizer_that_was_replaced_makes_another_version(serve, folder):
    path = tokens(folder)
    text = KINDS["tokens"].draw(RANDOM)

    async def story(site):
        before = site.repository.digests["tokens"]
        said = (await site.pool.queue.run("tokens", text)).value
        write_tokenizer(folder / "tokenizer.json", (*WORDS[:2], "more", *WORDS[2:]))
        assert (await site.pool.queue.run("tokens", text)).value == said, "its own copy runs"
        await settled(site)
        assert site.repository.digests["tokens"] == digest(path) != before
        assert (await site.pool.queue.run("tokens", text)).value > said
        (folder / "tokenizer.json").unlink()
        await settled(site)
        assert (await site.pool.queue.run("tokens", text)).value > said, "what is served goes on"

    serve(story, models=folder, watch_models_s=0)


def test_a_tokenizer_stays_while_another_model_needs_it(serve, folder):
    for save in (tokens, joint, KINDS["audio"].save):
        save(folder)

    async def story(site):
        await site.deployments.remove("tokens")
        assert (folder / "tokenizer.json").is_file() and not (folder / "tokens.onnx").exists()
        await site.deployments.remove("joint")
        assert [path.name for path in folder.iterdir()] == ["audio.onnx"]

    serve(story, models=folder, watch_models_s=0)


def test_a_model_is_brought_and_put_back_with_its_tokenizer(serve, folder, tmp_path):
    tokens(folder)
    text = KINDS["tokens"].draw(RANDOM)

    async def story(site):
        said = (await site.pool.queue.run("tokens", text)).value
        place = site.deployments.incoming()
        brought = tokens(place)
        write_tokenizer(place / "tokenizer.json", (*WORDS[:2], "more", *WORDS[2:]))
        brought.rename(place / "model.onnx")
        await site.deployments.add("tokens", place)
        assert (await site.pool.queue.run("tokens", text)).value > said
        await site.deployments.rollback("tokens")
        assert (await site.pool.queue.run("tokens", text)).value == said
        shutil.copy(folder / "tokenizer.json", tmp_path)
        assert OnnxModel(folder / "tokens.onnx").infer(text) == said

    serve(story, models=folder, watch_models_s=0)


class Connected:
    """A connection that remembers whether it was stopped."""

    stopped = False
    waiting = 0

    def stop(self):
        self.stopped = True


def test_streams_begin_anew_where_another_version_looks_at_other_inputs(serve, folder):
    whole = write_models(folder.parent / "whole")
    for name in ("letters", "bright"):
        for suffix in (".onnx", ".toml"):
            shutil.copy(whole / f"{name}{suffix}", folder)

    async def story(site):
        text, picture = (site.open_session(a_hello(kind)) for kind in ("text", "image"))
        connections = text.connection, picture.connection = Connected(), Connected()
        # Another file, of the same inputs: nobody has to hear of it.
        shutil.copy(whole / "letters.toml", folder)
        (folder / "letters.toml").write_text((whole / "letters.toml").read_text() + "# the same\n")
        await settled(site)
        assert not any(each.stopped for each in connections) and len(site.sessions) == 2
        # One of that name which looks at sounds.
        spec = (whole / "loud.toml").read_text().replace('"loud"', '"letters"')
        (folder / "letters.toml").write_text(spec)
        shutil.copy(whole / "loud.onnx", folder / "letters.onnx")
        await settled(site)
        assert all(each.stopped for each in connections) and not site.sessions
        with pytest.raises(InvalidInput, match=r"no model here looks at this stream's inputs"):
            site.open_session(a_hello("text"))
        assert set(site.open_session(a_hello("audio")).serving.models) == {"letters"}

    serve(story, models=folder, watch_models_s=0)
