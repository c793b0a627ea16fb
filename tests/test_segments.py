import datetime as dt

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import customers, segments, tables
from analysis.segments import SEGMENTATIONS, STAGES, StageLimits

AS_OF = dt.date(2024, 3, 31)
RFM_NAMES = {name for row in segments.RFM_SEGMENTS.values() for name in row} | {"prospect"}
KNOWN = {
    "rfm_segment": RFM_NAMES,
    "abc_revenue": {"A", "B", "C", "none"},
    "stage": set(STAGES),
    "cluster": {f"cluster_{n}" for n in range(1, 9)},
}
LINES = st.tuples(
    st.sampled_from("abcdef"),
    st.dates(dt.date(2024, 1, 1), AS_OF),
    st.sampled_from(["-20", "-0.01", "0", "0.01", "5", "5", "19.99", "1000000"]),
)
LOG = st.lists(LINES, min_size=1, max_size=30)
DEGENERATE = {
    "one customer": [("a", AS_OF, "5")],
    "all alike": [(str(n), AS_OF, "5") for n in range(30)],
    "none who repeats": [(str(n), AS_OF - dt.timedelta(days=n), str(n + 1)) for n in range(30)],
    "returns only": [(str(n), AS_OF, "-5") for n in range(30)],
    "no money": [(str(n), AS_OF - dt.timedelta(days=n), "0") for n in range(30)],
}


def frame(**columns):
    return pd.DataFrame({"customer_id": list("abcdefghij"[: len(next(iter(columns.values())))])} | columns)


@pytest.fixture(scope="module")
def sample(cdnow_sample):
    return customers.at(cdnow_sample, dt.date(1998, 6, 30), 365)


@pytest.fixture(scope="module")
def sample_segments(sample):
    return segments.segment(sample)


def keeps_the_contract(people, name):
    made = SEGMENTATIONS[name](people)
    assert made.index.name == "customer_id"
    assert made.index.tolist() == people.customer_id.tolist()
    for column in made.columns.intersection(list(KNOWN)):
        assert set(made[column].dropna()) <= KNOWN[column]
        assert made[column].isna().sum() == 0 or tables.TABLES["segments"].columns[column].empty


@pytest.mark.parametrize("name", SEGMENTATIONS)
@given(LOG)
@settings(max_examples=10)
def test_every_customer_stands_in_one_known_class(ledger, name, log):
    keeps_the_contract(customers.at(ledger(log), AS_OF), name)


@pytest.mark.parametrize("name", SEGMENTATIONS)
def test_every_customer_of_the_sample_stands_in_one_known_class(sample, name):
    keeps_the_contract(sample, name)


@pytest.mark.parametrize("name", SEGMENTATIONS)
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_customers_are_segmented_all_the_same(ledger, name, case):
    keeps_the_contract(customers.at(ledger(DEGENERATE[case]), AS_OF), name)


@pytest.mark.parametrize("case", DEGENERATE)
def test_segments_of_degenerate_customers_keep_the_tables_contract(ledger, case):
    tables.conform("segments", segments.segment(customers.at(ledger(DEGENERATE[case]), AS_OF)))


def test_segments_of_the_sample_keep_the_tables_contract(sample_segments):
    tables.conform("segments", sample_segments)


@pytest.mark.parametrize("name", SEGMENTATIONS)
def test_nobody_is_segmented_into_nothing(ledger, name):
    nobody = customers.at(ledger([("a", AS_OF, "5")]), AS_OF - dt.timedelta(days=1))
    assert len(SEGMENTATIONS[name](nobody)) == 0


@pytest.mark.parametrize("name", SEGMENTATIONS)
def test_input_stays_untouched(sample, name):
    before = sample.copy()
    SEGMENTATIONS[name](sample)
    pd.testing.assert_frame_equal(sample, before)


def test_order_of_customers_does_not_matter(sample, sample_segments):
    shuffled = segments.segment(sample.sample(frac=1, random_state=7))
    pd.testing.assert_frame_equal(shuffled.sort_values("customer_id", ignore_index=True), sample_segments)


