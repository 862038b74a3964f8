"""Where to cut real models: every cut's bytes and times, and the best one over a slow, a middling and a fast link.

Needs the data folder that tests/real uses. Frames are from one clip; times are of one thread of this machine, and the
device is taken to be four times as slow.

python tests/bench/bench_partition.py [MODEL ...]
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from infilink.device.split_cli import describe, sample_frames
from infilink.models.split.cuts import OFFLOAD, ON_DEVICE, CutTable, choose, measure_cuts
from infilink.units import format_bytes, format_link, parse_link
from real.data import find_data, link_models

MODELS = ("yolox_nano_416x416", "mobilenet_v2_quant")
CLIP = "lobby_person"
LINKS = ("1Mbit", "10Mbit", "100Mbit")
SLOWDOWN = 4.0
INPUTS = 8


def show(table: CutTable) -> None:
    print(f"\n### {table.model}: {table.inputs} frames of {table.seen}, one thread\n")
    print(
        f"A frame: raw {format_bytes(table.picture_bytes)}, as the model takes it {format_bytes(table.input_bytes)}, "
        f"JPEG {format_bytes(table.jpeg.sent_bytes)}. The whole model: {table.whole_s * 1e3:.1f} ms.\n"
    )
    print("| cut at | map | float32 | uint8 | uint8+zlib | of the JPEG | ms before | ms after | agreement as uint8 |")
    print("|---|---|---|---|---|---|---|---|---|")
    for cut in table.cuts:
        sizes = [form.sent_bytes for form in cut.forms.values()]
        cells = [cut.tensor, "x".join(map(str, cut.shape[1:])), format_bytes(cut.float_bytes)]
        cells += [*map(format_bytes, sizes), f"{sizes[-1] / table.jpeg.sent_bytes:.2f}"]
        cells += [f"{cut.head_s * 1e3:.1f}", f"{cut.tail_s * 1e3:.1f}", f"{cut.agreement:.3f}"]
        print("| " + " | ".join(cells) + " |")
    print(f"\nThe device {SLOWDOWN:g} times as slow:\n")
    print("| link | least latency | most throughput | on the device | offload | best cut |")
    print("|---|---|---|---|---|---|")
    for text in LINKS:
        choice = choose(table, parse_link(text), device_slowdown=SLOWDOWN)
        ends = {place.where: place for place in choice.placings if place.where in (ON_DEVICE, OFFLOAD)}
        cut = min((p for p in choice.placings if p.where not in ends), key=lambda place: place.latency_s)
        cells = [format_link(choice.link_bps), describe(choice.latency), describe(choice.throughput)]
        cells += [f"{ends[name].latency_s * 1e3:.1f} ms" for name in (ON_DEVICE, OFFLOAD)]
        print("| " + " | ".join([*cells, describe(cut)]) + " |", flush=True)


def main(models: list[str]) -> None:
    data = find_data()
    if data is None:
        print("skipped: no data folder (set INFILINK_DATA)")
        return
    source = next((data / "video").glob(f"{CLIP}.*"))
    frames, seen = sample_frames(None, str(source), INPUTS)
    with tempfile.TemporaryDirectory() as folder:
        for name in models:
            path = link_models(data, Path(folder), [name]) / f"{name}.onnx"
            show(measure_cuts(path, frames, seen=seen))


if __name__ == "__main__":
    main(sys.argv[1:] or list(MODELS))
