"""Trains the street's seven models on rendered frames and writes them, with their accuracy, beside this file.

    python -m infilink.examples.street.train_models [--out FOLDER] [--quick]

One trunk is trained for all seven tasks together, on pictures of all six cameras; each model takes it with a head
of its own. So their errors are correlated more than those of models trained apart; docs/BENCHMARKS.md has real
pretrained models for comparison. Takes some 5 minutes on 2 cores.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import helper
from torch import Tensor, nn

from ...files import replacing
from ...models.decoding import DecoderSpec
from ...models.inputs.picture import PictureInput
from ...models.onnx_model import OnnxModel
from ...models.spec import ModelSpec, digest, write_spec
from ...outputs import Array, OutputSpec
from .dataset import Frames, box_targets, count_targets, cyclist_targets, label_targets, render_frames, true_boxes
from .networks import BoxHead, Exported, PlaceHead, PresenceHead, Trunk
from .truth import ACTIVITY, CONDITIONS, TRAFFIC, Truth

SIZE = (256, 144)
TRAIN_SEEDS, TEST_SEEDS = range(1000, 1060), range(2000, 2012)
PER_SEED, PER_TEST_SEED, BATCH, SEED = 50, 40, 16, 7
EPOCHS = 9
LICENCE = "Apache-2.0"
SCORE, RATE = 0.4, 3e-3


@dataclass(frozen=True)
class Task:
    """One model: its name and its output."""

    name: str
    kind: str
    classes: tuple[str, ...]
    about: str
    truth: str = ""
    weights: tuple[float, ...] = ()

    @property
    def spec(self) -> ModelSpec:
        """The spec that its file carries."""
        return ModelSpec(
            name=self.name,
            description=f"{self.about} (rendered street)",
            input=PictureInput(size=SIZE),
            output=OutputSpec(kind=self.kind, classes=self.classes, measure="counts"),  # type: ignore[arg-type]
            decoder=DecoderSpec(name="boxes", score=SCORE) if self.kind == "boxes" else DecoderSpec(),
        )

    def head(self) -> nn.Module:
        """A new head."""
        if self.name == "cyclist":
            return PresenceHead()
        return BoxHead(len(self.classes)) if self.kind == "boxes" else PlaceHead(max(1, len(self.classes)), SIZE)

    def targets(self, truths: list[Truth]) -> tuple[Array, ...]:
        """The training targets of its head, by frame."""
        if self.kind == "boxes":
            return box_targets(truths, self.classes, SIZE)
        if self.kind == "count":
            return (count_targets(truths, self.truth),)
        if self.name == "cyclist":
            return (cyclist_targets(truths),)
        return (label_targets(truths, self.truth, self.classes),)

    def agreement(self, value: Array, truth: Truth) -> tuple[float, float]:
        """An output's agreement with the ground truth, and for boxes its F1 at IoU 0.5."""
        if self.kind == "boxes":
            wanted = true_boxes(truth, self.classes)
            exact = OutputSpec(kind="boxes", classes=self.classes)
            same = float(np.array_equal(exact.counts(value), exact.counts(wanted)))
            return same, exact.agreement(value, wanted)
        if self.kind == "count":
            return float(abs(float(value[0]) - getattr(truth, self.truth)) < 0.5), 1.0
        return float(int(np.argmax(value)) == int(self.targets([truth])[0][0])), 1.0


TASKS = (
    Task("vehicles", "boxes", ("car", "truck", "cyclist"), "cars, trucks and cyclists, parked ones too"),
    Task("people", "boxes", ("person",), "people on foot"),
    Task("traffic", "label", TRAFFIC, "the carriageway's state", "traffic"),
    Task("conditions", "label", CONDITIONS, "light and weather", "conditions"),
    Task("parked", "count", (), "cars and trucks in the parking bays", "parked"),
    Task("cyclist", "label", ("absent", "present"), "whether a cyclist can be seen", weights=(1.0, 2.0)),
    Task("activity", "label", ACTIVITY, "how many road users are on the carriageway or crossing", "activity"),
)


