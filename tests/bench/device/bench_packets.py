"""What a packet gate saves and costs on real clips, one by one, and on many streams that share one core.

python tests/bench/device/bench_packets.py [--folder KEPT] [--only clips|site|speed] (needs the data of tests/real)

A clip's first 30 % are learnt from, the threshold is chosen on the next 30 %, all figures are of the last 40 %. The
costs are the processor's time, one thread. "In hindsight" is a gate that knows what holding loses, at its best
threshold on the part that is judged. Clips whose groups of pictures are too long to learn from are encoded again with a
key picture each second and no B pictures, as fixed cameras send them; that is said.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from infilink.device.sources.container import Video
from infilink.device.sources.gated import GatedDecoder
from infilink.errors import NotCertified
from infilink.filters.packets.at_work import AtWork
from infilink.filters.packets.candidates import examples, policies, sweep
from infilink.filters.packets.evaluate import KEYS, answers_on, measure_packet_baselines, outcome_of
from infilink.filters.packets.features import NAMES
from infilink.filters.packets.gate import PacketGate
from infilink.filters.packets.held import HeldLosses
from infilink.filters.packets.meter import DecodeMeter
from infilink.filters.packets.packet import Packet
from infilink.filters.packets.policy import PacketCosts, PacketPolicy, fit_weights
from infilink.filters.packets.recording import PacketRecording, read_packets
from infilink.filters.packets.replay import play, play_gate
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.losses import Losses
from infilink.filters.training.selection import choose
from infilink.traces.trace import Trace
from real.data import find_data, link_models

MODEL = "yolox_nano"
ACCURACY = 0.9
LEARNT, CHOSEN = 0.3, 0.6
LEAST_GROUPS = 10
TRIES = 5
CLIPS = {
    "lobby_person": ("count(person) == 0", "unchanged"),
    "shop_produce": ("count(person) == 0", "unchanged"),
    "shop_aisle": ("count(person) == 0", "unchanged"),
    "parking_cars": ("count(car) == 0", "unchanged"),
    "traffic_road": ("count(car) == 0", "unchanged"),
    "table_bottles": ("unchanged",),
    "campus_pedestrians": ("unchanged",),
}
SITE = (
    *(f"jamcam_{number}" for number in range(1, 9)),
    *(f"motorway_{name}" for name in ("foreste", "milanoest", "salitona", "tunnelligure")),
)
SITE_RULES = ("unchanged", "count(person) == 0")
PRICES = np.geomspace(3e-3, 1.0, 26)


@dataclass(frozen=True)
class Clip:
    """A clip with its trace and packets.

    Attributes:
        name: of it, with how it was encoded again if it was.
        path: the video whose packets are chosen from.
        trace: what the model says of each picture.
        recording: the packets.
    """

    name: str
    path: Path
    trace: Trace
    recording: PacketRecording

    def held(self, rule: str) -> HeldLosses:
        """What holding loses by a rule."""
        return HeldLosses(Losses(self.trace, (MODEL,), parse_rule(rule)))

    def start_near(self, share: float) -> int:
        """The first packet of the group that begins nearest a share of all."""
        starts = self.recording.starts
        return int(starts[np.argmin(np.abs(starts - share * len(self.recording.packets)))])


def open_clip(data: Path, folder: Path, name: str, *, again: bool | None = None) -> Clip:
    """A clip, recorded if it was not yet; encoded again if that is asked for or its groups are too few (None)."""
    source = next((data / "video").rglob(f"{name}.*"))
    trace = folder / f"{name}.trace"
    if not trace.exists():
        models = link_models(data, folder / "models", ["yolox_nano_416x416"])
        command = [sys.executable, "-m", "infilink.cli", "record", "--models", str(models), "--source", str(source)]
        subprocess.run([*command, "--out", str(trace)], check=True, stdout=subprocess.DEVNULL)
    recorded = Trace(trace)
    found = Clip(name, source, recorded, read_packets(source, recorded))
    if again is True or (again is None and len(found.recording.starts) < LEAST_GROUPS):
        path = encode_again(source, folder / f"{name}.again.mp4", recorded)
        found = Clip(f"{name} (again)", path, recorded, read_packets(path, recorded))
    return found


def encode_again(source: Path, path: Path, trace: Trace) -> Path:
    """The same pictures as a fixed camera sends them: H.264, a key picture each second, no B pictures."""
    if path.exists():
        return path
    fps, base = trace.info.fps, Fraction(1, 90_000)
    group = str(max(1, round(fps)))
    options = {"g": group, "keyint_min": group, "bf": "0", "sc_threshold": "0", "crf": "26", "preset": "veryfast"}
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        encoder = out.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000), options=options)
        encoder.width, encoder.height = (side // 2 * 2 for side in (stream.width, stream.height))
        encoder.pix_fmt = "yuv420p"
        encoder.codec_context.time_base = encoder.time_base = base
        for frame, shown_s in zip(container.decode(stream), trace.captured_s.tolist(), strict=False):
            picture = frame.reformat(encoder.width, encoder.height, "yuv420p")
            picture.pts, picture.time_base, picture.pict_type = round(shown_s / base), base, 0
            out.mux(encoder.encode(picture))
        out.mux(encoder.encode(None))
    return path


def judge(clip: Clip, rule: str) -> list[str]:
    """A row per choice of one clip: what decoding it saves and what that costs."""
    recording, held = clip.recording, clip.held(rule)
    stop = len(recording.packets)
    learnt, chosen = clip.start_near(LEARNT), clip.start_near(CHOSEN)
    keys = play(recording, lambda _, packet: packet.key, held, chosen, stop)
    answers = answers_on(clip.trace, held, keys)
    sweeps = [
        sweep(name, policy, recording, held, learnt, chosen)
        for name, policy in policies(recording, held, 0, learnt, 0).items()
    ]
    rows = []
    title = f"{clip.name}, `{rule}`, {len(recording.starts)} groups of {recording.group:.0f}"
    try:
        choice = choose(sweeps, accuracy=ACCURACY)
    except NotCertified:
        rows.append(f"| {title} | nothing keeps {ACCURACY:g} on the first part: all is decoded | 0.000 | 1.000 | | |")
        saved = 0.0
    else:
        policy = next(each.policy for each in sweeps if each.name == choice.name)
        assert policy is not None
        policy = replace(policy, threshold=choice.threshold)
        found = play_gate(recording, PacketGate(policy), held, chosen, stop)
        proven = "certified" if choice.certificate.certified else "not certified"
        rows.append(row(title, f"**{choice.name}** ({proven})", outcome_of(found, answers)))
        saved = found.saved
    for each in measure_packet_baselines(recording, held, answers, saved=saved, start=chosen):
        rows.append(f"| | {each.name} | {each.rate:.3f} | {each.accuracy:.3f} | {events_of(each.events)} |")
    rows.append(f"| | in hindsight | {hindsight(recording, held, chosen, stop):.3f} | {ACCURACY:.3f} | | |")
    return rows


def row(title: str, name: str, found: object) -> str:
    """A row of what came of a choice."""
    return f"| {title} | {name} | {1 - found.sent:.3f} | {found.accuracy:.3f} | {events_of(found.events)} |"  # type: ignore[attr-defined]


def events_of(score: object) -> str:
    """The cells of events: found, and the median delay."""
    return f"{score.found}/{score.events} | {score.delay_p50_s:.1f}"  # type: ignore[attr-defined]


def hindsight(recording: PacketRecording, held: HeldLosses, start: int, stop: int) -> float:
    """The most that a gate saves that knows what holding loses, over its cost, at the accuracy."""
    best = 0.0
    for price in PRICES.tolist():
        behind, last = [0.0], [-1]

        def take(number: int, packet: Packet, price: float = price, behind=behind, last=last) -> bool:  # type: ignore[no-untyped-def]
            current = int(recording.inputs[number])
            cost = recording.costs.of(key=packet.key, reference=packet.reference)
            behind[0] = 0.0 if packet.key else behind[0]
            lost = 1.0 if last[0] < 0 else held.one(last[0], current)
            if current >= 0 and lost / (cost + behind[0]) > price:
                behind[0], last[0] = 0.0, current
                return True
            behind[0] += cost if packet.reference else 0.0
            return False

        played = play(recording, take, held, start, stop)
        if played.accuracy >= ACCURACY:
            best = max(best, played.saved)
    return best


def site(clips: list[Clip], rule: str) -> None:
    """Many cameras with one policy and one price, on one core, beside decoding everything."""
    rules = [clip.held(rule) for clip in clips]
    halves = [clip.start_near(0.5) for clip in clips]
    rows = [
        examples(clip.recording, held, 0, half, seed=0) for clip, held, half in zip(clips, rules, halves, strict=True)
    ]
    weights = fit_weights(np.concatenate([x for x, _ in rows]), np.concatenate([y for _, y in rows]))
    best: tuple[float, float] | None = None
    for price in PRICES.tolist():
        played = [
            play_gate(clip.recording, PacketGate(policy_of(clip, weights, price)), held, 0, half)
            for clip, held, half in zip(clips, rules, halves, strict=True)
        ]
        accuracy = float(np.mean([each.accuracy for each in played]))
        if accuracy >= ACCURACY:
            best = (price, accuracy)
    print(f"\n### One core, {len(clips)} cameras at 25 pictures a second, `{rule}`\n")
    print("| choice | decoding saved | accuracy | streams on one core |\n|---|---|---|---|")
    length_s = sum(float(clip.trace.captured_s[-1]) for clip in clips)
    choices: dict[str, Callable[[Clip], PacketPolicy | None]] = {
        "everything": lambda _: None,
        KEYS: keys_of,
    }
    if best is not None:
        price = best[0]
        choices["the gate"] = lambda clip: policy_of(clip, weights, price)
    took_s = dict.fromkeys(choices, 0.0)
    for clip in clips:
        # One beside the other, as other programs take more of the caches at one time than at another.
        tries = [{name: decode(clip, make(clip)) for name, make in choices.items()} for _ in range(TRIES)]
        for name in choices:
            took_s[name] += min(each[name] for each in tries)
    for name, make in choices.items():
        saved, accuracy = 0.0, 1.0
        if make(clips[0]) is not None:
            played = [
                play_gate(clip.recording, PacketGate(policy), held, half, len(clip.recording.packets))
                for clip, held, half in zip(clips, rules, halves, strict=True)
                if (policy := make(clip)) is not None
            ]
            saved = float(np.mean([each.saved for each in played]))
            accuracy = float(np.mean([each.accuracy for each in played]))
        print(f"| {name} | {saved:.3f} | {accuracy:.3f} | {length_s / took_s[name]:.0f} |", flush=True)
    print("\nThreshold and weights by the cameras' first halves, decoding saved and accuracy on the others; streams by")
    print("the processor's time from the container to BGR pictures, demultiplexer and gate included, over whole clips.")


def policy_of(clip: Clip, weights: tuple[float, ...], price: float) -> PacketPolicy:
    """One policy for all, at a price for a second of decoding (as a share of the mean camera's)."""
    return PacketPolicy(weights, clip.recording.costs, keys_only=False, threshold=price)


def keys_of(clip: Clip) -> PacketPolicy:
    """Every key picture."""
    return PacketPolicy((0.0,) * len(NAMES), clip.recording.costs, keys_only=True, threshold=0.0)


def decode(clip: Clip, policy: PacketPolicy | None) -> float:
    """The processor's time for a clip, from its container to BGR pictures."""
    begun_s = time.process_time()
    video = Video(str(clip.path), threads="SLICE", thread_count=1)
    if policy is None:
        frames = video.frames()
    else:
        at_work = AtWork(PacketGate(policy), DecodeMeter(policy.costs))
        shown = GatedDecoder(video, at_work).frames(video.packets())
        frames = (each.frame for each in shown if each.frame is not None)
    for frame in frames:
        video.picture(frame)
    video.close()
    return time.process_time() - begun_s


def speed() -> None:
    """What a decision takes."""
    costs = PacketCosts(key=3.0, reference=1.0, free=0.5, mean_s=0.001)
    gate = PacketGate(PacketPolicy((-2.0, *(0.1,) * (len(NAMES) - 1)), costs, keys_only=False, threshold=0.1))
    packets = [Packet(500 + number % 97, number % 25 == 0, True, number / 25) for number in range(20_000)]
    took = []
    for packet in packets:
        begun = time.perf_counter_ns()
        gate.take(packet)
        took.append(time.perf_counter_ns() - begun)
    p50, p99 = np.percentile(took, (50, 99)) / 1000
    print(f"\n### A decision\n\n{p50:.1f} us median, {p99:.1f} us 99th percentile, on {len(packets)} packets")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--only", choices=("clips", "site", "speed"), default=None)
    asked = parser.parse_args()
    data = find_data()
    if asked.only in (None, "speed"):
        speed()
    if data is None:
        print("skipped: no data folder (set INFILINK_DATA)")
        return
    folder = asked.folder or Path(tempfile.mkdtemp())
    if asked.only in (None, "clips"):
        print(f"\n### At an accuracy of {ACCURACY:g}\n")
        print("| clip | choice | decoding saved | accuracy | events found | delay, s |\n|---|---|---|---|---|---|")
        for name, rules in CLIPS.items():
            clip = open_clip(data, folder, name)
            for rule in rules:
                print("\n".join(judge(clip, rule)), flush=True)
    if asked.only in (None, "site"):
        clips = [open_clip(data, folder, name, again=name.startswith("jamcam")) for name in SITE]
        for rule in SITE_RULES:
            site(clips, rule)


if __name__ == "__main__":
    main()
