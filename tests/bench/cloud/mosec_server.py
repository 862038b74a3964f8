"""The same model behind mosec: `MODEL=... python mosec_server.py --port PORT` with mosec's own environment.

`PYTHONPATH` has to lead to infilink, whose preprocessing and decoding it uses as the other servers do.
"""

import os

import cv2
from infilink.codec import decode_jpeg
from infilink.models.onnx_model import OnnxModel
from mosec import Server, Worker


class Model(Worker):
    """One of its processes."""

    def __init__(self) -> None:
        super().__init__()
        cv2.setNumThreads(1)
        self.model = OnnxModel(os.environ["MODEL"], threads=1)

    def deserialize(self, data: bytes) -> bytes:
        return data

    def serialize(self, data: bytes) -> bytes:
        return data

    def forward(self, data: bytes) -> bytes:
        return self.model.infer(decode_jpeg(data)).tobytes()


if __name__ == "__main__":
    server = Server()
    server.append_worker(Model, num=int(os.environ.get("WORKERS", "2")))
    server.run()
