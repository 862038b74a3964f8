"""docs/DOMAINS.md, its commands as they stand there: labels adapted to, sites that learn together, both served."""

import json
import re
import shlex
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from infilink import links
from infilink.device.record import record
from infilink.device.results_read import Results
from infilink.links.graph import LinkGraph
from infilink.models.spec import find_models
from onnx import TensorProto, helper

from .conftest import TIMEOUT_S, Program, grey, infilink, write_video

DOC = (Path(links.__file__).parent.parent / "docs" / "DOMAINS.md").read_text(encoding="utf-8")
ANYWHERE = ["--listen", "127.0.0.1:0", "--ledger", "ledger.sqlite", "--config", "patient.toml"]
PATIENT = f"answer_within_s = {TIMEOUT_S}\n"
"""On a busy machine no turn comes too late."""


def documented(*words: str, nth: int = 0) -> list[str]:
    """The first, or a later, command of the document that begins with these words, as a list."""
    lines = "".join(re.findall(r"```sh\n(.*?)```", DOC, re.DOTALL)).replace("\\\n", "").splitlines()
    commands = [shlex.split(line)[1:] for line in lines]
    return [command for command in commands if command[: len(words)] == list(words)][nth]


def changed(command: list[str], **values: str) -> list[str]:
    """The same with other words: `--option` by its name, any other word by itself."""
    words = list(command)
    for name, value in values.items():
        option = f"--{name}"
        at = words.index(option) + 1 if option in words else words.index(name)
        words[at] = value
    return words


def on_this_machine(command: list[str]) -> list[str]:
    """The same without what it takes to reach other machines."""
    words = list(command)
    for option in ("--tls-cert", "--tls-key", "--tls-ca", "--token"):
        if option in words:
            at = words.index(option)
            del words[at : at + 2]
    return words


