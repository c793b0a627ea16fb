import datetime as dt
from decimal import Decimal

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import customers
from analysis.intake import readers
from analysis.segments import habits

AS_OF = dt.date(2024, 3, 31)  # a Sunday
MONEY = pa.decimal128(38, 12)


def log(lines, *columns):
    """The table `transactions` from (customer_id, day, amount, …) with further columns by name."""
    ids, days, amounts, *more = zip(*lines, strict=True)
    types = {"moment": pa.timestamp("us"), "discount": MONEY}
    table = {
        "customer_id": ids,
        "day": pa.array(days, pa.date32()),
        "amount": pa.array(map(money, amounts), MONEY),
    }
    for name, values in zip(columns, more, strict=True):
        values = [money(v) for v in values] if name == "discount" else values
        table[name] = pa.array(values, types.get(name, pa.string()))
    return ibis.memtable(pa.table(table))


def money(value):
    return None if value is None else Decimal(str(value))


def at(day, hour=None):
    return None if hour is None else dt.datetime.combine(day, dt.time(hour, 30))


def people(table):
    known = customers.at(table, AS_OF)
    return known.merge(habits.habits(table, AS_OF), on="customer_id", how="left")


def day(number):
    return dt.date(2024, 1, number)


def hourly(hours):
    """A customer with one order at each hour, on days of their own."""
    return log(
        [("a", day(n + 1), 5, at(day(n + 1), hour)) for n, hour in enumerate(hours)], "moment"
    )


@pytest.mark.parametrize(
    ("hours", "found"),
    [
        ([22, 23, 0, 5, 12, 13], "night"),
        ([21, 6, 22, 12], "any_time"),
        ([6, 7, 11], "morning"),
        ([12, 17, 18], "afternoon"),
        ([18, 21, 21], "evening"),
        ([23, 23], "no_habit"),
        ([None, None, None], "no_habit"),
        ([23, 23, 23, None, None, None, None], "night"),
    ],
)
def test_time_of_day_by_hand(hours, found):
    """Night is 22 to 6; half of the orders whose time is known make a habit, of three or more."""
    assert habits.time_of_day(people(hourly(hours))).time_of_day.tolist() == [found]


def test_lines_of_one_order_are_one_order():
    """Three lines at night in one order and two orders at noon: no habit of the night."""
    lines = [("a", day(1), 5, at(day(1), 23), "x")] * 3
    lines += [("a", day(n), 5, at(day(n), 12), f"y{n}") for n in (2, 3)]
    assert habits.time_of_day(people(log(lines, "moment", "order_id"))).time_of_day.tolist() == [
        "afternoon"
    ]


@pytest.mark.parametrize(
    ("days", "found"),
    [
        ([6, 7, 8, 9], "weekend"),
        ([6, 8, 9], "any_day"),
        ([1, 2, 3, 4, 5], "workdays"),
        ([6, 7], "no_habit"),
        ([6, 6, 6, 1], "no_habit"),
    ],
)
def test_day_of_week_by_hand(days, found):
    """January 2024 begins on a Monday; several orders on a day are one order day."""
    table = log([("a", day(n), 5) for n in days])
    assert habits.day_of_week(people(table)).day_of_week.tolist() == [found]


@pytest.mark.parametrize(
    ("days", "found"),
    [
        ([1, 8, 15, 22, 29], "regular"),
        ([1, 2, 3, 4, 25], "in_bursts"),
        ([1, 2, 8, 10, 20], "irregular"),
        ([1, 8, 15, 22], "no_habit"),
    ],
)
def test_regularity_by_hand(days, found):
    """Pauses 7, 7, 7, 7: deviation 0; 1, 1, 1, 21: 8.66 over 6; 1, 6, 2, 10: 3.56 over 4.75; three
    pauses are too few.
    """
    table = log([("a", day(n), 5) for n in days])
    assert habits.regularity(people(table)).regularity.tolist() == [found]


def test_pauses_are_those_numpy_counts():
    days = [1, 2, 8, 10, 20]
    found = habits.habits(log([("a", day(n), 5) for n in days]), AS_OF).iloc[0]
    assert (found.pauses, found.usual_pause) == (4, np.diff(days).mean())
    assert found.pause_deviation == pytest.approx(np.diff(days).std())


def test_baskets_are_thirds_of_the_customers_by_the_mean_order():
    table = log(
        [
            (name, day(n), amount)
            for name, amount in zip("abcdef", [1, 2, 3, 4, 5, 6], strict=True)
            for n in (1, 2, 3)
        ]
    )
    found = habits.basket(people(table)).basket.tolist()
    assert found == ["small_orders"] * 2 + ["medium_orders"] * 2 + ["large_orders"] * 2


def test_equal_baskets_are_one_class():
    table = log([(name, day(n), 5) for name in "abcd" for n in (1, 2, 3)])
    assert set(habits.basket(people(table)).basket) == {"small_orders"}


@pytest.mark.parametrize(
    ("channels", "found"),
    [
        (["web"] * 4 + ["shop"], "web"),
        (["web"] * 3 + ["shop"], "several_channels"),
        (["shop", None, "shop", "shop"], "shop"),
        (["shop", None, None], "no_habit"),
        ([None], "no_habit"),
        (["<b>web</b>"] * 3, "<b>web</b>"),
    ],
)
def test_channel_by_hand(channels, found):
    """Four fifths of the orders make a channel the customer's own."""
    table = log([("a", day(n + 1), 5, name) for n, name in enumerate(channels)], "channel")
    assert habits.buys_through(people(table)).buys_through.tolist() == [found]


