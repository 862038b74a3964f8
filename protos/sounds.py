"""Sounds on the wire: one channel of 16 bits as FLAC, which is exact, or as Opus in Ogg, which takes least.

What a sound will take is known from its headers before any memory is taken for it; no other decoders are ever run.
"""

import hashlib
import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import av
import numpy as np

from ..errors import InvalidInput
from ..outputs import Array

OPUS_RATES_HZ = (8000, 12000, 16000, 24000, 48000)
"""The rates that Opus knows: a sound of another is sent as FLAC."""
OPUS_BITS_PER_S = 24000
_DECODED_HZ = 48000
"""What Opus is decoded at, whatever it was before."""
_LONGEST_PACKET = 5760
# Opus's own: 48 frames of 1,275 bytes at most, and what says so. Of packets so many as a window has that is an input.
_MOST_PACKET_BYTES, _MOST_PACKETS = 48 * 1275 + 256, 2**16
_PIECE_BYTES = 2**16
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_FLAC_HZ = 655350

Codec = Literal["flac", "opus"]


@dataclass(frozen=True)
class SoundHeader:
    """What a sound says of itself.

    Attributes:
        codec: "flac" or "opus".
        rate_hz: its samples a second.
        samples: how many it has.
        extra: what its decoder is to know.
        packets: Opus: its packets; of FLAC the one stretch of bytes that holds them all.
        left_out: Opus: how many samples of its decoder come before the first.
        md5: FLAC: of its samples; empty: it does not say.
    """

    codec: Codec
    rate_hz: int
    samples: int
    extra: bytes
    packets: tuple[bytes, ...]
    left_out: int = 0
    md5: bytes = b""

    @property
    def decoder_bytes(self) -> int:
        """What is needed beside the samples while it is decoded."""
        return 0 if self.codec == "flac" else 2 * self.samples * (_DECODED_HZ // self.rate_hz)


def write_flac(samples: Array, rate_hz: int) -> bytes:
    """A sound as FLAC.

    Args:
        samples: int16 (samples,), at least one.
        rate_hz: samples a second.

    Raises:
        InvalidInput: they are no such samples, or FLAC has no such rate.
    """
    if not 1 <= rate_hz <= _FLAC_HZ:
        raise InvalidInput(f"`rate_hz`: FLAC takes 1 to {_FLAC_HZ}, not {rate_hz}")
    return _write(samples, rate_hz, codec="flac", container="flac")


def write_opus(samples: Array, rate_hz: int, *, bits_per_s: int = OPUS_BITS_PER_S) -> bytes:
    """A sound as Opus in Ogg: what is heard of it, not its very samples.

    Args:
        samples: int16 (samples,), at least one.
        rate_hz: samples a second, one of `OPUS_RATES_HZ`.
        bits_per_s: about how much it takes.

    Raises:
        InvalidInput: they are no such samples, or Opus has no such rate.
    """
    if rate_hz not in OPUS_RATES_HZ:
        raise InvalidInput(f"`rate_hz`: Opus takes {', '.join(map(str, OPUS_RATES_HZ))}, not {rate_hz}: send FLAC")
    return _write(samples, rate_hz, codec="libopus", container="ogg", bits_per_s=bits_per_s)


def read_header(codec: Codec, payload: bytes) -> SoundHeader:
    """What a payload says of its sound; nothing is decoded.

    Raises:
        InvalidInput: it is no such sound, has several channels, or other than 16 bits.
    """
    return _flac_header(payload) if codec == "flac" else _opus_header(payload)


def decode(header: SoundHeader, out: Array) -> None:
    """Decodes a sound.

    Args:
        header: the sound.
        out: int16 (samples,): where to.

    Raises:
        InvalidInput: it can't be decoded, or holds more or less than it says.
    """
    try:
        if header.codec == "flac":
            _decode_flac(header, out)
        else:
            _decode_opus(header, out)
    except InvalidInput:
        raise
    except (av.FFmpegError, ValueError, OverflowError) as error:
        raise InvalidInput(f"`payload`: is {header.codec} that can't be read: cut off or damaged") from error


def _write(samples: Array, rate_hz: int, *, codec: str, container: str, bits_per_s: int = 0) -> bytes:
    if samples.dtype != np.int16 or samples.ndim != 1 or not samples.size:
        raise InvalidInput(f"a sound is int16 (samples,), not {samples.dtype} {samples.shape}")
    buffer = io.BytesIO()
    # FLAC's headers are usually followed by 8 KiB of nothing.
    options = {"metadata_header_padding": "0", "fflags": "+bitexact"}
    with av.open(buffer, "w", format=container, options=options) as file:
        stream: Any = file.add_stream(codec, rate=rate_hz, layout="mono")
        stream.format = "s16"
        if bits_per_s:
            stream.bit_rate = bits_per_s
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate_hz, 0
        for part in (frame, None):
            for packet in stream.encode(part):
                file.mux(packet)
    return buffer.getvalue()


def _flac_header(payload: bytes) -> SoundHeader:
    if payload[:4] != b"fLaC" or len(payload) < 42 or payload[4] & 127 or payload[5:8] != b"\0\0\x22":
        raise InvalidInput("`payload`: is no FLAC")
    info = payload[8:42]
    (packed,) = struct.unpack(">Q", info[10:18])
    rate_hz, channels, bits = packed >> 44, (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1
    _check_channels("FLAC", channels)
    if bits != 16:
        raise InvalidInput(f"`payload`: is FLAC of {bits} bits, and 16 are taken")
    at, is_last = 4, False
    while not is_last and at < len(payload):
        is_last = bool(payload[at] & 128)
        at += 4 + int.from_bytes(payload[at + 1 : at + 4])
    if at >= len(payload):
        raise InvalidInput("`payload`: is FLAC whose headers are cut off")
    md5 = info[18:34]
    return SoundHeader("flac", rate_hz, packed & (1 << 36) - 1, info, (payload[at:],), md5=md5 if any(md5) else b"")


def _opus_header(payload: bytes) -> SoundHeader:
    packets, last = _ogg_packets(payload)
    if len(packets) < 2 or packets[0][:8] != b"OpusHead" or len(packets[0]) < 19 or packets[1][:8] != b"OpusTags":
        raise InvalidInput("`payload`: is no Opus in Ogg")
    head = packets[0]
    left_out, rate_hz, gain = struct.unpack("<HIh", head[10:18])
    _check_channels("Opus", head[9])
    if head[8] >> 4 or head[18] or gain:
        raise InvalidInput("`payload`: is Opus of another version, with a table of channels or a gain: none is taken")
    if rate_hz not in OPUS_RATES_HZ:
        raise InvalidInput(f"`payload`: is Opus of {rate_hz} Hz, not one of {', '.join(map(str, OPUS_RATES_HZ))}")
    sound = tuple(packets[2:])
    decoded, samples = sum(map(_packet_samples, sound)), last - left_out
    # Its end may be cut within its last packets, of which an encoder adds some for what it has delayed.
    if not 0 < samples <= decoded - left_out <= samples + 2 * _LONGEST_PACKET:
        raise InvalidInput(f"`payload`: is Opus that says {samples} samples and holds {decoded - left_out}")
    # Some decoders leave out by themselves what comes before the first sample, and others do not.
    extra = head[:10] + b"\0\0" + head[12:]
    return SoundHeader("opus", rate_hz, samples * rate_hz // _DECODED_HZ, extra, sound, left_out)


def _check_channels(name: str, channels: int) -> None:
    if channels != 1:
        raise InvalidInput(f"`payload`: is {name} of {channels} channels, and one is taken: mix them first")


def _ogg_packets(payload: bytes) -> tuple[list[bytes], int]:
    """The packets of the one stream in an Ogg file, and the position of its end."""
    packets: list[bytes] = []
    serial, open_packet, last = b"", b"", 0
    for page, header, lacing, body in _ogg_pages(payload):
        serial = serial or header[14:18]
        if header[14:18] != serial or struct.unpack("<I", header[18:22])[0] != page:
            raise InvalidInput("`payload`: is Ogg of several streams, or with pages missing")
        (position,) = struct.unpack("<q", header[6:14])
        last = max(last, position)
        start = 0
        for length in lacing:
            open_packet += body[start : start + length]
            start += length
            # Here, as putting a packet together takes a time that grows as the square of its length.
            if len(open_packet) > _MOST_PACKET_BYTES or len(packets) > _MOST_PACKETS:
                raise InvalidInput(
                    f"`payload`: is Ogg with a packet above {_MOST_PACKET_BYTES} bytes, or more than {_MOST_PACKETS}"
                )
            if length < 255:
                packets.append(open_packet)
                open_packet = b""
    if open_packet:
        raise InvalidInput("`payload`: is Ogg that is cut off")
    return packets, last


def _ogg_pages(payload: bytes) -> Iterator[tuple[int, bytes, bytes, bytes]]:
    """Each page's number, header, lengths and content."""
    at = number = 0
    while at < len(payload):
        header = payload[at : at + 27]
        if header[:4] != b"OggS" or len(header) < 27 or header[4]:
            raise InvalidInput("`payload`: is no Ogg")
        lacing = payload[at + 27 : at + 27 + header[26]]
        end = at + 27 + header[26] + sum(lacing)
        if len(lacing) < header[26] or end > len(payload):
            raise InvalidInput("`payload`: is Ogg that is cut off")
        if _ogg_sum(payload[at : at + 22] + b"\0\0\0\0" + payload[at + 26 : end]) != header[22:26]:
            raise InvalidInput("`payload`: is Ogg that is damaged")
        yield number, header, lacing, payload[at + 27 + header[26] : end]
        at, number = end, number + 1


def _ogg_sum(page: bytes) -> bytes:
    """Ogg's check of a page: zlib's with all bits the other way round, which begins and ends at 0."""
    reversed_sum = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return struct.pack(">I", reversed_sum).translate(_REVERSED)


def _packet_samples(packet: bytes) -> int:
    """How many samples an Opus packet holds, by its first bytes (RFC 6716, 3.1)."""
    if not packet:
        return 0
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        samples = (480, 960, 1920, 2880)[config & 3]
    else:
        samples = (480, 960)[config & 1] if config < 16 else 120 << (config & 3)
    frames = (packet[1] & 63 if len(packet) > 1 else 0) if code == 3 else (1, 2, 2)[code]
    if not 0 < frames * samples <= _LONGEST_PACKET:
        raise InvalidInput("`payload`: is Opus with a packet that is none")
    return frames * samples


def _decoder(codec: Codec, extra: bytes) -> Any:
    found: Any = av.CodecContext.create(codec, "r")
    found.extradata = extra
    found.thread_count = 1
    return found


def _decode_flac(header: SoundHeader, out: Array) -> None:
    decoder, at = _decoder("flac", header.extra), 0
    for packet in _flac_packets(decoder, header.packets[0]):
        for frame in decoder.decode(packet):
            if frame.format.name != "s16" or frame.layout.nb_channels != 1 or frame.sample_rate != header.rate_hz:
                raise InvalidInput("`payload`: is FLAC that changes its form")
            at = _put(out, at, frame.to_ndarray()[0])
    _check_end(out, at)
    if header.md5 and hashlib.md5(out.astype("<i2", copy=False).data, usedforsecurity=False).digest() != header.md5:
        raise InvalidInput("`payload`: is FLAC that is damaged: its samples are not those that it says")


def _flac_packets(decoder: Any, payload: bytes) -> Iterator[Any]:
    """Its frames, each as a packet, and the end; some at a time, as small ones take much more memory than bytes."""
    for at in range(0, len(payload), _PIECE_BYTES):
        yield from decoder.parse(payload[at : at + _PIECE_BYTES])
    while packets := decoder.parse(None):
        yield from packets
    yield None


def _decode_opus(header: SoundHeader, out: Array) -> None:
    decoder = _decoder("opus", header.extra)
    whole = np.empty(len(out) * (_DECODED_HZ // header.rate_hz), np.int16)
    at = -header.left_out
    for packet in header.packets:
        for frame in decoder.decode(av.Packet(packet)):
            part = _as_int16(frame)
            skipped = min(len(part), max(0, -at))
            at += len(part)
            start = max(0, at - len(part))
            part = part[skipped : skipped + len(whole) - start]
            whole[start : start + len(part)] = part
    if at < len(whole):
        raise InvalidInput(f"`payload`: is Opus of {at} samples, not of {len(whole)} as it says")
    if header.rate_hz == _DECODED_HZ:
        out[:] = whole
        return
    resampler = av.AudioResampler(format="s16", layout="mono", rate=header.rate_hz)
    frame = av.AudioFrame.from_ndarray(whole[None], format="s16", layout="mono")
    frame.sample_rate = _DECODED_HZ
    at = 0
    for given in (frame, None):
        for found in resampler.resample(given):
            part = found.to_ndarray()[0][: len(out) - at]
            out[at : at + len(part)] = part
            at += len(part)
    out[at:] = 0


def _as_int16(frame: av.AudioFrame) -> Array:
    """A frame's samples; some decoders of Opus give floats."""
    if frame.sample_rate != _DECODED_HZ or frame.layout.nb_channels != 1:
        raise InvalidInput("`payload`: is Opus that changes its form")
    values: Array = frame.to_ndarray()[0]
    if values.dtype == np.int16:
        return values
    return np.clip(np.rint(values * 32768.0), -32768, 32767).astype(np.int16)


def _put(out: Array, at: int, part: Array) -> int:
    if at + len(part) > len(out):
        raise InvalidInput(f"`payload`: is FLAC of more than the {len(out)} samples that it says")
    out[at : at + len(part)] = part
    return at + len(part)


def _check_end(out: Array, at: int) -> None:
    if at < len(out):
        raise InvalidInput(f"`payload`: is FLAC of {at} samples, not of {len(out)} as it says")
