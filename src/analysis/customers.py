"""One row per customer as of a date. The only reader of the order log for modelling: nothing after the date
can reach a model, because it never leaves here."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import ibis
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis import tables


def open_transactions(path: Path) -> Table:
    """The table `transactions` as an expression on the embedded engine."""
    return ibis.duckdb.connect().read_parquet(path)


def order_days(transactions: Table, as_of: dt.date) -> Table:
    """One row per customer and day with lines on or before `as_of`: net, sales (money), ordered (any sale).

    A line below zero is a return: it lowers net on its own day and is no order.
    """
    sale = _.amount >= 0
    return (
        transactions.filter(_.day <= as_of)
        .group_by("customer_id", "day")
        .agg(net=_.amount.sum(), sales=_.amount.sum(where=sale).fill_null(0), ordered=sale.any())
    )


def customers(transactions: Table, as_of: dt.date, window_days: int = 0, trailing: Sequence[int] = ()) -> Table:
    """The table `customers`: everybody with a line on or before `as_of`, described by those lines alone.

    `window_orders` and `window_revenue` count the last `window_days` days (0: all history). For each number of
    days in `trailing` there are also orders_<days> and revenue_<days>.
    """
    days = order_days(transactions, as_of)
    days = days.mutate(recent=_.day > _ago(as_of, window_days)) if window_days else days.mutate(recent=True)
    first = days.group_by("customer_id").mutate(first=_.day.min(where=_.ordered))
    repeat = _.ordered & (_.day > _.first) & (_.sales > 0)
    facts = first.group_by("customer_id").agg(
        orders=_.ordered.sum(),
        first_order=_.day.min(where=_.ordered),
        last_order=_.day.max(where=_.ordered),
        net=_.net.sum(),
        sales=_.sales.sum(),
        repeat_sales=_.sales.sum(where=repeat).fill_null(0),
        repeat_valued=repeat.sum(),
        window_orders=(_.ordered & _.recent).sum(),
        window_net=_.net.sum(where=_.recent).fill_null(0),
        **{f"orders_{n}": (_.ordered & (_.day > _ago(as_of, n))).sum() for n in trailing},
        **{f"revenue_{n}": _.net.sum(where=_.day > _ago(as_of, n)).fill_null(0).cast("float64") for n in trailing},
    )
    today = ibis.literal(as_of)
    return facts.select(
        "customer_id",
        "orders",
        "first_order",
        "last_order",
        frequency=ibis.greatest(facts.orders - 1, 0),
        recency_days=today.delta(facts.last_order, unit="day"),
        age_days=today.delta(facts.first_order, unit="day"),
        revenue=facts.net.cast("float64"),
        order_value=facts.sales.cast("float64") / facts.orders.nullif(0),
        repeat_value=facts.repeat_sales.cast("float64") / facts.repeat_valued.nullif(0),
        repeat_valued=facts.repeat_valued,
        window_orders=facts.window_orders,
        window_revenue=facts.window_net.cast("float64"),
        **{f"{what}_{n}": facts[f"{what}_{n}"] for what in ("orders", "revenue") for n in trailing},
    ).order_by("customer_id")


def _ago(as_of: dt.date, days: int) -> dt.date:
    return as_of - dt.timedelta(days=days)


def at(transactions: Table, as_of: dt.date, window_days: int = 0, trailing: Sequence[int] = ()) -> pd.DataFrame:
    """The same as a checked pandas frame, sorted by customer_id."""
    frame = customers(transactions, as_of, window_days, trailing).to_pandas()
    known = tables.conform("customers", frame).to_pandas(date_as_object=False)
    return known.join(frame[frame.columns.difference(known.columns, sort=False)])


def calibration_holdout(transactions: Table, origin: dt.date, horizon_days: int, trailing: Sequence[int] = ()) -> pd.DataFrame:
    """Customers with an order by `origin` as they were then, with `holdout_orders` and `holdout_revenue`
    of the `horizon_days` days after it."""
    then = at(transactions, origin, trailing=trailing)
    later = at(transactions, origin + dt.timedelta(days=horizon_days), horizon_days).set_index("customer_id")
    actual = later.loc[then.customer_id, ["window_orders", "window_revenue"]].to_numpy()
    held = then.assign(holdout_orders=actual[:, 0].astype(int), holdout_revenue=actual[:, 1])
    return held[held.orders > 0].reset_index(drop=True)


def weekly_orders(transactions: Table, as_of: dt.date) -> pd.DataFrame:
    """First and repeat order days of all customers by week: week (its last day, weeks end on `as_of`),
    first, repeat, revenue (net)."""
    days = order_days(transactions, as_of)
    first = days.group_by("customer_id").mutate(first=_.day.min(where=_.ordered))
    back = ibis.literal(as_of).delta(first.day, unit="day") // 7
    weekly = first.group_by(back=back).agg(
        first=(_.ordered & (_.day == _.first)).sum(),
        repeat=(_.ordered & (_.day > _.first)).sum(),
        revenue=_.net.sum().cast("float64"),
    )
    frame = weekly.to_pandas().sort_values("back", ascending=False, ignore_index=True)
    frame.insert(0, "week", pd.Timestamp(as_of) - pd.to_timedelta(7 * frame.back, unit="D"))
    return frame.drop(columns="back")
