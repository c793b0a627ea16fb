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
    strongest,
)
from analysis.segments.attributes import ALARM, classify


def series(values, name="x"):
    ids = [f"c{n:05d}" for n in range(len(values))]
    return pd.Series(values, pd.Index(ids, name="customer_id"), name=name)


def buyers(classes, money, stage="loyal"):
    known = series(classes, "attribute_x").astype("str").astype("category").to_frame()
    people = pd.DataFrame({"customer_id": known.index, "window_revenue": money, "stage": stage})
    return known, people


def skewed(size, seed, sigma=1.5, none=0.3):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(size) < none, 0, rng.lognormal(3, sigma, size))


def table_of(counts):
    return np.indices(counts.shape).reshape(2, -1).repeat(counts.ravel(), axis=1)


def test_cramers_v_is_bergsmas():
    counts = np.array([[30, 10, 5], [10, 30, 20]])
    n, (r, k) = counts.sum(), counts.shape
    phi = stats.contingency.association(counts, method="cramer", correction=False) ** 2 * (
        min(r, k) - 1
    )
    corrected = max(0, phi - (k - 1) * (r - 1) / (n - 1))
    expected = np.sqrt(
        corrected / min(k - (k - 1) ** 2 / (n - 1) - 1, r - (r - 1) ** 2 / (n - 1) - 1)
    )
    strength, low, high, p = cramers_v(*table_of(counts))
    assert strength == pytest.approx(expected, abs=1e-12)
    assert low < strength < high
    assert p == pytest.approx(stats.chi2_contingency(counts, correction=False).pvalue)


def test_small_expected_counts_are_judged_by_drawn_tables():
    counts = np.array([[3, 1], [1, 3]])  # Fisher's tea
    p = cramers_v(*table_of(counts))[3]
    assert p == pytest.approx(stats.fisher_exact(counts).pvalue, abs=0.04)


def test_epsilon_is_kelleys_and_of_two_classes_about_the_correlation_of_ranks():
    rng = np.random.default_rng(4)
    a = rng.integers(0, 3, 90)
    b = rng.normal(size=90) + a
    h, p = stats.kruskal(*(b[a == n] for n in range(3)))
    strength, low, high, found = epsilon(a, b)
    assert strength == pytest.approx(np.sqrt((h - 2) / 87))
    assert low < strength < high
    assert found == pytest.approx(p)
    two = rng.integers(0, 2, 2_000)
    money = rng.lognormal(size=2_000) * (1 + two)
    assert epsilon(two, money)[0] == pytest.approx(stats.spearmanr(two, money).statistic, abs=0.01)


def test_spearman_is_scipys():
    a, b = np.arange(30.0), np.r_[np.arange(20.0), np.arange(10.0)]
    strength, low, high, p = spearman(a, b)
    theirs = stats.spearmanr(a, b)
    assert (strength, p) == (pytest.approx(theirs.statistic), pytest.approx(theirs.pvalue))
    assert low < strength < high
    assert spearman(a, a)[0] == pytest.approx(1)


def mixed(seed, size=300):
    """Attributes and outcomes of all types that have nothing to do with one another."""
    rng = np.random.default_rng(seed)
    ids = series(range(size)).index
    words = {
        f"attribute_{n}": rng.choice(list("abcde"), size, p=[0.5, 0.3, 0.15, 0.03, 0.02])
        for n in range(4)
    }
    sizes = {
        f"attribute_size_{n}": (
            classify(pd.Series(rng.choice(["1", "2-5", "6+"], size))).to_numpy()
        )
        for n in range(2)
    }
    known = pd.DataFrame(words | sizes, ids)
    for name in sizes:
        known[name] = known[name].astype(pd.CategoricalDtype(["1", "2-5", "6+"], ordered=True))
    outcomes = {
        "window_revenue": skewed(size, seed + 1),
        "stage": rng.choice(["loyal", "silent", "lost"], size),
    }
    return known, pd.DataFrame(outcomes, ids)


