import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import schema
from analysis.intake import cleaning
from analysis.strategy import item_rules, offer_trial, offers, purchases
from tests.strategy.purchase_logs import AS_OF, ago, basket, every, history

GOODS = ["anvil", "bolt", "<b>clamp</b>", "drill", "鼓"]


def offered(log, rule="similar_buyers", people=None, names=None, **known):
    """The table for these people; without, for everybody with a line."""
    past = history(log, people=people or (), **known)
    return offers.recommend(past, rule, list(past.customers) if people is None else people, names)


def items_of(table, customer, *kinds):
    own = table[(table.customer_id == customer) & (table.kind.isin(kinds) if kinds else True)]
    return own["item"].tolist()


def rows_of(table, customer):
    own = table[table.customer_id == customer]
    return own[["rank", "item", "kind", "reason"]].to_numpy().tolist()


# By hand
def test_who_buys_one_gets_what_its_other_buyers_have():
    """Three of four buyers of the anvil have the bolt, one the drill; the newest buyer has neither.

    Cosine: anvil and bolt 3 / sqrt(4 * 3), anvil and drill 1 / sqrt(4 * 2); a purchase of today
    weighs 1. Nobody with the clamp has an anvil: similarity speaks for nothing, and the most bought
    fill up.
    """
    log = [*basket("a", "anvil", "bolt"), *basket("b", "anvil", "bolt"), *basket("f", "clamp")]
    log += [*basket("c", "anvil", "bolt", "drill"), *basket("new", "anvil"), *basket("e", "drill")]
    table = offered(log)
    assert rows_of(table, "new") == [
        [1, "bolt", "new", "often bought with anvil"],
        [2, "drill", "new", "often bought with anvil"],
        [3, "clamp", "popular", "most bought"],
    ]
    scores = table[table.customer_id == "new"].score.tolist()
    assert scores == pytest.approx([3 / 12**0.5, 1 / 8**0.5, 1 / 6], abs=1e-9)


def test_the_later_purchase_counts_more():
    """The bolt goes with the anvil as the drill with the clamp, each to 1 / sqrt(2 * 1); the clamp
    was bought a half-life before the anvil.
    """
    log = [*basket("a", "anvil", "bolt"), *basket("b", "clamp", "drill"), *basket("z", "anvil")]
    table = offered(log + basket("z", "clamp", day=purchases.HALF_LIFE_DAYS))
    assert items_of(table, "z", "new") == ["bolt", "drill"]
    single = 1 / 2**0.5
    assert table[table.customer_id == "z"].score.tolist() == pytest.approx([single, single / 2])


def test_the_reason_is_the_purchase_that_adds_most_under_its_name():
    """The bolt has gone with the drill twice, with the anvil once. Text of the data stays text."""
    log = [*basket("a", "drill", "bolt"), *basket("b", "drill", "bolt"), *basket("d", "anvil")]
    log += [*basket("c", "anvil", "bolt"), *basket("z", "anvil", "drill")]
    assert rows_of(offered(log), "z")[0] == [1, "bolt", "new", "often bought with drill"]
    named = offered(log, names=pd.Series({"drill": "<b>{x}</b>"}))
    assert rows_of(named, "z")[0][3] == "often bought with <b>{x}</b>"


def test_a_wanted_thing_goes_first_while_it_is_fresh():
    """Asked on two days: fresh goes before the rule, older behind it; what is bought or asked once
    is no need.
    """
    log = [*basket("a", "anvil", "bolt"), *basket("b", "anvil", "bolt"), *basket("c", "clamp")]
    log += basket("z", "anvil")
    asked = [("z", ago(n), "drill") for n in (4, 9)] + [("z", ago(9), "anvil")] * 2
    assert rows_of(offered(log, talk=asked), "z")[:2] == [
        [1, "drill", "asked", "asked about on 2 days, last 4 days ago"],
        [2, "bolt", "new", "often bought with anvil"],
    ]
    for days, first in ((offers.FRESH_DAYS - 4, "asked"), (offers.FRESH_DAYS - 3, "new")):
        old = [(who, day - dt.timedelta(days=days), item) for who, day, item in asked]
        found = rows_of(offered(log, talk=old), "z")
        assert found[0][2] == first
        assert found[2][1:3] == ["clamp", "popular"]


def test_a_prospect_is_offered_what_others_of_the_same_need_buy():
    """x and y like tools, and so asks p: of the three, two have the drill and one the saw."""
    log = [*basket("x", "drill", "saw"), *basket("y", "drill")]
    log += [row for who in "abcdefgh" for row in basket(who, "bread")]
    groups = [("p", "tools", True), ("x", "tools", True), ("y", "garden", True)]
    table = offered(log, people=["p"], groups=[*groups, ("y", "tools", False)])
    said = "most bought by customers who like or ask for tools"
    assert rows_of(table, "p") == [
        [1, "drill", "popular", said],
        [2, "saw", "popular", said],
        [3, "bread", "popular", "most bought"],
    ]
    assert table.score.tolist() == pytest.approx([2 / 3, 1 / 3, 8 / 10])


