"""SKIP filters over the six modalities: every candidate side by side, ours with their certificates, on real data.

python tests/bench/filters/bench_skip.py [--seeds 3] [--only NAME] [--paper-video] [--folder KEPT]

Rate: the share of inputs dropped. Skill: 0 is dropping at random, 1 is knowing the outputs. "At" an accuracy: the best
threshold on the judged part itself, as the paper counts; "deployed": the threshold that was chosen before, with or
without a certificate, on the judged part; "runs": how many independent ones calibrated it. The paper's networks train
as the paper says, for at most `--paper-seconds` each (longer than ours), which can be less than its 20 epochs; those of
pictures, sounds and maps on the first seed alone.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from infilink.errors import InvalidInput
from infilink.filters.evaluation.evaluate import FilterEvaluation, evaluate_filter
from infilink.filters.modalities import fit_modality
from infilink.filters.modalities.stream import LOW_LEVEL
from infilink.filters.networks.encoders import EncoderNetwork
from infilink.filters.open_gate import open_gate
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training import single_input
from infilink.filters.training.candidates import Candidate, LowLevelCandidate, ScalarCandidate
from infilink.filters.training.entrants import Entrant
from infilink.filters.training.fit_loop import BATCH
from infilink.filters.training.graphs import session_of
from infilink.filters.training.losses import Losses
from infilink.filters.training.replay import Replay, Singles
from infilink.filters.training.selection import choose
from infilink.filters.training.single_input import SingleInputCandidate
from infilink.filters.training.sweep import Bounds, levels, rate_at, sweep
from infilink.filters.training.temporal import NetworkCandidate
from infilink.filters.training.train import FilterTrainer
from workloads import Workload, workloads

ACCURACIES = (0.9, 0.95)
# Its networks take minutes an epoch here; one workload of each kind says enough.
NOT_BY_PAPER = ("five cameras, no vehicle", "digits, not 0")
FREE = ("age", "difference", "background", "pixel", "area", "edge", "corner", "knn")


def wanted(load: Workload, *, paper_video: bool) -> tuple[str, ...]:
    """Who competes: ours first, and the paper's."""
    if load.kind == "video":
        names = ("network", "image", "background", "difference", "pixel", "area", "edge", "corner", "knn")
        return (*names, "age", "image-paper", *(("video-paper",) if paper_video else ()))
    return ("network", "knn", "paper", *(("filterforward",) if load.kind == "map" else ()))


def judged_again(each: Entrant, load: Workload, replay: Replay | None) -> tuple[Candidate, Replay | Singles]:
    """The same candidate on the judged part."""
    name = each.candidate.name
    if each.modality is not None:
        singles = Singles(load.judged, each.modality)
        return SingleInputCandidate(name, session_of(each.graph), singles, start=0, most=1.0), singles
    assert replay is not None
    if name in LOW_LEVEL:
        return LowLevelCandidate(name, replay), replay
    if name == "network":
        return NetworkCandidate(session_of(each.graph), replay), replay
    return ScalarCandidate(name, replay), replay


def paper_epochs(load: Workload, most_s: float) -> int:
    """How many epochs of the paper's network take so many seconds, at most its own 20."""
    kind = "image" if load.kind == "video" else load.modality
    made = fit_modality(kind, list(islice(load.learnt.inputs(), 64)), net="paper")
    network = EncoderNetwork(*made.encoder(), plain=True).train()
    batch = torch.zeros((BATCH, *made.shape), dtype=getattr(torch, made.dtype))
    times = []
    for _ in range(2):
        started = time.perf_counter()
        network.logits(batch).sum().backward()
        times.append(time.perf_counter() - started)
    return int(np.clip(most_s / (min(times) * 0.55 * len(load.learnt) / BATCH), 1, 20))


