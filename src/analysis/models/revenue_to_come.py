"""Revenue to come, of the customers of today and of those still to be won.

How many come is told from the newcomers of each week, by season, growth and breaks as in calendar;
what they order, by the probabilistic model of new customers. How sure the sum is, is measured at
the backtest's origins, where both parts were forecast from what was known then.
"""

import numpy as np
import pandas as pd
from scipy.stats import t as student

from analysis.errors import NotEstimable
from analysis.models import calendar, origins
from analysis.models.backtest import Backtest
from analysis.models.calendar import WEEK, YEAR, Calendar
from analysis.models.intervals import TAILS
from analysis.models.orders import BuyTillYouDie, OrderModel, Probabilistic

QUARTERS, QUARTER_DAYS = 4, 91
COLUMNS = ["quarter", "orders_today", "orders_new", "revenue_today", "revenue_new"]
COLUMNS += ["upto", "low", "high"]
LEAST_WEEKS = 52  # of newcomers
HALF_YEAR, LEAST_NEW = 26, 0.05  # weeks, and the usual newcomers' share below which none come


class Newcomers:
    """Customers still to be won after a day: how many, and their orders."""

    def __init__(self, weekly: pd.DataFrame, model: Probabilistic) -> None:
        """From orders by week up to the day, as from customers.weekly_orders, and a model of new
        customers. Raises NotEstimable where the log is shorter than a year or nobody comes anymore.
        """
        first = calendar.by_weeks_ago(weekly.first, weekly.week)
        if len(first) < LEAST_WEEKS:
            raise NotEstimable("less_than_a_year")
        if first[-HALF_YEAR:].mean() < LEAST_NEW * first.mean():
            raise NotEstimable("closed_intake")
        edges = -WEEK * np.arange(len(first), -1, -1)
        even = np.full(len(first), first.mean())
        found = Calendar(f"{weekly.week.max():%Y-%m-%d}", round(WEEK * len(first)))
        self.calendar, _ = calendar.regressed(found, first, even, edges)
        self.model = model
        self.rate = first.sum() / -self.calendar.clock(edges[0])

    def orders(self, days: int) -> float:
        """Order days of these in the same days, their first ones among them."""
        come = np.arange(1, days + 1)
        new = self.rate * np.diff(self.calendar.clock(np.append(0, come)))
        return float(new @ (1 + self.model.repeats_of_newcomers(come, days)))


def _of_new_customers(champion: OrderModel, known: pd.DataFrame, test: Backtest) -> Probabilistic:
    """The model of new customers that belongs to a champion."""
    base = getattr(champion, "base_", champion)
    return base if isinstance(base, BuyTillYouDie) else test.lessons.base_of(known)


def level_errors(test: Backtest) -> pd.Series:
    """Log of all orders over their forecast, by origin that teaches; none where newcomers cannot be
    told.
    """
    errors = {}
    for origin in test.teaching:
        try:
            newcomers = Newcomers(origin.lessons.weekly(), origin.base(test.champion))
        except NotEstimable:
            continue
        forecast = origin.forecasts[test.champion].sum() + newcomers.orders(test.horizon_days)
        came = origin.actual.sum() + origin.new_orders
        if came > 0:
            errors[origin.day] = np.log(came / forecast)
    return pd.Series(errors, dtype=float)


def by_quarter(
    test: Backtest, known: pd.DataFrame, model: OrderModel, order_value: pd.Series
) -> tuple[pd.DataFrame, str]:
    """Orders and revenue of the next QUARTERS. Columns: quarter (its last day), orders_today,
    orders_new, revenue_today, revenue_new, upto (all revenue up to that day), low, high (of it,
    80 %; nan where no earlier date could measure it). Without rows, and with the reason (a word),
    where newcomers cannot be told.
    """
    try:
        newcomers = Newcomers(test.lessons.weekly(), _of_new_customers(model, known, test))
    except NotEstimable as reason:
        return pd.DataFrame(columns=COLUMNS), str(reason)
    ends = QUARTER_DAYS * np.arange(1, QUARTERS + 1)
    of_new = known[known.age_days < YEAR]
    value = of_new.revenue.sum() / max(of_new.orders.sum(), 1)
    today = [model.predict(known, float(days)) for days in ends]
    table = pd.DataFrame(
        {
            "quarter": pd.Timestamp(newcomers.calendar.end) + pd.to_timedelta(ends, unit="D"),
            "orders_today": [orders.sum() for orders in today],
            "orders_new": [newcomers.orders(int(days)) for days in ends],
            "revenue_today": [(orders * order_value).sum() for orders in today],
        }
    )
    table["revenue_new"] = table.orders_new * value
    upto = table.revenue_today + table.revenue_new
    errors = level_errors(test)
    reach = float("nan")
    if len(errors):
        told = origins.windows(errors.index, test.horizon_days)
        reach = student.ppf(TAILS[1], told) * np.sqrt(np.mean(errors**2))
    # errors of the level last, and grow as a random walk does
    spread = reach * np.sqrt(ends / test.horizon_days)
    steps = table.drop(columns="quarter").diff().fillna(table.drop(columns="quarter"))
    found = steps.assign(
        quarter=table.quarter,
        upto=upto,
        low=upto * np.exp(-spread),
        high=upto * np.exp(spread),
    )
    return found[COLUMNS], ""


def year_before(test: Backtest) -> tuple[float, int]:
    """Revenue (net) of as many days up to the day of the picture as QUARTERS have, and their
    number.
    """
    weekly, days = test.lessons.weekly(), QUARTERS * QUARTER_DAYS
    begin = weekly.week.max() - pd.Timedelta(days=days)
    return float(weekly.revenue[weekly.week > begin].sum()), days
