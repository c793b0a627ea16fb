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

from analysis.errors import InputError, NotEstimable
from analysis.models import btyd
from analysis.models.calendar import WEEK, Calendar, by_clock

TRAILING = (14, 28, 56, 91, 182)  # days before a date whose orders and money trees learn from
MIN_REPEATERS = 10  # customers; below this four parameters follow single customers
LEAST = 1e-4  # expected orders below this are taken as this in logs and ratios of one customer's
PROVEN = 3.0  # standard errors by which pauses are evener than by chance
DEFAULT = "bg_nbd"  # where the data are too short to choose
BTYD = {
    "bg_nbd": btyd.BetaGeoFitter,
    "mbg_nbd": btyd.ModifiedBetaGeoFitter,
    "pareto_nbd": btyd.ParetoNBDFitter,
}


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

    def repeats_of_newcomers(self, come: np.ndarray, days: np.ndarray | float) -> np.ndarray:
        """Repeat order days until `days` from now of a customer who comes in so many days, or came
        (below 0).
        """
        return self.expected_repeats(days - come)

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
    """A fitter of btyd on the customers' histories, in weeks or by the calendar's clock."""

    calendar_: Calendar | None = None
    near: "Probabilistic | None" = None  # fitted to the same company on another day
    fitter_: btyd.Timed

    def __init__(self, fitter: type[btyd.Timed], by_calendar: bool = False) -> None:
        self.fitter, self.by_calendar = fitter, by_calendar

    def fit(self, customers: pd.DataFrame, lessons: Any = None) -> Self:
        if self.by_calendar:
            self.calendar_ = lessons.calendar(customers)
        if (customers.frequency > 0).sum() < MIN_REPEATERS:
            raise NotEstimable("too_few_repeaters")
        fitter = self.fitter()
        if isinstance(self.near, BuyTillYouDie):
            fitter.near(self.near.fitter_)
        self.fitter_ = fitter.fit(*self._history(customers))
        if self.fitter_.problem_:
            raise NotEstimable(self.fitter_.problem_)
        return self

    def _history(self, customers: pd.DataFrame) -> tuple[Any, Any, Any]:
        """x, t_x, T."""
        if self.calendar_:
            return customers.frequency, *by_clock(customers, self.calendar_.clock)
        span_days = customers.age_days - customers.recency_days
        return customers.frequency, span_days / WEEK, customers.age_days / WEEK

    def predict(self, customers: pd.DataFrame, days: float) -> pd.Series:
        ahead = self.calendar_.clock(days) if self.calendar_ else days / WEEK
        expected = self.fitter_.predict(ahead, *self._history(customers))
        return orders_of(customers, expected, days)

    def still_there(self, customers: pd.DataFrame) -> pd.Series:
        """Probability that each customer has not left, by customer_id."""
        alive = self.fitter_.conditional_probability_alive(*self._history(customers))
        return by_customer(customers, alive)

    def expected_repeats(self, ages_days: np.ndarray) -> np.ndarray:
        """As of AverageRate; by a calendar in a year like all others."""
        return self.fitter_.expected_number_of_purchases_up_to_time(np.asarray(ages_days) / WEEK)

    def repeats_of_newcomers(self, come: np.ndarray, days: np.ndarray | float) -> np.ndarray:
        """As of AverageRate."""
        if not self.calendar_:
            return self.expected_repeats(days - come)
        ages = self.calendar_.clock(days) - self.calendar_.clock(come)
        return self.fitter_.expected_number_of_purchases_up_to_time(ages)

    def repeat_probabilities(self, ages_days: np.ndarray, most: int) -> np.ndarray:
        """As of AverageRate, of customers of these ages now."""
        probability = self.fitter_.probability_of_n_purchases_up_to_time
        ages = np.asarray(ages_days) / WEEK
        if self.calendar_:
            ages = -self.calendar_.clock(-np.asarray(ages_days, float))
        return np.column_stack([probability(ages, n) for n in range(most)])

    def kept(self) -> dict[str, Any]:
        """As plain data, which `load` reads."""
        clock = {"calendar": self.calendar_.kept()} if self.calendar_ else {}
        return {"fitter": self.fitter_.to_dict(), **clock}

    def refits(self, times: int, seed: int) -> Iterator[Self]:
        """The same model fitted to resampled customers."""
        for parameters in self.fitter_.refits(times, seed):
            again = copy.copy(self)
            again.fitter_ = self.fitter_.with_parameters(parameters)
            yield again


class Regular(BuyTillYouDie):
    """BG/NBD of customers whose orders are more regular than by chance: as much as the company's
    pauses show.
    """

    def __init__(self) -> None:
        super().__init__(BTYD[DEFAULT])

    def fit(self, customers: pd.DataFrame, lessons: Any = None) -> Self:
        self.fitter = btyd.REGULAR[phases(*lessons.pause_pairs())]
        return super().fit(customers)


def phases(pairs: float, uneven: float) -> int:
    """Of how many exponential times a pause is the sum, from customers.pause_pairs: of gamma times
    the share of one in two follows a symmetric beta distribution of the same shape (Wheat &
    Morrison 1990), whatever the customers' rates are. Raises NotEstimable where that is not beyond
    chance more than one.
    """
    by_chance, deviation = 1 / 12, np.sqrt(1 / 180)  # mean and deviation of the square of one
    if pairs < 1 or uneven / pairs > by_chance - PROVEN * deviation / np.sqrt(pairs):
        raise NotEstimable("orders_not_regular")
    shape = (1 / (4 * max(uneven / pairs, LEAST)) - 1) / 2
    if round(shape) < min(btyd.REGULAR):
        raise NotEstimable("orders_not_regular")
    return min(round(shape), max(btyd.REGULAR))


Probabilistic = BuyTillYouDie | AverageRate


def probabilistic(
    customers: pd.DataFrame,
    *names: str,
    calendar: Calendar | None = None,
    near: Probabilistic | None = None,
) -> Probabilistic:
    """The first buy-till-you-die model of these names (BG/NBD for any other) that can be estimated,
    by the clock of a calendar if one is given; else the average rate. `near` was fitted to the same
    company on another day, where the fit begins: it ends at the same place, and sooner.
    """
    for name in names:
        with suppress(NotEstimable):
            model = BuyTillYouDie(BTYD.get(name, BTYD[DEFAULT]))
            model.calendar_, model.near = calendar, near
            return model.fit(customers)
    return AverageRate().fit(customers)


def load(path: str | Path) -> BuyTillYouDie:
    """The probabilistic model that a run kept as models/orders.json, without its customers.

    orders.load("models/orders.json").predict(known, days=30)  # order days expected, by customer_id
    """
    parameters = json.loads(Path(path).read_text("utf-8"))["parameters"]
    kept = parameters["fitter"]
    fitters: list[type[btyd.Timed]] = [*BTYD.values(), *btyd.REGULAR.values()]
    for fitter in fitters:
        if kept.get("model") == fitter.__name__:
            model = BuyTillYouDie(fitter)
            model.fitter_ = fitter.from_dict(kept)
            if calendar := parameters.get("calendar"):
                model.calendar_ = Calendar.of(calendar)
            return model
    raise InputError(f"{path} keeps no buy-till-you-die model; the champion of its run has none")


def trailing(horizon_days: int) -> tuple[int, ...]:
    """The windows that the models need."""
    return tuple(sorted({*TRAILING, horizon_days}))
