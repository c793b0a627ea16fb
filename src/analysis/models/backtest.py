"""Which model forecasts best, chosen and measured on time it had not seen.

Origins step back from the day of the picture in whole horizons. The first one back is measured and
chooses nothing; those before it choose. Every window that trains or chooses ends by the origin it
is used at.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from ibis.expr.types import Table
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from analysis.models import checks, clv, origins
from analysis.models.clv import Lessons, NotEstimable, OrderModel
from analysis.models.intervals import TAILS, Outcomes, tenths
from analysis.report.text import N_

RESAMPLES = 400  # of customers, for the interval of a difference
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

    @property
    def money(self) -> np.ndarray:
        return self.held.holdout_revenue.to_numpy()


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
    "mae": mean_absolute_error,
    "rmse": root_mean_squared_error,
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
        odd = np.arange(len(actual)) % 2 == 1
        shares = [
            Outcomes.learn([(forecasts[~half], actual[~half])], np.array([])).covered(
                forecasts[half], actual[half]
            )
            for half in (odd, ~odd)
        ]
        return float(np.mean(shares))


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
    low, high = np.quantile(drawn, TAILS, axis=0)
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
    """The same for spend: RMSE of money by spend model (index, simplest first); columns as in
    origins.choice. Orders are the champion's.
    """
    known = [o for o in test.choosing if test.champion in o.forecasts]
    found = {name: [_money(o, test.champion, name) for o in known] for name in clv.SPEND_MODELS}
    squares = {
        name: [(f - o.money) ** 2 for f, o in zip(forecasts, known, strict=True)]
        for name, forecasts in found.items()
        if known and all(f is not None for f in forecasts)
    }
    return origins.choice(squares, [o.day for o in known] if squares else [], np.sqrt)


def spend_champion(choice: pd.DataFrame) -> str:
    """The simplest spend model within one standard error of the best; else the default."""
    return origins.simplest(choice) or clv.DEFAULT_SPEND


def value_leaderboard(test: Backtest, spend: str) -> pd.DataFrame:
    """Forecasts of money at the measured origin, the champion's orders times each spend model;
    columns as in leaderboard.
    """
    at = test.measured
    if at is None or test.champion not in at.forecasts:
        return pd.DataFrame()
    found = {name: _money(at, test.champion, name) for name in clv.SPEND_MODELS}
    return leaderboard({n: f for n, f in found.items() if f is not None}, at.money, spend)


def _money(origin: Origin, champion: str, spend: str) -> np.ndarray | None:
    """Forecast of money; None where the spend model cannot be estimated."""
    try:
        value = clv.order_value(origin.held, spend)
    except NotEstimable:
        return None
    return (origin.forecasts[champion] * value).to_numpy()


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
        for n, group in enumerate(tenths(values), start=1):
            total = spread.total(values[group], group=True) if spread else {}
            actual = origin.actual[group].sum()
            rows.append({"origin": origin.day, "group": n, **total, "actual": actual})
    table = pd.DataFrame(rows, columns=["origin", "group", "expected", "low", "high", "actual"])
    return table.assign(covered=table.actual.between(table.low, table.high))


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
    """Why the champion is the champion: a sentence and its values."""
    label = clv.ORDER_MODELS[test.champion].label
    values = {"model": label, "candidates": len(test.choice), "origins": len(test.choosing)}
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


def labelled(board: pd.DataFrame) -> pd.DataFrame:
    """A leaderboard with a column `model` that says what the models are called."""
    models = clv.ORDER_MODELS | clv.SPEND_MODELS
    return board.rename(lambda name: models[name].label).reset_index(names="model")


def conditional_expectation(test: Backtest) -> pd.DataFrame:
    """clv.conditional_expectation of the champion at the measured origin; empty where there is
    none.
    """
    if test.measured is None or test.champion not in test.measured.forecasts:
        return pd.DataFrame()
    return checks.conditional_expectation(
        test.measured.held, test.measured.forecasts[test.champion]
    )


def kept(model: OrderModel, name: str, test: Backtest) -> dict[str, object]:
    """What is kept of the fitted model, as plain data that clv.load reads: name, parameters of its
    probabilistic part, RMSE by model.
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
        "best": clv.ORDER_MODELS[board.index[0]].label,
        "gap": mine.rmse / board.rmse.iloc[0] - 1,
        "covered": test.coverage,
        "groups": float(groups.covered.mean()) if len(groups) else float("nan"),
    }
