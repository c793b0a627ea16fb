"""Who will leave: candidates that learn at earlier dates, are calibrated at a later one, and are
measured at the last.

Leaving is to order nothing within the horizon; or within the customer's own usual pause; or to end
a contract, where the profiles say so. Origins step back from the day of the picture in whole
horizons, as in backtest: the first one back is measured and chooses nothing, the ones before choose
the champion by Brier score.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from ibis.expr.types import Table
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import t as student
from sklearn.base import ClassifierMixin
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

from analysis.report.text import N_
from analysis.models import backtest, origins
from analysis.models import clv
from analysis import customers
from analysis.models import metrics
from analysis.segments.lifecycle import lifecycle
from analysis.models import history
from analysis.models.churn_features import FLAT, features
from analysis.intake.dataset import Dataset
from analysis.draws import lots
from analysis.models.history import Records

MIN_CASES = 30  # customers who left, and who stayed, that a model needs to be learned
# to learn from and to measure at, drawn by lot: more of them change the ranking by less than chance
MOST_CUSTOMERS = 50_000
MOST_CHOOSING = 2  # origins; older ones tell of another time
SLOPE_SPREAD = 0.1  # how far the slope of a model that learned well lies from 1, from date to date
PIECE = 100_000  # customers scored at once, so that memory does not grow with them
EDGE = 1e-6  # no risk is nearer to 0 or 1


def _only(column: str) -> Any:
    return make_column_transformer(("passthrough", [column]))


def _curves() -> Pipeline:
    """Splines that hold beyond what they have seen the value at the edge: a straight line led a
    year of groceries astray, where all are older today than ever before.
    """
    return make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        SplineTransformer(n_knots=5, degree=2, extrapolation="constant", knots="quantile"),
        StandardScaler(),
    )


def _logistic() -> LogisticRegression:
    """Newton's steps: a few suffice, and end so near the optimum that the order of rows and the
    cores do not matter.
    """
    return LogisticRegression(C=0.1, solver="newton-cholesky", tol=1e-8)


def logistic() -> Pipeline:
    """Logistic regression on curves of the features, and on those that take few values as they are."""
    flat = "|".join((*(f"{name}$" for name in FLAT), "is_"))
    plain = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()
    )
    columns = make_column_transformer(
        (_curves(), make_column_selector(f"^(?!{flat})")),
        (plain, make_column_selector(f"^(?:{flat})")),
    )
    return make_pipeline(columns, _logistic())


def boosted() -> HistGradientBoostingClassifier:
    """Boosted trees, small and many, as for orders."""
    return HistGradientBoostingClassifier(
        max_iter=80, learning_rate=0.06, max_leaf_nodes=8, min_samples_leaf=40,
        l2_regularization=5, max_bins=64, early_stopping=False, random_state=0,
    )  # fmt: skip


# The simplest first. All are classifiers of scikit-learn, which learn from features and whether
# customers left.
CHURN_MODELS: dict[str, Callable[[], ClassifierMixin]] = {
    "base_rate": lambda: DummyClassifier(strategy="prior"),
    "recency_rule": lambda: make_pipeline(_only("recency"), _curves(), _logistic()),
    "expected_rule": lambda: make_pipeline(
        _only("expected"), _curves(), _logistic()
    ),  # the probabilistic model alone
    "logistic": logistic,
    "trees": boosted,
}
DEFAULT = "logistic"  # where the log is too short to choose
LEVEL = "expected_rule"  # whose mean risk the others are held to: it knows that customers age


# Definition
def left(held: pd.DataFrame, definition: str, horizon_days: int) -> pd.Series:
    """Whether each customer left within the horizon: no order in it; (rhythm) none within the pause
    after which the customer would count as silent, at most the horizon; (contract) the contract
    ended. Empty where a profile does not say.
    """
    if definition == "contract":
        return held.contract_left
    window = (
        horizon_days
        if definition == "horizon"
        else held.silent_after_days.astype(float).clip(upper=horizon_days)
    )
    return ~(held.next_order_days <= window)


class Past(backtest.Past):
    """Customers at past days, described by all records, with what followed."""

    def __init__(self, records: Records, settings: Dataset) -> None:
        super().__init__(records.transactions, settings.horizon_days)
        self.records, self.settings = records, settings

    def known(self, day: dt.date) -> pd.DataFrame:
        """Customers with an order by a day: signals.at, `expected` orders within the horizon,
        `stage`, and the pauses that make them silent and lost. With contracts those whose contract
        runs.
        """
        if day not in self._known:
            self._known[day] = describe(self.records, day, self.settings)
        return self._known[day]

    def at(self, day: dt.date) -> pd.DataFrame:
        """The same with next_order_days (empty without one in the horizon), and `left` as defined;
        without those of whom a profile does not say.
        """
        if day not in self._held:
            known = self.known(day)
            nexts = customers.next_orders(self.transactions, day, self.horizon_days)
            held = known.assign(
                next_order_days=known.customer_id.map(
                    nexts.set_index("customer_id").next_order_days
                )
            )
            if self.settings.churn == "contract":
                held["contract_left"] = contract_left(held, day, self.horizon_days)
            held["left"] = left(held, self.settings.churn, self.horizon_days)
            self._held[day] = held[held.left.notna()].astype({"left": bool}).reset_index(drop=True)
        return self._held[day]

    def taught(self, day: dt.date) -> pd.DataFrame:
        """Outcomes complete by a day, of several earlier days, one below the other; empty where too
        few left or stayed.
        """
        told = [self.at(d) for d in self.lesson_days(day)]
        every = pd.concat(told, ignore_index=True) if told else pd.DataFrame({"left": []})
        return every if learnable(every.left) else every.head(0)


def describe(records: Records, day: dt.date, settings: Dataset) -> pd.DataFrame:
    """Customers with an order by a day, as Past.known describes them; their stages as
    segments.lifecycle.
    """
    found = history.at(
        records, day, clv.trailing(settings.horizon_days), settings.value_window_days
    )
    found = found[found.orders > 0].reset_index(drop=True)
    if settings.churn == "contract":
        found = _with_contracts(found, records.profiles, day)
    stages = lifecycle(
        found, silent_days=settings.silent_days, lost_days=settings.lost_days
    ).reset_index(drop=True)
    return found.assign(
        **stages, expected=expected_orders(found, settings.horizon_days, settings.seed)
    )


def _with_contracts(found: pd.DataFrame, profiles: Table | None, day: dt.date) -> pd.DataFrame:
    """With contract_end and churned as far as profiles have them; without those whose contract had
    ended by the day.
    """
    assert profiles is not None  # the dataset file is refused without
    said = profiles.select(
        "customer_id", *[c for c in ("contract_end", "churned") if c in profiles.columns]
    ).to_pandas()
    found = found.merge(said, "left", "customer_id")
    if "contract_end" not in found:
        return found
    found["contract_end"] = pd.to_datetime(found.contract_end)
    over = found.contract_end <= pd.Timestamp(day)
    return found[~(over & found.churned.eq(True) if "churned" in found else over)].reset_index(
        drop=True
    )


def contract_left(held: pd.DataFrame, day: dt.date, horizon_days: int) -> pd.Series:
    """Whether the contract ended within the horizon. With a flag only a contract that is flagged
    did; with a flag alone, which has no date, the flag itself. Empty where the flag is, or where
    who is flagged has no date.
    """
    flag = (
        held.churned.astype("boolean")
        if "churned" in held
        else pd.Series(True, held.index, dtype="boolean")
    )
    if "contract_end" not in held:
        return flag
    within = held.contract_end.between(
        pd.Timestamp(day), pd.Timestamp(day) + pd.Timedelta(days=horizon_days), inclusive="right"
    )
    return (flag & within.astype("boolean")).mask(
        flag.isna() | (flag & held.contract_end.isna() & ("churned" in held))
    )


def expected_orders(known: pd.DataFrame, horizon_days: int, seed: int) -> np.ndarray:
    """Orders expected within the horizon by the first of these models that can be estimated; fitted
    to at most MOST_CUSTOMERS.
    """
    fitted_to = known[drawn(known.customer_id, seed, MOST_CUSTOMERS)]
    for name in ("pareto_nbd", "mbg_nbd", "bg_nbd"):
        try:
            model: clv.OrderModel = clv.BuyTillYouDie(clv.BTYD[name]).fit(fitted_to)
            break
        except clv.NotEstimable:
            model = clv.AverageRate().fit(fitted_to)
    return model.predict(known, horizon_days).to_numpy() if len(known) else np.zeros(0)


def drawn(customer_ids: pd.Series, seed: int, most: int) -> np.ndarray:
    """Whether each customer is among the `most` of the lowest lots: all where there are no more."""
    if len(customer_ids) <= most:
        return np.ones(len(customer_ids), bool)
    found = lots(customer_ids, seed)
    return found <= np.partition(found, most - 1)[most - 1]


def sample(records: Records, seed: int) -> Records:
    """The records of at most MOST_CUSTOMERS customers, drawn by lot; the records themselves where
    there are no more.
    """
    ids = (
        records.transactions.select("customer_id")
        .distinct()
        .to_pandas()
        .customer_id.astype("str")
        .sort_values()
    )
    return (
        records
        if len(ids) <= MOST_CUSTOMERS
        else records.of(ids[drawn(ids, seed, MOST_CUSTOMERS)].tolist())
    )


def learnable(gone: pd.Series) -> bool:
    """Whether enough customers left and enough stayed."""
    return bool(min(gone.sum(), (~gone.astype(bool)).sum()) >= MIN_CASES) if len(gone) else False


# Calibrated risk
@dataclass
class Risk:
    """A classifier whose log odds are stretched and moved: risk = 1 / (1 + exp(-(slope * log odds +
    shift))).
    """

    model: ClassifierMixin
    slope: float = 1.0
    shift: float = 0.0

    def log_odds(self, told: pd.DataFrame) -> np.ndarray:
        """Of features as from churn_features, calibrated."""
        return self.slope * log_odds(self.model, told) + self.shift

    def predict(self, told: pd.DataFrame) -> np.ndarray:
        return np.clip(expit(self.log_odds(told)), EDGE, 1 - EDGE)


def log_odds(model: ClassifierMixin, told: pd.DataFrame) -> np.ndarray:
    """Of leaving, by a fitted model, in pieces."""
    pieces = [told.iloc[first : first + PIECE] for first in range(0, len(told), PIECE)]
    return np.concatenate(
        [logit(np.clip(model.predict_proba(piece)[:, 1], EDGE, 1 - EDGE)) for piece in pieces]
        or [np.zeros(0)]
    )


def stretched(found: np.ndarray, gone: pd.Series) -> float:
    """The slope that makes log odds right at a later date than those learned from (Cox 1958), drawn
    towards 1 as far as it is unsure; 1 where it cannot be told.
    """
    told = metrics.calibration(expit(found), gone.to_numpy())
    error = (told["slope_high"] - told["slope_low"]) / (2 * metrics.Z)
    return (
        1 + (told["slope"] - 1) * SLOPE_SPREAD**2 / (SLOPE_SPREAD**2 + error**2)
        if np.isfinite(error)
        else 1.0
    )


def moved(found: np.ndarray, level: float) -> float:
    """The shift of log odds that gives a mean risk of `level`."""
    if not len(found) or not 0 < level < 1:
        return 0.0
    return float(brentq(lambda shift: expit(found + shift).mean() - level, -30, 30))


@dataclass
class Origin:
    """A day: the customers as they were, the models that had learned by then, and the risk each
    would have told.

    `older` is the origin before it, where the slope of each model is seen; without it the slope is
    1. Of the day of the picture the outcome is not known: `held` has no column left.
    """

    day: dt.date
    held: pd.DataFrame
    taught: pd.DataFrame
    older: "Origin | None" = None
    wanted: tuple[str, ...] = ()  # candidates; all unless named

    @cached_property
    def told(self) -> pd.DataFrame:
        return features(self.held)

    @cached_property
    def models(self) -> dict[str, ClassifierMixin]:
        """Each candidate (of those wanted), fitted to what had been taught by the day; none where
        nothing was.
        """
        if not len(self.taught):
            return {}
        lessons = features(self.taught)
        lessons = lessons.fillna(
            dict.fromkeys(lessons.columns[lessons.isna().all()], 0.0)
        )  # trees refuse what nobody has
        return {
            name: CHURN_MODELS[name]().fit(lessons, self.taught.left)
            for name in self.wanted or CHURN_MODELS
        }

    @cached_property
    def raw(self) -> dict[str, np.ndarray]:
        """Log odds of the customers by each candidate, not calibrated."""
        return {name: log_odds(model, self.told) for name, model in self.models.items()}

    @cached_property
    def calibrated(self) -> dict[str, Risk]:
        level = expit(self.raw[LEVEL]).mean() if self.models and len(self.held) else float("nan")
        return {name: self._calibrated(name, model, level) for name, model in self.models.items()}

    def _calibrated(self, name: str, model: ClassifierMixin, level: float) -> Risk:
        known = self.older is not None and bool(self.older.models)
        slope = (
            stretched(self.older.raw[name], self.older.held.left) if known and self.older else 1.0
        )
        return Risk(model, slope, moved(slope * self.raw[name], level))

    @cached_property
    def risks(self) -> dict[str, np.ndarray]:
        """The calibrated risk of the customers by each candidate."""
        return {
            name: np.clip(expit(risk.slope * self.raw[name] + risk.shift), EDGE, 1 - EDGE)
            for name, risk in self.calibrated.items()
        }

    @property
    def active(self) -> np.ndarray:
        """Who was not lost already: whom a warning could have reached."""
        return (self.held.stage != "lost").to_numpy()

    @property
    def gone(self) -> np.ndarray:
        return self.held.left.to_numpy()


@dataclass
class Trial:
    """Today's origin, the measured one (None where the log is too short), and those that choose the
    champion.
    """

    today: Origin
    measured: Origin | None
    choosing: list[Origin] = field(default_factory=list)
    wanted: str = ""
    undated: bool = False  # contracts of which only a flag tells that they ended

    @cached_property
    def usual(self) -> pd.Series:
        """The median of each feature among those taught of who stayed, whom reasons compare a
        customer with.
        """
        stayed = self.today.taught[~self.today.taught.left.astype(bool)]
        return features(stayed).median() if len(stayed) else pd.Series(dtype=float)

    @cached_property
    def choice(self) -> pd.DataFrame:
        """Brier score of those not lost by candidate and choosing origin, as from origins.choice."""
        names = CHURN_MODELS if self.choosing else ()
        squares = {
            name: [(o.risks[name][o.active] - o.gone[o.active]) ** 2 for o in self.choosing]
            for name in names
        }
        return origins.choice(squares, [o.day for o in self.choosing])

    @property
    def champion(self) -> str:
        """The candidate of the lowest mean Brier score, of equals the simplest; what the analyst
        asks for, always.
        """
        return self.wanted or (DEFAULT if self.choice.empty else str(self.choice["mean"].idxmin()))

    @cached_property
    def risk(self) -> Risk | None:
        """The champion as of today; None where nothing can be learned."""
        return replace(self.today, wanted=(self.champion, LEVEL)).calibrated.get(self.champion)

    @cached_property
    def level_errors(self) -> list[float]:
        """Share that left of those not lost, less the mean risk of the champion, at each origin,
        the latest first.
        """
        known = [o for o in [self.measured, *self.choosing] if o is not None]
        return [float((o.gone - o.risks[self.champion])[o.active].mean()) for o in known]


def trial(records: Records, as_of: dt.date, settings: Dataset, model: str = "") -> Trial:
    """All candidates at all origins the log has room for, on at most MOST_CUSTOMERS customers."""
    if settings.churn == "contract" and not settings.has("customers", "contract_end"):
        return _undated(Past(sample(records, settings.seed), settings), as_of, model)
    past = Past(sample(records, settings.seed), settings)
    days = [
        as_of - dt.timedelta(days=n * settings.horizon_days) for n in range(1, 2 + MOST_CHOOSING)
    ]
    older: Origin | None = None
    found: list[Origin] = []
    for day in reversed(days):
        if (
            past.depth(day) < settings.horizon_days
            or not len(taught := past.taught(day))
            or not learnable(past.at(day).left)
        ):
            continue
        older = Origin(day, past.at(day), taught, older)
        found.insert(0, older)
    today = Origin(as_of, past.known(as_of), past.taught(as_of), older)
    measured = found[0] if found and found[0].day == days[0] else None
    return Trial(today, measured, found[1:] if measured else [], model)


def _undated(past: Past, as_of: dt.date, model: str) -> Trial:
    """A flag without a date tells of one day only, a horizon before today: a third of the
    customers, by lot, teaches, a third chooses, a third measures.
    """
    day = as_of - dt.timedelta(days=past.horizon_days)
    held = past.at(day)
    third = (lots(held.customer_id, past.settings.seed) * 3).astype(int)
    parts = [held[third == n].reset_index(drop=True) for n in range(3)]
    today = Origin(as_of, past.known(as_of), held if learnable(held.left) else held.head(0))
    if not all(learnable(part.left) for part in parts):
        return Trial(today, None, [], model, undated=True)
    choosing, measured = (Origin(day, part, parts[0]) for part in parts[1:])
    return Trial(today, measured, [choosing], model, undated=True)


# What the report says
def everybody(found: Trial, records: Records, settings: Dataset) -> pd.DataFrame:
    """All customers of the day of the picture, where the trial has drawn some of them."""
    ids = records.transactions.customer_id.nunique().execute()
    return (
        found.today.held if ids <= MOST_CUSTOMERS else describe(records, found.today.day, settings)
    )


def level(found: Trial, risk: pd.Series) -> dict[str, float]:
    """Expected leavers among customers of these risks: leavers, customers, share, and its 80 %
    interval low, high by how far the level went astray at earlier dates (nan where there is none).
    """
    errors = np.array(found.level_errors)
    reach = (
        student.ppf((1 + backtest.LEVEL) / 2, len(errors)) * np.sqrt(np.mean(errors**2))
        if len(errors)
        else np.nan
    )
    share = float(risk.mean())
    low, high = np.clip([share - reach, share + reach], 0, 1)
    leavers = float(risk.sum(min_count=1))
    return {
        "leavers": leavers,
        "customers": len(risk),
        "share": share,
        "low": float(low),
        "high": float(high),
    }


def unlabelled(found: Trial) -> int:
    """Customers of whom no profile says whether their contract ended."""
    return int(found.today.held.churned.isna().sum()) if "churned" in found.today.held else 0


def verdict(found: Trial) -> tuple[str, dict[str, object]]:
    """Why the champion is the champion: a message key and its values."""
    values = {
        "model": found.champion,
        "candidates": len(found.choice),
        "origins": len(found.choosing),
    }
    if found.wanted:
        return N_("Orders are forecast by: {model:word}, because it was asked for."), values
    return (
        N_(
            "The risk is told by: {model:word}. Of {candidates:int} candidates it had the smallest"
            " squared error at {origins:int} earlier dates."
        )
        if len(found.choice)
        else N_(
            "The log is too short to choose a model by time it had not seen; {model:word} is taken."
        )
    ), values


def measured(found: Trial) -> tuple[dict[str, float], dict[str, float]]:
    """evidence.measure of the champion at the measured origin, of those not lost and of all; nan
    where there is none.
    """
    gone, risk = outcome(found)
    every = (
        (found.measured.risks[found.champion], found.measured.gone)
        if found.measured
        else (risk, gone)
    )
    return metrics.measure(risk, gone), metrics.measure(*every)


def outcome(found: Trial) -> tuple[np.ndarray, np.ndarray]:
    """Who left, and the champion's risk, at the measured origin, of those not lost; empty without
    one.
    """
    if (origin := found.measured) is None:
        return np.zeros(0, bool), np.zeros(0)
    return origin.gone[origin.active], origin.risks[found.champion][origin.active]


def risk_of(risk: Risk | None, told: pd.DataFrame) -> np.ndarray:
    """The risk of customers by their features; nan where nothing was learned."""
    return risk.predict(told) if risk else np.full(len(told), np.nan)


def leaderboard(found: Trial) -> pd.DataFrame:
    """Candidates at the measured origin, of those not lost, the lowest Brier score first. Columns:
    model, auc, auc_low, auc_high, brier, difference (to the champion's, with 95 % low and high),
    slope, ece, ece_limit; empty without a measured origin.
    """
    if (origin := found.measured) is None:
        return pd.DataFrame()
    gone, mine = origin.gone[origin.active], origin.risks[found.champion][origin.active]
    rows = []
    for name, risk in origin.risks.items():
        told = metrics.measure(risk[origin.active], gone)
        rows.append(
            {"model": name, **told, **metrics.brier_difference(risk[origin.active], mine, gone)}
        )
    return pd.DataFrame(rows).sort_values("brier", ignore_index=True)


def by_origin(found: Trial) -> pd.DataFrame:
    """evidence.stability of the champion by origin, the measured one last, of those not lost."""
    return _stability(
        [o for o in [*found.choosing, found.measured] if o is not None], found.champion, "day"
    )


def by_stage(found: Trial) -> pd.DataFrame:
    """evidence.stability of the champion at the measured origin, by the stage customers were in."""
    return _stability([found.measured] if found.measured else [], found.champion, "stage")


def _stability(known: list[Origin], champion: str, by: str) -> pd.DataFrame:
    parts = []
    for origin in known:
        who = origin.active if by == "day" else np.ones(len(origin.held), bool)
        part = pd.DataFrame(
            {
                "risk": origin.risks[champion],
                "gone": origin.gone,
                "stage": origin.held.stage,
                "day": origin.day,
            }
        )
        parts.append(part[who])
    return metrics.stability(pd.concat(parts, ignore_index=True), by) if parts else pd.DataFrame()


def kept(found: Trial) -> dict[str, object]:
    """What is kept of the fitted model beside itself, as plain data."""
    risk, (active, _) = found.risk, measured(found)
    calibration = {"slope": risk.slope, "shift": risk.shift} if risk else {}
    choice = found.choice["mean"].to_dict() if len(found.choice) else {}
    return {
        "model": found.champion,
        "calibration": calibration,
        "brier_choosing": choice,
        "measured": active,
    }
