"""What published runs of earlier days foretold, and what came."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table
from scipy.stats import t as student

from analysis import customers, schema
from analysis.errors import RunError
from analysis.intake.dataset import Dataset
from analysis.models import leaving
from analysis.models.history import Records
from analysis.report.text import N_, say

STILL_THERE = 0.9  # of a run's customers, who must be in the data, or they go by other names now
FEW = 4  # earlier dates that an interval rests on: a large miss is likelier than by a normal law
QUANTITIES = {
    "orders": N_("number of orders"),
    "spend": N_("revenue"),
    "leavers": N_("number of leaving customers"),
}
HELD = {"held": N_("yes"), "above": N_("no: more came"), "below": N_("no: less came")}
Read = Callable[[str], pd.DataFrame]  # a table of a run, by its name; RunError without it


def table(
    runs: Mapping[dt.date, Read], records: Records, as_of: dt.date, settings: Dataset
) -> pd.DataFrame:
    """The table `record` of runs whose horizon is over, by their day. `attrs`: left_out, the days
    of those that cannot be judged, for want of a whole table or because fewer than STILL_THERE of
    their customers are in the data.
    """
    days = customers.order_days(records.transactions, as_of).cache() if runs else None
    rows: list[dict[str, Any]] = []
    left_out = []
    for day, read in runs.items():
        try:
            rows += _judged(day, read, _came(days, day, settings), records, settings)
        except RunError:
            left_out.append(day)
    found = pd.DataFrame(rows, columns=[*schema.TABLES["record"].columns])
    found = found.astype(dict.fromkeys(["foretold", "low", "high", "came"], float))
    found["day"] = pd.to_datetime(found.day)
    found.attrs["left_out"] = left_out
    return found


def _came(days: Table, day: dt.date, settings: Dataset) -> pd.DataFrame:
    """What the customers of a day did within the horizon, by customer_id: orders, spend,
    next_order_days.
    """
    until = day + dt.timedelta(days=settings.horizon_days)
    after = _.day > day
    sums = (
        days.filter(_.day <= until)
        .group_by("customer_id")
        .agg(
            first=_.bought.min(),
            next=_.bought.min(where=after),
            orders=_.bought.count(where=after),
            spend=_.net.sum(where=after).cast("float64"),
        )
    )
    found = sums.filter(_["first"] <= day).mutate(
        next_order_days=_.next.delta(ibis.literal(day), unit="day")
    )
    frame = found.drop("first", "next").to_pandas().set_index("customer_id")
    return frame.fillna({"spend": 0.0}) if settings.has_money else frame


def _judged(
    day: dt.date, read: Read, came: pd.DataFrame, records: Records, settings: Dataset
) -> Iterator[dict[str, Any]]:
    clv, churn = read("clv").set_index("customer_id"), read("churn")
    if len(clv) and clv.index.isin(came.index).mean() < STILL_THERE:
        raise RunError(f"most customers of the run of {day} are not in the data any more")
    held = churn[~churn.lost].merge(came[["next_order_days"]], on="customer_id")
    told = {
        "orders": (clv.expected_orders, came.orders),
        "spend": (clv.expected_spend, came.spend),
        "leavers": (
            churn[~churn.lost].set_index("customer_id").churn_risk,
            _left(held, day, read, records, settings),
        ),
    }
    ends = pd.concat([_ends(read, "clv_total"), _ends(read, "churn_total")])
    for quantity, (each, real) in told.items():
        both = pd.concat([each, real.astype(float)], axis=1, keys=["told", "came"]).dropna()
        if both.empty:
            continue
        whole, part = each.sum(), both.told.sum()
        row = {"day": day, "quantity": quantity, "customers": len(both), "foretold": part}
        low, high = (
            ends[end].get(quantity, np.nan) * (part / whole if whole else 1.0)
            for end in ("low", "high")
        )
        row |= {"low": low, "high": high, "came": both.came.sum()}
        yield row | {"held": _held(row)}


def _ends(read: Read, total: str) -> pd.DataFrame:
    """The 80 % intervals that a run told, by quantity; none of a run that kept none."""
    with suppress(RunError):
        return read(total).set_index("quantity")[["low", "high"]]
    return pd.DataFrame(columns=["low", "high"], dtype=float)


def _held(row: Mapping[str, Any]) -> str | None:
    if np.isnan(row["low"]) or np.isnan(row["high"]):
        return None
    return "below" if row["came"] < row["low"] else "above" if row["came"] > row["high"] else "held"


def _left(
    held: pd.DataFrame, day: dt.date, read: Read, records: Records, settings: Dataset
) -> pd.Series:
    """Whether each left, by leaving's definition; empty where that is not known of a past day."""
    if settings.churn == "rhythm":
        pauses = read("segments")[["customer_id", "silent_after_days"]]
        held = held.merge(pauses, "left", "customer_id")
    elif settings.churn == "contract":
        held = leaving.with_contracts(held, records, day)
        if "contract_end" not in held:
            return pd.Series(dtype=float)
        held["contract_left"] = leaving.contract_left(held, day, settings.horizon_days)
    gone = leaving.left(held, settings.churn, settings.horizon_days)
    return gone.astype("boolean").astype("Float64").set_axis(held.customer_id)


