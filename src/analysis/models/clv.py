"""What customers are expected to order, to spend, and to be worth: models with one contract.

`fit(customers, lessons)` takes the customers at a day and, for models that learn, outcomes known by
that day. `predict(customers, days)` gives the order days expected over the next `days`, by
customer_id. A model that cannot be estimated raises NotEstimable with the reason.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from scipy.stats import poisson
from sklearn.ensemble import HistGradientBoostingRegressor

from analysis.models import btyd
from analysis.intake.dataset import Dataset

WEEK = 7.0  # the models count time in weeks, as the literature does
STEP_DAYS = 91.0  # lifetime value adds up quarters, each discounted from its middle
TRAILING = (
    14,
    28,
    56,
    91,
    182,
)  # days before a date in which orders and money are counted for the learning models
MIN_REPEATERS = 10  # customers; below this four parameters follow single customers
MIN_LEARNED = 200  # outcomes of customers; below this trees learn noise
MOST_LEARNED = 200_000  # outcomes; trees learn little from more
# of a feature, with about equal expected orders: finer ones teach trees nothing, and codes fit in a
# byte
BINS = 64
MOST_CORRELATED = (
    0.3  # |rank correlation| of order number and order value beyond which Gamma-Gamma misleads
)
PRIOR_ORDERS = 3  # orders of average value that shrinkage adds to a customer's own
MOST_REPEATS = 7  # the last class of the pictures is "7 or more"


class NotEstimable(Exception):
    """Why a model cannot be estimated from the data at hand: a word of the catalogue."""


class OrderModel(Protocol):
    def fit(self, customers: pd.DataFrame, lessons: "Lessons") -> Self: ...
    def predict(self, customers: pd.DataFrame, days: float) -> pd.Series: ...


def _by_customer(customers: pd.DataFrame, values: Any) -> pd.Series:
    return pd.Series(np.asarray(values, float), customers.customer_id)


def _orders(customers: pd.DataFrame, values: Any, days: float) -> pd.Series:
    """Expected order days by customer_id: there are no more than days."""
    return _by_customer(customers, np.clip(values, 0, days))


class AverageRate:
    """Everyone reorders at the average rate of all: what is left where nothing else can be
    estimated.
    """

    rate_ = 0.0

    def fit(self, customers: pd.DataFrame, lessons: "Lessons | None" = None) -> Self:
        self.rate_ = customers.frequency.sum() / max(customers.age_days.sum(), 1)
        return self

    def predict(self, customers: pd.DataFrame, days: float) -> pd.Series:
        return _orders(customers, np.full(len(customers), self.rate_ * days), days)

    def expected_repeats(self, ages_days: np.ndarray) -> np.ndarray:
        """Repeat order days expected of a new customer by each age."""
        return self.rate_ * np.asarray(ages_days, float)

    def repeat_probabilities(self, ages_days: np.ndarray, most: int) -> np.ndarray:
        """Probability of 0, 1, … `most` - 1 repeat order days by each age; shape (ages, most)."""
        return poisson.pmf(np.arange(most), self.expected_repeats(ages_days)[:, None])


class LastPeriod:
    """As many orders as in the period of the same length just past."""

    def fit(self, customers: pd.DataFrame, lessons: "Lessons") -> Self:
        return self

    def predict(self, customers: pd.DataFrame, days: float) -> pd.Series:
        counted = [
            int(name.removeprefix("orders_")) for name in customers if name.startswith("orders_")
        ]
        nearest = min(counted, key=lambda n: abs(n - days))
        return _orders(customers, customers[f"orders_{nearest}"] * days / nearest, days)


class OwnRate:
    """Each customer goes on at the own rate of repeat orders."""

    def fit(self, customers: pd.DataFrame, lessons: "Lessons") -> Self:
        return self

    def predict(self, customers: pd.DataFrame, days: float) -> pd.Series:
        rate = customers.frequency / customers.age_days.clip(lower=1)
        return _orders(customers, rate * days, days)


class BuyTillYouDie:
    """A fitter of btyd on the customers' histories."""

    def __init__(self, fitter: type[btyd.Timed]) -> None:
        self.fitter = fitter

    def fit(self, customers: pd.DataFrame, lessons: "Lessons | None" = None) -> Self:
        if (customers.frequency > 0).sum() < MIN_REPEATERS:
            raise NotEstimable("too_few_repeaters")
        self.fitter_ = self.fitter().fit(*self._history(customers))
        if self.fitter_.problem_:
            raise NotEstimable(self.fitter_.problem_)
        return self

    @staticmethod
    def _history(customers: pd.DataFrame) -> tuple[pd.Series, pd.Series, pd.Series]:
        """x, t_x, T in weeks."""
        return (
            customers.frequency,
            (customers.age_days - customers.recency_days) / WEEK,
            customers.age_days / WEEK,
        )

    def predict(self, customers: pd.DataFrame, days: float) -> pd.Series:
        expected = self.fitter_.predict(days / WEEK, *self._history(customers))
        return _orders(customers, expected, days)

    def expected_repeats(self, ages_days: np.ndarray) -> np.ndarray:
        """Repeat order days expected of a new customer by each age."""
        return self.fitter_.expected_number_of_purchases_up_to_time(np.asarray(ages_days) / WEEK)

    def repeat_probabilities(self, ages_days: np.ndarray, most: int) -> np.ndarray:
        """Probability of 0, 1, … `most` - 1 repeat order days by each age; shape (ages, most)."""
        probability = self.fitter_.probability_of_n_purchases_up_to_time
        return np.column_stack([probability(np.asarray(ages_days) / WEEK, n) for n in range(most)])

    def refits(self, times: int, seed: int) -> list["BuyTillYouDie"]:
        """The same model fitted to resampled customers."""
        again = []
        for parameters in self.fitter_.refits(times, seed):
            other = BuyTillYouDie(self.fitter)
            other.fitter_ = self.fitter_.with_parameters(parameters)
            again.append(other)
        return again


