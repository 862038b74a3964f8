"""What becomes of inputs that were not answered."""

import math
from types import SimpleNamespace
from typing import Any

from infilink.device.replies import Replies
from infilink.device.uplink.chains import ChainStore
from infilink.device.uplink.spool_rows import Head, Key


def test_only_an_input_that_others_refer_to_ends_its_chain() -> None:
    spool: Any = SimpleNamespace(clock=lambda: 10.0, session=SimpleNamespace(id="s"))
    chains = ChainStore(90)
    replies = Replies(
        results=None,
        spool=spool,
        chains=chains,
        ring=None,
        stream="",
        on_answer=lambda *_: None,
        on_unanswered=lambda _: None,
    )
    replies.drop(1)
    assert not chains.is_broken, "one that a newer one replaced before it was encoded"
    replies.give_up(Head(Key("s", 2), 0.0, 11.0, math.inf, 1, None), "the spool is full")
    assert not chains.is_broken, "a JPEG"
    replies.give_up(Head(Key("s", 3), 0.0, 11.0, math.inf, 1, 3), "the spool is full")
    assert chains.is_broken and replies.counts["dropped"] == 3
