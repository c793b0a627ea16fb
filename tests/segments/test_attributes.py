import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.segments import attributes
from analysis.segments.small_cells import OTHER, UNKNOWN
from tests.segments.made import series, skewed

TEXTS = ["<script>alert(1)</script>", "NA", "Null", "ＮＡ", "广东", "=1+1", "a\tb"]


def buyers(classes, money):
    known = series(classes, "attribute_x").astype("str").astype("category").to_frame()
    return known, pd.DataFrame({"customer_id": known.index, "window_revenue": money})


@pytest.fixture
def fewer_draws(monkeypatch):
    """Enough for the few comparisons of a test."""
    monkeypatch.setattr(attributes, "DRAWS", 1_000)


# Classes
def test_numbers_and_ranges_have_a_place_and_nothing_else_has_one():
    places = {"120": 120, "-3": -3, "1,200.5": 1200.5, "50-99": 74.5, "50 – 99": 74.5}
    places |= {"15-24K": 19_500, "9K-1M": 504_500, "100-500万": 3_000_000, "1.5 – < 3": 2.25}
    places |= {"$50K": 50_000, "５０－９９": 74.5, "10-10K": 10_000, "5千": 5_000, "2万": 20_000}
    places |= {"3m": 3_000_000, "1.5亿": 150_000_000}
    for text, place in places.items():
        assert attributes.number(text) == pytest.approx(place), text
    for text in ("0012", "12345678901", "Shop 5", "1 Adult No Kids", "AAA", "", "1.2.3", "1,20"):
        assert np.isnan(attributes.number(text)), text


def test_ranges_and_ratings_are_ordered_by_what_they_say():
    for names in (
        ["Under 15K", "15-24K", "25-34K", "200-249K", "250K+"],
        ["19-24", "25-34", "65+"],
        ["0", "1", "2", "3+"],
        ["< 10", "10 – 49", "≥ 200"],
        ["up to 5", "5", "5 or more"],
        ["100万以下", "100-500万", "500万以上"],
        ["BB", "BBB", "A-", "A", "A+", "AAA"],
    ):
        found = attributes.classify(series(sorted(names) * 3))
        assert found.cat.ordered and list(found.cat.categories) == names


def test_words_stay_the_companys_own_the_largest_class_first():
    texts = [text for n, text in enumerate(TEXTS) for _ in range(n + 2)]
    found = attributes.classify(series([*texts, None, " "]))
    assert list(found.cat.categories) == [*TEXTS[::-1], UNKNOWN] and not found.cat.ordered
    assert found.value_counts()[[*TEXTS, UNKNOWN]].tolist() == [2, 3, 4, 5, 6, 7, 8, 2]


def test_many_numbers_are_cut_into_classes_of_about_as_many():
    """No class is named by somebody's own number; what was read back keeps its order."""
    numbers = [str(n) for n in range(1, 1001)] + ["none given"] * 20 + [None] * 3
    found = attributes.classify(series(numbers))
    inner = ["200 – 399", "400 – 599", "600 – 799"]
    assert list(found.cat.categories) == ["< 200", *inner, "≥ 800", OTHER, UNKNOWN]
    assert found.value_counts(sort=False).tolist() == [199, 200, 200, 200, 201, 20, 3]
    again = attributes.classify(found.astype("str"))
    assert list(again.cat.categories) == list(found.cat.categories) and again.cat.ordered
    extreme = attributes.classify(series([str(n) for n in [3, *range(100, 1000), 987_654]]))
    assert not any("987" in name or "3 " in name for name in extreme.cat.categories)
    parts = attributes.classify(series([f"{n / 8}" for n in range(-50, 50)]))
    assert parts.cat.categories[1] == "-3.8 – < -1.3"


def test_where_many_share_a_number_the_others_are_cut():
    """Half have 0: the quantiles at 0.6 and 0.8 are 100 and 300. Nine in ten have it: so are all
    quantiles of customers, and those of the numbers are 20, 40, 60 and 80.
    """
    for zeros, last, names, sizes in (
        (500, 500, ["< 100", "100 – 299", "≥ 300"], [599, 200, 201]),
        (900, 100, ["< 20", "20 – 39", "40 – 59", "60 – 79", "≥ 80"], [919, 20, 20, 20, 21]),
    ):
        numbers = ["0"] * zeros + [str(n) for n in range(1, last + 1)]
        found = attributes.classify(series(numbers)).value_counts(sort=False)
        assert (list(found.index), found.tolist()) == (names, sizes)