BTYD = {
    "bg_nbd": btyd.BetaGeoFitter,
    "mbg_nbd": btyd.ModifiedBetaGeoFitter,
    "pareto_nbd": btyd.ParetoNBDFitter,
}


def features(customers: pd.DataFrame) -> pd.DataFrame:
    """What trees learn from: counts, times (days), own rhythm, and rates in trailing windows; money
    over its median.
    """
    c = customers
    gap = (c.age_days - c.recency_days) / c.frequency.clip(lower=1)
    typical = c.order_value.median() or 1.0
    known = {
        "frequency": c.frequency,
        "recency_days": c.recency_days,
        "age_days": c.age_days,
        "gap_days": gap,
        "overdue": c.recency_days / gap.clip(lower=1),
        "rate": c.orders / (c.age_days + 30),
        "order_value": c.order_value / typical,
    }
    windows = {f"orders_{n}": c[f"orders_{n}"] / np.minimum(n, c.age_days + 1) for n in TRAILING}
    money = {f"revenue_{n}": c[f"revenue_{n}"] / typical for n in (28, 91)}
    return pd.DataFrame(known | windows | money).astype(float)


# expected orders below this are taken as this in logs and ratios of one customer's forecasts
LEAST = 1e-4


def _inputs(customers: pd.DataFrame, expected: np.ndarray) -> pd.DataFrame:
    return features(customers).assign(expected=np.log(expected.clip(LEAST)))


def _due(expected: np.ndarray) -> np.ndarray:
    """Expected orders, none under a hundredth of the mean: a ratio to almost nothing would outweigh
    all others.
    """
    return expected.clip(max(LEAST, expected.mean() / 100))


