"""What the cycles taught: planned, done and dropped out, forecast and come, what works."""

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pandas as pd
from ibis import _

from analysis import schema
from analysis.models.history import Records, may_contact, staff_contacts
from analysis.report.text import N_
from analysis.strategy.campaign_members import outcomes
from analysis.strategy.cycles import complaints_since

COLUMNS = list(schema.TABLES["lessons"].columns)
EFFECT = ["orders_effect", "orders_low", "orders_high", "profit", "profit_low", "profit_high"]
# What a company's own records may call the channels of the playbooks.
CHANNELS = {
    "phone": ["call", "telephone", "电话"],
    "visit": ["meeting", "拜访", "会议"],
    "email": ["e-mail", "邮件", "电子邮件"],
    "mail": ["letter", "post", "邮寄"],
}


def table(
    frozen: pd.DataFrame,
    effects: pd.DataFrame,
    records: Records,
    known: pd.Series,
    as_of: dt.date,
) -> pd.DataFrame:
    """The table `lessons` of the cycles begun before a day. `frozen`: the table `cycle` of all of
    them; `effects`: campaign_effects; `known`: the customer_id of everybody in the data today.
    """
    begun = frozen[frozen["first"] < pd.Timestamp(as_of)]
    rows = begun[begun.status.isin(["planned", "held_back"])].reset_index(drop=True)
    named = rows.assign(campaign_id=rows.rule + " " + rows["first"].dt.strftime("%Y-%m-%d"))
    if not (named.status == "planned").any():
        return pd.DataFrame(columns=COLUMNS)
    planned = named[named.status == "planned"]
    planned = _with_orders(planned, records, as_of)
    planned = planned.assign(
        reached=_reached(planned, records, as_of),
        dropped=_dropped(planned, begun, records, known, as_of),
    )
    by = ["first", "last", "rule", "campaign_id"]
    found = named.groupby(by, as_index=False).agg(
        planned=("status", lambda status: int((status == "planned").sum())),
        held_back=("status", lambda status: int((status == "held_back").sum())),
        cost=("cost", "sum"),
    )
    sums = planned.groupby("campaign_id")[["reached", "dropped", "forecast", "ordered"]]
    found = found.merge(sums.sum(min_count=1), "left", "campaign_id")
    found = found.merge(effects[["campaign_id", *EFFECT, "verdict"]], "left", "campaign_id")
    counts = ["dropped", "forecast", "ordered"]
    found = found.fillna(dict.fromkeys(counts, 0)).astype({"reached": "Float64"})
    return found[COLUMNS].sort_values(["first", "rule"], ignore_index=True)


def _with_orders(planned: pd.DataFrame, records: Records, as_of: dt.date) -> pd.DataFrame:
    """With the orders that came since the cycle began, within the horizon, and what the forecast
    said of them, spread evenly over its days.
    """
    horizon = planned.horizon_days.clip(upper=(pd.Timestamp(as_of) - planned["first"]).dt.days)
    share = horizon / planned.horizon_days
    members = planned[["campaign_id", "customer_id"]].assign(day=planned["first"], arm="treat")
    days = dict(zip(planned.campaign_id, horizon, strict=True))
    came = outcomes(records.transactions, members, days, as_of)
    came = came[["campaign_id", "customer_id", "orders"]].rename(columns={"orders": "ordered"})
    told = planned.assign(forecast=planned.forecast.fillna(0.0) * share)
    return told.merge(came, "left", ["campaign_id", "customer_id"])


