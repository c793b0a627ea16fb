"""What customers are expected to order, to spend, and to be worth. Time is in weeks inside the models,
as in the literature: x repeat order days, t_x the last of them and T the age, both since the first order."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from lifetimes import BetaGeoFitter, GammaGammaFitter
from scipy.stats import poisson

from analysis.dataset import Dataset

WEEK = 7.0
STEP_DAYS = 91.0  # lifetime value adds up quarters, each discounted from its middle
MIN_REPEATERS = 10  # customers; below this the four parameters follow single customers
RUNAWAY = 1e4  # a parameter beyond this means that the data do not determine it


def histories(customers: pd.DataFrame) -> pd.DataFrame:
    """Distinct histories with their counts. Columns: x, t_x, T (weeks), customers (how many share it)."""
    own = pd.DataFrame(
        {
            "x": customers.frequency,
            "t_x": (customers.age_days - customers.recency_days) / WEEK,
            "T": customers.age_days / WEEK,
        }
    )
    return own.value_counts(sort=False).rename("customers").reset_index()


@dataclass
class PooledRate:
    """Everyone reorders at the average rate of all. Stands in where nothing better can be estimated."""

    rate_: float = 0.0

    def fit(self, customers: pd.DataFrame) -> "PooledRate":
        self.rate_ = customers.frequency.sum() / max(customers.age_days.sum(), 1)
        return self

    def predict(self, customers: pd.DataFrame, days: float) -> pd.Series:
        """Order days expected of each customer over the next `days`, by customer_id."""
        return pd.Series(self.rate_ * days, customers.customer_id)

    def expected_repeats(self, ages_days: np.ndarray) -> np.ndarray:
        """Repeat order days expected of a new customer by each age."""
        return self.rate_ * np.asarray(ages_days, float)

    def repeat_probabilities(self, ages_days: np.ndarray, most: int) -> np.ndarray:
        """Probability of 0, 1, … `most` - 1 repeat order days by each age; shape (ages, most)."""
        return poisson.pmf(np.arange(most), self.expected_repeats(ages_days)[:, None])

    @property
    def parameters(self) -> dict[str, float]:
        return {"rate_per_day": float(self.rate_)}


@dataclass
class BetaGeo:
    """BG/NBD by maximum likelihood on distinct histories (Fader, Hardie & Lee 2005)."""

    fitter_: Any = field(default=None, repr=False)

    def fit(self, customers: pd.DataFrame) -> "BetaGeo":
        h = histories(customers)
        self.fitter_ = BetaGeoFitter().fit(h.x, h.t_x, h["T"], weights=h.customers)
        return self

    def predict(self, customers: pd.DataFrame, days: float) -> pd.Series:
        """Order days expected of each customer over the next `days`, by customer_id."""
        x, t_x = customers.frequency, (customers.age_days - customers.recency_days) / WEEK
        expected = self.fitter_.predict(days / WEEK, x, t_x, customers.age_days / WEEK)
        return pd.Series(np.asarray(expected), customers.customer_id)

    def expected_repeats(self, ages_days: np.ndarray) -> np.ndarray:
        """Repeat order days expected of a new customer by each age."""
        return np.asarray(self.fitter_.expected_number_of_purchases_up_to_time(np.asarray(ages_days) / WEEK))

    def repeat_probabilities(self, ages_days: np.ndarray, most: int) -> np.ndarray:
        """Probability of 0, 1, … `most` - 1 repeat order days by each age; shape (ages, most)."""
        probability = self.fitter_.probability_of_n_purchases_up_to_time
        return np.array([[probability(age / WEEK, n) for n in range(most)] for age in ages_days])

    @property
    def parameters(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.fitter_.params_.items()}


def fit_orders(customers: pd.DataFrame) -> tuple[BetaGeo | PooledRate, str]:
    """The order model and, where BG/NBD could not be estimated, the reason (a message key, else empty)."""
    if (customers.frequency > 0).sum() < MIN_REPEATERS:
        return PooledRate().fit(customers), "too_few_repeaters"
    try:
        model = BetaGeo().fit(customers)
    except Exception:  # lifetimes raises its own ConvergenceError, SciPy and autograd theirs
        return PooledRate().fit(customers), "did_not_converge"
    if max(model.parameters.values()) > RUNAWAY:
        return PooledRate().fit(customers), "not_identified"
    return model, ""


def expected_order_value(customers: pd.DataFrame) -> tuple[pd.Series, str]:
    """Money of one future order by customer_id, Gamma-Gamma on repeat orders; else the mean and the reason.

    Source: Fader & Hardie 2013. A mean exists only where q > 1.
    """
    valued = customers[customers.repeat_valued > 0]
    overall = float(customers.order_value.mean())
    mean = pd.Series(overall if np.isfinite(overall) else 0.0, customers.customer_id)
    if len(valued) < MIN_REPEATERS:
        return mean, "too_few_repeaters"
    unit = valued.repeat_value.median()
    try:
        model = GammaGammaFitter().fit(valued.repeat_valued, valued.repeat_value / unit)
    except Exception:  # as above
        return mean, "did_not_converge"
    if model.params_["q"] <= 1 or model.params_.max() > RUNAWAY:
        return mean, "no_mean_spend"
    spend = model.conditional_expected_average_profit(customers.repeat_valued, customers.repeat_value.fillna(0) / unit)
    return pd.Series(np.asarray(spend) * unit, customers.customer_id), ""


def discounted_orders(model: BetaGeo | PooledRate, customers: pd.DataFrame, days: float, annual_rate: float) -> pd.Series:
    """Order days expected over `days`, each worth less the later it comes, by customer_id."""
    ends = np.append(np.arange(STEP_DAYS, days, STEP_DAYS), days)
    total, before, start = 0.0, 0.0, 0.0
    for end in ends:
        upto = model.predict(customers, end)
        total = total + (upto - before) / (1 + annual_rate) ** ((start + end) / 2 / 365.25)
        before, start = upto, end
    return total


def lifetime_value(
    customers: pd.DataFrame, model: BetaGeo | PooledRate, order_value: pd.Series, settings: Dataset
) -> pd.DataFrame:
    """The table `clv`. Money is margin where the margin is known, else revenue."""
    orders = model.predict(customers, settings.horizon_days)
    future = discounted_orders(model, customers, settings.value_days, settings.annual_discount_rate)
    return (
        pd.DataFrame(
            {
                "expected_orders": orders,
                "expected_order_value": order_value,
                "expected_spend": orders * order_value,
                "clv": future * order_value * (settings.margin or 1),
            }
        )
        .rename_axis("customer_id")
        .reset_index()
    )


MOST_REPEATS = 7  # the last class of the pictures is "7 or more"


def frequency_of_repeats(customers: pd.DataFrame, model: BetaGeo | PooledRate) -> pd.DataFrame:
    """Customers by number of repeat orders, counted and modelled. Columns: repeats (last: or more), actual, model."""
    ages = customers.age_days.value_counts()
    below = ages.to_numpy() @ model.repeat_probabilities(ages.index.to_numpy(), MOST_REPEATS)
    actual = customers.frequency.clip(upper=MOST_REPEATS).value_counts().reindex(range(MOST_REPEATS + 1), fill_value=0)
    modelled = np.append(below, len(customers) - below.sum())
    return pd.DataFrame({"repeats": range(MOST_REPEATS + 1), "actual": actual.to_numpy(), "model": modelled})


def tracking(weekly: pd.DataFrame, customers: pd.DataFrame, model: BetaGeo | PooledRate) -> pd.DataFrame:
    """Repeat orders by week, counted and expected by a model of new customers' behaviour.

    `weekly` as from customers.weekly_orders, `customers` all whose first order lies in it.
    Columns: week, actual, expected.
    """
    births = customers.first_order.value_counts()
    ages = (weekly.week.to_numpy()[:, None] - births.index.to_numpy()[None, :]) / np.timedelta64(1, "D")
    distinct, where = np.unique(ages.clip(min=0), return_inverse=True)
    cumulative = model.expected_repeats(distinct)[where].reshape(ages.shape) @ births.to_numpy()
    return pd.DataFrame({"week": weekly.week, "actual": weekly.repeat, "expected": np.diff(cumulative, prepend=0)})


def conditional_expectation(held: pd.DataFrame, expected: pd.Series) -> pd.DataFrame:
    """Mean orders in the holdout by repeat orders before it. Columns: repeats, customers, actual, expected."""
    table = held.assign(expected=expected.to_numpy(), repeats=held.frequency.clip(upper=MOST_REPEATS))
    by = table.groupby("repeats", as_index=False)
    return by.agg(customers=("orders", "size"), actual=("holdout_orders", "mean"), expected=("expected", "mean"))


def surface(customers: pd.DataFrame, model: BetaGeo | PooledRate, days: int, steps: int = 24) -> pd.DataFrame:
    """Expected orders by frequency (index) and days since the last order (columns), for a customer of median age."""
    if customers.empty:
        return pd.DataFrame()
    age = int(customers.age_days.median())
    frequencies = np.arange(0, max(2, int(customers.frequency.quantile(0.99))) + 1)
    recencies = np.unique(np.linspace(0, age, steps).astype(int))
    grid = pd.DataFrame([(f, r) for f in frequencies for r in recencies], columns=["frequency", "recency_days"])
    grid = grid.assign(customer_id=grid.index, age_days=age)
    grid["expected"] = model.predict(grid, days).to_numpy()
    return grid.pivot(index="frequency", columns="recency_days", values="expected")


def accuracy(actual: pd.Series, expected: pd.Series) -> dict[str, float]:
    """Bias of the total, mean absolute and root mean squared error per customer."""
    if actual.empty:
        return {"bias": np.nan, "mae": np.nan, "rmse": np.nan}
    error = expected.to_numpy() - actual.to_numpy()
    total = actual.sum()
    return {
        "bias": float(error.sum() / total) if total else float("nan"),
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
    }


def share_of_top(values: pd.Series, top: float) -> float:
    """The share of the total that the most valuable share of customers holds."""
    count = int(np.ceil(top * len(values)))
    return float(values.nlargest(count).sum() / values.sum()) if values.sum() else float("nan")


def share_without_repeat(frequency: pd.DataFrame) -> dict[str, float]:
    """Counted (zero) and modelled (model) share of customers with no repeat order; from frequency_of_repeats."""
    shares = frequency[["actual", "model"]].iloc[0] / max(frequency.actual.sum(), 1)
    return {"zero": float(shares.actual), "model": float(shares.model)}


def totals(tracked: pd.DataFrame) -> dict[str, float]:
    """Expected and actual orders of tracked weeks, and the relative error."""
    expected, actual = tracked.expected.sum(), tracked.actual.sum()
    return {"expected": expected, "actual": actual, "bias": expected / actual - 1 if actual else float("nan")}


def most_frequent(conditional: pd.DataFrame) -> dict[str, float]:
    """The last class of conditional_expectation: its repeat orders (most), expected and actual orders."""
    if conditional.empty:
        return {"most": 0, "expected": float("nan"), "actual": float("nan")}
    last = conditional.iloc[-1]
    return {"most": int(last.repeats), "expected": last.expected, "actual": last.actual}