class Lessons:
    """Outcomes to learn from, worked out once for all models that learn.

    `past` are frames of origins.Past.at whose outcome was complete by the day of learning, the
    latest first.
    """

    def __init__(self, past: Sequence[pd.DataFrame] = ()) -> None:
        self.past = past
        self._histories: dict[bool, tuple[dict[str, np.ndarray], pd.DataFrame]] = {}

    @cached_property
    def bases(self) -> list["Probabilistic"]:
        """What the default model, or for want of it the average rate, expected at each past day."""
        return [probabilistic(held, DEFAULT) for held in self.past]

    def outcomes(self, based: bool = True) -> pd.DataFrame:
        """What trees see of at most MOST_LEARNED customers; the orders that came, and those that
        the base expected (due). With `based` only of days when the default model could be
        estimated: a ratio to another base says nothing of a ratio to this one.
        """
        days = list(zip(self.past, self.bases, strict=True))
        told = [
            (held, base.predict(held, held.attrs["horizon_days"]).to_numpy())
            for held, base in days
            if isinstance(base, BuyTillYouDie) or not based
        ]
        if days and not told:
            raise NotEstimable("no_common_base")
        came = sum(held.holdout_orders.sum() for held, _ in told)
        if sum(len(held) for held, _ in told) < MIN_LEARNED or not came:
            raise NotEstimable("too_little_past")
        every = pd.concat(
            [
                _inputs(held, expected).assign(came=held.holdout_orders, due=_due(expected))
                for held, expected in told
            ],
            ignore_index=True,
        )
        return every.sample(min(len(every), MOST_LEARNED), random_state=0)

    def histories(self, based: bool = True) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
        """Upper ends of the bins of each feature but the last one's, about the same orders due in
        each; and the outcomes of the same bins summed, which tell a Poisson loss as much. Columns:
        the bins, came, due, customers.
        """
        based = based or all(isinstance(base, BuyTillYouDie) for base in self.bases)
        if based not in self._histories:
            outcomes = self.outcomes(based)
            due = outcomes.due.to_numpy()
            names = outcomes.columns.drop(["came", "due"])
            bins = {name: _ends(outcomes[name].to_numpy(), due) for name in names}
            sums = outcomes[["came", "due"]].assign(customers=1.0)
            binned = _binned(outcomes, bins).join(sums).groupby(list(bins), as_index=False).sum()
            self._histories[based] = bins, binned
        return self._histories[based]