def test_the_measure_follows_from_the_types():
    found = associations(*mixed(1)).set_index(["a", "b"]).measure
    assert found["0", "stage"] == "cramers_v"
    assert found["0", "window_revenue"] == found["size_0", "stage"] == "epsilon"
    assert found["size_0", "window_revenue"] == "spearman"
    assert len(found) == 12


def test_columns_that_have_nothing_to_do_with_one_another_are_seldom_notable():
    found = [associations(*mixed(seed)).q.lt(ALARM).any() for seed in range(15)]
    assert np.mean(found) <= 0.15


def test_what_hangs_together_is_found_and_comes_first():
    known, outcomes = mixed(2, 1_000)
    outcomes["window_revenue"] *= known.attribute_1.map({"a": 1, "b": 3, "c": 6, "d": 1, "e": 1})
    outcomes.loc[(known.attribute_2 == "b") & (np.arange(1_000) % 2 == 0), "stage"] = "lost"
    found = associations(known, outcomes)
    assert found[found.notable][["a", "b"]].to_numpy().tolist() in (
        [["1", "window_revenue"], ["2", "stage"]],
        [["2", "stage"], ["1", "window_revenue"]],
    )


def test_what_is_sure_but_slight_is_not_notable():
    known, outcomes = mixed(3, 40_000)
    outcomes["window_revenue"] *= known.attribute_0.map({"a": 1.25}).fillna(1)
    first = associations(known, outcomes).iloc[0]
    assert first.q < ALARM
    assert not first.notable


def test_too_few_customers_or_one_class_have_no_measure():
    known, outcomes = mixed(4)
    assert associations(known, outcomes.head(10)).strength.isna().all()
    alike = associations(known.assign(attribute_0="a"), outcomes).set_index("a")
    assert alike.strength["0"].isna().all()
    assert alike.strength["1"].notna().all()
    assert associations(known.iloc[:, :0], outcomes).empty


def test_associations_do_not_depend_on_the_order_of_rows_and_pairs_stand_once():
    known, outcomes = mixed(5)
    found = associations(known, outcomes)
    pd.testing.assert_frame_equal(
        found, associations(known.iloc[::-1], outcomes.sample(frac=1, random_state=1))
    )
    assert len(associations(known, known)) == 15


@pytest.mark.parametrize("strength", [0.0, 0.3])
def test_intervals_of_association_hold_what_is_true(strength):
    rng = np.random.default_rng(6)
    joint = (
        np.full((3, 3), (1 - strength) / 9) + np.eye(3) * strength / 3
    )  # Cramér's V is the strength
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


def test_an_attribute_that_is_none_is_named():
    known, people = buyers(["a", "b"] * 30, skewed(60, 1))
    assert looked_at(known, people) == looked_at(known, people, "x") == "x"
    assert looked_at(known[[]], people) == ""
    with pytest.raises(InputError, match=r"there is no xx to group by; did you mean x\?"):
        looked_at(known, people, "xx")


def test_outcomes_are_revenue_and_the_stage_in_order():
    people = pd.DataFrame({"customer_id": ["a", "b"], "window_revenue": [1.0, 2]})
    segmented = pd.DataFrame({"customer_id": ["b", "a"], "stage": ["new", "lost"]})
    made = outcomes(people, segmented)
    assert made.revenue.to_dict() == {"a": 1, "b": 2}
    assert made.stage.to_dict() == {"a": "lost", "b": "new"}
    assert list(made.stage.cat.categories) == ["new", "lost"]


def test_the_strongest_is_a_notable_one_where_there_is_one():
    links = pd.DataFrame({"a": ["x", "y"], "b": "stage", "strength": [0.9, 0.2]})
    sure = strongest(links.assign(notable=[False, True]))
    assert sure == {"notable": 1, "a": "y", "b": "stage", "strength": 0.2}
    assert strongest(links.assign(notable=False))["a"] == "x"
