"""Makes the Python code of the wire from `edge.proto`: `python -m infilink.protos.generate` after a change of it."""

import re
import sys
from importlib.metadata import version
from pathlib import Path

# Code from 1.74 runs on protobuf 6.31 to 7; code from newer generators refuses the older ones.
_GENERATOR = "1.74."
_FOLDER = Path(__file__).parent


def generate(out: Path) -> list[Path]:
    """Writes the generated code (messages, their types, the service) into `out`."""
    from grpc_tools import protoc

    if not version("grpcio-tools").startswith(_GENERATOR):
        raise SystemExit(f"needs grpcio-tools {_GENERATOR}*, not {version('grpcio-tools')}")
    outs = [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
    if protoc.main(["protoc", f"-I{_FOLDER}", *outs, str(_FOLDER / "edge.proto")]):
        raise SystemExit("protoc failed")
    service = out / "edge_pb2_grpc.py"
    code = service.read_text(encoding="utf-8")
    service.write_text(re.sub(r"^import edge_pb2", "from . import edge_pb2", code, flags=re.M), encoding="utf-8")
    return [out / name for name in ("edge_pb2.py", "edge_pb2.pyi", "edge_pb2_grpc.py")]


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else _FOLDER)