@pytest.mark.parametrize("rule", ["similar_buyers", "most_bought"])
def test_a_customer_nobody_is_like_gets_the_most_bought(rule):
    log = [*basket("a", "bolt", "drill"), *basket("b", "bolt", "drill"), *basket("c", "bolt")]
    table = offered(log + basket("z", "anvil"), rule, people=["z", "prospect", "nobody", "z"])
    found = [[1, "bolt", "popular", "most bought"], [2, "drill", "popular", "most bought"]]
    assert rows_of(table, "z") == found
    assert items_of(table, "prospect") == ["bolt", "drill", "anvil"]
    own = table[table.customer_id == "prospect"]
    assert own.score.tolist() == pytest.approx([3 / 4, 2 / 4, 1 / 4])


def test_due_again_is_between_one_and_three_own_pauses():
    cases = [(3, 10, True), (3, 9, False), (3, 30, True), (3, 31, False), (2, 15, False)]
    for times, last, is_due in cases:
        table = offered(every("z", "bolt", 10, times, last) + basket("a", "anvil"))
        expected = [f"usually bought every 10 days, last {last} days ago"] if is_due else []
        assert table[table.kind == "again"].reason.tolist() == expected, (times, last)


def test_one_place_is_for_what_is_due_again_and_it_is_what_is_bought_most():
    log = every("z", "bolt", 10, 3, 12) + every("z", "anvil", 10, 4, 12)
    table = offered(log + basket("a", "drill", "clamp", "bolt"))
    assert items_of(table, "z", "again") == ["anvil"]
    assert items_of(table, "z") == ["anvil", "clamp", "drill"]
    assert table.score[table.kind == "again"].tolist() == [4]


def test_what_is_durable_gone_returned_or_unwanted_is_left_out():
    log = every("z", "bolt", 10, 3, 12) + basket("a", "anvil", "drill", "bolt", "clamp")
    new = {"anvil", "drill", "clamp"}
    assert set(items_of(offered(log), "z")) == {"bolt", "anvil", "clamp"}
    assert set(items_of(offered(log, durable=["bolt"]), "z")) == new
    assert set(items_of(offered(log, gone=["bolt", "anvil"]), "z")) == {"clamp", "drill"}
    assert set(items_of(offered([*log, ("z", ago(12), "bolt", -5)]), "z")) == new
    asked = [("z", ago(n), "anvil") for n in (1, 2)]
    assert items_of(offered(log, talk=asked), "z", "asked") == ["anvil"]
    assert items_of(offered(log, talk=asked, gone=["anvil"]), "z", "asked") == []
    assert offered(log, gone=["anvil", "bolt", "clamp", "drill"]).empty


@pytest.mark.parametrize("rule", list(item_rules.RULES)[1:])
def test_planted_pairs_are_found(rule):
    """300 customers: who has a1 has b1 in four of five cases, and so on for five pairs, among ten
    goods that go with nothing. To each of 20 who have only the first of a pair, the second is
    offered first, and because of the first; the most bought would offer another.
    """
    random, log = np.random.default_rng(3), []
    people = [(f"c{n}", n % 5, random.random() < 0.8) for n in range(300)]
    for who, pair, both in people + [(f"z{n:02}", n % 5, False) for n in range(20)]:
        chance = [f"x{n}" for n in np.flatnonzero(random.random(10) < 0.15)]
        log += basket(who, f"a{pair}", *chance, *([f"b{pair}"] if both else []))
    known = history(log)
    table, most = (
        offers.recommend(known, name, [f"z{n:02}" for n in range(20)])
        for name in (rule, "most_bought")
    )
    first = table[table["rank"] == 1]
    assert first["item"].tolist() == [f"b{n % 5}" for n in range(20)]
    assert first.reason.tolist() == [f"often bought with a{n % 5}" for n in range(20)]
    assert not most[most["rank"] == 1]["item"].str.startswith("b").any()


# What always holds
DAYS = st.dates(ago(180), AS_OF)
LINE = st.tuples(
    st.sampled_from("uvwxyz"), DAYS, st.sampled_from(GOODS), st.sampled_from([5, 5, 5, None, -5])
)
CONTACT = st.tuples(st.sampled_from("uvwxyzp"), DAYS, st.sampled_from(GOODS))
SOME = st.sets(st.sampled_from(GOODS), max_size=3)


