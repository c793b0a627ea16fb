import datetime as dt
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from analysis import customers
from analysis.segments import clusters
from analysis.segments.clusters import CRITERIA, SHARES, TYPICAL

FEATURES = {name: words for name, words in clusters.FEATURES.items() if name not in SHARES}

MONEY = ["window_revenue", "order_value"]
VALUES = st.sampled_from([0, 0, 1, 5, 30, 31, 1_000, 1e9])
PERSON = st.tuples(
    st.integers(0, 3), VALUES, VALUES, VALUES, VALUES | st.just(-5), VALUES | st.just(np.nan)
)


def frame(rows):
    """Customers from (orders, and the values of FEATURES)."""
    made = pd.DataFrame(rows, columns=["orders", *FEATURES])
    made.insert(0, "customer_id", [f"c{i:05}" for i in range(len(made))])
    return made.astype(
        {"customer_id": "str", "orders": "int64"} | dict.fromkeys(FEATURES, "float64")
    )


def planted(*kinds, each=40, seed=0):
    """Customers of some kinds, each a typical value of every feature, which its members miss by a
    twentieth or so.
    """
    noise = np.random.default_rng(seed).lognormal(0, 0.05, (len(kinds) * each, len(FEATURES)))
    values = np.repeat(np.array(kinds, float), each, axis=0) * noise
    values[:, :3] = values[:, :3].round()
    return frame(np.column_stack([np.maximum(values[:, 1], 1), values]))


def kinds_of(people, each=40):
    return people.index // each


BEST = (3, 60, 900, 9_000, 150)
YOUNG = (20, 3, 60, 150, 40)
GONE_SMALL = (600, 4, 900, 5, 10)
GONE_LARGE = (600, 4, 900, 5, 400)
KINDS = (BEST, YOUNG, GONE_SMALL, GONE_LARGE)
FOUR = planted(*KINDS)
SAME = frame([(2, 30, 1, 90, 50, 25)] * 40)
DEGENERATE = {
    "nobody": frame([]),
    "one customer": frame([(1, 5, 0, 5, 20, 20)]),
    "prospects only": frame([(0, np.nan, 0, np.nan, 0, np.nan)] * 30),
    "all alike": SAME,
    "no money": FOUR.assign(window_revenue=np.nan, order_value=np.nan),
    "only money known": SAME.assign(recency_days=np.nan, age_days=np.nan),
    "one feature varies": SAME.assign(recency_days=range(40)),
    "nobody but one": pd.concat(
        [SAME, frame([(9, 1, 8, 900, 1e7, 1e6)]).assign(customer_id="z")], ignore_index=True
    ),
    "money below zero": FOUR.assign(window_revenue=-FOUR.window_revenue),
    "fewer than groups": frame([(1, n, 0, n, n, n) for n in range(3)]),
}


@pytest.fixture(scope="module")
def sample(cdnow_sample):
    """Every third customer of the CDNOW sample: enough for groups, and quickly grouped."""
    return customers.at(cdnow_sample, dt.date(1998, 6, 30), 365).iloc[::3].reset_index(drop=True)


@pytest.fixture(scope="module")
def labels(sample):
    return clusters.clusters(sample, k=4).cluster


@pytest.fixture(scope="module")
def four():
    return clusters.clusters(FOUR, k=4).cluster


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch):
    """The rest of ten would only take time."""
    monkeypatch.setattr(clusters, "DRAWS", 3)
    monkeypatch.setattr(clusters, "MOST", 5)


def found_in(people, **options):
    return clusters.clusters(people, **options).cluster


def everything(people, k):
    """All that is made of some customers, which must be made of any."""
    found = found_in(people, k=k)
    quality, rules = clusters.choose(people), clusters.tree(people, found)
    return found, quality, clusters.profile(people, found), clusters.apart(people, found), rules