def measure(load: Workload, seed: int, folder: Path, *, paper_video: bool, paper_s: float) -> Iterator[dict[str, Any]]:
    """One row per candidate and accuracy, and one per deployed filter."""
    rule = parse_rule(load.rule)
    losses = Losses(load.judged, (load.model,), rule)
    names = wanted(load, paper_video=paper_video)
    epochs = 0
    if paper_s > 0 and (load.kind in ("text", "signal") or (seed == 0 and load.name not in NOT_BY_PAPER)):
        epochs = paper_epochs(load, paper_s)
        single_input.PAPER = replace(single_input.PAPER, epochs=epochs)
    else:
        names = tuple(name for name in names if "paper" not in name)
    started = time.perf_counter()
    made = FilterTrainer.compete(
        load.learnt,
        models=(load.model,),
        rule=rule,
        accuracy=0.95,
        modality=load.modality,
        candidates=names,
        seed=seed,
    )
    trained_s = time.perf_counter() - started
    replay = Replay(load.judged, pairwise=False) if load.kind == "video" else None
    count = len(load.judged)
    print(f"{load.name}, seed {seed}: {epochs} epochs of the paper's network", file=sys.stderr, flush=True)
    row = {"workload": load.name, "kind": load.kind, "seed": seed, "trained_s": round(trained_s, 1)}
    singles: Replay | Singles | None = replay
    for each in made.entered:
        candidate, over = judged_again(each, load, replay)
        singles = singles or over
        run = sweep(
            candidate, levels(candidate, over, start=0, stop=count), replay=over, losses=losses, start=0, stop=count
        )
        for accuracy in ACCURACIES:
            bounds = Bounds.of(losses, over, 0, count, accuracy)
            rate = rate_at(run, accuracy)
            room = bounds.optimal - bounds.random
            yield {
                **row,
                "what": each.candidate.name,
                "accuracy": accuracy,
                "rate": rate,
                "skill": (rate - bounds.random) / room if room > 0.02 else None,
                "redundant": bounds.constant,
                "epochs": epochs if "paper" in each.candidate.name else None,
                "optimal": bounds.optimal,
            }
    for accuracy in ACCURACIES:
        out = folder / f"{seed}.onnx"
        try:
            done = made.finish(out, accuracy=accuracy, uncertified=True)
        except InvalidInput as error:
            yield {**row, "what": "deployed", "accuracy": accuracy, "refused": str(error)[:200]}
            continue
        found = evaluate_filter(out, load.judged)
        yield {
            **row,
            "what": "deployed",
            "accuracy": accuracy,
            "winner": done.spec.kind,
            "certified": done.spec.certificate.certified,
            "runs": done.spec.certificate.runs,
            **events_of(found, load),
            "rate": found.rate,
            "kept": found.accuracy,
            "contract": found.contract,
            "skill": found.skill,
            "free": max(rate_of(made, name, accuracy, losses, load, replay) for name in FREE if name in names),
            "ms": decision_ms(out, load),
            "size": out.stat().st_size,
        }


def events_of(found: FilterEvaluation, load: Workload) -> dict[str, Any]:
    """Events that the filter finds, and those that the best free gate finds which sends as much; of streams alone."""
    if load.kind not in ("video", "map"):
        return {}
    same = [each.events.found for each in found.baselines if abs(each.rate - found.rate) < 0.02]
    return {"events": found.events.events, "found": found.events.found, "free_found": max(same, default=0)}


def rate_of(
    made: FilterTrainer, name: str, accuracy: float, losses: Losses, load: Workload, replay: Replay | None
) -> float:
    """The rate of a free candidate at its own certified threshold, on the judged part; 0 if it breaks its promise."""
    each = next(each for each in made.entered if each.candidate.name == name)
    index = made.entered.index(each)
    try:
        found = choose([made.sweeps[index]], accuracy=accuracy).threshold
    except InvalidInput:
        return 0.0
    candidate, over = judged_again(each, load, replay)
    run = sweep(candidate, np.asarray([found]), replay=over, losses=losses, start=0, stop=len(load.judged))
    return float(run.rates[0]) if run.errors[0] <= 1 - accuracy else 0.0


