"""Which model forecasts best, chosen and measured on time it had not seen.

Origins step back from the day of the picture in whole horizons. The first one back is measured and
chooses nothing; those before it choose. Every window that trains or chooses ends by the origin it
is used at.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from ibis.expr.types import Table
from scipy.stats import t as student

from analysis.models import clv, origins
from analysis.models.clv import Lessons, NotEstimable, OrderModel
from analysis.report.text import N_

LEVEL = 0.80  # of all intervals
RESAMPLES = 400  # of customers, for the interval of a difference
GROUPS = 10  # tenths of customers by forecast
BINS = 20  # of forecasts, in each of which outcomes are alike
MIN_CUSTOMERS = 30  # at an origin, for it to tell anything


@dataclass
class Origin:
    """A day in the past: the customers as they were, what followed, and what each candidate had
    forecast.
    """

    day: dt.date
    held: pd.DataFrame
    lessons: Lessons
    forecasts: dict[str, pd.Series] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def actual(self) -> np.ndarray:
        return self.held.holdout_orders.to_numpy(float)


def gini(actual: np.ndarray, forecast: np.ndarray) -> float:
    """Normalised Gini: the area between the cumulative share of actual orders, customers sorted by
    forecast, and the diagonal, over the same for the perfect sorting. Customers of equal forecast
    share their orders evenly.
    """
    even = pd.Series(actual).groupby(forecast).transform("mean").to_numpy()
    perfect = _area(actual, actual)
    return _area(even, forecast) / perfect if perfect else float("nan")


def _area(actual: np.ndarray, by: np.ndarray) -> float:
    if not actual.sum():
        return 0.0
    share = np.append(0, actual[np.argsort(-by, kind="stable")].cumsum()) / actual.sum()
    return float(np.trapezoid(share, np.linspace(0, 1, len(share))) - 0.5)


def _bias(actual: np.ndarray, forecast: np.ndarray) -> float:
    return float(forecast.sum() / actual.sum() - 1) if actual.sum() else float("nan")


def _decile_error(actual: np.ndarray, forecast: np.ndarray) -> float:
    """Mean absolute difference of forecast and actual mean over tenths of customers by forecast,
    over the actual mean.
    """
    groups = np.array_split(np.argsort(-forecast, kind="stable"), min(10, len(actual)))
    gaps = [abs(forecast[g].mean() - actual[g].mean()) for g in groups]
    return float(np.mean(gaps) / actual.mean()) if actual.any() else float("nan")


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "bias": _bias,
    "mae": lambda actual, forecast: float(np.abs(forecast - actual).mean()),
    "rmse": lambda actual, forecast: float(np.sqrt(((forecast - actual) ** 2).mean())),
    "gini": gini,
    "decile_error": _decile_error,
}


def gather(past: "Past", as_of: dt.date) -> list[Origin]:
    """The measured origin, then the choosing ones; each with the outcomes that models may learn
    from there.
    """
    found = [Origin(day, past.at(day), past.lessons(day)) for day in past.days(as_of)]
    return [origin for origin in found if len(origin.held) >= MIN_CUSTOMERS]


class Past(origins.Past):
    """Customers at past days with the orders that followed, described as the models need it."""

    def __init__(self, transactions: Table, horizon_days: int) -> None:
        super().__init__(transactions, horizon_days, clv.TRAILING)

    def lessons(self, day: dt.date) -> Lessons:
        """Outcomes complete by a day."""
        return Lessons([self.at(d) for d in self.lesson_days(day) if len(self.at(d))])


def forecast(
    origin: Origin, horizon_days: int, candidates: Mapping[str, Callable[[], OrderModel]]
) -> None:
    """Fill in what each candidate would have forecast at the origin, or why it could not."""
    for name, make in candidates.items():
        try:
            origin.forecasts[name] = (
                make().fit(origin.held, origin.lessons).predict(origin.held, horizon_days)
            )
        except NotEstimable as reason:
            origin.failed[name] = str(reason)


@dataclass
class Backtest:
    """Candidates measured at past origins. `choosing` may be empty, `measured` None where the log
    is too short; `lessons` are those of the day of the picture.
    """

    measured: Origin | None
    choosing: list[Origin]
    horizon_days: int
    wanted: str = ""
    lessons: Lessons = field(default_factory=Lessons)

    @cached_property
    def choice(self) -> pd.DataFrame:
        """RMSE by candidate (index, simplest first) and choosing origin, `mean` over them, and
        `distance`: how many standard errors (of the paired difference over customers) the mean
        squared error is above the best.
        """
        shared = [
            name
            for name in clv.ORDER_MODELS
            if self.choosing and all(name in o.forecasts for o in self.choosing)
        ]
        squares = {
            name: [(o.forecasts[name].to_numpy() - o.actual) ** 2 for o in self.choosing]
            for name in shared
        }
        return origins.choice(squares, [o.day for o in self.choosing], np.sqrt)

    @cached_property
    def champion(self) -> str:
        """The simplest candidate within one standard error of the lowest mean RMSE; the default, or
        what can be estimated, without a choosing origin; what the analyst asks for, always.
        """
        if self.wanted:
            return self.wanted
        if best := origins.simplest(self.choice):
            return best
        possible = self.measured.forecasts if self.measured else {}
        return clv.DEFAULT if not possible or clv.DEFAULT in possible else "average_rate"

    @cached_property
    def leaderboard(self) -> pd.DataFrame:
        """Candidates at the measured origin, the lowest RMSE first. Columns: METRICS, and the
        difference of RMSE to the champion with its 80 % interval by paired bootstrap: difference,
        low, high.
        """
        if self.measured is None:
            return pd.DataFrame()
        forecasts = {name: values.to_numpy() for name, values in self.measured.forecasts.items()}
        return leaderboard(forecasts, self.measured.actual, self.champion)

    @cached_property
    def level_errors(self) -> pd.Series:
        """Log of actual over forecast total of the champion, by origin that teaches."""
        totals = {
            o.day: (o.actual.sum(), o.forecasts[self.champion].sum()) for o in self._with_champion()
        }
        return pd.Series(
            {day: np.log(came / e) for day, (came, e) in totals.items() if came > 0 and e > 0},
            dtype=float,
        )

    def _with_champion(self) -> list[Origin]:
        """The choosing origins; where there is none, the measured one teaches the spread of
        outcomes at least.
        """
        known = self.choosing or ([self.measured] if self.measured else [])
        return [o for o in known if self.champion in o.forecasts]

    @cached_property
    def outcomes(self) -> "Outcomes | None":
        """How outcomes spread around the champion's forecasts at the choosing origins."""
        known = self._with_champion()
        if not known:
            return None
        pairs = [(o.forecasts[self.champion].to_numpy(), o.actual) for o in known]
        return Outcomes.learn(pairs, self.level_errors.to_numpy())

    @cached_property
    def coverage(self) -> float:
        """The share of customers at the measured origin whose outcome fell within their interval
        (randomised). Without a choosing origin, one half of the customers teaches the intervals of
        the other.
        """
        if self.measured is None or self.champion not in self.measured.forecasts:
            return float("nan")
        forecasts, actual = self.measured.forecasts[self.champion].to_numpy(), self.measured.actual
        if self.choosing and self.outcomes:
            return self.outcomes.covered(forecasts, actual)
        halves = [np.arange(len(actual)) % 2 == n for n in (0, 1)]
        learned = [
            Outcomes.learn([(forecasts[half], actual[half])], np.array([])) for half in halves
        ]
        return float(
            np.mean(
                [
                    learned[1 - n].covered(forecasts[half], actual[half])
                    for n, half in enumerate(halves)
                ]
            )
        )