def missed(record: pd.DataFrame) -> pd.DataFrame:
    """How the latest run that told intervals did: group (of QUANTITIES), now (what came), usual
    (what was foretold), p (the chance of so large a miss, in logs, were its interval right).
    """
    known = record[record.held.notna() & (record.foretold > 0) & (record.low > 0)]
    last = known[known.day == known.day.max()]
    end = last.high.where(last.came >= last.foretold, last.low)
    reach, far = (np.log(x.clip(lower=0.5) / last.foretold).abs() for x in (end, last.came))
    chance = 2 * student.sf(student.ppf(0.9, FEW) * far / reach, FEW)
    groups = last.quantity.map(QUANTITIES)
    return pd.DataFrame({"group": groups, "now": last.came, "usual": last.foretold, "p": chance})


# What is said of it
def apart(days: pd.Series, horizon_days: int) -> int:
    """How many of these days have horizons that do not overlap."""
    free, found = pd.Timestamp.min, 0
    for day in sorted(days):
        if day >= free:
            free, found = day + pd.Timedelta(days=horizon_days), found + 1
    return found


def sentences(record: pd.DataFrame, horizon_days: int) -> Iterator[tuple[str, dict[str, object]]]:
    """How forecasts did, one sentence a quantity, with its values."""
    if record.empty:
        text = N_(
            "No forecast of an earlier published run is over yet: that takes a run {days:time}"
            " old. From then on each is held against what came."
        )
        yield text, {"days": horizon_days}
    for quantity, mine in record.groupby("quantity", sort=False):
        known = mine.held.dropna()
        whole = mine.foretold.sum()
        values = {
            "quantity": QUANTITIES[str(quantity)],
            "since": mine.day.min(),
            "windows": apart(mine.day, horizon_days),
            "judged": len(known),
            "held": int((known == "held").sum()),
            "moved": say.signed("percent", mine.came.sum() / whole - 1 if whole else np.nan),
        }
        if len(known):
            text = N_(
                "Forecasts since {since:date} of the {quantity:word}: {held:int} of {judged:int}"
                " held their 80 % interval; what came was {moved:text} against them (times that do"
                " not overlap: {windows:int})."
            )
        else:
            text = N_(
                "Forecasts since {since:date} of the {quantity:word}, told without an interval:"
                " what came was {moved:text} against them (times that do not overlap:"
                " {windows:int})."
            )
        yield text, values


def realised(
    record: pd.DataFrame, foretold: pd.DataFrame, horizon_days: int
) -> Iterator[tuple[str, dict[str, object]]]:
    """How many left against what the latest run foretold, or, where none is old enough, against the
    table `foretold`, with what chance alone does (95 %).
    """
    told = record[record.quantity == "leavers"]
    if len(told):
        values = told.iloc[-1].to_dict()
        text = (
            N_(
                "Of {customers:int} customers not lost on {day:date}, {came:int} ({share:percent})"
                " left within {days:time}; {foretold:int} were foretold."
            )
            if pd.isna(values["held"])
            else N_(
                "Of {customers:int} customers not lost on {day:date}, {came:int} ({share:percent})"
                " left within {days:time}; {foretold:int} were foretold (80 % sure: {low:int}"
                " to {high:int})."
            )
        )
        yield text, values | {"share": values["came"] / values["customers"], "days": horizon_days}
    elif len(foretold):
        risk = foretold.risk
        reach = 1.96 * np.sqrt((risk * (1 - risk)).sum())
        values = {"told": risk.sum(), "low": max(risk.sum() - reach, 0), "high": risk.sum() + reach}
        values |= {"customers": len(risk), "came": foretold.left.sum(), "days": horizon_days}
        text = (
            N_(
                "Of {customers:int} customers not lost on {day:date}, {came:int} ({share:percent})"
                " left within {days:time}; a forecast that knew only the orders up to that day says"
                " {told:int} (by chance alone {low:int} to {high:int})."
            )
            if values["low"] <= values["came"] <= values["high"]
            else N_(
                "Of {customers:int} customers not lost on {day:date}, {came:int} ({share:percent})"
                " left within {days:time}; a forecast that knew only the orders up to that day says"
                " {told:int} and was off beyond chance ({low:int} to {high:int})."
            )
        )
        yield text, values | {"day": foretold.day.max(), "share": foretold.left.mean()}


def in_words(record: pd.DataFrame) -> pd.DataFrame:
    """For people, the latest first: day, forecast_of, foretold, low, high, came, held."""
    forms = ["money" if name == "spend" else "int" for name in record.quantity]
    words = {
        name: [say.form(form, x) for form, x in zip(forms, record[name], strict=True)]
        for name in ("foretold", "low", "high", "came")
    }
    words |= {"forecast_of": record.quantity.map(QUANTITIES), "held": record.held.map(HELD)}
    said = record[["day"]].assign(**words)
    return said.sort_values("day", ascending=False, kind="stable", ignore_index=True)
