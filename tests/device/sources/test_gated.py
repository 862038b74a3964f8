"""A video of which only some packets are decoded: what comes out is what a whole decoding gives, in its order."""

from itertools import pairwise

import numpy as np
import pytest
from infilink.device.sources.container import Video
from infilink.device.sources.gated import GatedDecoder
from infilink.filters.packets.at_work import AtWork
from infilink.filters.packets.gate import Choice
from infilink.filters.packets.meter import DecodeMeter
from infilink.filters.packets.policy import PacketCosts

from ...clips import write_clip

KINDS = {
    "h264": {"codec": "libx264", "bf": "0", "g": "10"},
    "h264 with pictures between": {"codec": "libx264", "bf": "3", "g": "10", "b_strategy": "0"},
    "hevc": {"codec": "libx265", "x265-params": "keyint=10:min-keyint=10:bframes=0:log-level=none"},
    "hevc with open groups": {"codec": "libx265", "x265-params": "keyint=10:bframes=3:open-gop=1:log-level=none"},
    "mjpeg": {"codec": "mjpeg", "form": "avi"},
    "mpeg4": {"codec": "mpeg4", "g": "10"},
}
COSTS = PacketCosts(key=3.0, reference=1.0, free=0.5, mean_s=0.001)


class Chooser:
    """Stands for a gate that chooses by a packet's number."""

    threshold = 0.0

    def __init__(self, choose):
        self.choose = choose
        self.taken, self.lost, self.rewound = [], 0, 0

    def take(self, packet):
        self.taken.append(packet)
        return Choice(self.choose(len(self.taken) - 1, packet), 0.0, 0.5, 0.0)

    def lose(self):
        self.lost += 1

    def rewind(self):
        self.rewound += 1


@pytest.fixture(scope="module", params=KINDS)
def clip(request, tmp_path_factory):
    options = dict(KINDS[request.param])
    name = f"v.{options.get('form', 'mp4')}"
    return write_clip(tmp_path_factory.mktemp("v") / name, frames=40, **options)


def run(clip, choose, told=pytest.fail):
    gate = Chooser(choose)
    video = Video(str(clip), threads="SLICE", thread_count=1)
    decoder = GatedDecoder(video, AtWork(gate, DecodeMeter(COSTS)), told)
    shown = [
        (each.pts, None if each.frame is None else np.array(video.picture(each.frame)))
        for each in decoder.frames(video.packets())
    ]
    video.close()
    return shown, gate


def whole(clip):
    video = Video(str(clip))
    found = {frame.pts: np.array(video.picture(frame)) for frame in video.frames()}
    video.close()
    return found


@pytest.mark.parametrize(
    "choose",
    [
        lambda number, packet: True,
        lambda number, packet: packet.key,
        lambda number, packet: number % 10 == 7 or number == 0,
        lambda number, packet: number % 3 == 0,
        lambda number, packet: packet.reference,
        lambda number, packet: number in (0, 25),
    ],
    ids=["all", "keys", "late in each group", "every third", "references", "two"],
)
def test_what_is_chosen_is_decoded_as_it_would_be_in_a_whole(clip, choose):
    expected = whole(clip)
    shown, _ = run(clip, choose)
    assert [pts for pts, _ in shown] == sorted(expected)
    there = [(pts, picture) for pts, picture in shown if picture is not None]
    assert there and all(np.array_equal(picture, expected[pts]) for pts, picture in there)


def test_all_that_was_chosen_comes_out(clip):
    shown, gate = run(clip, lambda number, packet: packet.key)
    keys = sum(packet.key for packet in gate.taken)
    assert sum(picture is not None for _, picture in shown) == keys and not gate.lost


def test_pictures_that_no_other_is_made_of_are_known(tmp_path):
    clip = write_clip(tmp_path / "b.mp4", frames=30, bf="3", g="30", b_strategy="0")
    _, gate = run(clip, lambda number, packet: packet.reference)
    free = [packet for packet in gate.taken if not packet.reference]
    assert len(free) > 5 and not gate.rewound
    _, gate = run(clip, lambda number, packet: packet.key)
    assert gate.rewound


def test_a_key_picture_comes_out_soon_although_the_decoder_would_keep_it_back(tmp_path):
    clip = write_clip(tmp_path / "b.mp4", frames=30, bf="3", g="30", b_strategy="0")
    video = Video(str(clip), threads="SLICE", thread_count=1)
    decoder = GatedDecoder(video, AtWork(Chooser(lambda number, packet: packet.key), DecodeMeter(COSTS)))
    fed = 0
    for packet in video.packets():
        fed += 1
        if any(each.frame is not None for each in decoder.feed(packet, 0.0)):
            break
    assert fed <= 8
    video.close()


def test_leading_pictures_of_a_key_picture_need_what_is_before_it(tmp_path):
    options = {"x265-params": "keyint=10:min-keyint=10:bframes=3:open-gop=1:scenecut=0:log-level=none"}
    clip = write_clip(tmp_path / "o.mp4", frames=40, codec="libx265", **options)
    expected = whole(clip)
    shown, gate = run(clip, lambda number, packet: packet.time_s > 1.6 or number == 0)
    assert [pts for pts, _ in shown] == sorted(expected) and not gate.lost
    there = {pts: picture for pts, picture in shown if picture is not None}
    assert len(there) > 10 and all(np.array_equal(picture, expected[pts]) for pts, picture in there.items())


def test_where_a_stream_refreshes_its_pictures_bit_by_bit_all_are_decoded_and_it_says_so(tmp_path):
    options = {"x264-params": "intra-refresh=1:keyint=10:bframes=0"}
    clip = write_clip(tmp_path / "v.ts", frames=200, fps=25, size=(320, 240), **options)
    said = []
    shown, _ = run(clip, lambda number, packet: packet.key, said.append)
    decoded = [stamp for stamp, picture in shown if picture is not None]
    assert len(shown) > 180 and len(decoded) > 100 and decoded[-1] == shown[-1][0]
    assert len(said) == 1 and "all are decoded from now on" in said[0]


def test_where_stamps_begin_anew_no_picture_is_lost_and_time_goes_on(tmp_path):
    parts = [write_clip(tmp_path / f"{n}.ts", frames=40, g="10", bf="2", size=(64 * n, 48)) for n in (1, 2, 1)]
    clip = tmp_path / "joined.ts"
    clip.write_bytes(b"".join(part.read_bytes() for part in parts))
    for choose in (lambda number, packet: packet.key, lambda number, packet: number % 3 == 0):
        shown, gate = run(clip, choose)
        assert len(shown) == 120
        assert {picture.shape[1] for _, picture in shown if picture is not None} == {64, 128}
        # Pictures between are decoded after the one that is shown behind them.
        times_s = [packet.time_s for packet in gate.taken]
        assert all(b > a - 0.5 for a, b in pairwise(times_s)) and times_s[-1] - times_s[0] > 11.0
