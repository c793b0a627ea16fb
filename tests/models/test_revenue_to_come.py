"""Customers still to be won, and revenue to come."""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis import customers
from analysis.errors import NotEstimable
from analysis.models import backtest, clv, orders, revenue_to_come
from analysis.models.revenue_to_come import Newcomers
from analysis.models.trees import Lessons
from tests.bench import worlds

END = pd.Timestamp("2024-12-29")


def weekly(first):
    """Newcomers by week, the oldest first."""
    weeks = END - pd.to_timedelta(7 * np.arange(len(first))[::-1], unit="D")
    return pd.DataFrame({"week": weeks, "first": first, "repeat": 0})


class Even:
    """A model whose newcomers order again at an even rate a day."""

    def __init__(self, rate=0.0):
        self.rate = rate

    def repeats_of_newcomers(self, come, days):
        return (days - come) * self.rate


def test_newcomers_come_on_by_season_and_growth():
    assert Newcomers(weekly([20] * 80), Even()).orders(70) == pytest.approx(200, rel=0.01)
    even = Newcomers(weekly([20] * 80), Even(0.01))
    by_hand = 20 / 7 * sum(1 + (50 - day) / 100 for day in range(1, 51))
    assert even.orders(50) == pytest.approx(by_hand, rel=0.01)
    growing = 20 * 1.5 ** (np.arange(156) / 52)
    found = Newcomers(weekly(growing.round()), Even()).orders(91)
    assert found == pytest.approx(20 * 1.5**3 * 13 * 1.5**0.125, rel=0.04)
    season = 30 + 20 * np.cos(2 * np.pi * np.arange(156) / 52.18)
    found = Newcomers(weekly(season.round()), Even()).orders(91)
    ahead = 30 + 20 * np.cos(2 * np.pi * np.arange(156, 169) / 52.18)
    assert found == pytest.approx(ahead.sum(), rel=0.08)


def test_of_a_closed_intake_and_of_a_year_that_is_not_over_nothing_is_told():
    with pytest.raises(NotEstimable, match="closed_intake"):
        Newcomers(weekly([20] * 40 + [0] * 40), Even())
    with pytest.raises(NotEstimable, match="less_than_a_year"):
        Newcomers(weekly([20] * 50), Even())


@pytest.mark.parametrize("name", ["more_come", "christmas"])
def test_the_revenue_of_a_year_comes_true(name):
    """Of a log that ends a year before what is known of it."""
    world, settings = worlds.WORLDS[name], {"seed": 1, "count": 1500}
    day = world.day - dt.timedelta(days=364)
    every, *_ = worlds.simulate(world, **settings)
    log = worlds.as_log(every[every.day <= day])
    test = backtest.run(log, day, 91)
    known = customers.buyers(customers.at(log, day, 0, orders.trailing(91)))
    model, *_ = backtest.fit_champion(test, known)
    value = clv.order_value(known, clv.DEFAULT_SPEND)
    table, reason = revenue_to_come.by_quarter(test, known, model, value)
    came = every[every.day > day]
    assert reason == "" and len(table) == 4
    assert table.upto.iloc[-1] == pytest.approx(came.amount.sum(), rel=0.15)
    assert table.low.iloc[-1] < came.amount.sum() < table.high.iloc[-1]
    ours = came.customer_id.isin(known.customer_id)
    for column, lines in (("revenue_today", ours), ("revenue_new", ~ours)):
        assert table[column].sum() == pytest.approx(came.amount[lines].sum(), rel=0.3), column
    assert (table.revenue_today + table.revenue_new).cumsum().tolist() == pytest.approx(
        table.upto.tolist()
    )
    # no surer over a longer time, and today's customers as sure as where their value is told
    reach = np.log(table.high / table.upto)
    assert reach.is_monotonic_increasing
    today, new = table.revenue_today.sum(), table.revenue_new.sum()
    ours = today * test.level_reach(364) / (today + new)
    assert ours < reach.iloc[-1] < ours + new / (today + new)


def test_newcomers_err_as_they_did_at_the_earlier_dates(monkeypatch):
    """30 and 10 orders of newcomers where 20 were expected, and none, which has no log."""
    monkeypatch.setattr(Newcomers, "orders", lambda newcomers, days: 20.0)
    lessons = Lessons(weekly=lambda: weekly([20] * 80))
    found = [
        SimpleNamespace(day=END.date() - dt.timedelta(days=n), lessons=lessons, new_orders=orders_)
        for n, orders_ in ((91, 30.0), (182, 10.0), (273, 0.0))
    ]
    test = SimpleNamespace(teaching=found, champion="", horizon_days=91)
    for one in found:
        one.base = lambda name: Even()
    errors = revenue_to_come.newcomers_errors(test)
    assert errors.tolist() == pytest.approx([np.log(1.5), np.log(0.5)])


def test_the_year_before_has_as_many_days_as_the_four_quarters_to_come():
    weeks = weekly([1] * 60).assign(revenue=np.arange(60.0))
    test = backtest.Backtest(None, [], 91, lessons=Lessons(weekly=lambda: weeks))
    assert revenue_to_come.year_before(test) == (sum(range(8, 60)), 364)
