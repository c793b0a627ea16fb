"""How sure a forecast is: how far outcomes lie from it, and how well the expectation is known.

All intervals hold 80 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from analysis.models.orders import LEAST, BuyTillYouDie, OrderModel

LEVEL = 0.80
TAILS = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
GROUPS = 10  # tenths of customers by forecast
BINS = 20  # of forecasts, in each of which outcomes are alike
LEAST_SHARE = 0.003  # of all; smaller tenths than this there were hardly any to learn from


def tenths(forecasts: np.ndarray) -> list[np.ndarray]:
    """The places of the customers in tenths by forecast, the highest first."""
    return np.array_split(np.argsort(-forecasts, kind="stable"), GROUPS)


@dataclass
class Outcomes:
    """How outcomes spread around forecasts: within bins of similar forecasts, and in the total from
    origin to origin. Learned from no origin, all that they tell is nan.
    """

    edges: np.ndarray  # upper ends of the bins of forecasts, the last is infinite
    sorted_: list[np.ndarray]  # outcomes in each bin, sorted
    variance: np.ndarray  # of the outcome in each bin
    level_errors: np.ndarray  # log of actual over forecast total, by origin
    apart: float = 0.0  # variance by which groups err beside all, as for `beside`
    # of the last bin, whose forecasts are not alike: outcome less forecast, in roots of the latter
    # as counts spread, sorted; of none the outcomes count as they are
    top: np.ndarray = field(default_factory=lambda: np.zeros(0))
    level_chance: float = 0.0  # variance that chance gives the errors of the level
    windows: float = 0.0  # whole horizons that these are of, where they overlap (origins.windows)
    new_level: float = 0.0  # error of the log of a level that earlier origins did not know

    @classmethod
    def learn(
        cls, pairs: Sequence[tuple[np.ndarray, np.ndarray]], level_errors: np.ndarray
    ) -> Self:
        """From forecasts and outcomes of the customers at each origin."""
        pairs = pairs or [(np.zeros(1), np.full(1, np.nan))]
        forecasts, actual = (np.concatenate(side) for side in zip(*pairs, strict=True))
        cuts = np.unique(np.quantile(forecasts, np.linspace(0, 1, BINS + 1)[1:-1]))
        place = np.searchsorted(cuts, forecasts, side="left")
        filled = np.unique(place)
        groups = [np.sort(actual[place == n]) for n in filled]
        edges = np.append(cuts, np.inf)[filled]
        edges[-1] = np.inf
        learned = cls(edges, groups, np.array([g.var() for g in groups]), level_errors)
        learned.apart = learned._apart(pairs)
        learned.level_chance = float(np.mean([learned._chance(values) for values, _ in pairs]))
        last = place == filled[-1]
        off = actual[last] - forecasts[last]
        learned.top = np.sort(off / np.sqrt(forecasts[last].clip(LEAST)))
        return learned

    def _apart(self, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
        """The variance of `beside` that tenths of customers show: the mean of the squared log
        errors of their shares of the total, the part that chance explains deducted.
        """
        squares = []
        for values, actual in pairs:
            for group in tenths(values):
                expected, came = (
                    side[group].sum() / max(side.sum(), LEAST) for side in (values, actual)
                )
                if 0 < expected < 1 and came > 0:
                    square = np.log(came / expected) ** 2 - self._chance(values[group])
                    squares.append(square / beside(1, expected))
        return float(max(np.mean(squares), 0)) if squares else 0.0

    def _chance(self, forecasts: np.ndarray) -> float:
        """Variance that chance gives the log of a total."""
        total = forecasts.sum()
        return float(self.variance[self._bin(forecasts)].sum() / total**2) if total else 0.0

    def _bin(self, forecasts: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.edges, forecasts, side="left").clip(max=len(self.edges) - 1)

    def interval(self, forecasts: np.ndarray) -> pd.DataFrame:
        """80 % prediction interval of each customer's orders, the forecast within: the quantiles of
        outcomes at like forecasts (split conformal in bins). Columns: low, high.
        """
        place = self._bin(forecasts)
        low, high = np.array([_ends(group) for group in self.sorted_])[place].T
        if len(self.top):
            last = place == len(self.edges) - 1
            ends = forecasts[last] + np.outer(_ends(self.top), np.sqrt(forecasts[last].clip(LEAST)))
            low[last], high[last] = np.ceil(ends[0].round(9).clip(0)), np.floor(ends[1].round(9))
        # to a mean that is no whole number: no count more lies within for that
        low, high = np.minimum(low, forecasts), np.maximum(high, forecasts)
        return pd.DataFrame({"low": low, "high": high})

    def covered(self, forecasts: np.ndarray, actual: np.ndarray) -> float:
        """The share of customers whose outcome lies within the interval, randomised where it falls
        on an end: counts have few values, so that a plain interval would cover too much.
        """
        low, high = TAILS
        place, shares = self._bin(forecasts), np.empty(len(actual))
        for n, group in enumerate(self.sorted_):
            mine = place == n
            below = np.searchsorted(group, actual[mine], side="left") / len(group)
            upto = np.searchsorted(group, actual[mine], side="right") / len(group)
            width = np.where(upto > below, upto - below, 1)
            inside = np.clip(np.minimum(upto, high) - np.maximum(below, low), 0, None) / width
            shares[mine] = np.where(upto > below, inside, (below > low) & (below < high))
        if len(self.top):
            mine = place == len(self.edges) - 1
            ends = self.interval(forecasts[mine])
            shares[mine] = (ends.low <= actual[mine]) & (actual[mine] <= ends.high)
        return float(shares.mean())

    def level_spread(self) -> float:
        """Root mean square of the level errors: how far totals went astray from one origin to the
        next, in logs.
        """
        known = len(self.level_errors) > 0
        return float(np.sqrt(np.mean(self.level_errors**2))) if known else float("nan")

    @property
    def level_reach(self) -> float:
        """How far (80 %) the level may go astray beyond chance, in logs."""
        level = np.maximum(self.level_spread() ** 2 - self.level_chance, 0)
        return reach_of(np.sqrt(level), self.windows or len(self.level_errors))

    def total(self, forecasts: np.ndarray, share: float = 1.0) -> dict[str, float]:
        """80 % prediction interval of the total of everybody, or of a group that holds a share of
        it: the reach of the level, and of chance, of a new level, and of what the group errs
        `beside` all. Keys: expected, low, high.
        """
        expected = float(forecasts.sum())
        variance = beside(self.apart, share) + self.new_level**2 + self._chance(forecasts)
        reach = np.hypot(self.level_reach, norm.ppf(TAILS[1]) * np.sqrt(variance))
        low, high = (expected * np.exp([-reach, reach])).tolist()
        return {"expected": expected, "low": low, "high": high}


def reach_of(astray: float, told: float) -> float:
    """How far (80 %) one more goes astray where so many did, in the root of their mean square:
    Student's t.
    """
    return float(student.ppf(TAILS[1], told) * astray)


def beside(apart: float, share: float) -> float:
    """The variance of the log by which a group that holds a share errs beside all of them: what one
    has more the others have less, as with shares of a Dirichlet distribution. `apart` is that of
    one half.
    """
    share = max(share, LEAST_SHARE)
    return apart * (1 - share) / share


def _ends(group: np.ndarray) -> tuple[float, float]:
    return _rank(group, TAILS[0], np.floor), _rank(group, TAILS[1], np.ceil)


def _rank(group: np.ndarray, share: float, whole: np.ufunc) -> float:
    """The conformal quantile: of n outcomes the one that a new one exceeds with no more than the
    asked chance.
    """
    rank = round((len(group) + 1) * share, 9)  # a float a hair below a whole number is that number
    return float(group[int(np.clip(whole(rank) - 1, 0, len(group) - 1))])


def refitted(
    model: OrderModel, customers: pd.DataFrame, days: float, seed: int, times: int
) -> tuple[np.ndarray, np.ndarray]:
    """Expected orders by refits to resampled customers of the probabilistic model (or the one that
    a learned model is held to), over those by the model: refits x distinct histories; and the
    history of each customer. nan where there are no refits.
    """
    base = getattr(model, "base_", model)
    history = ["frequency", "recency_days", "age_days"]
    where = customers.groupby(history).ngroup().to_numpy()
    distinct = customers[history].drop_duplicates().sort_values(history, ignore_index=True)
    if not isinstance(base, BuyTillYouDie):  # of the average rate, too, there are none
        return np.full((1, len(distinct)), np.nan), where
    distinct["customer_id"] = distinct.index
    middle = base.predict(distinct, days).to_numpy().clip(LEAST)
    again = [refit.predict(distinct, days).to_numpy() for refit in base.refits(times, seed)]
    return np.array(again) / middle, where


def expectation_interval(
    model: OrderModel,
    customers: pd.DataFrame,
    forecast: pd.Series,
    days: float,
    seed: int,
    times: int = 100,
) -> pd.DataFrame:
    """80 % interval of each customer's expected orders, from `refitted`. Columns: low, high, and in
    attrs the interval of the total.
    """
    ratios, where = refitted(model, customers, days, seed, times)
    low, high = np.quantile(ratios, TAILS, axis=0)
    weights = np.bincount(where, forecast.to_numpy(), ratios.shape[1])
    interval = pd.DataFrame({"low": forecast * low[where], "high": forecast * high[where]})
    totals = np.quantile(ratios @ weights, TAILS).tolist()
    interval.attrs["total"] = dict(zip(("low", "high"), totals, strict=True))
    return interval


@dataclass
class ValueDoubt:
    """How far what is expected of customers over a long time may be wrong: by the parameters, by
    which of the models that were as good is taken, and by the level of all.
    """

    refits: np.ndarray  # over the forecast, refits x distinct histories
    where: np.ndarray  # the history of each customer
    others: np.ndarray  # the other models' forecasts over the forecast, models x customers
    level: float  # how far (80 %) the log of the total may go astray
    apart: float = 0.0  # of groups, as for `beside`

    def of_each(self, values: np.ndarray) -> pd.DataFrame:
        """80 % intervals of the customers' expected values. Columns: low, high."""
        own = self._variance(self.refits[:, self.where], self.others)
        return pd.DataFrame(dict(zip(("low", "high"), values * self._reach(own), strict=True)))

    def of_total(self, values: np.ndarray, share: float = 1.0) -> dict[str, float]:
        """80 % interval of their sum, or of that of a group that holds a share; `values` are nan of
        customers who do not count.
        """
        total = pd.Series(values).sum(min_count=1)
        weights = np.nan_to_num(values) / (total or 1.0)
        histories = np.bincount(self.where, weights, self.refits.shape[1])
        variance = self._variance(self.refits @ histories, self.others @ weights)
        low, high = (total * self._reach(variance + beside(self.apart, share))).tolist()
        return {"low": low, "high": high}

    def _variance(self, refits: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Of the log, by parameters and models. The models count as draws of equal chance, ours
        among them.
        """
        logs = [np.log(ratios.clip(LEAST)) for ratios in (refits, others)]
        return np.asarray(logs[0].var(axis=0) + (logs[1] ** 2).sum(axis=0) / (len(others) + 1))

    def _reach(self, variance: np.ndarray) -> np.ndarray:
        reach = np.hypot(self.level, norm.ppf(TAILS[1]) * np.sqrt(variance))
        return np.exp(np.array([-reach, reach]))


def with_intervals(value: pd.DataFrame, outcomes: Outcomes, doubt: ValueDoubt) -> pd.DataFrame:
    """The table `clv` with the prediction interval of each customer's orders and the interval of
    the expected value.
    """
    predicted = outcomes.interval(value.expected_orders.to_numpy())
    worth = doubt.of_each(value.clv.to_numpy())
    return value.assign(
        orders_low=predicted.low, orders_high=predicted.high, clv_low=worth.low, clv_high=worth.high
    )


def by_group(
    value: pd.DataFrame, groups: pd.Series, outcomes: Outcomes, doubt: ValueDoubt
) -> pd.DataFrame:
    """Expected orders of each group with the 80 % prediction interval of its total, and its value
    with that of the expectation, the highest first. At neither end does a group come to more
    than all.

    Columns: group (index), customers, expected, low, high, clv, clv_low, clv_high.
    """
    rows, group = {}, groups.reindex(value.customer_id).to_numpy()
    orders, clv = value.expected_orders.to_numpy(), value.clv.to_numpy()
    for name, members in value.groupby(group):
        expected = members.expected_orders.to_numpy()
        total = outcomes.total(expected, expected.sum() / max(orders.sum(), LEAST))
        share = members.clv.sum() / max(np.nansum(clv), LEAST)
        worth = doubt.of_total(value.clv.where(group == name).to_numpy(), share)
        ends = {f"clv_{end}": found for end, found in worth.items()}
        known = {"customers": len(members), **total, "clv": members.clv.sum(min_count=1)}
        rows[name] = known | ends
    columns = ["customers", "expected", "low", "high", "clv", "clv_low", "clv_high"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    whole = outcomes.total(orders) | {f"clv_{end}": v for end, v in doubt.of_total(clv).items()}
    for end in ("low", "high", "clv_low", "clv_high"):
        table[end] = table[end].clip(upper=whole[end])
    return table.rename_axis("group").sort_values("clv", ascending=False)
