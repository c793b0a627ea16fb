import datetime as dt
import math

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.intake import cleaning, readers
from analysis.segments import interests
from tests.segments.made import AS_OF, log

WEEKS = dt.timedelta(weeks=13)
KINDS = ["tea", "coffee", "mugs", "<script>alert(1)</script>"]
DAYS = st.dates(dt.date(2024, 1, 1), AS_OF + dt.timedelta(days=20))
ITEMS = st.sampled_from([*KINDS, None])
LINE = st.tuples(st.sampled_from("abcd"), DAYS, ITEMS, st.sampled_from([5, 0, -5]))
CONTACT = st.tuples(st.sampled_from("abcde"), DAYS, ITEMS, st.sampled_from([None, 100]))


def lines(rows, item="category"):
    """The table `transactions` from (customer_id, day, item, amount)."""
    return log([(who, day, amount, what) for who, day, what, amount in rows], item)


def bought(customer, amount=5, **counts):
    """A purchase on each of the first days of March for every kind, as many as counted."""
    days = [(kind, day) for kind, count in counts.items() for day in range(1, count + 1)]
    return [(customer, dt.date(2024, 3, day), kind, amount) for kind, day in days]


def asks(customer, **counts):
    return bought(customer, amount=None, **counts)


def is_empty(found, people):
    columns = ["interest", "affinity", "need", "need_contacts", "last_asked"]
    return len(found) == people and found[columns].isna().all(None)


# affinity
def test_affinity_by_hand():
    """24 of the 32 purchases are tea. Of the 8 of b, 6 were to be expected; a alone would have been
    12 of 16.

    b has bought 8 mugs where 2 were expected: (8 + 1) / (2 + 1) = 3. All 8 of 8 at a chance of 1/4:
    surprise 8 ln 4.
    """
    table = lines([*bought("a", tea=24), *bought("b", mugs=8)])
    made = interests.affinity(table, AS_OF).to_pandas().set_index(["customer_id", "item"])
    mugs = made.loc["b", "mugs"]
    assert (mugs.purchases, mugs.expected, mugs.affinity, mugs.share) == (8, 2, 3, 1)
    assert mugs.surprise == pytest.approx(8 * math.log(4))
    assert mugs.interest
    assert made.loc[("a", "tea"), "affinity"] == pytest.approx(25 / 19)
    found = interests.at(table, None, AS_OF)
    assert found.interest.tolist() == ["tea", "mugs"]
    assert found.loc[1, ["affinity", "interest_share"]].tolist() == [3, 1]


def test_one_purchase_says_little():
    """Of the only mug ever sold 1 / 101 was expected of its buyer: so rare, and yet the affinity
    stays below 2 and is no interest. Two mugs, bought on two days, are one.
    """
    rows = [*(row for n in range(10) for row in bought(f"c{n}", tea=10)), *bought("z", mugs=1)]
    made = interests.affinity(lines(rows), AS_OF).to_pandas().set_index("item").loc["mugs"]
    assert made.affinity == pytest.approx(2 / (1 + 1 / 101))
    assert not made.interest
    twice = interests.at(lines([*rows, ("z", AS_OF, "mugs", 5)]), None, AS_OF)
    assert twice.interest.dropna().tolist() == ["mugs"]


def test_surprise_never_overstates_the_binomial_tail(engine):
    """Chernoff's bound lies above the tail, and on it where every trial hits; at or below
    expectation nothing surprises.
    """
    cases = [(3, 0.5, 3), (6, 2.0, 9), (30, 20.0, 60), (1, 0.1, 40), (2, 2.0, 4), (1, 2.0, 4)]
    table = ibis.memtable(pd.DataFrame(cases, columns=["observed", "expected", "trials"]))
    bounds = table.select(s=interests.surprise(table.observed, table.expected, table.trials))
    for (observed, expected, trials), surprise in zip(cases, engine.execute(bounds).s, strict=True):
        tail = stats.binom.sf(observed - 1, trials, expected / trials)
        bound = math.exp(-surprise)
        assert bound == pytest.approx(tail) if observed == trials else bound > tail
        assert (surprise == 0) == (observed <= expected)