def keeps_its_word(people, k):
    found, quality, profile, apart, rules = everything(people, k)
    assert found.index.name == "customer_id" and found.index.tolist() == people.customer_id.tolist()
    assert found.dtype == "str"
    assert found[people.orders.eq(0).to_numpy()].isna().all()
    grouped = found.dropna()
    words = {word for name in grouped.unique() for word in name.split("+")}
    assert words <= set(clusters.clusters.classes)
    assert grouped.empty or len(grouped) == (people.orders > 0).sum()
    assert profile.customers.sum() == len(grouped) == rules.customers.sum()
    assert set(profile.index) == set(apart.index) == set(grouped) >= set(rules.cluster)
    assert list(quality.columns) == ["k", *CRITERIA, "low", "high", "rank", "chosen"]
    assert quality.chosen.sum() <= 1
    assert (
        np.isnan(clusters.accuracy(rules)) if grouped.empty else 0 < clusters.accuracy(rules) <= 1
    )


def test_degenerate_customers(monkeypatch):
    monkeypatch.setattr(clusters, "MOST", 2)
    for people in DEGENERATE.values():
        for k in (0, 3):
            keeps_its_word(people, k)


@given(st.lists(PERSON, max_size=25), st.integers(1, 5))
@settings(max_examples=6)
def test_any_customers(rows, k):
    keeps_its_word(frame(rows), k)


def test_where_customers_are_too_few_or_too_alike_nobody_is_grouped():
    for case in ("nobody", "one customer", "prospects only", "nobody but one", "fewer than groups"):
        assert found_in(DEGENERATE[case], k=3).isna().all()
        quality = clusters.choose(DEGENERATE[case])
        assert quality.empty
        text, values = clusters.verdict(quality, 3)
        assert "too few" in text and values == {}


def test_without_money_groups_rest_on_the_rest():
    found = found_in(DEGENERATE["no money"], k=3)
    assert metrics.adjusted_rand_score(kinds_of(FOUR).map({0: 0, 1: 1, 2: 2, 3: 2}), found) == 1
    assert not found.str.contains("money|orders").any()


def test_planted_kinds_are_found_all_and_no_more():
    for count in (2, 4):
        people = planted(*KINDS[:count])
        found = found_in(people)
        assert found.nunique() == count
        assert metrics.adjusted_rand_score(kinds_of(people), found) == 1


def test_groups_are_called_what_they_are(four):
    assert four.groupby(kinds_of(FOUR)).unique().str[0].tolist() == [
        "recently+often+much_money",
        "recently+briefly_known",
        "long_ago+little_money+small_orders",
        "long_ago+little_money+large_orders",
    ]


def test_where_no_number_of_groups_is_stable_none_is_chosen():
    """One round cloud: any cut through it is as good as another."""
    cloud = np.exp(np.random.default_rng(1).normal(0, 1, (200, len(FEATURES))))
    people = frame(np.column_stack([np.ones(200), cloud]))
    quality = clusters.choose(people)
    assert len(quality) and quality.stability.max() < clusters.STABLE
    assert clusters.chosen(quality) == 0
    text, values = clusters.verdict(quality)
    assert "do not fall into clear groups" in text
    assert values == {
        "stability": quality.stability.max(),
        "silhouette": quality.silhouette.max(),
        "needed": 0.8,
        "clear": 0.25,
    }
    assert found_in(people).isna().all()
    assert found_in(people, k=3).nunique() == 3


def test_the_best_mean_rank_is_chosen_and_ties_go_to_fewer_groups():
    quality = clusters.choose(planted(BEST, YOUNG, GONE_SMALL)).set_index("k")
    best = {
        "silhouette": True,
        "calinski_harabasz": True,
        "davies_bouldin": False,
        "stability": True,
    }
    ranks = [quality[criterion].rank(ascending=not higher) for criterion, higher in best.items()]
    assert quality["rank"].tolist() == (sum(ranks) / 4).tolist()
    assert quality.index[quality.chosen].tolist() == [quality["rank"].idxmin()] == [3]
    text, values = clusters.verdict(quality.reset_index())
    assert "fall into {k:int} groups" in text
    assert values == {"k": 3, "silhouette": quality.silhouette[3]}
    assert "asked for" in clusters.verdict(quality.reset_index(), 5)[0]
    assert clusters.verdict(quality.reset_index(), 5)[1] == {"k": 5}


