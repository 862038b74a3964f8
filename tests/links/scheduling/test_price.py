"""The price of a processor's second holds what is spent at what may be spent."""

import math

import pytest
from infilink.links.scheduling.price import Price


def test_an_endless_budget_has_no_price() -> None:
    price = Price(math.inf, dearest_s=0.1)
    price.ask(5.0)
    price.spend(1e6)
    assert price.value == 0.0 and price.at_once_s == price.spare_s == math.inf and price.spent_s == 1e6


def test_the_price_rises_while_the_bank_empties_and_falls_while_nothing_is_spent() -> None:
    price = Price(1.0, dearest_s=0.1)
    price.ask(5.0)
    assert price.value == 0.0, "what a full bank earns is lost if it is not spent"
    values = []
    for _ in range(10):
        price.spend(0.2)
        values.append(price.value)
    assert values == sorted(values) and values[0] < 1e-6 and values[-1] > 1e6
    price.pass_time(0.0)
    later = []
    for now_s in (0.5, 1.0, 1.5):
        price.pass_time(now_s)
        later.append(price.value)
    assert later == sorted(later, reverse=True)


def test_no_more_is_saved_than_the_limit_and_all_that_is_owed_is_paid_back() -> None:
    price = Price(0.5, dearest_s=0.1)
    price.pass_time(0.0)
    price.pass_time(1e6)
    assert price.bank_s == price.bank_limit_s == pytest.approx(1.0)
    price.spend(100.0)
    assert price.bank_s == -99.0 and price.at_once_s < 0.0 and price.value == math.inf
    price.pass_time(1e6 + 190.0)
    assert price.bank_s == pytest.approx(-4.0)
    price.spend(-1e3)
    assert price.bank_s == price.bank_limit_s


def test_the_price_is_as_before_once_a_debt_is_paid() -> None:
    price = Price(0.01, dearest_s=0.001)
    price.pass_time(0.0)
    price.ask(5.0)
    price.spend(0.5 * price.bank_s)
    before = price.value
    # Much more than what a number can hold e-fold.
    price.spend(1e4)
    price.spend(-1e4)
    assert price.value == pytest.approx(before)
    price.spend(3.0)
    price.pass_time(300.0)
    assert price.value == pytest.approx(before)


def test_a_small_budget_saves_enough_for_the_dearest_run() -> None:
    price = Price(1e-3, dearest_s=0.1)
    assert price.bank_limit_s == pytest.approx(0.4)
    price.spend(0.35)
    assert price.at_once_s == pytest.approx(0.05) and price.spare_s < 0.0


def test_a_clock_that_is_set_back_earns_nothing() -> None:
    price = Price(1.0, dearest_s=0.1)
    price.pass_time(10.0)
    price.spend(1.0)
    price.pass_time(5.0)
    price.pass_time(10.0)
    assert price.bank_s == pytest.approx(1.0)
    price.pass_time(10.5)
    assert price.bank_s == pytest.approx(1.5)
