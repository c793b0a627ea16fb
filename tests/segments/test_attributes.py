import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.segments import attributes
from analysis.segments.small_cells import OTHER, UNKNOWN

TEXTS = ["<script>alert(1)</script>", "NA", "Null", "ＮＡ", "广东", "=1+1", "a\tb"]


def series(values, name="x"):
    ids = [f"c{n:05d}" for n in range(len(values))]
    return pd.Series(values, pd.Index(ids, name="customer_id"), name=name)


def profiles(**columns):
    return pd.DataFrame({"customer_id": series(next(iter(columns.values()))).index} | columns)


def buyers(classes, money, stage="loyal"):
    known = series(classes, "attribute_x").astype("str").astype("category").to_frame()
    people = pd.DataFrame({"customer_id": known.index, "window_revenue": money, "stage": stage})
    return known, people


def skewed(size, seed, sigma=1.5, none=0.3):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(size) < none, 0, rng.lognormal(3, sigma, size))


@pytest.fixture
def fewer_draws(monkeypatch):
    """Enough for the few comparisons of a test."""
    monkeypatch.setattr(attributes, "DRAWS", 1_000)


# Classes
@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("120", 120),
        ("-3", -3),
        ("1,200.5", 1200.5),
        ("50-99", 74.5),
        ("50 – 99", 74.5),
        ("15-24K", 19_500),
        ("9K-1M", 504_500),
        ("100-500万", 3_000_000),
        ("1.5 – < 3", 2.25),
        ("$50K", 50_000),
        ("５０－９９", 74.5),
    ],
)
def test_numbers_and_ranges_have_a_place(text, place):
    assert attributes.number(text) == pytest.approx(place)


@pytest.mark.parametrize(
    "text",
    [
        "0012",
        "12345678901",
        "Shop 5",
        "1 Adult No Kids",
        "AAA",
        "",
        "1.2.3",
        "12/2020",
        "NA",
        "2 Main St",
        "1,20",
    ],
)
def test_what_is_no_number_has_none(text):
    assert np.isnan(attributes.number(text))


@pytest.mark.parametrize(
    "names",
    [
        ["Under 15K", "15-24K", "25-34K", "200-249K", "250K+"],
        ["19-24", "25-34", "65+"],
        ["0", "1", "2", "3+"],
        ["< 10", "10 – 49", "≥ 200"],
        ["100万以下", "100-500万", "500万以上"],
        ["BB", "BBB", "A-", "A", "A+", "AAA"],
    ],
)
def test_ranges_and_ratings_are_ordered_by_what_they_say(names):
    found = attributes.classify(series(sorted(names) * 3))
    assert found.cat.ordered
    assert list(found.cat.categories) == names


def test_words_stay_the_companys_own_the_largest_class_first():
    found = attributes.classify(
        series([text for n, text in enumerate(TEXTS) for _ in range(n + 2)] + [None, " "])
    )
    assert list(found.cat.categories) == [*TEXTS[::-1], UNKNOWN]
    assert not found.cat.ordered
    assert found.value_counts()[[*TEXTS, UNKNOWN]].tolist() == [2, 3, 4, 5, 6, 7, 8, 2]


def test_many_numbers_are_cut_into_classes_of_about_as_many():
    found = attributes.classify(
        series([str(n) for n in range(1, 1001)] + ["none given"] * 20 + [None] * 3)
    )
    assert list(found.cat.categories) == [
        "< 200",
        "200 – 399",
        "400 – 599",
        "600 – 799",
        "≥ 800",
        OTHER,
        UNKNOWN,
    ]
    assert found.value_counts(sort=False).tolist() == [199, 200, 200, 200, 201, 20, 3]


@pytest.mark.parametrize(
    "values", [["0"] * 900 + [str(n) for n in range(1, 101)], [f"{n / 8}" for n in range(-50, 50)]]
)
def test_numbers_are_cut_whatever_their_spread(values):
    found = attributes.classify(series(values))
    assert 2 <= len(found.cat.categories) <= attributes.NUMBER_CLASSES
    codes = found.cat.codes.to_numpy()
    assert (np.diff(codes[np.argsort(np.array(values, float), kind="stable")]) >= 0).all()


def test_no_class_of_numbers_is_named_by_the_largest_or_smallest():
    found = attributes.classify(series([str(n) for n in [3, *range(100, 1000), 987_654]]))
    assert not any(extreme in name for name in found.cat.categories for extreme in ("987", "3 "))


