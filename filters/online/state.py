"""An online filter on disk: its whole state, to go on from, and an ordinary filter file, for a device."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ... import __version__
from ...errors import InvalidInput
from ...evidence import CONFIDENCE
from ...files import check_format, replacing
from ..rules.code import digests_in
from ..rules.predicates import LabelIn, LabelNotIn, Predicate
from ..rules.zones import zones_in
from ..spec import Certificate, FilterSpec
from ..training.graphs import save_filter
from ..training.temporal import network_graph
from .filter import OnlineFilter, OnlineSettings
from .fit import new_network
from .policies import POLICIES
from .threshold import Judged

_FORMAT = 2
_ARRAYS = ("scores", "needed", "probabilities")


def save_online(path: Path, online: OnlineFilter) -> None:
    """Writes weights, memory, threshold and the state of the random draws to one file, whole or not at all.

    What it saw since it last asked is not in it, nor a question without an answer: save after `learn`.
    """
    numbers = {
        "format": _FORMAT,
        "policy": {"name": online.policy.name, **asdict(online.policy)},  # type: ignore[call-overload]
        "settings": asdict(online.settings),
        "random": online.random.bit_generator.state,
        "counts": [online.inputs, online.labelled, online.updates, online.threshold.drifts],
        "times_s": [online.begun_s, online.asks_at_s],
        "stretches": [judged.inputs for judged in online.threshold.window],
    }
    tensors = {f"memory {name}": torch.as_tensor(value) for name, value in online.memory.state().items()}
    for i, judged in enumerate(online.threshold.window):
        tensors |= {f"judged {i} {name}": torch.from_numpy(getattr(judged, name)) for name in _ARRAYS}
    if online.network is not None:
        tensors |= {f"network {name}": value for name, value in online.network.state_dict().items()}
    with replacing(path) as part:
        torch.save({"infilink.online": json.dumps(numbers), **tensors}, part)


def load_online(path: Path) -> OnlineFilter:
    """The online filter that `save_online` wrote; it goes on as if it had never stopped, at the next input.

    Raises:
        InvalidInput: no such file, or it holds something else; the message says what to do.
    """
    try:
        found = torch.load(path, weights_only=True)
        numbers = json.loads(found.pop("infilink.online"))
        check_format(numbers["format"], (_FORMAT,), path=path, what="an online filter's state")
        policy = POLICIES[numbers["policy"].pop("name")](**numbers["policy"])
    except InvalidInput:
        raise
    except Exception as error:  # torch's own reader raises whatever a foreign file makes it stumble over
        raise InvalidInput(f"{path}: holds no online filter; give a file that save_online wrote ({error})") from error
    online = OnlineFilter(policy, OnlineSettings(**numbers["settings"]))
    _restore(online, numbers, found)
    return online


def _restore(online: OnlineFilter, numbers: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    online.random.bit_generator.state = numbers["random"]
    online.inputs, online.labelled, online.updates, online.threshold.drifts = numbers["counts"]
    online.begun_s, online.asks_at_s = numbers["times_s"]
    online.memory.restore({name: tensor.numpy() for name, tensor in _of("memory ", tensors).items()})
    for i, inputs in enumerate(numbers["stretches"]):
        arrays = _of(f"judged {i} ", tensors)
        online.threshold.window.append(Judged(**{name: arrays[name].numpy() for name in _ARRAYS}, inputs=inputs))
    online.threshold.set()
    weights = _of("network ", tensors)
    if weights:
        online.network = new_network(online.settings.seed)
        online.network.load_state_dict(weights)


def _of(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def write_online(
    path: Path,
    online: OnlineFilter,
    *,
    rule: Predicate,
    models: Mapping[str, str],
    before: FilterSpec | None = None,
    versions: Mapping[str, str] | None = None,
) -> FilterSpec:
    """Writes the filter as it is now to an ordinary `.onnx` filter file, which a device runs without torch.

    Its certificate is that of the newest window; with nothing proven it keeps every input.

    Args:
        path: the file.
        online: has learnt something.
        rule: what was labelled as redundant.
        models: name to digest of the models that were asked.
        before: what the filter that it began with says of itself: what answers skipped inputs (which a label rule
            needs), the models' outputs, the trace that was learnt from.
        versions: what is to stand in the spec's `versions` beside those of the programs.

    Returns:
        What the file says of itself.

    Raises:
        InvalidInput: it has learnt nothing yet, or a label rule came without answers.
    """
    if online.network is None:
        raise InvalidInput("online: it has learnt nothing yet; write it after its first update")
    answers = {} if before is None else before.answers
    if isinstance(rule, LabelIn | LabelNotIn) and set(answers) != set(models):
        raise InvalidInput(f"answers: a label rule needs the answering class for each of {', '.join(models)}")
    import onnx

    threshold, level = online.threshold, online.threshold.level
    effective = threshold.effective_inputs()
    certificate = Certificate(
        certified=threshold.certified,
        confidence=CONFIDENCE,
        inputs=sum(judged.inputs for judged in threshold.window),
        runs=round(effective, 1),
        lost=round(level.error * effective, 4),
        error=level.error,
        upper_bound=level.upper_bound,
        method="clopper-pearson over inputs drawn at random, of the newest window",
        rate=level.rate,
    )
    spec = FilterSpec(
        kind="network",
        rule=rule.text,
        zones=zones_in(rule),
        rule_files=digests_in(rule),
        models=dict(models),
        reference="previous",
        threshold=threshold.value,
        accuracy=online.settings.accuracy,
        step_s=online.settings.step_s,
        outputs={} if before is None else before.outputs,
        answers=dict(answers),
        learnt_from=None if before is None else before.learnt_from,
        certificate=certificate,
        table=threshold.table() if threshold.by_lot else (),
        versions={
            "infilink": __version__,
            "torch": str(torch.__version__),
            "onnx": onnx.__version__,
            **(versions or {}),
        },
        seed=online.settings.seed,
    )
    save_filter(path, network_graph(online.network), spec)
    return spec
