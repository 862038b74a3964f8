"""A coordinator with models of every kind of input: measured, loaded, changed and removed with all that they need."""

import shutil

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import digest

from ..models.inputs.kinds import KINDS, WORDS, joint, tokens, write_tokenizer

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
