import datetime as dt
from decimal import Decimal
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from analysis import schema
from analysis.intake.dataset import Dataset
from analysis.strategy import winback

NOTHING = float("nan")
AS_OF = dt.date(2024, 3, 31)
ORDERS = {"path": "orders.csv", "columns": {"customer_id": "id", "date": "day", "amount": "eur"}}
PLAN = {
    "message": {"cost": 1, "success": 0.1},
    "call": {"cost": 20, "success": 0.5},
    "on_silent": 0.5,
    "on_lost": 0.1,
}


def of(**more):
    return Dataset.model_validate({"tables": {"transactions": ORDERS}, "retention": PLAN} | more)


# What was bought last
def log(rows, **more):
    """The table `transactions` from (customer_id, day of March, product, category, amount)."""
    ids, days, products, categories, amounts = zip(*rows, strict=True)
    money = [None if amount is None else Decimal(amount) for amount in amounts]
    columns = {
        "customer_id": pa.array(ids, pa.string()),
        "day": pa.array([dt.date(2024, 3, day) for day in days], pa.date32()),
        "amount": pa.array(money, pa.decimal128(38, 12)),
        "product": pa.array(products, pa.string()),
        "category": pa.array(categories, pa.string()),
    }
    return ibis.memtable(pa.table(columns | more))


def items(transactions, as_of=AS_OF):
    found = winback.last_items(transactions, as_of)
    return dict(zip(found.customer_id, found.last_items, strict=True))


def test_the_three_dearest_of_the_last_order_day_of_equals_by_name():
    rows = [
        ("a", 1, "gold", None, 900),  # earlier
        ("a", 9, "tea", None, 5),
        ("a", 9, "mugs", None, 8),
        ("a", 9, "tea", None, 4),  # tea makes 9 in two lines
        ("a", 9, "beans", None, 8),
        ("a", 9, "sugar", None, 7),
        ("b", 2, "milk", None, 1),
    ]
    assert items(log(rows)) == {"a": "tea, beans, mugs", "b": "milk"}
    assert items(log(rows[::-1])) == items(log(rows))


def test_a_return_is_no_last_order_and_neither_is_a_line_of_later_days():
    rows = [
        ("a", 1, "tea", None, 5),
        ("a", 5, "tea", None, -5),
        ("a", 9, "mugs", None, 5),
        ("b", 9, "mugs", None, 5),
    ]
    assert items(log(rows), dt.date(2024, 3, 8)) == {"a": "tea"}
    back = log([*rows[:2], ("a", 6, "beans", None, 0)], quantity=pa.array([1.0, 1, -1]))
    assert items(back) == {"a": "tea"}


def test_what_of_the_last_order_is_not_known_is_not_taken_from_an_earlier_one():
    rows = [
        ("a", 1, "tea", None, 5),
        ("a", 9, None, None, 7),
        ("b", 9, "mugs", None, 5),
        ("b", 9, None, None, 7),
    ]
    assert items(log(rows)) == {"b": "mugs"}


def test_for_products_that_are_numbers_categories_stand():
    rows = [("a", 9, "4711", "tea", 5), ("a", 9, "0815", "mugs", 8)]
    assert items(log(rows)) == {"a": "mugs, tea"}
    assert items(log([*rows, ("b", 9, "A1", "beans", 8)])) == {"a": "0815, 4711", "b": "A1"}
    assert items(log(rows).drop("product")) == {"a": "mugs, tea"}
    assert items(log([("a", 9, "tea leaves", "tea", 5)]).drop("category")) == {"a": "tea leaves"}


def test_without_money_items_stand_by_name():
    rows = [("a", 9, name, None, None) for name in ("tea", "beans", "mugs", "sugar")]
    assert items(log(rows)) == {"a": "beans, mugs, sugar"}


def test_a_log_without_products_and_categories_tells_no_items():
    found = winback.last_items(log([("a", 9, None, None, 5)]).drop("product", "category"), AS_OF)
    assert found.empty and found.columns.tolist() == ["customer_id", "last_items"]
    assert items(log([("a", 9, None, None, 5)])) == {}


