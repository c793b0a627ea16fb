"""Models of orders with one contract, from what customers ordered.

`fit(customers, lessons)` takes the customers at a day and, for models that learn, outcomes known by
that day. `predict(customers, days)` gives the order days expected over the next `days`, by
customer_id. A model that cannot be estimated raises NotEstimable with the reason.
"""

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from scipy.stats import poisson

from analysis.errors import InputError
from analysis.models import btyd

WEEK = 7.0  # the models count time in weeks, as the literature does
TRAILING = (14, 28, 56, 91, 182)  # days before a date whose orders and money trees learn from
MIN_REPEATERS = 10  # customers; below this four parameters follow single customers
LEAST = 1e-4  # expected orders below this are taken as this in logs and ratios of one customer's
DEFAULT = "bg_nbd"  # where the data are too short to choose
BTYD = {
    "bg_nbd": btyd.BetaGeoFitter,
    "mbg_nbd": btyd.ModifiedBetaGeoFitter,
    "pareto_nbd": btyd.ParetoNBDFitter,
}


class NotEstimable(Exception):
    """Why a model cannot be estimated from the data at hand: a word of schema.LABELS."""


@dataclass(frozen=True)
class Labelled:
    """An entry of a registry: what the thing is called, and how it is made."""

    label: str
    make: Callable[..., Any]

    def __call__(self, *given: Any) -> Any:
        return self.make(*given)


class OrderModel(Protocol):
    def fit(self, customers: pd.DataFrame, lessons: Any) -> Self: ...
    def predict(self, customers: pd.DataFrame, days: float) -> pd.Series: ...


def by_customer(customers: pd.DataFrame, values: Any) -> pd.Series:
    return pd.Series(np.asarray(values, float), customers.customer_id)


def orders_of(customers: pd.DataFrame, values: Any, days: float) -> pd.Series:
    """Expected order days by customer_id: there are no more than days."""
    return by_customer(customers, np.clip(values, 0, days))


class AverageRate:
    """Everyone reorders at the average rate of all, which can always be estimated."""

    rate_ = 0.0

    def fit(self, customers: pd.DataFrame, lessons: Any = None) -> Self:
        self.rate_ = customers.frequency.sum() / max(customers.age_days.sum(), 1)
        return self

    def predict(self, customers: pd.DataFrame, days: float) -> pd.Series:
        return orders_of(customers, np.full(len(customers), self.rate_ * days), days)

    def expected_repeats(self, ages_days: np.ndarray) -> np.ndarray:
        """Repeat order days expected of a new customer by each age."""
        return self.rate_ * np.asarray(ages_days, float)

    def repeat_probabilities(self, ages_days: np.ndarray, most: int) -> np.ndarray:
        """Probability of 0, 1, … `most` - 1 repeat order days by each age; shape (ages, most)."""
        return poisson.pmf(np.arange(most), self.expected_repeats(ages_days)[:, None])


class LastPeriod:
    """As many orders as in the period of the same length just past."""

    def fit(self, customers: pd.DataFrame, lessons: Any) -> Self:
        return self

    def predict(self, customers: pd.DataFrame, days: float) -> pd.Series:
        counted = [int(c.removeprefix("orders_")) for c in customers if c.startswith("orders_")]
        nearest = min(counted, key=lambda n: abs(n - days))
        return orders_of(customers, customers[f"orders_{nearest}"] * days / nearest, days)


class OwnRate:
    """Each customer goes on at the own rate of repeat orders."""

    def fit(self, customers: pd.DataFrame, lessons: Any) -> Self:
        return self

    def predict(self, customers: pd.DataFrame, days: float) -> pd.Series:
        rate = customers.frequency / customers.age_days.clip(lower=1)
        return orders_of(customers, rate * days, days)


class BuyTillYouDie:
    """A fitter of btyd on the customers' histories."""

    def __init__(self, fitter: type[btyd.Timed]) -> None:
        self.fitter = fitter

    def fit(self, customers: pd.DataFrame, lessons: Any = None) -> Self:
        if (customers.frequency > 0).sum() < MIN_REPEATERS:
            raise NotEstimable("too_few_repeaters")
        self.fitter_ = self.fitter().fit(*self._history(customers))
        if self.fitter_.problem_:
            raise NotEstimable(self.fitter_.problem_)
        return self

    @staticmethod
    def _history(customers: pd.DataFrame) -> tuple[pd.Series, pd.Series, pd.Series]:
        """x, t_x, T in weeks."""
        span_days = customers.age_days - customers.recency_days
        return customers.frequency, span_days / WEEK, customers.age_days / WEEK

    def predict(self, customers: pd.DataFrame, days: float) -> pd.Series:
        expected = self.fitter_.predict(days / WEEK, *self._history(customers))
        return orders_of(customers, expected, days)

    def expected_repeats(self, ages_days: np.ndarray) -> np.ndarray:
        """As of AverageRate."""
        return self.fitter_.expected_number_of_purchases_up_to_time(np.asarray(ages_days) / WEEK)

    def repeat_probabilities(self, ages_days: np.ndarray, most: int) -> np.ndarray:
        """As of AverageRate."""
        probability = self.fitter_.probability_of_n_purchases_up_to_time
        return np.column_stack([probability(np.asarray(ages_days) / WEEK, n) for n in range(most)])

    def refits(self, times: int, seed: int) -> Iterator[Self]:
        """The same model fitted to resampled customers."""
        for parameters in self.fitter_.refits(times, seed):
            again = copy.copy(self)
            again.fitter_ = self.fitter_.with_parameters(parameters)
            yield again


Probabilistic = BuyTillYouDie | AverageRate


def probabilistic(customers: pd.DataFrame, *names: str) -> Probabilistic:
    """The first buy-till-you-die model of these names (BG/NBD for any other) that can be estimated,
    else the average rate.
    """
    for name in names:
        with suppress(NotEstimable):
            return BuyTillYouDie(BTYD.get(name, BTYD[DEFAULT])).fit(customers)
    return AverageRate().fit(customers)


def load(path: str | Path) -> BuyTillYouDie:
    """The probabilistic model that a run kept as models/orders.json, without its customers.

    orders.load("models/orders.json").predict(known, days=30)  # order days expected, by customer_id
    """
    kept = json.loads(Path(path).read_text("utf-8"))["parameters"]["fitter"]
    for fitter in BTYD.values():
        if kept.get("model") == fitter.__name__:
            model = BuyTillYouDie(fitter)
            model.fitter_ = fitter.from_dict(kept)
            return model
    raise InputError(f"{path} keeps no buy-till-you-die model; the champion of its run has none")


def trailing(horizon_days: int) -> tuple[int, ...]:
    """The windows that the models need."""
    return tuple(sorted({*TRAILING, horizon_days}))
