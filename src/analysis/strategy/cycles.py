"""The plan of a cycle is frozen: who gets what and who is held back stay as they were on its first
day in every run until its last, nobody held back is treated before the days in which the effect is
measured are over, and then the orders and the frozen plan alone tell what the actions brought.

`frozen` is the table `cycle` of all cycles begun by a day, one below the other.
"""

import datetime as dt
from dataclasses import replace
from typing import Any

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis import schema
from analysis.intake.dataset import Dataset
from analysis.models import history
from analysis.models.history import Records, may_contact
from analysis.report.text import N_
from analysis.statistics import lots
from analysis.strategy.campaign_members import OPTIONAL, PROGRAMME
from analysis.strategy.playbook import Playbook
from analysis.strategy.trials import seed_of

COLUMNS = list(schema.TABLES["cycle"].columns)
DRAWN = ["treat", "control"]
TRIAL = [
    "campaign_id",
    "customer_id",
    "day",
    "end",
    "window_days",
    "kind",
    "channel",
    "cost",
    "arm",
]
WORDS = ["objective", "action", "channel", "owner"]
LEFT = {"no_consent": "withdrawn", "open_complaint": "complaints"}


def nothing_frozen() -> pd.DataFrame:
    """The table `cycle` before the first one."""
    return schema.empty("cycle").to_pandas(date_as_object=False)


def in_force(frozen: pd.DataFrame, as_of: dt.date) -> pd.DataFrame | None:
    """The rows of the cycle that holds on a day; None where the last one is over."""
    day = pd.Timestamp(as_of)
    rows = frozen[(frozen["first"] <= day) & (frozen["last"] >= day)]
    return rows.reset_index(drop=True) if len(rows) else None


def before(frozen: pd.DataFrame, as_of: dt.date) -> tuple[pd.DataFrame, dt.date]:
    """The cycles before the one that holds on a day, and its first day, or the day itself where
    none holds.
    """
    now = in_force(frozen, as_of)
    first = as_of if now is None else now["first"].iloc[0].date()
    return frozen[frozen["first"] < pd.Timestamp(first)], first


def running(earlier: pd.DataFrame, as_of: dt.date) -> pd.DataFrame:
    """Of those drawn by lot in earlier cycles the rows whose days are not over on a day, each
    customer once for each rule.
    """
    drawn = earlier[earlier.arm.isin(DRAWN)]
    until = drawn.drawn_on + pd.to_timedelta(drawn.window_days.astype(float), unit="D")
    open_ = drawn[until > pd.Timestamp(as_of)].sort_values("first")
    return open_.drop_duplicates(["customer_id", "rule"], keep="last")


def exempt(people: pd.DataFrame, settings: Dataset) -> pd.Series:
    """Whether plan.exempt names the customer or the customer's tier, by row."""
    named = settings.plan.exempt
    if isinstance(named, list):
        return people.customer_id.isin(named)
    return people.tier.isin(named.tier)


def bound(
    people: pd.DataFrame, frozen: pd.DataFrame, as_of: dt.date, book: Playbook, settings: Dataset
) -> pd.DataFrame:
    """`people` (as from plan.people) with what earlier cycles ask for on the first day of this one.

    Who is still held back, or is held back from everything (plan.holdout), is `barred`; so is who
    was reached by the same rule less than its every_days ago, to the nearest whole cycle. Adds
    exempt (nobody holds the customer back), in_trial_of (the rule by which the customer is being
    treated in a trial that runs: not drawn anew) and programme: control (held back from
    everything), treat (might have been) or empty.
    """
    earlier, first = before(frozen, as_of)
    trials = running(earlier, first)
    free = exempt(people, settings)
    held = people.customer_id.isin(trials.customer_id[trials.arm == "control"]) & ~free
    might = ~free & ~people.rule.map(book.table.must).astype(bool) & (people.barred != "no_consent")
    lot = lots(people.customer_id, seed_of(PROGRAMME, settings.seed))
    out = might & (lot < settings.plan.holdout)
    treated = trials[trials.arm == "treat"].drop_duplicates("customer_id", keep="last")
    lately = _lately(people, earlier, first, book, settings)
    consent = people.barred != "no_consent"
    part = pd.Series("treat", people.index).mask(out, "control").where(might)
    return people.assign(
        exempt=free,
        in_trial_of=people.customer_id.map(treated.set_index("customer_id").rule).fillna(""),
        programme=part if settings.plan.holdout else None,
        barred=np.select(
            [consent & (held | out), consent & lately & (people.barred == "")],
            ["held_back", "contacted_lately"],
            people.barred,
        ),
    )