@pytest.mark.parametrize("factor", ["0.001", "1000"])
def test_the_currencys_unit_changes_no_segment(cdnow_sample, sample_segments, factor):
    scaled = cdnow_sample.mutate(amount=(cdnow_sample.amount * ibis.literal(float(factor))).cast("decimal(38, 12)"))
    moved = customers.at(scaled, dt.date(1998, 6, 30), 365)
    pd.testing.assert_frame_equal(segments.segment(moved), sample_segments)


@given(LOG, LINES.filter(lambda line: float(line[2]) > 0), st.sampled_from([0, 30]))
@settings(max_examples=15)
def test_no_score_falls_with_another_order(ledger, log, line, window_days):
    before = segments.rfm(customers.at(ledger(log), AS_OF, window_days))
    after = segments.rfm(customers.at(ledger([*log, line]), AS_OF, window_days))
    if line[0] in before.index:
        scores = ["r_score", "f_score", "m_score"]
        assert (after.loc[line[0], scores] >= before.loc[line[0], scores].fillna(0)).all()


@pytest.mark.parametrize(
    ("values", "scores"),
    [
        ([10, 20, 30, 40, 50], [1, 2, 3, 4, 5]),
        ([50, 10, 40, 20, 30], [5, 1, 4, 2, 3]),
        ([10, 10, 20, 30, 30], [1, 1, 3, 4, 4]),
        ([1, 2, 2, 2, 2], [1, 2, 2, 2, 2]),
        ([7, 7, 7], [1, 1, 1]),
        ([1, 2, 3, 4, 5, 6, 7], [1, 1, 2, 3, 3, 4, 5]),
        ([-1, 0], [1, 3]),
        ([7], [1]),
    ],
)
def test_scores_by_rank_with_ties_at_the_lowest(values, scores):
    assert segments.score(pd.Series(values)).tolist() == scores


def test_an_empty_value_has_no_score_and_takes_no_rank():
    scores = segments.score(pd.Series([10, np.nan, 20, 30, 40, 50]))
    assert scores.isna().tolist() == [False, True, False, False, False, False]
    assert scores.dropna().tolist() == [1, 2, 3, 4, 5]


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30))
def test_scores_follow_values_and_equal_values_score_alike(values):
    scores = segments.score(pd.Series(values))
    assert scores.between(1, 5).all()
    for value, score in zip(values, scores, strict=True):
        for other, its in zip(values, scores, strict=True):
            assert (value < other) <= (score <= its)
            assert (value == other) <= (score == its)


def test_rfm_by_hand():
    """b and c tie in recency (third of five), b and e in frequency, c and d in frequency, b and c in money."""
    people = frame(
        orders=[9, 1, 3, 3, 1, 0],
        recency_days=[1, 10, 10, 50, 90, np.nan],
        window_orders=[9, 1, 3, 3, 1, 0],
        window_revenue=[900.0, 500, 500, 100, 0, -7],
    )
    made = segments.rfm(people)
    assert made.r_score.tolist()[:5] == [5, 3, 3, 2, 1]
    assert made.f_score.tolist()[:5] == [5, 1, 3, 3, 1]
    assert made.m_score.tolist()[:5] == [5, 3, 3, 2, 1]
    assert made.loc["f", ["r_score", "f_score", "m_score"]].isna().all()
    assert made.rfm_segment.tolist() == ["champions", "about_to_sleep", "need_attention", "at_risk", "lost", "prospect"]


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([60, 20, 10, 6, 4], "A A B B C"),
        ([4, 6, 10, 20, 60], "C B B A A"),
        ([50, 20, 20, 5, 5], "A A A B B"),
        ([95, 5], "A C"),
        ([1, 1, 1, 1], "A A A A"),
        ([100, 0, -3, np.nan], "A none none none"),
        ([0, -1], "none none"),
    ],
)
def test_abc_by_hand(values, classes):
    assert segments.abc_classes(pd.Series(values, dtype=float)).tolist() == classes.split()


