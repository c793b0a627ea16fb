import datetime as dt
import math
from decimal import Decimal

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.intake import cleaning, readers
from analysis.segments import interests, summaries

AS_OF = dt.date(2024, 3, 31)
WEEKS = dt.timedelta(weeks=13)
KINDS = ["tea", "coffee", "mugs", "<script>alert(1)</script>"]
DAYS = st.dates(dt.date(2024, 1, 1), AS_OF + dt.timedelta(days=20))
LINE = st.tuples(
    st.sampled_from("abcd"), DAYS, st.sampled_from([*KINDS, None]), st.sampled_from([5, 0, -5])
)
CONTACT = st.tuples(
    st.sampled_from("abcde"), DAYS, st.sampled_from([*KINDS, None]), st.sampled_from([None, 100])
)
LOG, CONTACTS = st.lists(LINE, min_size=1, max_size=30), st.lists(CONTACT, max_size=20)


def lines(rows, item="category", **more):
    """The table `transactions` from (customer_id, day, item, amount)."""
    ids, days, items, amounts = zip(*rows, strict=True) if rows else ([], [], [], [])
    money = pa.array(
        [None if amount is None else Decimal(amount) for amount in amounts], pa.decimal128(38, 12)
    )
    columns = {
        "customer_id": pa.array(ids, pa.string()),
        "day": pa.array(days, pa.date32()),
        "amount": money,
    }
    return ibis.memtable(pa.table(columns | {item: pa.array(items, pa.string())} | more))


def bought(customer, **counts):
    """A purchase on each of the first days of March for every kind, as many as counted."""
    days = [(kind, day) for kind, count in counts.items() for day in range(1, count + 1)]
    return [(customer, dt.date(2024, 3, day), kind, 5) for kind, day in days]


def asks(customer, **counts):
    return [(*row[:3], None) for row in bought(customer, **counts)]


def table(expression):
    return (
        expression.to_pandas()
        .sort_values(["customer_id", "item"])
        .set_index(["customer_id", "item"])
    )


# affinity
def test_affinity_by_hand():
    """24 of the 32 purchases are tea. Of the 8 of b, 6 were to be expected; a alone would have been
    12 of 16.

    b has bought 8 mugs where 2 were expected: (8 + 1) / (2 + 1) = 3. All 8 of 8 at a chance of 1/4:
    surprise 8 ln 4.
    """
    log = lines([*bought("a", tea=24), *bought("b", mugs=8)])
    made = table(interests.affinity(log, AS_OF))
    mugs = made.loc["b", "mugs"]
    assert (mugs.purchases, mugs.expected, mugs.affinity, mugs.share) == (8, 2, 3, 1)
    assert mugs.surprise == pytest.approx(8 * math.log(4))
    assert mugs.interest
    assert made.loc[("a", "tea"), "affinity"] == pytest.approx(25 / 19)
    assert interests.at(log, None, AS_OF).interest.tolist() == ["tea", "mugs"]


def test_one_purchase_says_little():
    """Of the only mug ever sold 1 / 101 was expected of its buyer: so rare, and yet the affinity
    stays below 2 and is no interest. Two mugs, bought on two days, are one.
    """
    log = lines(
        [*(row for n in range(10) for row in bought(f"c{n}", tea=10)), *bought("z", mugs=1)]
    )
    made = table(interests.affinity(log, AS_OF)).loc[("z", "mugs")]
    assert made.affinity == pytest.approx(2 / (1 + 1 / 101))
    assert interests.at(log, None, AS_OF).interest.isna().all()
    twice = ibis.union(log, lines([("z", AS_OF, "mugs", 5)]))
    assert interests.at(twice, None, AS_OF).interest.dropna().tolist() == ["mugs"]


@pytest.mark.parametrize(
    ("observed", "expected", "trials"), [(3, 0.5, 3), (6, 2.0, 9), (30, 20.0, 60), (1, 0.1, 40)]
)
def test_surprise_never_overstates_the_binomial_tail(engine, observed, expected, trials):
    """Chernoff's bound lies above the tail, and on it where every trial hits."""
    bound = math.exp(
        -engine.execute(interests.surprise(*map(ibis.literal, (observed, expected, trials))))
    )
    tail = stats.binom.sf(observed - 1, trials, expected / trials)
    assert bound == pytest.approx(tail) if observed == trials else bound > tail