def _lately(
    people: pd.DataFrame, earlier: pd.DataFrame, first: dt.date, book: Playbook, settings: Dataset
) -> pd.Series:
    """Whether the customer's rule reached the customer in a cycle too short ago, by row."""
    planned = earlier[earlier.status == "planned"]
    last = planned.groupby(["customer_id", "rule"])["first"].max()
    pairs = pd.MultiIndex.from_frame(people[["customer_id", "rule"]])
    gap = (pd.Timestamp(first) - pd.to_datetime(last.reindex(pairs))).dt.days
    least = people.rule.map(book.table.every_days) - settings.plan.cycle_days / 2
    return pd.Series(gap.to_numpy() < least.to_numpy(), people.index)


def freeze(
    today: pd.DataFrame,
    people: pd.DataFrame,
    frozen: pd.DataFrame,
    as_of: dt.date,
    book: Playbook,
    settings: Dataset,
) -> pd.DataFrame:
    """The table `cycle` of a cycle that begins on a day: the plan of the day (as from plan.plan, of
    `people` as from bound), those still held back from earlier cycles, and what is known.

    Columns as schema; window_days is horizon_days, or the rule's every_days if that is longer.
    """
    known = people[["customer_id", "tier", "clv", "forecast", "programme"]]
    made = today.merge(known, "left", "customer_id", validate="one_to_one")
    windows = book.table.every_days.clip(lower=settings.horizon_days)
    made["drawn_on"] = pd.Series(pd.Timestamp(as_of), made.index).where(made.arm.isin(DRAWN))
    made["window_days"] = made.rule.map(windows).where(made.arm.isin(DRAWN))
    trials = running(before(frozen, as_of)[0], as_of)
    made = _still_treated(made, people, trials)
    made = _still_held(made, people, trials)
    out = (made.programme == "control").to_numpy()
    made.loc[out & (made.arm == "none"), "arm"] = "holdout"
    last = as_of + dt.timedelta(days=settings.plan.cycle_days - 1)
    days = {"first": pd.Timestamp(as_of), "last": pd.Timestamp(last)}
    whole = made.assign(**days, horizon_days=settings.horizon_days)
    whole["window_days"] = whole.window_days.astype("Int64")
    return whole[COLUMNS]