def test_discounts_by_hand():
    """Of 900 before discounts 90 are taken off, 10 %: 15 % make a hunter. a takes 20 %, b 10 %, c
    none, d buys too rarely.
    """
    lines = [("a", day(n), 80, 20) for n in (1, 2, 3)] + [("b", day(n), 90, 10) for n in (1, 2, 3)]
    lines += [("c", day(n), 66.6666, 0) for n in (1, 2, 3)] + [
        ("d", day(1), 50, 0),
        ("e", day(1), 50, None),
    ]
    found = habits.prices(people(log(lines, "discount"))).prices
    assert found.to_dict() == {
        "a": "discount_hunters",
        "b": "usual_discounts",
        "c": "full_price",
        "d": "no_habit",
        "e": "no_habit",
    }


def test_discounts_written_below_zero_are_discounts():
    """a takes 20 of 100 off, b nothing; together 10 %, so that a hunts."""
    lines = [("a", day(n), 80, -20) for n in (1, 2, 3)] + [("b", day(n), 100, 0) for n in (1, 2, 3)]
    assert habits.prices(people(log(lines, "discount"))).prices.tolist() == [
        "discount_hunters",
        "full_price",
    ]


def test_a_customer_without_a_clock_beside_one_with():
    lines = [("a", day(n), 5, at(day(n), 23)) for n in (1, 2, 3)] + [
        ("b", day(n), 5, None) for n in (1, 2, 3)
    ]
    found = habits.habits(log(lines, "moment"), AS_OF)
    assert (
        found.drop(columns="customer_id")
        .map(lambda value: isinstance(value, float | int))
        .all(axis=None)
    )
    assert habits.time_of_day(people(log(lines, "moment"))).time_of_day.tolist() == [
        "night",
        "no_habit",
    ]


def test_returns_and_later_orders_show_no_habit():
    lines = [("a", day(n), 5, at(day(n), 12)) for n in (1, 2, 3)] + [
        ("a", day(n), -5, at(day(n), 23)) for n in (4, 5, 6, 7)
    ]
    later = [("a", AS_OF + dt.timedelta(days=n), 5, at(day(n), 23)) for n in range(1, 9)]
    table = log(lines + later, "moment")
    assert habits.time_of_day(people(table)).time_of_day.tolist() == ["afternoon"]


def test_without_amounts_all_lines_are_sales():
    table = log([("a", day(n), None) for n in (6, 7, 13)])
    assert habits.day_of_week(people(table)).day_of_week.tolist() == ["weekend"]


LINES = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.dates(dt.date(2024, 1, 1), AS_OF),
        st.sampled_from([-5, 0, 5, 20]),
        st.sampled_from([None, "web", "shop"]),
        st.sampled_from([0, 1, 7]),
    ),
    min_size=1,
    max_size=25,
)


@given(LINES, st.randoms(use_true_random=False), st.integers(-8, 8))
@settings(max_examples=10)
def test_order_of_rows_and_a_shift_by_whole_weeks_change_no_habit(lines, random, weeks):
    shift = dt.timedelta(weeks=weeks)
    moved = [(name, d + shift, *rest) for name, d, *rest in random.sample(lines, len(lines))]
    before = habits.habits(log(lines, "channel", "discount"), AS_OF)
    after = habits.habits(log(moved, "channel", "discount"), AS_OF + shift)
    several = (
        before.channel_orders * 2 <= before.channelled_orders
    )  # among equals any may stand for all
    pd.testing.assert_frame_equal(
        before.assign(channel=before.channel.mask(several)),
        after.assign(channel=after.channel.mask(several)),
        check_exact=True,
    )


def test_the_invented_companys_night_buyers_and_discount_hunters_are_found(crm_demo):
    """Planted: night accounts order in the web shop at night, and discount accounts take 10 to 30 %
    off there.
    """
    known = customers.at(crm_demo.transactions, crm_demo.dataset.as_of)
    found = known.merge(
        habits.habits(crm_demo.transactions, crm_demo.dataset.as_of), on="customer_id", how="left"
    )
    truth = pd.read_parquet(readers.sample_path("crm_demo/truth") / "customers.parquet").set_index(
        "customer_id"
    )
    group = found.customer_id.map(truth.group).to_numpy()
    night, hunts = (
        habits.time_of_day(found).time_of_day.to_numpy(),
        habits.prices(found).prices.to_numpy(),
    )
    assert set(group[night == "night"]) == {"night"}
    assert set(night[group == "night"]) == {"night", "no_habit"}
    assert set(group[hunts == "discount_hunters"]) == {"discount"}
    assert set(hunts[group == "discount"]) <= {"discount_hunters", "no_habit", "full_price"}
    assert (hunts[group == "discount"] == "full_price").mean() < 0.02


def test_what_is_told_of_habits():
    """Of ten customers four show no time of day; of the six, five buy at night. Sizes of orders are
    thirds and tell nothing.
    """
    rows = [
        ("time_of_day", "night", 5, 0.5),
        ("time_of_day", "morning", 1, 0.1),
        ("time_of_day", "no_habit", 4, 0.4),
    ]
    rows += [("basket", "large_orders", 10, 1.0), ("rfm", "champions", 10, 1.0)]
    overview = pd.DataFrame(rows, columns=["segmentation", "group", "customers", "revenue_share"])
    shown = habits.shown(overview)
    assert shown.group.tolist() == ["night", "morning", "large_orders"]
    assert habits.foremost(shown) == {
        "known": 6,
        "share": 5 / 6,
        "group": "night",
        "revenue_share": 0.5,
    }
    told = habits.standing_out(shown)
    assert told == [(habits.SENTENCES["night"], {"customers": 5, "revenue_share": 0.5})]
    assert np.isnan(habits.foremost(shown.head(0))["share"])