@given(st.lists(st.floats(-1e6, 1e6) | st.sampled_from([1.0, 2.0]), min_size=1, max_size=30))
def test_abc_never_ranks_less_money_higher(values):
    classes = segments.abc_classes(pd.Series(values))
    letters = [letter for _, letter in sorted(zip(values, classes, strict=True), key=lambda pair: (-pair[0], pair[1]))]
    assert letters == sorted(letters, key=["A", "B", "C", "none"].index)
    assert [letter == "none" for letter in classes] == [value <= 0 for value in values]


def test_stages_by_hand():
    """The limits themselves are not yet beyond; loyal begins at five order days."""
    people = frame(orders=[0, 1, 4, 5, 9, 9, 1, 9], recency_days=[np.nan, 30, 30, 30, 31, 60, 61, 61])
    stages = segments.lifecycle(people, StageLimits(silent_days=30, lost_days=60)).stage
    assert stages.tolist() == ["prospect", "new", "repeat", "loyal", "silent", "silent", "lost", "lost"]


def test_stage_limits_are_quantiles_of_the_mean_gaps():
    """Gaps 10, 20, ... 100 and a customer who did not repeat: the quantiles lie at 82 and 95.5."""
    gaps = range(10, 101, 10)
    people = pd.DataFrame({"frequency": [1] * 5 + [2] * 5 + [0], "recency_days": 3, "age_days": 0})
    people["age_days"] = [3 + gap * frequency for gap, frequency in zip(gaps, people.frequency, strict=False)] + [900]
    assert segments.stage_limits(people) == StageLimits(82, 96)
    assert segments.stage_limits(people, silent_days=5, lost_days=7) == StageLimits(5, 7)
    assert segments.stage_limits(people, silent_days=200) == StageLimits(200, 200)


def two_kinds(count):
    """Half buy often and much, half once and little."""
    n = np.arange(count)
    often = n % 2 == 0
    return pd.DataFrame(
        {
            "customer_id": [f"c{i:03}" for i in n],
            "orders": np.where(often, 50, 1),
            "frequency": np.where(often, 49, 0),
            "recency_days": np.where(often, 1, 300) + n % 3,
            "age_days": 310 + n,
            "window_revenue": np.where(often, 5000.0, 10) + n,
            "order_value": np.where(often, 100.0, 10),
        }
    )


def test_clusters_find_two_kinds_of_customers_and_number_them_by_money():
    people = two_kinds(40)
    found = segments.clusters(people).cluster
    assert found.tolist() == ["cluster_1", "cluster_2"] * 20


def test_as_many_clusters_as_asked_for():
    assert segments.clusters(two_kinds(40), k=4).cluster.nunique() == 4


def test_more_clusters_than_customers_do_not_crash():
    assert len(segments.clusters(two_kinds(20), k=30)) == 20


def test_groups_by_hand():
    people = frame(orders=[1, 2, 3], window_orders=[1, 2, 4], window_revenue=[10.0, 60, 30], recency_days=[5, 7, 9])
    groups = pd.Series(["x", "y", "x"], index=list("abc"))
    made = segments.by_group(people, groups)
    assert made.index.tolist() == ["y", "x"]
    assert made.loc["x"].to_dict() == {"customers": 2, "revenue": 40, "revenue_share": 0.4, "orders": 2.5, "recency_days": 7}


def test_group_shares_are_unknown_without_money():
    people = frame(orders=[1], window_orders=[1], window_revenue=[0.0], recency_days=[5])
    assert segments.by_group(people, pd.Series(["x"], index=["a"])).revenue_share.isna().all()


def test_score_grid_counts_everybody_with_scores(sample_segments):
    grid = segments.score_grid(sample_segments)
    assert grid.index.tolist() == [5, 4, 3, 2, 1]
    assert grid.columns.tolist() == [1, 2, 3, 4, 5]
    assert grid.to_numpy().sum() == 2_357
    assert grid.loc[5, 5] == ((sample_segments.r_score == 5) & (sample_segments.f_score == 5)).sum()


def test_concentration_by_hand():
    curve = segments.concentration(pd.Series([10, 70, -5, 20, np.nan]), points=5)
    assert curve.customers.tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert curve.value.tolist() == pytest.approx([0, 0.7, 0.9, 1, 1, 1])
    assert segments.concentration(pd.Series([0, -1])).empty
