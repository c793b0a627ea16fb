"""How each customer buys: at which hours and on which days, how regularly, where, how much at once,
at which prices.
"""

import datetime as dt
from collections.abc import Callable

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table, Value

from analysis.report.text import N_
from analysis.schema import TEXT, Column
from analysis.segments.registry import Segmentation, Texts, segmentation

FEW_ORDERS = 3  # fewer show no habit
FEW_PAUSES = 4  # between orders; fewer tell regular customers from others no better than chance
MOSTLY = 0.5  # share of the orders that makes a habit of a time of day, or of the weekend
MAINLY = 0.8  # share of the orders that makes a channel the customer's own
NEVER = 0.1  # share of the orders below which a customer does not buy at weekends
STEADY, BURSTS = 0.5, 1.3  # deviation of the pauses over their mean; 1 is what chance alone makes
SEEKS = 1.5  # times the discount that all customers take together
SESSIONS = {
    "night": (22, 6),
    "morning": (6, 12),
    "afternoon": (12, 18),
    "evening": (18, 22),
}  # from hour, to hour


def habits(transactions: Table, as_of: dt.date) -> pd.DataFrame:
    """What the sales on or before `as_of` say of how each customer buys; as far as the log has the
    columns.

    Columns: customer_id; order_days, weekend_days (of them); pauses, pause_days,
    pause_deviation_days (between order days: number, mean, standard deviation). With a clock:
    timed_orders, night_orders, morning_orders, afternoon_orders, evening_orders. With channels:
    channels, channel (the one used most), channel_orders (through it), channelled_orders. With
    discounts: discount, undiscounted (money taken off, and the price before), priced_days (order
    days on which it is known).
    """
    sales = transactions.filter(_.day <= as_of, _.amount.fill_null(0) >= 0)
    parts = [_days(sales)]
    if "moment" in sales.columns:
        parts.append(_sessions(sales))
    if "channel" in sales.columns:
        parts.append(_channels(sales))
    if "discount" in sales.columns:
        parts.append(_discounts(sales))
    found = parts[0]
    for part in parts[1:]:
        found = found.left_join(part, "customer_id").drop("customer_id_right")
    frame = found.order_by("customer_id").to_pandas()
    numbers = frame.columns.difference(["customer_id", "channel"])
    return _with_deviation(frame.astype(dict.fromkeys(numbers, "float64")))


def _days(sales: Table) -> Table:
    """Weekends and pauses; sums of whole days, which no order of rows can change."""
    before = ibis.window(group_by="customer_id", order_by="day")
    days = sales.select("customer_id", "day").distinct()
    paused = days.mutate(pause=_.day.delta(_.day.lag().over(before), unit="day"))
    return paused.group_by("customer_id").agg(
        order_days=_.count(),
        weekend_days=(_.day.day_of_week.index() >= 5).sum().cast("float64"),
        pauses=_.pause.count(),
        pause_days=_.pause.sum().fill_null(0).cast("float64"),
        pause_squares=(_.pause * _.pause).sum().fill_null(0).cast("float64"),
    )


def _with_deviation(found: pd.DataFrame) -> pd.DataFrame:
    pauses = found.pauses.where(found.pauses > 0)
    mean = found.pause_days / pauses
    deviation = np.sqrt((found.pause_squares / pauses - mean**2).clip(lower=0))
    return found.assign(pause_days=mean, pause_deviation_days=deviation).drop(
        columns="pause_squares"
    )


def _orders(sales: Table, **facts: Value) -> Table:
    """One row per order (without numbers of orders: per order day), with facts of its lines."""
    return sales.group_by(
        "customer_id", "day", *[c for c in ("order_id",) if c in sales.columns]
    ).agg(**facts)


def _sessions(sales: Table) -> Table:
    orders = _orders(sales, hour=_.moment.min().hour()).filter(_.hour.notnull())
    counts = {
        f"{name}_orders": (
            ((orders.hour + 24 - start) % 24 < (end - start) % 24).sum().cast("float64")
        )
        for name, (start, end) in SESSIONS.items()
    }
    return orders.group_by("customer_id").agg(timed_orders=orders.count(), **counts)


