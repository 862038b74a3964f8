"""What Prometheus reads of an agent."""

import re
import urllib.request

import pytest
from infilink.device.scrape import serve_metrics
from infilink.errors import InvalidInput
from infilink.protos import edge_pb2


def report(**fields) -> edge_pb2.Report:
    return edge_pb2.Report(**{"frames": 40, "kept": 10, "sent_bytes": 5000, "audit_error": 0.25, **fields})


def read(address: str) -> dict[str, float]:
    page = urllib.request.urlopen(address).read().decode()
    found = (line.rpartition(" ") for line in page.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in found}


def test_an_agents_counts_are_read_where_it_listens(caplog) -> None:
    caplog.set_level("INFO")
    with serve_metrics(lambda: {"": (report(), True)}, "127.0.0.1:0"):
        (address,) = re.findall(r"http://\S+", caplog.messages[0])
        found = read(address)
    assert found["infilink_agent_frames_total"] == 40 and found["infilink_agent_sent_bytes_total"] == 5000
    assert found["infilink_agent_filtering_ratio"] == 0.75 and found["infilink_agent_audit_loss_ratio"] == 0.25
    assert found["process_resident_memory_bytes"] > 0
    assert not any("no token" in text for text in caplog.messages)


def test_what_waits_in_a_spool_is_a_figure_and_so_is_a_disk_that_takes_nothing(caplog) -> None:
    caplog.set_level("INFO")
    waits = report(spooled=7, spooled_bytes=900, spool_oldest_s=61.5, spool_dropped=2, spool_state="the disk is full")
    with serve_metrics(lambda: {"": (waits, True)}, "127.0.0.1:0"):
        found = read(re.findall(r"http://\S+", caplog.messages[0])[0])
    assert found["infilink_agent_spooled"] == 7 and found["infilink_agent_spool_oldest_seconds"] == 61.5
    assert found["infilink_agent_spool_dropped_total"] == 2 and found["infilink_agent_spool_trouble"] == 1


def test_each_stream_has_figures_of_its_own(caplog) -> None:
    caplog.set_level("INFO")
    streams = {"door": (report(), True), "mic": (edge_pb2.Report(), False)}
    with serve_metrics(lambda: streams, "127.0.0.1:0"):
        found = read(re.findall(r"http://\S+", caplog.messages[0])[0])
    assert found['infilink_agent_frames_total{stream="door"}'] == 40
    assert found['infilink_agent_inputs_total{stream="door"}'] == 40
    assert found['infilink_agent_frames_total{stream="mic"}'] == 0
    assert found['infilink_agent_up{stream="door"}'] == 1 and found['infilink_agent_up{stream="mic"}'] == 0
    assert 'infilink_agent_filtering_ratio{stream="mic"}' not in found


def test_before_the_first_frame_nothing_is_divided_by_it(caplog) -> None:
    caplog.set_level("INFO")
    with serve_metrics(lambda: {"": (edge_pb2.Report(), True)}, "127.0.0.1:0"):
        found = read(re.findall(r"http://\S+", caplog.messages[0])[0])
    assert found["infilink_agent_frames_total"] == 0 and "infilink_agent_filtering_ratio" not in found


def test_what_others_can_read_is_warned_of_and_a_port_that_is_taken_is_named(caplog) -> None:
    caplog.set_level("INFO")
    with serve_metrics(dict, "0.0.0.0:0"):
        port = re.findall(r":(\d+)/metrics", caplog.messages[0])[0]
        assert "no token is asked for" in caplog.messages[1]
        with pytest.raises(InvalidInput, match="`metrics_listen`"), serve_metrics(dict, f"0.0.0.0:{port}"):
            pass


def test_how_much_is_left_out_and_the_heat_are_read(caplog) -> None:
    caplog.set_level("INFO")
    streams = {"door": (report(level="slower", left_out=7, temperature_c=71.5), True), "mic": (report(), True)}
    with serve_metrics(lambda: streams, "127.0.0.1:0"):
        found = read(re.findall(r"http://\S+", caplog.messages[0])[0])
    assert found['infilink_agent_level{level="slower",stream="door"}'] == 1
    assert found['infilink_agent_level{level="full",stream="mic"}'] == 1
    assert found['infilink_agent_left_out_total{stream="door"}'] == 7
    assert found['infilink_agent_temperature_celsius{stream="door"}'] == 71.5
    assert 'infilink_agent_temperature_celsius{stream="mic"}' not in found
