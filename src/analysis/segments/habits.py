"""How each customer buys: at which hours and on which days, how regularly, where, how much at once,
at which prices.
"""

import datetime as dt
from collections.abc import Callable

import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table, Value

from analysis.customers import rhythm, sales
from analysis.report.text import N_
from analysis.schema import TEXT, Column
from analysis.segments.segmentation import Segmentation, first_that_holds, segmentation

FEW_ORDERS = 3  # fewer show no habit
FEW_PAUSES = 4  # between orders; fewer tell regular customers from others no better than chance
MOSTLY = 0.5  # share of the orders that makes a habit of a time of day, or of the weekend
MAINLY = 0.8  # share of the orders that makes a channel the customer's own
NEVER = 0.1  # share of the orders below which a customer does not buy at weekends
STEADY, BURSTS = 0.5, 1.3  # deviation of the pauses over their mean; 1 is what chance alone makes
SEEKS = 1.5  # times the discount that all customers take together
# From hour, to hour.
SESSIONS = {"night": (22, 6), "morning": (6, 12), "afternoon": (12, 18), "evening": (18, 22)}


def habits(transactions: Table, as_of: dt.date) -> pd.DataFrame:
    """What the sales on or before `as_of` say of how each customer buys; as far as the log has the
    columns.

    Columns: customer_id; order_days, weekend_days (of them); pauses, usual_pause,
    pause_deviation (between order days: number, mean, standard deviation in days). With a clock:
    timed_orders, night_orders, morning_orders, afternoon_orders, evening_orders. With channels:
    channels, channel (the one used most), channel_orders (through it), channelled_orders. With
    discounts: discount, undiscounted (money taken off, and the price before), priced_days (order
    days on which it is known).
    """
    sold = sales(transactions, as_of)
    days = sold.select("customer_id", "day").distinct().group_by("customer_id")
    weekend = (_.day.day_of_week.index() >= 5).sum()
    whole = days.agg(order_days=_.count(), weekend_days=weekend)
    parts = {"moment": _sessions, "channel": _channels, "discount": _discounts}
    known = [part(sold) for column, part in parts.items() if column in sold.columns]
    for more in (rhythm(transactions, as_of).drop("recent_pause"), *known):
        whole = whole.left_join(more, "customer_id").drop("customer_id_right")
    frame = whole.order_by("customer_id").to_pandas()
    numbers = frame.columns.difference(["customer_id", "channel"])
    return frame.astype(dict.fromkeys(numbers, "float64"))


def _orders(sales: Table, **facts: Value) -> Table:
    """One row per order (without numbers of orders: per order day), with facts of its lines."""
    keys = [column for column in ("customer_id", "day", "order_id") if column in sales.columns]
    return sales.group_by(keys).agg(**facts)


def _sessions(sales: Table) -> Table:
    orders = _orders(sales, hour=_.moment.min().hour()).filter(_.hour.notnull())
    counts = {
        f"{name}_orders": ((_.hour + 24 - start) % 24 < (end - start) % 24).sum()
        for name, (start, end) in SESSIONS.items()
    }
    return orders.group_by("customer_id").agg(timed_orders=_.count(), **counts)


def _channels(sales: Table) -> Table:
    orders = _orders(sales, channel=_.channel.min()).filter(_.channel.notnull())
    by_channel = orders.group_by("customer_id", "channel").agg(orders=_.count())
    return by_channel.group_by("customer_id").agg(
        channels=_.count(),
        channel=_.channel.argmax(_.orders),
        channel_orders=_.orders.max(),
        channelled_orders=_.orders.sum(),
    )


def _discounts(sales: Table) -> Table:
    """Some exports write what is taken off below zero."""
    known = sales.filter(_.discount.notnull(), _.amount.notnull()).mutate(off=_.discount.abs())
    return known.group_by("customer_id").agg(
        discount=_.off.sum(),
        undiscounted=(_.off + _.amount).sum(),
        priced_days=_.day.nunique(),
    )


def _habit(
    term: str, meaning: str, classes: dict[str, str], *needs: str
) -> Callable[[Callable[..., pd.Series]], Segmentation]:
    """Make a function that returns the class of each of `people` a segmentation of one column, its
    name; `no_habit` says that too few orders show one.
    """

    def entry(classify: Callable[..., pd.Series]) -> Segmentation:
        column = classify.__name__

        def make(people: pd.DataFrame) -> pd.DataFrame:
            return classify(people).to_frame(column).set_index(people.customer_id)

        make.__name__, make.__doc__ = column, classify.__doc__
        named, makes = classes | {"no_habit": N_("no habit shown")}, {column: Column(TEXT, meaning)}
        return segmentation(term, meaning, column, named, makes, needs)(make)

    return entry


