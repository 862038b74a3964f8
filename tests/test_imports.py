"""Who may import whom: the arrows of the architecture, read from the imports themselves."""

import ast
import importlib.util
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import infilink
import pytest

ROOT = Path(infilink.__file__).resolve().parent
PARTS = ("cloud", "device", "examples", "filters", "links", "models", "protos", "traces")
ALLOWED = {
    "protos": set(),
    "models": {"protos"},
    "traces": {"models"},
    "filters": {"models", "traces"},
    "links": {"models", "traces"},
    "device": {"filters", "models", "protos", "traces"},
    "cloud": {"filters", "links", "models", "protos", "traces"},
}


def imported_parts(path: Path) -> set[str]:
    """The parts of infilink that a module imports, relatively or not."""
    package = ("infilink", *path.relative_to(ROOT).parent.parts)
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            names += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    parts = (name.split(".") for name in names)
    return {part[1] for part in parts if part[0] == "infilink" and len(part) > 1 and part[1] in PARTS}


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_a_part_imports_only_what_it_may(part):
    for path in sorted((ROOT / part).rglob("*.py")):
        wrong = imported_parts(path) - ALLOWED[part] - {part}
        assert not wrong, f"{path.relative_to(ROOT)} imports {', '.join(sorted(wrong))}"


def test_the_reader_of_imports_sees_a_forbidden_one(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "device").mkdir()
    module = tmp_path / "device" / "x.py"
    module.write_text("from ..cloud.ledger import Ledger\nimport infilink.links.graph\nfrom .. import filters\n")
    assert imported_parts(module) == {"cloud", "links", "filters"}


def test_the_agent_loads_nothing_heavy():
    heavy = (
        "torch",
        "sklearn",
        "scipy",
        "onnx",
        "prometheus_client",
        "opentelemetry",
        "infilink.cloud",
        "infilink.links",
    )
    code = f"import sys, infilink.device.agent, infilink.device.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def named_in(text: str) -> set[tuple[str, str]]:
    """The modules of infilink that a text names, each with a name in it: from imports, or written with dots."""
    imports = re.findall(r"from (infilink[\w.]*) import \(?([\w, ]+)", text)
    found = {(module, name) for module, names in imports for name in re.split(r",\s*", names.strip(" ,"))}
    # `infilink.v1` is the wire's own name of its package.
    return found | set(re.findall(r"(infilink(?!\.v1\b)(?:\.\w+)+)\.(\w+)", re.sub(r"from infilink.*", "", text)))


GUIDES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md"))]


@pytest.mark.parametrize("guide", GUIDES)
def test_what_a_guide_names_is_there(guide):
    for module, name in sorted(named_in((ROOT / guide).read_text(encoding="utf-8"))):
        found = importlib.import_module(module)
        assert hasattr(found, name) or importlib.util.find_spec(f"{module}.{name}"), f"{guide}: {module}.{name}"


@pytest.mark.parametrize("guide", GUIDES)
def test_the_files_that_a_guide_names_are_there(guide):
    named = re.findall(r"`([a-z_0-9/]+\.py)`", (ROOT / guide).read_text(encoding="utf-8"))
    files = [path.as_posix() for path in modules(*PARTS, "tests")]
    assert not {name for name in named if not any(file.endswith(f"/{name}") for file in files)}


def needed_modules(path: Path) -> set[Path]:
    """The files of infilink that a module needs to be imported: not what its functions import later, or types."""
    package = path.parent
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = package.joinpath(*[".."] * (node.level - 1), *(node.module or "").split(".")).resolve()
        for name in ("", *(alias.name for alias in node.names)):
            file = (base / name if name else base).with_suffix(".py")
            found |= {file} if file.is_file() else set()
    return found


def modules(*folders: str) -> list[Path]:
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path.resolve() for path in (*files, *ROOT.glob("*.py")))


def test_no_imports_run_in_a_circle():
    graph = {path: needed_modules(path) for path in modules(*PARTS)}
    assert sum(map(len, graph.values())) > len(graph)  # it sees them
    list(TopologicalSorter(graph).static_order())


def test_the_root_holds_nine_modules_that_import_each_other_only():
    root = [path for path in modules() if path.name != "cli.py"]
    assert len(root) == 9, [path.name for path in root]
    for path in root:
        assert not imported_parts(path), f"{path.name} imports {', '.join(sorted(imported_parts(path)))}"