def test_rare_words_stand_together():
    found = attributes.classify(
        series([f"town {n}" for n in range(40) for _ in range(2 + 9 * (n < 23))])
    )
    assert len(found.cat.categories) == attributes.MOST_CLASSES
    assert found.cat.categories[-1] == OTHER
    assert (found == OTHER).sum() == 2 * 17


@pytest.mark.parametrize(
    "values", [[f"name {n}" for n in range(100)], ["one"] * 9, [None] * 9, ["a", "b", "c"], []]
)
def test_names_and_single_values_are_no_classes(values):
    assert attributes.classify(series(values)) is None


@given(
    st.lists(
        st.sampled_from([*TEXTS, "1", "2-3", "10+", "unknown", "other", "A", "B", None]),
        min_size=1,
        max_size=40,
    )
)
@settings(max_examples=40, deadline=None)
def test_classes_read_back_from_a_file_are_the_same(values):
    found = attributes.classify(series(values))
    if found is not None and OTHER not in set(values):
        again = attributes.classify(found.astype("str"))
        assert again.tolist() == found.tolist()
        assert again.cat.ordered == found.cat.ordered


def test_cut_numbers_read_back_from_a_file_keep_their_order():
    found = attributes.classify(series([f"{n / 4}" for n in range(400)] + [None]))
    again = attributes.classify(found.astype("str"))
    assert list(again.cat.categories) == list(found.cat.categories)
    assert again.cat.ordered


def test_only_columns_that_name_nobody_are_asked():
    known = profiles(
        **{name: ["x", "y"] * 5 for name in [*attributes.RECORDS["customers"].columns][1:]},
        hobby=["x", "y"] * 5,
    )
    found = attributes.classes(known.assign(line=1, source="f"))
    names = "title region city industry company_size credit_rating owner lead_source hobby"
    assert list(found) == [f"attribute_{name}" for name in names.split()]
    assert found.index.name == "customer_id"


def test_classes_leave_the_profiles_untouched_and_may_be_none():
    known = profiles(region=["a", "b"] * 4)
    before = known.copy()
    assert list(attributes.classes(known)) == ["attribute_region"]
    pd.testing.assert_frame_equal(known, before)
    assert attributes.classes(known[["customer_id"]]).shape == (8, 0)


# Value by class
def test_money_of_few_persons_is_not_shown_nor_left_over():
    known, people = buyers(["a"] * 3 + ["b"] * 40 + ["c"] * 7, np.arange(50.0) + 1)
    shown = attributes.value_by(known, people, persons=True)
    assert shown.group.tolist() == ["b", OTHER]
    assert shown.customers.tolist() == [40, 10]
    assert attributes.value_by(known.head(4), people.head(4), persons=True).empty
    assert attributes.value_by(known, people, persons=False).customers.tolist() == [3, 40, 7]


def test_value_adds_up_to_the_whole():
    known, people = buyers(["a", "b", None, "b"] * 50, skewed(200, 1))
    by = attributes.value_by(known, people, persons=False)
    assert by.customers.sum() == 200
    assert by.revenue.sum() == pytest.approx(people.window_revenue.sum())
    assert by.revenue_share.sum() == pytest.approx(1)
    assert (by.low <= by.revenue_each).all()
    assert (by.revenue_each <= by.high).all()
    assert by[by.group == UNKNOWN].q.isna().all()


