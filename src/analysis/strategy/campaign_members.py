"""Who was in which campaign, in which arm, from which day on, and what became of them."""

import datetime as dt
from collections.abc import Mapping

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis.customers import order_days
from analysis.intake.dataset import Dataset
from analysis.statistics import lots

COVARIATES = ("orders_before", "money_before", "orders_year", "money_year", "recency_days")
YEAR = 365  # days
WINDOW_DAYS = 45  # after the treatment that count, where the campaign does not say when it ends
MOST_COMPARED = 20_000  # untreated customers, drawn by lot
PROGRAMME = "programme"  # the trial of all actions of the plan, against those held back from all
OPTIONAL = {
    "arm": "string",
    "end": "date",
    "kind": "string",
    "channel": "string",
    "cost": "float64",
    "window_days": "int64",
}


def members(campaigns: Table, as_of: dt.date) -> pd.DataFrame:
    """Who was in which campaign by the day, once: campaign_id, customer_id, day (the first), end,
    kind, channel, cost, arm (treat where no other is said). Who stands in both arms of a campaign
    is in neither; who is exempt is left out.
    """
    past = campaigns.filter(_.day <= as_of)
    absent = {name: ibis.null(kind) for name, kind in OPTIONAL.items() if name not in past.columns}
    each = past.mutate(**absent).mutate(arm=_.arm.lower().strip().fill_null("treat"))
    once = each.group_by("campaign_id", "customer_id").agg(
        day=_.day.min(),
        end=_.end.max(),
        kind=_.kind.max(),
        channel=_.channel.max(),
        cost=_.cost.sum().cast("float64"),
        window_days=_.window_days.max(),
        arm=_.arm.max(),
        arms=_.arm.nunique(),
    )
    kept = once.filter(_.arms == 1, _.arm != "exempt").drop("arms")
    found = kept.to_pyarrow().to_pandas(date_as_object=False)
    found["arm"] = np.where(found.arm == "control", "control", "treat")
    found = found.astype({"day": "datetime64[s]", "end": "datetime64[s]"})
    return found.sort_values(["campaign_id", "customer_id"], ignore_index=True)


def windows(people: pd.DataFrame, settings: Dataset) -> dict[str, int]:
    """The days after the treatment that count, by campaign_id: from the day to the end, WINDOW_DAYS
    where that is not known; at most horizon_days. Of the plan's own as they were frozen.
    """
    days = (people.end - people.day).dt.days.groupby(people.campaign_id).median()
    counted = days.where(days >= 1, WINDOW_DAYS).clip(upper=settings.horizon_days)
    if "window_days" in people:
        counted = people.groupby("campaign_id").window_days.max().fillna(counted)
    return counted.astype(int).to_dict()


def with_untreated(
    people: pd.DataFrame, transactions: Table, as_of: dt.date, seed: int
) -> pd.DataFrame:
    """With the untreated beside the members of campaigns that held nobody back: customers who had a
    line by its day, as control, `compared`; of many, MOST_COMPARED drawn by lot.
    """
    parts = [people.assign(compared=False)]
    treated_only = ~people.campaign_id.isin(people.campaign_id[people.arm == "control"])
    if treated_only.any():
        past = transactions.filter(_.day <= as_of).group_by("customer_id")
        first = past.agg(first=_.day.min()).to_pandas()
        first["first"] = pd.to_datetime(first["first"])
        first = first.assign(lot=lots(first.customer_id, seed)).sort_values("lot")
        for name, own in people[treated_only].groupby("campaign_id"):
            day = own.day.sort_values().iloc[len(own) // 2]
            others = first[(first["first"] < day) & ~first.customer_id.isin(own.customer_id)]
            drawn = others.head(MOST_COMPARED)[["customer_id"]]
            parts.append(drawn.assign(campaign_id=name, day=day, arm="control", compared=True))
    return pd.concat(parts, ignore_index=True)


def reached_by_others(
    rows: pd.DataFrame, people: pd.DataFrame, first: int, until: int
) -> pd.Series:
    """How many other campaigns reached each row's customer from `first` to before `until` days
    after its day, by row.
    """
    keys = ["customer_id", "campaign_id", "day"]
    treated = people.loc[people.arm == "treat", keys]
    keyed = rows[keys].reset_index(names="place")
    pairs = keyed.merge(treated, on="customer_id", suffixes=("", "_other"))
    days = (pairs.day_other - pairs.day).dt.days
    others = (pairs.campaign_id != pairs.campaign_id_other) & (days >= first) & (days < until)
    if "kind" in people:  # all actions of the plan together are no other campaign than each
        whole = people.campaign_id[people.kind == PROGRAMME].unique()
        others &= ~pairs.campaign_id.isin(whole) & ~pairs.campaign_id_other.isin(whole)
    return pairs[others].groupby("place").size().reindex(rows.index, fill_value=0).astype(float)


def outcomes(
    transactions: Table, people: pd.DataFrame, window_days: int | Mapping[str, int], as_of: dt.date
) -> pd.DataFrame:
    """What each member (campaign_id, customer_id, day, arm, any other columns) did in the
    `window_days` days after its day, and before it; they may differ by campaign_id. Members whose
    window reaches beyond `as_of`, or who were treated before the log begins, are left out.

    Adds orders, money (net) of the window; from strictly before the day orders_before, money_before
    (as many days), orders_year, money_year (365 days), recency_days (since the last order; empty
    without one). Money is empty where the log has none. Sorted by campaign_id, customer_id.
    """
    mapped = isinstance(window_days, Mapping)
    dated = people.assign(
        day=pd.to_datetime(people.day).astype("datetime64[s]"),
        window_days=people.campaign_id.map(window_days) if mapped else window_days,
    )
    over = dated.day + pd.to_timedelta(dated.window_days, unit="D") <= pd.Timestamp(as_of)
    seen = dated.day >= pd.Timestamp(transactions.day.min().execute())
    dated = dated[over & seen].sort_values(["campaign_id", "customer_id"], ignore_index=True)
    counted = _counted(transactions, dated, as_of).reindex(dated.index)
    sums = ["orders", "orders_before", "orders_year"]
    if transactions.amount.notnull().any().execute():
        sums += ["money", "money_before", "money_year"]
    counted[sums] = counted[sums].fillna(0)
    return pd.concat([dated, counted[["orders", "money", *COVARIATES]]], axis=1)


def _counted(transactions: Table, people: pd.DataFrame, as_of: dt.date) -> pd.DataFrame:
    """The sums of `outcomes`, by the row of `people` (index), of those with any line."""
    spans = people[["customer_id", "day", "window_days"]].reset_index(names="place")
    treated = ibis.memtable(spans.rename(columns={"day": "treated_on"}))
    days = order_days(transactions, as_of).join(treated, "customer_id")
    after = days.day.delta(days.treated_on.cast("date"), unit="day")
    known = days.mutate(after=after)
    within = {
        "": known.after.between(1, known.window_days),
        "_before": known.after.between(-known.window_days, -1),
        "_year": known.after.between(-YEAR, -1),
    }
    orders = {f"orders{name}": _.bought.count(where=span) for name, span in within.items()}
    nets = {f"money{name}": known.net.sum(where=span) for name, span in within.items()}
    money = {name: net.cast("float64") for name, net in nets.items()}  # decimals take long
    recency = (-known.after).min(where=(known.after < 0) & known.bought.notnull())
    sums = known.group_by("place").agg(**orders, **money, recency_days=recency)
    return sums.to_pandas().set_index("place").astype(float)
