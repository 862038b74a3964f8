"""What Home Assistant calls devices and streams: each otherwise, in letters that it takes."""

import re

from infilink.cloud.publishing.home_assistant import discovery_topic, object_id, state_topic
from infilink.cloud.publishing.settings import MqttConfig


def test_streams_and_devices_have_ids_and_topics_of_their_own() -> None:
    config = MqttConfig(host="127.0.0.1", topic="site/infilink")
    names = ("a_b", "a/b", "a", "b")
    assert (
        len({object_id(config, name) for name in names}) == len({discovery_topic(config, name) for name in names}) == 4
    )
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", object_id(config, name)) for name in names)
    assert state_topic(config, "a/b", "level") == f"{config.topic}/a/b/level/state"