def test_chance_makes_few_interests():
    """2,000 customers who all buy by the same mix: at most CHANCE of them may seem to have an
    interest.
    """
    random = np.random.default_rng(5)
    kinds = random.choice(list("abcde"), (2_000, 20), p=[0.4, 0.3, 0.2, 0.07, 0.03])
    first = dt.date(2024, 1, 1)
    rows = [(f"{w}", first + dt.timedelta(days=d), k, 5) for (w, d), k in np.ndenumerate(kinds)]
    assert 0 < interests.at(lines(rows), None, AS_OF).interest.notna().mean() < interests.CHANCE


def test_lines_of_a_day_are_one_purchase_and_returns_none():
    rows = [("a", dt.date(2024, 3, n), 5, "tea", 1.0) for n in (1, 2, 2)]
    rows += [("a", AS_OF, -5, "tea", 1.0), ("a", AS_OF, 0, "mugs", -1.0)]
    rows += [("a", dt.date(2024, 3, 5), None, "tea", None)]
    made = interests.purchases(log(rows, "category", "quantity"), AS_OF).to_pandas()
    assert made.to_dict("records") == [{"customer_id": "a", "item": "tea", "purchases": 3}]


# needs
def test_needs_by_hand():
    """a asked for mugs on 3 days and bought tea only; its one look at coffee is a need of b, who
    named money once in two of nine contacts.

    c asked for mugs twice in nine contacts, less than a quarter, and g twice in eight; d bought
    mugs and sent them back; e asked once, for 0; of what f asked about alike the latest is taken.
    """
    returned = [("d", AS_OF, "mugs", 5), ("d", AS_OF, "mugs", -5)]
    table = lines([*(row for who in "abcg" for row in bought(who, tea=1)), *returned])
    questions = [*asks("a", mugs=3, tea=5, coffee=1), *asks("c", mugs=2, tea=7), *asks("d", mugs=4)]
    questions += [("e", AS_OF, "tea", 0), *asks("g", mugs=2, tea=6), *asks("a", mugs=3)]
    questions += [("b", AS_OF, "coffee", 100), ("b", AS_OF, "coffee", None)]
    questions += asks("b", coffee=1, tea=7)
    questions += [*asks("f", tea=2), *(("f", dt.date(2024, 3, d), "mugs", None) for d in (2, 9))]
    made = interests.at(table, lines(questions), AS_OF).set_index("customer_id")
    assert made.need.dropna().to_dict() == {"a": "mugs", "b": "coffee", "f": "mugs", "g": "mugs"}
    assert made.need_contacts.dropna().to_dict() == {"a": 3, "b": 2, "f": 2, "g": 2}
    assert made.last_asked["a"] == pd.Timestamp(2024, 3, 3)
    assert made.index.tolist() == list("abcdefg")


def test_a_need_ends_with_the_purchase():
    table, contacts = lines([("a", dt.date(2024, 3, 20), "tea", 5)]), lines(asks("a", tea=3))
    assert interests.at(table, contacts, dt.date(2024, 3, 19)).need.tolist() == ["tea"]
    assert interests.at(table, contacts, dt.date(2024, 3, 20)).need.isna().all()


def test_who_asks_for_what_by_hand():
    people = pd.DataFrame({"orders": [2, 0, 1, 0, 3], "need": ["tea", "tea", "mugs", None, None]})
    made = interests.needs_by(people)
    assert made.index.tolist() == ["tea", "mugs"]
    assert made.to_numpy().tolist() == [[1, 1], [1, 0]]
    assert interests.needs_by(people.iloc[3:]).empty
    most = {"customers": 3, "prospects": 1, "item": "tea", "count": 1}
    assert interests.most_asked(made) == most
    assert interests.most_asked(made.assign(buyers=[1, 2]))["item"] == "mugs"
    only = interests.most_asked(made.assign(buyers=0))
    assert (only["customers"], only["item"], only["count"]) == (1, "tea", 1)


