"""One row per customer as of a date. The only reader of the order log for modelling: nothing after
the date can reach a model, because it never leaves here.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import ibis
import pandas as pd
from ibis import _
from ibis.expr.types import Table, Value

from analysis import schema
from analysis.engine import connect

COSTED = 0.9  # share of a customer's revenue whose cost must be known, or the profit is not


def open_transactions(path: Path) -> Table:
    """The table `transactions` as an expression on the embedded engine."""
    return connect().read_parquet(path)


def order_days(transactions: Table, as_of: dt.date) -> Table:
    """One row per customer and day with lines on or before `as_of`: net, sales (money), bought (the
    day, or empty).

    A line below zero is a return: it lowers net on its own day and is no order. Without amounts net
    is empty. Where the log has costs there are also profit and costed (money), of the lines whose
    cost is known.
    """
    profit = (
        {
            "profit": (_.amount - _.cost).sum(),
            "costed": ibis.greatest(_.amount, 0).sum(where=_.cost.notnull()),
        }
        if "cost" in transactions.columns
        else {}
    )
    days = (
        transactions.filter(_.day <= as_of)
        .group_by("customer_id", "day")
        .agg(
            net=_.amount.sum(),
            sales=ibis.greatest(_.amount, 0).sum(),
            largest=_.amount.fill_null(0).max(),
            **profit,
        )
    )
    return days.mutate(bought=(_.largest >= 0).ifelse(_.day, None)).drop("largest")


def customers(
    transactions: Table, as_of: dt.date, window_days: int = 0, trailing: Sequence[int] = ()
) -> Table:
    """The table `customers`: everybody with a line on or before `as_of`, described by those lines
    alone.

    `window_orders` and `window_revenue` count the last `window_days` days (0: all history). For
    each number of days in `trailing` there are also orders_<days> and revenue_<days>.
    """
    window = _ago(as_of, window_days) if window_days else dt.date.min
    windows = {"window": window} | {str(n): _ago(as_of, n) for n in trailing}
    days = order_days(transactions, as_of)
    profit = {
        f"window_{n}": _[n].sum(where=_.day > window).fill_null(0)
        for n in ("profit", "costed", "sales")
        if "profit" in days.columns
    }
    facts = days.group_by("customer_id").agg(
        **profit,
        orders=_.bought.count(),
        first_order=_.bought.min(),
        last_order=_.bought.max(),
        net=_.net.sum(),
        sales=_.sales.sum(),
        first_sales=_.sales.argmin(_.bought).fill_null(0),
        valued=_.sales.count(where=_.sales > 0),
        **{f"orders_{name}": _.bought.count(where=_.day > ago) for name, ago in windows.items()},
        **{f"revenue_{name}": _.net.sum(where=_.day > ago) for name, ago in windows.items()},
    )
    facts = facts.mutate(repeat_valued=_.valued - (_.first_sales > 0).cast("int64"))
    today = ibis.literal(as_of)
    return facts.select(
        "customer_id",
        "orders",
        "first_order",
        "last_order",
        frequency=ibis.greatest(_.orders - 1, 0),
        recency_days=today.delta(facts.last_order, unit="day"),
        age_days=today.delta(facts.first_order, unit="day"),
        revenue=_.net.cast("float64"),
        order_value=_known(_.sales, _.net).cast("float64") / _.orders.nullif(0),
        repeat_value=(_.sales - _.first_sales).cast("float64") / _.repeat_valued.nullif(0),
        repeat_valued=_.repeat_valued,
        window_orders=_.orders_window,
        window_revenue=_known(_.revenue_window.fill_null(0), _.net).cast("float64"),
        **({"window_profit": _where_costed(facts)} if profit else {}),
        **{f"orders_{n}": _[f"orders_{n}"] for n in trailing},
        **{
            f"revenue_{n}": _known(_[f"revenue_{n}"].fill_null(0), _.net).cast("float64")
            for n in trailing
        },
    ).order_by("customer_id")


def _known(money: Value, net: Value) -> Value:
    """The money, or nothing where the log has no amounts at all."""
    return ibis.ifelse(net.isnull(), None, money)


def _where_costed(facts: Table) -> Value:
    """Profit of the lines whose cost is known, or nothing where those are not nearly all of the
    customer's sales.
    """
    covered = facts.window_costed.cast("float64") >= COSTED * facts.window_sales.cast("float64")
    return ibis.ifelse(covered, facts.window_profit, None).cast("float64")


def _ago(as_of: dt.date, days: int) -> dt.date:
    return as_of - dt.timedelta(days=days)


def at(
    transactions: Table, as_of: dt.date, window_days: int = 0, trailing: Sequence[int] = ()
) -> pd.DataFrame:
    """The same as a checked pandas frame, sorted by customer_id."""
    found = customers(transactions, as_of, window_days, trailing).to_pyarrow()
    return schema.conform("customers", found).to_pandas(date_as_object=False)


def with_prospects(
    known: pd.DataFrame, profiles: Table, as_of: dt.date, surely: bool = False
) -> pd.DataFrame:
    """The table `customers` with those who have a profile but no order line: zero orders, no days,
    no money.

    Where profiles say when the first contact was, those of later days are left out; with `surely`
    those that do not say it, too: of a past day nobody knows whether they were known.
    """
    contact = profiles.first_contact if "first_contact" in profiles.columns else ibis.null("date")
    profiles = profiles.filter((contact <= as_of).fill_null(not surely))
    named = profiles.select("customer_id").to_pandas()
    new = named[~named.customer_id.isin(known.customer_id)]
    counts = [
        c
        for c in known
        if c.startswith(("orders", "window_orders")) or c in ("frequency", "repeat_valued")
    ]
    sums = [c for c in known if "revenue" in c or "profit" in c]
    filled = new.assign(
        **dict.fromkeys(counts, 0),
        **dict.fromkeys(sums, float("nan") if known[sums].isna().all(None) else 0.0),
    )
    return (
        pd.concat([known, filled])
        .sort_values("customer_id", ignore_index=True)
        .astype(known.dtypes[counts])
    )


def calibration_holdout(
    transactions: Table, origin: dt.date, horizon_days: int, trailing: Sequence[int] = ()
) -> pd.DataFrame:
    """Customers with an order by `origin` as they were then, with `holdout_orders` and
    `holdout_revenue` of the `horizon_days` days after it.
    """
    then = at(transactions, origin, trailing=trailing)
    later = at(transactions, origin + dt.timedelta(days=horizon_days), horizon_days).set_index(
        "customer_id"
    )
    actual = later.loc[then.customer_id, ["window_orders", "window_revenue"]].to_numpy()
    held = then.assign(holdout_orders=actual[:, 0].astype(int), holdout_revenue=actual[:, 1])
    return held[held.orders > 0].reset_index(drop=True)


def next_orders(transactions: Table, origin: dt.date, horizon_days: int) -> pd.DataFrame:
    """Who orders within the `horizon_days` days after `origin`, and how many days after it first.

    Columns: customer_id, next_order_days."""
    days = order_days(transactions, origin + dt.timedelta(days=horizon_days)).filter(_.day > origin)
    first = days.group_by("customer_id").agg(first=_.bought.min()).filter(_.first.notnull())
    wait = first["first"].delta(ibis.literal(origin), unit="day")
    return first.select("customer_id", next_order_days=wait).order_by("customer_id").to_pandas()


def weekly_orders(transactions: Table, as_of: dt.date) -> pd.DataFrame:
    """First and repeat order days of all customers by week: week (its last day, weeks end on
    `as_of`), first, repeat, revenue (net).
    """
    days = order_days(transactions, as_of)
    first = days.group_by("customer_id").agg(first=_.bought.min())
    dated = days.join(first, "customer_id")
    weekly = dated.group_by(back=ibis.literal(as_of).delta(dated.day, unit="day") // 7).agg(
        first=_.bought.count(where=_.bought == _.first),
        repeat=_.bought.count(where=_.bought > _.first),
        revenue=_.net.sum().cast("float64"),
    )
    frame = weekly.to_pandas().sort_values("back", ascending=False, ignore_index=True)
    frame.insert(0, "week", pd.Timestamp(as_of) - pd.to_timedelta(7 * frame.back, unit="D"))
    return frame.drop(columns="back")