def _channels(sales: Table) -> Table:
    orders = _orders(sales, channel=_.channel.min()).filter(_.channel.notnull())
    by_channel = orders.group_by("customer_id", "channel").agg(orders=_.count())
    return by_channel.group_by("customer_id").agg(
        channels=_.count(),
        channel=_.channel.argmax(_.orders),
        channel_orders=_.orders.max().cast("float64"),
        channelled_orders=_.orders.sum().cast("float64"),
    )


def _discounts(sales: Table) -> Table:
    """Some exports write what is taken off below zero."""
    known = sales.filter(_.discount.notnull(), _.amount.notnull()).mutate(off=_.discount.abs())
    return known.group_by("customer_id").agg(
        discount=_.off.sum().cast("float64"),
        undiscounted=(_.off + _.amount).sum().cast("float64"),
        priced_days=_.day.nunique(),
    )


def _classes(
    people: pd.DataFrame, column: str, tests: dict[str, pd.Series], otherwise: str
) -> pd.DataFrame:
    """The first class whose test holds, `otherwise` where none does; `no_habit` where too few
    orders tell.
    """
    found = np.select(
        [test.fillna(False).to_numpy(bool) for test in tests.values()],
        list(tests),
        default=otherwise,
    )
    return pd.DataFrame({column: pd.Series(found, people.index, dtype="str")}).set_index(
        people.customer_id
    )


def _entry(
    column: str, term: str, meaning: str, classes: dict[str, str], *needs: str
) -> Callable[..., Segmentation]:
    """A habit is one column of classes, of which `no_habit` says that too few orders show none."""
    texts = Texts(term, meaning, classes | {"no_habit": "no habit shown"})
    return segmentation(column, {column: Column(TEXT, meaning)}, texts, needs)


@_entry(
    "time_of_day",
    "Time of day",
    "When at least half of a customer's orders come. Night: 22 to 6; morning: 6 to 12; afternoon:"
    " 12 to 18; evening: 18 to 22.",
    {
        "night": "at night",
        "morning": "in the morning",
        "afternoon": "in the afternoon",
        "evening": "in the evening",
        "any_time": "at any time",
    },
    "transactions.moment",
)
def time_of_day(people: pd.DataFrame) -> pd.DataFrame:
    """When the customer buys. Columns: time_of_day."""
    few = ~(people.timed_orders >= FEW_ORDERS)
    sessions = {name: people[f"{name}_orders"] >= MOSTLY * people.timed_orders for name in SESSIONS}
    return _classes(people, "time_of_day", {"no_habit": few} | sessions, "any_time")


@_entry(
    "day_of_week",
    "Day of the week",
    "Whether at least half of a customer's order days are Saturdays and Sundays, or less than a"
    " tenth.",
    {"weekend": "at weekends", "workdays": "on workdays", "any_day": "on any day"},
)
def day_of_week(people: pd.DataFrame) -> pd.DataFrame:
    """On which days the customer buys. Columns: day_of_week."""
    tests = {
        "no_habit": ~(people.order_days >= FEW_ORDERS),
        "weekend": people.weekend_days >= MOSTLY * people.order_days,
        "workdays": people.weekend_days < NEVER * people.order_days,
    }
    return _classes(people, "day_of_week", tests, "any_day")


@_entry(
    "regularity",
    "Regularity",
    "How alike the pauses between a customer's orders are. Regular: their deviation is less than"
    " half of their mean; in bursts: more than 1.3 times; irregular: between.",
    {"regular": "regularly", "irregular": "irregularly", "in_bursts": "in bursts"},
)
def regularity(people: pd.DataFrame) -> pd.DataFrame:
    """How regularly the customer buys. Columns: regularity."""
    tests = {
        "no_habit": ~(people.pauses >= FEW_PAUSES),
        "regular": people.pause_deviation_days < STEADY * people.pause_days,
        "in_bursts": people.pause_deviation_days > BURSTS * people.pause_days,
    }
    return _classes(people, "regularity", tests, "irregular")


