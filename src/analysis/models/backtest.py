"""Which model forecasts best, chosen and measured at origins (see origins) it had not seen."""

import copy
import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from ibis.expr.types import Table

from analysis.errors import NotEstimable
from analysis.models import checks, clv, origins
from analysis.models.calendar import DECISIVE, Calendar
from analysis.models.forecast_errors import METRICS as METRICS
from analysis.models.forecast_errors import leaderboard
from analysis.models.intervals import Outcomes, ValueDoubt, reach_of, refitted, tenths
from analysis.models.orders import DEFAULT, LEAST, BuyTillYouDie, OrderModel, Probabilistic
from analysis.models.trees import Lessons, Past
from analysis.report.text import N_

IN_CALENDAR = "bg_nbd_calendar"
WORSE = 2.0  # standard errors
REFITS = 25  # that tell how far values may be wrong by the parameters
MIN_CUSTOMERS = 30  # at an origin, for it to tell anything


@dataclass
class Origin:
    """A day in the past: the customers as they were, with what followed; the lessons of that day;
    and what each candidate that could be estimated had forecast.
    """

    day: dt.date
    held: pd.DataFrame
    lessons: Lessons
    forecasts: dict[str, pd.Series] = field(default_factory=dict)
    models: dict[str, OrderModel] = field(default_factory=dict)  # that made them
    until_now: float = 0.0  # orders of these customers up to the day of the picture
    new_orders: float = 0.0  # that followed, of customers who came later

    @property
    def actual(self) -> np.ndarray:
        return self.held.holdout_orders.to_numpy(float)

    @property
    def money(self) -> np.ndarray:
        return self.held.holdout_revenue.to_numpy()

    def base(self, name: str) -> Probabilistic:
        """Lessons.base_of a candidate."""
        return self.lessons.base_of(self.held, self.models.get(name))

    def spent(self, champion: str) -> dict[str, np.ndarray]:
        """Forecasts of money: the champion's orders times each spend model there can be."""
        found = {}
        for spend in clv.SPEND_MODELS:
            with suppress(NotEstimable):
                value = clv.order_value(self.held, spend)
                found[spend] = (self.forecasts[champion] * value).to_numpy()
        return found