@pytest.mark.parametrize("size", [10, 30, 100])
def test_intervals_of_skewed_money_keep_their_promise(fewer_draws, size):
    truth = 0.7 * np.exp(3 + 1.5**2 / 2)
    hits = []
    for seed in range(8):
        known, people = buyers(np.arange(3_000) // size, skewed(3_000, seed))
        by = attributes.value_by(known, people, persons=False)
        hits.append((by.low.fillna(0).le(truth) & by.high.fillna(np.inf).ge(truth)).mean())
    assert 0.92 <= np.mean(hits) <= 0.985


def test_classes_that_differ_by_chance_alone_are_seldom_marked(fewer_draws):
    marked = []
    for seed in range(14):
        rng = np.random.default_rng(1_000 + seed)
        columns = {
            f"attribute_{n}": pd.Series(
                rng.choice(list("abcdefgh"), 600, p=[0.4, 0.2, 0.2, 0.1, 0.04, 0.03, 0.02, 0.01])
            )
            for n in range(4)
        }
        people = pd.DataFrame(
            {
                "customer_id": series(range(600)).index,
                "window_revenue": skewed(600, seed),
                "stage": "loyal",
            }
        )
        known = pd.DataFrame(columns).set_index(people.customer_id)
        marked.append(attributes.value_by(known, people, persons=False).differs.any())
    assert np.mean(marked) <= 0.15


def test_a_class_that_is_worth_more_is_marked():
    known, people = buyers(
        ["a"] * 300 + ["b"] * 300 + ["c"] * 300, skewed(900, 3) * np.repeat([1, 1, 4], 300)
    )
    by = attributes.value_by(known, people, persons=False).set_index("group")
    assert by.differs["c"]
    assert by.revenue_each["c"] > by.high["a"]


@pytest.mark.parametrize("money", [np.nan, 0.0, 5.0, -3.0])
def test_money_without_spread_has_no_interval(money):
    known, people = buyers(["a", "b"] * 10, money)
    by = attributes.value_by(known, people, persons=False)
    assert by[["low", "high", "q"]].isna().all(axis=None)
    assert not by.differs.any()
    assert by.revenue.isna().all() == np.isnan(money)


def test_a_class_of_one_and_a_class_of_nothing_but_zeros_have_no_interval():
    known, people = buyers(
        ["a"] + ["b"] * 20 + ["c"] * 200, np.r_[9.0, np.zeros(20), skewed(200, 2)]
    )
    by = attributes.value_by(known, people, persons=False).set_index("group")
    assert by.loc[["a", "b"], ["low", "high"]].isna().all(axis=None)
    assert by.loc["c", ["low", "high"]].notna().all()


def test_value_depends_neither_on_the_order_of_rows_nor_on_the_currency():
    known, people = buyers(np.random.default_rng(1).choice(["a", "b", "c"], 300), skewed(300, 1))
    by = attributes.value_by(known, people, persons=False)
    shuffled = attributes.value_by(
        known.sample(frac=1, random_state=2), people.sample(frac=1, random_state=3), persons=False
    )
    pd.testing.assert_frame_equal(by, shuffled)
    scaled = attributes.value_by(
        known, people.assign(window_revenue=people.window_revenue * 1e6), persons=False
    )
    pd.testing.assert_series_equal(scaled.q, by.q)
    pd.testing.assert_series_equal(scaled.high, by.high * 1e6)


def test_money_that_is_one_persons_is_not_shown():
    """a: six of whom one bought; b: six, of whom one brought 90 %; c: six alike."""
    money = [987.65, 0, 0, 0, 0, 0, 900, 20, 20, 20, 20, 20, *[10.0] * 6]
    known, people = buyers(np.repeat(["a", "b", "c"], 6), money)
    hidden = attributes.value_by(known, people, persons=True).set_index("group")
    assert hidden[["revenue", "revenue_share", "revenue_each", "low", "high"]].isna().all(
        axis=1
    ).to_dict() == {
        "a": True,
        "b": True,
        "c": False,
    }
    assert attributes.value_by(known, people, persons=False).revenue.notna().all()


def test_sentences_speak_of_classes_of_thirty_and_more():
    counts = pd.DataFrame(
        {"high": [2, 20, 10], "low": [0, 40, 90]}, index=["few", "many", "most"], dtype="Int64"
    )
    counts["customers"] = counts.sum(axis=1).astype("int64")
    assert attributes.riskiest(counts) == {"group": "many", "share": 1 / 3, "all": 32 / 162}
    assert np.isnan(attributes.riskiest(counts.assign(high=counts.high.mask([True] * 3)))["share"])


# As a segmentation
def test_the_attribute_looked_at_is_a_class_of_each_customer():
    people = pd.DataFrame(
        {
            "customer_id": ["7", "8"],
            "attribute_region": ["N", None],
            "attribute_size": ["1 – 9", "≥ 10"],
        }
    )
    made = attributes.attributes(people, name="size")
    assert made.attribute.to_dict() == {"7": "1 – 9", "8": "≥ 10"}
    assert set(made.attribute_name) == {"size"}
    assert attributes.attributes(people).attribute.to_dict() == {"7": "N", "8": UNKNOWN}
    assert attributes.attributes(people[["customer_id"]]).attribute.tolist() == [UNKNOWN, UNKNOWN]
