"""What trees learn from earlier outcomes, beside or in place of a buy-till-you-die model."""

import datetime as dt
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, Self

import numpy as np
import pandas as pd
from ibis.expr.types import Table
from sklearn.ensemble import HistGradientBoostingRegressor

from analysis import customers
from analysis.errors import NotEstimable
from analysis.models import origins
from analysis.models.calendar import Calendar, estimate
from analysis.models.orders import (
    DEFAULT,
    LEAST,
    TRAILING,
    BuyTillYouDie,
    Probabilistic,
    orders_of,
    probabilistic,
)

MIN_LEARNED = 200  # outcomes of customers; below this trees learn noise
MOST_LEARNED = 200_000  # outcomes; trees learn little from more
BINS = 64  # of a feature, with about equal expected orders: finer ones teach trees nothing
SMALL_TREES: dict[str, Any] = {  # and many
    "max_iter": 80, "learning_rate": 0.06, "max_leaf_nodes": 8, "min_samples_leaf": 40,
    "l2_regularization": 5, "early_stopping": False, "random_state": 0,
}  # fmt: skip


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


def _inputs(customers: pd.DataFrame, expected: np.ndarray) -> pd.DataFrame:
    return features(customers).assign(expected=np.log(expected.clip(LEAST)))


def _due(expected: np.ndarray) -> np.ndarray:
    """Expected orders, none under a hundredth of the mean: a ratio to almost nothing would outweigh
    all others.
    """
    return expected.clip(max(LEAST, expected.mean() / 100))


class Bases:
    """The default model, or for want of it the average rate, fitted once to each frame."""

    def __init__(self) -> None:
        self._fitted: list[tuple[pd.DataFrame, Probabilistic]] = []

    def of(self, customers: pd.DataFrame) -> Probabilistic:
        for frame, base in self._fitted:
            if frame is customers:
                return base
        base = probabilistic(customers, DEFAULT)
        self._fitted.append((customers, base))
        return base


class Lessons:
    """Outcomes to learn from, worked out once for all models that learn.

    `past` are frames of origins.Past.at whose outcome was complete by the day of learning, the
    latest first. Lessons of several days may share their bases. `weekly` gives the orders by week
    up to the day, as customers.weekly_orders does; `pause_pairs` the pairs of pauses that had
    ended by it and how uneven they are, as customers.pause_pairs does.
    """

    def __init__(
        self,
        past: Sequence[pd.DataFrame] = (),
        bases: Bases | None = None,
        weekly: Callable[[], pd.DataFrame] | None = None,
        pause_pairs: Callable[[], tuple[float, float]] = lambda: (0.0, 0.0),
    ) -> None:
        self.past, self._bases, self._read_weekly = past, bases or Bases(), weekly
        self.pause_pairs = pause_pairs
        self._calendar: Calendar | None = None
        self._histories: dict[bool, tuple[dict[str, np.ndarray], pd.DataFrame]] = {}

    def base_of(self, customers: pd.DataFrame, model: object = None) -> Probabilistic:
        """The buy-till-you-die model that a model is, or is held to; without one the default of
        these customers.
        """
        base = getattr(model, "base_", model)
        return base if isinstance(base, BuyTillYouDie) else self._bases.of(customers)

    def calendar(self, customers: pd.DataFrame) -> Calendar:
        """calendar.estimate of all customers of the day; NotEstimable where it cannot be told."""
        if self._calendar is None:
            self._calendar = estimate(customers, self.weekly())
        return self._calendar

    def weekly(self) -> pd.DataFrame:
        """Orders by week up to the day, as from customers.weekly_orders; NotEstimable without."""
        if self._read_weekly is None:
            raise NotEstimable("too_few_years")
        return self._read_weekly()

    @cached_property
    def bases(self) -> list[Probabilistic]:
        """Those of each past day."""
        return [self.base_of(held) for held in self.past]

    def outcomes(self, based: bool = True) -> pd.DataFrame:
        """What trees see of at most MOST_LEARNED customers; the orders that came, and those that
        the base expected (due). With `based` only of days when the default model could be
        estimated: a ratio to another base says nothing of a ratio to this one.
        """
        days = [
            (held, base.predict(held, held.attrs["horizon_days"]).to_numpy())
            for held, base in zip(self.past, self.bases, strict=True)
            if isinstance(base, BuyTillYouDie) or not based
        ]
        if self.past and not days:
            raise NotEstimable("no_common_base")
        came = sum(held.holdout_orders.sum() for held, _ in days)
        if sum(len(held) for held, _ in days) < MIN_LEARNED or not came:
            raise NotEstimable("too_little_past")
        told = [
            _inputs(held, expected).assign(came=held.holdout_orders, due=_due(expected))
            for held, expected in days
        ]
        every = pd.concat(told, ignore_index=True)
        return every.sample(min(len(every), MOST_LEARNED), random_state=0)

    def histories(self, based: bool = True) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
        """Upper ends of the bins of each feature but the last one's, about the same orders due in
        each; and the outcomes of the same bins summed, which tell a Poisson loss as much. Columns:
        the bins, came, due, customers.
        """
        based = based or all(isinstance(base, BuyTillYouDie) for base in self.bases)
        if based not in self._histories:
            outcomes = self.outcomes(based)
            due, names = outcomes.due.to_numpy(), outcomes.columns.drop(["came", "due"])
            bins = {name: _ends(outcomes[name].to_numpy(), due) for name in names}
            sums = outcomes[["came", "due"]].assign(customers=1.0)
            binned = _binned(outcomes, bins).join(sums).groupby(list(bins), as_index=False).sum()
            self._histories[based] = bins, binned
        return self._histories[based]