def leaderboard(
    forecasts: Mapping[str, np.ndarray], actual: np.ndarray, champion: str, seed: int = 0
) -> pd.DataFrame:
    """Metrics of each forecast, the lowest RMSE first; difference, low, high as in
    Backtest.leaderboard.
    """
    rows = {
        name: {metric: f(actual, values) for metric, f in METRICS.items()}
        for name, values in forecasts.items()
    }
    table = pd.DataFrame(rows).T.rename_axis("model")
    if champion in forecasts:
        table = table.join(_paired(forecasts, actual, champion, seed))
    else:
        table[["difference", "low", "high"]] = np.nan
    return table.sort_values("rmse")


def _paired(
    forecasts: Mapping[str, np.ndarray], actual: np.ndarray, champion: str, seed: int
) -> pd.DataFrame:
    squares = np.array([(values - actual) ** 2 for values in forecasts.values()])
    generator = np.random.default_rng(seed)
    counts = generator.poisson(1.0, (RESAMPLES, len(actual)))
    rmse = np.sqrt(counts @ squares.T / np.maximum(counts.sum(axis=1), 1)[:, None])
    place = list(forecasts).index(champion)
    drawn, plain = rmse - rmse[:, [place]], np.sqrt(squares.mean(axis=1))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return pd.DataFrame(
        {"difference": plain - plain[place], "low": low, "high": high}, index=list(forecasts)
    )


