import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.errors import InputError
from analysis.segments.associations import (
    associations,
    cramers_v,
    epsilon,
    looked_at,
    outcomes,
    spearman,
    verdict,
)
from analysis.segments.attributes import ALARM
from tests.segments.made import series, skewed

Z = stats.norm.isf(0.025)


def table_of(counts):
    return np.indices(counts.shape).reshape(2, -1).repeat(counts.ravel(), axis=1)


@pytest.mark.parametrize("rows", [2, 3])
def test_cramers_v_is_bergsmas(rows):
    counts = np.array([[30, 10, 5], [10, 30, 20], [5, 10, 40]])[:rows]
    n, (r, k) = counts.sum(), counts.shape
    phi = stats.contingency.association(counts, method="cramer") ** 2 * (min(r, k) - 1)
    corrected = phi - (k - 1) * (r - 1) / (n - 1)
    sides = min(k - (k - 1) ** 2 / (n - 1) - 1, r - (r - 1) ** 2 / (n - 1) - 1)
    strength, low, high, p = cramers_v(*table_of(counts))
    assert strength == pytest.approx(np.sqrt(corrected / sides), abs=1e-12)
    assert low < strength < high
    assert p == pytest.approx(stats.chi2_contingency(counts, correction=False).pvalue)
    tea = np.array([[3, 1], [1, 3]])  # Fisher's
    assert cramers_v(*table_of(tea))[3] == pytest.approx(stats.fisher_exact(tea).pvalue, abs=0.04)


def test_tables_are_drawn_where_cochrans_rule_fails():
    """Of 2 x 5 cells two are expected to hold 4 and two 5: a fifth is below 5, which the rule still
    bears. It does not where one is expected below 1; p is then a share of the tables drawn.
    """
    borne = np.array([[2, 4, 15, 13, 16], [6, 6, 11, 15, 12]])
    expected = stats.chi2_contingency(borne, correction=False).pvalue
    assert cramers_v(*table_of(borne))[3] == expected
    rare = np.array([[1, 9, 15, 11, 14], [0, 8, 14, 16, 12]])
    places = cramers_v(*table_of(rare))[3] * 2_000
    assert places == pytest.approx(round(places), abs=1e-9)


def test_epsilon_is_kelleys_and_of_two_classes_about_the_correlation_of_ranks():
    rng = np.random.default_rng(4)
    a = rng.integers(0, 3, 90)
    b = rng.normal(size=90) + a
    h, p = stats.kruskal(*(b[a == n] for n in range(3)))
    ends = [np.sqrt(((np.sqrt(h) + step) ** 2 - 2) / 87) for step in (0, -Z, Z)]
    assert epsilon(a, b) == pytest.approx([*ends, p])
    two = rng.integers(0, 2, 2_000)
    money = rng.lognormal(size=2_000) * (1 + two)
    assert epsilon(two, money)[0] == pytest.approx(stats.spearmanr(two, money).statistic, abs=0.01)


def test_spearman_is_scipys_with_bonett_and_wrights_interval():
    a, b = np.arange(30.0), np.r_[np.arange(20.0), np.arange(10.0)]
    strength, low, high, p = spearman(a, b)
    theirs = stats.spearmanr(a, b)
    assert (strength, p) == pytest.approx((theirs.statistic, theirs.pvalue))
    half = Z * np.sqrt((1 + strength**2 / 2) / 27)
    assert (np.arctanh(low), np.arctanh(high)) == pytest.approx(
        (np.arctanh(strength) - half, np.arctanh(strength) + half)
    )
    assert spearman(a, a)[0] == pytest.approx(1)


def mixed(seed, size=300):
    """Attributes and outcomes of all types that have nothing to do with one another."""
    rng = np.random.default_rng(seed)
    ids = series(range(size)).index
    words = {
        f"attribute_{n}": rng.choice(list("abcde"), size, p=[0.5, 0.3, 0.15, 0.03, 0.02])
        for n in range(4)
    }
    classes = pd.CategoricalDtype(["1", "2-5", "6+"], ordered=True)
    drawn = rng.choice(classes.categories, (2, size))
    sizes = {f"attribute_size_{n}": pd.Categorical(drawn[n], dtype=classes) for n in range(2)}
    stages = rng.choice(["loyal", "silent", "lost"], size)
    outcomes = {"window_revenue": skewed(size, seed + 1), "stage": stages}
    return pd.DataFrame(words | sizes, ids), pd.DataFrame(outcomes, ids)