@_habit(
    N_("Time of day"),
    N_(
        "When at least half of a customer's orders come. Night: 22 to 6; morning: 6 to 12;"
        " afternoon: 12 to 18; evening: 18 to 22."
    ),
    {
        "night": N_("at night"),
        "morning": N_("in the morning"),
        "afternoon": N_("in the afternoon"),
        "evening": N_("in the evening"),
        "any_time": N_("at any time"),
    },
    "transactions.moment",
)
def time_of_day(people: pd.DataFrame) -> pd.Series:
    """When the customer buys."""
    few = ~(people.timed_orders >= FEW_ORDERS)
    sessions = {name: people[f"{name}_orders"] >= MOSTLY * people.timed_orders for name in SESSIONS}
    return first_that_holds({"no_habit": few} | sessions, "any_time")


@_habit(
    N_("Day of the week"),
    N_(
        "Whether at least half of a customer's order days are Saturdays and Sundays, or less than a"
        " tenth."
    ),
    {
        "weekend": N_("at weekends"),
        "workdays": N_("on workdays"),
        "any_day": N_("on any day"),
    },
)
def day_of_week(people: pd.DataFrame) -> pd.Series:
    """On which days the customer buys."""
    tests = {
        "no_habit": ~(people.order_days >= FEW_ORDERS),
        "weekend": people.weekend_days >= MOSTLY * people.order_days,
        "workdays": people.weekend_days < NEVER * people.order_days,
    }
    return first_that_holds(tests, "any_day")


@_habit(
    N_("Regularity"),
    N_(
        "How alike the pauses between a customer's orders are. Regular: their deviation is less"
        " than half of their mean; in bursts: more than 1.3 times; irregular: between."
    ),
    {
        "regular": N_("regularly"),
        "irregular": N_("irregularly"),
        "in_bursts": N_("in bursts"),
    },
)
def regularity(people: pd.DataFrame) -> pd.Series:
    """How regularly the customer buys."""
    tests = {
        "no_habit": ~(people.pauses >= FEW_PAUSES),
        "regular": people.pause_deviation < STEADY * people.usual_pause,
        "in_bursts": people.pause_deviation > BURSTS * people.usual_pause,
    }
    return first_that_holds(tests, "irregular")


@_habit(
    N_("Size of orders"),
    N_("The third of the customers to whom the mean money of an order belongs."),
    {
        "large_orders": N_("large orders"),
        "medium_orders": N_("medium orders"),
        "small_orders": N_("small orders"),
    },
    "transactions.amount",
)
def basket(people: pd.DataFrame) -> pd.Series:
    """How large the customer's orders are."""
    value = people.order_value.where(people.orders >= FEW_ORDERS)
    third = (value.rank(method="min") - 1) * 3 // max(value.count(), 1)
    tests = {"no_habit": value.isna(), "large_orders": third == 2, "medium_orders": third == 1}
    return first_that_holds(tests, "small_orders")


@_habit(
    N_("Channel"),
    N_(
        "The channel through which at least four fifths of a customer's orders come; customers of"
        " several channels are one customer."
    ),
    {"several_channels": N_("several channels")},
    "transactions.channel",
)
def buys_through(people: pd.DataFrame) -> pd.Series:
    """Through which channel the customer buys, in the company's words."""
    own = people.channel_orders >= MAINLY * people.channelled_orders
    main = people.channel.where(own, "several_channels")
    return main.where(people.channelled_orders >= FEW_ORDERS, "no_habit").astype("str")


@_habit(
    N_("Discounts"),
    N_(
        "Discount hunters take at least one and a half times the discount that all customers take"
        " together; full price: none at all."
    ),
    {
        "discount_hunters": N_("discount hunters"),
        "usual_discounts": N_("usual discounts"),
        "full_price": N_("full price"),
    },
    "transactions.discount",
)
def prices(people: pd.DataFrame) -> pd.Series:
    """How much the customer lives on discounts."""
    share = people.discount / people.undiscounted.where(people.undiscounted > 0)
    usual = people.discount.sum() / max(people.undiscounted.sum(), np.finfo(float).tiny)
    tests = {
        "no_habit": share.isna() | ~(people.priced_days >= FEW_ORDERS),
        "full_price": share == 0,
        "discount_hunters": share >= SEEKS * usual,
    }
    return first_that_holds(tests, "usual_discounts")


HABITS = (time_of_day, day_of_week, regularity, basket, buys_through, prices)


def shown(overview: pd.DataFrame) -> pd.DataFrame:
    """The classes of habits of `summaries.overview`, without those who show none: `share` of those
    who do, and `known` of them.
    """
    of_habits = overview.segmentation.isin([habit.name for habit in HABITS])
    classes = overview[of_habits & (overview.group != "no_habit")]
    known = classes.groupby("segmentation").customers.transform("sum")
    return classes.assign(known=known, share=classes.customers / known)


def foremost(classes: pd.DataFrame) -> dict[str, object]:
    """The time of day, the day of the week or the regularity that most share, of `shown`: known,
    share, group, revenue_share; nan where nobody shows one.
    """
    when = classes[classes.segmentation.isin(["time_of_day", "day_of_week", "regularity"])]
    columns = ["known", "share", "group", "revenue_share"]
    first = when.sort_values("share", kind="stable").tail(1)[columns].to_dict("records")
    return first[0] if first else dict.fromkeys(columns, np.nan)
