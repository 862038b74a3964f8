"""Real coordinators over tiny models, and links that were made, not trained."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from infilink.cloud.config import CloudConfig
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.services.inference import InferenceService
from infilink.links.index import Index
from infilink.links.table import NEVER, Measured, Table
from infilink.links.trust.calibration import Calibration
from infilink.models.cost import ModelCost
from infilink.models.encoding.encoding import Encoding
from infilink.models.spec import digest, find_models, read_spec
from infilink.protos import open_inference_pb2_grpc as pb_grpc
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

Story = Callable[[Coordinator, pb_grpc.GRPCInferenceServiceStub], Awaitable[None]]

MEMORY_BYTES = {"bright": 30 * 2**20, "corner": 60 * 2**20, "light": 40 * 2**20}


@pytest.fixture(scope="session")
def model(tiny_models: Path) -> Path:
    """Says how bright a frame is."""
    return tiny_models / "bright.onnx"


@pytest.fixture(scope="session")
def links(tiny_models: Path, tmp_path_factory) -> Path:
    """A folder of links for the tiny models, with costs and measurements but no link: outputs are held."""
    folder = tmp_path_factory.mktemp("links")
    paths = find_models(tiny_models)
    specs = {name: read_spec(path) for name, path in paths.items()}
    boxes = np.asarray([[0.1, 0.1, 0.5, 0.5, 0.9, 0.0]], np.float32)
    outputs = {
        "bright": [np.asarray([level], np.float32) for level in (0, 255)],
        "light": [np.asarray([share, 1 - share], np.float32) for share in (0.9, 0.1)],
        "corner": [boxes, boxes[:0]],
    }
    held = Measured(0.9, 0.9, 0.0, Calibration.of(np.zeros(100)))
    Index(
        models=specs,
        costs={name: ModelCost(MEMORY_BYTES[name], 0.01, 0.1) for name in paths},
        digests={name: digest(path) for name, path in paths.items()},
        encodings={name: Encoding.fit(spec.output, outputs[name]) for name, spec in specs.items()},
        tables=dict.fromkeys(paths, Table(Measured(0.3, 0.3, None, Calibration.of(np.ones(3))), (held,) * NEVER)),
        constants={name: outputs[name][0] for name in paths},
        links=(),
        notes={"calibrated_s": 1000.0},
    ).write(folder)
    return folder


@pytest.fixture
def run_async() -> Callable[..., Any]:
    """Runs a story to its end, in an event loop of its own."""
    return asyncio.run


@pytest.fixture
def serve(
    tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_async: Callable
) -> Callable[..., Any]:
    """Runs a story with a coordinator that has started; all coordinators of a test share their ledger."""
    # Where the ledger is no file, the models' copies are kept where the coordinator was started.
    monkeypatch.chdir(tmp_path)

    def run(story: Callable[[Coordinator], Awaitable[Any]], **settings: Any) -> Any:
        config = CloudConfig(**{"models": tiny_models, "ledger": tmp_path / "ledger.sqlite", **settings})

        async def whole() -> Any:
            coordinator = Coordinator(config)
            try:
                await coordinator.start()
                return await story(coordinator)
            finally:
                await coordinator.close()

        return run_async(whole())

    return run


@pytest.fixture
def call(serve: Callable) -> Callable:
    """Runs a story with a coordinator behind a real server, and a client's stub."""

    def run(story: Story, **settings) -> None:
        async def whole(coordinator: Coordinator) -> None:
            server = grpc.aio.server()
            InferenceService(coordinator).add_to(server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            try:
                async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                    await story(coordinator, pb_grpc.GRPCInferenceServiceStub(channel))
            finally:
                await server.stop(None)

        serve(whole, **settings)

    return run


POSTGRES = os.environ.get("INFILINK_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/test")
"""A database in which tests may make schemas of their own."""


@pytest.fixture(scope="session")
def postgres() -> Engine:
    """A PostgreSQL server that runs here."""
    try:
        engine = create_engine(POSTGRES, connect_args={"connect_timeout": 3})
        engine.connect().close()
    except (ModuleNotFoundError, SQLAlchemyError) as error:
        pytest.skip(f"no PostgreSQL answers ({POSTGRES}; INFILINK_POSTGRES names another): {error}")
    return engine


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    """Where a ledger may be made: a file, or a schema of the test's own in PostgreSQL."""
    if request.param == "sqlite":
        yield tmp_path / "ledger.sqlite"
        return
    engine = request.getfixturevalue("postgres")
    schema = f"infilink_{sha256(str(tmp_path).encode()).hexdigest()[:12]}"
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    yield engine.url.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()
