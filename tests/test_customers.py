import datetime as dt
from decimal import Decimal
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analysis import customers, schema
from analysis.intake import cleaning

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
    """Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way: 39 weeks of calibration,
    then 39 of holdout.
    """
    people = customers.at(cdnow_sample, CALIBRATION_END)
    assert len(people) == 2_357
    assert (people.frequency > 0).sum() == 946
    assert people.frequency.sum() == 2_457
    after = customers.at(cdnow_sample, CALIBRATION_END + dt.timedelta(days=39 * 7), 39 * 7)
    assert after[after.customer_id.isin(people.customer_id)].window_orders.sum() == 1_882


def test_sample_agrees_with_the_published_summary(cdnow_sample):
    """frequency, recency and T in weeks, and mean repeat spend, as in the authors' file that
    lifetimes ships.
    """
    from lifetimes.datasets import load_cdnow_summary

    published = (
        load_cdnow_summary(index_col=0).sort_values(["T", "frequency", "recency"]).to_numpy()
    )
    people = customers.at(cdnow_sample, CALIBRATION_END)
    last_day = pd.Series((people.age_days - people.recency_days) / 7)
    ours = pd.DataFrame(
        {"x": people.frequency, "t_x": last_day, "T": people.age_days / 7}
    ).sort_values(["T", "x", "t_x"])
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


# "7" only returned; "d" has lines on the day before the window, a gift first and twice one order.
EDGES = [("7", AS_OF, "-20"), ("d", dt.date(2024, 3, 1), "0"), ("e", dt.date(2024, 3, 2), "0.01")]
EDGES += [("d", AS_OF, amount) for amount in ("5", "0.01", "-0.01")]


@given(PAST, st.sampled_from([0, 1, 30, 365]))
@example(EDGES, 30)
@settings(max_examples=10)
def test_every_column_is_what_its_contract_says(ledger, log, window_days):
    people = customers.at(ledger(log[::-1]), AS_OF, window_days)
    by_hand = described_by_hand(log, AS_OF, window_days).astype(people.dtypes)
    pd.testing.assert_frame_equal(people, by_hand, rtol=1e-12)
    weekly = customers.weekly_orders(ledger(log), AS_OF)
    assert weekly["first"].sum() == (people.orders > 0).sum()
    assert weekly["repeat"].sum() == people.frequency.sum()
    assert weekly.revenue.sum() == pytest.approx(people.revenue.sum())


def test_one_customer_by_hand(ledger):
    log = [
        ("a", dt.date(2024, 1, 1), "10"),
        ("a", dt.date(2024, 1, 1), "20"),
        ("a", dt.date(2024, 1, 11), "0"),
        ("a", dt.date(2024, 1, 21), "-30"),
        ("a", dt.date(2024, 3, 1), "50"),
    ]
    a = customers.at(ledger(log), AS_OF, window_days=31, trailing=[30, 60, 90, 91]).iloc[0]
    assert (a.orders, a.frequency, a.repeat_valued, a.window_orders) == (3, 2, 1, 1)
    assert (a.recency_days, a.age_days) == (30, 90)
    assert (a.orders_30, a.revenue_30) == (0, 0)  # the window holds as many days as it says
    assert (a.recency_30, a.recency_60, a.recency_90) == (0, 20, 0)  # on those days
    assert np.isnan(a.recency_91)
    assert (a.revenue, a.window_revenue, a.repeat_value) == (50, 50, 50)
    assert a.order_value == pytest.approx(80 / 3)


@given(PAST, st.sampled_from([1, 7, 45]))
@settings(max_examples=6)
def test_trailing_days_tell_the_orders_and_the_pause_of_the_day_before_them(ledger, log, days):
    now = customers.at(ledger(log), AS_OF, 30, [days]).set_index("customer_id")
    then = customers.at(ledger(log), AS_OF - dt.timedelta(days=days), 30).set_index("customer_id")
    bought = then[then.orders > 0]
    orders = (now.orders - now[f"orders_{days}"]).loc[lambda orders: orders > 0]
    assert orders.to_dict() == bought.orders.to_dict()
    assert now[f"recency_{days}"].dropna().to_dict() == bought.recency_days.to_dict()


@given(PAST, lines(AS_OF + dt.timedelta(days=1), dt.date(2024, 6, 30)), st.sampled_from([0, 30]))
@settings(max_examples=6)
def test_nothing_after_the_day_changes_any_column(ledger, log, later, window_days):
    before = customers.at(ledger(log), AS_OF, window_days)
    pd.testing.assert_frame_equal(customers.at(ledger(log + later), AS_OF, window_days), before)


