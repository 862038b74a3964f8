"""What sounds take on the wire, and what it costs to write and to read them: raw, FLAC and Opus side by side.

    python tests/bench/modalities/bench_sounds.py FOLDER [--files 200] [--rounds 5]

FOLDER holds WAV files of 16 bits in one channel. Each way is timed in processor seconds, in turns, several rounds; the
median round counts. Errors of Opus are a share of the sound's own power, over each file's samples.
"""

import argparse
import statistics
import time
import wave
from pathlib import Path

import numpy as np
from infilink.models.inputs.form import InputForm
from infilink.models.inputs.payload import open_payload
from infilink.protos import edge_pb2
from infilink.protos.payloads import write_array_payload
from infilink.protos.sounds import write_flac, write_opus


def read_wav(path: Path) -> tuple[np.ndarray, int]:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16), file.getframerate()


def read(encoding: int, payload: bytes, form: InputForm) -> np.ndarray:
    opened = open_payload(encoding, payload, form)
    value = np.empty(opened.shape, opened.dtype)
    opened.read(value)
    return value


WAYS = {
    "raw": (edge_pb2.ENCODING_ARRAY, lambda sound, rate: write_array_payload(sound)),
    "flac": (edge_pb2.ENCODING_FLAC, write_flac),
    "opus": (edge_pb2.ENCODING_OPUS, write_opus),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    paths = sorted(given.folder.glob("*.wav"))
    sounds = [read_wav(path) for path in paths[:: max(1, len(paths) // given.files)]]
    seconds = sum(len(sound) / rate for sound, rate in sounds)
    times: dict[tuple[str, str], list[float]] = {}
    payloads: dict[str, list[bytes]] = {}
    for _ in range(given.rounds):
        for name, (encoding, write) in WAYS.items():
            began_s = time.process_time()
            payloads[name] = [write(sound, rate) for sound, rate in sounds]
            times.setdefault((name, "write"), []).append(time.process_time() - began_s)
            began_s = time.process_time()
            for payload, (_, rate) in zip(payloads[name], sounds, strict=True):
                read(encoding, payload, InputForm(modality="audio", rate_hz=rate))
            times.setdefault((name, "read"), []).append(time.process_time() - began_s)
    print(f"{len(sounds)} sounds, {seconds:.0f} s")
    for name, (encoding, _) in WAYS.items():
        size = sum(map(len, payloads[name])) / len(sounds)
        write_ms, read_ms = (1e3 * statistics.median(times[name, what]) / len(sounds) for what in ("write", "read"))
        lost = []
        for payload, (sound, rate) in zip(payloads[name], sounds, strict=True):
            found = read(encoding, payload, InputForm(modality="audio", rate_hz=rate))
            power = float(np.square(sound.astype(float)).sum()) or 1.0
            lost.append(float(np.square(found.astype(float) - sound).sum()) / power)
        took = f"written in {write_ms:.3f} ms, read in {read_ms:.3f} ms"
        print(f"{name}: {size:.0f} bytes, {took}, error {np.median(lost):.3f}")


if __name__ == "__main__":
    main()