# What a return is worth
def returners(count, orders=1, came=3, more=()):
    """A trial in which `count` silent customers came back and ordered `came` times, and others as
    told.
    """
    rows = [*((f"s{n}", "silent", orders, 5.0, orders + came) for n in range(count)), *more]
    ids, stages, before, days, after = (
        map(list, zip(*rows, strict=True)) if rows else ([], [], [], [], [])
    )
    held = pd.DataFrame(
        {"customer_id": ids, "stage": stages, "orders": before, "next_order_days": days}
    )
    today = pd.DataFrame(
        {"customer_id": ids[::-1], "orders": pd.Series(after[::-1], dtype=float)}
    ).dropna()
    return SimpleNamespace(measured=SimpleNamespace(held=held), today=SimpleNamespace(held=today))


def test_orders_of_returners_are_the_mean_of_those_who_were_away_and_came_back():
    """20 came back 3 times and 5 once, so 65 / 25; who stayed away, or was not away, says nothing
    of it.
    """
    others = [(f"l{n}", "lost", 7, 80.0, 8) for n in range(5)]
    others += [("away", "lost", 1, NOTHING, 1), ("loyal", "loyal", 9, 2.0, 99)]
    assert winback.orders_of_returners(returners(20, more=others)) == pytest.approx(2.6)


def test_who_came_back_ordered_once_at_least():
    """A return that took back the only order of a day leaves as many order days as before."""
    assert winback.orders_of_returners(returners(20, came=0)) == 1


def test_who_came_back_and_is_no_customer_any_more_does_not_hide_the_others():
    """Of a contract that ended since, today's customers do not tell."""
    assert winback.orders_of_returners(returners(20, more=[("gone", "lost", 1, 3.0, NOTHING)])) == 3


@pytest.mark.parametrize("found", [returners(19), returners(0), SimpleNamespace(measured=None)])
def test_too_few_returners_count_once(found):
    assert winback.orders_of_returners(found) == 1


def people(**facts):
    count = max((len(column) for column in facts.values() if isinstance(column, list)), default=1)
    usual = {
        "customer_id": [f"c{n}" for n in range(count)],
        "stage": "silent",
        "last_order": pd.Timestamp("2024-01-31"),
        "recency_days": 60,
        "order_value": 100.0,
    }
    return pd.DataFrame(usual | facts)


def scores(known, risk=0.8, stake=50.0, lost=None):
    """As from watch.scored, as far as needed."""
    told = {
        "customer_id": known.customer_id,
        "churn_risk": risk,
        "value_at_stake": stake,
        "reasons": "why",
    }
    return pd.DataFrame(
        told | {"lost": known.stage == "lost" if lost is None else lost}, index=known.index
    )


def worth(known, orders=2.0, settings=None, **told):
    return winback.expected_return(known, scores(known, **told), orders, settings or of())


def test_expected_return_by_hand():
    """A return is worth 100 x 2. Silent: a message wins 0.8 x 0.5 x 0.1 x 200 - 1 = 7, a call 0.8 x
    0.5 x 0.5 x 200 - 20 = 20. Lost, with a fifth of that: 0.6 and -12. Others, with all of it: 15
    and 60.
    """
    made = worth(people(stage=["silent", "lost", "loyal"]))
    assert made.way.tolist() == ["call", "message", "call"]
    assert made["value"].tolist() == [200, 200, 200]
    assert made.cost.tolist() == [20, 1, 20]
    assert made.expected_return.tolist() == pytest.approx([20, 0.6, 60])


def test_the_margin_and_the_orders_of_returners_count_in_the_value():
    made = worth(people(), orders=3.0, settings=of(margin=0.5))
    assert made["value"].tolist() == [150]
    assert made.expected_return.tolist() == pytest.approx([0.8 * 0.5 * 0.5 * 150 - 20])


