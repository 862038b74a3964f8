"""What is served while the models' folder changes, and as an operator asks for it."""

import asyncio
import shutil

import numpy as np
import pytest
from infilink import __version__
from infilink.errors import InvalidInput, UnknownModel
from infilink.models.spec import digest, write_spec
from infilink.protos import edge_pb2

from .made import write_damaged, write_hanging, write_number

FRAME = np.full((16, 16, 3), 100, np.uint8)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "models"
    write_number(folder / "flat.onnx", 1.0)
    write_number(folder / "many" / "1" / "model.onnx", 10.0)
    return folder


@pytest.fixture
def run(serve, folder):
    """Runs a story with a coordinator that looks at its folder only when it is told to."""

    def run(story, **settings):
        return serve(story, models=folder, watch_models_s=0, **settings)

    return run


async def says(site, name):
    return float((await site.pool.queue.run(name, FRAME)).value[0])


async def settled(site):
    """Two looks: what is new is taken once it stays as it is."""
    await site.deployments.look()
    await site.deployments.look()


def test_a_replaced_file_is_served_once_it_is_whole_and_under_its_digest(run, folder):
    async def story(site):
        before = site.repository.digests["flat"]
        write_number(folder / "flat.onnx", 2.0)
        assert (await says(site, "flat"), site.repository.digests["flat"]) == (1.0, before)
        await site.deployments.look()
        assert await says(site, "flat") == 1.0, "it may be half written"
        await site.deployments.look()
        assert await says(site, "flat") == 2.0
        assert site.repository.digests["flat"] == digest(folder / "flat.onnx") != before
        assert site.deployments.entry("flat").before == "1" and site.workers["flat"].stats().state == "loaded"
        loads = site.workers["flat"].stats().loads
        await settled(site)
        assert site.workers["flat"].stats().loads == loads, "nothing has changed since"

    run(story)


def test_a_new_version_is_served_and_an_older_one_after_a_rollback(run, folder):
    async def story(site):
        write_number(folder / "many" / "2" / "model.onnx", 20.0)
        await settled(site)
        assert await says(site, "many") == 20.0
        entry = site.deployments.entry("many")
        assert (entry.version, entry.versions, entry.before) == ("2", (1, 2), "1")
        back = await site.deployments.rollback("many")
        assert (await says(site, "many"), back.version) == (10.0, "1")
        assert (folder / "many" / "current").read_text() == "1\n"
        await settled(site)
        assert await says(site, "many") == 10.0, "it stays so"
        assert (await site.deployments.rollback("many")).version == "2"
        assert await says(site, "many") == 20.0

    run(story)
    run(lambda site: asyncio.sleep(0, site.repository.models["many"].version == "2" or pytest.fail("not kept")))


def test_a_flat_file_is_put_back_by_a_rollback(run, folder):
    async def story(site):
        before = digest(folder / "flat.onnx")
        write_number(folder / "flat.onnx", 2.0, data=True)
        await settled(site)
        await site.deployments.rollback("flat")
        assert (await says(site, "flat"), digest(folder / "flat.onnx")) == (1.0, before)
        with pytest.raises(InvalidInput, match="no version before 1"):
            await site.deployments.rollback("many")

    run(story)


@pytest.mark.parametrize("wrong", ["damaged", "without spec", "other name"])
def test_what_can_not_be_served_leaves_the_one_before_and_says_why(run, folder, wrong, caplog):
    async def story(site):
        path = folder / "many" / "2" / "model.onnx"
        if wrong == "damaged":
            write_damaged(path)
        elif wrong == "without spec":
            write_number(path, 20.0, spec=False)
        else:
            write_number(folder / "third.onnx", 20.0, name="many")
        await settled(site)
        assert await says(site, "many") == 10.0
        assert len(site.deployments.refused) == 1
        (why,) = site.deployments.refused.values()
        assert str(site.store.folder) not in why
        assert caplog.text.count("can't be served") == 1
        await settled(site)
        assert caplog.text.count("can't be served") == 1, "told once"
        write_number(path, 30.0)
        if wrong == "other name":
            (folder / "third.onnx").unlink()
        await settled(site)
        assert await says(site, "many") == 30.0 and not site.deployments.refused

    run(story)


def test_one_that_dies_when_it_runs_is_never_served(run, folder):
    async def story(site):
        # Its spec promises a label of two classes; what comes out is one number.
        path = write_number(folder / "many" / "2" / "model.onnx", 20.0, spec=False)
        path.with_name("model.toml").write_text(
            'input = { size = [16, 16] }\noutput = { kind = "label", classes = ["a", "b"] }\n'
        )
        await settled(site)
        assert await says(site, "many") == 10.0 and "can't read its outputs" in site.deployments.refused["many"]

    run(story)