def test_several_days_are_told_as_each_by_itself_in_any_pieces(ledger, monkeypatch):
    early, late = dt.date(2024, 1, 31), dt.date(2024, 3, 31)
    days = [late, early, dt.date(2024, 1, 1), dt.date(2024, 2, 29)]
    log = [("a", early, "5"), ("007", early, "3"), ("a", dt.date(2024, 2, 29), "7.01")]
    log += [("a", late, "-2"), ("b", late, "0")]
    for most in (len(log), 2 * len(log) + 1, 500_000):  # a day, two, and all at once
        monkeypatch.setattr(customers, "LINES_AT_ONCE", most)
        found = customers.on_days(ledger(log), days, 30, [31])
        assert list(found) == days
        for day, told in found.items():
            pd.testing.assert_frame_equal(told, customers.at(ledger(log), day, 30, [31]))


def test_fault_41_a_return_is_netted_on_its_own_day_and_not_before(judge):
    log = cleaning.transactions(
        judge("id,day,eur\n7,2024-01-05,50\n7,2024-02-10,-50\n7,2024-02-20,20\n")
    )
    assert log.order_by("line").sale_day.to_pyarrow().to_pylist()[1] == dt.date(2024, 1, 5)
    for day, revenue, orders in [
        (dt.date(2024, 2, 9), 50, 1),
        (dt.date(2024, 2, 10), 0, 1),
        (dt.date(2024, 2, 20), 20, 2),
    ]:
        then = customers.at(log, day, window_days=30)
        assert then[["revenue", "orders"]].to_numpy().tolist() == [[revenue, orders]]
        assert then.order_value.tolist() == [50 if orders == 1 else 35]
    assert customers.at(log, dt.date(2024, 2, 10), window_days=30).window_revenue.tolist() == [-50]


def test_revenue_of_all_customers_is_that_of_the_log(cdnow):
    people = customers.at(cleaning.transactions(cdnow), dt.date(1998, 6, 30))
    assert len(people) == 23_570
    assert people.revenue.sum() == pytest.approx(2_500_315.63, rel=1e-12)


def test_the_next_order_is_the_first_within_the_days_after_the_origin(ledger):
    origin = dt.date(2024, 1, 31)
    log = [
        ("a", origin, "5"),
        ("a", origin + dt.timedelta(days=4), "5"),
        ("a", origin + dt.timedelta(days=2), "0"),  # a gift is an order
        ("b", origin + dt.timedelta(days=10), "5"),
        ("b", origin + dt.timedelta(days=3), "-5"),
        ("beyond", origin + dt.timedelta(days=11), "5"),
        ("returns only", origin + dt.timedelta(days=1), "-5"),
        ("before", origin, "5"),
        ("new", origin + dt.timedelta(days=1), "5"),
    ]
    found = customers.next_orders(ledger(log), origin, 10)
    assert found.set_index("customer_id").next_order_days.to_dict() == {"a": 2, "b": 10, "new": 1}


@given(PAST, st.integers(1, 60))
@settings(max_examples=6)
def test_who_orders_next_and_when(ledger, log, horizon):
    """The first of the days with an order by plain Python."""
    origin = dt.date(2024, 2, 10)
    table = ledger(log)
    found = customers.next_orders(table, origin, horizon).set_index("customer_id").next_order_days
    waits = [(name, (day - origin).days) for name, day, amount in log if Decimal(amount) >= 0]
    first = {
        name: min(w for n, w in waits if n == name and w > 0)
        for name, wait in waits
        if 0 < wait <= horizon
    }
    assert found.to_dict() == first
    assert found.index.is_monotonic_increasing


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


def test_profit_is_of_customers_whose_costs_are_known_of_nine_tenths():
    """a: 90 of 100 with costs of 50, and a return of 10 that cost 6; b: 89 of 100; c: none. The
    sale of 70 is of the day before the window, as is all of d.
    """
    days = [dt.date(2024, 3, n) for n in (1, 2, 3, 1, 2, 1)] + [dt.date(2024, 2, 29)] * 2
    log = {"customer_id": [*"aaabbcad"], "day": pa.array(days, pa.date32())}
    money, cost = [90, 10, -10, 89, 11, 5, 70, 9], [50, None, -6, 1, None, None, 1, 2]
    both = {"amount": money, "cost": cost}
    decimals = {name: pa.array(values, pa.decimal128(38, 12)) for name, values in both.items()}
    people = customers.at(ibis.memtable(pa.table(log | decimals)), AS_OF, window_days=31)
    assert people.window_profit.tolist() == pytest.approx([36, NOTHING, NOTHING, 0], nan_ok=True)


