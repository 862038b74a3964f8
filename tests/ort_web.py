"""Where the files in cloud/dashboard/static/ort come from, and how they get there: onnxruntime-web, as npm has it.

`npm pack onnxruntime-web@1.30.0`, then `python tests/ort_web.py onnxruntime-web-1.30.0.tgz`. LICENSE is that of its
repository (MIT), as onnxruntime's wheel holds it; the package has none.
"""

import gzip
import sys
import tarfile
from hashlib import sha256
from pathlib import Path

VERSION = "1.30.0"
PACKAGE_SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
FILES = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""What a browser needs for WebAssembly, with the digests of the files as they are in the package."""
LICENCE_SHA256 = "2f07c72751aed99790b8a4869cf2311df85a860b22ded05fa22803587a48922c"
FOLDER = Path(__file__).parent.parent / "cloud" / "dashboard" / "static" / "ort"


def stored(name: str) -> bytes:
    """A file as it is in the package; the largest lies here compressed."""
    path = FOLDER / name
    return path.read_bytes() if path.exists() else gzip.decompress((FOLDER / f"{name}.gz").read_bytes())


def take(package: Path) -> None:
    """Takes the files out of the package."""
    if sha256(package.read_bytes()).hexdigest() != PACKAGE_SHA256:
        raise SystemExit(f"{package} is not onnxruntime-web {VERSION}")
    with tarfile.open(package) as archive:
        for name, digest in FILES.items():
            member = archive.extractfile(f"package/dist/{name}")
            data = b"" if member is None else member.read()
            if sha256(data).hexdigest() != digest:
                raise SystemExit(f"{name} is another than expected")
            if name.endswith(".wasm"):
                (FOLDER / f"{name}.gz").write_bytes(gzip.compress(data, 9, mtime=0))
            else:
                (FOLDER / name).write_bytes(data)


if __name__ == "__main__":
    take(Path(sys.argv[1]))
