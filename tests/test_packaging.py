"""What is installed is what was meant: wheel and sdist, in an environment of their own, used from another folder."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(distributions: tuple[Path, Path]) -> None:
    names = zipfile.ZipFile(distributions[0]).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"infilink"}
    for wanted in ("cli.py", "py.typed", "protos/edge_pb2.py", "examples/demo/report.html.j2"):
        assert f"infilink/{wanted}" in names
    for wanted in (
        "ort/LICENSE",
        "ort/ort-wasm-simd-threaded.wasm.gz",
        "phone/page.js",
        "uplot/LICENSE",
        "dashboard.css",
    ):
        assert f"infilink/cloud/dashboard/static/{wanted}" in names
    assert sum(name.startswith("infilink/examples/street/models/") for name in names) == 7
    assert not [name for name in names if "/tests/" in name]


def test_the_wheel_holds_every_module_there_is(distributions: tuple[Path, Path]) -> None:
    tops = {"cloud", "device", "examples", "filters", "links", "models", "protos", "traces"}
    modules = {path.relative_to(ROOT).as_posix() for top in tops for path in (ROOT / top).rglob("*.py")}
    modules |= {path.name for path in ROOT.glob("*.py")}
    packed = {name.removeprefix("infilink/") for name in zipfile.ZipFile(distributions[0]).namelist()}
    assert not modules - packed, "name their package in pyproject.toml"


def test_the_sdist_builds_the_same(distributions: tuple[Path, Path]) -> None:
    with tarfile.open(distributions[1]) as archive:
        names = archive.getnames()
    assert any(name.endswith("/LICENSE") for name in names)
    assert any(name.endswith("/examples/street/models/vehicles.onnx") for name in names)


def test_the_wheel_in_an_empty_environment_needs_no_torch(distributions: tuple[Path, Path], tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    # With this environment's pip, and without byte code of all that is never imported: both take longer than the rest.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True, timeout=60)
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-compile"]
    install += ["-c", str(ROOT / "constraints.txt"), str(distributions[0])]
    done = subprocess.run(install, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0 and "onnection" in done.stderr:
        pytest.skip("no package index can be reached from here")
    assert done.returncode == 0, done.stderr

    def run(*arguments: str) -> str:
        command = [str(tmp_path / "venv" / "bin" / "infilink"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "record" in run("--help")
    run("init", "device", "--out", str(tmp_path / "device.toml"))
    check = "import importlib.util as u; print([n for n in ('torch', 'sklearn', 'scipy') if u.find_spec(n)])"
    done = subprocess.run([str(python), "-c", check], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.strip() == "[]"
