"""What operators ask, over real gRPC: sizes are known before anything is taken, reasons name no folders."""

from pathlib import Path, PurePosixPath

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.services.models import ModelsService, _places
from infilink.errors import InvalidInput
from infilink.protos import models_pb2, models_pb2_grpc

from ..made import write_damaged, write_number


@pytest.fixture
def ask(serve, tmp_path):
    """Runs a story with an operator's stub, and the coordinator."""
    folder = tmp_path / "models"
    write_number(folder / "one" / "1" / "model.onnx", 1.0)

    def run(story, **settings):
        async def whole(site):
            server = grpc.aio.server()
            models_pb2_grpc.add_ModelsServicer_to_server(ModelsService(site), server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            try:
                async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                    await story(models_pb2_grpc.ModelsStub(channel), site)
            finally:
                await server.stop(0)

        serve(whole, models=folder, watch_models_s=0, **settings)

    return run


def pieces(content, *, name="one", files=None, spec="", size=2**16):
    given = [models_pb2.ModelFile(size_bytes=len(content))] if files is None else files
    yield models_pb2.ModelPiece(new=models_pb2.NewModel(name=name, spec=spec, files=given))
    for at in range(0, len(content), size):
        yield models_pb2.ModelPiece(content=content[at : at + size])


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), raised.value.details()


def test_a_model_comes_in_pieces_with_its_data_and_is_changed_by_name(ask, tmp_path):
    content = write_number(tmp_path / "new" / "model.onnx", 7.0, data=True, size_bytes=2**20).read_bytes()
    data = (tmp_path / "new" / "model.onnx.data").read_bytes()
    files = [models_pb2.ModelFile(size_bytes=len(content))]
    files.append(models_pb2.ModelFile(path="model.onnx.data", size_bytes=len(data)))

    async def story(stub, site):
        added = await stub.Add(pieces(content + data, files=files))
        assert (added.version, added.state, added.before, list(added.versions)) == ("2", "loaded", "1", [1, 2])
        assert not list(site.repository.folder.glob(".incoming*"))
        for action, state in (("UNLOAD", "unloaded"), ("LOAD", "loaded"), ("PIN", "loaded"), ("ROLLBACK", "loaded")):
            request = models_pb2.ChangeModel(name="one", action=f"MODEL_ACTION_{action}")
            assert (await stub.Change(request)).state == state
        (listed,) = (await stub.List(models_pb2.ListModels())).models
        assert (listed.version, listed.pinned, listed.place) == ("1", True, "host") and listed.size_bytes

    ask(story)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda good: pieces(good[:-5], files=[models_pb2.ModelFile(size_bytes=len(good))]), "less came than"),
        (lambda good: pieces(good + b"more", files=[models_pb2.ModelFile(size_bytes=len(good))]), "more came than"),
        (lambda good: pieces(good, files=[models_pb2.ModelFile(size_bytes=2**40)]), "2.0 MiB are taken"),
        (lambda good: pieces(good, files=[]), "must name 1 to 1000 files"),
        (lambda good: pieces(good, name="../one"), "model name"),
        (lambda good: pieces(good, spec="name = 3 4"), "can't be read as TOML"),
        (lambda good: iter([models_pb2.ModelPiece(content=good)]), "must be `new`"),
        (lambda good: iter([]), "must be `new`"),
    ],
)
def test_what_is_not_as_it_was_said_is_refused_and_leaves_nothing(ask, tmp_path, call, says):
    good = write_number(tmp_path / "new.onnx", 7.0, name="one").read_bytes()

    async def story(stub, site):
        code, details = await refused(stub.Add(call(good)))
        assert code == grpc.StatusCode.INVALID_ARGUMENT and says in details and str(tmp_path) not in details
        assert [path.name for path in site.repository.folder.iterdir()] == ["one"]
        assert site.repository.models["one"].version == "1"

    ask(story, max_model_bytes=2**21)


def test_what_is_unknown_or_can_not_be_done_has_its_status(ask):
    async def story(stub, site):
        change = models_pb2.ChangeModel
        assert (await refused(stub.Change(change(name="none", action=1))))[0] == grpc.StatusCode.NOT_FOUND
        for request in (change(name="one"), change(name="one", action=99), change(name="one", action=6)):
            assert (await refused(stub.Change(request)))[0] == grpc.StatusCode.INVALID_ARGUMENT
        write_damaged(site.repository.folder / "bad.onnx")
        for _ in range(2):
            await site.deployments.look()
        reply = await stub.List(models_pb2.ListModels())
        assert "not an ONNX model" in reply.refused["bad.onnx"] and "/" not in reply.refused["bad.onnx"].split("(")[0]

    ask(story)


@given(
    st.lists(st.text(max_size=30) | st.sampled_from(["../x", "/etc/x", "a/../../b", "model.onnx", "model.toml", "a/b"]))
)
def test_no_name_of_a_file_leads_out_of_its_folder(names):
    new = models_pb2.NewModel(name="one", files=[models_pb2.ModelFile(path=name) for name in ["", *names]])
    folder = Path("/served/.incoming")
    try:
        places = _places(new, folder)
    except InvalidInput:
        return
    assert len(set(places)) == len(places) == len(names) + 1
    assert all(folder in place.parents and ".." not in PurePosixPath(place).parts for place in places)