def loss_of(task: Task, said: Any, targets: tuple[Tensor, ...]) -> Tensor:
    """A task's loss on a batch."""
    if task.kind == "count":
        return nn.functional.smooth_l1_loss(said.float(), targets[0])
    if task.kind == "label":
        weight = torch.tensor(task.weights) if task.weights else None
        return nn.functional.cross_entropy(said.float(), targets[0], weight=weight, label_smoothing=0.02)
    logits, sides = said[0].float(), said[1].float()
    heat, wanted, centres = targets[0].float() / 255, targets[1].float(), targets[2]
    # The penalty-reduced focal loss of CenterNet.
    score = torch.sigmoid(logits).clamp(1e-5, 1 - 1e-5)
    peak = (heat > 0.999).float()
    hit = -(peak * (1 - score) ** 2 * score.log()).sum()
    miss = -((1 - peak) * (1 - heat) ** 4 * score**2 * (1 - score).log()).sum()
    count = peak.sum().clamp(min=1)
    off = (nn.functional.smooth_l1_loss(sides, wanted, reduction="none", beta=0.01) * centres).sum()
    return (hit + miss) / count + 10 * off / (4 * centres.sum().clamp(min=1))


def batches(images: Array, targets: list[tuple[Array, ...]], rng: np.random.Generator) -> Iterator[Any]:
    """Shuffled batches, with a little gain, offset and noise; pixels float32 (n, 3, h, w) from 0 to 1."""
    order = rng.permutation(len(images))
    for start in range(0, len(order) - BATCH + 1, BATCH):
        chosen = np.sort(order[start : start + BATCH])
        pixels = torch.from_numpy(images[chosen]).permute(0, 3, 1, 2).float().div_(255)
        gain = torch.from_numpy(rng.uniform(0.88, 1.12, (BATCH, 1, 1, 1)).astype(np.float32))
        offset = torch.from_numpy(rng.uniform(-0.03, 0.03, (BATCH, 1, 1, 1)).astype(np.float32))
        wanted = [tuple(torch.from_numpy(target[chosen]) for target in of_task) for of_task in targets]
        yield pixels.mul_(gain).add_(offset).clamp_(0, 1), wanted


