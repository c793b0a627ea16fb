"""What is to be reached by when, by whom, with which means: goals from a file, held against the
figures.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pydantic import Field

from analysis.customers import buyers
from analysis.errors import InputError, did_you_mean
from analysis.intake.dataset import Dataset
from analysis.intake.settings import Amount, Strict
from analysis.report.text import N_, say
from analysis.segments.lifecycle import ACTIVE
from analysis.segments.summaries import known_sum
from analysis.strategy.tiers import Tier
from analysis.strategy.written import Text, checked, content, in_language

STANDINGS = {
    "reached": N_("{count:int} reached"),
    "open": N_("{count:int} open"),
    "not_begun": N_("{count:int} whose period has not begun"),
    "under_way": N_("{count:int} whose period is under way"),
    "missed": N_("{count:int} missed"),
}


class Goal(Strict):
    """A measure of all customers or of a tier, its target, by when, and who answers for it."""

    id: str
    measure: str  # of MEASURES
    tier: Tier | None = None
    target: float
    by: dt.date
    owner: str
    why: Text = ""


class Means(Strict):
    """What a tier may take: money and customers called in one cycle."""

    budget: Amount | None = None
    calls: int | None = Field(None, ge=0)


class Goals(Strict):
    goals: tuple[Goal, ...] = ()
    resources: dict[Tier, Means] = {}


@dataclass(frozen=True)
class Measure:
    """What a goal may speak of, from the matrix with `orders` (order days) of each customer."""

    words: str
    form: str  # how it is written
    of: Callable[[pd.DataFrame], float]
    less_is_better: bool = False
    # counts the value window up to a day, so that a goal by a later day is about another period
    of_window: bool = False


def _share(stages: tuple[str, ...]) -> Callable[[pd.DataFrame], float]:
    return lambda people: float(buyers(people).stage.isin(stages).mean())


MEASURES = {
    "customers": Measure(N_("customers"), "int", lambda people: len(buyers(people))),
    "revenue": Measure(
        N_("revenue"), "money", lambda people: known_sum(people.revenue), of_window=True
    ),
    "active_share": Measure(N_("share of customers who are active"), "percent", _share(ACTIVE)),
    "silent_share": Measure(
        N_("share of customers who are silent or lost"),
        "percent",
        _share(("silent", "lost")),
        less_is_better=True,
    ),
    "repeat_share": Measure(
        N_("share of customers who ordered again"),
        "percent",
        lambda people: float((buyers(people).orders >= 2).mean()),
    ),
    "mean_risk": Measure(
        N_("mean risk of leaving"),
        "percent",
        lambda people: people.churn_risk.mean(),
        less_is_better=True,
    ),
    "value_to_come": Measure(N_("value to come"), "money", lambda people: known_sum(people.clv)),
}


def of(settings: Dataset) -> Goals:
    """The goals of a dataset, if any; InputError for a file that cannot be used."""
    if not settings.plan.goals:
        return Goals()
    path = settings.file.parent / settings.plan.goals
    found = checked(Goals, content(path), path.name)
    for goal in found.goals:
        if goal.measure not in MEASURES:
            meant = did_you_mean(goal.measure, MEASURES)
            raise InputError(f"{path.name}: no measure {goal.measure!r}; {meant}")
    return found


def held_against(
    goals: Goals, matrix: pd.DataFrame, customers: pd.DataFrame, as_of: dt.date, settings: Dataset
) -> pd.DataFrame:
    """Each goal and where it stands.

    Columns: goal, measure, tier (all where none), now, target, gap (still missing, 0 where
    reached), by, days_left, owner, standing (of STANDINGS, or unknown), why.
    """
    people = matrix.merge(customers[["customer_id", "orders"]], on="customer_id")
    return pd.DataFrame([_standing(goal, people, as_of, settings) for goal in goals.goals])


def _standing(
    goal: Goal, people: pd.DataFrame, as_of: dt.date, settings: Dataset
) -> dict[str, Any]:
    measure = MEASURES[goal.measure]
    now = measure.of(people[people.tier == goal.tier] if goal.tier else people)
    missing = now - goal.target if measure.less_is_better else goal.target - now
    days_left, window = (goal.by - as_of).days, settings.value_window_days
    if pd.isna(now):
        standing = "unknown"
    elif measure.of_window and window and days_left > 0:
        standing = "not_begun" if days_left >= window else "under_way"
    elif missing <= 0:
        standing = "reached"
    else:
        standing = "open" if days_left >= 0 else "missed"
    return {
        "goal": goal.id,
        "measure": goal.measure,
        "tier": goal.tier or "all",
        "now": now,
        "target": goal.target,
        "gap": max(missing, 0.0),
        "by": pd.Timestamp(goal.by),
        "days_left": days_left,
        "owner": goal.owner,
        "standing": standing,
        "why": in_language(goal.why, settings.language),
    }


def means(goals: Goals, made: pd.DataFrame, matrix: pd.DataFrame) -> pd.DataFrame:
    """What the plan takes of what each tier may: tier, budget, cost, calls, called, within (yes or
    no).
    """
    done = made[made.status == "planned"].merge(matrix[["customer_id", "tier"]], on="customer_id")
    rows = []
    for tier, may in goals.resources.items():
        mine = done[done.tier == tier]
        cost, called = float(mine.cost.sum()), int(mine.channel.isin(["phone", "visit"]).sum())
        limits = ((may.budget, cost), (may.calls, called))
        within = all(most is None or taken <= most for most, taken in limits)
        rows.append((tier, may.budget, cost, may.calls, called, "yes" if within else "no"))
    return pd.DataFrame(rows, columns=["tier", "budget", "cost", "calls", "called", "within"])


def counts(standing: pd.DataFrame) -> dict[str, int]:
    """How many goals there are (goals), and how many are each of STANDINGS."""
    found = [] if standing.empty else standing.standing.tolist()
    return {"goals": len(found)} | {name: found.count(name) for name in STANDINGS}


def summary(standing: pd.DataFrame) -> tuple[str, dict[str, Any]]:
    """How many goals there are, and how many stand where; only what there is."""
    found = counts(standing)
    if not found["goals"]:
        return N_(
            "No goals are set. Write them into a file and name it under plan.goals in the dataset"
            " file."
        ), {}
    known = [say(text, count=found[name]) for name, text in STANDINGS.items() if found[name]]
    if not known:
        return N_("Goals: {goals:int}; where they stand is not known."), found
    return N_("Goals: {goals:int}, {known:text}."), found | {"known": say(", ").join(known)}


def in_words(standing: pd.DataFrame) -> pd.DataFrame:
    """The table with the measure in words, and now, target and gap written as it asks."""
    if standing.empty:
        return standing
    measures = [MEASURES[name] for name in standing.measure]
    texts = {
        name: [say.form(m.form, x) for m, x in zip(measures, standing[name], strict=True)]
        for name in ("now", "target")
    }
    missing = [_missing(m.form, x) for m, x in zip(measures, standing.gap, strict=True)]
    words = [measure.words for measure in measures]
    return standing.assign(**texts, gap=missing, measure=words)


def _missing(form: str, gap: float) -> str:
    """What is missing, of a share in percentage points: 5 % of it could be less of it."""
    if form != "percent" or pd.isna(gap):
        return say.form(form, gap)
    return say("{points:short} percentage points", points=round(100 * gap, 1))