def test_a_contact_that_costs_a_share_costs_that_of_those_not_lost():
    """They bring 40 on average, so that a call costs 20 and a message 4."""
    plan = {
        "message": {"share": 0.1, "success": 0.1},
        "call": {"share": 0.5, "success": 0.5},
        "on_lost": 0.1,
    }
    known = people(stage=["silent", "silent", "lost"])
    made = worth(known, settings=of(retention=plan), stake=[30.0, 50.0, 1e6])
    assert made.cost.tolist() == pytest.approx([20, 20, 4])


def test_without_money_or_without_a_risk_nothing_is_worth_anything():
    known = people(stage=["silent", "lost"], order_value=[NOTHING, NOTHING])
    assert worth(known, stake=NOTHING).expected_return.isna().all()
    assert worth(people(), risk=NOTHING).expected_return.isna().all()
    chosen, refused = listed(known, stake=NOTHING, consent=pd.Series({"c0": False}))
    assert chosen.empty and refused == 0


# How to begin
def test_the_worst_comes_first():
    known = people(
        open_tickets=[1.0, 0, 0, 0, 0, 0],
        complaints=[1.0, 1, 0, 0, 0, 0],
        satisfaction=[0.0, NOTHING, 0.25, NOTHING, 1, 0.4],
        returns=[1.0, 1, 1, 1, 0, 0],
    )
    ways = pd.Series(["call", "call", "call", "call", "call", "message"])
    assert winback.approach(known, ways).tolist() == [
        "settle_complaint",
        "ask_what_went_wrong",  # complained
        "ask_what_went_wrong",  # unhappy
        "offer_replacement",
        "call_in_person",
        "write_about_last",  # 2 of 5 is not below
    ]


def test_without_records_of_opinions_the_way_decides():
    known = people(customer_id=["a", "b"])
    assert winback.approach(known, pd.Series(["call", "message"])).tolist() == [
        "call_in_person",
        "write_about_last",
    ]


# The list
NO_ITEMS = pd.DataFrame(
    {"customer_id": pd.Series(dtype="str"), "last_items": pd.Series(dtype="str")}
)


def listed(known, items=NO_ITEMS, consent=None, orders=2.0, settings=None, **told):
    table = scores(known, **told)
    worth = winback.expected_return(known, table, orders, settings or of())
    profiles = pd.DataFrame({"customer_id": known.customer_id[:0]})
    if consent is not None:
        profiles = consent.rename("consent").rename_axis("customer_id").reset_index()
    return winback.listed(known, table, worth, items, profiles)


def test_listed_by_hand():
    """As above: 20 of the silent, 0.6 of the lost one; the loyal one is not away, and of d's small
    orders nothing pays.
    """
    known = people(
        customer_id=["a", "b", "c", "d"],
        stage=["lost", "silent", "loyal", "silent"],
        order_value=[100.0, 100, 100, 1],
    )
    bought = pd.DataFrame({"customer_id": ["a", "x"], "last_items": ["tea, mugs", "gold"]})
    chosen, refused = listed(known, bought)
    assert chosen.customer_id.tolist() == ["b", "a"]
    assert chosen.expected_return.tolist() == pytest.approx([20, 0.6])
    assert chosen.cost.tolist() == [20, 1]
    assert chosen.approach.tolist() == ["call_in_person", "write_about_last"]
    assert (
        chosen.last_items.isna().tolist() == [True, False] and chosen.last_items[1] == "tea, mugs"
    )
    assert (chosen.reasons == "why").all() and refused == 0
    assert schema.conform("winback", chosen)["last_items"].to_pylist() == [None, "tea, mugs"]


def test_what_brings_nothing_is_not_listed():
    """0.5 x 0.5 x 0.1 x 40 - 1 = 0 of a message."""
    no_call = of(retention=PLAN | {"call": {"cost": 99, "success": 0.5}})
    chosen, _ = listed(people(order_value=[20.0, 21.0]), risk=0.5, settings=no_call)
    assert chosen.customer_id.tolist() == ["c1"]