def test_only_what_is_stable_and_clear_is_chosen_and_of_it_the_best_mean_rank(monkeypatch):
    """Of 2 to 5 groups, 5 have the best ranks (1, 1, 1, 4), but are not stable; 4 the next (4, 2,
    2, 1.5), but are not clear, as the limit itself is not; 3 (2, 3, 3, 3) come before 2 (3, 4, 4,
    1.5). Where the two are alike, the fewer are taken.
    """
    figures = {  # silhouette, Calinski and Harabasz, Davies and Bouldin, stability
        2: (0.3, 10, 0.9, 0.95),
        3: (0.4, 20, 0.8, 0.8),
        4: (0.25, 30, 0.7, 0.95),
        5: (0.9, 40, 0.6, 0.79),
    }
    monkeypatch.setattr(
        clusters,
        "_measured",
        lambda _, k, seed: dict(zip(["k", *CRITERIA], (k, *figures[k]), strict=True)),
    )
    quality = clusters.choose(FOUR)
    assert quality["rank"].tolist() == [12.5 / 4, 11 / 4, 9.5 / 4, 7 / 4]
    assert quality.k[quality.chosen].tolist() == [3]
    figures[3] = figures[2]
    assert clusters.chosen(clusters.choose(FOUR)) == 2


def test_criteria_are_those_of_the_groups_made(four):
    points = clusters.standardised(FOUR)
    row = clusters.choose(FOUR).set_index("k").loc[4]
    assert row.silhouette == pytest.approx(metrics.silhouette_score(points, four))
    assert row.davies_bouldin == pytest.approx(metrics.davies_bouldin_score(points, four))
    assert row.calinski_harabasz == pytest.approx(metrics.calinski_harabasz_score(points, four))
    assert row.low == row.stability == row.high == 1


def test_stability_by_hand(monkeypatch):
    """The same, the same under other numbers, and one of four customers elsewhere, which is what
    chance does.
    """
    draws = iter([[0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 0, 1]])
    found = SimpleNamespace(labels_=[0, 0, 1, 1], predict=lambda points: next(draws))
    monkeypatch.setattr(clusters, "DRAWS", 3)
    monkeypatch.setattr(clusters, "_fit", lambda *_: found)
    measured = clusters._measured(pd.DataFrame({"x": range(4)}), 2, 0)
    assert (measured["stability"], measured["low"], measured["high"]) == (2 / 3, 0, 1)


def test_features_are_comparable(sample):
    points = clusters.standardised(sample)
    assert points.index.is_monotonic_increasing
    assert points.abs().to_numpy().max() <= clusters.FARTHEST
    varied = points.drop(columns="age_days")
    assert varied.std(ddof=0).between(0.9, 1.01).all()
    assert points.age_days.std(ddof=0) < 0.25  # all came within twelve weeks


def test_features_by_hand():
    """Values 0, 1 and 3 over their median of 2 (of those above zero): logs of 1, 1.5 and 2.5."""
    people = SAME.head(3).assign(window_revenue=[0.0, 1, 3])
    logs = np.log([1, 1.5, 2.5])
    points = clusters.standardised(people)
    assert list(points) == ["window_revenue"]
    assert points.window_revenue.tolist() == pytest.approx(
        (logs - logs.mean()) / logs.std(), abs=1e-9
    )


def test_a_value_that_one_customer_lacks_counts_as_the_median():
    people = SAME.head(4).assign(order_value=[1.0, np.nan, 2, 9])
    assert clusters.raw_features(people).order_value.tolist() == [1, 2, 2, 9]


def test_order_of_customers_does_not_matter(sample, labels):
    shuffled = sample.sample(frac=1, random_state=7)
    found = found_in(shuffled, k=4)
    assert found.index.tolist() == shuffled.customer_id.tolist()
    pd.testing.assert_series_equal(found.sort_index(), labels)
    pd.testing.assert_frame_equal(clusters.choose(shuffled), clusters.choose(sample))
    pd.testing.assert_frame_equal(
        clusters.profile(shuffled, found), clusters.profile(sample, labels)
    )
    pd.testing.assert_frame_equal(clusters.tree(shuffled, found), clusters.tree(sample, labels))