def run(transactions: Table, as_of: dt.date, horizon_days: int, wanted: str = "") -> Backtest:
    """All candidates at all origins the log has room for."""
    past = Past(transactions, horizon_days)
    found = gather(past, as_of)
    for origin in found:
        forecast(origin, horizon_days, clv.ORDER_MODELS)
    return Backtest(
        found[0] if found else None, found[1:], horizon_days, wanted, past.lessons(as_of)
    )


def fit_champion(test: Backtest, customers: pd.DataFrame) -> tuple[OrderModel, str, str]:
    """The champion fitted on everything up to the day of the picture: the model, its name, and why
    it is another than the champion (a word, else empty).
    """
    reason = ""
    for name in dict.fromkeys([test.champion, clv.DEFAULT, "average_rate"]):
        try:
            return clv.ORDER_MODELS[name]().fit(customers, test.lessons), name, reason
        except NotEstimable as why:
            reason = reason or str(why)
    raise AssertionError("the average rate can always be estimated")


# Value
def spend_choice(test: Backtest) -> pd.DataFrame:
    """The same for spend: RMSE of money by spend model (index, simplest first), its mean over
    choosing origins, and `distance` as in Backtest.choice. Orders are the champion's.
    """
    squares: dict[str, list[np.ndarray]] = {}
    known = [o for o in test.choosing if test.champion in o.forecasts]
    for name in clv.SPEND_MODELS:
        try:
            forecasts = [_money(o, test.champion, name) for o in known]
        except NotEstimable:
            continue
        squares[name] = [
            (f - o.held.holdout_revenue.to_numpy()) ** 2
            for f, o in zip(forecasts, known, strict=True)
        ]
    if not known or not squares:
        return pd.DataFrame(columns=["mean", "distance"])
    means = {name: np.mean([np.sqrt(s.mean()) for s in found]) for name, found in squares.items()}
    best = min(means, key=lambda name: means[name])
    return pd.DataFrame(
        {
            "mean": means,
            "distance": {n: origins._distance(s, squares[best]) for n, s in squares.items()},
        }
    )


def spend_champion(choice: pd.DataFrame) -> str:
    """The simplest spend model within one standard error of the best; else the default."""
    return origins.simplest(choice) or clv.DEFAULT_SPEND


def value_leaderboard(test: Backtest, spend: str) -> pd.DataFrame:
    """Forecasts of money at the measured origin, the champion's orders times each spend model;
    columns as in leaderboard.
    """
    if test.measured is None or test.champion not in test.measured.forecasts:
        return pd.DataFrame()
    forecasts = {}
    for name in clv.SPEND_MODELS:
        try:
            forecasts[name] = _money(test.measured, test.champion, name)
        except NotEstimable:
            continue
    return leaderboard(forecasts, test.measured.held.holdout_revenue.to_numpy(), spend)


def _money(origin: Origin, champion: str, spend: str) -> np.ndarray:
    return (origin.forecasts[champion] * clv.order_value(origin.held, spend)).to_numpy()


