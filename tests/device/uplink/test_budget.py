"""What may be sent: bytes a second, and bytes and calls a day, also over restarts and clocks that jump."""

import pytest
from infilink.device.uplink.budget import Budget

DAY_NS = 86400 * 10**9


class Clocks:
    """Both clocks of a machine, as a test sets them."""

    def __init__(self):
        self.s, self.ns = 100.0, 20_000 * DAY_NS + DAY_NS // 2

    def budget(self, bytes_per_s=0, bytes_a_day=0, calls_a_day=0, saved=b""):
        return Budget(bytes_per_s, bytes_a_day, calls_a_day, saved=saved, clock=lambda: self.s, unix_ns=lambda: self.ns)


def test_without_bounds_nothing_waits():
    one = Clocks().budget()
    for _ in range(100):
        assert one.wait_s() == 0.0 and one.spend(10**9) == b""


def test_bytes_a_second_are_kept_on_average():
    clocks = Clocks()
    one = clocks.budget(bytes_per_s=1000)
    one.spend(500)
    assert one.wait_s() == pytest.approx(0.5)
    clocks.s += 0.5
    assert one.wait_s() == 0.0
    clocks.s += 60.0
    one.spend(1000)
    assert one.wait_s() == pytest.approx(1.0), "what was not sent then is not saved up"


@pytest.mark.parametrize("bounds", [{"bytes_a_day": 3000}, {"calls_a_day": 3}])
def test_a_day_has_so_much_and_the_next_one_again(bounds):
    clocks = Clocks()
    one = clocks.budget(**bounds)
    for _ in range(3):
        assert one.wait_s() == 0.0
        saved = one.spend(1000)
    assert one.is_spent and one.wait_s() == pytest.approx(86400 / 2) and saved
    again = clocks.budget(**bounds, saved=saved)
    assert again.is_spent, "a restart gives no more"
    clocks.ns -= 5 * DAY_NS
    assert again.wait_s() > 0.0, "nor does a clock that is set back"
    clocks.ns += 6 * DAY_NS
    assert again.wait_s() == 0.0 and not again.is_spent


def test_what_was_saved_by_nobody_is_no_error():
    assert Clocks().budget(calls_a_day=1, saved=b"[1, 2").wait_s() == 0.0
