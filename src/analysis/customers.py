"""One row per customer as of a date, and the definitions that all rooms share.

The only reader of the order log for modelling: nothing after the date can reach a model, because it
never leaves here. The words, each defined once:

- A *return* (`is_return`) is a line whose amount or quantity is below zero. It lowers revenue on
  its own day and is no order. A *sale* (`sales`) is any other line, also one of amount 0 or none.
- An *order day* is a day with a sale: all that a customer buys on one day is one order. Who *has
  ordered* (`has_ordered`, `buyers`) has an order day; who only returned has not.
- A *pause* is the time from one order day to the next (`pauses`); the *usual pause* is their mean
  (`usual_pause` from what is known of a customer, `rhythm` from the log).
- The *margin* is the share of revenue that stays (`margin`, `margin_source`).
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import BooleanValue, Table, Value

from analysis import schema

COSTED = 0.9  # share of a customer's revenue whose cost must be known, or the profit is not
RECENT_PAUSES = 3  # the last pauses of a customer, against all of them
LINES_AT_ONCE = 300_000  # of a log, once for each day: of more the result would be too large
DIGITS = 3  # of the number of a copy


def is_return(lines: Table) -> BooleanValue:
    """Whether a line of the log takes something back."""
    back = (lines.amount < 0).fill_null(False)
    return back | (lines.quantity < 0).fill_null(False) if "quantity" in lines.columns else back


def sales(transactions: Table, as_of: dt.date) -> Table:
    """The lines up to `as_of` that are no returns."""
    past = transactions.filter(_.day <= as_of)
    return past.filter(~is_return(past))


def order_days(transactions: Table, as_of: dt.date) -> Table:
    """One row per customer and day with lines up to `as_of`: net (empty without amounts) and sales
    (money); bought (the day, empty without a sale); where the log has costs also profit and costed
    (money), of the lines whose cost is known.
    """
    past = transactions.filter(_.day <= as_of)
    profit = {}
    if "cost" in past.columns:
        profit = {
            "profit": (past.amount - past.cost).sum(),
            "costed": ibis.greatest(past.amount, 0).sum(where=past.cost.notnull()),
        }
    days = past.group_by("customer_id", "day").agg(
        net=past.amount.sum(),
        sales=ibis.greatest(past.amount, 0).sum(),
        sold=(~is_return(past)).any(),
        **profit,
    )
    return days.mutate(bought=days.sold.ifelse(days.day, None)).drop("sold")


def pauses(transactions: Table, as_of: dt.date) -> Table:
    """Every pause between consecutive order days, and the open one of each customer since the last.

    Columns: customer_id; start (day of the order that it begins with); number (of that order, 1 is
    the first); days (how long it lasted, the open one until `as_of`); ended (by another order);
    recent (one of the customer's last RECENT_PAUSES that ended, or the open one).
    """
    mine = ibis.window(group_by="customer_id", order_by="bought")
    bought = order_days(transactions, as_of).filter(_.bought.notnull())
    numbered = bought.select(
        "customer_id",
        start=_.bought,
        number=ibis.row_number().over(mine) + 1,
        following=_.bought.lead().over(mine),
        recent=_.bought.lead(RECENT_PAUSES + 1).over(mine).isnull(),
    )
    until = numbered.following.fill_null(ibis.literal(as_of))
    return numbered.select(
        "customer_id",
        "start",
        "number",
        days=until.delta(numbered.start, unit="day"),
        ended=numbered.following.notnull(),
        recent=numbered.recent,
    )


def rhythm(transactions: Table, as_of: dt.date) -> Table:
    """Who has ordered, one row each: customer_id; pauses (ended ones); usual_pause, pause_deviation
    (their mean and standard deviation in days), recent_pause (mean of the last RECENT_PAUSES); the
    last three empty without a pause.
    """
    # Sums of whole days, which no order of rows can change.
    sums = (
        pauses(transactions, as_of)
        .group_by("customer_id")
        .agg(
            pauses=_.days.count(where=_.ended),
            total=_.days.sum(where=_.ended).cast("float64"),
            squares=(_.days * _.days).sum(where=_.ended).cast("float64"),
            recent_pause=_.days.mean(where=_.ended & _.recent),
        )
    )
    number = sums.pauses.nullif(0)
    usual = sums.total / number
    deviation = ibis.greatest(sums.squares / number - usual * usual, 0.0).sqrt()
    return sums.select(
        "customer_id",
        "pauses",
        "recent_pause",
        usual_pause=usual,
        pause_deviation=ibis.ifelse(number.isnull(), None, deviation),
    )


def pause_pairs(transactions: Table) -> pd.DataFrame:
    """How even two pauses in a row are, by the day that ends the second; of each customer the first
    two, the next two, and so on. Columns: day, pairs, uneven (sum of the squares of the share that
    the first has in both, less one half), of all pairs up to the day.
    """
    ended = pauses(transactions, dt.date.max).filter(_.ended)
    mine = ibis.window(group_by="customer_id", order_by="start")
    pairs = ended.mutate(second=_.days.lead().over(mine)).filter(_.number % 2 == 1, _.second > 0)
    both = pairs.days + pairs.second
    share = pairs.days / both - 0.5
    found = pairs.group_by(day=pairs.start + both.as_interval("D")).agg(
        pairs=_.count(), uneven=(share * share).sum()
    )
    return found.order_by("day").to_pandas().set_index("day").cumsum().reset_index()


def usual_pause(span_days: pd.Series, orders: pd.Series) -> pd.Series:
    """Mean days between order days, from the days between the first and the last and their number;
    empty where there are fewer than two.
    """
    return span_days / (orders - 1).where(orders > 1)


def has_ordered(people: pd.DataFrame) -> pd.Series:
    """Whether each row of the table `customers` is one who has ordered."""
    return people.orders > 0


def buyers(people: pd.DataFrame) -> pd.DataFrame:
    """Those who have ordered."""
    return people[has_ordered(people)].reset_index(drop=True)


def margin(people: pd.DataFrame, settings: Any) -> float:
    """The share of revenue that stays: as the dataset file says, else of the customers whose costs
    are known; 1 where `margin_source` is empty, so that money is revenue.

    `people` is the table `customers` over settings.value_window_days.
    """
    if margin_source(people, settings) != "costs":
        return settings.margin or 1.0
    known = people[people.window_profit.notna()]
    return float(np.clip(known.window_profit.sum() / known.window_revenue.sum(), 0, 1))


def margin_source(people: pd.DataFrame, settings: Any) -> str:
    """Where the margin is known from: "settings" (the dataset file), "costs", or "" (unknown)."""
    if settings.margin:
        return "settings"
    if "window_profit" not in people:
        return ""
    return "costs" if people.window_revenue[people.window_profit.notna()].sum() > 0 else ""


def customers(
    transactions: Table, as_of: dt.date, window_days: int = 0, trailing: Sequence[int] = ()
) -> Table:
    """The table `customers`: everybody with a line on or before `as_of`, described by those lines
    alone.

    `window_orders` and `window_revenue` count the last `window_days` days (0: all history). For
    each number of days in `trailing` there are also orders_<days>, revenue_<days> and
    recency_<days> (recency_days as they were so many days before; empty without an order by then).
    """
    window = _ago(as_of, window_days) if window_days else dt.date.min
    windows = {"window": window} | {str(n): _ago(as_of, n) for n in trailing}
    days = order_days(transactions, as_of)
    costs = ("profit", "costed", "sales") if "profit" in days.columns else ()
    facts = days.group_by("customer_id").agg(
        **{f"window_{n}": _[n].sum(where=_.day > window).fill_null(0) for n in costs},
        orders=_.bought.count(),
        first_order=_.bought.min(),
        last_order=_.bought.max(),
        net=_.net.sum(),
        sales=_.sales.sum(),
        first_sales=_.sales.argmin(_.bought).fill_null(0),
        valued=_.sales.count(where=_.sales > 0),
        **{f"orders_{name}": _.bought.count(where=_.day > ago) for name, ago in windows.items()},
        **{f"revenue_{name}": _.net.sum(where=_.day > ago) for name, ago in windows.items()},
        **{f"before_{n}": _.bought.max(where=_.bought <= _ago(as_of, n)) for n in trailing},
    )
    facts = facts.mutate(repeat_valued=_.valued - (_.first_sales > 0).cast("int64"))
    profit = {}
    if costs:  # nothing where costs are not known of nearly all of the customer's sales
        costed = facts.window_costed.cast("float64") >= COSTED * facts.window_sales.cast("float64")
        profit["window_profit"] = ibis.ifelse(costed, facts.window_profit, None).cast("float64")
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
        **profit,
        **{f"orders_{n}": _[f"orders_{n}"] for n in trailing},
        **{
            f"revenue_{n}": _known(_[f"revenue_{n}"].fill_null(0), _.net).cast("float64")
            for n in trailing
        },
        **{
            f"recency_{n}": (today.delta(facts[f"before_{n}"], unit="day") - n).cast("float64")
            for n in trailing
        },
    ).order_by("customer_id")


def _known(money: Value, net: Value) -> Value:
    """The money, or nothing where the log has no amounts at all."""
    return ibis.ifelse(net.isnull(), None, money)


def _ago(as_of: dt.date, days: int) -> dt.date:
    return as_of - dt.timedelta(days=days)


def is_closed(first_orders: pd.Series, day: dt.date) -> bool:
    """Whether nobody has ordered for the first time in the half year up to a day, though others had
    before: a group that can only become smaller, which tells nothing of how the company does.
    """
    after = pd.Timestamp(day) + pd.Timedelta(days=1)
    return bool(first_orders.max() < after - pd.DateOffset(months=6))


def at(
    transactions: Table, as_of: dt.date, window_days: int = 0, trailing: Sequence[int] = ()
) -> pd.DataFrame:
    """The same as a checked pandas frame, sorted by customer_id."""
    found = customers(transactions, as_of, window_days, trailing).to_pyarrow()
    return schema.conform("customers", found).to_pandas(date_as_object=False)


def on_days(
    transactions: Table, days: Sequence[dt.date], window_days: int = 0, trailing: Sequence[int] = ()
) -> dict[dt.date, pd.DataFrame]:
    """`at` each of several days. By few queries on `copies` of the log, since putting one together
    takes longer than its answer.
    """
    most = max(1, LINES_AT_ONCE // max(transactions.count().execute(), 1))
    found: dict[dt.date, pd.DataFrame] = {}
    for first in range(0, len(days), most):
        some = days[first : first + most]
        every = at(copies(transactions, some), max(some), window_days, trailing)
        found |= by_day(every, some)
    return found


def copies(records: Table, days: Sequence[dt.date]) -> Table:
    """Records once for each day (named in the column copy and before the customer_id), moved in
    time so that the day falls on the last one.
    """
    later = [(max(days) - day).days for day in days]
    copies = ibis.memtable(pd.DataFrame({"copy": _names(days), "later": later}))
    many = records.cross_join(copies)
    dated = {
        name: (many[name].cast("timestamp") + many.later.as_interval("D")).cast(kind)
        for name, kind in records.schema().items()
        if kind.is_date() or kind.is_timestamp()
    }
    return many.mutate(customer_id=many.copy.concat(many.customer_id), **dated).drop("later")


def by_day(found: pd.DataFrame, days: Sequence[dt.date]) -> dict[dt.date, pd.DataFrame]:
    """What `copies` tell, by day, as of the records themselves."""
    copies, ids = found.customer_id.str[:DIGITS], found.customer_id.str[DIGITS:]
    dates = found.select_dtypes("datetime")
    parts = {}
    for name, day in zip(_names(days), days, strict=True):
        mine, moved = copies == name, max(days) - day
        back = {
            column: (dates[column][mine] - moved).astype(dates[column].dtype) for column in dates
        }
        part = found[mine].assign(customer_id=ids[mine], **back)
        parts[day] = part.reset_index(drop=True)
    return parts


def _names(days: Sequence[dt.date]) -> list[str]:
    return [f"{number:0{DIGITS}}" for number in range(len(days))]


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
    new = named.merge(known[["customer_id"]], "left_anti")
    counted = ("orders", "window_orders", "frequency", "repeat_valued")
    counts = [c for c in known if c.startswith(counted)]
    sums = [c for c in known if "revenue" in c or "profit" in c]
    nothing = float("nan") if known[sums].isna().all(None) else 0.0
    filled = new.assign(**dict.fromkeys(counts, 0), **dict.fromkeys(sums, nothing))
    every = pd.concat([known, filled]).sort_values("customer_id", ignore_index=True)
    return every.astype(known.dtypes[counts])


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
    back = ibis.literal(as_of).delta(dated.day, unit="day") // 7
    weekly = dated.group_by(back=back).agg(
        first=_.bought.count(where=_.bought == _.first),
        repeat=_.bought.count(where=_.bought > _.first),
        revenue=_.net.sum().cast("float64"),
    )
    frame = weekly.to_pandas().sort_values("back", ascending=False, ignore_index=True)
    frame.insert(0, "week", pd.Timestamp(as_of) - pd.to_timedelta(7 * frame.back, unit="D"))
    return frame.drop(columns="back")
