"""Sounds as FLAC and Opus: what is written is read, and whatever else the bytes are is refused within bounds."""

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.outputs import Array
from infilink.protos import sounds
from infilink.protos.sounds import OPUS_RATES_HZ, Codec, decode, read_header, write_flac, write_opus


def tone(samples: int, rate_hz: int) -> Array:
    return np.rint(9000 * np.sin(2 * np.pi * 440 * np.arange(samples) / rate_hz)).astype(np.int16)


def read(codec: Codec, payload: bytes) -> Array:
    header = read_header(codec, payload)
    if header.samples > 2**20:
        raise InvalidInput("more than a reader takes")
    found = np.empty(header.samples, np.int16)
    decode(header, found)
    return found


FLAC, OPUS = write_flac(tone(4000, 8000), 8000), write_opus(tone(4000, 8000), 8000)


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 44100, 48000, 192000])
@pytest.mark.parametrize("samples", [1, 577, 4000, 100_000])
def test_flac_is_exact_whatever_its_rate_and_length(rate_hz: int, samples: int) -> None:
    sound = np.random.default_rng(samples).integers(-(2**15), 2**15, samples).astype(np.int16)
    payload = write_flac(sound, rate_hz)
    assert (read_header("flac", payload).rate_hz, read_header("flac", payload).samples) == (rate_hz, samples)
    np.testing.assert_array_equal(read("flac", payload), sound)


@pytest.mark.parametrize("rate_hz", OPUS_RATES_HZ)
@pytest.mark.parametrize("samples", [1, 577, 4000, 100_000])
def test_opus_has_the_samples_and_the_rate_that_were_given(rate_hz: int, samples: int) -> None:
    payload = write_opus(tone(samples, rate_hz), rate_hz)
    assert (read_header("opus", payload).rate_hz, read_header("opus", payload).samples) == (rate_hz, samples)
    assert len(read("opus", payload)) == samples


@pytest.mark.parametrize("rate_hz", OPUS_RATES_HZ)
def test_opus_sounds_alike_and_at_the_same_time(rate_hz: int) -> None:
    sound = tone(2 * rate_hz, rate_hz)
    found = read("opus", write_opus(sound, rate_hz))
    middle = slice(rate_hz // 2, rate_hz)
    difference = found[middle].astype(float) - sound[middle]
    assert np.square(difference).mean() < 0.1 * np.square(sound[middle].astype(float)).mean()


def test_what_can_not_be_written_is_refused() -> None:
    for bad in (np.zeros(0, np.int16), np.zeros(5, np.float32), np.zeros((5, 1), np.int16)):
        with pytest.raises(InvalidInput, match="a sound is int16"):
            write_flac(bad, 8000)
    with pytest.raises(InvalidInput, match=r"`rate_hz`: Opus takes 8000, .*, not 44100: send FLAC"):
        write_opus(tone(10, 44100), 44100)
    with pytest.raises(InvalidInput, match="`rate_hz`"):
        write_flac(tone(10, 8000), 0)


def flac_info(*, rate_hz: int = 8000, channels: int = 1, bits: int = 16, samples: int = 4000) -> bytes:
    """The same FLAC, which says that of itself."""
    packed = rate_hz << 44 | (channels - 1) << 41 | (bits - 1) << 36 | samples
    return FLAC[:18] + struct.pack(">Q", packed) + FLAC[26:]


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "is no FLAC"),
        (b"RIFF" + FLAC[4:], "is no FLAC"),
        (FLAC[:46], "headers are cut off"),
        (flac_info(channels=2), "2 channels, and one is taken"),
        (flac_info(bits=24), "24 bits, and 16 are taken"),
        (flac_info(samples=4001), "of 4000 samples, not of 4001"),
        (flac_info(samples=3999), "more than the 3999"),
        (flac_info(rate_hz=16000), "changes its form"),
        (FLAC[:-400], "flac that can't be read|samples, not of 4000"),
        (FLAC[:26] + b"\1" * 16 + FLAC[42:], "not those that it says"),
    ],
)
def test_flac_that_is_none_or_lies_is_refused(payload: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read("flac", payload)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "is no Opus"),
        (FLAC, "is no Ogg"),
        (OPUS[:-10], "cut off"),
        (OPUS[:200] + bytes([OPUS[200] ^ 1]) + OPUS[201:], "damaged"),
        (OPUS + OPUS, "several streams, or with pages missing"),
    ],
)
def test_opus_that_is_none_or_damaged_is_refused(payload: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read("opus", payload)


def ogg_page(number: int, lacing: bytes) -> bytes:
    """A page of Opus's, with as many bytes of nothing as its lengths say."""
    head = OPUS[:5] + bytes(9) + OPUS[14:18] + struct.pack("<I", number) + bytes(4) + bytes([len(lacing)]) + lacing
    body = bytes(sum(lacing))
    return head[:22] + sounds._ogg_sum(head + body) + head[26:] + body


@pytest.mark.parametrize(("pages", "lacing"), [(60, bytes([255] * 255)), (300, bytes(255))])
def test_opus_of_a_huge_packet_or_of_very_many_is_refused_at_once(pages: int, lacing: bytes) -> None:
    with pytest.raises(InvalidInput, match="a packet above 61456 bytes, or more than 65536"):
        read("opus", b"".join(ogg_page(number, lacing) for number in range(pages)))


@given(st.integers(0, max(len(FLAC), len(OPUS))), st.binary(min_size=1, max_size=8), st.booleans())
def test_a_damaged_sound_is_refused_or_has_the_samples_that_it_says(at: int, new: bytes, is_flac: bool) -> None:
    whole = FLAC if is_flac else OPUS
    damaged = whole[:at] + new + whole[at + len(new) :]
    with suppress(InvalidInput):
        assert read("flac" if is_flac else "opus", damaged).shape == (4000,)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    for codec, begins in (("flac", FLAC[:42]), ("opus", b""), ("opus", OPUS[:47])):
        with pytest.raises(InvalidInput, match=r"`payload`|reader"):
            read(codec, begins + data)  # type: ignore[arg-type]
