"""What is to be reached by when, by whom, with which means: goals from a file, held against the
figures.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from analysis.errors import InputError, did_you_mean
from analysis.intake.dataset import Dataset
from analysis.report.text import say
from analysis.segments.lifecycle import ACTIVE
from analysis.strategy.playbook import Text, Tier, said


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Goal(_Strict):
    """One goal: a measure of all customers or of a tier, what it is to be, by when, and who answers
    for it.
    """

    id: str
    measure: str  # of MEASURES
    tier: Tier | None = None
    target: float = Field(allow_inf_nan=False)
    by: dt.date
    owner: str
    why: Text = ""


class Means(_Strict):
    """What a tier may take: money and customers called in one cycle."""

    budget: float | None = Field(None, ge=0, allow_inf_nan=False)
    calls: int | None = Field(None, ge=0)


class Goals(_Strict):
    goals: tuple[Goal, ...] = ()
    resources: dict[Tier, Means] = {}


# What goals may speak of: of customers in the matrix (those who ever ordered), or of their answers.
Measure = Callable[[pd.DataFrame], float]
MEASURES: dict[str, Measure] = {
    "customers": lambda of: float((of.stage != "prospect").sum()),
    "revenue": lambda of: float(of.revenue.sum(min_count=1)),
    "active_share": lambda of: _share(of, of.stage.isin(ACTIVE)),
    "silent_share": lambda of: _share(of, of.stage.isin(["silent", "lost"])),
    "repeat_share": lambda of: _share(of, of.stage != "new"),
    "mean_risk": lambda of: float(of.churn_risk.mean()),
    "value_to_come": lambda of: float(of.clv.sum(min_count=1)),
}
THE_LESS_THE_BETTER = ("silent_share", "mean_risk")
SHARES = ("active_share", "silent_share", "repeat_share", "mean_risk")
MONEY = ("revenue", "value_to_come")


def _share(of: pd.DataFrame, which: pd.Series) -> float:
    ordered = of.stage != "prospect"
    return float(which[ordered].mean()) if ordered.any() else float("nan")


def of(settings: Dataset) -> Goals:
    """The goals of a dataset; none where its file names none. Raises InputError for a file that
    cannot be used.
    """
    if not settings.plan.goals:
        return Goals()
    path = settings.file.parent / settings.plan.goals
    try:
        found = Goals.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except OSError as error:
        raise InputError(
            f"plan.goals: {path}: {error.strerror}; name a file that is there"
        ) from None
    except yaml.YAMLError as error:
        raise InputError(
            f"{path.name}: not readable as YAML: {' '.join(str(error).split())}"
        ) from None
    except ValidationError as error:
        said_ = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InputError(f"{path.name}: {said_}") from None
    if unknown := [goal.measure for goal in found.goals if goal.measure not in MEASURES]:
        raise InputError(
            f"{path.name}: no measure {unknown[0]!r}; {did_you_mean(unknown[0], MEASURES)}"
        )
    return found


def held_against(goals: Goals, matrix: pd.DataFrame, as_of: dt.date, language: str) -> pd.DataFrame:
    """Each goal and where it stands. Columns: goal, measure, tier (all where none), now, target,
    gap (still missing, 0 where reached), by, days_left, owner, standing (reached, open, missed,
    unknown), why.
    """
    return pd.DataFrame([_standing(goal, matrix, as_of, language) for goal in goals.goals])


def _standing(goal: Goal, matrix: pd.DataFrame, as_of: dt.date, language: str) -> dict[str, Any]:
    now = MEASURES[goal.measure](matrix[matrix.tier == goal.tier] if goal.tier else matrix)
    missing = now - goal.target if goal.measure in THE_LESS_THE_BETTER else goal.target - now
    standing = (
        "unknown"
        if pd.isna(now)
        else "reached"
        if missing <= 0
        else "open"
        if as_of <= goal.by
        else "missed"
    )
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
        "why": said(goal.why, language),
    }


def means(goals: Goals, made: pd.DataFrame, matrix: pd.DataFrame) -> pd.DataFrame:
    """What the plan takes of what each tier may: tier, budget, cost, calls, called, within (yes or
    no).
    """
    done = made[made.status == "planned"].merge(matrix[["customer_id", "tier"]], on="customer_id")
    rows: list[tuple[Any, ...]] = []
    for tier, may in goals.resources.items():
        mine = done[done.tier == tier]
        called = int(mine.channel.isin(["phone", "visit"]).sum())
        within = (may.budget is None or mine.cost.sum() <= may.budget) and (
            may.calls is None or called <= may.calls
        )
        rows.append(
            (tier, may.budget, float(mine.cost.sum()), may.calls, called, "yes" if within else "no")
        )
    return pd.DataFrame(rows, columns=["tier", "budget", "cost", "calls", "called", "within"])


def counts(standing: pd.DataFrame) -> dict[str, int]:
    """Goals by where they stand: goals (all), reached, open, missed."""
    found = standing.standing.value_counts() if len(standing) else pd.Series(dtype=int)
    return {"goals": len(standing)} | {
        name: int(found.get(name, 0)) for name in ("reached", "open", "missed")
    }


def in_words(standing: pd.DataFrame) -> pd.DataFrame:
    """The table with now, target and gap written as their measure asks: money, shares, numbers."""
    if standing.empty:
        return standing
    form = standing.measure.map(
        lambda name: "percent" if name in SHARES else "money" if name in MONEY else "int"
    )
    texts = {
        name: [say.form(f, x) for f, x in zip(form, standing[name], strict=True)]
        for name in ("now", "target", "gap")
    }
    return standing.assign(**texts)
