"""What all records say of each customer at a date: what models of leaving learn from, and what
counts as consent, as a contact, as a complaint and as an answer.

Every part reads only what was known on that day: a line, a contact, a complaint of a later day
cannot change it. What the records say without saying when (the status of a ticket, whether somebody
took up a campaign that still runs) is left out, and a column of the profiles counts only where the
dataset file declares it static.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import ibis
import pandas as pd
from ibis import _
from ibis.expr.types import Table, Value

from analysis import customers, schema
from analysis.intake.dataset import Dataset
from analysis.segments import interests

LATELY_DAYS = 91  # a quarter
LONG_DAYS = 365  # in which what happens seldom is counted: returns, complaints, campaigns
MOST_CLASSES = 8  # of a static column, the most frequent; the others are alike to a model
COMPLAINTS = ("complaint", "ticket")
OWN_CHANNELS = ("web",)  # through which customers come by themselves
SCALES = {"nps": (0, 10), "csat": (1, 5)}  # a score beyond them is no answer


@dataclass(frozen=True)
class Records:
    """A company's records on one engine; None where it has none. `static` are columns of the
    profiles that hold for all days.
    """

    transactions: Table
    interactions: Table | None = None
    feedback: Table | None = None
    campaigns: Table | None = None
    profiles: Table | None = None
    static: tuple[str, ...] = ()

    def of(self, customer_ids: Sequence[str]) -> "Records":
        """The records of these customers only; profiles stay whole, since classes are numbered by
        all of them.
        """
        named = ibis.memtable(pd.DataFrame({"customer_id": pd.Series(customer_ids, dtype="str")}))
        logs = ("transactions", "interactions", "feedback", "campaigns")
        own = {
            name: log.semi_join(named, "customer_id").cache()
            for name in logs
            if (log := getattr(self, name)) is not None
        }
        return replace(self, **own)

    def profile_columns(self, *columns: str) -> pd.DataFrame:
        """customer_id and those of the columns that the profiles have."""
        if self.profiles is None:
            return pd.DataFrame({"customer_id": pd.Series(dtype="str")})
        there = [column for column in columns if column in self.profiles.columns]
        return self.profiles.select("customer_id", *there).to_pandas()


class Source(Protocol):
    """Where the records of a company are read."""

    settings: Dataset

    def has(self, table: str) -> bool: ...

    def expression(self, table: str) -> Table: ...


def gather(source: Source) -> Records:
    """The records that a stage reads, all on its engine."""
    names = ("interactions", "feedback", "campaigns", "profiles")
    logs = {name: source.expression(name) for name in names if source.has(name)}
    static = [column for file in source.settings.files("customers") for column in file.static]
    return Records(source.expression("transactions"), **logs, static=tuple(dict.fromkeys(static)))


# What counts as consent, contact, complaint and answer
def may_contact(profiles: pd.DataFrame, customer_ids: pd.Series) -> pd.Series:
    """Whether each customer may be contacted: who is known to have agreed; everybody where the
    profiles do not record consent at all. By row of `customer_ids`.
    """
    if "consent" not in profiles:
        return pd.Series(True, customer_ids.index)
    agreed = profiles.consent.eq(True).fillna(False).astype(bool)
    return customer_ids.isin(profiles.customer_id[agreed])


def staff_contacts(interactions: Table, as_of: dt.date) -> Table:
    """The contacts by somebody of the company up to a day. Not those through OWN_CHANNELS, and
    where the records say by whom, not those by nobody: customers came by themselves.
    """
    past = interactions.filter(_.day <= as_of)
    if "channel" in past.columns:
        past = past.filter(~_.channel.fill_null("").lower().isin(OWN_CHANNELS))
    if "owner" in past.columns:
        of = ibis.window(group_by="copy" if "copy" in past.columns else ())
        past = past.filter(past.owner.notnull() | ~past.owner.notnull().any().over(of))
    return past


def last_contact(interactions: Table | None, as_of: dt.date) -> pd.Series:
    """The day of the last of `staff_contacts`, by customer_id."""
    if interactions is None:
        return pd.Series(dtype="datetime64[us]")
    contacts = staff_contacts(interactions, as_of).group_by("customer_id")
    found = contacts.agg(last=_.day.max()).to_pandas()
    return pd.to_datetime(found.set_index("customer_id")["last"])


def complaints(feedback: Table, as_of: dt.date) -> Table:
    """Complaints and tickets opened by a day: customer_id, kind, day, closed (the day; empty if
    open then, and where closing is not recorded).
    """
    kind = feedback.kind.lower() if "kind" in feedback.columns else ibis.literal("")
    closed = feedback.closed.date() if "closed" in feedback.columns else ibis.null("date")
    opened = feedback.filter(feedback.day <= as_of, kind.isin(COMPLAINTS))
    told = opened.select("customer_id", "day", kind=kind, closed=closed)
    return told.mutate(closed=ibis.ifelse(_.closed <= as_of, _.closed, None))


def answers(feedback: Table, as_of: dt.date) -> Table:
    """Scores on the scale of their kind, given by a day: customer_id, kind (of SCALES), day, score,
    share (0 the worst of the scale, 1 the best). No rows where kinds or scores are not recorded.
    """
    if not {"kind", "score"} <= {*feedback.columns}:
        nothing = feedback.filter(ibis.literal(False))
        return nothing.select("customer_id", "day", kind=ibis.literal(""), score=0.0, share=0.0)
    said = feedback.filter(_.day <= as_of).select(
        "customer_id", "day", kind=_.kind.lower(), score=_.score.cast("float64")
    )
    shares = {kind: (said.score - low) / (high - low) for kind, (low, high) in SCALES.items()}
    share = ibis.cases(*((said.kind == kind, share) for kind, share in shares.items()))
    return said.mutate(share=share).filter(_.share.between(0, 1))


# What models learn from
def on_days(
    records: Records, days: Sequence[dt.date], trailing: Sequence[int], window_days: int = 0
) -> dict[dt.date, pd.DataFrame]:
    """The table `customers` as of each day, sorted by customer_id, and beside it what
    customers.rhythm, `baskets`, `contacts`, `opinions`, `campaigns` and `profile` tell, as far as
    there are such records. `trailing` as for customers.customers.

    One query for all days, on customers.copies of the records.
    """
    last = max(days)
    transactions = customers.copies(records.transactions, days)
    known = customers.customers(transactions, last, window_days, trailing)
    rhythm = customers.rhythm(transactions, last).drop("pauses")
    parts = [rhythm, baskets(transactions, last)]
    for log, told in (
        (records.interactions, contacts),
        (records.feedback, opinions),
        (records.campaigns, campaigns),
    ):
        if log is not None:
            parts.append(told(customers.copies(log, days), last))
    if records.profiles is not None and records.static:
        parts.append(profile(customers.copies(records.profiles, days), records.static))
    for part in parts:
        known = known.left_join(part, "customer_id").drop("customer_id_right")
    found = schema.conform("customers", known.order_by("customer_id").to_pyarrow()).to_pandas(
        date_as_object=False
    )
    counts = [column for column in COUNTS if column in found]
    return customers.by_day(found.assign(**found[counts].fillna(0).astype(float)), days)


def next_orders(
    transactions: Table, days: Sequence[dt.date], horizon_days: int
) -> dict[dt.date, pd.Series]:
    """customers.next_orders after each day: next_order_days by customer_id."""
    found = customers.next_orders(customers.copies(transactions, days), max(days), horizon_days)
    return {
        day: orders.set_index("customer_id").next_order_days
        for day, orders in customers.by_day(found, days).items()
    }


# Of a customer of whom there is no such record: none, and not unknown.
COUNTS = ("returns", "contacts", "visits", "complaints", "open_tickets", "treated", "answered")


def baskets(transactions: Table, as_of: dt.date) -> Table:
    """customer_id; returns (lines that take something back within LONG_DAYS); items, items_lately
    (kinds bought: categories, or products where no categories are known, of all time and of
    LATELY_DAYS), where the log knows any.
    """
    past = transactions.filter(_.day <= as_of)
    back = customers.is_return(past)
    lately, long = (_within(past.day, as_of, days) for days in (LATELY_DAYS, LONG_DAYS))
    counts = {"returns": (back & long).sum()}
    if level := interests.level(transactions):
        counts["items"] = past[level].nunique(where=~back)
        counts["items_lately"] = past[level].nunique(where=~back & lately)
    return past.group_by("customer_id").agg(**counts)


def contacts(interactions: Table, as_of: dt.date) -> Table:
    """customer_id; contacts (days with one by the staff of LATELY_DAYS), contact_days_ago (the last
    one); visits (days on which the customer came by itself, of LATELY_DAYS), where channels are
    recorded.
    """
    by_staff = staff_contacts(interactions, as_of)
    found = by_staff.group_by("customer_id").agg(
        contacts=by_staff.day.nunique(where=_within(by_staff.day, as_of, LATELY_DAYS)),
        contact_days_ago=_ago(by_staff.day.max(), as_of).cast("float64"),
    )
    if "channel" not in interactions.columns:
        return found
    own = interactions.filter(
        _.channel.lower().isin(OWN_CHANNELS), _.day <= as_of, _within(_.day, as_of, LATELY_DAYS)
    )
    return _both(found, own.group_by("customer_id").agg(visits=_.day.nunique()))


def opinions(feedback: Table, as_of: dt.date) -> Table:
    """customer_id; complaints (opened within LATELY_DAYS), open_tickets (of LONG_DAYS, not closed
    by the day), satisfaction (share of the last answer, of several on a day the lowest), where
    scores are recorded.
    """
    opened = complaints(feedback, as_of)
    found = opened.group_by("customer_id").agg(
        complaints=_within(opened.day, as_of, LATELY_DAYS).sum(),
        open_tickets=(opened.closed.isnull() & _within(opened.day, as_of, LONG_DAYS)).sum(),
    )
    if "score" not in feedback.columns:
        return found
    given = answers(feedback, as_of)
    latest_worst = given.share.argmin(2 * _ago(given.day, as_of) + given.share)
    return _both(found, given.group_by("customer_id").agg(satisfaction=latest_worst))


def _both(one: Table, other: Table) -> Table:
    """Who is in one of the tables, with what both tell."""
    joined = one.outer_join(other, "customer_id")
    either = ibis.coalesce(joined.customer_id, joined.customer_id_right)
    return joined.mutate(customer_id=either).drop("customer_id_right")


def campaigns(log: Table, as_of: dt.date) -> Table:
    """customer_id; treated (campaigns of LONG_DAYS in which the customer was reached), answered (of
    those that had ended by the day, how many the customer took up).
    """
    past = log.filter(_.day <= as_of, _within(_.day, as_of, LONG_DAYS))
    reached = past.arm.lower() != "control" if "arm" in past.columns else past.day.notnull()
    counts = {"treated": reached.sum()}
    if {"responded", "end"} <= {*past.columns}:
        counts["answered"] = (past.responded & (past.end <= as_of)).fill_null(False).sum()
    return past.group_by("customer_id").agg(**counts)


def profile(profiles: Table, static: Sequence[str]) -> Table:
    """customer_id and, for each of the MOST_CLASSES most frequent classes of a static column,
    whether it is the customer's: is_<column>_<number>, numbered by frequency.
    """
    flags = {}
    for column in (name for name in static if name in profiles.columns):
        counts = profiles.filter(_[column].notnull()).group_by(column).agg(n=_.count())
        most = counts.order_by(_.n.desc(), column).limit(MOST_CLASSES)[column].to_list()
        for number, name in enumerate(most):
            same = (profiles[column] == name).fill_null(False)
            flags[f"is_{column}_{number}"] = same.cast("float64")
    return profiles.select("customer_id", **flags)


def _within(day: Value, as_of: dt.date, days: int) -> Value:
    return day > as_of - dt.timedelta(days=days)


def _ago(day: Value, as_of: dt.date) -> Value:
    return ibis.literal(as_of).delta(day, unit="day")
