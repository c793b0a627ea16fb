"""Complaints and tickets until they are closed, and strategic customers who need a talk.

A ticket that was closed after the day of the picture was open on it.
"""

import datetime as dt
from itertools import pairwise
from typing import Any

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis.models import history, survival
from analysis.models.history import Records
from analysis.report import privacy
from analysis.report.text import N_
from analysis.schema import RECORDS
from analysis.strategy.feedback import LIMITS, YEAR, last_answers, period_ends

PERSONS = [
    name
    for name, meaning in RECORDS["customers"].columns.items()
    if meaning.person and meaning.reads_as == "text"
]
UNHAPPY = ["customer_id", "kind", "score", "day", "open_tickets"]
UNHAPPY += ["last_contact", "channel", "owner", "comment"]


def closing_recorded(feedback: Table, as_of: dt.date) -> bool:
    """Whether the records say when complaints are closed: without, nobody knows which are open."""
    closed = history.complaints(feedback, as_of).closed
    return bool(closed.notnull().any().fill_null(False).execute())


def until_closed(feedback: Table, as_of: dt.date) -> dict[str, float]:
    """Complaints and tickets of the last YEAR until closed.

    Keys: opened, closed (of those opened), still_open (at the end of `as_of`, of those), older
    (opened before and still open), median_days until closed with 95 % interval low, high (Kaplan &
    Meier 1958, Brookmeyer & Crowley 1982: those still open count for as long as they have been; nan
    below survival.MIN_PAUSES of them, or where half are not closed; those closed before they were
    opened are mistakes, and left out). Where no day of closing is recorded, all but opened are nan.
    """
    log = history.complaints(feedback, as_of)
    recent = log.filter(_.day > as_of - dt.timedelta(days=YEAR))
    opened = int(recent.count().execute())
    if not closing_recorded(feedback, as_of):
        names = ("closed", "still_open", "older", "median_days", "low", "high")
        return {"opened": opened} | dict.fromkeys(names, float("nan"))
    closed = int(recent.closed.count().execute())
    older = int(log.closed.isnull().sum().execute()) - (opened - closed)
    counts = {"opened": opened, "closed": closed, "still_open": opened - closed, "older": older}
    until = recent.closed.fill_null(ibis.literal(as_of))
    lasted = recent.select(days=until.delta(recent.day, unit="day"), ended=recent.closed.notnull())
    alike = lasted.filter(_.days >= 0).group_by("days", "ended").agg(count=_.count())
    waits = alike.order_by("days", "ended").to_pandas().assign(group="tickets")
    curve = survival.curves_of(waits.astype({"days": "int64", "ended": bool, "count": "int64"}))
    halves = {"median_days": curve.not_yet, "low": curve.low, "high": curve.high}
    return counts | {
        name: float(curve.days[line <= survival.HALF].min()) for name, line in halves.items()
    }


def by_month(feedback: Table, as_of: dt.date, months: int = 12) -> pd.DataFrame:
    """Complaints and tickets by month, the oldest first. Columns: period_end, opened, closed (in
    the month, whenever opened), still_open (at its end); the last two are nan without the days of
    closing. Empty where there are none.
    """
    ends = period_ends(as_of, months, 1)
    first = ends[-1]
    log = history.complaints(feedback, as_of)
    log = log.filter(_.closed.isnull() | (_.closed > first) | (_.day > first))
    found = log.group_by("day", "closed").agg(count=_.count()).to_pandas()
    opened, closed = pd.to_datetime(found.day), pd.to_datetime(found.closed)
    rows = []
    for start, end in pairwise(map(pd.Timestamp, reversed(ends if len(found) else []))):
        happened = {
            "opened": opened.between(start, end, "right"),
            "closed": closed.between(start, end, "right"),
            "still_open": (opened <= end) & ~(closed <= end),
        }
        counts = {name: int(found["count"][those].sum()) for name, those in happened.items()}
        rows.append({"period_end": end} | counts)
    table = pd.DataFrame(rows, columns=["period_end", "opened", "closed", "still_open"])
    if not closing_recorded(feedback, as_of):
        table[["closed", "still_open"]] = np.nan
    return table


# Customers who need a talk
def unhappy(records: Records, matrix: pd.DataFrame, as_of: dt.date) -> pd.DataFrame:
    """Strategic customers who are unhappy within the last YEAR: the last score is bad (LIMITS), or
    a complaint or ticket is still open. Those with most revenue first.

    Columns: customer_id; kind, score (empty for a ticket) and day of the latest bad score, without
    one of the latest open ticket; open_tickets (empty where closing is not recorded); last_contact,
    channel (of the latest contact by the staff); owner (staff, as privacy.shown_staff); comment
    (the latest one, privacy.masked: text that the page must escape).
    """
    if records.feedback is None:
        return pd.DataFrame(columns=UNHAPPY)
    since, recorded = as_of - dt.timedelta(days=YEAR), closing_recorded(records.feedback, as_of)
    said = last_answers(records.feedback, [as_of, since])
    limit = said.kind.map({kind: bad for kind, (_, bad) in LIMITS.items()}).astype(float)
    bad = said[said.score <= limit].sort_values(["day", "kind"], ascending=False)
    opened = history.complaints(records.feedback, as_of).filter(_.closed.isnull(), _.day > since)
    waiting = opened.filter(recorded).order_by(_.day.desc(), _.kind).to_pandas()
    waiting["day"] = pd.to_datetime(waiting.day).astype("datetime64[s]")
    signs = pd.concat([bad, waiting])[["customer_id", "kind", "score", "day"]]
    signs = signs.drop_duplicates("customer_id").set_index("customer_id")
    strategic = matrix[matrix.tier == "strategic"]
    order = strategic.sort_values(["revenue", "customer_id"], ascending=[False, True]).customer_id
    ids = pd.Index(order[order.isin(signs.index)], name="customer_id")
    tickets = waiting.customer_id.value_counts().reindex(ids, fill_value=0)
    found = signs.loc[ids].assign(open_tickets=tickets if recorded else np.nan)
    found = found.join(_last_contacts(records.interactions, ids, as_of))
    people = records.profile_columns("owner", *PERSONS).set_index("customer_id").reindex(ids)
    owner = people.get("owner", pd.Series(None, ids, dtype=object))
    found["owner"] = owner.map(privacy.shown_staff, na_action="ignore")
    persons = people.drop(columns="owner", errors="ignore")
    found["comment"] = _comments(records.feedback, persons, since, as_of)
    return found.reset_index()[UNHAPPY]


