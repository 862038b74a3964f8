"""Where the files of others in cloud/dashboard/static come from, and how they get there: packages as npm has them.

`npm pack onnxruntime-web@1.30.0`, then `python tests/web_packages.py onnxruntime-web-1.30.0.tgz`; uplot likewise. The
licence of onnxruntime-web is that of its repository, as onnxruntime's wheel holds it; the package has none.
"""

import gzip
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

STATIC = Path(__file__).parent.parent / "cloud" / "dashboard" / "static"


@dataclass(frozen=True)
class Package:
    """One package.

    Attributes:
        name: as npm has it, with the version.
        sha256: the archive's.
        folder: where the files are, in `static`.
        files: what a browser needs of it, with the digests of the files as they are in the package.
        licence_sha256: of LICENSE beside them.
    """

    name: str
    sha256: str
    folder: str
    files: Mapping[str, str]
    licence_sha256: str

    @property
    def licence(self) -> bytes:
        """Under which it is."""
        return (STATIC / self.folder / "LICENSE").read_bytes()

    def stored(self, name: str) -> bytes:
        """A file as it is in the package; WebAssembly lies here compressed."""
        path = STATIC / self.folder / name
        return path.read_bytes() if path.exists() else gzip.decompress(path.with_name(f"{name}.gz").read_bytes())

    def take(self, package: Path) -> None:
        """Takes the files out of the package."""
        with tarfile.open(package) as archive:
            for name, digest in self.files.items():
                member = archive.extractfile(f"package/dist/{name}")
                data = b"" if member is None else member.read()
                if sha256(data).hexdigest() != digest:
                    raise SystemExit(f"{name} is another than expected")
                if name.endswith(".wasm"):
                    (STATIC / self.folder / f"{name}.gz").write_bytes(gzip.compress(data, 9, mtime=0))
                else:
                    (STATIC / self.folder / name).write_bytes(data)


ORT = Package(
    name="onnxruntime-web 1.30.0",
    sha256="d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
    folder="ort",
    files={
        "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
        "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
        "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    },
    licence_sha256="2f07c72751aed99790b8a4869cf2311df85a860b22ded05fa22803587a48922c",
)
UPLOT = Package(
    name="uplot 1.6.32",
    sha256="4b8a8191e425658e3ea8c8c1314b0fc679c861ee3a1af2b20c7b16ba50b5133d",
    folder="uplot",
    files={
        "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
        "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    },
    licence_sha256="8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
)
PACKAGES = (ORT, UPLOT)


def main() -> None:
    """Takes the files out of the package that is named."""
    path = Path(sys.argv[1])
    found = sha256(path.read_bytes()).hexdigest()
    package = next((each for each in PACKAGES if each.sha256 == found), None)
    if package is None:
        raise SystemExit(f"{path} is none of {', '.join(each.name for each in PACKAGES)}")
    package.take(path)


if __name__ == "__main__":
    main()