def decision_ms(path: Path, load: Workload) -> float:
    """The median of the decisions on the first inputs."""
    gate, times = open_gate(path), []
    part = load.judged.part(0, min(200, len(load.judged)))
    for value, at in zip(part.inputs(), part.captured_s, strict=True):
        started = time.perf_counter()
        gate.decide(value, float(at))
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--paper-video", action="store_true", help="the paper's five towers too: ten minutes a clip")
    parser.add_argument(
        "--paper-seconds", type=float, default=300, help="at most so long for one of the paper's; 0: none of them"
    )
    parser.add_argument("--folder", type=Path, help="where recordings and rows are kept; default: a temporary one")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for load in workloads(folder, only=options.only):
            for seed in range(options.seeds):
                for row in measure(load, seed, folder, paper_video=options.paper_video, paper_s=options.paper_seconds):
                    rows.append(row)
                    with (folder / "rows.jsonl").open("a") as file:
                        file.write(json.dumps(row) + "\n")
                print(f"{load.name}, seed {seed}: {rows[-1]['trained_s']:.0f} s", file=sys.stderr, flush=True)
        print("\n".join(tables(rows)))


def tables(rows: list[dict[str, Any]]) -> Iterator[str]:
    """What the rows say, as markdown: skill per candidate, then what was deployed."""
    for accuracy in ACCURACIES:
        yield f"\nSkill at {accuracy:g} on the judged part, mean of the seeds (rate in brackets):\n"
        at = [row for row in rows if row["accuracy"] == accuracy and row["what"] != "deployed"]
        names = list(dict.fromkeys(row["what"] for row in at))
        yield "| workload | redundant | optimal | " + " | ".join(names) + " |"
        yield "|" + "---|" * (len(names) + 3)
        for name in dict.fromkeys(row["workload"] for row in at):
            of = [row for row in at if row["workload"] == name]
            cells = [name, f"{of[0]['redundant']:.2f}", f"{of[0]['optimal']:.2f}"]
            for what in names:
                found = [row for row in of if row["what"] == what]
                cells.append(_mean(found))
            yield "| " + " | ".join(cells) + " |"
    yield "\nDeployed, each with the threshold that was chosen before, certified or not:\n"
    yield (
        "| workload | asked | winners | certified | runs | verdicts | rate | accuracy | skill | best free | events "
        "| free's events | ms | KB |"
    )
    yield "|" + "---|" * 14
    done = [row for row in rows if row["what"] == "deployed"]
    groups = defaultdict(list)
    for row in done:
        groups[row["workload"], row["accuracy"]].append(row)
    for (name, accuracy), group in groups.items():
        good = [row for row in group if "refused" not in row]
        if not good:
            yield f"| {name} | {accuracy:g} | refused: {group[0]['refused'][:80]} |" + " |" * 11
            continue
        mean = {key: np.mean([row[key] for row in good]) for key in ("rate", "kept", "free", "ms", "size", "runs")}
        skills = [row["skill"] for row in good if row["skill"] is not None]
        cells = (
            name,
            f"{accuracy:g}",
            ", ".join(dict.fromkeys(row["winner"] for row in good)),
            f"{sum(row['certified'] for row in good)}/{len(group)}",
            f"{mean['runs']:.0f}",
            ", ".join(dict.fromkeys(row["contract"] for row in good)),
            f"{mean['rate']:.2f}",
            f"{mean['kept']:.3f}",
            f"{np.mean(skills):.2f}" if skills else "-",
            f"{mean['free']:.2f}",
            _events(good, "found"),
            _events(good, "free_found"),
            f"{mean['ms']:.2f}",
            f"{mean['size'] / 1000:.0f}",
        )
        yield "| " + " | ".join(cells) + " |"
    certified = [row for row in done if row.get("certified")]
    kept = sum(row["kept"] >= row["accuracy"] for row in certified)
    broken = sum(row["contract"] == "broken" for row in certified)
    yield (
        f"\n{len(certified)} of {len(done)} filters are certified; of those {kept} kept their accuracy on the judged "
        f"part, and {broken} broke it beyond doubt."
    )


def _events(rows: list[dict[str, Any]], key: str) -> str:
    """How many of how many events, mean of the seeds."""
    known = [row for row in rows if "events" in row]
    if not known:
        return "-"
    return f"{np.mean([row[key] for row in known]):.1f} of {known[0]['events']}"


def _mean(rows: list[dict[str, Any]]) -> str:
    skills = [row["skill"] for row in rows if row["skill"] is not None]
    if not rows:
        return ""
    rate = float(np.mean([row["rate"] for row in rows]))
    return f"{np.mean(skills):.2f} ({rate:.2f})" if skills else f"- ({rate:.2f})"


if __name__ == "__main__":
    main()
