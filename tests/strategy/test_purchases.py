import datetime as dt

import ibis
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.strategy import purchases
from tests.strategy.purchase_logs import AS_OF, ago, basket, contacts, history, lines

GOODS = ["anvil", "bolt", "<b>clamp</b>", "鼓"]
DAYS = st.dates(ago(60), AS_OF + dt.timedelta(days=20))
LINE = st.tuples(
    st.sampled_from("uvwx"),
    DAYS,
    st.sampled_from([*GOODS, None]),
    st.sampled_from([5, 5, 0, None, -5]),
)
CONTACT = st.tuples(st.sampled_from("uvp"), DAYS, st.sampled_from(GOODS[:3]))


@given(st.lists(LINE, max_size=30), st.lists(CONTACT, max_size=20))
@settings(max_examples=8)
def test_what_is_known_is_what_its_definition_says_and_nothing_after_the_day(log, talk):
    known = purchases.gather(
        lines(log), AS_OF, contacts(talk), never=["bolt"], people="pq", item="product"
    )
    expected = history(log, talk, "pq", gone=["bolt"])
    assert known.customers.tolist() == expected.customers.tolist()
    assert known.items.tolist() == expected.items.tolist()
    for name in ("pairs", "wanted"):
        pd.testing.assert_frame_equal(
            getattr(known, name), getattr(expected, name), check_dtype=False, check_like=True
        )
    assert known.offered.tolist() == expected.offered.tolist()
    assert not known.durable.any()


def test_groups_are_the_need_and_the_interest_the_need_before_it():
    """Tools are what x and y like, beyond chance, as the others buy food only; p asked for them,
    and x asked for garden.
    """
    log = [
        (who, ago(n), item, 5, "food")
        for who in "abcdefgh"
        for item in ("bread", "milk")
        for n in range(20)
    ]
    log += [(who, ago(n), "drill", 5, "tools") for who in "xy" for n in range(20)]
    sold = lines([row[:4] for row in log], category=[row[4] for row in log])
    talk = [(who, ago(n), what) for who, what in (("p", "tools"), ("x", "garden")) for n in (1, 2)]
    known = purchases.gather(sold, AS_OF, contacts(talk, "category"), people=["p"])
    found = known.groups.assign(customer=known.customers[known.groups.row])
    assert known.item == "product"
    found = found[found.group != "food"]
    assert found[["customer", "group", "own"]].to_numpy().tolist() == [
        ["p", "tools", True],
        ["x", "garden", True],
        ["x", "tools", False],
        ["y", "tools", True],
    ]


def test_purchases_weigh_half_after_a_half_life_and_several_more_than_one():
    log = basket("a", "anvil", day=purchases.HALF_LIFE_DAYS) + basket("b", "anvil")
    log += basket("c", "anvil") + basket("c", "anvil", day=1) + basket("c", "anvil", day=2)
    known = history([*log, ("d", ago(1), "anvil", -5)])
    assert known.weights.toarray().tolist() == [[0.5], [1.0], [2.0], [0.0]]
    assert known.bought.toarray().ravel().tolist() == [1, 1, 1, 0]
    assert known.known.toarray().ravel().tolist() == [1, 1, 1, 1]
    assert known.has_bought.tolist() == [True, True, True, False]


def test_pieces_that_went_back_are_returns_and_of_a_category_the_odd_one_is_no_refusal():
    log = [("a", ago(n), "anvil", None) for n in (3, 2, 1)]
    for item, returned in (("product", [True]), ("category", [False])):
        sold = lines(log, item, quantity=[1.0, 1.0, -1.0])
        assert purchases.gather(sold, AS_OF, item=item).pairs.returned.tolist() == returned
    even = lines(log[:2], "category", quantity=[1.0, -1.0])
    assert purchases.gather(even, AS_OF, item="category").pairs.returned.tolist() == [True]


def test_what_products_say_holds_of_a_category_when_it_holds_of_all_its_products():
    def flags(item, never=(), **columns):
        goods = {"product": ["anvil", "bolt", "board"], "category": ["metal", "metal", "wood"]}
        products = ibis.memtable(pa.table(goods | columns))
        log = lines([*basket("a", *(goods[item]))], item)
        known = purchases.gather(log, AS_OF, products=products, never=never, item=item)
        return dict(zip(known.items, zip(known.offered, known.durable, strict=True), strict=True))

    some = {"available": [False, True, None], "durable": [True, False, True]}
    assert flags("product", **some) == {
        "anvil": (False, True),
        "bolt": (True, False),
        "board": (True, True),
    }
    assert flags("category", **some) == {"metal": (True, False), "wood": (True, True)}
    both = flags("category", available=[False, False, True], durable=[True, True, False])
    assert both == {"metal": (False, True), "wood": (True, False)}
    unwanted = flags("product", never=["metal"])
    assert [unwanted[name][0] for name in ("anvil", "bolt", "board")] == [False, False, True]


def test_only_so_many_items_are_learned_the_most_bought(monkeypatch):
    monkeypatch.setattr(purchases, "MOST_ITEMS", 2)
    log = [*basket("a", "anvil", "bolt", "drill"), *basket("b", "bolt", "drill")]
    assert list(purchases.gather(lines(log), AS_OF).items) == ["bolt", "drill"]


@pytest.mark.parametrize("log", [lines(basket("a", "anvil"), item=""), lines([])])
def test_without_items_or_lines_nothing_is_known(log):
    known = purchases.gather(log, AS_OF, contacts([("a", AS_OF, "bolt")]))
    assert known.items.empty and known.pairs.empty and known.customers.empty
