import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import cleaning, customers

CALIBRATION_END = dt.date(1997, 9, 30)
AS_OF = dt.date(2024, 3, 31)
NOTHING = float("nan")


def lines(first, last):
    return st.lists(
        st.tuples(
            st.sampled_from(["7", "007", "张三", "d", "e"]),
            st.dates(first, last),
            st.sampled_from(["-20", "-0.01", "0", "0.01", "5", "19.99", "1000000"]),
        ),
        min_size=1,
        max_size=25,
    )


PAST = lines(dt.date(2024, 1, 1), AS_OF)


def test_sample_of_fader_hardie_and_lee(cdnow_sample):
    """Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way: 39 weeks of calibration, then 39 of holdout."""
    people = customers.at(cdnow_sample, CALIBRATION_END)
    assert len(people) == 2_357
    assert (people.frequency > 0).sum() == 946
    assert people.frequency.sum() == 2_457
    held = customers.calibration_holdout(cdnow_sample, CALIBRATION_END, 39 * 7)
    assert len(held) == 2_357
    assert held.holdout_orders.sum() == 1_882


def test_sample_agrees_with_the_published_summary(cdnow_sample):
    """frequency, recency and T in weeks, and mean repeat spend, as in the authors' file that lifetimes ships."""
    from lifetimes.datasets import load_cdnow_summary

    published = load_cdnow_summary(index_col=0).sort_values(["T", "frequency", "recency"]).to_numpy()
    people = customers.at(cdnow_sample, CALIBRATION_END)
    last_day = pd.Series((people.age_days - people.recency_days) / 7)
    ours = pd.DataFrame({"x": people.frequency, "t_x": last_day, "T": people.age_days / 7}).sort_values(["T", "x", "t_x"])
    assert ours.to_numpy() == pytest.approx(published, abs=0.005)


def described_by_hand(log, as_of, window_days):
    """The contract of the table in plain Python."""
    rows = {}
    for customer in sorted({c for c, day, _ in log if day <= as_of}):
        mine = [(day, Decimal(amount)) for c, day, amount in log if c == customer and day <= as_of]
        sales = {}
        for day, amount in mine:
            if amount >= 0:
                sales[day] = sales.get(day, 0) + amount
        days = sorted(sales)
        repeats = [sales[day] for day in days[1:] if sales[day] > 0]
        start = as_of - dt.timedelta(days=window_days) if window_days else dt.date.min
        rows[customer] = {
            "orders": len(days),
            "first_order": pd.Timestamp(days[0]) if days else pd.NaT,
            "last_order": pd.Timestamp(days[-1]) if days else pd.NaT,
            "frequency": max(len(days) - 1, 0),
            "recency_days": (as_of - days[-1]).days if days else NOTHING,
            "age_days": (as_of - days[0]).days if days else NOTHING,
            "revenue": float(sum(amount for _, amount in mine)),
            "order_value": float(sum(sales.values())) / len(days) if days else NOTHING,
            "repeat_value": float(sum(repeats)) / len(repeats) if repeats else NOTHING,
            "repeat_valued": len(repeats),
            "window_orders": sum(day > start for day in days),
            "window_revenue": float(sum(amount for day, amount in mine if day > start)),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("customer_id").reset_index()


@given(PAST, st.sampled_from([0, 1, 30, 365]))
@settings(max_examples=30)
def test_every_column_is_what_its_contract_says(ledger, log, window_days):
    people = customers.at(ledger(log), AS_OF, window_days)
    by_hand = described_by_hand(log, AS_OF, window_days).astype(people.dtypes)
    pd.testing.assert_frame_equal(people, by_hand, rtol=1e-12)


def test_one_customer_by_hand(ledger):
    log = [
        ("a", dt.date(2024, 1, 1), "10"),
        ("a", dt.date(2024, 1, 1), "20"),
        ("a", dt.date(2024, 1, 11), "0"),
        ("a", dt.date(2024, 1, 21), "-30"),
        ("a", dt.date(2024, 3, 1), "50"),
    ]
    a = customers.at(ledger(log), AS_OF, window_days=31).iloc[0]
    assert (a.orders, a.frequency, a.repeat_valued, a.window_orders) == (3, 2, 1, 1)
    assert (a.recency_days, a.age_days) == (30, 90)
    assert (a.revenue, a.window_revenue, a.repeat_value) == (50, 50, 50)
    assert a.order_value == pytest.approx(80 / 3)


def test_the_window_holds_as_many_days_as_it_says(ledger):
    log = ledger([("a", AS_OF - dt.timedelta(days=30), "5")])
    assert customers.at(log, AS_OF, window_days=31).window_orders.tolist() == [1]
    assert customers.at(log, AS_OF, window_days=30).window_orders.tolist() == [0]


@given(PAST, lines(AS_OF + dt.timedelta(days=1), dt.date(2024, 6, 30)), st.sampled_from([0, 30]))
@settings(max_examples=20)
def test_nothing_after_the_day_changes_any_column(ledger, log, later, window_days):
    before = customers.at(ledger(log), AS_OF, window_days)
    pd.testing.assert_frame_equal(customers.at(ledger(log + later), AS_OF, window_days), before)


@given(PAST, st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_order_of_lines_does_not_matter(ledger, log, random):
    pd.testing.assert_frame_equal(
        customers.at(ledger(log), AS_OF), customers.at(ledger(random.sample(log, len(log))), AS_OF), rtol=0, atol=0
    )


def test_revenue_of_all_customers_is_that_of_the_log(cdnow):
    people = customers.at(cleaning.transactions(cdnow), dt.date(1998, 6, 30))
    assert len(people) == 23_570
    assert people.revenue.sum() == pytest.approx(2_500_315.63, rel=1e-12)


def test_holdout_counts_the_days_after_the_origin_only(ledger):
    origin = dt.date(2024, 1, 31)
    log = [
        ("a", origin, "5"),
        ("a", origin + dt.timedelta(days=1), "7"),
        ("a", origin + dt.timedelta(days=10), "-2"),
        ("a", origin + dt.timedelta(days=11), "9"),
        ("returns only", origin, "-5"),
        ("new", origin + dt.timedelta(days=1), "5"),
    ]
    held = customers.calibration_holdout(ledger(log), origin, 10)
    assert held[["customer_id", "orders", "holdout_orders", "holdout_revenue"]].to_numpy().tolist() == [["a", 1, 1, 5.0]]


def test_weeks_end_on_the_day_of_the_picture(ledger):
    log = [
        ("a", AS_OF - dt.timedelta(days=7), "5"),
        ("a", AS_OF - dt.timedelta(days=6), "7"),
        ("b", AS_OF, "-1"),
        ("b", AS_OF, "4"),
    ]
    weekly = customers.weekly_orders(ledger(log), AS_OF)
    assert weekly.week.dt.date.tolist() == [AS_OF - dt.timedelta(days=7), AS_OF]
    assert weekly[["first", "repeat", "revenue"]].to_numpy().tolist() == [[1, 0, 5], [1, 1, 10]]


@given(PAST)
@settings(max_examples=15)
def test_weeks_add_up_to_the_customers(ledger, log):
    people, weekly = customers.at(ledger(log), AS_OF), customers.weekly_orders(ledger(log), AS_OF)
    assert weekly["first"].sum() == (people.orders > 0).sum()
    assert weekly["repeat"].sum() == people.frequency.sum()
    assert weekly.revenue.sum() == pytest.approx(people.revenue.sum())
