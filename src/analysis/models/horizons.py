"""One risk at several horizons: the chance that a customer orders again (with contracts: leaves)
within so many days, which can only rise with them.

At the company's own horizon that is the calibrated risk itself. A plain rule, learned for both
horizons from the same customers, tells how much more or less of a customer's hazard falls before
another one: the chance that nothing happens is raised to that power (proportional hazards). A
horizon is told only if it was learned, and measured, on dates whose outcome was complete.
"""

import datetime as dt

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin

from analysis.models import history, leaving
from analysis.models.churn import Origin, Trial
from analysis.models.churn_features import log_expected
from analysis.models.churn_models import CHURN_MODELS, LEVEL, Due, told_by
from analysis.models.leaving import Past, learnable
from analysis.models.metrics import CERTAIN
from analysis.report.text import N_
from analysis.statistics import wilson

HORIZONS = (30, 91, 182, 365)  # days
SENTENCES = {
    "horizon": N_(
        "Of customers not lost {near:percent} are expected to order again within {first:int} days,"
        " {far:percent} within {last:int} days."
    ),
    "rhythm": N_(
        "Of customers not lost {near:percent} are expected to order again within {first:int} days"
        " and their own pause, {far:percent} within {last:int} days and that."
    ),
    "contract": N_(
        "Of customers not lost {near:percent} are expected to leave within {first:int} days,"
        " {far:percent} within {last:int} days."
    ),
}
MOST_LEARNED = 20_000  # customers; a curve of one feature learns little from more
Rules = tuple[ClassifierMixin, ClassifierMixin]  # for another horizon and the company's own


def ahead(trial: Trial) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The chance of each of trial.known within each of HORIZONS that can be told (within_30 …), and
    how it came true, of customers not lost. Columns of the second: within_days, chance (mean
    today), day (of the measure), customers, predicted (mean then), came_true (share), low, high
    (its 95 % interval).
    """
    chances, rows, past = {}, [], trial.past
    days_ahead = sorted({*HORIZONS, past.horizon_days}) if past and trial.risk else []
    for days in days_ahead:
        assert past is not None
        rules = learned(past, trial.today.day, days)
        if (rules or days == past.horizon_days) and (told := measured(trial, past, days)):
            chances[days] = chance(past, rules, trial.known, trial.risks, days)
            rows.append({"within_days": days, **told})
    found = pd.DataFrame(chances, trial.known.index).cummax(axis=1)
    active = (trial.known.stage != "lost").to_numpy()
    columns = ["within_days", "day", "customers", "predicted", "came_true", "low", "high"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(1, "chance", found[active].mean().to_numpy())
    kept = found[[days for days in found if days in HORIZONS]]
    return kept.rename(columns="within_{}".format), table


def learned(past: Past, now: dt.date, days: int) -> Rules | None:
    """What the bare rule of churn.LEVEL had learned by a day of two horizons, from the same
    customers; None where too few outcomes were complete, or there is but one horizon.
    """
    span = past.horizon_days
    if days == span:
        return None
    back = [max(days, span) + round(n * span / 3) for n in (0, 2)]
    dates = [now - dt.timedelta(days=n) for n in back]
    dates = [day for day in dates if past.depth(day) >= span / 2]
    past.read(dates)
    lessons = [(past.in_season(past.at(day), day, now), day) for day in dates]
    rules = []
    for horizon in (days, span) if lessons else ():
        parts = [
            facts_of(held, horizon).assign(left=left(past, held, day, horizon))
            for held, day in lessons
        ]
        facts = pd.concat(parts, ignore_index=True)
        facts = facts.sample(min(len(facts), MOST_LEARNED), random_state=0)
        gone = facts.pop("left")
        if not learnable(gone):
            return None
        rule = CHURN_MODELS[LEVEL].make()
        due = "due" in facts and learnable(gone[facts.due == 1])
        rules.append((Due(rule) if due else rule).fit(facts, gone))
    return (rules[0], rules[1]) if rules else None


def facts_of(held: pd.DataFrame, days: int) -> pd.DataFrame:
    """What the rule goes by: expected orders, and contracts due within so many days."""
    facts = pd.DataFrame({"expected": log_expected(held)})
    return facts.assign(due=(held.renewal_days <= days) * 1.0) if "due" in held else facts


def left(past: Past, held: pd.DataFrame, day: dt.date, days: int) -> np.ndarray:
    """Who left within so many days of a day, by the company's definition."""
    definition = past.settings.churn
    if definition == "contract":
        return leaving.contract_left(held, day, days).to_numpy(bool)
    if days > past.horizon_days:
        following = history.next_orders(past.transactions, [day], days)[day]
        held = held.assign(next_order_days=held.customer_id.map(following))
    return leaving.left(held, definition, days).to_numpy(bool)


def chance(
    past: Past, rules: Rules | None, held: pd.DataFrame, risk: np.ndarray, days: int
) -> np.ndarray:
    """The chance of an order, with contracts of leaving, within so many days of customers of this
    risk. Who is not due is told by the rule alone, since calibration does not move the risk.
    """
    ends = past.settings.churn == "contract"
    if rules is None:
        return risk if ends else 1 - risk
    facts = [facts_of(held, n) for n in (days, past.horizon_days)]
    risks = [rule.predict_proba(f)[:, 1] for rule, f in zip(rules, facts, strict=True)]
    other, own, mine = (np.clip(1 - r if ends else r, CERTAIN, 1 - CERTAIN) for r in (*risks, risk))
    nothing = mine ** (np.log(other) / np.log(own))
    nothing = np.where(told_by(rules[1], facts[1]), nothing, other)
    nothing = np.maximum(nothing, mine) if days < past.horizon_days else np.minimum(nothing, mine)
    return 1 - nothing


def measured(trial: Trial, past: Past, days: int) -> dict[str, object]:
    """How the chance came true at the latest date with as many days behind it; nothing where it
    could not be told there.
    """
    latest = trial.today.day - dt.timedelta(days=days)
    known = [o for o in (trial.measured, *trial.choosing) if o is not None and o.day <= latest]
    if trial.undated or not (known or past.depth(latest) >= days + past.horizon_days / 2):
        return {}
    origin = known[0] if known else _origin(trial, past, latest)
    rules = learned(past, origin.day, days) if origin else None
    if origin is None or (rules is None and days != past.horizon_days):
        return {}
    who = origin.active
    told = chance(past, rules, origin.held, origin.risks[trial.champion], days)[who]
    gone = left(past, origin.held, origin.day, days)[who]
    came = float(np.mean(gone if past.settings.churn == "contract" else ~gone))
    low, high = wilson(came, float(who.sum()))
    figures = {"predicted": told.mean(), "came_true": came, "low": low, "high": high}
    return {"day": origin.day, "customers": int(who.sum()), **figures}


def _origin(trial: Trial, past: Past, day: dt.date) -> Origin | None:
    """A date before those of the trial, with the champion alone."""
    taught = past.taught(day)
    if not len(taught) or not learnable(past.at(day).left):
        return None
    held = past.in_season(past.at(day), day, day)
    return Origin(day, held, taught, wanted=(trial.champion, trial.today.level))


def missing(table: pd.DataFrame) -> str:
    """The HORIZONS that `ahead` could not tell, as a list for a sentence."""
    return ", ".join(str(days) for days in HORIZONS if days not in {*table.within_days})