def test_the_most_frequent_interest_is_named_and_no_interest_is_none():
    groups = pd.DataFrame({"customers": [7, 2, 1]}, index=["no_interest", "tea", "mugs"])
    found = {"customers": 3, "share": 0.3, "item": "tea", "count": 2}
    assert interests.most_liked(groups) == found
    assert interests.most_liked(groups.head(1))["item"] == ""


def test_names_of_products_are_theirs_alone():
    products = ibis.memtable({"product": ["p", "q"], "product_name": ["Tea, 100 g", None]})
    assert interests.product_names(products, "product").to_dict() == {"p": "Tea, 100 g"}
    assert interests.product_names(products, "category").empty
    assert interests.product_names(None, "product").empty


# whatever the records
@given(
    st.lists(LINE, min_size=1, max_size=30),
    st.lists(CONTACT, max_size=20),
    st.randoms(use_true_random=False),
)
@settings(max_examples=3)
def test_neither_the_order_of_rows_nor_what_comes_later_matters_and_weeks_shift_days(
    log, contacts, random
):
    found = interests.at(lines(log), lines(contacts), AS_OF)
    past = [[row for row in rows if row[1] <= AS_OF] for rows in (log, contacts)]
    later = [
        [(who, day + WEEKS, *rest) for who, day, *rest in random.sample(rows, len(rows))]
        for rows in past
    ]
    after = interests.at(*map(lines, later), AS_OF + WEEKS)
    back = (after.last_asked - WEEKS).astype(found.last_asked.dtype)
    pd.testing.assert_frame_equal(after.assign(last_asked=back), found)
    assert found.customer_id.tolist() == sorted({row[0] for rows in past for row in rows})
    had = {(who, kind) for who, _, kind, _ in past[0]}
    assert not any((row.customer_id, row.need) in had for row in found.itertuples())


# as segmentations
def test_who_has_none_stands_in_a_class_of_its_own():
    table = lines([*bought("a", tea=24), *bought("b", mugs=8)])
    found = interests.at(table, lines(asks("b", tea=3)), AS_OF)
    people = pd.DataFrame({"customer_id": ["c", "b", "a"]})
    for known in (people, people.merge(found, how="left")):
        likes, wants = interests.interests(known), interests.needs(known)
        assert likes.index.tolist() == wants.index.tolist() == ["c", "b", "a"]
        assert (likes.interest["c"], wants.need["c"]) == ("no_interest", "no_need")
        assert likes.affinity.isna()["c"] and wants.need_contacts["c"] == 0
        assert wants.last_asked.isna()["c"]
    assert likes.interest.tolist() == ["no_interest", "mugs", "tea"]
    assert wants.need.tolist() == ["no_need", "tea", "no_need"]
    assert wants.need_contacts.tolist() == [0, 3, 0]


# what is missing or odd
def test_without_categories_or_anybody_nothing_is_shown():
    rows = bought("a", tea=3)
    bare = lines(rows).drop("category")
    assert interests.level(bare) == ""
    assert is_empty(interests.at(bare, None, AS_OF), 1)
    assert is_empty(interests.at(lines(rows), lines(rows).drop("category"), AS_OF), 1)
    assert is_empty(interests.at(lines(rows), lines(rows), dt.date(2020, 1, 1)), 0)