def _latest(rows: Table, ids: pd.Index, then: str) -> pd.DataFrame:
    """The latest row of each of these customers, by the clock where it is known; of equals the
    first by the column `then`. Columns: day and `then`, by customer_id.
    """
    clock = [_.moment.desc()] if "moment" in rows.columns else []
    place = ibis.row_number().over(group_by="customer_id", order_by=[_.day.desc(), *clock, _[then]])
    last = rows.filter(_.customer_id.isin(ids.tolist())).mutate(place=place).filter(_.place == 0)
    return last.select("customer_id", "day", then).to_pandas().set_index("customer_id").reindex(ids)


def _last_contacts(interactions: Table | None, ids: pd.Index, as_of: dt.date) -> pd.DataFrame:
    """last_contact (day), channel of the latest contact by the staff; empty without one."""
    if interactions is None:
        return pd.DataFrame({"last_contact": pd.NaT, "channel": None}, ids)
    past = history.staff_contacts(interactions, as_of)
    if "channel" not in past.columns:
        past = past.mutate(channel=ibis.null("string"))
    found = _latest(past, ids, "channel").rename(columns={"day": "last_contact"})
    return found.assign(last_contact=pd.to_datetime(found.last_contact).astype("datetime64[s]"))


def _comments(
    feedback: Table, persons: pd.DataFrame, since: dt.date, as_of: dt.date
) -> pd.Series | None:
    """The latest comment of each of these customers, without contact details and without what the
    profile says of `persons`; empty where there is none.
    """
    if "comment" not in feedback.columns:
        return None
    written = feedback.filter(_.day <= as_of, _.day > since, _.comment.strip() != "")
    latest = _latest(written, persons.index, "comment").comment
    masked = [
        text if pd.isna(text) else privacy.masked(text, list(names))
        for text, names in zip(latest, persons.to_numpy(), strict=True)
    ]
    return pd.Series(masked, latest.index, dtype=object)


# What the report says
def finding(feedback: Table, as_of: dt.date) -> tuple[str, dict[str, Any]]:
    """What is said of complaints: a sentence with its values."""
    found = until_closed(feedback, as_of)
    values = found | {"days": YEAR, "as_of": as_of}
    if not found["opened"]:
        return N_("No complaint or ticket was opened in the {days:time} to {as_of:date}."), values
    if np.isnan(found["closed"]):
        return N_(
            "In the {days:time} to {as_of:date} customers opened complaints and tickets:"
            " {opened:int}. When they are closed is not recorded."
        ), values
    if np.isfinite(found["high"]):
        return N_(
            "{opened:int} complaints and tickets were opened in the {days:time} to"
            " {as_of:date}; {still_open:int} of them are still open, and {older:int} older ones."
            " Half are closed after {median_days:int} days (95 % sure: {low:int} to {high:int})."
        ), values
    return N_(
        "Complaints and tickets opened in the {days:time} to {as_of:date}: {opened:int}."
        " {still_open:int} of them are still open, and {older:int} older ones. They are too few, or"
        " too many of them open, to say how long it takes."
    ), values


def unhappy_finding(
    found: pd.DataFrame, customers: int, as_of: dt.date
) -> tuple[str, dict[str, Any]]:
    """What is said of `unhappy`, of so many customers of the tier: a sentence with its values;
    `silent` had no contact within the YEAR, or none at all.
    """
    lately = pd.to_datetime(found.last_contact) > pd.Timestamp(as_of - dt.timedelta(days=YEAR))
    values = {
        "unhappy": len(found),
        "customers": customers,
        "scores": int(found.score.notna().sum()),
        "silent": int((~lately).sum()),
        "days": YEAR,
        "as_of": as_of,
    }
    if len(found):
        return N_(
            "Of {customers:int} strategic customers, {unhappy:int} need a talk: {scores:int} gave a"
            " bad score last in the {days:time} to {as_of:date}, the others have an open"
            " complaint or ticket. {silent:int} of them had no contact in that time."
        ), values
    return N_(
        "None of {customers:int} strategic customers gave a bad score last in the {days:time}"
        " to {as_of:date}, and none is known to have an open complaint or ticket."
    ), values