def test_numbers_are_cut_from_thirteen_on_and_where_nine_in_ten_customers_have_one():
    """27 customers have a number: three words are a tenth of all, and four are more."""
    twelve, thirteen = ([str(n) for n in range(n)] for n in (12, 13))
    assert list(attributes.classify(series(twelve * 2)).cat.categories) == twelve
    cut = attributes.classify(series([*thirteen * 2, "5", *["none"] * 3]))
    assert cut.cat.ordered and cut.cat.categories[-1] == OTHER
    uncut = attributes.classify(series([*thirteen * 2, "5", *["none"] * 4]))
    assert not uncut.cat.ordered and uncut.cat.categories[0] == "none"


@given(st.sets(st.integers(0, 40), min_size=13), st.sampled_from([1, 4, 100]))
@settings(max_examples=10)
def test_a_number_is_of_the_class_whose_name_it_is_within(numbers, parts):
    """Of whole numbers "3 – 4" is followed by "5 – 8", and no number lies between the two."""
    texts = [f"{n / parts:.15g}" for n in numbers]
    found = attributes.classify(series(texts))
    for text, name in zip(texts, found, strict=True):
        low, dash, high = name.partition(" – ")
        value, below = float(text), (high or name).startswith("< ")
        if dash or name.startswith("≥ "):
            assert value >= float(low.removeprefix("≥ "))
        if dash or below:
            end = float((high or name).removeprefix("< "))
            assert value < end if below else value <= end


def test_rare_words_stand_together_and_names_or_single_values_are_no_classes():
    towns = [f"town {n}" for n in range(40) for _ in range(2 + 9 * (n < 23))]
    found = attributes.classify(series(towns))
    assert len(found.cat.categories) == attributes.MOST_CLASSES
    assert (found == OTHER).sum() == 2 * 17
    names = [f"name {n}" for n in range(100)]
    towns = [[f"town {n}" for n in range(count) for _ in range(3)] for count in (24, 25, 69, 70)]
    for values in (names, ["one"] * 9, [None] * 9, ["a", "b", "c"], towns[3], []):
        assert attributes.classify(series(values)) is None
    classes = [attributes.classify(series(some)).cat.categories for some in towns[:3]]
    assert [len(of) for of in classes] == [24] * 3  # 23 and the others hold a third of 69
    assert [OTHER in of for of in classes] == [False, True, True]
    assert list(attributes.classify(series([*"abab"])).cat.categories) == ["a", "b"]
    assert attributes.classify(None) is None


VALUES = [*TEXTS, "1", "2-3", "10+", "unknown", "other", "A", "B", None]


@given(st.lists(st.sampled_from(VALUES), min_size=1, max_size=40))
def test_classes_read_back_from_a_file_are_the_same(values):
    found = attributes.classify(series(values))
    if found is not None and OTHER not in set(values):
        again = attributes.classify(found.astype("str"))
        assert again.tolist() == found.tolist() and again.cat.ordered == found.cat.ordered


def test_only_columns_that_name_nobody_are_asked():
    columns = [*attributes.RECORDS["customers"].columns, "hobby", "line", "source"]
    known = pd.DataFrame({name: ["x", "y"] * 5 for name in columns})
    before = known.copy()
    found = attributes.classes(known)
    names = "title region city industry company_size credit_rating owner lead_source hobby"
    assert list(found) == [f"attribute_{name}" for name in names.split()]
    assert found.index.name == "customer_id"
    pd.testing.assert_frame_equal(known, before)
    assert attributes.classes(known[["customer_id"]]).shape == (10, 0)


# Value by class
def test_value_by_hand_and_money_of_few_persons_is_not_shown_nor_left_over():
    known, people = buyers(["a"] * 3 + ["b"] * 40 + ["c"] * 7, np.arange(50.0) + 1)
    by = attributes.value_by(known, people, persons=False)
    assert by.attribute.eq("x").all() and by.group.tolist() == ["a", "b", "c"]
    assert by.customers.tolist() == [3, 40, 7]
    assert by.revenue.tolist() == [6, 940, 329]
    assert by.revenue_share.tolist() == pytest.approx([6 / 1275, 940 / 1275, 329 / 1275])
    assert by.revenue_each.tolist() == [2, 23.5, 47]
    assert (by.low <= by.revenue_each).all() and (by.revenue_each <= by.high).all()
    shown = attributes.value_by(known, people, persons=True)
    assert shown.group.tolist() == ["b", OTHER] and shown.customers.tolist() == [40, 10]
    assert attributes.value_by(known.tail(5), people.tail(5), persons=True).customers.tolist() == [
        5
    ]
    nobody = attributes.value_by(known.head(4), people.head(4), persons=True)
    assert nobody.empty and set(nobody) == set(by)


