"""Pictures of a fitted model beside what was counted."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from scipy.stats import poisson

from analysis import customers
from analysis.models import checks, orders
from analysis.models.calendar import Calendar
from analysis.report import charts

from .test_clv import HORIZON, START, TODAY, one_thread, people, world

__all__ = ["one_thread", "world"]  # fixtures


def test_frequency_of_repeats_adds_up_to_the_customers(world):
    today = world[1]
    fitted = {name: orders.probabilistic(today, name) for name in orders.BTYD}
    for name, model in (fitted | {"average_rate": orders.AverageRate().fit(today)}).items():
        table = checks.frequency_of_repeats(today, model)
        assert table.repeats.tolist() == list(range(8))
        assert table.actual.sum() == len(today) and table.model.sum() == pytest.approx(len(today))
        ends = [(today.frequency == 0).sum(), (today.frequency >= 7).sum()]
        assert table.actual.iloc[[0, 7]].tolist() == ends
        assert (table.model >= 0).all()
        if name == "bg_nbd":  # the log's own story
            assert np.abs(table.model - table.actual).sum() < 0.15 * len(today)
        if name == "average_rate":
            means = today.age_days * today.frequency.sum() / today.age_days.sum()
            assert table.model.iloc[7] == pytest.approx(poisson.sf(6, means).sum())


def test_tracked_weeks_add_up(world):
    log, today, _ = world
    weekly = customers.weekly_orders(log, TODAY)
    average = checks.tracking(weekly, today, orders.AverageRate().fit(today), TODAY)
    assert average.actual.sum() == today.frequency.sum()
    assert average.expected.sum() == pytest.approx(
        today.frequency.sum()
    )  # by construction the average tracks the total
    model = orders.probabilistic(today, "bg_nbd")
    tracked = checks.tracking(weekly, today, model, TODAY)
    assert tracked.expected.sum() == pytest.approx(
        model.expected_repeats(today.age_days.to_numpy()).sum()
    )
    assert (tracked.expected >= 0).all()
    assert tracked.expected.sum() == pytest.approx(tracked.actual.sum(), rel=0.1)
    even = orders.BuyTillYouDie(orders.BTYD["bg_nbd"])
    even.fitter_, even.calendar_ = model.fitter_, Calendar(f"{TODAY}", 760)
    same = checks.tracking(weekly, today, even, TODAY)
    assert same.expected.to_numpy() == pytest.approx(tracked.expected.to_numpy(), abs=1e-6)
    assert even.repeat_probabilities(np.array([70]), 3) == pytest.approx(
        model.repeat_probabilities(np.array([70]), 3)
    )
    # twice the rate in the last ten weeks: of who came with them, twice as much of the same clock
    even.calendar_ = Calendar(f"{TODAY}", 760, step=np.log(2), broke=70)
    new = today[today.age_days < 70]
    weeks = weekly[weekly.week > str(TODAY - dt.timedelta(days=70))]
    twice = checks.tracking(weeks, new, even, TODAY).expected.sum()
    assert twice == pytest.approx(model.expected_repeats(2 * new.age_days.to_numpy()).sum())


def test_surface(world):
    today = world[1]
    table = checks.surface(today, orders.probabilistic(today, "bg_nbd"), HORIZON, steps=10)
    assert table.index.tolist() == list(range(int(today.frequency.quantile(0.99)) + 1))
    assert (
        table.shape[1] == 10
        and table.columns[0] == 0
        and table.columns[-1] == int(today.age_days.median()) - 1
    )
    assert np.ptp(table.loc[0]) == 0  # without a repeat order there is one history only
    assert (np.diff(table.loc[1:], axis=1) <= 0).all()  # the longer ago, the fewer
    assert checks.surface(today.head(0), orders.AverageRate(), HORIZON).empty


def test_expectation_by_orders_before_by_hand():
    held = people(frequency=[0, 0, 9, 7], orders=[1, 1, 10, 8], holdout_orders=[0, 1, 4, 2])
    table = checks.conditional_expectation(held, pd.Series([0.5, 0.3, 2.0, 1.0]))
    assert table.to_numpy().tolist() == [[0, 2, 0.5, 0.4], [7, 2, 3.0, 1.5]]


def test_one_order_and_one_day_have_their_pictures(ledger):
    """What cannot be estimated is drawn by the average rate of all."""
    for lines in ([("a", START, 5.0)], [(f"c{n}", START, 5.0) for n in range(40)]):
        log = ledger(lines)
        known = customers.buyers(customers.at(log, START))
        model = orders.probabilistic(known, "hybrid")
        surface = checks.surface(known, model, HORIZON)
        assert min(surface.shape) >= 2 and (surface == 0).all(axis=None)
        charts.frequency_recency(surface)
        frequency = checks.frequency_of_repeats(known, model)
        assert frequency[["actual", "model"]].iloc[0].tolist() == [len(known)] * 2
        charts.repeat_frequency(frequency)
        weekly = customers.weekly_orders(log, START)
        charts.tracking_weekly(checks.tracking(weekly, known, model, START), origin=START)
    later = known.assign(age_days=1, recency_days=0)
    charts.frequency_recency(checks.surface(later, orders.AverageRate().fit(later), 30))
