"""Does a fitted model of orders look like the customers? Repeats, weeks, holdout."""

import datetime as dt

import numpy as np
import pandas as pd

from analysis.models.orders import Probabilistic

MOST_REPEATS = 7  # the last class of the pictures is "7 or more"


def frequency_of_repeats(customers: pd.DataFrame, model: Probabilistic) -> pd.DataFrame:
    """Customers by number of repeat orders, counted and modelled. Columns: repeats (last: or more),
    actual, model.
    """
    ages = customers.age_days.value_counts()
    below = ages.to_numpy() @ model.repeat_probabilities(ages.index.to_numpy(), MOST_REPEATS)
    repeats = customers.frequency.clip(upper=MOST_REPEATS)
    return pd.DataFrame(
        {
            "repeats": range(MOST_REPEATS + 1),
            "actual": np.bincount(repeats, minlength=MOST_REPEATS + 1),
            "model": np.append(below, len(customers) - below.sum()),
        }
    )


def tracking(
    weekly: pd.DataFrame, customers: pd.DataFrame, model: Probabilistic, as_of: dt.date
) -> pd.DataFrame:
    """Repeat orders by week, counted and expected by a model, fitted as of a day, of new customers'
    behaviour.

    `weekly` as from customers.weekly_orders, `customers` all whose first order lies in it.
    Columns: week, actual, expected.
    """
    births = customers.first_order.value_counts()
    day, today = pd.Timedelta(days=1), pd.Timestamp(as_of)
    come = ((births.index - today) / day).to_numpy()
    ends = ((weekly.week - today) / day).to_numpy()[:, None]
    each = model.repeats_of_newcomers(np.minimum(come, ends), ends)
    expected = np.diff(each @ births.to_numpy(), prepend=0)
    return pd.DataFrame({"week": weekly.week, "actual": weekly.repeat, "expected": expected})


def conditional_expectation(held: pd.DataFrame, expected: pd.Series) -> pd.DataFrame:
    """Mean orders in the holdout by repeat orders before it. Columns: repeats (last: or more),
    customers, actual, expected.
    """
    repeats = held.frequency.clip(upper=MOST_REPEATS)
    table = held.assign(expected=expected.to_numpy(), repeats=repeats)
    return table.groupby("repeats", as_index=False).agg(
        customers=("orders", "size"),
        actual=("holdout_orders", "mean"),
        expected=("expected", "mean"),
    )


def surface(
    customers: pd.DataFrame, model: Probabilistic, days: int, steps: int = 24
) -> pd.DataFrame:
    """Expected orders by frequency (index) and days since the last order (columns), for a customer
    of median age, though two days at least: a surface has two columns.
    """
    if customers.empty:
        return pd.DataFrame()
    age = max(int(customers.age_days.median()), 2)
    frequencies = range(max(2, int(customers.frequency.quantile(0.99))) + 1)
    recencies = np.unique(np.linspace(0, age - 1, steps).astype(int))
    pairs = pd.MultiIndex.from_product([frequencies, recencies])
    grid = pairs.to_frame(index=False, name=["frequency", "recency_days"])
    grid.loc[grid.frequency == 0, "recency_days"] = age  # the last order is the first one
    expected = model.predict(grid.assign(customer_id=grid.index, age_days=age), days).to_numpy()
    return pd.DataFrame(expected.reshape(-1, len(recencies)), frequencies, recencies)