@dataclass
class Backtest:
    """Candidates at past origins: none where the log is too short. `wanted` is the model asked for,
    `lessons` are those of the day of the picture.
    """

    measured: Origin | None
    choosing: list[Origin]
    horizon_days: int
    wanted: str = ""
    lessons: Lessons = field(default_factory=Lessons)

    @cached_property
    def choice(self) -> pd.DataFrame:
        """RMSE by candidate and choosing origin; columns as in origins.choice."""
        return _choice(
            clv.ORDER_MODELS,
            [o.day for o in self.choosing],
            [o.forecasts for o in self.choosing],
            [o.actual for o in self.choosing],
            self.horizon_days,
        )

    @cached_property
    def champion(self) -> str:
        """What was asked for; else the simplest candidate as good as the best; without a choosing
        origin the default, or what can be estimated.
        """
        if best := self.wanted or origins.simplest(self.choice):
            return best
        possible = self.measured.forecasts if self.measured else {}
        return DEFAULT if not possible or DEFAULT in possible else "average_rate"

    @cached_property
    def leaderboard(self) -> pd.DataFrame:
        """`leaderboard` of the candidates at the measured origin."""
        if self.measured is None:
            return pd.DataFrame()
        forecasts = {name: values.to_numpy() for name, values in self.measured.forecasts.items()}
        return leaderboard(forecasts, self.measured.actual, self.champion)

    @property
    def with_champion(self) -> list[Origin]:
        """All at which the champion had forecast, the measured one first."""
        every = [*([self.measured] if self.measured else []), *self.choosing]
        return [o for o in every if self.champion in o.forecasts]

    @property
    def teaching(self) -> list[Origin]:
        """The choosing ones of these; where none chooses, the measured one."""
        return [o for o in self.with_champion if not self.choosing or o is not self.measured]

    @cached_property
    def level_errors(self) -> pd.Series:
        """Log of actual over forecast total of the champion, by origin that teaches."""
        totals = {o.day: (o.actual.sum(), o.forecasts[self.champion].sum()) for o in self.teaching}
        return pd.Series(
            {day: np.log(came / e) for day, (came, e) in totals.items() if came > 0 and e > 0},
            dtype=float,
        )

    @cached_property
    def long_errors(self) -> pd.Series:
        """Log of actual over forecast total of the champion from an origin to the day of the
        picture, by days between them. The forecasts reach as far as the log allows.
        """
        errors: dict[int, float] = {}
        if self.measured is None or not self.choosing:
            return pd.Series(errors, dtype=float)
        for origin in self.with_champion:
            span = (self.measured.day - origin.day).days + self.horizon_days
            if self.champion in origin.models and origin.until_now:
                model = copy.copy(origin.models[self.champion])
                expected = model.predict(origin.held, span).sum()
                errors[span] = np.log(origin.until_now / expected) if expected else np.nan
        return pd.Series(errors, dtype=float).dropna()

    @property
    def followed(self) -> dict[str, float]:
        """How far totals went astray at all origins, over one horizon and up to today. Keys: astray
        (in logs), longest (days of these spans), errors (how many).
        """
        errors = np.concatenate([self.level_errors, self.long_errors])
        astray = float(np.sqrt(np.mean(errors**2))) if len(errors) else float("nan")
        longest = max([self.horizon_days, *self.long_errors.index])
        return {"astray": astray, "longest": longest, "errors": len(errors)}

    def wander(self, days: float) -> float:
        """By how much further totals over so many days go astray than those `followed`: as far, and
        beyond the longest span of these by the root of time, as what wanders does.
        """
        return float(np.sqrt(max(days / self.followed["longest"], 1)))

    def level_reach(self, days: float) -> float:
        """How far (80 %) a total over so many days may go astray, in logs: as `followed`, and no
        less than one over the horizon may.
        """
        known = self.followed
        reach = reach_of(known["astray"], known["errors"]) * self.wander(days)
        return float(np.maximum(reach, self.outcomes.level_reach))

    @cached_property
    def outcomes(self) -> Outcomes:
        """How outcomes spread around the champion's forecasts at the origins that teach."""
        pairs = [(o.forecasts[self.champion].to_numpy(), o.actual) for o in self.teaching]
        learned = Outcomes.learn(pairs, self.level_errors.to_numpy())
        learned.windows = origins.windows(self.level_errors.index, self.horizon_days)
        return learned

    @cached_property
    def coverage(self) -> float:
        """The share of customers at the measured origin within their interval (randomised). Without
        a choosing origin, one half of them teaches the intervals of the other.
        """
        if self.measured is None or self.champion not in self.measured.forecasts:
            return float("nan")
        forecasts, actual = self.measured.forecasts[self.champion].to_numpy(), self.measured.actual
        if self.choosing and self.teaching:
            return self.outcomes.covered(forecasts, actual)
        halves = [(forecasts[half::2], actual[half::2]) for half in (0, 1)]
        taught = [Outcomes.learn([half], np.array([])) for half in halves]
        return float(np.mean([taught[1 - n].covered(*half) for n, half in enumerate(halves)]))


def _choice(
    models: Collection[str],
    days: list[dt.date],
    forecasts: Sequence[Mapping[str, Any]],
    actual: Sequence[np.ndarray],
    horizon_days: int,
) -> pd.DataFrame:
    """origins.choice by RMSE among the models that could be estimated on all days."""
    shared = [name for name in models if days and all(name in found for found in forecasts)]
    squares = {
        name: [
            (np.asarray(found[name]) - came) ** 2
            for found, came in zip(forecasts, actual, strict=True)
        ]
        for name in shared
    }
    return origins.choice(squares, days, np.sqrt, horizon_days)


def run(transactions: Table, as_of: dt.date, horizon_days: int, wanted: str = "") -> Backtest:
    """All candidates at all origins the log has room for."""
    past, horizon = Past(transactions, horizon_days), dt.timedelta(days=horizon_days)
    days = past.all_days(as_of)
    past.read([*days, *(day + horizon for day in days if day < as_of)])
    every = [
        Origin(day, past.at(day), past.lessons(day), new_orders=past.new_orders(day))
        for day in past.days(as_of)
    ]
    found = [origin for origin in every if len(origin.held) >= MIN_CUSTOMERS]
    now = past.known(as_of).set_index("customer_id").orders
    for origin in found:
        origin.until_now = float(
            (now[origin.held.customer_id].to_numpy() - origin.held.orders).sum()
        )
        for name, make in clv.ORDER_MODELS.items():
            with suppress(NotEstimable):
                origin.models[name] = make().fit(origin.held, origin.lessons)
                # a copy, which what was worked out for this forecast leaves with
                model = copy.copy(origin.models[name])
                origin.forecasts[name] = model.predict(origin.held, horizon_days)
    measured = found[0] if found else None
    return Backtest(measured, found[1:], horizon_days, wanted, past.lessons(as_of))


