"""Where to cut: the choice against every placing computed by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.models.split.cuts import OFFLOAD, ON_DEVICE, Cut, CutTable, PackCost, choose


def make_table(cuts, *, jpeg_bytes=50_000, whole_s=0.1):
    """Cuts by name: bytes, seconds before and after."""
    made = tuple(
        Cut(name, (1, 8, 4, 4), "float32", 4 * size, {"uint8": PackCost(size, 0.001, 0.001)}, head_s, tail_s, 1.0)
        for name, (size, head_s, tail_s) in cuts.items()
    )
    return CutTable("tiny", 1, "noise", 1e6, 1000, PackCost(jpeg_bytes, 0.002, 0.002), whole_s, made)


def test_a_slow_link_keeps_the_model_on_the_device_and_a_fast_one_offloads_it():
    table = make_table({"early": (100_000, 0.02, 0.08), "late": (5_000, 0.08, 0.02)})
    assert choose(table, 1e3, device_slowdown=4).latency.where == ON_DEVICE
    assert choose(table, 1e9, device_slowdown=4).latency.where == OFFLOAD
    # 5 kB take 40 ms at 1 Mbit/s, a JPEG 400 ms; the device needs 80 ms of its 100 for it.
    assert choose(table, 1e6, device_slowdown=1).latency.where == ON_DEVICE
    middle = choose(table, 1e6, device_slowdown=2)
    assert (middle.latency.where, middle.throughput.where) == (ON_DEVICE, "late")
    assert middle.latency.latency_s == pytest.approx(0.2)
    assert middle.throughput.inputs_per_s == pytest.approx(1 / 0.162)


TIMES = st.floats(0.001, 1)
CUTS = st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(1, 10**6), TIMES, TIMES), max_size=5)


@given(CUTS, st.floats(1e3, 1e9), st.floats(0.1, 100))
def test_the_choice_is_the_best_of_all(cuts, link_bps, slowdown):
    table = make_table(cuts)
    latencies = {ON_DEVICE: slowdown * 0.1, OFFLOAD: slowdown * 0.002 + 8 * 50_000 / link_bps + 0.102}
    slowest = {ON_DEVICE: slowdown * 0.1, OFFLOAD: max(slowdown * 0.002, 8 * 50_000 / link_bps, 0.102)}
    for name, (size, head_s, tail_s) in cuts.items():
        stages = slowdown * (head_s + 0.001), 8 * size / link_bps, tail_s + 0.001
        latencies[name], slowest[name] = sum(stages), max(stages)
    chosen = choose(table, link_bps, device_slowdown=slowdown)
    assert chosen.latency.latency_s == pytest.approx(min(latencies.values()))
    assert latencies[chosen.latency.where] == pytest.approx(chosen.latency.latency_s)
    assert chosen.throughput.inputs_per_s == pytest.approx(1 / min(slowest.values()))
    assert len(chosen.placings) == 2 + len(cuts)


@pytest.mark.parametrize(("link_bps", "slowdown"), [(0, 1), (1e6, 0), (1e6, float("nan"))])
def test_nonsense_is_refused(link_bps, slowdown):
    with pytest.raises(InvalidInput, match="must be above 0"):
        choose(make_table({}), link_bps, device_slowdown=slowdown)
