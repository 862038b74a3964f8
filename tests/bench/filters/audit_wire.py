"""The audit over the real wire: an agent's audit is made again, by the same class, from its results file."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from infilink.codec import unpack
from infilink.device.auditor import Auditor
from infilink.filters.gates.learned import FilterRuntime
from infilink.filters.spec import Certificate, FilterSpec
from infilink.filters.terms import terms_of
from infilink.filters.training.graphs import save_filter, scalar_graph
from infilink.models.spec import digest, read_spec
from onnx import TensorProto, helper

FRAMES = 3000
SHARE = 0.1
BRIGHT, DARK = 180, 40


def write_model(path: Path) -> Path:
    """A model that says how bright a frame is, from 0 to 255."""
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["image"], ["bright"], axes=[1, 2, 3], keepdims=0)],
        "bright",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("bright", TensorProto.FLOAT, [1])],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    path.with_suffix(".toml").write_text(
        f'name = "{path.stem}"\n[input]\nsize = [32, 32]\nstd = [1.0]\n[output]\nkind = "scalar"\ntolerance = 50.0\n'
    )
    return path


def write_clip(path: Path, *, bright_share: float) -> Path:
    """A clip of dark and bright scenes of 20 frames each."""
    random = np.random.default_rng(5)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for _ in range(FRAMES // 20):
        level = BRIGHT if random.random() < bright_share else DARK
        for _ in range(20):
            writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    return path


def write_filter(path: Path, model: Path) -> Path:
    """A filter that drops nearly everything, whatever it shows; bright frames are needed."""
    certificate = Certificate(
        certified=True,
        confidence=0.95,
        inputs=1000,
        runs=50.0,
        lost=1.0,
        error=0.02,
        upper_bound=0.1,
        method="clopper-pearson over runs",
        rate=0.99,
        rate_interval=(0.9, 1.0),
    )
    spec = FilterSpec(
        kind="age",
        rule="value <= 100",
        models={model.stem: digest(model)},
        reference="last kept",
        threshold=1e9,
        accuracy=0.9,
        step_s=0.01,
        longest_s=10.0,
        certificate=certificate,
    )
    save_filter(path, scalar_graph("age"), spec)
    return path


@contextmanager
def coordinator(folder: Path) -> Iterator[str]:
    """A coordinator over the folder's models; gives its address."""
    command = [sys.executable, "-m", "infilink.cli", "cloud", "--models", folder / "models", "--listen", "127.0.0.1:0"]
    command += ["--ledger", folder / "ledger.sqlite"]
    with subprocess.Popen([str(each) for each in command], stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        try:
            yield daemon.stdout.readline().removeprefix("ready on ").strip()
        finally:
            daemon.terminate()


def run_agent(folder: Path, address: str, clip: Path, gate: Path) -> dict[str, Any]:
    """Runs an agent over the clip; returns its summary."""
    settings = {
        "name": "camera",
        "source": str(clip),
        "pace": "max",
        "queue": "all",
        "coordinator": address,
        "gate": str(gate),
        "audit": SHARE,
        "results": str(folder / "results.sqlite"),
    }
    config = folder / "device.toml"
    config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    command = [sys.executable, "-m", "infilink.cli", "device", "--config", str(config), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def again(results: Path, gate: Path, model: Path) -> Auditor:
    """The same audit in memory, from what the agent wrote: its decisions, and the model's own outputs."""
    runtime, name = FilterRuntime(gate), model.stem
    output = read_spec(model).output
    substitute = runtime.substitute(name, output)
    terms = terms_of(runtime)
    assert terms is not None
    auditor = Auditor(str(gate), SHARE, terms, runtime.lost, {name: output})
    with closing(sqlite3.connect(results)) as database:
        sql = "SELECT sequence, captured_s, kept, audit_probability FROM inputs ORDER BY sequence"
        inputs = database.execute(sql).fetchall()
        values = dict(database.execute("SELECT sequence, value FROM results WHERE origin = 'executed'").fetchall())
    reference = None
    for sequence, captured_s, kept, probability in inputs:
        by_gate = kept and not probability
        chosen = {} if by_gate or reference is None else {name: substitute}
        drawn = auditor.take(sequence, chosen, kept=by_gate, reference=reference, captured_s=captured_s)
        assert drawn == probability, (
            f"input {sequence}: drawn with {drawn} in memory, and with {probability} by the agent"
        )
        reference = sequence if by_gate else reference
        if kept:
            auditor.answered(sequence, {name: unpack(values[sequence])}, {name})
    return auditor


def check_wire(folder: Path) -> str:
    """Runs both daemons, and the audit again; returns what both found, in words."""
    model = write_model(folder / "models" / "bright.onnx")
    clip = write_clip(folder / "scenes.avi", bright_share=0.06)
    gate = write_filter(folder / "filter.onnx", model)
    with coordinator(folder) as address:
        summary = run_agent(folder, address, clip, gate)
    report = again(folder / "results.sqlite", gate, model).report()
    told = (summary["audited"], summary["audit_blocks"], summary["audit_error"], summary["alarms"])
    made = (report.audited, report.blocks, report.error, report.alarms)
    assert told == made, f"the agent says {told}, and the same auditor in memory {made}"
    return (
        f"over the wire: {summary['frames']} frames, {told[0]} audited, {told[1]} blocks, loss {told[2]:.4f}, "
        f"{told[3]} alarms; the same auditor in memory says the same"
    )