def test_input_stays_untouched(sample):
    before = sample.copy()
    everything(sample, 3)
    pd.testing.assert_frame_equal(sample, before)


def test_most_are_assigned_to_groups_that_some_made(monkeypatch, four):
    monkeypatch.setattr(clusters, "CLUSTERED", 40)
    monkeypatch.setattr(clusters, "MEASURED", 50)
    pd.testing.assert_series_equal(found_in(FOUR, k=4), four)


def test_as_many_groups_as_asked_for_as_far_as_there_are_customers(sample):
    assert [found_in(sample, k=k).nunique() for k in (1, 3)] == [0, 3]  # one is none
    found = found_in(FOUR.head(20), k=30)
    assert found.notna().all() and 1 <= found.nunique() <= 20


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ([(-1, 1), (1, -1)], ["recently+often", "long_ago+rarely"]),
        ([(-0.59, 1), (1, 0.61)], ["often", "long_ago+often"]),
        (
            [(0.5, -0.3), (1, 1)],
            ["long_ago", "long_ago+often"],
        ),  # a word is found for who would have none
        ([(0.3, 0.3), (1, 1)], [TYPICAL, "long_ago+often"]),
        ([(0.7, 0), (0.8, 0.5)], ["long_ago", "long_ago+often"]),  # the same at first: finer words
        ([(0.7, 0), (2.0, 0)], ["long_ago", "very_long_ago"]),
        # less than half of the largest is not said beside it, until nothing else tells them apart
        ([(1.6, 0.42), (1.0, 0)], ["very_long_ago+often", "long_ago"]),
        ([(1, 1), (1, 1)], ["very_long_ago+very_often"] * 2),  # nothing tells them apart
    ],
)
def test_names_by_hand(means, expected):
    assert (
        clusters.name(pd.DataFrame(means, columns=["recency_days", "frequency"])).tolist()
        == expected
    )


def test_every_word_of_a_name_has_its_words():
    words = clusters.FEATURES.values()
    plain = [word for of in words for word in (of.low, of.high)]
    strong = [word for of in words for word in (of.very_low, of.very_high)]
    assert strong == [f"very {word}" for word in plain]
    classes = clusters.clusters.classes
    assert [name.replace("_", " ") for name in classes] == [*plain, *strong, TYPICAL]
    assert len(set(classes.values())) == len(classes)
    assert not any("+" in word for word in classes)


def test_profile_by_hand():
    people = frame(
        [
            (2, 10, 1, 90, 50, 25),
            (4, 20, 3, 95, 70, 35),
            (1, 80, 0, 80, 500, 30),
            (0, *[np.nan] * 5),
        ]
    )
    names = pd.Series(["a", "a", "b", None], people.customer_id, dtype="str")
    profile = clusters.profile(people, names)
    assert profile.index.tolist() == ["b", "a"]  # the one with most revenue first
    a = {"customers": 2, "share": 2 / 3} | dict(zip(FEATURES, (15, 2, 92.5, 60, 30), strict=True))
    assert profile.loc["a"].to_dict() == pytest.approx(a)


def test_apart_is_the_mean_of_the_standardised_features(sample, labels):
    points, apart = clusters.standardised(sample), clusters.apart(sample, labels)
    for group in labels.unique():
        assert apart.loc[group].tolist() == pytest.approx(
            points[(labels == group).to_numpy()].mean().tolist()
        )


def meets(person, conditions):
    return all(
        person[f] > limit if side == ">" else person[f] <= limit for f, side, limit in conditions
    )


def test_rules_applied_by_hand_give_what_the_table_claims(sample, labels):
    rules = clusters.tree(sample, labels)
    right, people = 0, sample.set_index("customer_id").to_dict("index")
    for rule in rules.itertuples():
        met = [customer for customer, person in people.items() if meets(person, rule.conditions)]
        own = sum(labels[customer] == rule.cluster for customer in met)
        assert (len(met), own / len(met)) == (rule.customers, pytest.approx(rule.right))
        bounds = [(feature, side) for feature, side, _ in rule.conditions]
        assert len(bounds) == len(set(bounds)) <= clusters.DEPTH
        right += own
    assert rules.customers.sum() == len(sample)
    assert rules.customers.is_monotonic_decreasing and rules.index.equals(pd.RangeIndex(len(rules)))
    assert clusters.accuracy(rules) == pytest.approx(right / len(sample))
    assert right > 0.9 * len(sample)


