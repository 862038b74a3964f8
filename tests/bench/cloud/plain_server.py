"""What one writes in an hour: grpc.aio in front of a pool of threads that decode, preprocess, infer and decode.

`plain_server.py MODEL.onnx THREADS` prints its port. It has no ledger, no order, no limits and no second model.
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import grpc
from infilink.codec import decode_jpeg
from infilink.models.onnx_model import OnnxModel

METHOD = "/bench.Plain/Infer"


async def main(path: str, threads: int) -> None:
    cv2.setNumThreads(1)
    model, pool = OnnxModel(path, threads=1), ThreadPoolExecutor(threads)

    def answer(jpeg: bytes) -> bytes:
        return model.infer(decode_jpeg(jpeg)).tobytes()

    async def infer(request: bytes, _: Any) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(pool, answer, request)

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(infer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Plain", {"Infer": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"ready on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
