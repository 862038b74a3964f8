"""What one writes in an hour: the Open Inference Protocol by grpc.aio in front of a pool of threads with onnxruntime.

`plain_inference_server.py MODEL.onnx THREADS` prints its port. It knows one model, no deadline, no limit, no link.
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime as ort
from infilink.protos import open_inference_pb2 as pb
from infilink.protos import open_inference_pb2_grpc as pb_grpc

NUMBERS = {"FP32": np.float32}


class Plain(pb_grpc.GRPCInferenceServiceServicer):
    def __init__(self, path: Path, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.name = path.stem
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.outputs = [node.name for node in self.session.get_outputs()]
        self.pool = ThreadPoolExecutor(threads)

    async def ModelInfer(self, request: pb.ModelInferRequest, _: Any) -> pb.ModelInferResponse:  # noqa: N802
        return await asyncio.get_running_loop().run_in_executor(self.pool, self.answer, request)

    def answer(self, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        tensors = {
            each.name: np.frombuffer(raw, NUMBERS[each.datatype]).reshape(each.shape)
            for each, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        response = pb.ModelInferResponse(model_name=self.name, id=request.id)
        for name, value in zip(self.outputs, self.session.run(self.outputs, tensors), strict=True):
            response.outputs.add(name=name, datatype="FP32", shape=value.shape)
            response.raw_output_contents.append(value.tobytes())
        return response


async def main(path: Path, threads: int) -> None:
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    pb_grpc.add_GRPCInferenceServiceServicer_to_server(Plain(path, threads), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"ready on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
