"""The same model behind other Python servers: `other_inference_servers.py KIND MODEL.onnx`, by a Python that has it.

Each runs it with onnxruntime on one thread, two at a time, and prints `ready on HOST:PORT` when it listens. Kinds:
kserve, mlserver, pytriton (the Open Inference Protocol over gRPC, raw tensors), litserve, rayserve (HTTP: the bytes of
the tensor as a body, for litserve as the one file of a form: it takes nothing else but JSON).
"""

import asyncio
import json
import os
import socket
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnxruntime as ort

INSTANCES = 2
NAME = os.environ.get("NAME", "")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def opened(path: str) -> tuple[ort.InferenceSession, ort.NodeArg, list[str]]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session, session.get_inputs()[0], [node.name for node in session.get_outputs()]


def tell(port: int) -> None:
    """Says that it is ready, once somebody listens; out of a thread, as most servers take the main one."""

    def wait() -> None:
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        print(f"ready on 127.0.0.1:{port}", flush=True)

    threading.Thread(target=wait, daemon=True).start()


def kserve(path: str) -> None:
    from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

    pool = ThreadPoolExecutor(INSTANCES)

    class Served(Model):
        def __init__(self) -> None:
            super().__init__(NAME)
            self.session, _, self.gives = opened(path)
            self.ready = True

        def run(self, payload: InferRequest) -> InferResponse:
            values = self.session.run(self.gives, {each.name: each.as_numpy() for each in payload.inputs})
            outputs = []
            for name, value in zip(self.gives, values, strict=True):
                outputs.append(InferOutput(name, list(value.shape), "FP32"))
                outputs[-1].set_data_from_numpy(value, binary_data=True)
            return InferResponse(response_id=payload.id, model_name=NAME, infer_outputs=outputs)

        async def predict(self, payload: InferRequest, *_: object, **__: object) -> InferResponse:
            return await asyncio.get_running_loop().run_in_executor(pool, self.run, payload)

    port = free_port()
    tell(port)
    ModelServer(grpc_port=port, http_port=free_port(), workers=1, enable_latency_logging=False).start([Served()])


def mlserver(path: str) -> None:
    os.environ["MODEL"] = path
    with tempfile.TemporaryDirectory() as place:
        folder, port = Path(place), free_port()
        settings = {"grpc_port": port, "http_port": free_port(), "metrics_port": free_port(), "debug": False}
        settings |= {"parallel_workers": INSTANCES, "grpc_max_message_length": 2**26, "host": "127.0.0.1"}
        (folder / "settings.json").write_text(json.dumps(settings))
        model = {"name": NAME, "implementation": "mlserver_runtime.Served"}
        (folder / "model-settings.json").write_text(json.dumps(model))
        (folder / "mlserver_runtime.py").write_text(MLSERVER)
        tell(port)
        os.environ["PYTHONPATH"] = f"{folder}:{os.environ.get('PYTHONPATH', '')}"
        # Its own command is what a user starts.
        os.execv(sys.executable, [sys.executable, "-c", MLSERVER_MAIN, str(folder), str(port)])


MLSERVER = """
import os
import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse

class Served(MLModel):
    async def load(self):
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        self.gives = [node.name for node in self.session.get_outputs()]
        return True

    async def predict(self, payload):
        tensors = {each.name: NumpyCodec.decode_input(each) for each in payload.inputs}
        values = self.session.run(self.gives, tensors)
        outputs = [NumpyCodec.encode_output(name, value) for name, value in zip(self.gives, values)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
"""
MLSERVER_MAIN = """
import socket, sys, threading, time
folder, port = sys.argv[1], int(sys.argv[2])
def wait():
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.1)
    time.sleep(3)
    print(f"ready on 127.0.0.1:{port}", flush=True)
if __name__ == "__main__":
    threading.Thread(target=wait, daemon=True).start()
    sys.argv = ["mlserver", "start", folder]
    from mlserver.cli import main
    main()
"""


def pytriton(path: str) -> None:
    from pytriton.model_config import ModelConfig, Tensor
    from pytriton.triton import Triton, TritonConfig

    class Served:
        def __init__(self) -> None:
            self.session, self.node, self.gives = opened(path)

        def infer(self, requests: list) -> list[dict[str, np.ndarray]]:
            return [
                dict(
                    zip(
                        self.gives, self.session.run(self.gives, {self.node.name: request[self.node.name]}), strict=True
                    )
                )
                for request in requests
            ]

    served, port = [Served() for _ in range(INSTANCES)], free_port()
    config = TritonConfig(http_port=free_port(), grpc_port=port, metrics_port=free_port(), log_verbose=0)
    with Triton(config=config) as triton:
        node = served[0].node
        triton.bind(
            model_name=NAME,
            infer_func=[each.infer for each in served],
            inputs=[Tensor(name=node.name, dtype=np.float32, shape=tuple(node.shape))],
            outputs=[
                Tensor(name=each.name, dtype=np.float32, shape=tuple(each.shape))
                for each in served[0].session.get_outputs()
            ],
            config=ModelConfig(batching=False),
        )
        tell(port)
        triton.serve()


if "litserve" in sys.argv:
    # Its workers import this file anew, so that it stands here.
    import litserve as lit
    from fastapi import Request, Response

    class LitServed(lit.LitAPI):
        def setup(self, device: str) -> None:
            self.session, self.node, self.gives = opened(sys.argv[2])

        def decode_request(self, request: Request) -> np.ndarray:
            return np.frombuffer(request["tensor"].file.read(), np.float32).reshape(self.node.shape)

        def predict(self, tensor: np.ndarray) -> list[np.ndarray]:
            return self.session.run(self.gives, {self.node.name: tensor})

        def encode_response(self, values: list[np.ndarray]) -> Response:
            return Response(b"".join(value.tobytes() for value in values))


def litserve(_: str) -> None:
    port = free_port()
    tell(port)
    server = lit.LitServer(LitServed(), accelerator="cpu", workers_per_device=INSTANCES)
    server.run(host="127.0.0.1", port=port, num_api_servers=1, log_level="error", generate_client_file=False)


def rayserve(path: str) -> None:
    import ray
    from ray import serve
    from starlette.requests import Request
    from starlette.responses import Response

    @serve.deployment(num_replicas=INSTANCES, max_ongoing_requests=16, ray_actor_options={"num_cpus": 0.1})
    class Served:
        def __init__(self) -> None:
            self.session, self.node, self.gives = opened(path)

        async def __call__(self, request: Request) -> Response:
            tensor = np.frombuffer(await request.body(), np.float32).reshape(self.node.shape)
            values = self.session.run(self.gives, {self.node.name: tensor})
            return Response(b"".join(value.tobytes() for value in values))

    port = free_port()
    ray.init(num_cpus=INSTANCES, include_dashboard=False, log_to_driver=False, object_store_memory=2**28)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Served.bind(), name="bench", route_prefix="/inference")
    print(f"ready on 127.0.0.1:{port}", flush=True)
    while True:
        time.sleep(1)


if __name__ == "__main__":
    {each.__name__: each for each in (kserve, mlserver, pytriton, litserve, rayserve)}[sys.argv[1]](sys.argv[2])