def _ends(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    order = np.argsort(values, kind="stable")
    reached = weights[order].cumsum()
    return np.unique(
        values[order[np.searchsorted(reached, reached[-1] * np.arange(1, BINS) / BINS)]]
    )


def _binned(inputs: pd.DataFrame, bins: dict[str, np.ndarray]) -> pd.DataFrame:
    codes = {
        name: np.searchsorted(ends, inputs[name]).astype(np.uint8) for name, ends in bins.items()
    }
    return pd.DataFrame(codes, inputs.index)


class Trees:
    """What trees learned from earlier outcomes: a forecast for the horizon of these, carried to
    other spans by the probabilistic model, which knows that customers age.

    They may be told what that model expects, learn orders in relation to it, and be held to its
    level.
    """

    def __init__(self, told: bool = True, related: bool = False, held: bool = True) -> None:
        self.told, self.related, self.held = told, related, held

    def fit(self, customers: pd.DataFrame, lessons: Lessons) -> Self:
        based = self.told or self.related  # and not only carried to other spans by the base
        bins, histories = lessons.histories(based)
        self.horizon_days = lessons.past[0].attrs["horizon_days"]
        self.base_ = probabilistic(customers, DEFAULT)
        if based and not isinstance(self.base_, BuyTillYouDie):
            raise NotEstimable("no_common_base")
        self.bins_ = {name: ends for name, ends in bins.items() if self.told or name != "expected"}
        weight = histories.due if self.related else histories.customers
        self.trees_ = HistGradientBoostingRegressor(
            loss="poisson", max_iter=80, learning_rate=0.06, max_leaf_nodes=8, min_samples_leaf=40,
            l2_regularization=5, max_bins=BINS, early_stopping=False, random_state=0,
        ).fit(histories[list(self.bins_)], histories.came / weight, weight)  # fmt: skip
        return self

    def predict(self, customers: pd.DataFrame, days: float) -> pd.Series:
        base = self.base_.predict(customers, self.horizon_days).to_numpy()
        learned = self.trees_.predict(_binned(_inputs(customers, base), self.bins_)) * (
            _due(base) if self.related else 1.0
        )
        level = base.sum() / learned.sum() if self.held and learned.sum() else 1.0
        further = self.base_.predict(customers, days).to_numpy().clip(LEAST) / base.clip(LEAST)
        return _orders(customers, learned * level * further, days)


# The simplest first: of models that forecast equally well the first one is taken.
ORDER_MODELS: dict[str, Callable[[], OrderModel]] = {
    "average_rate": AverageRate,
    "last_period": LastPeriod,
    "own_rate": OwnRate,
    **{name: partial(BuyTillYouDie, fitter) for name, fitter in BTYD.items()},
    "boosted": partial(
        Trees, told=False, held=False
    ),  # from the features alone, at their own level
    "hybrid": partial(Trees, related=True),  # corrects the probabilistic forecast
    "stacked": Trees,  # has the probabilistic forecast as one more feature
}
DEFAULT = "bg_nbd"  # where the data are too short to choose


# Spend: each gives the money expected of one order, by customer_id, before returns.
def mean_spend(customers: pd.DataFrame) -> pd.Series:
    """The mean of all customers for each."""
    mean = customers.order_value.mean()
    return _by_customer(customers, np.full(len(customers), 0.0 if np.isnan(mean) else mean))


def shrunk_spend(customers: pd.DataFrame) -> pd.Series:
    """The own mean, drawn towards that of all as if PRIOR_ORDERS orders of average value had been
    placed too.
    """
    overall = mean_spend(customers).to_numpy()
    own = customers.order_value.fillna(0) * customers.orders
    return _by_customer(
        customers, (own + PRIOR_ORDERS * overall) / (customers.orders + PRIOR_ORDERS)
    )


def gamma_gamma_spend(customers: pd.DataFrame) -> pd.Series:
    """Gamma-Gamma on repeat orders above zero (Fader & Hardie 2013); it takes spend to be
    independent of frequency.
    """
    valued = customers[customers.repeat_valued > 0]
    if len(valued) < MIN_REPEATERS:
        raise NotEstimable("too_few_repeaters")
    if abs(valued.repeat_valued.corr(valued.repeat_value, method="spearman")) > MOST_CORRELATED:
        raise NotEstimable("spend_depends_on_frequency")
    fitter = btyd.GammaGammaFitter().fit(valued.repeat_valued, valued.repeat_value)
    if fitter.problem_:
        raise NotEstimable(fitter.problem_)
    return _by_customer(
        customers,
        fitter.conditional_expected_average_profit(
            customers.repeat_valued, customers.repeat_value.fillna(0)
        ),
    )


SPEND_MODELS: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "mean_spend": mean_spend,
    "shrunk_spend": shrunk_spend,
    "gamma_gamma": gamma_gamma_spend,
}
DEFAULT_SPEND = "shrunk_spend"


def kept_share(customers: pd.DataFrame) -> float:
    """The share of money ordered that returns leave."""
    ordered = (customers.order_value * customers.orders).sum()
    return float(np.clip(customers.revenue.sum() / ordered, 0, 1)) if ordered else 1.0


def order_value(customers: pd.DataFrame, spend: str) -> pd.Series:
    """Money expected of one order net of returns, by customer_id, by a spend model."""
    return SPEND_MODELS[spend](customers) * kept_share(customers)