# Uncertainty
@dataclass
class Outcomes:
    """How outcomes spread around forecasts: within bins of similar forecasts, and in the total from
    origin to origin.
    """

    edges: np.ndarray  # upper ends of the bins of forecasts, the last is infinite
    sorted_: list[np.ndarray]  # outcomes in each bin, sorted
    variance: np.ndarray  # of the outcome in each bin
    level_errors: np.ndarray  # log of actual over forecast total, by origin
    group_spread: float  # how far totals of tenths of customers went astray beyond chance, in logs

    @classmethod
    def learn(
        cls, pairs: Sequence[tuple[np.ndarray, np.ndarray]], level_errors: np.ndarray
    ) -> "Outcomes":
        """From forecasts and outcomes of the customers at each origin."""
        forecasts, actual = (np.concatenate(side) for side in zip(*pairs, strict=True))
        cuts = np.unique(np.quantile(forecasts, np.linspace(0, 1, BINS + 1)[1:-1]))
        place = np.searchsorted(cuts, forecasts, side="left")
        filled = [n for n in range(len(cuts) + 1) if (place == n).any()]
        groups = [np.sort(actual[place == n]) for n in filled]
        edges = np.append(cuts, np.inf)[filled]
        edges[-1] = np.inf
        learned = cls(edges, groups, np.array([g.var() for g in groups]), level_errors, 0.0)
        learned.group_spread = learned._beyond_chance(pairs)
        return learned

    def _beyond_chance(self, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
        """Root mean square of the log errors of tenths of customers, the part that chance explains
        deducted.
        """
        squares = []
        for values, actual in pairs:
            for group in np.array_split(np.argsort(-values, kind="stable"), GROUPS):
                expected, came = values[group].sum(), actual[group].sum()
                if expected > 0 and came > 0:
                    squares.append(np.log(came / expected) ** 2 - self._chance(values[group]))
        return float(np.sqrt(max(np.mean(squares), 0))) if squares else 0.0

    def _chance(self, forecasts: np.ndarray) -> float:
        """Variance that chance gives the log of a total."""
        expected = forecasts.sum()
        return float(self.variance[self._bin(forecasts)].sum() / expected**2) if expected else 0.0

    def _bin(self, forecasts: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.edges, forecasts, side="left").clip(max=len(self.edges) - 1)

    def interval(self, forecasts: np.ndarray) -> pd.DataFrame:
        """80 % prediction interval of each customer's orders: the quantiles of outcomes at like
        forecasts (split conformal in bins). Columns: low, high.
        """
        tail = (1 - LEVEL) / 2
        low = np.array([_rank(g, tail, up=False) for g in self.sorted_])[self._bin(forecasts)]
        high = np.array([_rank(g, 1 - tail, up=True) for g in self.sorted_])[self._bin(forecasts)]
        return pd.DataFrame({"low": low, "high": high})

    def covered(self, forecasts: np.ndarray, actual: np.ndarray) -> float:
        """The share of customers whose outcome lies within the interval, randomised where it falls
        on an end: counts have few values, so that a plain interval would cover too much.
        """
        tail = (1 - LEVEL) / 2
        place, shares = self._bin(forecasts), np.empty(len(actual))
        for n, group in enumerate(self.sorted_):
            mine = place == n
            below = np.searchsorted(group, actual[mine], side="left") / len(group)
            upto = np.searchsorted(group, actual[mine], side="right") / len(group)
            width = np.where(upto > below, upto - below, 1)
            inside = np.clip(np.minimum(upto, 1 - tail) - np.maximum(below, tail), 0, None) / width
            shares[mine] = np.where(upto > below, inside, (below > tail) & (below < 1 - tail))
        return float(shares.mean())

    def level_spread(self) -> float:
        """Root mean square of the level errors: how far totals went astray from one origin to the
        next, in logs.
        """
        return (
            float(np.sqrt(np.mean(self.level_errors**2)))
            if len(self.level_errors)
            else float("nan")
        )

    def total(self, forecasts: np.ndarray, group: bool = False) -> dict[str, float]:
        """80 % prediction interval of the total of everybody, or of a group of them: chance, and
        the error of the level, whose few origins give Student's t; groups err apart from one
        another too. Keys: expected, low, high.
        """
        expected = float(forecasts.sum())
        astray = max(self.level_spread(), self.group_spread if group else 0.0)
        reach = student.ppf((1 + LEVEL) / 2, max(len(self.level_errors), 1)) * np.sqrt(
            astray**2 + self._chance(forecasts)
        )
        return {
            "expected": expected,
            "low": float(expected * np.exp(-reach)),
            "high": float(expected * np.exp(reach)),
        }


def _rank(group: np.ndarray, share: float, up: bool) -> float:
    """The conformal quantile: of n outcomes the one that a new one exceeds with no more than the
    asked chance.
    """
    rank = round((len(group) + 1) * share, 9)  # a float a hair below a whole number is that number
    place = np.ceil(rank) - 1 if up else np.floor(rank) - 1
    return float(group[int(np.clip(place, 0, len(group) - 1))])


def group_coverage(test: Backtest) -> pd.DataFrame:
    """Whether totals of groups (tenths of customers by forecast) fell within their intervals, each
    origin's interval learned from the other origins. Columns: origin, group, expected, low, high,
    actual, covered.
    """
    known = [
        o
        for o in [*([test.measured] if test.measured else []), *test.choosing]
        if test.champion in o.forecasts
    ]
    rows = []
    for origin in known:
        others = [o for o in known if o is not origin]
        if not others:
            continue
        spread = Backtest(None, others, test.horizon_days, test.champion).outcomes
        values = origin.forecasts[test.champion].to_numpy()
        for n, group in enumerate(
            np.array_split(np.argsort(-values, kind="stable"), GROUPS), start=1
        ):
            total = spread.total(values[group], group=True) if spread else {}
            actual = origin.actual[group].sum()
            rows.append({"origin": origin.day, "group": n, **total, "actual": actual})
    table = pd.DataFrame(rows, columns=["origin", "group", "expected", "low", "high", "actual"])
    return table.assign(covered=table.actual.between(table.low, table.high))


def expectation_interval(
    model: OrderModel,
    customers: pd.DataFrame,
    forecast: pd.Series,
    days: float,
    seed: int,
    times: int = 100,
) -> pd.DataFrame:
    """80 % interval of each customer's expected orders, from refits to resampled customers of the
    probabilistic model (or the one that a learned model is held to). Columns: low, high, and in
    attrs the interval of the total.
    """
    base = model if isinstance(model, clv.BuyTillYouDie) else getattr(model, "base_", None)
    if not isinstance(base, clv.BuyTillYouDie):  # of the average rate, too, there are no refits
        nothing = pd.DataFrame({"low": np.nan, "high": np.nan}, index=forecast.index)
        nothing.attrs["total"] = {"low": float("nan"), "high": float("nan")}
        return nothing
    distinct, where = _distinct_histories(customers)
    middle = base.predict(distinct, days).to_numpy().clip(clv.LEAST)
    ratios = np.array(
        [again.predict(distinct, days).to_numpy() / middle for again in base.refits(times, seed)]
    )
    low, high = np.quantile(ratios, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    weights = np.bincount(where, forecast.to_numpy(), len(distinct))
    totals = np.quantile(ratios @ weights, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    interval = pd.DataFrame({"low": forecast * low[where], "high": forecast * high[where]})
    interval.attrs["total"] = {"low": float(totals[0]), "high": float(totals[1])}
    return interval


def with_intervals(
    value: pd.DataFrame, outcomes: Outcomes | None, expectation: pd.DataFrame
) -> pd.DataFrame:
    """The table `clv` with the prediction interval of each customer's orders and the interval of
    the expected value.

    `expectation` is expectation_interval's, whose relative width the value shares.
    """
    forecasts = value.expected_orders.to_numpy()
    unknown = pd.DataFrame({"low": np.full(len(value), np.nan), "high": np.nan})
    predicted = unknown if outcomes is None else outcomes.interval(forecasts)
    relative = expectation.to_numpy() / forecasts.clip(clv.LEAST)[:, None]
    return value.assign(
        orders_low=predicted.low,
        orders_high=predicted.high,
        clv_low=value.clv.to_numpy() * relative[:, 0],
        clv_high=value.clv.to_numpy() * relative[:, 1],
    )


def by_group(value: pd.DataFrame, groups: pd.Series, outcomes: Outcomes | None) -> pd.DataFrame:
    """Expected orders of each group with the 80 % prediction interval of its total, and its value,
    the highest first.

    Columns: group (index), customers, expected, low, high, clv.
    """
    keyed = value.assign(group=groups.reindex(value.customer_id).to_numpy())
    rows = {}
    for name, members in keyed.groupby("group"):
        forecasts = members.expected_orders.to_numpy()
        total = (
            outcomes.total(forecasts, group=True)
            if outcomes
            else dict.fromkeys(("expected", "low", "high"), np.nan)
        )
        rows[name] = {"customers": len(members), **total, "clv": members.clv.sum()}
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=["customers", "expected", "low", "high", "clv"]
    )
    return table.rename_axis("group").sort_values("clv", ascending=False)


def sureness(test: Backtest, forecasts: np.ndarray, expectation: pd.DataFrame) -> dict[str, float]:
    """What the report says of the total. Keys: low, high (of the prediction), surely_low,
    surely_high (of the expectation), astray (how far totals went astray at the choosing origins, in
    logs).
    """
    unknown = dict.fromkeys(("low", "high"), float("nan"))
    total = test.outcomes.total(forecasts) if test.outcomes else unknown
    sure = expectation.attrs["total"]
    astray = test.outcomes.level_spread() if test.outcomes else float("nan")
    return {
        "low": total["low"],
        "high": total["high"],
        "surely_low": sure["low"],
        "surely_high": sure["high"],
        "astray": astray,
    }


def verdict(test: Backtest) -> tuple[str, dict[str, object]]:
    """Why the champion is the champion: a message key and its values."""
    values = {"model": test.champion, "candidates": len(test.choice), "origins": len(test.choosing)}
    if test.wanted:
        return N_("Orders are forecast by: {model:word}, because it was asked for."), values
    return (
        N_(
            "Orders are forecast by: {model:word}. Of {candidates:int} models it is the simplest of"
            " those that were as good as the best at {origins:int} earlier dates."
        )
        if len(test.choice)
        else N_(
            "The log is too short to choose a model by time it had not seen; {model:word} is taken."
        )
    ), values


def measured(
    test: Backtest, customers: pd.DataFrame, as_of: dt.date
) -> tuple[pd.DataFrame, dt.date]:
    """The customers at the measured origin and its day, for the pictures; those of today where
    there is none.
    """
    return (test.measured.held, test.measured.day) if test.measured else (customers, as_of)


def conditional_expectation(test: Backtest) -> pd.DataFrame:
    """clv.conditional_expectation of the champion at the measured origin; empty where there is
    none.
    """
    if test.measured is None or test.champion not in test.measured.forecasts:
        return pd.DataFrame()
    return clv.conditional_expectation(test.measured.held, test.measured.forecasts[test.champion])


def kept(model: OrderModel, name: str, test: Backtest) -> dict[str, object]:
    """What is kept of the fitted model, as plain data: name, parameters of its probabilistic part,
    RMSE by model.
    """
    base = getattr(model, "base_", model)
    fitter = base.fitter_.to_dict() if isinstance(base, clv.BuyTillYouDie) else {}
    board = test.leaderboard
    return {"model": name, "fitter": fitter, "rmse": board.rmse.to_dict() if len(board) else {}}


def hindsight(test: Backtest) -> dict[str, object]:
    """How the champion did at the measured origin. Keys: origin, bias, rmse, gini, best (model),
    gap (relative RMSE), covered (customers within their interval), groups (totals of tenths within
    theirs).
    """
    board = test.leaderboard
    if test.measured is None or test.champion not in board.index:
        return {
            "origin": None,
            "best": "",
            **dict.fromkeys(("bias", "rmse", "gini", "gap", "covered", "groups"), float("nan")),
        }
    mine, groups = board.loc[test.champion], group_coverage(test)
    return {
        "origin": test.measured.day,
        "bias": mine.bias,
        "rmse": mine.rmse,
        "gini": mine.gini,
        "best": board.index[0],
        "gap": mine.rmse / board.rmse.iloc[0] - 1,
        "covered": test.coverage,
        "groups": float(groups.covered.mean()) if len(groups) else float("nan"),
    }


def _distinct_histories(customers: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    history = ["frequency", "recency_days", "age_days"]
    grouped = customers.groupby(history, sort=True)
    distinct = grouped.size().reset_index()[history]
    return distinct.assign(customer_id=distinct.index), grouped.ngroup().to_numpy()