# Logs without money


def without_money(log):
    ids, days = zip(*log, strict=True)
    none = pa.nulls(len(log), pa.decimal128(38, 12))
    return ibis.memtable(
        pa.table({"customer_id": ids, "day": pa.array(days, pa.date32()), "amount": none})
    )


@given(
    st.lists(
        st.tuples(st.sampled_from(["7", "007", "d"]), st.dates(dt.date(2024, 1, 1), AS_OF)),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=5)
def test_orders_count_without_money_and_money_is_unknown(ledger, log):
    people = customers.at(without_money(log), AS_OF, 30, trailing=[7])
    priced = customers.at(ledger([(*line, "5") for line in log]), AS_OF, 30, trailing=[7])
    money = ["revenue", "order_value", "repeat_value", "window_revenue", "revenue_7"]
    assert people[[c for c in money if c in people]].isna().all(axis=None)
    counts = [c for c in people if c not in (*money, "repeat_valued")]
    pd.testing.assert_frame_equal(people[counts], priced[counts])
    assert set(people.repeat_valued) == {0}


def test_weeks_without_money():
    log = without_money(
        [("7", dt.date(2024, 1, 5)), ("7", dt.date(2024, 2, 5)), ("8", dt.date(2024, 2, 6))]
    )
    weekly = customers.weekly_orders(log, AS_OF)
    assert (weekly["first"].sum(), weekly["repeat"].sum()) == (2, 1)
    assert weekly.revenue.isna().all()


# Prospects


def profiles_of(*ids):
    return ibis.memtable(pa.table({"customer_id": list(ids), "region": ["North"] * len(ids)}))


def test_who_has_a_profile_and_no_order_is_a_prospect(ledger):
    log = ledger([("7", dt.date(2024, 3, 1), "5"), ("9", dt.date(2024, 3, 1), "-5")])
    known = customers.at(log, AS_OF, 30, trailing=[30])
    people = customers.with_prospects(known, profiles_of("8", "7", "07"), AS_OF)
    assert people.customer_id.to_dict() == dict(enumerate(["07", "7", "8", "9"]))
    new = people[people.customer_id.isin(["07", "8"])]
    counts = ["orders", "frequency", "repeat_valued", "window_orders", "orders_30"]
    assert new[[*counts, "revenue", "window_revenue", "revenue_30"]].eq(0).all(axis=None)
    nothing = ["first_order", "last_order", "recency_days", "age_days", "order_value"]
    assert new[[*nothing, "repeat_value"]].isna().all(axis=None)
    before = people[people.customer_id.isin(known.customer_id)].reset_index(drop=True)
    pd.testing.assert_frame_equal(before, known, check_dtype=False)
    schema.conform("customers", people)
    same = customers.with_prospects(known, profiles_of("7"), AS_OF)
    pd.testing.assert_frame_equal(same, known, check_dtype=False)


def test_of_a_past_day_only_those_known_by_then_are_surely_prospects(ledger):
    contact = [AS_OF, AS_OF + dt.timedelta(1), None]
    table = pa.table({"customer_id": ["x", "y", "z"], "first_contact": contact})
    profiles = ibis.memtable(table)
    known = customers.at(ledger([("7", AS_OF, "5")]), AS_OF)
    for told, surely, expected in (
        (profiles, False, ["7", "x", "z"]),
        (profiles, True, ["7", "x"]),
        (profiles_of("8"), True, ["7"]),
    ):
        people = customers.with_prospects(known, told, AS_OF, surely=surely)
        assert people.customer_id.tolist() == expected


def test_the_revenue_of_prospects_is_unknown_where_all_money_is():
    known = customers.at(without_money([("7", AS_OF)]), AS_OF)
    people = customers.with_prospects(known, profiles_of("8"), AS_OF)
    assert people[["revenue", "window_revenue"]].isna().all(axis=None)
    assert people.orders.tolist() == [1, 0]
    schema.conform("customers", people)


@given(PAST, st.lists(st.sampled_from(["7", "007", "张三", "x", "y"]), unique=True, min_size=1))
@settings(max_examples=5)
def test_everybody_known_stands_there_once(ledger, log, names):
    known = customers.at(ledger(log), AS_OF)
    people = customers.with_prospects(known, profiles_of(*names), AS_OF)
    assert people.customer_id.tolist() == sorted({*known.customer_id, *names})
    assert people.orders.sum() == known.orders.sum()
    assert people.revenue.sum() == pytest.approx(known.revenue.sum())
    schema.conform("customers", people)


# Shared definitions


def test_what_is_a_return_a_sale_and_an_order_day():
    columns = {"customer_id": list("abcdefgh"), "day": pa.array([AS_OF] * 8, pa.date32())}
    money = pa.array([5, 0, None, -1, 0, None, 5, 5], pa.decimal128(38, 12))
    quantity = [1, 1, 1, 1, -1, -1, 0, None]
    log = ibis.memtable(pa.table(columns | {"amount": money, "quantity": quantity}))
    assert sorted(customers.sales(log, AS_OF).customer_id.to_list()) == [*"abcgh"]
    assert customers.sales(log, AS_OF - dt.timedelta(days=1)).count().execute() == 0
    people = customers.at(log, AS_OF)
    assert people.orders.tolist() == [1, 1, 1, 0, 0, 0, 1, 1]
    assert customers.has_ordered(people).tolist() == [True] * 3 + [False] * 3 + [True] * 2
    bought = customers.buyers(people)
    assert bought.customer_id.to_dict() == dict(enumerate("abcgh"))


def test_pauses_by_hand(ledger):
    days = [(2024, 1, 1), (2024, 1, 1), (2024, 1, 11), (2024, 2, 10), (2024, 2, 11), (2024, 3, 1)]
    log = [("a", dt.date(*day), "5") for day in days] + [("b", dt.date(2024, 3, 30), "5")]
    log += [("a", dt.date(2024, 1, 5), "-5"), ("c", AS_OF, "-5"), ("b", dt.date(2024, 4, 1), "5")]
    table = ledger(log)
    found = customers.pauses(table, AS_OF).order_by("customer_id", "number").to_pandas()
    assert list(found) == ["customer_id", "start", "number", "days", "ended", "recent"]
    assert found.drop(columns="start").to_numpy().tolist() == [
        ["a", 1, 10, True, False],
        ["a", 2, 30, True, True],
        ["a", 3, 1, True, True],
        ["a", 4, 19, True, True],
        ["a", 5, 30, False, True],
        ["b", 1, 1, False, True],
    ]
    assert pd.to_datetime(found.start).dt.day.tolist() == [1, 11, 10, 11, 1, 30]
    a, b = customers.rhythm(table, AS_OF).order_by("customer_id").to_pandas().itertuples()
    assert (a.pauses, a.usual_pause) == (4, 15)
    assert a.recent_pause == pytest.approx(50 / 3)
    assert a.pause_deviation == pytest.approx(np.std([10, 30, 1, 19]))
    assert b.pauses == 0
    assert np.isnan([b.usual_pause, b.recent_pause, b.pause_deviation]).all()
    people = customers.at(table, AS_OF).query("orders > 0")
    usual = customers.usual_pause(people.age_days - people.recency_days, people.orders)
    assert usual.tolist() == pytest.approx([15, NOTHING], nan_ok=True)
    # 10 and 30 days, then 1 and 19: shares of .25 and .05 of both
    pairs = customers.pause_pairs(table)
    assert pairs.day.dt.strftime("%m-%d").tolist() == ["02-10", "03-01"]
    assert pairs.pairs.tolist() == [1, 2]
    assert pairs.uneven.tolist() == pytest.approx([0.25**2, 0.25**2 + 0.45**2])


def test_the_margin_is_stated_or_known_from_costs_or_unknown():
    people = pd.DataFrame({"window_revenue": [60.0, 40.0, 900.0]})
    costed = people.assign(window_profit=[30.0, -5.0, NOTHING])
    unstated, named = SimpleNamespace(margin=None), SimpleNamespace(margin=0.4)
    for frame, stated, margin, source in (
        (people, unstated, 1, ""),
        (costed, unstated, 0.25, "costs"),
        (costed, named, 0.4, "settings"),
        (costed.assign(window_profit=-10.0), unstated, 0, "costs"),  # all is sold at a loss
        (costed.assign(window_profit=NOTHING), unstated, 1, ""),
        (costed.assign(window_revenue=0.0), unstated, 1, ""),
    ):
        for unit in (1, 0.001):  # pence or millions
            money = frame * unit
            assert customers.margin(money, stated) == pytest.approx(margin)
            assert customers.margin_source(money, stated) == source
