"""What is to be reached by when, by whom, with which means: goals from a file, held against the
figures.

A goal names a measure of the customers as they stand today (MEASURES), or a key figure of months.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
from pydantic import Field

from analysis.customers import buyers
from analysis.errors import InputError, did_you_mean
from analysis.intake.dataset import Dataset
from analysis.intake.settings import Amount, Strict
from analysis.report.text import N_, say
from analysis.segments.lifecycle import ACTIVE
from analysis.segments.summaries import known_sum
from analysis.steering.facts import Facts, Span, month_end
from analysis.steering.kpis import KPIS, Kpi, compared
from analysis.strategy.tiers import Tier
from analysis.strategy.written import Text, checked, content, in_language

STANDINGS = {
    "on_pace": N_("{count:int} on pace"),
    "behind": N_("{count:int} behind"),
    "reached": N_("{count:int} reached"),
    "open": N_("{count:int} open"),
    "not_begun": N_("{count:int} whose period has not begun"),
    "missed": N_("{count:int} missed"),
}


class Goal(Strict):
    """A measure of all customers or of a tier, its target, by when, and who answers for it. A key
    figure is that of the `months` up to then; what is no sum of them is judged on pace with the day
    from which the goal counts.
    """

    id: str
    measure: str  # of MEASURES or KPIS
    tier: Tier | None = None
    months: Literal[1, 3, 12] = 12
    target: float
    since: dt.date | None = Field(None, alias="from")
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


def _share(stages: tuple[str, ...]) -> Callable[[pd.DataFrame], float]:
    return lambda people: float(buyers(people).stage.isin(stages).mean())


RATIOS = ("percent", "number", "short")  # forms of figures that are no sums over months
MEASURES = {
    "customers": Measure(N_("customers"), "int", lambda people: len(buyers(people))),
    "active_share": Measure(N_("share of customers who are active"), "percent", _share(ACTIVE)),
    "silent_share": Measure(
        N_("share of customers who are silent or lost"),
        "percent",
        _share(("silent", "lost")),
        less_is_better=True,
    ),
    "mean_risk": Measure(
        N_("mean risk of leaving"),
        "percent",
        lambda people: people.churn_risk.mean(),
        less_is_better=True,
    ),
    "lifetime_value": Measure(N_("lifetime value"), "money", lambda people: known_sum(people.clv)),
}


def of(settings: Dataset) -> Goals:
    """The goals of a dataset, if any; InputError for a file that cannot be used."""
    if not settings.plan.goals:
        return Goals()
    path = settings.file.parent / settings.plan.goals
    found = checked(Goals, content(path), path.name)
    known: dict[str, Measure | Kpi] = {**MEASURES, **KPIS}
    for goal in found.goals:
        if goal.measure not in known:
            meant = did_you_mean(goal.measure, known)
            raise InputError(f"{path.name}: no measure {goal.measure!r}; {meant}")
        if known[goal.measure].form == "percent" and not 0 <= goal.target <= 1:
            raise InputError(
                f"{path.name}: goal {goal.id}: {goal.measure} is a share, so that the target is"
                f" between 0 and 1 (0.1 for 10 %), not {goal.target:g}"
            )
        if known[goal.measure].form in ("money", "int") and 0 < goal.target < 1:
            raise InputError(
                f"{path.name}: goal {goal.id}: {goal.measure} is no share but a sum, so that the"
                f" target {goal.target:g} is too small; write what it is to come to"
            )
        if goal.since and goal.since >= goal.by:
            raise InputError(
                f"{path.name}: goal {goal.id} counts from {goal.since}, which is not before the day"
                f" by which it is to be reached, {goal.by}"
            )
    return found


def held_against(
    goals: Goals, matrix: pd.DataFrame, customers: pd.DataFrame, facts: Facts, as_of: dt.date
) -> pd.DataFrame:
    """Each goal and where it stands.

    Columns: goal, measure, tier (all where none), now, target, gap (still missing, 0 where
    reached), by, days_left, owner, standing (of STANDINGS, or unknown), why. Raises InputError for
    a goal by a day before the first order.
    """
    people = matrix.merge(customers[["customer_id", "orders"]], on="customer_id")
    for goal in goals.goals:
        if pd.Timestamp(goal.by) < facts.oldest:
            raise InputError(
                f"{facts.settings.plan.goals}: goal {goal.id} is by {goal.by}, before the first"
                f" order ({facts.oldest.date()}); correct the year"
            )
    return pd.DataFrame([_standing(goal, people, facts, as_of) for goal in goals.goals])


def _standing(goal: Goal, people: pd.DataFrame, facts: Facts, as_of: dt.date) -> dict[str, Any]:
    if goal.measure in KPIS:
        less = KPIS[goal.measure].better == "lower"
        now, standing = _of_months(goal, facts, as_of)
    else:
        less = MEASURES[goal.measure].less_is_better
        now = MEASURES[goal.measure].of(people[people.tier == goal.tier] if goal.tier else people)
        standing = "open" if goal.by >= as_of else "missed"
    missing = now - goal.target if less else goal.target - now
    if pd.isna(now):
        standing = "unknown"
    elif missing <= 0 and standing in ("open", "missed", "behind") + ("on_pace",) * (not less):
        standing = "reached"
    return {
        "goal": goal.id,
        "measure": goal.measure,
        "tier": goal.tier or "all",
        "now": now,
        "target": goal.target,
        "gap": max(missing, 0.0),
        "by": pd.Timestamp(goal.by),
        "days_left": (goal.by - as_of).days,
        "owner": goal.owner,
        "standing": standing,
        "why": in_language(goal.why, facts.settings.language),
    }


def _of_months(goal: Goal, facts: Facts, as_of: dt.date) -> tuple[float, str]:
    """A key figure as far as its months are over, and whether it is on pace: a sum by the share of
    its months that are over, anything else by how far it has come from what it was.
    """
    by = whole(goal.by)
    span = Span(min(facts.last, by), goal.months)
    is_sum = not KPIS[goal.measure].stock and "below" not in KPIS[goal.measure].of(facts, span)
    over = goal.months - _months_between(facts.last, by)
    less = KPIS[goal.measure].better == "lower"
    if by <= facts.last:
        return figure(facts, goal, span), "missed" if goal.by < as_of else "open"
    if not is_sum:
        now = figure(facts, goal, span)
        return now, _come(goal, now, facts, as_of)
    if over <= 0:
        return figure(facts, goal, span), "not_begun"
    now = figure(facts, goal, Span(facts.last, over))
    due = goal.target * over / goal.months
    return now, "on_pace" if (now <= due if less else now >= due) else "behind"


def _come(goal: Goal, now: float, facts: Facts, as_of: dt.date) -> str:
    """Whether a figure has come as far from what it was as the days have since then."""
    if goal.since is None:
        return "open"
    if as_of < goal.since:
        return "not_begun"
    before = whole(goal.since - dt.timedelta(days=1))
    then = figure(facts, goal, Span(before, goal.months))
    if pd.isna(then) or then == goal.target:
        return "open"
    passed = (as_of - goal.since).days / (goal.by - goal.since).days
    come = (now - then) / (goal.target - then)
    return "on_pace" if come >= passed else "behind"


def whole(day: dt.date) -> pd.Timestamp:
    """The last day of the last month that is over by a day."""
    return month_end(pd.Timestamp(day) + pd.Timedelta(days=1), -1)


def _months_between(one: pd.Timestamp, other: pd.Timestamp) -> int:
    return 12 * (other.year - one.year) + other.month - one.month


def figure(facts: Facts, goal: Goal, span: Span) -> float:
    """The key figure of a goal in some months; nan where it is not known."""
    return float(compared(facts, goal.measure, span, goal.tier or "")["value"])


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
    """The table with the measure in words, now and target (and by when) written as it asks."""
    if standing.empty:
        return standing
    known = {name: (entry.words, entry.form) for name, entry in MEASURES.items()}
    known |= {name: (entry.label, entry.form) for name, entry in KPIS.items()}
    words, forms = zip(*(known[name] for name in standing.measure), strict=True)
    now, target = (
        [say.form(form, x) for form, x in zip(forms, standing[name], strict=True)]
        for name in ("now", "target")
    )
    due = [
        say("{target:text} by {by:date}", target=text, by=by)
        for text, by in zip(target, standing.by, strict=True)
    ]
    return standing.assign(now=now, target=due, measure=list(words))


def on_cards(standing: pd.DataFrame) -> dict[str, str]:
    """What is to be reached of all customers, in words, by key figure; of sums none: they are of
    other months than a card. `standing` as from held_against.
    """
    return {
        row["measure"]: say(
            N_("target {target:text} by {by:date}"),
            target=say.form(KPIS[row["measure"]].form, row["target"]),
            by=row["by"],
        )
        for row in standing.to_dict("records")
        if row["tier"] == "all" and row["measure"] in KPIS and KPIS[row["measure"]].form in RATIOS
    }