@given(
    st.lists(LINE, max_size=40),
    st.lists(CONTACT, max_size=15),
    SOME,
    SOME,
    st.sampled_from(list(item_rules.RULES)),
)
def test_what_is_left_out_is_never_proposed(log, talk, gone, durable, rule):
    people, groups = [*"uvwxyzp"], [("p", "g", True), ("u", "g", False), ("v", "g", True)]
    table = offered(log, rule, people, talk=talk, gone=gone, durable=durable, groups=groups)
    schema.conform("recommendations", table)
    assert not gone & set(table["item"])
    assert set(table.kind) <= set(offers.KINDS)
    assert not table.duplicated(["customer_id", "item"]).any()
    assert table.score.gt(0).all() and table.reason.ne("").all()
    sold = {item for _, _, item, amount in log if (amount or 0) >= 0}
    for customer in people:
        own = table[table.customer_id == customer]
        mine = [(item, (amount or 0) < 0) for who, _, item, amount in log if who == customer]
        known, back = {item for item, _ in mine}, {item for item, returned in mine if returned}
        again = set(own[own.kind == "again"]["item"])
        assert own["rank"].tolist() == list(range(1, len(own) + 1))
        assert not known & (set(own["item"]) - again)
        assert again <= known - back - durable and len(again) <= offers.AGAIN_PLACES
        # nobody is left without while there is something that others buy
        assert offers.PLACES >= len(own) >= min(offers.PLACES, len(sold - gone - known))


def test_blocks_do_not_matter(monkeypatch):
    random = np.random.default_rng(4)
    log = [
        (f"c{random.integers(30)}", ago(int(random.integers(99))), f"i{random.integers(9)}", 5)
        for _ in range(300)
    ]
    whole = offered(log, "regression")
    monkeypatch.setattr(offers, "CELLS", 20)
    pd.testing.assert_frame_equal(whole, offered(log, "regression"))


# Little to go by
@pytest.mark.parametrize("rule", ["most_bought", item_rules.DEFAULT])
def test_where_there_is_nothing_to_go_by_there_is_nothing(rule):
    everything = [row for who in "abc" for row in basket(who, "anvil", "bolt")]
    tables = [offered([], rule), offered([], rule, people=["a"]), offered(everything, rule)]
    tables += [offered(everything, rule, people=[]), offered(basket("a", "anvil"), rule)]
    for table in tables:
        assert table.empty
        schema.conform("recommendations", table)
    assert items_of(offered(everything, rule, people=["prospect"]), "prospect") == ["anvil", "bolt"]
    pieces = [("a", AS_OF, "anvil", -5), ("b", AS_OF, "anvil", None), ("b", AS_OF, "bolt", 0)]
    assert items_of(offered(pieces, rule), "a") == ["bolt"]


# For the page
def test_counts_and_items_by_hand():
    rows = [("a", 1, "bolt", "new"), ("a", 2, "drill", "again"), ("b", 1, "bolt", "asked")]
    rows += [("c", 1, "anvil", "popular")]
    table = pd.DataFrame(rows, columns=["customer_id", "rank", "item", "kind"])
    counted = {"customers": 3, "new": 1, "again": 1, "asked": 1, "popular": 1}
    assert offers.counts(table) == counted
    assert offers.by_item(table, pd.Series({"bolt": "Bolt"})).to_numpy().tolist() == [
        ["Bolt", 2, 1, 0, 1, 0],
        ["anvil", 1, 0, 0, 0, 1],
        ["drill", 1, 0, 1, 0, 0],
    ]
    assert offers.counts(table.head(0))["customers"] == 0
    assert offers.by_item(table.head(0), pd.Series(dtype="str")).empty


def test_the_invented_company_is_offered_what_it_may_be(crm_demo):
    """On real, dirty records: no durable twice, nothing that is gone, nothing returned, three for
    nearly everybody; and the proposals hit more often than the most bought, in an interval apart.
    """
    sold, as_of = crm_demo.transactions, crm_demo.dataset.as_of
    products = cleaning.records(crm_demo.judged["products"])
    asked = cleaning.categorised(cleaning.records(crm_demo.judged["interactions"]), products)
    known = purchases.gather(sold, as_of, asked, products)
    table = offers.recommend(known, item_rules.DEFAULT, list(known.customers))
    goods = products.to_pandas().set_index("product")
    assert goods.available[table["item"]].all()
    log = sold.select("customer_id", "product", "amount").to_pandas()
    keys = pd.MultiIndex.from_frame(log[["customer_id", "product"]])
    proposed = pd.MultiIndex.from_frame(table[["customer_id", "item"]])
    again = (table.kind == "again").to_numpy()
    assert (proposed.isin(keys) == again).all()
    assert not proposed[again].isin(keys[(log.amount < 0).to_numpy()]).any()
    assert not goods.durable[table["item"][again]].any()
    assert (table.groupby("customer_id").size() == offers.PLACES).mean() > 0.95
    day = as_of - dt.timedelta(days=91)
    found = offer_trial.judged(sold, day, 91, asked, "product", champion=item_rules.DEFAULT)
    assert found.board.low["proposed"] > found.board.high["most_bought"]
