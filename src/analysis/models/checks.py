"""Does a fitted model of orders look like the customers? Repeats, weeks, holdout."""

import numpy as np
import pandas as pd

from analysis.models.clv import Probabilistic

MOST_REPEATS = 7  # the last class of the pictures is "7 or more"


def frequency_of_repeats(customers: pd.DataFrame, model: Probabilistic) -> pd.DataFrame:
    """Customers by number of repeat orders, counted and modelled. Columns: repeats (last: or more),
    actual, model.
    """
    ages = customers.age_days.value_counts()
    below = ages.to_numpy() @ model.repeat_probabilities(ages.index.to_numpy(), MOST_REPEATS)
    actual = (
        customers.frequency.clip(upper=MOST_REPEATS)
        .value_counts()
        .reindex(range(MOST_REPEATS + 1), fill_value=0)
    )
    modelled = np.append(below, len(customers) - below.sum())
    return pd.DataFrame(
        {"repeats": range(MOST_REPEATS + 1), "actual": actual.to_numpy(), "model": modelled}
    )


def tracking(weekly: pd.DataFrame, customers: pd.DataFrame, model: Probabilistic) -> pd.DataFrame:
    """Repeat orders by week, counted and expected by a model of new customers' behaviour.

    `weekly` as from customers.weekly_orders, `customers` all whose first order lies in it.
    Columns: week, actual, expected.
    """
    births = customers.first_order.value_counts()
    ages = (weekly.week.to_numpy()[:, None] - births.index.to_numpy()[None, :]) / np.timedelta64(
        1, "D"
    )
    distinct, where = np.unique(ages.clip(min=0), return_inverse=True)
    cumulative = model.expected_repeats(distinct)[where].reshape(ages.shape) @ births.to_numpy()
    return pd.DataFrame(
        {"week": weekly.week, "actual": weekly.repeat, "expected": np.diff(cumulative, prepend=0)}
    )


def conditional_expectation(held: pd.DataFrame, expected: pd.Series) -> pd.DataFrame:
    """Mean orders in the holdout by repeat orders before it. Columns: repeats, customers, actual,
    expected.
    """
    table = held.assign(
        expected=expected.to_numpy(), repeats=held.frequency.clip(upper=MOST_REPEATS)
    )
    by = table.groupby("repeats", as_index=False)
    return by.agg(
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
    frequencies = np.arange(0, max(2, int(customers.frequency.quantile(0.99))) + 1)
    recencies = np.unique(np.linspace(0, age - 1, steps).astype(int))
    grid = pd.DataFrame(
        [(f, r) for f in frequencies for r in recencies], columns=["frequency", "recency_days"]
    )
    grid.loc[grid.frequency == 0, "recency_days"] = age  # the last order is the first one
    place = grid.assign(customer_id=grid.index, age_days=age)
    expected = model.predict(place, days).to_numpy().reshape(len(frequencies), len(recencies))
    return pd.DataFrame(expected, index=frequencies, columns=recencies)


def share_without_repeat(frequency: pd.DataFrame) -> dict[str, float]:
    """Counted (zero) and modelled (model) share of customers with no repeat order; from
    frequency_of_repeats.
    """
    shares = frequency[["actual", "model"]].iloc[0] / max(frequency.actual.sum(), 1)
    return {"zero": float(shares.actual), "model": float(shares.model)}


def totals(tracked: pd.DataFrame) -> dict[str, float]:
    """Expected and actual orders of tracked weeks, and the relative error."""
    expected, actual = tracked.expected.sum(), tracked.actual.sum()
    return {
        "expected": expected,
        "actual": actual,
        "bias": expected / actual - 1 if actual else float("nan"),
    }


def most_frequent(conditional: pd.DataFrame) -> dict[str, float]:
    """The last class of conditional_expectation: its repeat orders (most), expected and actual
    orders.
    """
    if conditional.empty:
        return {"most": 0, "expected": float("nan"), "actual": float("nan")}
    last = conditional.iloc[-1]
    return {"most": int(last.repeats), "expected": last.expected, "actual": last.actual}