def test_at_or_below_expectation_nothing_surprises(engine):
    assert (
        engine.execute(interests.surprise(ibis.literal(2), ibis.literal(2.0), ibis.literal(4))) == 0
    )
    assert (
        engine.execute(interests.surprise(ibis.literal(1), ibis.literal(2.0), ibis.literal(4))) == 0
    )


def test_chance_makes_few_interests():
    """2,000 customers who all buy by the same mix: at most CHANCE of them may seem to have an
    interest.
    """
    random = np.random.default_rng(5)
    kinds = random.choice(["a", "b", "c", "d", "e"], (2_000, 20), p=[0.4, 0.3, 0.2, 0.07, 0.03])
    rows = [
        (f"{who}", dt.date(2024, 1, 1) + dt.timedelta(days=day), kind, 5)
        for (who, day), kind in np.ndenumerate(kinds)
    ]
    assert 0 < interests.at(lines(rows), None, AS_OF).interest.notna().mean() < interests.CHANCE


def test_lines_of_a_day_are_one_purchase_and_returns_none():
    rows = [
        *bought("a", tea=2),
        *bought("a", tea=2),
        ("a", AS_OF, "tea", -5),
        ("a", AS_OF, "mugs", 0),
    ]
    quantity = pa.array([1.0, 1, 1, None, 1, -1])
    made = interests.purchases(lines(rows, quantity=quantity), AS_OF).to_pandas()
    assert made.to_dict("records") == [{"customer_id": "a", "item": "tea", "purchases": 2}]


def test_without_money_every_line_counts():
    rows = [(*row[:3], None) for row in bought("a", tea=3)]
    assert interests.purchases(lines(rows), AS_OF).to_pandas().purchases.tolist() == [3]


# needs
def test_needs_by_hand():
    """a asked for mugs on 3 days and bought tea only; its one look at coffee is a need of b, who
    named money.

    c asked for mugs twice in nine contacts, less than a quarter; d bought mugs and sent them back;
    e asked once.
    """
    log = lines(
        [
            *bought("a", tea=1),
            ("d", AS_OF, "mugs", 5),
            ("d", AS_OF, "mugs", -5),
            *bought("c", tea=1),
        ]
    )
    questions = [
        *asks("a", mugs=3, tea=5, coffee=1),
        *asks("c", mugs=2, tea=7),
        *asks("d", mugs=4),
        *asks("e", tea=1),
    ]
    contacts = lines([*questions, ("b", AS_OF, "coffee", 100), *asks("a", mugs=3)])
    made = interests.at(log, contacts, AS_OF).set_index("customer_id")
    assert made.need.dropna().to_dict() == {"a": "mugs", "b": "coffee"}
    assert made.need_contacts.dropna().to_dict() == {"a": 3, "b": 1}
    assert made.last_asked["a"] == pd.Timestamp(2024, 3, 3)
    assert made.index.tolist() == list("abcde")


def test_of_needs_asked_about_alike_the_latest_is_taken():
    contacts = lines(
        [
            *asks("a", tea=2),
            ("a", dt.date(2024, 3, 2), "mugs", None),
            ("a", dt.date(2024, 3, 9), "mugs", None),
        ]
    )
    assert interests.at(lines([]), contacts, AS_OF).need.tolist() == ["mugs"]


def test_a_need_ends_with_the_purchase():
    log, contacts = lines([("a", dt.date(2024, 3, 20), "tea", 5)]), lines(asks("a", tea=3))
    assert interests.at(log, contacts, dt.date(2024, 3, 19)).need.tolist() == ["tea"]
    assert interests.at(log, contacts, dt.date(2024, 3, 20)).need.isna().all()