def test_a_file_that_comes_is_served_too_and_one_that_goes_is_not(run, folder):
    async def story(site):
        write_number(folder / "third.onnx", 3.0)
        await settled(site)
        assert await says(site, "third") == 3.0 and set(site.repository.specs) == {"flat", "many", "third"}
        assert "third" in site.initial.plan.resident
        (folder / "flat.onnx").unlink()
        await settled(site)
        assert set(site.repository.specs) == set(site.workers) == {"many", "third"}
        assert not site.pool.queue.loaded - {"many", "third"} and await says(site, "many") == 10.0
        shutil.rmtree(folder)
        await settled(site)
        assert await says(site, "many") == 10.0, "a folder that is away says nothing of its models"

    run(story)


def test_under_a_schedule_too_models_come_change_and_go(run, folder):
    async def story(site):
        write_number(folder / "third.onnx", 3.0)
        await settled(site)
        assert set(site.schedule.names) == {"flat", "many", "third"} and await says(site, "third") == 3.0
        await site.deployments.unload("many")
        write_number(folder / "many" / "2" / "model.onnx", 20.0)
        await settled(site)
        assert site.repository.models["many"].version == "2" and "many" not in site.pool.queue.loaded
        await site.deployments.load("many")
        assert await says(site, "many") == 20.0
        (folder / "third.onnx").unlink()
        await settled(site)
        assert set(site.schedule.names) == {"flat", "many"}

    run(story, answers="hold", budget="1GiB")


def test_an_operator_unloads_loads_and_pins(run):
    async def story(site):
        deployments = site.deployments
        await deployments.unload("flat")
        entry = deployments.entry("flat")
        assert (entry.state, entry.parked, entry.pinned) == ("unloaded", True, False)
        assert site.memory.reserved == {"many"}
        await deployments.pin("flat")
        entry = deployments.entry("flat")
        assert (entry.state, entry.parked, entry.pinned) == ("loaded", False, True)
        await deployments.pin("flat", pinned=False)
        assert not deployments.entry("flat").pinned and deployments.entry("flat").state == "loaded"
        for action in (deployments.load, deployments.unload, deployments.pin, deployments.rollback, deployments.remove):
            with pytest.raises(UnknownModel, match="no model is called 'none'"):
                await action("none")

    run(story)


def brought(site, number, **options):
    folder = site.deployments.incoming()
    write_number(folder / "model.onnx", number, **options)
    return folder


def test_what_is_brought_is_served_before_the_folder_has_it(run, folder):
    async def story(site):
        add = site.deployments.add
        assert (await add("many", brought(site, 20.0))).version == "2"
        assert (await add("new", brought(site, 5.0, data=True))).version == "1"
        await add("flat", brought(site, 6.0))
        assert [await says(site, name) for name in ("many", "new", "flat")] == [20.0, 5.0, 6.0]
        assert digest(folder / "flat.onnx") == site.repository.digests["flat"]
        assert sorted(path.name for path in folder.iterdir()) == ["flat.onnx", "many", "new"]
        loads = {name: site.workers[name].stats().loads for name in site.workers}
        await settled(site)
        assert loads == {name: site.workers[name].stats().loads for name in site.workers}
        assert (await site.deployments.rollback("flat")).digest == digest(folder / "flat.onnx")
        assert await says(site, "flat") == 1.0

    run(story)
    run(lambda site: asyncio.sleep(0, set(site.repository.models) == {"flat", "many", "new"} or pytest.fail("lost")))


def test_what_is_brought_and_can_not_be_served_leaves_nothing(run, folder):
    async def story(site):
        for name, make, says_why in (
            ("many", write_damaged, "not an ONNX model"),
            ("Large", lambda path: write_number(path, 1.0), "model name 'Large'"),
            ("../up", lambda path: write_number(path, 1.0), r"model name '\.\./up'"),
            ("many", lambda path: write_number(path, 1.0, spec=False), "has no spec"),
        ):
            place = site.deployments.incoming()
            make(place / "model.onnx")
            with pytest.raises(InvalidInput, match=says_why):
                await site.deployments.add(name, place)
            shutil.rmtree(place)
        with pytest.raises(InvalidInput, match="version 1 is there already"):
            await site.deployments.add("many", brought(site, 2.0), version=1)
        assert await says(site, "many") == 10.0 and set(site.repository.models) == {"flat", "many"}

    run(story)
    left = [path.name for path in folder.iterdir() if path.name.startswith(".incoming")]
    run(lambda site: asyncio.sleep(0))
    assert left and not list(folder.glob(".incoming*")), "cleaned up at the start"


def test_a_model_is_removed_with_its_files_but_not_the_last_one(run, folder):
    async def story(site):
        write_number(folder / "many" / "2" / "model.onnx", 20.0)
        await settled(site)
        await site.deployments.remove("many", version=1)
        assert site.deployments.entry("many").versions == (2,) and await says(site, "many") == 20.0
        await site.deployments.remove("flat")
        assert not (folder / "flat.onnx").exists() and set(site.workers) == {"many"}
        with pytest.raises(InvalidInput, match="is the only model"):
            await site.deployments.remove("many")
        assert (folder / "many").is_dir() and await says(site, "many") == 20.0

    run(story)


