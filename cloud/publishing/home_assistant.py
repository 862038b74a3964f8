"""What Home Assistant is told of a device: one message with all its sensors (MQTT device discovery)."""

import json
import re
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any

from ... import __version__
from ...models.spec import ModelSpec
from .settings import MqttConfig
from .summary import SUMMED_UP

_NO_LETTER = re.compile(r"[^A-Za-z0-9_-]")


def discovery_topic(config: MqttConfig, device: str) -> str:
    """Where a device's message is kept."""
    return f"{config.discovery}/device/{object_id(config, device)}/config"


def discovery_message(config: MqttConfig, device: str, specs: Mapping[str, ModelSpec]) -> dict[str, Any]:
    """A device with a sensor for each model that a short value stands for, and one for each of `classes` that it knows.

    A sensor that is not heard of for three times `every_s` is shown as not available, and so are all while the
    coordinator is away.
    """
    components: dict[str, Any] = {}
    for name, spec in specs.items():
        if spec.output.kind in SUMMED_UP:
            components |= _components(config, device, name, spec)
    return {
        "dev": {"ids": [object_id(config, device)], "name": device, "mf": "infilink", "sw": __version__},
        "o": {"name": "infilink", "sw": __version__},
        "availability": [{"topic": f"{config.topic}/status"}],
        "cmps": components,
        "qos": 1,
    }


def state_topic(config: MqttConfig, device: str, model: str) -> str:
    """Where the last result of a model is kept."""
    return f"{config.topic}/{device}/{model}/state"


def object_id(config: MqttConfig, name: str) -> str:
    """A name as Home Assistant takes it; others than that stay apart from it."""
    text = f"{config.topic.replace('/', '_')}_{name}"
    plain = _NO_LETTER.sub("_", text)
    return plain if plain == text else f"{plain}_{sha256(text.encode()).hexdigest()[:6]}"


def _components(config: MqttConfig, device: str, model: str, spec: ModelSpec) -> dict[str, Any]:
    topic, kind = state_topic(config, device, model), spec.output.kind
    of = object_id(config, f"{device}_{model}")
    shared = {"state_topic": topic, "expire_after": round(3 * config.every_s)}
    sensor: dict[str, Any] = {"p": "sensor", "name": model, "unique_id": of, **shared}
    sensor |= {"value_template": "{{ value_json.state }}", "json_attributes_topic": topic}
    if kind == "label":
        sensor |= {"device_class": "enum", "options": list(spec.output.classes)}
    elif kind in ("boxes", "count", "scalar"):
        sensor["state_class"] = "measurement"
    found = {of: sensor}
    for name in _known(config.classes, spec):
        there = object_id(config, f"{device}_{model}_{name}")
        found[there] = {
            "p": "binary_sensor",
            "name": f"{name} ({model})",
            "unique_id": there,
            "device_class": "occupancy",
            "value_template": f"{{{{ 'ON' if value_json.classes.get({json.dumps(name)}, 0) else 'OFF' }}}}",
            **shared,
        }
    return found


def _known(classes: Collection[str], spec: ModelSpec) -> list[str]:
    return [name for name in classes if name in spec.output.classes]