@_entry(
    "basket",
    "Size of orders",
    "The third of the customers to whom the mean money of an order belongs.",
    {
        "large_orders": "large orders",
        "medium_orders": "medium orders",
        "small_orders": "small orders",
    },
    "transactions.amount",
)
def basket(people: pd.DataFrame) -> pd.DataFrame:
    """How large the customer's orders are. Columns: basket."""
    value = people.order_value.where(people.orders >= FEW_ORDERS)
    third = (value.rank(method="min") - 1) * 3 // max(value.count(), 1)
    tests = {"no_habit": value.isna(), "large_orders": third == 2, "medium_orders": third == 1}
    return _classes(people, "basket", tests, "small_orders")


@_entry(
    "buys_through",
    "Channel",
    "The channel through which at least four fifths of a customer's orders come; customers of"
    " several channels are one customer.",
    {"several_channels": "several channels"},
    "transactions.channel",
)
def buys_through(people: pd.DataFrame) -> pd.DataFrame:
    """Through which channel the customer buys, in the company's words. Columns: buys_through."""
    main = people.channel.where(
        people.channel_orders >= MAINLY * people.channelled_orders, "several_channels"
    )
    return pd.DataFrame(
        {
            "buys_through": (
                main.where(people.channelled_orders >= FEW_ORDERS, "no_habit").astype("str")
            )
        }
    ).set_index(people.customer_id)


@_entry(
    "prices",
    "Discounts",
    "Discount hunters take at least one and a half times the discount that all customers take"
    " together; full price: none at all.",
    {
        "discount_hunters": "discount hunters",
        "usual_discounts": "usual discounts",
        "full_price": "full price",
    },
    "transactions.discount",
)
def prices(people: pd.DataFrame) -> pd.DataFrame:
    """How much the customer lives on discounts. Columns: prices."""
    share = people.discount / people.undiscounted.where(people.undiscounted > 0)
    usual = people.discount.sum() / max(people.undiscounted.sum(), np.finfo(float).tiny)
    tests = {
        "no_habit": share.isna() | ~(people.priced_days >= FEW_ORDERS),
        "full_price": share == 0,
        "discount_hunters": share >= SEEKS * usual,
    }
    return _classes(people, "prices", tests, "usual_discounts")


HABITS = (time_of_day, day_of_week, regularity, basket, buys_through, prices)


def shown(overview: pd.DataFrame) -> pd.DataFrame:
    """The classes of habits of `groups.overview`, without those who show none: `share` of those who
    do, and `known` of them.
    """
    habits = overview[
        overview.segmentation.isin([habit.name for habit in HABITS])
        & (overview.group != "no_habit")
    ]
    known = habits.groupby("segmentation").customers.transform("sum")
    return habits.assign(known=known, share=habits.customers / known)


def foremost(classes: pd.DataFrame) -> dict[str, object]:
    """The time of day, the day of the week or the regularity that most share, of `shown`: known,
    share, group, revenue_share.
    """
    told = classes[
        classes.segmentation.isin(["time_of_day", "day_of_week", "regularity"])
    ].sort_values("share", kind="stable")
    first = (
        told.iloc[-1]
        if len(told)
        else pd.Series({"group": "", "known": np.nan, "share": np.nan, "revenue_share": np.nan})
    )
    return dict(first[["known", "share", "group", "revenue_share"]])


def telling(classes: pd.DataFrame) -> list[tuple[str, dict[str, float]]]:
    """What stands out among the classes of habits (columns: group, customers, revenue_share), as
    message keys with values.
    """
    found = (
        classes[["customers", "revenue_share"]]
        .set_axis(classes.group)
        .rename(columns={"revenue_share": "share"})
    )
    keys = {
        "night": N_(
            "{customers:int} customers place most orders between 22 and 6 o'clock; they bring"
            " {share:percent} of the revenue."
        ),
        "several_channels": N_(
            "{customers:int} customers buy through several channels, and are one customer each"
            " here; they bring {share:percent} of the revenue."
        ),
        "discount_hunters": N_(
            "{customers:int} customers take at least one and a half times the usual discount; they"
            " bring {share:percent} of the revenue."
        ),
    }
    return [
        (key, found.loc[group].to_dict()) for group, key in keys.items() if group in found.index
    ]