def test_where_both_versions_have_no_room_the_old_one_goes_first_and_comes_back_if_need_be(run, folder):
    write_number(folder / "many" / "1" / "model.onnx", 10.0, size_bytes=40 * 2**20)

    async def story(site):
        need = site.memory.need("many")
        site.memory.limit_bytes = site.memory.reserved_bytes + need // 2
        write_number(folder / "many" / "2" / "model.onnx", 20.0, size_bytes=40 * 2**20)
        await settled(site)
        assert await says(site, "many") == 20.0 and not site.memory.stats().violations
        wrong = write_number(folder / "many" / "3" / "model.onnx", 30.0, size_bytes=40 * 2**20, spec=False)
        wrong.with_name("model.toml").write_text(
            'input = { size = [16, 16] }\noutput = { kind = "label", classes = ["a", "b"] }\n'
        )
        await settled(site)
        assert await says(site, "many") == 20.0 and site.deployments.entry("many").state == "loaded"
        assert "many" in site.deployments.refused and not site.memory.stats().violations

    run(story, budget="1GiB")


def test_every_answer_under_way_is_given_while_versions_change(run, folder):
    async def story(site):
        answers, over = [], asyncio.Event()

        async def ask():
            while not over.is_set():
                inferred = await site.pool.queue.run("many", FRAME)
                answers.append(float(inferred.value[0]))

        asking = [asyncio.create_task(ask()) for _ in range(4)]
        for version in range(2, 6):
            write_number(folder / "many" / str(version) / "model.onnx", 10.0 * version)
            await settled(site)
            assert await says(site, "many") == 10.0 * version
        over.set()
        await asyncio.gather(*asking)
        assert set(answers) <= {10.0, 20.0, 30.0, 40.0, 50.0} and answers == sorted(answers)

    run(story)


def test_a_model_that_was_replaced_is_answered_without_the_links_of_the_one_before(
    serve, tiny_models, links, tmp_path, caplog
):
    own = shutil.copytree(tiny_models, tmp_path / "own")

    async def story(site):
        session = site.open_session(edge_pb2.Hello(device="d", session="1", version=__version__))
        assert set(session.serving.graph.models) == {"bright", "corner", "light"}
        spec = site.repository.specs["bright"]
        path = write_number(own / "bright.onnx", 7.0, spec=False)
        write_spec(path, spec.model_copy(update={"input": spec.input.model_copy(update={"size": (16, 16)})}))
        await settled(site)
        assert "another file than the links were learnt with" in caplog.text
        assert set(session.serving.graph.models) == {"corner", "light"}
        answers = session.serving.complete(0.0, {"bright": np.asarray([7.0], np.float32)})
        assert answers["bright"].origin == "executed"
        answers = session.serving.complete(1.0, {})
        assert answers["bright"].origin == "held" and answers["light"].origin in ("constant", "held", "linked")
        with pytest.raises(InvalidInput, match="the links were learnt with it"):
            await site.deployments.remove("light")
        write_number(own / "extra.onnx", 3.0)
        await settled(site)
        assert not site.sessions, "devices connect anew and are told of the model that came"
        session = site.open_session(edge_pb2.Hello(device="d", session="1", version=__version__))
        answers = session.serving.complete(2.0, {})
        assert set(answers) == {"bright", "corner", "extra", "light"}

    serve(story, models=own, links=links, answers="links", watch_models_s=0)


def test_one_that_hangs_is_ended_and_never_served(run, folder):
    async def story(site):
        write_hanging(folder / "many" / "2" / "model.onnx")
        await settled(site)
        assert await says(site, "many") == 10.0 and "no output after" in site.deployments.refused["many"]

    run(story, infer_timeout_s=3.0)


def test_what_is_told_with_an_answer_is_the_digest_of_the_file_that_gave_it(run, folder):
    async def story(site):
        session = site.open_session(edge_pb2.Hello(device="d", session="1", version=__version__))
        served = site.repository.digests
        before = served["flat"]
        ran = (await site.pool.queue.run("flat", FRAME)).digest
        answers = session.complete(0.0, {"flat": np.asarray([1.0], np.float32)}, digests={"flat": ran})
        assert session.digest_of("flat", answers["flat"][0], served) == ran == before
        write_number(folder / "flat.onnx", 2.0)
        await settled(site)
        held = session.complete(1.0, {})["flat"][0]
        assert held.origin == "held" and session.digest_of("flat", held, served) == before != served["flat"]
        ran = (await site.pool.queue.run("flat", FRAME)).digest
        answers = session.complete(2.0, {"flat": np.asarray([2.0], np.float32)}, digests={"flat": ran})
        assert session.digest_of("flat", answers["flat"][0], served) == ran == served["flat"]

    run(story)