def estimable_order_value(customers: pd.DataFrame, spend: str) -> tuple[pd.Series, str]:
    """The same, or by DEFAULT_SPEND with the reason why the model asked for cannot be estimated."""
    try:
        return order_value(customers, spend), ""
    except NotEstimable as reason:
        return order_value(customers, DEFAULT_SPEND), str(reason)


def discounted_orders(
    model: OrderModel, customers: pd.DataFrame, days: float, annual_rate: float
) -> pd.Series:
    """Order days expected over `days`, each worth less the later it comes, by customer_id."""
    ends = np.append(np.arange(STEP_DAYS, days, STEP_DAYS), days)
    total, before, start = _by_customer(customers, np.zeros(len(customers))), 0.0, 0.0
    for end in ends:
        upto = model.predict(customers, end)
        total += (upto - before) / (1 + annual_rate) ** ((start + end) / 2 / 365.25)
        before, start = upto, end
    return total


def lifetime_value(
    customers: pd.DataFrame,
    model: OrderModel,
    order_value: pd.Series,
    settings: Dataset,
    margin: float,
) -> pd.DataFrame:
    """The table `clv` without its intervals; `margin` as from customers.margin."""
    orders = model.predict(customers, settings.horizon_days)
    future = discounted_orders(model, customers, settings.value_days, settings.annual_discount_rate)
    table = {
        "expected_orders": orders,
        "expected_order_value": order_value,
        "expected_spend": orders * order_value,
        "clv": future * order_value * margin,
    }
    return pd.DataFrame(table).rename_axis("customer_id").reset_index()


# Pictures
Probabilistic = BuyTillYouDie | AverageRate


def probabilistic(customers: pd.DataFrame, name: str) -> Probabilistic:
    """The buy-till-you-die model of that name, BG/NBD for any other, the average rate where it
    cannot be estimated.
    """
    try:
        return BuyTillYouDie(BTYD.get(name, BTYD[DEFAULT])).fit(customers)
    except NotEstimable:
        return AverageRate().fit(customers)


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
    of median age.
    """
    if customers.empty:
        return pd.DataFrame()
    age = int(customers.age_days.median())
    frequencies = np.arange(0, max(2, int(customers.frequency.quantile(0.99))) + 1)
    recencies = np.unique(np.linspace(0, max(age - 1, 0), steps).astype(int))
    grid = pd.DataFrame(
        [(f, r) for f in frequencies for r in recencies], columns=["frequency", "recency_days"]
    )
    grid.loc[grid.frequency == 0, "recency_days"] = age  # the last order is the first one
    place = grid.assign(customer_id=grid.index, age_days=age)
    expected = model.predict(place, days).to_numpy().reshape(len(frequencies), len(recencies))
    return pd.DataFrame(expected, index=frequencies, columns=recencies)


def trailing(horizon_days: int) -> tuple[int, ...]:
    """The windows that the models need."""
    return tuple(sorted({*TRAILING, horizon_days}))


def first_group(groups: pd.DataFrame) -> dict[str, object]:
    """The group of highest value. Keys: group, customers, clv."""
    if groups.empty:
        return {"group": "", "customers": 0, "clv": float("nan")}
    return {
        "group": groups.index[0],
        "customers": groups.customers.iloc[0],
        "clv": groups.clv.iloc[0],
    }


def standing(customers: pd.DataFrame, new_days: int) -> pd.Series:
    """How much a forecast of each customer rests on, by customer_id: new (first order within
    new_days), one_time, some_repeats (2 to 4 orders), many_repeats.
    """
    classes = np.select(
        [customers.age_days < new_days, customers.orders == 1, customers.orders < 5],
        ["new", "one_time", "some_repeats"],
        default="many_repeats",
    )
    return pd.Series(classes, customers.customer_id, dtype="str")


def share_of_top(values: pd.Series, top: float) -> float:
    """The share of the total that the most valuable share of customers holds."""
    count = int(np.ceil(round(top * len(values), 9)))
    return float(values.nlargest(count).sum() / values.sum()) if values.sum() else float("nan")


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
