"""Revenue to come, of the customers of today and of those still to be won.

How many come is told from the newcomers of each week, by season, growth and breaks as in calendar;
what they order, by the probabilistic model of new customers. How sure the sum is, is measured at
the backtest's origins: of today's customers as their lifetime value is, of newcomers by what was
forecast of them there.
"""

from contextlib import suppress

import numpy as np
import pandas as pd

from analysis.errors import NotEstimable
from analysis.models import calendar, origins
from analysis.models.backtest import Backtest
from analysis.models.calendar import WEEK, YEAR, Calendar
from analysis.models.intervals import reach_of
from analysis.models.orders import OrderModel, Probabilistic

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


def newcomers_errors(test: Backtest) -> pd.Series:
    """Log of the orders of newcomers over their forecast, by origin that teaches; none where they
    cannot be told.
    """
    errors = {}
    for origin in test.teaching:
        with suppress(NotEstimable):
            model = origin.base(test.champion)
            expected = Newcomers(origin.lessons.weekly(), model).orders(test.horizon_days)
            if origin.new_orders and expected:
                errors[origin.day] = np.log(origin.new_orders / expected)
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
        newcomers = Newcomers(test.lessons.weekly(), test.lessons.base_of(known, model))
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
    errors = newcomers_errors(test)
    told = origins.windows(errors.index, test.horizon_days)
    reach = reach_of(np.sqrt(np.mean(errors**2)), told)
    # the two err apart; what is not sure of a while is no surer of a longer one
    parts = [
        table.revenue_today * [test.level_reach(days) for days in ends.tolist()],
        table.revenue_new * [reach * test.wander(days) for days in ends.tolist()],
    ]
    spread = np.maximum.accumulate(np.hypot(*parts) / upto)
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
