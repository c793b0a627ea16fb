"""Complaints and tickets until they are closed, and strategic customers who need a talk.

A ticket that was closed after the day of the picture was open on it.
"""

import datetime as dt
from collections.abc import Sequence
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

PERSONAL = [
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


def until_closed(feedback: Table, as_of: dt.date, days: int = YEAR) -> dict[str, float]:
    """Complaints and tickets of the last `days` days until closed.

    Keys: opened, closed (of those opened), still_open (at the end of `as_of`, of those), older
    (opened before and still open), median_days until closed with 95 % interval low, high (Kaplan &
    Meier 1958, Brookmeyer & Crowley 1982: those still open count for as long as they have been; nan
    below survival.MIN_PAUSES of them, or where half are not closed; those closed before they were
    opened are mistakes, and left out). Where no day of closing is recorded, all but opened are nan.
    """
    log = history.complaints(feedback, as_of)
    recent = log.filter(_.day > as_of - dt.timedelta(days=days))
    opened = int(recent.count().execute())
    if not closing_recorded(feedback, as_of):
        names = ("closed", "still_open", "older", "median_days", "low", "high")
        return {"opened": opened} | dict.fromkeys(names, float("nan"))
    closed = int(recent.closed.count().execute())
    older = int(log.filter(_.closed.isnull()).count().execute()) - (opened - closed)
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
    log = history.complaints(feedback, as_of).filter(
        _.closed.isnull() | (_.closed > ends[-1]) | (_.day > ends[-1])
    )
    found = log.group_by("day", "closed").agg(count=_.count()).to_pandas()
    opened, closed = pd.to_datetime(found.day), pd.to_datetime(found.closed)
    rows = [
        {
            "period_end": end,
            "opened": int(found["count"][opened.between(start, end, "right")].sum()),
            "closed": int(found["count"][closed.between(start, end, "right")].sum()),
            "still_open": int(found["count"][(opened <= end) & ~(closed <= end)].sum()),
        }
        for start, end in pairwise(map(pd.Timestamp, reversed(ends)))
        if len(found)
    ]
    table = pd.DataFrame(rows, columns=["period_end", "opened", "closed", "still_open"])
    unknown = {} if closing_recorded(feedback, as_of) else {"closed": np.nan, "still_open": np.nan}
    return table.assign(**unknown)


# Customers who need a talk
def unhappy(
    records: Records,
    matrix: pd.DataFrame,
    as_of: dt.date,
    days: int = YEAR,
    tier: str = "strategic",
) -> pd.DataFrame:
    """Customers of a tier who are unhappy within the last `days` days: the last score is bad
    (LIMITS), or a complaint or ticket is still open. Those with most revenue first.

    Columns: customer_id; kind, score (empty for a ticket) and day of the latest bad score, without
    one of the latest open ticket; open_tickets (empty where closing is not recorded); last_contact,
    channel (of the latest contact by the staff); owner (staff, as privacy.shown_staff); comment
    (the latest one, privacy.masked: text that the page must escape).
    """
    if records.feedback is None:
        return pd.DataFrame(columns=UNHAPPY)
    order = matrix.sort_values(["revenue", "customer_id"], ascending=[False, True])
    bad, waiting = _bad_scores(records.feedback, as_of, days), _open(records.feedback, as_of, days)
    signs = pd.concat([bad, waiting]).drop_duplicates("customer_id").set_index("customer_id")
    ids = [one for one in order.customer_id[order.tier == tier] if one in signs.index]
    open_tickets = waiting.set_index("customer_id").open_tickets.reindex(ids).fillna(0)
    if not closing_recorded(records.feedback, as_of):
        open_tickets[:] = np.nan
    found = signs.loc[ids].assign(open_tickets=open_tickets)
    found = found.join(_last_contacts(records.interactions, ids, as_of))
    people = records.profile_columns("owner", *PERSONAL)
    people = people[people.customer_id.isin(ids)].set_index("customer_id").reindex(ids)
    owner = people.get("owner", pd.Series(None, ids, dtype=object))
    persons = people.drop(columns="owner", errors="ignore")
    found["owner"] = owner.map(privacy.shown_staff, na_action="ignore")
    found["comment"] = _comments(records.feedback, persons, since(as_of, days), as_of)
    return found.reset_index(names="customer_id")[UNHAPPY]


def since(as_of: dt.date, days: int) -> dt.date:
    """The day before the last `days` days."""
    return as_of - dt.timedelta(days=days)


def _bad_scores(feedback: Table, as_of: dt.date, days: int) -> pd.DataFrame:
    said = last_answers(feedback, [as_of, since(as_of, days)])
    up_to = said.kind.map({kind: bad for kind, (_, bad) in LIMITS.items()}).astype(float)
    bad = said[said.score <= up_to]
    latest = bad.sort_values(["day", "kind"], ascending=False).drop_duplicates("customer_id")
    return latest[["customer_id", "kind", "score", "day"]]


def _open(feedback: Table, as_of: dt.date, days: int) -> pd.DataFrame:
    """customer_id, kind, day (of the latest), open_tickets; none where closing is not recorded."""
    still = history.complaints(feedback, as_of).filter(
        _.closed.isnull(), _.day > since(as_of, days), closing_recorded(feedback, as_of)
    )
    found = still.order_by(_.day.desc(), _.kind).to_pandas().astype({"customer_id": "str"})
    found["day"] = pd.to_datetime(found.day).astype("datetime64[s]")
    found["open_tickets"] = found.groupby("customer_id").customer_id.transform("size")
    return found.drop_duplicates("customer_id")[["customer_id", "kind", "day", "open_tickets"]]


def _latest(rows: Table, ids: Sequence[str], then: str) -> pd.DataFrame:
    """The latest row of each of these customers, by the clock where it is known; of equals the
    first by the column `then`. Columns: day and `then`, by customer_id.
    """
    clock = [_.moment.desc()] if "moment" in rows.columns else []
    place = ibis.row_number().over(group_by="customer_id", order_by=[_.day.desc(), *clock, _[then]])
    last = rows.filter(_.customer_id.isin(ids)).mutate(place=place).filter(_.place == 0)
    found = last.select("customer_id", "day", then).to_pandas().set_index("customer_id")
    return found.reindex(pd.Index(ids, name="customer_id"))


def _last_contacts(interactions: Table | None, ids: Sequence[str], as_of: dt.date) -> pd.DataFrame:
    """last_contact (day), channel of the latest contact by the staff; empty without one."""
    if interactions is None:
        return pd.DataFrame({"last_contact": pd.NaT, "channel": None}, ids)
    past = history.staff_contacts(interactions, as_of)
    if "channel" not in past.columns:
        past = past.mutate(channel=ibis.null("string"))
    found = _latest(past, ids, "channel").rename(columns={"day": "last_contact"})
    found["last_contact"] = pd.to_datetime(found.last_contact).astype("datetime64[s]")
    return found


def _comments(
    feedback: Table, persons: pd.DataFrame, after: dt.date, as_of: dt.date
) -> pd.Series | None:
    """The latest comment of each of these customers, without contact details and without what the
    profile says of `persons`; empty where there is none.
    """
    if "comment" not in feedback.columns:
        return None
    told = feedback.filter(_.day <= as_of, _.day > after, _.comment.strip() != "")
    latest = _latest(told, persons.index.tolist(), "comment").comment
    masked = [
        text if pd.isna(text) else privacy.masked(text, list(names))
        for text, names in zip(latest, persons.to_numpy(), strict=True)
    ]
    return pd.Series(masked, latest.index, dtype=object)


# What the report says
def finding(feedback: Table, as_of: dt.date, days: int = YEAR) -> tuple[str, dict[str, Any]]:
    """What is said of complaints: a sentence with its values."""
    found = until_closed(feedback, as_of, days)
    values = found | {"days": days, "as_of": as_of}
    if not found["opened"]:
        return N_(
            "No complaint or ticket was opened in the {days:int} days to {as_of:date}."
        ), values
    if np.isnan(found["closed"]):
        return N_(
            "In the {days:int} days to {as_of:date} customers opened complaints and tickets:"
            " {opened:int}. When they are closed is not recorded."
        ), values
    if np.isfinite(found["high"]):
        return N_(
            "{opened:int} complaints and tickets were opened in the {days:int} days to"
            " {as_of:date}; {still_open:int} of them are still open, and {older:int} older ones."
            " Half are closed after {median_days:int} days (95 % sure: {low:int} to {high:int})."
        ), values
    return N_(
        "Complaints and tickets opened in the {days:int} days to {as_of:date}: {opened:int}."
        " {still_open:int} of them are still open, and {older:int} older ones. They are too few, or"
        " too many of them open, to say how long it takes."
    ), values


def unhappy_finding(
    found: pd.DataFrame, customers: int, as_of: dt.date, days: int = YEAR
) -> tuple[str, dict[str, Any]]:
    """What is said of `unhappy`, of so many customers of the tier: a sentence with its values;
    `silent` had no contact within the `days` days, or none at all.
    """
    lately = pd.to_datetime(found.last_contact) > pd.Timestamp(since(as_of, days))
    values = {
        "unhappy": len(found),
        "customers": customers,
        "scores": int(found.score.notna().sum()),
        "silent": int((~lately).sum()),
        "days": days,
        "as_of": as_of,
    }
    if len(found):
        return N_(
            "Of {customers:int} strategic customers, {unhappy:int} need a talk: {scores:int} gave a"
            " bad score last in the {days:int} days to {as_of:date}, the others have an open"
            " complaint or ticket. {silent:int} of them had no contact in that time."
        ), values
    return N_(
        "None of {customers:int} strategic customers gave a bad score last in the {days:int} days"
        " to {as_of:date}, and none is known to have an open complaint or ticket."
    ), values
