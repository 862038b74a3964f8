"""A packet gate at work: what it sees, what it charges, what it remembers of a group."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.filters.packets.features import NAMES, PacketFeatures
from infilink.filters.packets.gate import PacketGate
from infilink.filters.packets.meter import DecodeMeter
from infilink.filters.packets.packet import Packet
from infilink.filters.packets.policy import PacketCosts, PacketPolicy, fit_weights

COSTS = PacketCosts(key=4.0, reference=1.0, free=0.5, mean_s=0.001)
BY_BITS = PacketPolicy(
    tuple({"one": -4.0, "excess": 4.0}.get(name, 0.0) for name in NAMES), COSTS, keys_only=False, threshold=0.1
)


def stream(sizes, *, group=10, fps=10.0):
    """Packets of a stream; the first of each group is a key picture, ten times as large."""
    return [
        Packet(10 * size if number % group == 0 else size, number % group == 0, True, number / fps)
        for number, size in enumerate(sizes)
    ]


def chosen(gate, packets):
    return [number for number, packet in enumerate(packets) if gate.take(packet).chosen]


def test_a_still_scene_is_decoded_once_and_what_moves_is_seen():
    sizes = [100] * 60
    sizes[43:47] = [900] * 4
    found = chosen(PacketGate(BY_BITS), stream(sizes))
    assert found[0] == 0 and 43 <= found[1] <= 46


def test_sizes_count_against_what_is_usual():
    sizes = [100] * 60
    sizes[43:47] = [900] * 4
    few, many = (chosen(PacketGate(BY_BITS), stream([size * times for size in sizes])) for times in (1, 50))
    assert few == many


def test_references_that_were_skipped_are_charged():
    gate = PacketGate(replace(BY_BITS, weights=(0.0, *(0.0,) * (len(NAMES) - 1)), threshold=0.9))
    scores = [gate.take(packet).score for packet in stream([100] * 12)]
    # A doubt of one half over the cost: of the key picture, then of all that was skipped since.
    assert scores[:2] == pytest.approx([0.5 / 4, 0.5]) and scores[5] == pytest.approx(0.5 / 5)
    assert scores[10] == pytest.approx(0.5 / 4) and scores[11] == pytest.approx(0.5 / 5)
    gate = PacketGate(replace(BY_BITS, weights=gate.policy.weights, threshold=0.01))
    assert [gate.take(packet).score for packet in stream([100] * 3)] == pytest.approx([0.125, 0.5, 0.5])
    gate.rewind()
    assert gate.take(Packet(100, False, False, 0.3)).score == pytest.approx(0.5 / 6.5)


def test_a_group_that_is_lost_is_left_out_up_to_the_next_key_picture():
    gate = PacketGate(replace(BY_BITS, threshold=0.0))
    packets = stream([100] * 20)
    assert gate.take(packets[0]).decode
    gate.lose()
    gate.whole = True
    assert [gate.take(packet).decode for packet in packets[1:]] == [False] * 9 + [True] * 10


def test_groups_are_drawn_whole_and_the_policy_goes_on_in_them():
    packets = stream([100 + 7 * (number % 13) for number in range(2000)])
    plain, drawn = PacketGate(BY_BITS), PacketGate(BY_BITS, share=0.25, seed=3)
    choices = [drawn.take(packet) for packet in packets]
    assert [each.chosen for each in choices] == [plain.take(packet).chosen for packet in packets]
    groups = [{choice.share for choice in choices[start : start + 10]} for start in range(0, 2000, 10)]
    assert all(len(shares) == 1 for shares in groups)
    assert 0.15 < sum(0.25 in shares for shares in groups) / len(groups) < 0.35


def test_feedback_raises_the_doubt():
    features = PacketFeatures()
    before = features.feedback
    for _ in range(5):
        features.judged(1.0)
    assert features.feedback > 0.8 > before
    for _ in range(5):
        features.judged(0.0)
    assert features.feedback < before


@given(
    st.lists(
        st.tuples(st.integers(0, 2**40), st.booleans(), st.booleans(), st.floats(-1e9, 1e9)), min_size=1, max_size=50
    )
)
def test_whatever_comes_the_numbers_stay_finite(packets):
    gate = PacketGate(BY_BITS, share=0.5)
    for size, key, reference, time_s in packets:
        choice = gate.take(Packet(size, key, reference, time_s))
        assert math.isfinite(choice.score)
        gate.judged(1.0)
    assert all(map(math.isfinite, gate._features.vector()))


def test_a_decision_takes_a_few_microseconds():
    gate, packets = PacketGate(BY_BITS), stream([100 + number % 17 for number in range(2000)])
    begun_s = time.thread_time()
    for packet in packets:
        gate.take(packet)
    # A tenth of this is usual; bench_packets.py measures it.
    assert (time.thread_time() - begun_s) / len(packets) < 200e-6


def test_weights_are_those_that_losses_follow():
    draw = np.random.default_rng(0)
    features = np.concatenate([np.ones((4000, 1)), draw.normal(size=(4000, 2)), np.full((4000, 1), 5.0)], axis=1)
    losses = 1 / (1 + np.exp(-(features @ [-1.0, 2.0, -0.5, 0.0])))
    found = fit_weights(features, (draw.random(4000) < losses).astype(float))
    # A little nearer 0, as weights are held back.
    assert found[:3] == pytest.approx((-1.0, 2.0, -0.5), abs=0.5) and found[3] == 0.0


def test_what_was_not_decoded_is_charged_as_what_was():
    meter = DecodeMeter(COSTS)
    key, other, free = Packet(9, True, True, 0.0), Packet(1, False, True, 0.1), Packet(1, False, False, 0.2)
    for packet in (key, other, other, free, free):
        meter.seen(packet)
    assert meter.whole_s == meter.spent_s == 0.0
    meter._decoded, meter._measured, meter._took_s = [1, 2, 0], [1, 1, 0], [0.4, 0.1, 0.0]
    assert meter.spent_s == pytest.approx(0.4 + 2 * 0.1)
    # What no one has measured yet takes its share by the file: half of a reference's.
    assert meter.whole_s == pytest.approx(0.4 + 2 * 0.1 + 2 * 0.5 * 0.5 / 5)


def test_not_every_packet_is_timed():
    meter, packet = DecodeMeter(COSTS), Packet(1, False, True, 0.1)
    begun = []
    for _ in range(100):
        meter.seen(packet)
        begun.append(meter.begin(packet))
        meter.end(packet, begun[-1])
    assert None not in begun[:16] and begun.count(None) == 100 - 16 - 6
    assert meter.spent_s == meter.whole_s >= 0.0
