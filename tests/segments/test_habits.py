import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import customers
from analysis.intake import readers
from analysis.segments import habits
from tests.segments.made import AS_OF, log


def day(number):
    """Of January 2024, which begins on a Monday."""
    return dt.date(2024, 1, number)


def at(day, hour):
    return None if hour is None else dt.datetime.combine(day, dt.time(hour, 30))


def people(table):
    return customers.at(table, AS_OF).merge(habits.habits(table, AS_OF), how="left")


def found(habit, rows, *columns):
    """The class of each customer, by customer_id."""
    return habit(people(log(rows, *columns)))[habit.class_column].to_dict()


def test_time_of_day_by_hand():
    """Night is 22 to 6; half of the orders whose time is known make a habit, of three or more."""
    hours = {
        "a": ([22, 23, 0, 5, 12, 13], "night"),
        "b": ([21, 6, 22, 12], "any_time"),
        "c": ([6, 7, 11], "morning"),
        "d": ([12, 17, 18], "afternoon"),
        "e": ([18, 21, 21], "evening"),
        "f": ([23, 23], "no_habit"),
        "g": ([None, None, None], "no_habit"),
        "h": ([23, 23, 23, None, None, None, None], "night"),
    }
    rows = [
        (who, day(n + 1), 5, at(day(n + 1), hour))
        for who, (of, _) in hours.items()
        for n, hour in enumerate(of)
    ]
    expected = {who: habit for who, (_, habit) in hours.items()}
    assert found(habits.time_of_day, rows, "moment") == expected


def test_every_hour_of_the_day_has_its_time():
    """Three orders at each hour of the clock, of a customer each."""
    rows = [(f"{h:02}", day(n), 5, at(day(n), h)) for h in range(24) for n in (1, 2, 3)]
    times = ["night"] * 6 + ["morning"] * 6 + ["afternoon"] * 6 + ["evening"] * 4 + ["night"] * 2
    assert list(found(habits.time_of_day, rows, "moment").values()) == times


def test_lines_of_one_order_are_one_and_returns_or_later_orders_none():
    """Three lines at night in one order and two orders at noon: no habit of the night."""
    rows = [("a", day(1), 5, at(day(1), 23), "x")] * 3
    rows += [("a", day(n), 5, at(day(n), 12), f"y{n}") for n in (2, 3)]
    rows += [("a", day(n), -5, at(day(n), 23), f"r{n}") for n in range(4, 8)]
    rows += [
        ("a", later, 5, at(later, 23), f"{n}")
        for n in range(9)
        if (later := dt.date(2024, 4, n + 1))
    ]
    assert found(habits.time_of_day, rows, "moment", "order_id") == {"a": "afternoon"}


def test_day_of_week_and_regularity_by_hand():
    """Several orders on a day are one order day, also without amounts. Pauses 7, 7, 7, 7: deviation
    0; 1, 1, 1, 21: 8.66 over 6; 1, 6, 2, 10: 3.56 over 4.75; three pauses are too few; 2, 6, 2, 6:
    2 over 4, the half itself. A tenth at weekends is not yet less than a tenth.
    """
    days = {"a": [6, 7, 8, 9], "b": [6, 8, 9], "c": [1, 2, 3, 4, 5], "d": [6, 7], "e": [6, 6, 6, 1]}
    days |= {"f": [*range(1, 6), *range(8, 12), 13], "g": [*range(1, 6), *range(8, 13), 13]}
    rows = [(who, day(n), None) for who, of in days.items() for n in of]
    weekdays = ["weekend", "any_day", "workdays", "no_habit", "no_habit", "any_day", "workdays"]
    assert list(found(habits.day_of_week, rows).values()) == weekdays
    days = {
        "a": [1, 8, 15, 22, 29],
        "b": [1, 2, 3, 4, 25],
        "c": [1, 2, 8, 10, 20],
        "d": [1, 8, 15, 22],
        "e": [1, 3, 9, 11, 17],
    }
    rows = [(who, day(n), 5) for who, of in days.items() for n in of]
    regular = ["regular", "in_bursts", "irregular", "no_habit", "irregular"]
    assert list(found(habits.regularity, rows).values()) == regular
    c = habits.habits(log(rows), AS_OF).iloc[2]
    assert (c.order_days, c.weekend_days, c.pauses, c.usual_pause) == (5, 1, 4, 4.75)
    assert c.pause_deviation == pytest.approx(np.diff(days["c"]).std())