def _still_treated(made: pd.DataFrame, people: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Who is treated in a trial that runs stays in that one."""
    treated = trials[trials.arm == "treat"].set_index(["customer_id", "rule"])
    pairs = pd.MultiIndex.from_frame(made[["customer_id", "rule"]])
    before = treated[["drawn_on", "window_days"]].reindex(pairs).set_axis(made.index)
    same = (made.arm == "treat") & before.drawn_on.notna()
    return made.assign(
        drawn_on=made.drawn_on.mask(same, before.drawn_on),
        window_days=made.window_days.mask(same, before.window_days.astype(float)),
    )


def _still_held(made: pd.DataFrame, people: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Who is held back in a trial that runs stays so, of the rule of that one."""
    control = trials[trials.arm == "control"].set_index("customer_id")
    mine = made.customer_id.isin(control.index) & ~made.customer_id.map(
        people.set_index("customer_id").exempt
    ).astype(bool)
    old = control.reindex(made.customer_id[mine])
    for name in ("rule", *WORDS, "due", "effect", "drawn_on", "window_days"):
        made.loc[mine, name] = old[name].to_numpy()
    made.loc[mine, "arm"] = "control"
    return made


def keep(
    today: pd.DataFrame,
    cycle: pd.DataFrame,
    records: Records,
    profiles: pd.DataFrame,
    as_of: dt.date,
    book: Playbook,
    language: str = "en",
) -> pd.DataFrame:
    """The table `plan` of a day within a cycle: as frozen, for the customers of `today` (the plan
    that the day itself would make), in the words that its rules have in the language.

    Who has withdrawn consent or has complained since drops out (status no_consent,
    open_complaint); newcomers join the next cycle (next_cycle), and an action that must be done is
    added for who is in no trial (arm urgent).
    """
    old = cycle.set_index("customer_id").reindex(today.customer_id).reset_index()
    made = old[list(today)].set_axis(today.index).astype(_types(today))
    there = made.status.notna()
    made = made.assign(
        status=made.status.fillna("next_cycle"),
        arm=made.arm.fillna("none"),
        rule=made.rule.fillna(today.rule),
        account_owner=today.account_owner,
    )
    words, known = book.said(made.rule, language), made.action.notna()
    for name in words:
        made[name] = made[name].mask(known & words[name].notna(), words[name])
    made[["cost", "expected_value"]] = made[["cost", "expected_value"]].fillna(0.0)
    asked = today.rule.map(book.table.must).fillna(False).astype(bool)
    urgent = asked & (today.status == "planned") & made.arm.eq("none")
    made = made.mask(urgent, today.assign(arm="urgent"))
    active = there & made.status.isin(["planned", "held_back"])
    complaining = made.customer_id.isin(complaints_since(records, cycle["first"].iloc[0], as_of))
    refused = ~may_contact(profiles, made.customer_id)
    why = np.select([active & refused, active & complaining], [*LEFT], "")
    gone = pd.Series(why != "", made.index)
    made["status"] = made.status.mask(gone, why)
    made[[*WORDS, "due"]] = made[[*WORDS, "due"]].mask(gone)
    made[["cost", "expected_value"]] = made[["cost", "expected_value"]].mask(gone, 0.0)
    return made


def _types(frame: pd.DataFrame) -> dict[str, Any]:
    return {name: kind for name, kind in frame.dtypes.items() if name in ("due", "cost", "effect")}


def complaints_since(records: Records, first: dt.date, as_of: dt.date) -> pd.Series:
    """Customers with a complaint or ticket opened after a day that is open on another; nobody where
    the days of closing are not recorded.
    """
    if records.feedback is None or "closed" not in records.feedback.columns:
        return pd.Series(dtype="str")
    opened = history.complaints(records.feedback, as_of)
    late = opened.filter(_.day > pd.Timestamp(first).date(), _.closed.isnull())
    return late.select("customer_id").distinct().to_pandas().customer_id


# What is said of it
def changes(made: pd.DataFrame, cycle: pd.DataFrame) -> pd.DataFrame:
    """Customers by what the frozen plan said (index) and what the plan of the day says, where they
    differ; who is new was in no plan. `made` as from keep.
    """
    both = made.merge(cycle[["customer_id", "status"]], "left", "customer_id")
    frozen = both.status_y.fillna("next_cycle").rename("frozen")
    moved = (frozen != both.status_x) | (both.arm == "urgent")
    return pd.crosstab(frozen[moved], both.status_x[moved].rename("today"))


def telling(made: pd.DataFrame, cycle: pd.DataFrame | None) -> list[tuple[str, dict[str, object]]]:
    """Sentences with their values: since when and until when the plan holds, who has dropped out,
    who joins the next one. `made` as from keep; no cycle where the plan is a draft.
    """
    if cycle is None:
        text = N_(
            "This plan is a draft and holds nobody to anything: only a run of the newest day, with"
            " all parameters as in the dataset file, freezes the plan of a cycle."
        )
        return [(text, {})]
    first, last = cycle["first"].iloc[0], cycle["last"].iloc[0]
    text = N_(
        "This cycle runs from {first:date} to {last:date}. Its plan was frozen on {first:date}: who"
        " gets what and who is held back stay the same until then."
    )
    said: list[tuple[str, dict[str, object]]] = [(text, {"first": first, "last": last})]
    held = cycle[cycle.arm == "control"]
    kept = held[held.drawn_on < first]
    if len(held):
        until = held.drawn_on + pd.to_timedelta(held.window_days.astype(float), unit="D")
        text = N_(
            "{held:int} customers are held back by lot, the last of them until {until:date}, also"
            " beyond this cycle; {kept:int} of them since an earlier one."
        )
        said.append((text, {"held": len(held), "kept": len(kept), "until": until.max()}))
    counts = made.status.value_counts()
    was = cycle[cycle.status.isin(["planned", "held_back"])].customer_id
    mine = made[made.customer_id.isin(was)].status.value_counts()
    out: dict[str, object] = {n: int(mine.get(status, 0)) for status, n in LEFT.items()}
    out["gone"] = int((~was.isin(made.customer_id)).sum())
    if any(out.values()):
        text = N_(
            "Dropped out since: {withdrawn:int} who withdrew their consent, {complaints:int} with"
            " an open complaint, {gone:int} who are no longer in the data."
        )
        said.append((text, out))
    if urgent := int((made.arm == "urgent").sum()):
        text = N_(
            "{urgent:int} customers get what must be done though it is not in the frozen plan; they"
            " count in no measurement."
        )
        said.append((text, {"urgent": urgent}))
    if joins := int(counts.get("next_cycle", 0)):
        text = N_("{joins:int} new customers join the next cycle on {date:date}.")
        said.append((text, {"joins": joins, "date": last + pd.Timedelta(days=1)}))
    return said


def lost_by_new(cycle: pd.DataFrame) -> int:
    """How many held back customers lose their proof where their cycle is ended early."""
    return int(((cycle.arm == "control") & (cycle.drawn_on == cycle["first"])).sum())


# Measured by itself
def drawn(cycle: pd.DataFrame) -> pd.DataFrame:
    """Of the table `cycle` who was drawn on its first day, and who is exempt."""
    return cycle[(cycle.drawn_on == cycle["first"]) | (cycle.arm == "exempt")]


def trials(frozen: pd.DataFrame) -> pd.DataFrame:
    """Who was drawn in which cycle, as rows of campaigns: campaign_id (the rule and the first day),
    customer_id, day, end, window_days, kind (the rule), channel, cost (of all cycles in which the
    trial runs), arm. What nobody, or everybody, was held back from is left out.
    """
    if frozen.empty:
        return pd.DataFrame(columns=TRIAL)
    own = frozen[frozen.arm.isin(DRAWN) & (frozen.drawn_on == frozen["first"])]
    again = frozen.groupby(["customer_id", "rule", "drawn_on"]).cost.sum()
    own = own.drop(columns="cost").join(again, on=again.index.names)
    whole = frozen[frozen.programme.notna()].assign(rule=PROGRAMME, channel=None)
    whole["cost"] = _spent_within(whole, frozen)
    whole["arm"] = whole.programme
    whole["window_days"] = whole.horizon_days
    both = pd.concat([own, whole], ignore_index=True)
    both["campaign_id"] = both.rule + " " + both["first"].dt.strftime("%Y-%m-%d")
    arms = both.groupby("campaign_id").arm.transform("nunique")
    both = both[arms == len(DRAWN)].rename(columns={"first": "day"})
    both["window_days"] = both.window_days.astype("int64")
    both["end"] = both.day + pd.to_timedelta(both.window_days, unit="D")
    return both.rename(columns={"rule": "kind"})[TRIAL].reset_index(drop=True)


def _spent_within(whole: pd.DataFrame, frozen: pd.DataFrame) -> pd.Series:
    """What all cycles begun within horizon_days of each row's spend on its customer, by row."""
    each = whole[["customer_id", "first", "horizon_days"]].reset_index(names="place")
    pairs = each.merge(frozen[["customer_id", "first", "cost"]], on="customer_id")
    days = (pairs.first_y - pairs.first_x).dt.days
    within = pairs[(days >= 0) & (days < pairs.horizon_days)]
    return within.groupby("place").cost.sum().reindex(whole.index, fill_value=0.0)


def with_trials(records: Records, frozen: pd.DataFrame, as_of: dt.date) -> Records:
    """The records with the trials of frozen cycles among the campaigns. Who was drawn counts; where
    the company's file names one of them, too, it says what reaching the customers cost.
    """
    own = trials(frozen[frozen["first"] < pd.Timestamp(as_of)])
    if own.empty:
        return records
    kinds = {"campaign_id": "string", "customer_id": "string", "day": "date"} | OPTIONAL
    if (file := records.campaigns) is not None:
        spent = named(file, own)
        if "cost" in file.columns:
            own = own.assign(cost=_spent(own, spent))
        others = file.filter(file.campaign_id.notin(sorted(own.campaign_id.unique())))
        there = {
            name: others[name].cast(kind) if name in others.columns else ibis.null(kind)
            for name, kind in kinds.items()
        }
        others = others.select(**there)
    table = ibis.memtable(own)
    table = table.select(**{name: table[name].cast(kind) for name, kind in kinds.items()})
    return replace(records, campaigns=table if file is None else ibis.union(others, table))


def named(file: Table, own: pd.DataFrame) -> pd.DataFrame:
    """Who was reached, by the rows of the company's campaigns that are of one of our own (column
    campaign_id): campaign_id, customer_id, cost.
    """
    rows = file.filter(file.campaign_id.isin(sorted(own.campaign_id.unique())))
    if "arm" in file.columns:
        rows = rows.filter((rows.arm.lower() != "control").fill_null(True))
    cost = rows.cost.cast("float64") if "cost" in file.columns else ibis.literal(0.0)
    found = rows.select("campaign_id", "customer_id", cost=cost)
    return found.group_by("campaign_id", "customer_id").agg(cost=_.cost.sum()).to_pandas()


def _spent(own: pd.DataFrame, named: pd.DataFrame) -> pd.Series:
    pairs = pd.MultiIndex.from_frame(own[["campaign_id", "customer_id"]])
    cost = named.set_index(["campaign_id", "customer_id"]).cost.reindex(pairs).fillna(0.0)
    return own.cost.mask(own.campaign_id.isin(named.campaign_id), cost.set_axis(own.index))


def reached(frozen: pd.DataFrame, campaigns: Table | None) -> pd.DataFrame:
    """Who was really reached, of the trials that the company's file of campaigns names.

    Columns: campaign_id, treated (drawn to be), reached (of these, by the file), control, broken
    (of these reached all the same).
    """
    own = trials(frozen)
    names = ["campaign_id", "treated", "reached", "control", "broken"]
    if campaigns is None or own.empty:
        return pd.DataFrame(columns=names)
    there = named(campaigns, own)[["campaign_id", "customer_id"]].assign(there=True)
    both = own[own.campaign_id.isin(there.campaign_id)].merge(there, "left")
    found, treat = both.there.eq(True), both.arm.eq("treat")
    counted = both.assign(
        treated=treat, reached=treat & found, control=~treat, broken=~treat & found
    )
    return counted.groupby("campaign_id")[names[1:]].sum().reset_index()
