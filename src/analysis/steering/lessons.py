"""What the cycles taught: planned, done and dropped out, forecast and come, what works."""

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pandas as pd
from ibis import _

from analysis import schema
from analysis.models.history import Records, staff_contacts
from analysis.report.text import N_, say
from analysis.strategy.campaign_members import outcomes
from analysis.strategy.cycles import complaints_since, named

COLUMNS = list(schema.TABLES["lessons"].columns)
EFFECT = COLUMNS[COLUMNS.index("orders_effect") :]
COUNTS = ["dropped", "forecast", "ordered"]
# What a company's own records may call the channels of the playbooks.
CHANNELS = {
    "phone": ["call", "telephone", "电话"],
    "visit": ["meeting", "拜访", "会议"],
    "email": ["e-mail", "邮件", "电子邮件"],
    "mail": ["letter", "post", "邮寄"],
}


def table(
    frozen: pd.DataFrame,
    plan: pd.DataFrame,
    effects: pd.DataFrame,
    records: Records,
    as_of: dt.date,
) -> pd.DataFrame:
    """The table `lessons` of the cycles begun before a day. `frozen`: the table `cycle` of all of
    them, `plan` that of the day, `effects`: campaign_effects.
    """
    begun = frozen[frozen["first"] < pd.Timestamp(as_of)]
    rows = begun[begun.status.isin(["planned", "held_back"])].reset_index(drop=True)
    rows["campaign_id"] = rows.rule + " " + rows["first"].dt.strftime("%Y-%m-%d")
    is_planned = rows.status == "planned"
    if not is_planned.any():
        return pd.DataFrame(columns=COLUMNS)
    rows = rows.assign(planned=is_planned, held_back=~is_planned)
    mine = _with_orders(rows[is_planned], records, as_of)
    mine["reached"] = _reached(mine, records, as_of)
    mine["dropped"] = _dropped(mine, begun, plan, records, as_of)
    by = rows.groupby(["first", "last", "rule", "campaign_id"], as_index=False)
    sums = mine.groupby("campaign_id")[["reached", *COUNTS]].sum(min_count=1)
    found = by[["planned", "held_back", "cost"]].sum().merge(sums, "left", "campaign_id")
    found = found.merge(effects[["campaign_id", *EFFECT]], "left", "campaign_id")
    found[COUNTS] = found[COUNTS].fillna(0)  # of an action from which all were held back
    return found[COLUMNS].sort_values(["first", "rule"], ignore_index=True)


def _with_orders(planned: pd.DataFrame, records: Records, as_of: dt.date) -> pd.DataFrame:
    """With the orders that came since the cycle began, within the horizon (ordered), and the
    forecast of these days, spread evenly over all of it.
    """
    days = planned.horizon_days.clip(upper=(pd.Timestamp(as_of) - planned["first"]).dt.days)
    told = planned.assign(forecast=planned.forecast.fillna(0.0) * days / planned.horizon_days)
    members = planned[["campaign_id", "customer_id"]].assign(day=planned["first"], arm="treat")
    windows = dict(zip(planned.campaign_id, days, strict=True))
    came = outcomes(records.transactions, members, windows, as_of).rename(
        columns={"orders": "ordered"}
    )
    return told.merge(came[["campaign_id", "customer_id", "ordered"]], "left")


