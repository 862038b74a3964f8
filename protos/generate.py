"""Makes the Python code of the wire from the .proto files: `python -m infilink.protos.generate` after a change."""

import re
import sys
from importlib.metadata import version
from pathlib import Path

# Code from 1.74 runs on protobuf 6.31 to 7; code from newer generators refuses the older ones.
_GENERATOR = "1.74."
_FOLDER = Path(__file__).parent
_FILES = ("edge", "federation", "fleet", "models", "open_inference")


def generate(out: Path) -> list[Path]:
    """Writes the generated code (messages, their types, the services) into `out`."""
    from grpc_tools import protoc

    if not version("grpcio-tools").startswith(_GENERATOR):
        raise SystemExit(f"needs grpcio-tools {_GENERATOR}*, not {version('grpcio-tools')}")
    outs = [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
    if protoc.main(["protoc", f"-I{_FOLDER}", *outs, *(str(_FOLDER / f"{name}.proto") for name in _FILES)]):
        raise SystemExit("protoc failed")
    for name in _FILES:
        service = out / f"{name}_pb2_grpc.py"
        code = service.read_text(encoding="utf-8")
        code = re.sub(rf"^import {name}_pb2", f"from . import {name}_pb2", code, flags=re.M)
        service.write_text(code, encoding="utf-8")
    return [out / f"{name}_{kind}" for name in _FILES for kind in ("pb2.py", "pb2.pyi", "pb2_grpc.py")]


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else _FOLDER)
