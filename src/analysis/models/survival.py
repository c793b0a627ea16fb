"""How long until the next order: curves by group that count those who have not ordered yet."""

import datetime as dt
from operator import itemgetter

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis import customers
from analysis.report.text import N_, labelled

MIN_PAUSES = 30  # of a group; the curve of fewer is all interval
HALF = 0.5
# of a share: lifelines adds logarithms, by which a half may come out just above it and the median
# be missed
DIGITS = 12
# Groups by the number of the order that a pause follows, which is known when the pause begins: a
# group that the future decides, as today's stage, bends its curve. From that number on.
STANDINGS = labelled(
    {
        "first": (1, N_("after the first order")),
        "second_to_fourth": (2, N_("after the second to fourth order")),
        "fifth_on": (5, N_("after the fifth or a later order")),
    },
    itemgetter(1),
)


def pause_counts(transactions: Table, as_of: dt.date) -> pd.DataFrame:
    """How many pauses (customers.pauses) of each group are alike, for logs of any length. Columns:
    group (of STANDINGS), days, ended, count; sorted by the first three.
    """
    pauses = customers.pauses(transactions, as_of)
    least = reversed(
        [(pauses.number >= least, name) for name, (least, _label) in STANDINGS.items()]
    )
    counted = pauses.group_by(group=ibis.cases(*least), days=_.days, ended=_.ended)
    counts = counted.agg(count=_.count()).to_pandas()
    counts["group"] = pd.Categorical(counts.group, list(STANDINGS), ordered=True)
    counts = counts.sort_values(["group", "days", "ended"], ignore_index=True)
    return counts.astype({"days": "int64", "ended": "bool", "count": "int64"})


def curves_of(counts: pd.DataFrame) -> pd.DataFrame:
    """The share that has not ordered again, by group and days since the order (Kaplan & Meier
    1958), from columns as of `pause_counts`.

    Columns: group, days, customers (whose pause had not ended or been cut off before that day),
    ended (pauses that ended on it), not_yet (share), low, high (95 % interval, log-log; nan where
    nobody is left). A row for day 0 and each day on which a pause ended or was cut off. The
    interval takes pauses as independent; several of one customer are not, so it is somewhat too
    narrow where customers have several in a group. Groups of fewer than MIN_PAUSES are left out.
    """
    parts = [
        _curve(rows).assign(group=str(name))
        for name, rows in counts.groupby("group", observed=True)
        if rows["count"].sum() >= MIN_PAUSES
    ]
    columns = ["group", "days", "customers", "ended", "not_yet", "low", "high"]
    found = pd.concat(parts) if parts else pd.DataFrame(columns=columns, dtype="float64")
    types = {"group": "str"} | dict.fromkeys(["days", "customers", "ended"], "int64")
    return found[columns].reset_index(drop=True).astype(types)


def _curve(counts: pd.DataFrame) -> pd.DataFrame:
    from lifelines import KaplanMeierFitter  # a second that only those who draw curves should wait

    # Distinct durations with their number: the same curve as from single pauses, of which there may
    # be millions.
    fitter = KaplanMeierFitter().fit(counts.days, counts.ended, weights=counts["count"])
    interval, events = fitter.confidence_interval_.to_numpy(), fitter.event_table
    return pd.DataFrame(
        {
            "days": events.index.to_numpy(),
            "customers": events.at_risk.to_numpy(),
            "ended": events.observed.to_numpy(),
            "not_yet": fitter.survival_function_.to_numpy()[:, 0].round(DIGITS),
            "low": interval[:, 0],
            "high": interval[:, 1],
        }
    )


def summary(curves: pd.DataFrame, horizon_days: int) -> pd.DataFrame:
    """One row per group of `curves`, in its order.

    Columns: group, pauses (number), censored (share that had not ended), median_days (until half
    have ordered again; nan where the curve never falls so far), not_yet (share that has not ordered
    again within `horizon_days`), low, high (its 95 % interval); the last three are nan where no
    pause was watched for so long.
    """
    shares, rows = ["not_yet", "low", "high"], []
    for name, curve in curves.groupby("group", sort=False):
        number, last = curve.customers.iloc[0], curve.iloc[-1]
        # after the last order nothing is left to see
        watched = last.days >= horizon_days or last.not_yet == 0
        then = curve[curve.days <= horizon_days].iloc[-1][shares] if watched else {}
        known = {"pauses": number, "censored": 1 - curve.ended.sum() / number}
        known["median_days"] = curve.days[curve.not_yet <= HALF].min()
        rows.append({"group": name} | known | dict(then))
    columns = ["group", "pauses", "censored", "median_days", *shares]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[2:], "float64"))


def verdict(summary: pd.DataFrame, horizon_days: int) -> tuple[str, dict[str, object]]:
    """What is said of the group of which most have not ordered again: a sentence and its values,
    nan where none is known.
    """
    known = summary.dropna(subset="not_yet").sort_values("not_yet", ascending=False, kind="stable")
    slowest = known.reindex(known.index[:1] if len(known) else [-1]).iloc[0]
    values = dict(slowest) | {"group": slowest.group if len(known) else "", "days": horizon_days}
    if np.isnan(slowest.median_days):
        return N_(
            "Customers take longest to order again {group:word}: fewer than half ever did in the"
            " time seen; {not_yet:percent} have not after {days:time} (95 % sure: {low:percent}"
            " to {high:percent})."
        ), values
    return N_(
        "Customers take longest to order again {group:word}: half of them have done so within"
        " {median_days:int} days; {not_yet:percent} have not after {days:time} (95 % sure:"
        " {low:percent} to {high:percent})."
    ), values