def test_who_asks_for_what_by_hand():
    people = pd.DataFrame(
        {
            "customer_id": list("abcde"),
            "orders": [2, 0, 1, 0, 3],
            "window_revenue": [10.0, 0, 5, 0, 7],
            "need": ["tea", "tea", "mugs", None, None],
            "need_contacts": pd.array([3, 2, 4, None, None], "Int64"),
        }
    )
    made = interests.needs_by(people)
    assert made.to_dict("index") == {
        "tea": {"buyers": 1, "prospects": 1},
        "mugs": {"buyers": 1, "prospects": 0},
    }
    assert interests.needs_by(people.iloc[3:]).empty
    text, values = interests.most_asked(made)
    assert "have never bought" in text
    assert values == {"customers": 3, "prospects": 1, "item": "tea", "count": 1}
    text, values = interests.most_asked(made.assign(buyers=0))
    assert text.startswith("Prospects")
    assert (values["customers"], values["item"]) == (1, "tea")
    assert interests.most_asked(made.head(0))[1] == {}


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
@given(LOG, CONTACTS, st.randoms(use_true_random=False))
@settings(max_examples=6)
def test_the_order_of_rows_does_not_matter(log, contacts, random):
    before = interests.at(lines(log), lines(contacts), AS_OF)
    shuffled = [random.sample(rows, len(rows)) for rows in (log, contacts)]
    pd.testing.assert_frame_equal(interests.at(*map(lines, shuffled), AS_OF), before)


@given(LOG, CONTACTS)
@settings(max_examples=6)
def test_a_shift_by_whole_weeks_shifts_only_the_day(log, contacts):
    before = interests.at(lines(log), lines(contacts), AS_OF)
    later = [[(who, day + WEEKS, *rest) for who, day, *rest in rows] for rows in (log, contacts)]
    after = interests.at(*map(lines, later), AS_OF + WEEKS)
    back = (after.last_asked - WEEKS).astype(before.last_asked.dtype)
    pd.testing.assert_frame_equal(after.assign(last_asked=back), before)


@given(LOG, CONTACTS)
@settings(max_examples=6)
def test_nothing_after_the_day_matters_and_everybody_stands_there_once(log, contacts):
    past = [[row for row in rows if row[1] <= AS_OF] for rows in (log, contacts)]
    found = interests.at(lines(log), lines(contacts), AS_OF)
    pd.testing.assert_frame_equal(interests.at(*map(lines, past), AS_OF), found)
    assert found.customer_id.tolist() == sorted({row[0] for rows in past for row in rows})
    assert set(found.interest.dropna()) | set(found.need.dropna()) <= set(KINDS)
    had = {(who, kind) for who, _, kind, _ in past[0]}
    assert not any((row.customer_id, row.need) in had for row in found.itertuples())


# as segmentations
def test_who_has_none_stands_in_a_class_of_its_own():
    log = lines([*bought("a", tea=24), *bought("b", mugs=8)])
    found = interests.at(log, lines(asks("b", tea=3)), AS_OF)
    people = pd.DataFrame({"customer_id": ["c", "b", "a"]})
    for known in (people, people.merge(found, how="left")):
        likes, wants = interests.interests(known), interests.needs(known)
        assert likes.index.tolist() == wants.index.tolist() == ["c", "b", "a"]
        assert (likes.interest["c"], wants.need["c"]) == ("no_interest", "no_need")
        assert likes.affinity.isna()["c"] and wants.need_contacts["c"] == 0
        assert wants.last_asked.isna()["c"]
    assert likes.interest.tolist() == ["no_interest", "mugs", "tea"]
    assert likes.loc["b", ["affinity", "interest_share"]].tolist() == [3, 1]
    assert wants.need.tolist() == ["no_need", "tea", "no_need"]
    assert wants.need_contacts.tolist() == [0, 3, 0]


# what is missing or odd
def is_empty(found, people):
    return len(found) == people and found[
        ["interest", "affinity", "need", "need_contacts", "last_asked"]
    ].isna().all(None)


def test_cdnow_knows_no_categories_and_shows_nothing(cdnow):
    log = cleaning.transactions(cdnow)
    assert interests.level(log) == ""
    assert is_empty(interests.at(log, None, dt.date(1998, 6, 30)), 23_570)


def test_contacts_without_a_category_are_no_needs(ledger):
    contacts = lines(asks("a", tea=3)).drop("category")
    assert is_empty(interests.at(ledger([("a", AS_OF, "5")]), contacts, AS_OF), 1)


@pytest.mark.parametrize(
    "rows",
    [bought("a", tea=9), [*bought("a", tea=9), *bought("b", tea=3)], bought("a", tea=4, mugs=5)],
)
def test_one_customer_or_one_category_shows_no_interest(rows):
    assert interests.at(lines(rows), None, AS_OF).interest.isna().all()


def test_nobody_is_no_crash():
    early = dt.date(2020, 1, 1)
    log, contacts = lines(bought("a", tea=3)), lines(asks("a", mugs=3))
    assert is_empty(interests.at(log, contacts, early), 0)