def test_the_measure_follows_from_the_types_and_pairs_stand_once():
    known, outcomes = mixed(1)
    found = associations(known, outcomes)
    measure = found.set_index(["a", "b"]).measure
    assert measure["0", "stage"] == "cramers_v"
    assert measure["0", "window_revenue"] == measure["size_0", "stage"] == "epsilon"
    assert measure["size_0", "window_revenue"] == "spearman"
    assert len(found) == 12 and (found.customers == 300).all()
    assert len(associations(known, known)) == 15
    shuffled = associations(known.iloc[::-1], outcomes.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(found, shuffled)


def test_columns_that_have_nothing_to_do_with_one_another_are_seldom_notable():
    found = [associations(*mixed(seed)).q.lt(ALARM).any() for seed in range(6)]
    assert sum(found) <= 1


def test_what_hangs_together_is_found_first_and_what_is_slight_is_not_notable():
    known, outcomes = mixed(2, 1_000)
    outcomes["window_revenue"] *= known.attribute_1.map({"a": 1, "b": 3, "c": 6, "d": 1, "e": 1})
    outcomes.loc[(known.attribute_2 == "b") & (np.arange(1_000) % 2 == 0), "stage"] = "lost"
    found = associations(known, outcomes)
    pairs = found[found.notable].set_index(["a", "b"]).index
    assert set(pairs) == {("1", "window_revenue"), ("2", "stage")} == set(list(pairs)[:2])
    known, outcomes = mixed(3, 40_000)
    outcomes["window_revenue"] *= known.attribute_0.map({"a": 1.25}).fillna(1)
    first = associations(known[["attribute_0"]], outcomes).iloc[0]
    assert first.q < ALARM and not first.notable


def test_too_few_customers_or_one_class_have_no_measure():
    known, outcomes = mixed(4)
    assert associations(known, outcomes.head(19)).strength.isna().all()
    alike = associations(known.assign(attribute_0="a"), outcomes).set_index("a")
    assert alike.strength["0"].isna().all() and alike.strength["1"].notna().all()
    assert associations(known.iloc[:, :0], outcomes).empty


@pytest.mark.slow
@pytest.mark.parametrize("strength", [0.0, 0.3])
def test_intervals_of_association_hold_what_is_true(strength):
    rng = np.random.default_rng(6)
    # Cramér's V is the strength
    joint = np.full((3, 3), (1 - strength) / 9) + np.eye(3) * strength / 3
    hits = {"v": 0, "epsilon": 0}
    far = rng.integers(0, 3, 200_000)
    truth = epsilon(far, far * 2 * strength + rng.normal(size=200_000))[0]
    for _ in range(80):
        _, low, high, _ = cramers_v(*table_of(rng.multinomial(300, joint.ravel()).reshape(3, 3)))
        hits["v"] += low <= strength <= high
        a = rng.integers(0, 3, 300)
        _, low, high, _ = epsilon(a, a * 2 * strength + rng.normal(size=300))
        hits["epsilon"] += low <= truth + 1e-9 and truth - 0.01 <= high
    assert min(hits.values()) >= 72


def test_the_attribute_looked_at_is_the_one_asked_for_or_the_strongest():
    known = mixed(1, 60)[0]
    people = pd.DataFrame({"customer_id": known.index, "window_revenue": skewed(60, 1)})
    people["window_revenue"] += 100 * (known.attribute_3 == "a").to_numpy()
    assert (looked_at(known, people), looked_at(known, people, "2")) == ("3", "2")
    assert looked_at(known[[]], people) == ""
    assert looked_at(known.head(5), people.head(5)) == "0"
    with pytest.raises(InputError, match=r"there is no size to group by; did you mean size_"):
        looked_at(known, people, "size")


def test_outcomes_are_revenue_and_the_stage_in_order():
    people = pd.DataFrame({"customer_id": ["a", "b"], "window_revenue": [1.0, 2]})
    segmented = pd.DataFrame({"customer_id": ["b", "a"], "stage": ["new", "lost"]})
    made = outcomes(people, segmented)
    assert made.revenue.to_dict() == {"a": 1, "b": 2}
    assert made.stage.to_dict() == {"a": "lost", "b": "new"}
    assert list(made.stage.cat.categories) == ["new", "lost"]


def test_the_verdict_names_the_strongest_that_is_notable():
    links = pd.DataFrame({"a": ["x", "y"], "b": "stage", "strength": [0.9, 0.2]})
    text, values = verdict(links.assign(notable=[False, True]))
    assert "the strongest is" in text
    assert values == {"pairs": 2, "notable": 1, "a": "y", "b": "stage", "strength": 0.2}
    text, values = verdict(links.assign(notable=False))
    assert text.startswith("Nothing in the profiles") and values["pairs"] == 2
    assert verdict(links.head(0))[1] == {"fewest": 20}