def fit_champion(test: Backtest, customers: pd.DataFrame) -> tuple[OrderModel, str, str]:
    """The champion fitted on everything up to the day of the picture: the model, its name, and why
    another took its place (a word, else empty): the calendar does where it knows of a break of the
    level, or of a season beyond doubt, unless it was clearly worse at the earlier dates: these are
    few, and may not have had to come what has today. How far the level since a break is in doubt is
    from then on part of `test.outcomes`.
    """
    names, reason = [test.champion, DEFAULT, "average_rate"], ""
    calendar, _unknown = known_calendar(test, customers)
    worse = IN_CALENDAR in test.choice.index and test.choice.distance[IN_CALENDAR] > WORSE
    if calendar and not test.wanted and test.champion != IN_CALENDAR:
        if calendar.broke:
            reason = "level_broke"
        elif calendar.evidence > DECISIVE and not worse:
            reason = "calendar_decisive"
        names = [IN_CALENDAR, *names] if reason else names
    for name in dict.fromkeys(names):
        try:
            model = clv.ORDER_MODELS[name]().fit(customers, test.lessons)
            test.outcomes.new_level = model.calendar_.step_error if name == IN_CALENDAR else 0.0
            return model, name, reason
        except NotEstimable as why:
            reason = reason or str(why)
    raise AssertionError("the average rate can always be estimated")


def known_calendar(test: Backtest, customers: pd.DataFrame) -> tuple[Calendar | None, str]:
    """The calendar of the day of the picture; or none, and why (a word)."""
    try:
        return test.lessons.calendar(customers), ""
    except NotEstimable as reason:
        return None, str(reason)


def as_good(test: Backtest, name: str, customers: pd.DataFrame) -> list[OrderModel]:
    """The other candidates within one standard error of the best, fitted like the model of this
    name.
    """
    others = test.choice.index[test.choice.distance <= 1] if len(test.choice) else []
    found = []
    for other in others:
        with suppress(NotEstimable):
            if other != name:
                found.append(clv.ORDER_MODELS[other]().fit(customers, test.lessons))
    return found


def value_doubt(
    test: Backtest,
    model: OrderModel,
    others: Sequence[OrderModel],
    customers: pd.DataFrame,
    days: float,
    seed: int,
) -> ValueDoubt:
    """How far what is expected over so many days may be wrong, the others being those as_good."""
    refits, where = refitted(model, customers, days, seed, REFITS)
    ours = model.predict(customers, days).to_numpy().clip(LEAST)
    ratios = [other.predict(customers, days).to_numpy().clip(LEAST) / ours for other in others]
    table = np.array(ratios).reshape(len(others), len(customers))
    apart = test.outcomes.apart * test.wander(days) ** 2
    return ValueDoubt(refits, where, table, test.level_reach(days), apart)


# Value
def has_money(spent: np.ndarray) -> bool:
    """Whether it is known what customers spent; of a log without amounts it is not."""
    return bool(np.isfinite(spent).all())


def spend_choice(test: Backtest) -> pd.DataFrame:
    """RMSE of money by spend model and choosing origin; columns as in origins.choice. Orders are
    the champion's.
    """
    known = [o for o in test.choosing if test.champion in o.forecasts and has_money(o.money)]
    forecasts, actual = [o.spent(test.champion) for o in known], [o.money for o in known]
    days = [o.day for o in known]
    return _choice(clv.SPEND_MODELS, days, forecasts, actual, test.horizon_days)


def spend_champion(choice: pd.DataFrame) -> str:
    """The simplest spend model within one standard error of the best; else the default."""
    return origins.simplest(choice) or clv.DEFAULT_SPEND


def value_leaderboard(test: Backtest, spend: str) -> pd.DataFrame:
    """`leaderboard` of forecasts of money at the measured origin."""
    at = test.measured
    if at is None or test.champion not in at.forecasts or not has_money(at.money):
        return pd.DataFrame()
    return leaderboard(at.spent(test.champion), at.money, spend)