def test_money_that_is_one_persons_is_not_shown():
    """a: six of whom one bought; b: six, of whom one brought 90 %; c: six alike. d: one brought
    80 %, which is the most; e: five of six bought; f: four did.
    """
    money = [987.65, 0, 0, 0, 0, 0, 900, 20, 20, 20, 20, 20, *[10.0] * 6]
    money += [80, 4, 4, 4, 4, 4, 0, *[10] * 5, 0, 0, *[10] * 4]
    known, people = buyers(np.repeat([*"abcdef"], 6), money)
    hidden = attributes.value_by(known, people, persons=True).set_index("group")
    columns = ["revenue", "revenue_share", "revenue_each", "low", "high"]
    assert hidden.loc[["a", "b", "f"], columns].isna().all(axis=None)
    assert hidden.loc[["c", "d", "e"], columns[:3]].notna().all(axis=None)
    assert attributes.value_by(known, people, persons=False).revenue.notna().all()


@pytest.mark.slow
@pytest.mark.parametrize("size", [10, 30, 100])
def test_intervals_of_skewed_money_keep_their_promise(fewer_draws, size):
    truth = 0.7 * np.exp(3 + 1.5**2 / 2)
    hits = []
    for seed in range(8):
        known, people = buyers(np.arange(3_000) // size, skewed(3_000, seed))
        by = attributes.value_by(known, people, persons=False)
        hits.append((by.low.fillna(0).le(truth) & by.high.fillna(np.inf).ge(truth)).mean())
    assert 0.92 <= np.mean(hits) <= 0.985


def test_intervals_and_p_are_students_where_money_is_normal():
    """Of normal money the bootstrap-t is Student's t: of the interval, and against the others."""
    from scipy import stats

    rng = np.random.default_rng(2)
    money = rng.normal(100, 20, 1_100) + np.repeat([0, 4], [1_000, 100])
    known, people = buyers(["a"] * 1_000 + ["b"] * 100, money)
    b = attributes.value_by(known, people, persons=False).set_index("group").loc["b"]
    mine = money[1_000:]
    expected = stats.t.interval(0.95, 99, mine.mean(), stats.sem(mine))
    assert (b.low, b.high) == pytest.approx(expected, abs=0.5)
    welch = stats.ttest_ind(mine, money[:1_000], equal_var=False).pvalue
    assert b.p == pytest.approx(welch, abs=0.01)
    assert b.q == b.p and b.differs == (b.q < 0.05)


def test_each_class_is_tested_against_all_others_in_the_draws_of_the_smaller_side(
    fewer_draws, monkeypatch
):
    """What is looked up in the draws is Welch's t; the class of nobody knows what is left out."""
    from scipy import stats

    asked = []

    def looked_up(_, size, t):
        asked.append(size)
        return stats.norm.cdf(t / 10)

    monkeypatch.setattr(attributes._Draws, "p", looked_up)
    money = np.array([3.0, 8, 40, 42, 51, 46, 90, 97, 1, 500, 0])
    for classes, sizes in (
        (["a"] * 3 + ["b"] * 4 + ["c"] * 2 + [None] * 2, [3, 4, 2]),
        (["a"] * 6 + ["b"] * 3 + [None] * 2, [3, 3]),
        (["a"] * 7 + ["b"] * 2 + [None] * 2, [2, 2]),
    ):
        asked.clear()
        by = attributes.value_by(*buyers(classes, money), persons=False).set_index("group")
        names, known = np.array(classes[:9]), money[:9]
        for name in sorted(set(names)):
            mine, others = known[names == name], known[names != name]
            sides = (mine, others) if len(mine) <= len(others) else (others, mine)
            t = stats.ttest_ind(*sides, equal_var=False).statistic
            assert by.p[name] == pytest.approx(stats.norm.cdf(t / 10))
        assert asked == sizes and np.isnan(by.p[UNKNOWN])


def test_between_two_sizes_that_were_drawn_the_smaller_is_taken(fewer_draws):
    draws = attributes._Draws(np.random.default_rng(1).normal(size=50), seed=0)
    for size in (1, 2, 3, 4, 7, 99, 499, 500, 9_000):
        place = max([n for n, drawn in enumerate(attributes.DRAWN) if drawn <= size], default=0)
        assert np.array_equal(draws.of(size), draws.students[:, place])


def test_customers_without_known_money_brought_none(fewer_draws):
    known, people = buyers(["a", "a", "b"], [6.0, np.nan, 9])
    by = attributes.value_by(known, people, persons=False)
    assert by.revenue.tolist() == [6, 9] and by.revenue_each.tolist() == [3, 9]


def test_what_no_draw_reaches_has_the_smallest_p_there_is(fewer_draws):
    money = np.random.default_rng(1).normal(0, 1, 330) + np.repeat([0, 100], [300, 30])
    by = attributes.value_by(*buyers(["a"] * 300 + ["b"] * 30, money), persons=False)
    assert by.p.tolist() == [2 / 1_001] * 2


def test_classes_that_differ_by_chance_alone_are_seldom_marked_and_one_worth_more_is(fewer_draws):
    marked = []
    for seed in range(6):
        rng = np.random.default_rng(1_000 + seed)
        drawn = rng.choice(list("abcdef"), (3, 600), p=[0.5, 0.2, 0.2, 0.05, 0.03, 0.02])
        known = pd.DataFrame(
            dict(zip(["attribute_1", "attribute_2", "attribute_3"], drawn, strict=True))
        )
        known.index = series(range(600)).index
        people = pd.DataFrame({"customer_id": known.index, "window_revenue": skewed(600, seed)})
        marked.append(attributes.value_by(known, people, persons=False).differs.any())
    assert sum(marked) <= 1
    classes = np.array(["a", "b", "c", None], dtype=object).repeat(300)
    more = skewed(1_200, 3) * np.repeat([1, 1, 4, 1], 300)
    by = attributes.value_by(*buyers(classes, more), persons=False).set_index("group")
    assert by.differs["c"] and by.revenue_each["c"] > by.high["a"]
    assert np.isnan(by.q[UNKNOWN]) and by.customers.sum() == 1_200


def test_what_has_no_spread_has_no_interval():
    for money in (np.nan, 0.0, 5.0, -3.0):
        by = attributes.value_by(*buyers(["a", "b"] * 10, money), persons=False)
        assert by[["low", "high", "q"]].isna().all(axis=None) and not by.differs.any()
        assert by.revenue.isna().all() == np.isnan(money)
    money = np.r_[9.0, np.zeros(20), skewed(200, 2)]
    known, people = buyers(["a"] + ["b"] * 20 + ["c"] * 200, money)
    by = attributes.value_by(known, people, persons=False).set_index("group")
    assert by.loc[["a", "b"], ["low", "high"]].isna().all(axis=None)
    assert by.loc["c", ["low", "high"]].notna().all()


def test_value_depends_neither_on_the_order_of_rows_nor_on_the_currency(fewer_draws):
    known, people = buyers(np.random.default_rng(1).choice(["a", "b", "c"], 300), skewed(300, 1))
    by = attributes.value_by(known, people, persons=False)
    mixed = known.sample(frac=1, random_state=2), people.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(by, attributes.value_by(*mixed, persons=False))
    scaled = people.assign(window_revenue=people.window_revenue * 1e6)
    scaled = attributes.value_by(known, scaled, persons=False)
    pd.testing.assert_series_equal(scaled.q, by.q)
    pd.testing.assert_series_equal(scaled.high, by.high * 1e6)


def test_sentences_speak_of_classes_of_thirty_and_more():
    counts = pd.DataFrame(
        {"high": [28, 15, 10], "low": [1, 15, 90]}, index=["few", "many", "most"], dtype="Int64"
    )
    counts["customers"] = counts.sum(axis=1).astype("int64")
    assert attributes.riskiest(counts) == {"group": "many", "share": 1 / 2, "all": 53 / 159}
    assert np.isnan(attributes.riskiest(counts.assign(high=counts.high.mask([True] * 3)))["share"])
    by = pd.DataFrame({"group": ["a", "b", UNKNOWN], "customers": [29, 30, 99]})
    by = by.assign(attribute="x", revenue_each=[9.0, 5, 20], low=1.0, high=30.0)
    by = by.assign(q=[0.01, 0.5, np.nan], differs=[True, False, False])
    text, values = attributes.verdict(by)
    assert "brings most" in text
    assert (values["group"], values["revenue_each"], values["customers"]) == ("b", 5, 30)
    assert (values["marked"], values["groups"]) == (1, 2)
    assert attributes.verdict(by.head(1))[1]["group"] == "a"
    assert "no more than chance" in attributes.verdict(by.assign(differs=False))[0]


def test_the_attribute_looked_at_is_a_class_of_each_customer():
    people = pd.DataFrame({"customer_id": ["7", "8"], "attribute_region": ["N", None]})
    people["attribute_size"] = ["1 – 9", "≥ 10"]
    made = attributes.attributes(people, name="size")
    assert made.attribute.to_dict() == {"7": "1 – 9", "8": "≥ 10"}
    assert set(made.attribute_name) == {"size"}
    assert attributes.attributes(people).attribute.to_dict() == {"7": "N", "8": UNKNOWN}
    assert attributes.attributes(people[["customer_id"]]).attribute.tolist() == [UNKNOWN, UNKNOWN]