def _reached(planned: pd.DataFrame, records: Records, as_of: dt.date) -> pd.Series:
    """Whether each was reached, by row: in the campaign file, where it names the rule and the first
    day; else by a contact of the staff within the cycle through the channel of the action. Empty
    where the records know neither the campaign nor that channel.
    """
    found = pd.Series(np.nan, planned.index)
    if (talks := records.interactions) is not None and "channel" in talks.columns:
        alike = {other: name for name, every in CHANNELS.items() for other in every}
        recorded = talks.select("channel").distinct().to_pandas().channel.dropna()
        known = recorded.str.lower().replace(alike)
        found = found.mask(planned.channel.isin(known), 0.0)
        own = staff_contacts(talks, as_of).filter(_.day > planned["first"].min().date())
        own = own.select("customer_id", "channel", met=_.day).to_pandas()
        own["channel"] = own.channel.str.lower().replace(alike)
        keyed = planned[["customer_id", "channel", "first", "last"]].reset_index(names="place")
        pairs = keyed.merge(own, on=["customer_id", "channel"])
        met = pd.to_datetime(pairs.met)
        found[pairs.place[(met > pairs["first"]) & (met <= pairs["last"])].unique()] = 1.0
    if records.campaigns is not None:
        there = named(records.campaigns, planned)[["campaign_id", "customer_id"]]
        pairs = pd.MultiIndex.from_frame(planned[["campaign_id", "customer_id"]])
        in_file = pairs.isin(pd.MultiIndex.from_frame(there)).astype(float)
        found = found.mask(planned.campaign_id.isin(there.campaign_id), in_file)
    return found


def _dropped(
    planned: pd.DataFrame, begun: pd.DataFrame, plan: pd.DataFrame, records: Records, as_of: dt.date
) -> pd.Series:
    """Whether each withdrew consent or is gone from the data, by the plan of the next cycle (of the
    day, after the last one), or complained within the cycle, by row.
    """
    cycles = dict([*begun.groupby("first")])
    plans = dict(zip(cycles, [*[*cycles.values()][1:], plan], strict=True))
    parts = []
    for first, mine in planned.groupby("first"):
        until = min(mine["last"].iloc[0].date(), as_of)
        complained = mine.customer_id.isin(complaints_since(records, first.date(), until))
        now = mine.customer_id.map(plans[first].set_index("customer_id").status)
        parts.append(complained | now.isna() | (now == "no_consent"))
    return pd.concat(parts)


# What is said of it
def sentences(lessons: pd.DataFrame, as_of: dt.date) -> Iterator[tuple[str, dict[str, object]]]:
    """What the last cycle that is over taught, with values."""
    over = lessons[lessons["last"] <= pd.Timestamp(as_of)]
    if lessons.empty:
        text = N_(
            "No plan was frozen before this day, so no cycle has taught anything yet: the plan of"
            " the newest day begins one."
        )
        yield text, {}
    if over.empty:
        if len(lessons):
            text = N_("No cycle is over yet: the first one ends on {last:date}.")
            yield text, {"last": lessons["last"].min()}
        return
    mine = over[over["first"] == over["first"].max()]
    done = mine[mine.reached.notna()]
    sums = mine[["planned", "dropped", "cost", "forecast", "ordered"]].sum()
    works = mine.rule[mine.verdict == "works"]
    failed = mine.rule[mine.verdict.isin(["does_not_work", "harms"])]
    open_ = len(mine) - len(works) - len(failed)
    values = {**sums, **mine[["first", "last"]].iloc[0]}
    text = N_(
        "The last cycle that is over, from {first:date} to {last:date}, planned an action for"
        " {planned:int} customers at a cost of {cost:money}; {dropped:int} of them dropped out:"
        " they withdrew their consent, complained, or are gone from the data."
    )
    yield text, values
    if len(done):
        text = N_(
            "Of {planned:int} of them the records can tell whether they were reached (contacts of"
            " the staff, or a campaign file): {reached:int} were."
        )
        yield text, {"planned": done.planned.sum(), "reached": done.reached.sum()}
    text = N_(
        "Those planned have ordered {ordered:int} times since then; when the plan was frozen,"
        " {forecast:int} orders were forecast for these days."
    )
    yield text, values
    text = N_(
        "Proven to work: {works:text}; proven not to pay, or to harm: {failed:text}; of the other"
        " actions ({open:int}) nothing is proven."
    )
    yield text, {"works": _named(works), "failed": _named(failed), "open": open_}


def _named(rules: pd.Series) -> str:
    return ", ".join(say.word(rule) for rule in rules) or say("none")