def _reached(planned: pd.DataFrame, records: Records, as_of: dt.date) -> pd.Series:
    """Whether each was reached, by row: in the campaign file, where it names the rule and the first
    day; else by a contact of the staff within the cycle through the channel of the action. Empty
    where the records know neither the campaign nor that channel.
    """
    found = pd.Series(np.nan, planned.index)
    if (talks := records.interactions) is not None and "channel" in talks.columns:
        since = planned["first"].min()
        own = staff_contacts(talks, as_of).filter(_.channel.notnull())
        own = own.select("customer_id", "day", "channel").distinct().to_pandas()
        alike = {a: name for name, every in CHANNELS.items() for a in every}
        own["channel"] = own.channel.str.lower().replace(alike)
        found = found.mask(planned.channel.isin(own.channel), 0.0)
        keyed = planned.reset_index(names="place")[
            ["place", "customer_id", "channel", "first", "last"]
        ]
        own["day"] = pd.to_datetime(own.day)
        met = keyed.merge(own[own.day > since], on=["customer_id", "channel"])
        within = met.day.gt(met["first"]) & met.day.le(met["last"])
        found[met.place[within].unique()] = 1.0
    if (file := records.campaigns) is not None:
        mine = file.filter(_.campaign_id.isin([*planned.campaign_id.unique()]))
        if "arm" in file.columns:
            mine = mine.filter((_.arm.lower() != "control").fill_null(True))
        there = mine.select("campaign_id", "customer_id").distinct().to_pandas()
        pairs = pd.MultiIndex.from_frame(planned[["campaign_id", "customer_id"]])
        in_file = pd.Series(pairs.isin(pd.MultiIndex.from_frame(there)), planned.index)
        found = found.mask(planned.campaign_id.isin(there.campaign_id), in_file.astype(float))
    return found


def _dropped(
    planned: pd.DataFrame,
    begun: pd.DataFrame,
    records: Records,
    known: pd.Series,
    as_of: dt.date,
) -> pd.Series:
    """Whether each withdrew consent, complained, or is gone from the data, by row: by the plan of
    the cycle after it, for the last one by today's records.
    """
    out = pd.Series(False, planned.index)
    firsts = sorted(begun["first"].unique())
    for first, after in zip(firsts, [*firsts[1:], None], strict=True):
        mine = planned[planned["first"] == first]
        if mine.empty:
            continue
        until = min(mine["last"].iloc[0].date(), as_of)
        gone = mine.customer_id.isin(complaints_since(records, first.date(), until))
        if after is None:
            profiles = records.profile_columns("consent")
            gone |= ~may_contact(profiles, mine.customer_id) | ~mine.customer_id.isin(known)
        else:
            following = begun[begun["first"] == after].set_index("customer_id").status
            now = mine.customer_id.map(following)
            gone |= now.isna() | (now == "no_consent")
        out[mine.index] = gone
    return out


# What is said of it
def sentences(lessons: pd.DataFrame, as_of: dt.date) -> Iterator[tuple[str, dict[str, object]]]:
    """What the last cycle that is over taught, with values."""
    over = lessons[lessons["last"] <= pd.Timestamp(as_of)]
    if lessons.empty:
        yield (
            N_(
                "No plan was frozen before this day, so no cycle has taught anything yet: the plan"
                " of the newest day begins one."
            ),
            {},
        )
    elif over.empty:
        text = N_("No cycle is over yet: the first one ends on {last:date}.")
        yield text, {"last": lessons["last"].min()}
    if over.empty:
        return
    mine = over[over["first"] == over["first"].max()]
    done = mine[mine.reached.notna()]
    sums = mine[["planned", "dropped", "cost", "forecast", "ordered"]].sum()
    verdicts = mine.verdict.value_counts()
    works = int(verdicts.get("works", 0))
    failed = int(verdicts.reindex(["does_not_work", "harms"]).sum())
    first = mine["first"].iloc[0]
    values = {**sums, "first": first, "last": mine["last"].iloc[0], "as_of": as_of}
    text = N_(
        "The last cycle that is over, from {first:date} to {last:date}, planned an action for"
        " {planned:int} customers at a cost of {cost:money}; {dropped:int} of them dropped out:"
        " they withdrew their consent, complained, or are gone from the data."
    )
    yield text, values
    if len(done):
        text = N_(
            "Of {planned:int} whose campaign or channel the records know, {reached:int} were"
            " reached."
        )
        yield text, {"planned": done.planned.sum(), "reached": done.reached.sum()}
    text = N_(
        "Those planned have ordered {ordered:int} times since then; when the plan was frozen,"
        " {forecast:int} orders were forecast for these days."
    )
    yield text, values
    text = N_(
        "Of its actions {works:int} are proven to work and {failed:int} not to pay or to harm; of"
        " {open:int} nothing is proven yet."
    )
    yield text, {"works": works, "failed": failed, "open": len(mine) - works - failed}