def test_of_equals_the_ids_decide_whatever_the_order_of_rows():
    known = people(customer_id=["b", "10", "9", "a"], order_value=[100.0, 100, 100, 200])
    for rows in (known, known.iloc[::-1].reset_index(drop=True)):
        assert listed(rows)[0].customer_id.tolist() == ["a", "10", "9", "b"]


@pytest.mark.parametrize("dtype", [object, "boolean"])
def test_without_a_recorded_yes_nobody_is_listed_and_the_left_out_are_counted(dtype):
    """yes has agreed, no has not, of dash the profile says nothing, none has no profile; poor is
    worth nothing anyway, and here is no customer who is away.
    """
    known = people(
        customer_id=["yes", "no", "dash", "none", "poor", "here"],
        order_value=[100.0, 100, 100, 100, 1, 100],
    )
    known.loc[5, "stage"] = "loyal"
    consent = pd.Series(
        {"yes": True, "no": False, "dash": None, "poor": False, "here": False, "other": True},
        dtype=dtype,
    )
    chosen, refused = listed(known, consent=consent)
    assert chosen.customer_id.tolist() == ["yes"]
    assert refused == 3
    everybody, nobody_refused = listed(known)
    assert set(everybody.customer_id) == {"yes", "no", "dash", "none"} and nobody_refused == 0


def test_nobody_has_agreed():
    chosen, refused = listed(
        people(customer_id=["a", "b"]), consent=pd.Series({"a": None, "b": None}, dtype=object)
    )
    assert chosen.empty and refused == 2
    schema.conform("winback", chosen)


VALUES, SHARES = (st.one_of(st.just(NOTHING), st.floats(0, most)) for most in (1e5, 1))
AWAY_OR_NOT = st.tuples(
    st.sampled_from(["silent", "lost", "loyal"]),
    VALUES,
    SHARES,
    st.sampled_from([True, False, None]),
)


@tried(max_examples=60)
@given(st.lists(AWAY_OR_NOT, max_size=9))
def test_the_list_holds_all_who_are_away_worth_it_and_may_be_contacted_and_no_other(rows):
    stages, values, risks, agreed = map(list, zip(*rows, strict=True)) if rows else ([], [], [], [])
    known = people(
        stage=stages, order_value=values, customer_id=[f"c{n}" for n in range(len(rows))]
    )
    known = known.astype({"order_value": float, "last_order": "datetime64[us]"})
    consent = pd.Series(agreed, known.customer_id, dtype=object)
    chosen, refused = listed(known, consent=consent, risk=pd.Series(risks, dtype=float))
    left = {"silent": 0.5, "lost": 0.1, "loyal": 0}
    gains = {}
    for n, (stage, value, risk, _) in enumerate(rows):
        gain = max(
            risk * left[stage] * 0.1 * value * 2 - 1, risk * left[stage] * 0.5 * value * 2 - 20
        )
        if stage in ("silent", "lost") and gain > 1e-9:
            gains[f"c{n}"] = gain
    may = {who for who, yes in zip(known.customer_id, agreed, strict=True) if yes is True}
    made = chosen[chosen.expected_return > 1e-9]
    assert set(made.customer_id) == gains.keys() & may
    assert made.expected_return.tolist() == pytest.approx([gains[who] for who in made.customer_id])
    assert chosen.expected_return.is_monotonic_decreasing
    assert refused >= len(gains.keys() - may)
    assert schema.conform("winback", chosen).num_rows == len(chosen)


def test_a_company_without_customers_has_an_empty_list():
    chosen, refused = listed(people(customer_id=[]))
    assert schema.conform("winback", chosen).num_rows == 0 and refused == 0


def test_the_frames_are_left_as_they_were():
    known = people(stage=["silent", "lost"])
    before, table = known.copy(), scores(known)
    told = table.copy()
    winback.listed(known, table, worth(known), NO_ITEMS, known[["customer_id"]])
    pd.testing.assert_frame_equal(known, before)
    pd.testing.assert_frame_equal(table, told)
    assert np.isfinite(worth(known).expected_return).all()