def test_one_customer_or_one_category_shows_no_interest_and_any_text_is_a_category():
    for rows in ([*bought("a", tea=9), *bought("b", tea=3)], bought("a", tea=4, mugs=5)):
        assert interests.at(lines(rows), None, AS_OF).interest.isna().all()
    odd = ["<script>alert(1)</script>", "no_interest", "'; DROP TABLE x; --", "{x:int}", "客户"]
    rows = [row for number, kind in enumerate(odd) for row in bought(f"{number}", **{kind: 9})]
    assert interests.at(lines(rows), None, AS_OF).interest.tolist() == odd


def test_products_stand_in_where_nobody_knows_categories():
    table = lines([*bought("a", tea=24), *bought("b", mugs=8)], "product")
    made = interests.at(table, lines(asks("b", tea=2), "product"), AS_OF)
    assert made.interest.tolist() == ["tea", "mugs"] and made.need.tolist()[1] == "tea"


def test_the_products_table_gives_the_missing_categories():
    products = ibis.memtable({"product": ["p", "q"], "category": ["tea", "mugs"]})
    bare = lines([("a", AS_OF, item, 5) for item in ("p", "q", None)], "product")
    partly = bare.mutate(category=ibis.ifelse(bare["product"] == "p", "own", None))
    for table, kinds in ((bare, ["mugs", "tea"]), (partly, ["mugs", "own"])):
        made = cleaning.categorised(table, products).to_pandas()
        assert sorted(made.category.dropna()) == kinds and len(made) == 3


# the invented company
@pytest.fixture(scope="module")
def demo(crm_demo):
    """What is true of each customer and what was found, and the company's mix."""
    as_of = crm_demo.dataset.as_of
    table, contacts = crm_demo.transactions, cleaning.records(crm_demo.judged["interactions"])
    truth = pd.read_parquet(readers.sample_path("crm_demo/truth") / "customers.parquet")
    truth = truth.rename(columns={"interest": "only", "latent_interest": "latent"})
    found = interests.at(table, contacts, as_of).set_index("customer_id")
    purchases = interests.purchases(table, as_of).to_pandas()
    days = contacts.select("customer_id", "day", "category").distinct().to_pandas()
    known = truth.set_index("customer_id").join(found)
    known["purchases"] = purchases.groupby("customer_id").purchases.sum()
    known["contacts"] = days.groupby("customer_id").size()
    mix = purchases.groupby("item").purchases.sum() / purchases.purchases.sum()
    return known.fillna({"interest": "", "need": "", "purchases": 0, "contacts": 0}), mix


def test_interests_found_are_true_tastes(demo):
    """With n purchases all of a kind of share p, chance is p^n and must be below 0.05 / 4: n = 6
    for the commonest, 0.44. At most 5 % may be chance; of several true tastes the strongest need
    not be the surest.
    """
    known, mix = demo
    fewest = math.ceil(math.log(0.05 / 4) / math.log(mix.max()))
    buys_one = known[(known.only != "") & (known.purchases >= fewest)]
    assert len(buys_one) > 250 and (buys_one.interest == buys_one.only).all()
    found = known[known.interest != ""]
    shares = found[[f"share_{kind}" for kind in mix.index]].to_numpy() / mix.to_numpy()
    stands = mix.index.get_indexer(found.interest)
    assert len(found) > 900
    assert (shares[np.arange(len(found)), stands] > 1).mean() >= 1 - interests.CHANCE
    assert (shares.argmax(axis=1) == stands).mean() > 0.9


def test_planted_needs_are_found(demo):
    """Asked about in 60 % of the contacts: of five contacts fewer than two are by chance about it
    in 8.7 %, of ten in 0.2 %. Precision: among those who bought five times, as before that
    everything is asked about and not bought; who needs financing, asks for that as well.
    """
    known, _ = demo
    planted = known[(known.latent != "") & (known.contacts >= 5)]
    assert (planted.need == planted.latent).mean() > 0.95
    told = known[(known.need != "") & (known.purchases >= 5)]
    financing = (told.need == "项目融资") & (told.financing_need > 0)
    assert ((told.need == told.latent) | financing).mean() > 0.9
