"""One-time codes: they hold once and not for long, are kept as hashes, and wrong ones make who tries wait."""

import pytest
from infilink.cloud.fleet.codes import Codes
from infilink.errors import NotKnown, Overloaded


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def codes(clock: Clock) -> Codes:
    return Codes(unix_s=clock, clock=clock)


def test_a_code_holds_until_it_is_used_or_its_time_is_over(codes: Codes, clock: Clock):
    text, code = codes.new("door", "ann", 15)
    assert len(text) == 19 and (code.device, code.by, code.expires_s) == ("door", "ann", 1900.0)
    for written in (text, text.lower(), text.replace("-", " "), text.replace("-", "").replace("0", "O")):
        assert codes.find(written, "peer") == code
    codes.use(text.lower())
    with pytest.raises(NotKnown, match="used already"):
        codes.find(text, "peer")
    late, _ = codes.new("door", "ann", 1)
    clock.now_s += 61.0
    with pytest.raises(NotKnown, match="its time is over"):
        codes.find(late, "peer")


def test_nothing_of_a_code_is_kept_but_its_hash(codes: Codes):
    text, _ = codes.new("door", "ann", 15)
    kept = repr(vars(codes))
    assert text not in kept and text.replace("-", "") not in kept


def test_a_device_has_one_code(codes: Codes):
    first, _ = codes.new("door", "ann", 15)
    second, _ = codes.new("door", "bob", 15)
    other, _ = codes.new("yard", "bob", 15)
    with pytest.raises(NotKnown):
        codes.find(first, "peer")
    assert codes.find(second, "peer").by == "bob" and codes.find(other, "peer").device == "yard"
    codes.cancel("door")
    with pytest.raises(NotKnown):
        codes.find(second, "peer")
    assert codes.find(other, "peer").device == "yard"


def test_who_tries_wrong_codes_has_to_wait_and_others_need_not(codes: Codes, clock: Clock):
    text, _ = codes.new("door", "ann", 15)
    for number in range(6):
        with pytest.raises(NotKnown):
            codes.find(f"wrong {number}", "10.0.0.7")
    with pytest.raises(Overloaded, match="wait a minute") as refused:
        codes.find(text, "10.0.0.7")
    assert refused.value.retry_after_s >= 1.0
    assert codes.find(text, "10.0.0.8").device == "door"
    clock.now_s += 60.0
    assert codes.find(text, "10.0.0.7").device == "door"


def test_all_together_try_a_bounded_number_of_codes(codes: Codes):
    def refuse(number: int) -> type[Exception]:
        with pytest.raises((NotKnown, Overloaded)) as raised:
            codes.find(f"wrong {number}", f"10.0.{number // 250}.{number % 250}")
        return raised.type

    refused = [refuse(number) for number in range(1200)]
    assert refused.count(NotKnown) <= 61 and len(codes._wrong_of) <= 1000
