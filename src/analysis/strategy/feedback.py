"""How satisfied customers say they are: by tier, over time, and against the year before.

In each period a customer counts once, with the last answer of it (of several on that day the
lowest), so that one who is asked often does not weigh more.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis.models import history
from analysis.report.text import N_, labelled
from analysis.schema import UNKNOWN
from analysis.statistics import net_share, wilson
from analysis.strategy.tiers import TIERS

# From which a score is good, and up to which it is bad: nps of Reichheld (2003), csat of 5.
LIMITS = {"nps": (9, 6), "csat": (4, 2)}
ENOUGH = 30  # answers of a period; of fewer an interval of nps is wider than 50 points
YEAR = 365  # days
QUARTER = 3  # months
FIGURES = ["answers", "score", "low", "high"]
# What customers are by their answer to nps, the best first.
ANSWERS = tuple(
    labelled(
        {
            "promoter": N_("Promoter"),
            "passive": N_("Passive"),
            "detractor": N_("Detractor"),
        },
        str,
    )
)


def points(kind: str, scores: pd.Series) -> dict[str, float]:
    """Of 100 customers: nps, who would recommend less who would not; csat, the satisfied.

    Keys: answers, good, bad (numbers), mean (of the scores), score, low, high (95 % interval: of
    Tango, of Wilson).
    """
    number, (from_, up_to) = len(scores), LIMITS[kind]
    good, bad = int((scores >= from_).sum()), int((scores <= up_to).sum())
    counts = {"answers": number, "good": good, "bad": bad, "mean": float(scores.mean())}
    if not number:
        return counts | dict.fromkeys(["score", "low", "high"], float("nan"))
    share = (good - bad if kind == "nps" else good) / number
    low, high = net_share(good, bad, number) if kind == "nps" else wilson(share, float(number))
    return counts | {"score": 100 * share, "low": 100 * float(low), "high": 100 * float(high)}


def last_answers(feedback: Table, ends: Sequence[dt.date]) -> pd.DataFrame:
    """The last answer of each customer, kind (nps, csat) and period. Columns: customer_id, kind,
    period, day, score.

    Period 0 ends on the first of `ends`, which go back in time, each other one before the one
    ahead; the last of them is the day before the oldest period.
    """
    said = history.answers(feedback, ends[0]).filter(_.day > ends[-1])
    period = sum(((said.day <= end).cast("int64") for end in ends[1:-1]), ibis.literal(0))
    ago = ibis.literal(ends[0]).delta(said.day, unit="day")
    last = (
        said.mutate(period=period, ago=ago)
        .group_by("customer_id", "kind", "period")
        .agg(day=_.day.max(), score=_.score.argmin(16 * _.ago + _.score))
    )
    found = last.order_by("kind", "period", "customer_id").to_pandas()
    found["day"] = pd.to_datetime(found.day).astype("datetime64[s]")
    return found.astype({"customer_id": "str", "kind": "str", "score": float})


def recommends(feedback: Table | None, day: dt.date) -> pd.Series:
    """Which of ANSWERS each customer is by the last answer to nps in the YEAR to a day, by
    customer_id.
    """
    if feedback is None:
        return pd.Series(dtype=object)
    said = last_answers(feedback, [day, day - dt.timedelta(days=YEAR)])
    score = said[said.kind == "nps"].set_index("customer_id").score
    from_, up_to = LIMITS["nps"]
    found = np.select([score >= from_, score <= up_to], [ANSWERS[0], ANSWERS[2]], ANSWERS[1])
    return pd.Series(found, score.index, dtype=object)


def by_tier(feedback: Table, matrix: pd.DataFrame, as_of: dt.date) -> pd.DataFrame:
    """Satisfaction of the last YEAR by tier, for each kind that anybody answered.

    Columns: kind, tier (as in matrix; unknown of answers by others), customers (of the tier; empty
    for unknown), answers, response (share of them that answered), score (of `points`), low, high.
    """
    said = last_answers(feedback, [as_of, as_of - dt.timedelta(days=YEAR)])
    tiers = matrix.set_index("customer_id").tier.astype(object)
    said["tier"] = said.customer_id.map(tiers).fillna(UNKNOWN)
    sizes = matrix.tier.value_counts()
    rows = [
        {"kind": kind, "tier": tier, "customers": sizes.get(tier, np.nan)}
        | points(kind, answers.score[answers.tier == tier])
        for kind, answers in said.groupby("kind", sort=False)
        for tier in [*TIERS, UNKNOWN]
        if tier in sizes.index or (answers.tier == tier).any()
    ]
    table = pd.DataFrame(rows, columns=["kind", "tier", "customers", *FIGURES])
    table.insert(4, "response", (table.answers / table.customers).astype(float))
    return table.astype(dict.fromkeys(["customers", "score", "low", "high"], float))


def period_ends(as_of: dt.date, months: int, step: int) -> list[dt.date]:
    """The ends of periods of `step` months that end on `as_of`, back over `months`, and the day
    before the first of them begins; months of the calendar where `as_of` is the last day of one.
    """
    last = pd.Timestamp(as_of)
    back = [last - pd.DateOffset(months=step * n) for n in range(-(-months // step) + 1)]
    return [(end + pd.offsets.MonthEnd(0) if last.is_month_end else end).date() for end in back]


def over_time(
    feedback: Table, as_of: dt.date, customers: pd.DataFrame, months: int = 12
) -> pd.DataFrame:
    """Satisfaction by month up to `as_of`, or by quarter where half of the months have fewer than
    ENOUGH answers.

    Each kind apart, one without any answer left out. Columns: kind, period_end, months (1 or 3),
    answers, response (share of the customers with an order by the end of the period that answered
    in it), score (of `points`), low, high; the oldest first.
    """
    first = pd.to_datetime(customers.set_index("customer_id").first_order)
    monthly, quarterly = (
        _periods(feedback, period_ends(as_of, months, step), first).assign(months=step)
        for step in (1, QUARTER)
    )
    enough = monthly.groupby("kind").answers.transform("median") >= ENOUGH
    monthly = monthly[enough]
    both = pd.concat([monthly, quarterly[~quarterly.kind.isin(monthly.kind)]])
    ordered = both.sort_values(["kind", "period_end"], ignore_index=True)
    return ordered[["kind", "period_end", "months", "answers", "response", "score", "low", "high"]]


def _periods(feedback: Table, ends: Sequence[dt.date], first: pd.Series) -> pd.DataFrame:
    said = last_answers(feedback, ends)
    said["first"] = said.customer_id.map(first)
    rows = []
    for kind, of_kind in said.groupby("kind", sort=False):
        for number, end in enumerate(map(pd.Timestamp, ends[:-1])):
            now, known = of_kind[of_kind.period == number], int((first <= end).sum())
            response = (now["first"] <= end).sum() / known if known else np.nan
            row = {"kind": kind, "period_end": end, "response": response}
            rows.append(row | points(str(kind), now.score))
    types = {"kind": "str", "period_end": "datetime64[s]", "answers": "int64"}
    types |= dict.fromkeys(["response", "score", "low", "high"], "float64")
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def trend(feedback: Table, as_of: dt.date) -> dict[str, float]:
    """The net promoter score of the last YEAR against that of as many days before.

    Keys: score, before, difference, low, high: the interval of a difference that is made of those
    of both (Zou & Donner 2008). Customers who answered in both tend to stay as they were, so that
    it is rather too wide than too narrow.
    """
    said = last_answers(feedback, [as_of - dt.timedelta(days=n * YEAR) for n in range(3)])
    said = said[said.kind == "nps"]
    now, before = (points("nps", said.score[said.period == n]) for n in (0, 1))
    difference = now["score"] - before["score"]
    below = np.hypot(now["score"] - now["low"], before["high"] - before["score"])
    above = np.hypot(now["high"] - now["score"], before["score"] - before["low"])
    scores = {"score": now["score"], "before": before["score"], "difference": difference}
    return scores | {"low": float(difference - below), "high": float(difference + above)}


def findings(feedback: Table, as_of: dt.date) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is said of satisfaction: sentences with their values."""
    said = last_answers(feedback, [as_of, as_of - dt.timedelta(days=YEAR)])
    common = {"days": YEAR, "as_of": as_of}
    if said.empty:
        yield N_("No customer gave a score in the {days:time} to {as_of:date}."), common
    if (said.kind == "nps").any():
        text = N_(
            "Of {answers:int} customers who answered in the {days:time} to {as_of:date},"
            " {good:int} would recommend us and {bad:int} would not: a net promoter score of"
            " {score:int} points (95 % sure: {low:int} to {high:int})."
        )
        yield text, points("nps", said.score[said.kind == "nps"]) | common
        moved = trend(feedback, as_of)
        if not np.isnan(moved["difference"]):
            yield _moved(moved), moved | common
    if (said.kind == "csat").any():
        values = points("csat", said.score[said.kind == "csat"])
        shares = {name: values[name] / 100 for name in ("score", "low", "high")}
        text = N_(
            "Of {answers:int} customers who answered in the {days:time} to {as_of:date},"
            " {good:int} are satisfied (4 or 5 of 5): {score:percent} (95 % sure: {low:percent}"
            " to {high:percent}); on average they give {mean:number}."
        )
        yield text, values | shares | common


def _moved(moved: dict[str, float]) -> str:
    if moved["low"] > 0:
        return N_(
            "That is more than in the {days:time} before: it rose from {before:int} to"
            " {score:int} points, by {difference:int} (95 % sure: {low:int} to {high:int})."
        )
    if moved["high"] < 0:
        return N_(
            "That is less than in the {days:time} before: it went from {before:int} to"
            " {score:int} points, by {difference:int} (95 % sure: {low:int} to {high:int})."
        )
    return N_(
        "Against the {days:time} before ({before:int} points) nothing is proven: the difference"
        " is {difference:int} points (95 % sure: {low:int} to {high:int})."
    )