def run(command: list[str], folder: Path) -> dict:
    """Runs a command to its end, in a folder, and gives what it printed as JSON."""
    done = infilink(*command, "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def start(tmp_path):
    """Starts a daemon that says where it is ready; all are gone at the end."""
    started = []

    def begin(command: list[str], folder: Path) -> tuple[Program, str]:
        (folder / "patient.toml").write_text(PATIENT)
        program = Program(tmp_path / f"log{len(started)}", *command, folder=folder)
        started.append(program)
        return program, program.ready()

    yield begin
    for program in started:
        program.close()


def write_onnx(path: Path, nodes, size: int, weights, output: str) -> None:
    """A model on how bright a frame is, from 0 to 1, which its nodes read as `bright` (1, 1)."""
    mean = helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0)
    graph = helper.make_graph(
        [mean, helper.make_node("Reshape", ["mean", "shape"], ["bright"]), *nodes],
        path.stem,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("said", TensorProto.FLOAT, [1, size])],
        [
            helper.make_tensor("shape", TensorProto.INT64, [2], [1, 1]),
            *(helper.make_tensor(name, TensorProto.FLOAT, [1, len(row)], row) for name, row in weights.items()),
        ],
    )
    path.parent.mkdir(exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    path.with_suffix(".toml").write_text(f"[input]\nsize = [32, 32]\n[output]\n{output}\n")


def write_count(path: Path, factor: float, offset: float) -> None:
    """A model that counts `factor` things in the brightest frame, and `offset` in any."""
    nodes = [
        helper.make_node("Mul", ["bright", "factor"], ["more"]),
        helper.make_node("Add", ["more", "offset"], ["said"]),
    ]
    write_onnx(path, nodes, 1, {"factor": [factor], "offset": [offset]}, 'kind = "count"')


def write_scene(path: Path) -> None:
    """A classifier made for a darker place: from .7 on it says "light"."""
    nodes = [
        helper.make_node("MatMul", ["bright", "slope"], ["steep"]),
        helper.make_node("Add", ["steep", "shift"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["said"], axis=1),
    ]
    weights = {"slope": [-10.0, 10.0], "shift": [7.0, -7.0]}
    write_onnx(path, nodes, 2, weights, 'kind = "label"\nclasses = ["dark", "light"]')


def levels(seed: int, count: int, low: int = 20, high: int = 235) -> list[int]:
    """How bright frames are: none near where a person's mind changes, so that no rounding decides."""
    drawn = np.random.default_rng(seed).integers(low, high, 3 * count)
    return [int(level) for level in drawn if abs(level - 102) > 8][:count]


def film(folder: Path, name: str, frames: list[int]) -> Path:
    return write_video(folder / name, (grey(level) for level in frames))


def test_a_person_s_labels_are_served(tmp_path, start, start_agent):
    """The model says "light" from .7 on, the person from .4 on."""
    write_scene(tmp_path / "my_models" / "scene.onnx")
    recorded, served = levels(1, 220), levels(2, 60)
    film(tmp_path, "street.avi", recorded)
    rows = [f"{row},{'light' if recorded[row] > 102 else 'dark'}" for row in range(0, 200, 2)]
    (tmp_path / "labels.csv").write_text("\n".join(["sequence,label", *rows]) + "\n")

    assert run(documented("record"), tmp_path)["inputs"] == 220
    told = run(documented("links", "adapt"), tmp_path)
    assert (told["target"], told["origin"], told["sources"]) == ("oracle", "linked", ["scene"])
    assert told["learnt"] == 60 and told["ways"]["nothing"]["reported"] < 0.9 < told["agreement"]
    shown = run(["links", "show", "links"], tmp_path)
    assert {each["target"]: each["do"] for each in shown["verdicts"]}["oracle"] == "link"
    plan = run(["plan", "links", "--budget", "100%"], tmp_path)
    assert plan["served"]["oracle"]["sources"] == ["scene"] and plan["resident"] == ["scene"]

    _, address = start([*documented("cloud"), *ANYWHERE], tmp_path)
    summary = start_agent(address, source=str(film(tmp_path, "evening.avi", served))).finish()
    assert (summary["answered"], summary["refused"]) == (60, 0)
    with Results(tmp_path / "results0.sqlite") as results:
        assert set(results.origins("oracle")) == {"linked"} and set(results.origins("scene")) == {"executed"}
        said = [bool(value.argmax()) for value in results.served("oracle")]
        deployed = [bool(value.argmax()) for value in results.served("scene")]
    truth = [level > 102 for level in served]
    assert said == truth and deployed != truth


SITES = {"gym": (20, 120), "hall": (80, 180), "office": (140, 235)}


def write_site(folder: Path, name: str, seed: int, low: int, high: int) -> None:
    """A place with its models and its trace; each has another light."""
    folder.mkdir()
    write_count(folder / "my_models" / "vehicles.onnx", 12.0, 0.0)
    write_count(folder / "my_models" / "people.onnx", 6.0, 2.0)
    video = film(folder, f"{name}.avi", levels(seed, 150, low, high))
    record(str(video), find_models(folder / "my_models"), folder / f"{name}.trace")


def test_what_sites_learn_together_is_served_at_each_and_at_another(tmp_path, start, start_agent):
    for seed, (name, (low, high)) in enumerate({**SITES, "yard": (20, 235)}.items()):
        write_site(tmp_path / name, name, seed, low, high)
    serve, address = start(
        [*changed(on_this_machine(documented("federate", "serve")), listen="127.0.0.1:0"), "--json"], tmp_path
    )
    command = on_this_machine(documented("federate", "join"))
    told: dict[str, dict] = {}

    def join(name: str) -> None:
        words = changed(command, site=name, **{"cloud:7430": address, "gym.trace": f"{name}.trace"})
        told[name] = run(words, tmp_path / name)

    threads = [threading.Thread(target=join, args=(name,)) for name in SITES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_S)
    assert serve.process.wait(TIMEOUT_S) == 0 and told.keys() == SITES.keys()
    for name, one in told.items():
        assert one["rounds"] == 30 and (one["origin"], one["sources"]) == ("linked", ["vehicles"]), name
        # Both links say the same here; of equals that of all is taken.
        assert one["agreement"] > 0.9 and one["weights"]["the link of all"] == 1.0

    adopt = documented("federate", "adopt")
    adopted = run(changed(adopt, **{"people.onnx": str(tmp_path / "people.onnx")}), tmp_path / "yard")
    assert adopted["agreements"]["what is chosen"] > 0.9 and "rounds" not in adopted
    assert LinkGraph.load(tmp_path / "yard" / "links").links["people"].spec.sources == ("vehicles",)

    served = levels(9, 60, *SITES["gym"])
    _, address = start([*documented("cloud", nth=1), *ANYWHERE], tmp_path / "gym")
    start_agent(address, source=str(film(tmp_path, "evening.avi", served))).finish()
    with Results(tmp_path / "results0.sqlite") as results:
        assert set(results.origins("vehicles")) == {"executed"} and set(results.origins("people")) == {"linked"}
        said = np.asarray([float(value[0]) for value in results.served("people")])
    assert (np.abs(said - (np.asarray(served) / 255 * 6.0 + 2.0)) < 0.5).mean() > 0.9
