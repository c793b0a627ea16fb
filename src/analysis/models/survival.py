"""How long until the next order: curves by segment that count those who have not ordered yet."""

import datetime as dt

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis.report.text import N_
from analysis.customers import order_days

MIN_PAUSES = 30  # of a group; the curve of fewer is all interval
HALF = 0.5
# of a share: lifelines adds logarithms, by which a half may come out just above it and the median
# be missed
DIGITS = 12
STANDINGS = {
    "first": 1,
    "second_to_fourth": 2,
    "fifth_on": 5,
}  # from the order of this number on; known when the pause begins
KEYS = ["group", "days", "ended"]


def pauses(transactions: Table, as_of: dt.date, window_days: int = 0) -> pd.DataFrame:
    """Every pause between consecutive order days up to `as_of`, and each customer's open one since
    the last of them.

    Columns: customer_id; start (day of the order it begins with); number (of that order: 1 is the
    first); days, that it lasted, an open one until `as_of`; ended (whether an order ended it).
    Sorted by customer_id and number. With `window_days` only those that begin within that many days
    up to `as_of`.
    """
    found = _pauses(transactions, as_of, window_days).order_by("customer_id", "number").to_pandas()
    return found.astype(
        {"start": "datetime64[s]", "number": "int64", "days": "int64", "ended": "bool"}
    )


def pause_counts(transactions: Table, as_of: dt.date, window_days: int = 0) -> pd.DataFrame:
    """The pauses counted by the engine, for logs of any length: `counted` of `pauses` and their
    `standing`.
    """
    numbered = _pauses(transactions, as_of, window_days)
    group = ibis.cases(
        *((numbered.number >= least, name) for name, least in reversed(STANDINGS.items()))
    )
    counts = (
        numbered.group_by(group=group, days=_.days, ended=_.ended).agg(count=_.count()).to_pandas()
    )
    counts["group"] = pd.Categorical(counts.group, list(STANDINGS), ordered=True)
    counts = counts.sort_values(KEYS, ignore_index=True)
    return counts.astype({"days": "int64", "ended": "bool", "count": "int64"})


def _pauses(transactions: Table, as_of: dt.date, window_days: int) -> Table:
    """What `pauses` promises, in any order."""
    days = order_days(transactions, as_of).filter(_.bought.notnull())
    mine = ibis.window(group_by="customer_id", order_by="bought")
    started = days.mutate(
        number=ibis.row_number().over(mine) + 1, following=_.bought.lead().over(mine)
    )
    # By the day they begin, and not by the day they end: of those that end in a window the long
    # ones are too many, and the open ones would all be in.
    if window_days:
        started = started.filter(_.bought > as_of - dt.timedelta(days=window_days))
    until = started.following.fill_null(ibis.literal(as_of))
    return started.select(
        "customer_id",
        "number",
        start=_.bought,
        days=until.delta(started.bought, unit="day"),
        ended=_.following.notnull(),
    ).relocate("start", before="number")


def standing(pauses: pd.DataFrame) -> pd.Series:
    """Which order each pause follows, as far as this log tells: first, second_to_fourth, fifth_on;
    in this order.
    """
    return pd.cut(pauses.number, [*STANDINGS.values(), np.inf], right=False, labels=list(STANDINGS))


def counted(pauses: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """How many pauses of each group are alike. Columns: group, days, ended, count; sorted by the
    first three.

    `groups` has the index of `pauses` and must be known when the pause begins: a group that the
    future decides, as today's stage, bends its curve. Pauses without a group are left out.
    """
    keyed = pauses.assign(group=groups)
    return keyed.groupby(KEYS, observed=True).size().rename("count").reset_index()


def curves(pauses: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """`curves_of` the pauses, whose `groups` are as for `counted`."""
    return curves_of(counted(pauses, groups))


def curves_of(counts: pd.DataFrame) -> pd.DataFrame:
    """The share that has not ordered again, by group and days since the order, from `counted`
    (Kaplan & Meier 1958).

    Columns: group, days, customers (whose pause had not ended or been cut off before that day),
    ended (pauses that ended on it), not_yet (share), low, high (95 % interval, log-log; nan where
    nobody is left). A row for day 0 and each day on which a pause ended or was cut off. The
    interval takes pauses as independent; several of one customer are not, so it is somewhat too
    narrow where customers have several in a group. Groups of fewer than MIN_PAUSES are left out.
    """
    sizes = counts.groupby("group", observed=True)["count"].sum()
    parts = [
        _curve(rows).assign(group=str(name))
        for name, rows in counts.groupby("group", observed=True)
        if sizes[name] >= MIN_PAUSES
    ]
    columns = ["group", "days", "customers", "ended", "not_yet", "low", "high"]
    whole = dict.fromkeys(["days", "customers", "ended"], "int64")
    found = (
        pd.concat(parts, ignore_index=True)[columns]
        if parts
        else pd.DataFrame(columns=columns, dtype="float64")
    )
    return found.astype({"group": "str"} | whole)


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
    rows = [
        {"group": name} | _summed(curve, horizon_days)
        for name, curve in curves.groupby("group", sort=False)
    ]
    columns = ["group", "pauses", "censored", "median_days", "not_yet", "low", "high"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[2:], "float64"))


def _summed(curve: pd.DataFrame, horizon_days: int) -> dict[str, float]:
    number, half = curve.customers.iloc[0], curve.days[curve.not_yet <= HALF]
    watched = (
        curve.days.iloc[-1] >= horizon_days or curve.not_yet.iloc[-1] == 0
    )  # after the last order nothing is left to see
    then = curve[curve.days <= horizon_days].iloc[-1]
    unknown = dict.fromkeys(("not_yet", "low", "high"), float("nan"))
    return {
        "pauses": number,
        "censored": 1 - curve.ended.sum() / number,
        "median_days": half.iloc[0] if len(half) else float("nan"),
        **({name: then[name] for name in unknown} if watched else unknown),
    }


def slowest(summary: pd.DataFrame) -> dict[str, object]:
    """The group of which most have not ordered again. Keys: group, median_days, not_yet, low, high;
    nan where none is known.
    """
    known = summary.dropna(subset="not_yet")
    keys = ["group", "median_days", "not_yet", "low", "high"]
    if known.empty:
        return dict.fromkeys(keys, float("nan")) | {"group": ""}
    return dict(known.loc[known.not_yet.idxmax(), keys])


def verdict(summary: pd.DataFrame, horizon_days: int) -> tuple[str, dict[str, object]]:
    """What is said of the slowest group: a message key and its values."""
    values = slowest(summary) | {"days": horizon_days}
    return (
        N_(
            "Customers take longest to order again {group:word}: fewer than half ever did in the"
            " time seen; {not_yet:percent} have not after {days:int} days (95 % sure: {low:percent}"
            " to {high:percent})."
        )
        if pd.isna(values["median_days"])
        else N_(
            "Customers take longest to order again {group:word}: half of them have done so within"
            " {median_days:int} days; {not_yet:percent} have not after {days:int} days (95 % sure:"
            " {low:percent} to {high:percent})."
        )
    ), values