def fit(trunk: Trunk, heads: dict[str, nn.Module], frames: Frames, *, epochs: int, log: Callable[[str], None]) -> None:
    """Trains a trunk and its heads together."""
    rng = np.random.default_rng(SEED)
    modules = nn.ModuleList([trunk, *heads.values()]).train()
    modules.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    targets = [task.targets(frames.truths) for task in TASKS]
    optimizer = torch.optim.AdamW(modules.parameters(), lr=RATE, weight_decay=1e-3)
    steps = epochs * (len(frames.truths) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.2)
    for epoch in range(epochs):
        sums = np.zeros(len(TASKS))
        for pixels, wanted in batches(frames.images, targets, rng):
            # bfloat16 where the processor has it; the same code is only slower elsewhere.
            with torch.autocast("cpu", torch.bfloat16):
                features = trunk(pixels.contiguous(memory_format=torch.channels_last))
                said = [heads[task.name](*features) for task in TASKS]
            losses = [loss_of(task, one, want) for task, one, want in zip(TASKS, said, wanted, strict=True)]
            optimizer.zero_grad()
            torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(modules.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            sums += [float(loss.detach()) for loss in losses]
        means = zip(TASKS, sums / (len(frames.truths) // BATCH), strict=True)
        log(f"epoch {epoch + 1}/{epochs}: " + ", ".join(f"{task.name} {mean:.3f}" for task, mean in means))


def export(task: Task, trunk: Trunk, head: nn.Module, folder: Path) -> Path:
    """Writes a model's file and checks that onnxruntime computes what torch does."""
    path = folder / f"{task.name}.onnx"
    exported = Exported(trunk, head, task.kind).eval()
    exported.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    sample = torch.rand(1, 3, SIZE[1], SIZE[0])
    with replacing(path) as part:
        torch.onnx.export(
            exported,
            (sample,),
            str(part),
            input_names=["pixels"],
            output_names=["output"],
            opset_version=17,
            dynamo=False,
        )
        write_spec(part, task.spec)
        write_licence(part)
        session = ort.InferenceSession(str(part), providers=["CPUExecutionProvider"])
        with torch.no_grad():
            difference = float(
                np.abs(exported(sample).numpy() - session.run(None, {"pixels": sample.numpy()})[0]).max()
            )
        if difference > 1e-4:
            sys.exit(f"{task.name}: onnxruntime differs from torch by {difference}")
    return path


def write_licence(path: Path) -> None:
    """Says in a model's file that it may be handed on, with a stem that is made of it, too."""
    model = onnx.load(str(path))
    helper.set_model_props(model, {each.key: each.value for each in model.metadata_props} | {"license": LICENCE})
    onnx.save(model, str(path))


def main() -> None:
    """Renders, trains, exports, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "models")
    parser.add_argument("--quick", action="store_true", help="a few frames and epochs: to see that it runs")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    started = time.perf_counter()

    def log(text: str) -> None:
        print(f"{time.perf_counter() - started:6.0f} s  {text}", flush=True)

    seeds, per_seed = (TRAIN_SEEDS[:1], 64) if options.quick else (TRAIN_SEEDS, PER_SEED)
    frames = render_frames(seeds, per_seed, SIZE, lambda i, n: log(f"rendered {i}/{n}") if i % 600 == 0 else None)
    trunk, heads = Trunk(), {task.name: task.head() for task in TASKS}
    log("training one trunk for all tasks")
    fit(trunk, heads, frames, epochs=1 if options.quick else EPOCHS, log=log)
    for task in TASKS:
        export(task, trunk, heads[task.name], options.out)
    log("testing on other seeds")
    test_seeds, per_test_seed = (TEST_SEEDS[:1], 16) if options.quick else (TEST_SEEDS, PER_TEST_SEED)
    test = render_frames(test_seeds, per_test_seed, SIZE, lambda i, n: None)
    table = accuracy_table(test, options.out)
    print(table)
    if not options.quick:
        took = f"\nThe whole script took {time.perf_counter() - started:.0f} s.\n"
        (Path(__file__).parent / "MODELS.md").write_text(HEADER + table + took, encoding="utf-8")


HEADER = """# The street's models

Trained by `train_models.py` on rendered frames; accuracy is against the renderer's own truth, on seeds that were not
trained on. Exact: the label, the count, or every class's count is right. Time is a processor's.

"""


def accuracy_table(test: Frames, folder: Path) -> str:
    """Each model's accuracy on the test frames, its size and its time, as Markdown."""
    rows = [
        "| model | output | input | exact | F1 at IoU 0.5 | always the same answer | ms | MB | digest |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for task in TASKS:
        path = folder / f"{task.name}.onnx"
        model = OnnxModel(path)
        scores, times = [], []
        for image, truth in zip(test.images, test.truths, strict=True):
            begun = time.process_time()
            value = model.infer(np.ascontiguousarray(image[:, :, ::-1]))
            times.append(time.process_time() - begun)
            scores.append(task.agreement(value, truth))
        exact, f1 = np.mean(scores, axis=0)
        f1_text = f"{f1:.3f}" if task.kind == "boxes" else "-"
        output = f"{task.kind}: {', '.join(task.classes)}" if task.classes else task.kind
        same = constant(task, test.truths)
        rows.append(
            f"| {task.name} | {output} | {SIZE[0]}x{SIZE[1]} | {exact:.3f} | {f1_text} | {same:.3f} "
            f"| {np.median(times) * 1000:.1f} | {path.stat().st_size / 1e6:.2f} | {digest(path)} |"
        )
    return "\n".join(rows) + "\n"


def constant(task: Task, truths: list[Truth]) -> float:
    """The accuracy of always giving the most common answer."""
    if task.kind == "boxes":
        spec = OutputSpec(kind="boxes", classes=task.classes)
        answers = [str(spec.counts(true_boxes(truth, task.classes))) for truth in truths]
    else:
        answers = [str(value) for value in task.targets(truths)[0]]
    return max(answers.count(answer) for answer in set(answers)) / len(answers)


if __name__ == "__main__":
    main()