def test_planted_kinds_have_one_rule_each(four):
    rules = clusters.tree(FOUR, four)
    assert sorted(rules.cluster) == sorted(four.unique())
    assert rules.right.eq(1).all() and rules.customers.eq(40).all()


def test_one_group_is_everybody():
    rules = clusters.tree(SAME, pd.Series("x", SAME.customer_id))
    everybody = {"cluster": "x", "conditions": [], "customers": 40, "right": 1, "rule": "everybody"}
    assert rules.loc[0].to_dict() == everybody
    assert np.isnan(clusters.accuracy(rules.head(0)))


def test_thresholds_are_ones_that_people_say_and_the_tighter_of_several():
    """Whole orders, and money to two digits; a branch whose leaves say the same is one."""
    people = frame([(3, 1, n, 5, 1, 1_000 + 123 * (n > 4)) for n in range(10) for _ in range(9)])
    names = np.where(people.frequency > 4, "much", np.where(people.frequency > 2, "some", "few"))
    rules = clusters.tree(people, pd.Series(names, people.customer_id)).set_index("cluster")
    assert rules.right.eq(1).all() and rules.customers.to_dict() == {
        "few": 27,
        "some": 18,
        "much": 45,
    }
    assert rules.conditions["few"] == [("frequency", "≤", 2.0)] or len(rules) == 3
    path = [("frequency", ">", 2), ("recency_days", "≤", 90), ("frequency", "≤", 9)]
    tightest = clusters._tightest((*path, ("frequency", ">", 4), ("frequency", "≤", 12)))
    assert tightest == [("recency_days", "≤", 90), ("frequency", ">", 4), ("frequency", "≤", 9)]
    assert clusters._words(tightest[1:]) == "Repeat orders > 4; Repeat orders ≤ 9"
    assert clusters._words([("order_value", ">", 1_200.0)]) == "Value of an order > $1,200"


# Shares of habits
def with_habits(people, night, discount):
    """The same with shares of orders at night, and of money taken off, of ten orders or a thousand
    each.
    """
    habits = {
        "timed_orders": 10,
        "night_orders": 10 * night,
        "undiscounted": 1000.0,
        "discount": 1000 * discount,
    }
    return people.assign(orders=10, **habits)


def test_night_buyers_and_discount_hunters_are_groups_where_habits_are_known():
    each, kinds = 40, [BEST, GONE_LARGE, BEST, BEST]
    people = planted(*kinds)
    kind = kinds_of(people)
    found = clusters.clusters(
        with_habits(people, np.where(kind == 2, 0.9, 0), np.where(kind == 3, 0.3, 0))
    ).cluster
    assert metrics.adjusted_rand_score(kind, found) == 1
    assert {"by_night", "many_discounts"} <= set(found)
    assert len(found) == 4 * each


def test_one_order_at_night_makes_no_night_buyer():
    """Of 40 with one order, and 40 with 30, half buy at night: the single orders weigh a quarter,
    the 30 ten elevenths.
    """
    night = np.tile([0, 1], 40)
    orders = np.repeat([1, 30], 40)
    people = planted(BEST, BEST).assign(
        orders=orders, timed_orders=orders, night_orders=orders * night
    )
    scaled = clusters.standardised(people).night_share.to_numpy()
    assert scaled[41] / scaled[1] == pytest.approx((30 / 33) / (1 / 4))
    assert clusters.raw_features(people).night_share.tolist() == night.tolist()


def test_where_no_habit_is_known_the_groups_are_the_same():
    unknown = dict.fromkeys(["timed_orders", "night_orders", "undiscounted", "discount"], np.nan)
    pd.testing.assert_frame_equal(
        clusters.clusters(FOUR.assign(**unknown)), clusters.clusters(FOUR)
    )
