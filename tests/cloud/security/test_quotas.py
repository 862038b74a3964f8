"""Quotas: what is above so many inputs or bytes a second waits; a second's worth may come at once."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.security.quotas import Quota, Quotas, Rate


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_without_a_rate_nothing_waits() -> None:
    assert [Rate(0.0).take(10**12) for _ in range(3)] == [0.0] * 3


def test_a_second_s_worth_comes_at_once_and_then_the_rate_holds() -> None:
    clock = Clock()
    rate = Rate(4.0, clock=clock)
    assert [rate.take(1) for _ in range(6)] == [0.0, 0.0, 0.0, 0.0, 0.25, 0.5]
    clock.now_s += 10.0
    assert [rate.take(1) for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, 0.25], "what was not used is not saved up"


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=50), st.floats(1.0, 1e4))
def test_whoever_waits_as_told_sends_no_more_than_the_rate_and_one_second_s_worth(
    sizes: list[int], rate: float
) -> None:
    clock = Clock()
    quota, began_s, sent = Quota(0.0, rate, clock=clock), clock.now_s, 0
    for size in sizes:
        clock.now_s += quota.take(size)
        sent += size
        assert sent <= rate * (clock.now_s - began_s + 1.0) * (1 + 1e-6)


def test_all_streams_of_a_device_share_its_quota_and_devices_are_bounded() -> None:
    quotas = Quotas(1.0, 0.0, most=2)
    assert quotas.of("a") is quotas.of("a") is not quotas.of("b")
    first = quotas.of("a")
    quotas.of("c")
    assert quotas.of("a") is first and len(quotas._by_device) == 2
    assert asyncio.run(Quota(0.0, 0.0).wait(10**9)) is False


def test_what_can_not_wait_is_taken_only_when_nothing_before_it_is_owed() -> None:
    clock = Clock()
    quota = Quota(2.0, 0.0, clock=clock)
    assert [quota.take_now(1) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert [quota.take_now(1) for _ in range(2)] == [0.5, 0.5], "what is refused is not counted"
    clock.now_s += 0.5
    assert [quota.take_now(1) for _ in range(2)] == [0.0, 0.5]
    large = Quota(0.0, 10.0, clock=clock)
    assert [large.take_now(100) for _ in range(2)] == [0.0, 9.0], "one that is larger than a second's worth goes, too"
    assert Quota(0.0, 0.0).take_now(10**9) == 0.0