def _ends(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    order = np.argsort(values, kind="stable")
    reached = weights[order].cumsum()
    cuts = np.searchsorted(reached, reached[-1] * np.arange(1, BINS) / BINS)
    return np.unique(values[order[cuts]])


def _binned(inputs: pd.DataFrame, bins: dict[str, np.ndarray]) -> pd.DataFrame:
    codes = {name: np.searchsorted(ends, inputs[name]) for name, ends in bins.items()}
    return pd.DataFrame(codes, inputs.index).astype(np.uint8)


class Past(origins.Past):
    """Customers at past days with the orders that followed, described as the models need it."""

    closest = 1 / 3

    def __init__(self, transactions: Table, horizon_days: int) -> None:
        super().__init__(transactions, horizon_days, TRAILING)
        self._bases = Bases()

    def new_orders(self, day: dt.date) -> float:
        """Order days within the horizon after a day, of customers who came in it."""
        later = self.known(day + dt.timedelta(days=self.horizon_days))
        return float(later.orders[later.age_days < self.horizon_days].sum())

    def lessons(self, day: dt.date) -> Lessons:
        """Outcomes complete by a day."""
        past = [self.at(d) for d in self.lesson_days(day) if len(self.at(d))]
        weekly = partial(customers.weekly_orders, self.transactions, day)
        return Lessons(past, self._bases, weekly, partial(self.pause_pairs, day))

    @cached_property
    def _pairs(self) -> pd.DataFrame:
        return customers.pause_pairs(self.transactions)

    def pause_pairs(self, day: dt.date) -> tuple[float, float]:
        """Pairs of pauses that had ended by a day, and how uneven, as of customers.pause_pairs."""
        known = self._pairs[self._pairs.day <= pd.Timestamp(day)].iloc[-1:]
        return float(known.pairs.sum()), float(known.uneven.sum())


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
        self.base_ = lessons.base_of(customers)
        if based and not isinstance(self.base_, BuyTillYouDie):
            raise NotEstimable("no_common_base")
        self.bins_ = {name: ends for name, ends in bins.items() if self.told or name != "expected"}
        weight = histories.due if self.related else histories.customers
        trees = HistGradientBoostingRegressor(loss="poisson", max_bins=BINS, **SMALL_TREES)
        self.trees_ = trees.fit(histories[list(self.bins_)], histories.came / weight, weight)
        self._last: tuple[pd.DataFrame, np.ndarray, np.ndarray] | None = None
        return self

    def predict(self, customers: pd.DataFrame, days: float) -> pd.Series:
        if self._last is None or self._last[0] is not customers:  # many spans are asked in turn
            self._last = customers, *self._within_horizon(customers)
        _, base, learned = self._last
        further = self.base_.predict(customers, days).to_numpy().clip(LEAST) / base.clip(LEAST)
        return orders_of(customers, learned * further, days)

    def _within_horizon(self, customers: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """What the base expects of each, and what the trees do."""
        base = self.base_.predict(customers, self.horizon_days).to_numpy()
        learned = self.trees_.predict(_binned(_inputs(customers, base), self.bins_))
        learned *= _due(base) if self.related else 1.0
        level = base.sum() / learned.sum() if self.held and learned.sum() else 1.0
        return base, learned * level