def test_baskets_are_thirds_of_the_customers_by_the_mean_order():
    thirds = [(who, day(n), "abcdef".index(who) + 1) for who in "abcdef" for n in (1, 2, 3)]
    sizes = ["small_orders"] * 2 + ["medium_orders"] * 2 + ["large_orders"] * 2
    assert list(found(habits.basket, thirds).values()) == sizes
    alike = [(who, day(n), 5) for who in "abcd" for n in (1, 2, 3)]
    assert set(found(habits.basket, alike).values()) == {"small_orders"}
    assert found(habits.basket, alike[:2]) == {"a": "no_habit"}


def test_channel_by_hand():
    """Four fifths of the orders make a channel the customer's own."""
    channels = {
        "a": (["web"] * 4 + ["shop"], "web"),
        "b": (["web"] * 3 + ["shop"], "several_channels"),
        "c": (["shop", None, "shop", "shop"], "shop"),
        "d": (["shop", None, None], "no_habit"),
        "e": (["<b>web</b>"] * 3, "<b>web</b>"),
    }
    rows = [
        (who, day(n + 1), 5, name) for who, (of, _) in channels.items() for n, name in enumerate(of)
    ]
    expected = {who: habit for who, (_, habit) in channels.items()}
    assert found(habits.buys_through, rows, "channel") == expected


def test_discounts_by_hand():
    """Of 900 before discounts 90 are taken off, 10 %: 15 % make a hunter. a takes 20 %, b 10 %, c
    none, d buys too rarely, of e nothing is known; some write discounts below zero.
    """
    for sign in (1, -1):
        rows = [("a", day(n), 80, 20 * sign) for n in (1, 2, 3)]
        rows += [("b", day(n), 90, 10 * sign) for n in (1, 2, 3)]
        rows += [("c", day(n), 66.6666, 0) for n in (1, 2, 3)]
        rows += [("d", day(1), 50, 0), ("e", day(1), 50, None)]
        kinds = ["discount_hunters", "usual_discounts", "full_price", "no_habit", "no_habit"]
        assert list(found(habits.prices, rows, "discount").values()) == kinds


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
@settings(max_examples=3)
def test_order_of_rows_and_a_shift_by_whole_weeks_change_no_habit(lines, random, weeks):
    shift = dt.timedelta(weeks=weeks)
    moved = [(name, d + shift, *rest) for name, d, *rest in random.sample(lines, len(lines))]
    before = habits.habits(log(lines, "channel", "discount"), AS_OF)
    after = habits.habits(log(moved, "channel", "discount"), AS_OF + shift)
    # among equals any may stand for all
    several = before.channel_orders * 2 <= before.channelled_orders
    before, after = (f.assign(channel=f.channel.mask(several)) for f in (before, after))
    pd.testing.assert_frame_equal(before, after, check_exact=True)
    assert before.dtypes.drop(["customer_id", "channel"]).eq("float64").all()


def test_the_invented_companys_night_buyers_and_discount_hunters_are_found(crm_demo):
    """Planted: night accounts order in the web shop at night, and discount accounts take 10 to 30 %
    off there.
    """
    transactions, as_of = crm_demo.transactions, crm_demo.dataset.as_of
    known = customers.at(transactions, as_of).merge(habits.habits(transactions, as_of), how="left")
    truth = pd.read_parquet(readers.sample_path("crm_demo/truth") / "customers.parquet")
    group = known.customer_id.map(truth.set_index("customer_id").group).to_numpy()
    night = habits.time_of_day(known).time_of_day.to_numpy()
    hunts = habits.prices(known).prices.to_numpy()
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
        ("basket", "large_orders", 10, 1.0),
        ("rfm", "champions", 10, 1.0),
    ]
    overview = pd.DataFrame(rows, columns=["segmentation", "group", "customers", "revenue_share"])
    shown = habits.shown(overview)
    assert shown.group.tolist() == ["night", "morning", "large_orders"]
    night = {"known": 6, "share": 5 / 6, "group": "night", "revenue_share": 0.5}
    assert habits.foremost(shown) == night
    assert np.isnan(habits.foremost(shown.head(0))["share"])