def test_any_text_is_a_category():
    odd = ["<script>alert(1)</script>", "no_interest", "'; DROP TABLE x; --", "{x:int}", "客户"]
    rows = [row for number, kind in enumerate(odd) for row in bought(f"{number}", **{kind: 9})]
    assert interests.at(lines(rows), None, AS_OF).interest.tolist() == odd


def test_products_stand_in_where_nobody_knows_categories():
    log, contacts = (
        lines([*bought("a", tea=24), *bought("b", mugs=8)], "product"),
        lines(asks("b", tea=2), "product"),
    )
    made = interests.at(log, contacts, AS_OF)
    assert made.interest.tolist() == ["tea", "mugs"]
    assert made.need.tolist()[1] == "tea"


def test_the_products_table_gives_the_missing_categories():
    products = ibis.memtable({"product": ["p", "q"], "category": ["tea", "mugs"]})
    rows = [("a", AS_OF, "p", 5), ("a", AS_OF, "q", 5), ("a", AS_OF, None, 5)]
    bare = lines(rows, "product")
    partly = bare.mutate(category=ibis.ifelse(bare["product"] == "p", "own", None))
    for log, kinds in ((bare, ["mugs", "tea"]), (partly, ["mugs", "own"])):
        made = cleaning.categorised(log, products).to_pandas()
        assert sorted(made.category.dropna()) == kinds
        assert len(made) == 3
    assert cleaning.categorised(lines(rows), products).columns == lines(rows).columns


# the invented company
@pytest.fixture(scope="module")
def demo(crm_demo):
    log, contacts = crm_demo.transactions, cleaning.records(crm_demo.judged["interactions"])
    found = interests.at(log, contacts, crm_demo.dataset.as_of).set_index("customer_id")
    truth = pd.read_parquet(readers.sample_path("crm_demo/truth") / "customers.parquet").set_index(
        "customer_id"
    )
    purchases = interests.purchases(log, crm_demo.dataset.as_of).to_pandas()
    asking = (
        contacts.select("customer_id", "day", "category")
        .distinct()
        .group_by("customer_id")
        .agg(n=ibis._.count())
    )
    counts = {
        "purchases": purchases.groupby("customer_id").purchases.sum(),
        "contacts": asking.to_pandas().set_index("customer_id").n,
    }
    known = (
        truth.rename(columns={"interest": "only", "latent_interest": "latent"})
        .join(found)
        .assign(**counts)
    )
    mix = purchases.groupby("item").purchases.sum() / purchases.purchases.sum()
    return known.fillna({"interest": "", "need": "", "purchases": 0, "contacts": 0}), mix


def test_who_buys_one_kind_only_is_found_with_six_purchases(demo):
    """With n purchases all of a kind of share p, chance is p^n and must be below 0.05 / 4: n = 6
    for the commonest, 0.44.
    """
    known, mix = demo
    buys_one = known[
        (known.only != "")
        & (known.purchases >= math.ceil(math.log(0.05 / 4) / math.log(mix.max())))
    ]
    assert len(buys_one) > 250
    assert (buys_one.interest == buys_one.only).all()
    single = known[(known.only != "") & (known.interest != "")]
    assert (single.interest == single.only).all()


def test_interests_found_are_true_tastes(demo):
    """At most 5 % may be chance; of several true tastes the strongest need not be the surest."""
    known, mix = demo
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


def test_agreement_with_the_planted_needs_is_far_beyond_chance(demo):
    """Cohen's kappa over those without a need of financing who bought and asked five times."""
    known, _ = demo
    settled = known[(known.purchases >= 5) & (known.contacts >= 5) & (known.financing_need == 0)]
    agreed = (settled.need == settled.latent).mean()
    shares = [settled[column].value_counts(normalize=True) for column in ("need", "latent")]
    by_chance = shares[0].mul(shares[1], fill_value=0).sum()
    assert (agreed - by_chance) / (1 - by_chance) > 0.9


def test_interests_stand_beside_what_customers_are_worth(demo):
    known, mix = demo
    people = known.reset_index().assign(
        orders=1, window_orders=1, window_revenue=2.0, recency_days=0
    )
    interest = interests.interests(
        people.assign(interest=people.interest.replace("", None))
    ).interest
    liking = summaries.by_group(people, interest)
    assert liking.customers.sum() == len(known)
    assert set(liking.index) == {*mix.index, "no_interest"}