def better_money(board: pd.DataFrame, spend: str) -> dict[str, object]:
    """The best of `value_leaderboard`, where it is not the spend model in use; else nothing. Keys:
    best, gap (relative RMSE to it), beyond (whether chance leaves the difference), model.
    """
    if not len(board) or board.index[0] == spend or spend not in board.index:
        return {}
    best = board.iloc[0]
    labels = {
        "best": clv.SPEND_MODELS[str(best.name)].label,
        "model": clv.SPEND_MODELS[spend].label,
    }
    return labels | {"gap": 1 - best.rmse / board.rmse[spend], "beyond": bool(best.high < 0)}


# What the report says
def group_coverage(test: Backtest) -> pd.DataFrame:
    """Whether totals of tenths of customers fell within their intervals, learned from the other
    origins. Columns: origin, group, expected, low, high, actual, covered.
    """
    rows = []
    for origin in test.with_champion if len(test.with_champion) > 1 else []:
        apart = {o.day: abs((o.day - origin.day).days) for o in test.with_champion}
        others = [o for o in test.with_champion if apart[o.day] >= test.horizon_days]
        spread = Backtest(None, others, test.horizon_days, test.champion).outcomes
        values = origin.forecasts[test.champion].to_numpy()
        for n, group in enumerate(tenths(values), start=1):
            total = spread.total(values[group], values[group].sum() / max(values.sum(), LEAST))
            actual = origin.actual[group].sum()
            rows.append({"origin": origin.day, "group": n, **total, "actual": actual})
    columns = ["origin", "group", "expected", "low", "high", "actual"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(covered=table.actual.between(table.low, table.high))


def sureness(
    test: Backtest,
    forecasts: np.ndarray,
    expectation: pd.DataFrame,
    others: Sequence[float] = (),
) -> dict[str, float]:
    """How sure the total is, `others` being the totals by models that were as good. Keys: low, high
    (of the prediction), surely_low, surely_high (of the expectation, those of the others within),
    alike (how many these are), astray (how far totals went astray at earlier origins, in logs).
    """
    total, sure = test.outcomes.total(forecasts), expectation.attrs["total"]
    ends = {"low": total["low"], "high": total["high"], "alike": len(others)}
    ends["surely_low"] = min([sure["low"], *others])  # nan stays, being first
    ends["surely_high"] = max([sure["high"], *others])
    return ends | {"astray": test.outcomes.level_spread()}


def verdict(test: Backtest) -> tuple[str, dict[str, object]]:
    """Why the champion is the champion: a sentence and its values."""
    label = clv.ORDER_MODELS[test.champion].label
    values = {"model": label, "candidates": len(test.choice), "origins": len(test.choosing)}
    if test.wanted:
        return N_("Orders are forecast by: {model:word}, because it was asked for."), values
    return (
        N_(
            "Orders are forecast by: {model:word}. Of {candidates:int} models it is the simplest of"
            " those that were as good as the best (earlier dates: {origins:int})."
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
    """checks.conditional_expectation of the champion at the measured origin; empty where there is
    none.
    """
    if test.measured is None or test.champion not in test.measured.forecasts:
        return pd.DataFrame(columns=["repeats", "expected", "actual"])
    forecast = test.measured.forecasts[test.champion]
    return checks.conditional_expectation(test.measured.held, forecast)


def kept(model: OrderModel, name: str, test: Backtest) -> dict[str, object]:
    """What is kept of the fitted model, as plain data that orders.load reads: name, parameters of
    its probabilistic part, RMSE by model.
    """
    base = getattr(model, "base_", model)
    known = base.kept() if isinstance(base, BuyTillYouDie) else {"fitter": {}}
    rmse = test.leaderboard.rmse.to_dict() if len(test.leaderboard) else {}
    return {"model": name, **known, "rmse": rmse}


def hindsight(test: Backtest) -> dict[str, Any]:
    """How the champion did at the measured origin. Keys: origin, bias, rmse, gini, best (model in
    hindsight), gap (relative RMSE to it), covered (customers within their interval), groups (totals
    of tenths within theirs).
    """
    board = test.leaderboard
    if test.measured is None or test.champion not in board.index:
        unknown = dict.fromkeys(("bias", "rmse", "gini", "gap", "covered", "groups"), float("nan"))
        return {"origin": None, "best": "", **unknown}
    mine = board.loc[test.champion]
    return {
        "origin": test.measured.day,
        **mine[["bias", "rmse", "gini"]],
        "best": clv.ORDER_MODELS[board.index[0]].label,
        "gap": mine.rmse / board.rmse.iloc[0] - 1,
        "covered": test.coverage,
        "groups": float(group_coverage(test).covered.mean()),
    }
