"""What all records say of each customer at a date: what models of leaving learn from.

Every part reads only what was known on that day: a line, a contact, a complaint of a later day
cannot change it. What the records say without saying when (the status of a ticket, whether somebody
took up a campaign that still runs) is left out, and a column of the profiles counts only where the
dataset file declares it static.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import ibis
import pandas as pd
from ibis import _
from ibis.expr.types import Table, Value

from analysis import customers
from analysis.segments import interests
from analysis import schema
from analysis.customers import order_days


RECENT_PAUSES = 3  # the last pauses between orders, against all of them
LATELY_DAYS = 91  # a quarter
LONG_DAYS = 365  # in which what happens seldom is counted: returns, complaints, campaigns
MOST_CLASSES = 8  # of a static column, the most frequent; the others are alike to a model
COMPLAINTS = ("complaint", "ticket")


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


def gather(stage: Any) -> Records:
    """The records that a stage reads, all on its engine."""
    names = ("interactions", "feedback", "campaigns", "profiles")
    logs = {name: stage.expression(name) for name in names if stage.has(name)}
    static = [column for file in stage.settings.files("customers") for column in file.static]
    return Records(stage.expression("transactions"), **logs, static=tuple(dict.fromkeys(static)))


def at(
    records: Records, as_of: dt.date, trailing: Sequence[int], window_days: int = 0
) -> pd.DataFrame:
    """The table `customers` as of a day, sorted by customer_id, and beside it what `rhythm`,
    `baskets`, `contacts`, `opinions`, `campaigns` and `profile` tell, as far as there are such
    records. `trailing` as for customers.customers.
    """
    known = customers.customers(records.transactions, as_of, window_days, trailing)
    parts = [rhythm(records.transactions, as_of), baskets(records.transactions, as_of)]
    if records.interactions is not None:
        parts.append(contacts(records.interactions, as_of))
    if records.feedback is not None:
        parts.append(opinions(records.feedback, as_of))
    if records.campaigns is not None:
        parts.append(campaigns(records.campaigns, as_of))
    if (
        records.profiles is not None
        and (said := profile(records.profiles, records.static)) is not None
    ):
        parts.append(said)
    for part in parts:
        known = known.left_join(part, "customer_id").drop("customer_id_right")
    found = schema.conform("customers", known.order_by("customer_id").to_pyarrow()).to_pandas(
        date_as_object=False
    )
    counts = [column for column in COUNTS if column in found]
    return found.assign(**found[counts].fillna(0).astype(float))


# Of a customer of whom there is no such record: none, and not unknown.
COUNTS = ("returns", "contacts", "complaints", "open_tickets", "treated", "answered")


def rhythm(transactions: Table, as_of: dt.date) -> Table:
    """customer_id; usual_pause, pause_deviation, recent_pause: mean and standard deviation of the
    days between order days, and the mean of the last RECENT_PAUSES; empty without a pause.
    """
    before = ibis.window(group_by="customer_id", order_by=_.day)
    bought = order_days(transactions, as_of).filter(_.bought.notnull()).select("customer_id", "day")
    place = ibis.row_number().over(ibis.window(group_by="customer_id", order_by=_.day.desc()))
    paused = bought.mutate(
        pause=_.day.delta(_.day.lag().over(before), unit="day").cast("float64"), place=place
    )
    sums = paused.group_by("customer_id").agg(
        usual_pause=_.pause.mean(),
        squares=(_.pause * _.pause).mean(),
        recent_pause=_.pause.mean(where=_.place < RECENT_PAUSES),
    )
    spread = ibis.greatest(sums.squares - sums.usual_pause * sums.usual_pause, 0.0).sqrt()
    deviation = sums.squares.notnull().ifelse(spread, None)
    return sums.select("customer_id", "usual_pause", "recent_pause", pause_deviation=deviation)


def baskets(transactions: Table, as_of: dt.date) -> Table:
    """customer_id; returns (lines that take something back within LONG_DAYS); items, items_lately
    (kinds bought: categories, or products where no categories are known, of all time and of
    LATELY_DAYS), where the log knows any.
    """
    past = transactions.filter(_.day <= as_of)
    back = past.amount.fill_null(0) < 0
    if "quantity" in past.columns:
        back |= past.quantity.fill_null(0) < 0
    counts = {"returns": (back & _within(past.day, as_of, LONG_DAYS)).sum()}
    if level := interests.level(transactions):
        counts["items"] = past[level].nunique(where=~back)
        counts["items_lately"] = past[level].nunique(
            where=~back & _within(past.day, as_of, LATELY_DAYS)
        )
    return past.group_by("customer_id").agg(**counts)


def contacts(interactions: Table, as_of: dt.date) -> Table:
    """customer_id; contacts (days with one of LATELY_DAYS), contact_days_ago (the last one)."""
    past = interactions.filter(_.day <= as_of)
    recent = _within(past.day, as_of, LATELY_DAYS)
    return past.group_by("customer_id").agg(
        contacts=past.day.nunique(where=recent),
        contact_days_ago=_ago(past.day.max(), as_of).cast("float64"),
    )


def opinions(feedback: Table, as_of: dt.date) -> Table:
    """customer_id; complaints (complaints and tickets opened within LATELY_DAYS), open_tickets (of
    LONG_DAYS, not closed by the day), satisfaction (the last score, of several on a day the lowest,
    0 to 1, of 1 to 5 for csat and 0 to 10 for nps).
    """
    past = feedback.filter(_.day <= as_of)
    kind = past.kind.lower() if "kind" in past.columns else ibis.literal("")
    complaint = kind.isin(COMPLAINTS)
    closed = (
        (past.closed.date() <= as_of).fill_null(False)
        if "closed" in past.columns
        else ibis.literal(False)
    )
    counts = {
        "complaints": (complaint & _within(past.day, as_of, LATELY_DAYS)).sum(),
        "open_tickets": (complaint & ~closed & _within(past.day, as_of, LONG_DAYS)).sum(),
    }
    if "score" in past.columns:
        score = past.score.cast("float64")
        share = (kind == "nps").ifelse(score / 10, (score - 1) / 4).clip(0, 1)
        counts["satisfaction"] = share.argmin(
            2 * _ago(past.day, as_of) + share, where=past.score.notnull()
        )
    return past.group_by("customer_id").agg(**counts)


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


def profile(profiles: Table, static: Sequence[str]) -> Table | None:
    """customer_id and, for each of the MOST_CLASSES most frequent classes of a static column,
    whether it is the customer's: is_<column>_<number>, numbered by frequency. None without static
    columns.
    """
    flags = {}
    for column in static:
        if column in profiles.columns:
            counts = profiles.filter(_[column].notnull()).group_by(column).agg(n=_.count())
            for number, name in enumerate(
                counts.order_by(_.n.desc(), column).limit(MOST_CLASSES)[column].to_list()
            ):
                flags[f"is_{column}_{number}"] = (
                    (profiles[column] == name).fill_null(False).cast("float64")
                )
    return profiles.select("customer_id", **flags) if flags else None


def _within(day: Value, as_of: dt.date, days: int) -> Value:
    return day > as_of - dt.timedelta(days=days)


def _ago(day: Value, as_of: dt.date) -> Value:
    return ibis.literal(as_of).delta(day, unit="day")
