"""What Triton's own HTTP client does with a coordinator: `triton_http.py ADDRESS TOKEN`, by a Python that has it."""

import sys

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException


def main(address: str, token: str) -> None:
    headers = {"authorization": f"Bearer {token}"}
    client = triton.InferenceServerClient(address)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("bright", headers=headers)
    assert client.get_model_metadata("bright", headers=headers)["inputs"][0]["shape"] == [1, 3, 32, 32]
    assert client.get_model_config("bright", headers=headers)["input"][0]["data_type"] == "TYPE_FP32"
    assert len(client.get_model_repository_index(headers=headers)) == 3
    value = np.full((1, 3, 32, 32), 40, np.float32)
    for binary in (True, False):
        given = triton.InferInput("image", list(value.shape), "FP32")
        given.set_data_from_numpy(value, binary_data=binary)
        wanted = [triton.InferRequestedOutput("scaled", binary_data=binary)]
        result = client.infer(
            "double", [given], outputs=wanted, request_id="7", headers=dict(headers), priority=2, timeout=600_000_000
        )
        assert result.as_numpy("scaled").tolist() == [80.0] and result.get_response()["id"] == "7"
    told = ""
    try:
        client.infer("nobody", [given], headers=dict(headers))
    except InferenceServerException as error:
        told = error.message()
    assert "'nobody'" in told
    client.unload_model("third", headers=headers)
    assert not client.is_model_ready("third", headers=headers)
    client.load_model("third", headers=headers)
    assert client.get_inference_statistics("double", headers=headers)["model_stats"][0]["inference_count"] == 2
    client.close()
    print("answered")


if __name__ == "__main__":
    main(*sys.argv[1:])
