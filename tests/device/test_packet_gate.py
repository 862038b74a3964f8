"""The agent with a packet gate: every input has its results, most are never decoded, and what that loses is found."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from infilink.codec import decode_jpeg
from infilink.device.config import DeviceConfig
from infilink.device.decode_budget import DecodeBudget
from infilink.device.held_answers import HeldAnswers
from infilink.device.packet_watch import PacketWatch
from infilink.device.results_read import Results
from infilink.device.sources.base import Input
from infilink.device.sources.open import open_source
from infilink.device.stream_run import StreamRun
from infilink.errors import InvalidInput
from infilink.filters.gates.base import Substitute
from infilink.filters.packets.at_work import Gating
from infilink.filters.packets.gate import Choice
from infilink.filters.packets.spec import load_packets
from infilink.models.spec import read_spec
from infilink.outputs import OutputSpec

from ..clips import Stream, brightness, write_clip
from ..filters.made import write_packets
from .coordinator import result

FRAMES = 60
GROUP = 10
NOTHING = np.zeros((0, 0, 3), np.uint8)
CHOSEN, LEFT_OUT, LOOKED_AT = Choice(True, 0.0, 1.0, 0.1), Choice(False, 0.0, 0.0, 0.1), Choice(False, 0.1, 0.0, 0.1)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("v")
    return write_clip(folder / "v.mp4", frames=FRAMES, g=str(GROUP), bf="0", sc_threshold="0")


@pytest.fixture
def packets(tmp_path):
    return write_packets(tmp_path / "packets.onnx")


def run(clip, start_coordinator, tiny_models, tmp_path, **settings):
    spec = read_spec(tiny_models / "bright.onnx")

    def answer(message):
        return result(message.sequence, bright=float(decode_jpeg(message.payload).mean()))

    coordinator = start_coordinator({"bright": spec}, answer=answer)
    values = {
        "name": "yard",
        "source": str(clip),
        "pace": "max",
        "queue": "all",
        "coordinator": coordinator.address,
        "results": tmp_path / "r.sqlite",
    }
    summary = StreamRun(DeviceConfig.model_validate(values | settings)).run()
    with Results(tmp_path / "r.sqlite") as results:
        served = [float(value[0]) for value in results.served("bright")]
        return summary, served, results.origins("bright")


def test_what_is_not_decoded_has_the_answer_of_the_last_key_picture(
    clip, packets, start_coordinator, tiny_models, tmp_path
):
    summary, served, origins = run(
        clip, start_coordinator, tiny_models, tmp_path, packets={"gate": packets, "explore": 0.0}
    )
    assert (summary.frames, summary.kept, summary.answered) == (FRAMES, FRAMES // GROUP, FRAMES // GROUP)
    assert served == pytest.approx([brightness(number // GROUP * GROUP) for number in range(FRAMES)], abs=5)
    assert origins == (["executed"] + ["reused"] * (GROUP - 1)) * (FRAMES // GROUP)
    assert summary.packets is not None
    assert summary.packets.undecoded == FRAMES - FRAMES // GROUP and 0 < summary.packets.saved < 1


def test_a_filter_behind_it_answers_for_them_too(clip, packets, start_coordinator, tiny_models, tmp_path):
    summary, served, _ = run(
        clip, start_coordinator, tiny_models, tmp_path, packets={"gate": packets, "explore": 0.0}, gate="first"
    )
    assert summary.kept == 1 and served == pytest.approx([brightness(0)] * FRAMES, abs=5)


def test_one_of_so_many_inputs_leaves_none_out_that_was_decoded_for_its_own_sake(
    clip, packets, start_coordinator, tiny_models, tmp_path
):
    summary, served, origins = run(
        clip, start_coordinator, tiny_models, tmp_path, packets={"gate": packets, "explore": 0.0}, every=4
    )
    assert summary.kept == FRAMES // GROUP and origins.count("executed") == FRAMES // GROUP
    wanted = sorted({*range(0, FRAMES, 4), *range(0, FRAMES, GROUP)})
    assert served == pytest.approx([brightness(number // GROUP * GROUP) for number in wanted], abs=5)


def test_groups_that_are_decoded_whole_show_what_is_lost(clip, packets, start_coordinator, tiny_models, tmp_path):
    summary, served, origins = run(
        clip, start_coordinator, tiny_models, tmp_path, packets={"gate": packets, "explore": 1.0}
    )
    assert summary.kept == FRAMES and set(origins) == {"executed"}
    assert served == pytest.approx([brightness(number) for number in range(FRAMES)], abs=5)
    assert summary.packets is not None and summary.packets.undecoded == 0
    found = summary.packets.audit
    assert found is not None and found.audited == FRAMES - FRAMES // GROUP and found.error is not None
    assert found.error > 0.1


def test_a_live_stream_gives_them_in_order_with_their_times(packets):
    clip = write_clip(packets.parent / "v.ts", frames=30, g="10", bf="2")
    spec = load_packets(packets)
    with Stream(clip.read_bytes()) as stream, open_source(stream.address, gating=Gating(spec.policy)) as source:
        taken = []
        for each in source:
            taken.append(each)
            if len(taken) == 25:
                break
    assert [each.sequence for each in taken] == list(range(25))
    assert [each.captured_s for each in taken] == sorted(each.captured_s for each in taken)
    decoded = [each for each in taken if each.decoded]
    assert [each.sequence for each in decoded] == [0, 10, 20] and all(
        not each.value.size for each in taken if not each.decoded
    )
    assert [round(float(each.value.mean())) for each in decoded] == pytest.approx(
        [brightness(number) for number in (0, 10, 20)], abs=8
    )


def test_what_has_no_packets_is_refused(packets):
    gating = Gating(load_packets(packets).policy)
    for source in ("0", "call(x.py:y)", [1, 2]):
        with pytest.raises(InvalidInput, match=r"\[packets\].*videos and network streams"):
            open_source(source, gating=gating)


def watch(packets, **changes):
    said, steered = [], []
    spec = load_packets(packets)
    found = PacketWatch(
        "p.onnx",
        spec.model_copy(update=changes),
        explore=0.1,
        judge=said.append,
        steer=lambda threshold, whole: steered.append(whole),
    )
    found.serve({"bright": OutputSpec(kind="scalar")})
    return found, said, steered


def value(number):
    return {"bright": np.asarray([number], np.float32)}


def test_a_chosen_input_says_whether_the_answer_before_it_still_was_right(packets):
    found, said, _ = watch(packets)
    for sequence, kept in ((0, True), (5, True), (9, True)):
        found.take(sequence, CHOSEN, {}, None, kept=kept)
    found.answered(5, value(2.0))
    assert not said
    found.answered(0, value(2.0))
    found.answered(9, value(50.0))
    assert said[0] == 0.0 and said[1] > 0.9
    found.take(12, CHOSEN, {"bright": Substitute()}, 9, kept=False)
    assert said[2] == 0.0
    found.take(15, CHOSEN, {}, None, kept=True)
    found.unanswered(15)
    found.answered(15, value(1.0))
    assert len(said) == 3


def test_a_gate_that_loses_more_than_it_promised_is_stopped_and_let_go_again(packets, caplog):
    found, _, steered = watch(packets)
    number = 0

    def group(lost):
        nonlocal number
        for place in range(10):
            found.take(number, CHOSEN if not place else LOOKED_AT, {}, None, kept=True)
            found.answered(number, value(100.0 * lost * (place > 0)))
            number += 1

    with caplog.at_level(logging.WARNING):
        while not steered:
            group(lost=1.0)
        assert steered == [True] and not found.trusted and "loses more than the 0.100" in caplog.text
        while len(steered) < 2:
            group(lost=0.0)
    assert steered == [True, False] and "keeps its promise again" in caplog.text and number < 60_000


def test_held_answers_are_those_of_the_last_input_that_was_looked_at():
    held = HeldAnswers()
    held.serve(["a", "b"])
    taken = Input(7, 1.0, NOTHING, choice=LEFT_OUT)
    assert held.rows(taken, {}, trusted=True) == ()
    own = Substitute("local", np.asarray([3.0]), 0.5, True)
    held.take(5, {"b": own}, None, kept=True)
    first, second = held.rows(taken, {"a": 0.8, "b": 0.8}, trusted=True)
    assert (first.reference, first.value, first.confidence, first.trusted) == (5, None, 0.8, True)
    assert second.value is own.value and second.confidence == pytest.approx(0.4) and second.origin == "reused"
    held.take(6, {"a": Substitute("reused", None, 0.9, False), "b": own}, 5, kept=False)
    first, _ = held.rows(replace(taken, sequence=8), {"a": 0.8}, trusted=True)
    assert first.reference == 5 and first.confidence == pytest.approx(0.72) and not first.trusted


def test_streams_with_one_budget_pay_one_price():
    now_s = [0.0]
    budget = DecodeBudget(clock=lambda: now_s[0])
    # Two cameras: packets of one take ten times as long; doubts are alike.
    draw = np.random.default_rng(0)
    seats = [budget.join(0.2, 0.05) for _ in range(2)]
    costs, totals = (0.01, 0.001), [[0.0, 0.0], [0.0, 0.0]]
    for turn in range(120):
        now_s[0] += 1.0
        for seat, cost_s, total in zip(seats, costs, totals, strict=True):
            scores = draw.random(25)
            if turn == 60:
                total[:] = [0.0, 0.0]
                seat._last = (0.0, 0.0)
            total[0] += cost_s * float((scores > seat.threshold).sum())
            total[1] += cost_s * 25
            seat.spend(total[0], total[1], 25 * (turn % 60 + 1))
    spent = [total[0] / total[1] for total in totals]
    assert sum(total[0] for total in totals) / sum(total[1] for total in totals) == pytest.approx(0.2, abs=0.05)
    assert spent[1] > 3 * spent[0] and seats[0].threshold == pytest.approx(10 * seats[1].threshold, rel=1e-6)
    for seat in seats:
        seat.close()
        seat.close()
