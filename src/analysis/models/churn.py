"""Who will leave: models that learn at earlier dates, are calibrated at a later one, and are
measured at the last.

Origins step back from the day of the picture in whole horizons: the first one back is measured and
chooses nothing, the ones before choose the champion by Brier score.
"""

import datetime as dt
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm
from sklearn.base import ClassifierMixin

from analysis.intake.dataset import Dataset
from analysis.models import intervals, metrics, origins
from analysis.models.churn_features import features
from analysis.models.churn_models import (
    CHURN_MODELS,
    DEFAULT,
    DUE_LEVEL,
    LEVEL,
    Due,
    Risk,
    bounded,
    filled,
    log_odds,
    moved,
    stretched,
    told_by,
)
from analysis.models.history import Records
from analysis.models.leaving import MIN_CASES, Past, learnable, sample
from analysis.report.text import N_
from analysis.statistics import lots

__all__ = ["MIN_CASES", "Origin", "Trial", "trial"]


@dataclass
class Origin:
    """A day: the customers as they were, the models that had learned by then, and the risk each
    would have told.

    `older` is the origin before it, where the slope of each model is seen; without it the slope is
    1. Of the day of the picture the outcome is not known: `held` has no column left. `wanted` names
    the models that are fitted, all unless named.
    """

    day: dt.date
    held: pd.DataFrame
    taught: pd.DataFrame
    older: "Origin | None" = None
    wanted: tuple[str, ...] = ()

    @cached_property
    def features(self) -> pd.DataFrame:
        return features(self.held)

    @property
    def level(self) -> str:
        """The model whose mean risk the others are held to."""
        return DUE_LEVEL if "due" in self.held else LEVEL

    @cached_property
    def models(self) -> dict[str, ClassifierMixin]:
        """Each model, fitted to what had been taught by the day; none where nothing was."""
        if not len(self.taught):
            return {}
        lessons, gone = filled(features(self.taught)), self.taught.left
        found = {name: CHURN_MODELS[name].make() for name in self.wanted or CHURN_MODELS}
        if "due" in lessons and learnable(gone[lessons.due == 1]):
            found = {name: Due(model) for name, model in found.items()}
        return {name: model.fit(lessons, gone) for name, model in found.items()}

    @cached_property
    def odds(self) -> dict[str, np.ndarray]:
        """Log odds of the customers by each model, not calibrated."""
        return {name: log_odds(model, self.features) for name, model in self.models.items()}

    @cached_property
    def calibrated(self) -> dict[str, Risk]:
        """Each model with the slope seen at the older origin and the mean risk of `level`."""
        older = self.older if self.older is not None and self.older.models else None
        found = {}
        for name, model in self.models.items():
            slope, who = 1.0, told_by(model, self.features)
            if older:
                then = told_by(older.models[name], older.features)
                slope = stretched(older.odds[name][then], older.held.left[then])
            level = expit(self.odds[self.level][who]).mean() if who.any() else float("nan")
            found[name] = Risk(model, slope, moved(slope * self.odds[name][who], level))
        return found

    @cached_property
    def risks(self) -> dict[str, np.ndarray]:
        """The calibrated risk of the customers by each model."""
        return {
            name: bounded(risk.calibrated(self.odds[name], self.features))
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

    `past` tells of the customers that were learned from, `everyone` of all.
    """

    today: Origin
    measured: Origin | None
    choosing: list[Origin] = field(default_factory=list)
    wanted: str = ""
    undated: bool = False  # contracts of which only a flag tells that they ended
    past: Past | None = None
    everyone: Past | None = None

    @cached_property
    def known(self) -> pd.DataFrame:
        """All customers of the day of the picture, where the trial has drawn some of them."""
        if self.everyone is None or self.everyone is self.past:
            return self.today.held
        day = self.today.day
        return self.everyone.in_season(self.everyone.known(day), day, day)

    @cached_property
    def features(self) -> pd.DataFrame:
        """churn_features of `known`."""
        return features(self.known)

    @cached_property
    def usual(self) -> pd.Series:
        """The median of each feature among those taught of who stayed, whom reasons compare a
        customer with.
        """
        stayed = self.today.taught[~self.today.taught.left.astype(bool)]
        return features(stayed).median() if len(stayed) else pd.Series(dtype=float)

    @cached_property
    def choice(self) -> pd.DataFrame:
        """Brier score of those not lost by model and choosing origin, as from origins.choice."""
        squares = {
            name: [(o.risks[name][o.active] - o.gone[o.active]) ** 2 for o in self.choosing]
            for name in CHURN_MODELS
        }
        return origins.choice(squares if self.choosing else {}, [o.day for o in self.choosing])

    @property
    def champion(self) -> str:
        """The model of the lowest mean Brier score, of equals the simplest; what the analyst asks
        for, always.
        """
        return self.wanted or (DEFAULT if self.choice.empty else str(self.choice["mean"].idxmin()))

    @cached_property
    def told(self) -> Origin:
        """Today, with the champion and its level alone."""
        return replace(self.today, wanted=(self.champion, self.today.level))

    @property
    def risk(self) -> Risk | None:
        """The champion as of today; None where nothing can be learned."""
        return self.told.calibrated.get(self.champion)

    @cached_property
    def risks(self) -> np.ndarray:
        """The risk of each of `known`; nan where nothing was learned."""
        if self.risk and self.known is self.told.held:
            return self.told.risks[self.champion]
        return self.risk.predict(self.features) if self.risk else np.full(len(self.known), np.nan)

    @cached_property
    def level_errors(self) -> np.ndarray:
        """Share that left of those not lost, less the mean risk of the champion, at each origin,
        the latest first.
        """
        origins = [o for o in (self.measured, *self.choosing) if o is not None]
        return np.array([(o.gone - o.risks[self.champion])[o.active].mean() for o in origins])


def trial(records: Records, as_of: dt.date, settings: Dataset, model: str = "") -> Trial:
    """All models at all origins the log has room for, on at most MOST_CUSTOMERS customers."""
    everyone = Past(records, settings)
    some = sample(records, settings.seed)
    past = everyone if some is records else Past(some, settings)
    everyone.calendars = past.calendars
    if settings.churn == "contract" and not settings.has("customers", "contract_end"):
        found = undated(past, as_of)
    else:
        found = dated(past, as_of)
    return replace(found, wanted=model, past=past, everyone=everyone)


def dated(past: Past, as_of: dt.date) -> Trial:
    """Origins at several dates, each calibrated at the one before it."""
    older: Origin | None = None
    found: list[Origin] = []
    past.read(past.all_days(as_of))
    for day in reversed(past.days(as_of)):
        taught = past.taught(day)
        if len(taught) and learnable(past.at(day).left):
            older = Origin(day, past.in_season(past.at(day), day, day), taught, older)
            found.insert(0, older)
    held = past.in_season(past.known(as_of), as_of, as_of)
    today = Origin(as_of, held, past.taught(as_of), older)
    if not found or found[0].day != as_of - dt.timedelta(days=past.horizon_days):
        return Trial(today, None)
    return Trial(today, found[0], found[1:])


def undated(past: Past, as_of: dt.date) -> Trial:
    """A flag without a date tells of one day only, a horizon before today: a third of the
    customers, by lot, teaches, a third chooses, a third measures.
    """
    day = as_of - dt.timedelta(days=past.horizon_days)
    held = past.at(day)
    third = (lots(held.customer_id, past.settings.seed) * 3).astype(int)
    parts = [held[third == n].reset_index(drop=True) for n in range(3)]
    today = Origin(as_of, past.known(as_of), held if learnable(held.left) else held.head(0))
    if not all(learnable(part.left) for part in parts):
        return Trial(today, None, undated=True)
    choosing, measured = (Origin(day, part, parts[0]) for part in parts[1:])
    return Trial(today, measured, [choosing], undated=True)


# What the report says
def level(found: Trial, risk: pd.Series) -> dict[str, float]:
    """Expected leavers among customers of these risks: leavers, customers, share, and its 80 %
    interval low, high by how far the level went astray at earlier dates, and no narrower than
    chance has it were all risks exact (nan without such dates).
    """
    errors, share, reach = found.level_errors, float(risk.mean()), float("nan")
    if len(errors):
        spread = np.sqrt(np.mean(errors**2))
        chance = np.sqrt((risk * (1 - risk)).sum()) / max(len(risk), 1)
        by_chance = norm.ppf(intervals.TAILS[1]) * chance
        reach = max(intervals.reach_of(spread, len(errors)), by_chance)
    low, high = np.clip([share - reach, share + reach], 0, 1).tolist()
    leavers = float(risk.sum(min_count=1))
    return {"leavers": leavers, "customers": len(risk), "share": share, "low": low, "high": high}


def unlabelled(found: Trial) -> int:
    """Customers of whom no profile says whether their contract ended."""
    return int(found.today.held.churned.isna().sum()) if "churned" in found.today.held else 0


def verdict(found: Trial) -> tuple[str, dict[str, object]]:
    """Why the champion is the champion: a sentence and its values."""
    values = {"model": found.champion, "models": len(found.choice), "origins": len(found.choosing)}
    if found.wanted:
        return N_("The risk is told by: {model:word}, because it was asked for."), values
    if len(found.choice):
        return N_(
            "The risk is told by: {model:word}. Of {models:int} candidates it had the smallest"
            " squared error on time it had not seen at earlier dates ({origins:int}), which chose."
        ), values
    return N_(
        "The log is too short to choose a model by time it had not seen; {model:word} is taken."
    ), values


def outcome(found: Trial, every: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Who left, and the champion's risk, at the measured origin, of those not lost (or of `every`
    one); empty without one.
    """
    if (origin := found.measured) is None:
        return np.zeros(0, bool), np.zeros(0)
    who = origin.active | every
    return origin.gone[who], origin.risks[found.champion][who]


def measured(found: Trial, every: bool = False) -> dict[str, float]:
    """metrics.measure of the champion at the measured origin, of those not lost (or of `every`
    one); nan where there is none.
    """
    gone, risk = outcome(found, every)
    return metrics.measure(risk, gone)


def calibrated(figures: dict[str, float]) -> str:
    """Whether risks of these metrics.measure are too bold, too timid, off in level or right: a
    sentence.
    """
    if figures["slope_high"] < 1:
        return N_(
            "By this evidence the risks are too bold: customers differ less than their risks do."
        )
    if figures["slope_low"] > 1:
        return N_(
            "By this evidence the risks are too timid: customers differ more than their risks do."
        )
    if figures["ece"] > figures["ece_limit"]:
        return N_(
            "By this evidence the risks are neither too bold nor too timid, but off by more than"
            " chance: {mean_risk:percent} was said on average, {base:percent} left."
        )
    return N_(
        "By this evidence the risks are well calibrated: a gap of {ece:percent} is no more than"
        " chance makes."
    )


def leaderboard(found: Trial) -> pd.DataFrame:
    """Models at the measured origin, of those not lost, the lowest Brier score first. Columns:
    model, those of metrics.measure, difference (of the Brier score to the champion's, with 95 % low
    and high); empty without a measured origin.
    """
    if (origin := found.measured) is None:
        return pd.DataFrame()
    gone, champions = outcome(found)
    rows = []
    for name, risks in origin.risks.items():
        risk = risks[origin.active]
        difference = metrics.brier_difference(risk, champions, gone)
        rows.append({"model": name, **metrics.measure(risk, gone), **difference})
    return pd.DataFrame(rows).sort_values("brier", ignore_index=True)


def by_origin(found: Trial) -> pd.DataFrame:
    """metrics.stability of the champion by day, the measured one last, of those not lost."""
    known = [o for o in (*found.choosing, found.measured) if o is not None]
    return stability(known, found.champion, "day", active=True)


def by_stage(found: Trial) -> pd.DataFrame:
    """metrics.stability of the champion at the measured origin, by the stage customers were in."""
    known = [found.measured] if found.measured else []
    return stability(known, found.champion, "stage", active=False)


def stability(known: list[Origin], champion: str, by: str, active: bool) -> pd.DataFrame:
    """metrics.stability at these origins, by day or stage; empty without any."""
    parts = []
    for origin in known:
        part = pd.DataFrame({"risk": origin.risks[champion], "gone": origin.gone})
        part = part.assign(stage=origin.held.stage, day=origin.day)
        parts.append(part[origin.active | (not active)])
    return metrics.stability(pd.concat(parts, ignore_index=True), by) if parts else pd.DataFrame()
