import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import customers
from analysis.segments.rfm import RFM_SEGMENTS, rfm, score, score_grid, segment_names

AS_OF = dt.date(2024, 3, 31)
LINES = st.tuples(
    st.sampled_from("abcdef"),
    st.dates(dt.date(2024, 1, 1), AS_OF),
    st.sampled_from(["-20", "-0.01", "0", "0.01", "5", "5", "19.99", "1000000"]),
)
LOG = st.lists(LINES, min_size=1, max_size=30)


def frame(**columns):
    count = max(len(values) for values in columns.values() if isinstance(values, list))
    return pd.DataFrame({"customer_id": list("abcdefghij"[:count])} | columns)


@given(LOG, LINES.filter(lambda line: float(line[2]) > 0), st.sampled_from([0, 30]))
@settings(max_examples=15)
def test_no_score_falls_with_another_order(ledger, log, line, window_days):
    before = rfm(customers.at(ledger(log), AS_OF, window_days))
    after = rfm(customers.at(ledger([*log, line]), AS_OF, window_days))
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
    assert score(pd.Series(values)).tolist() == scores


def test_an_empty_value_has_no_score_and_takes_no_rank():
    scores = score(pd.Series([10, np.nan, 20, 30, 40, 50]))
    assert scores.isna().tolist() == [False, True, False, False, False, False]
    assert scores.dropna().tolist() == [1, 2, 3, 4, 5]


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30))
def test_scores_follow_values_and_equal_values_score_alike(values):
    scores = score(pd.Series(values))
    assert scores.between(1, 5).all()
    for value, found in zip(values, scores, strict=True):
        for other, its in zip(values, scores, strict=True):
            assert (value < other) <= (found <= its)
            assert (value == other) <= (found == its)


def test_rfm_by_hand():
    """b and c tie in recency (third of five), b and e in frequency, c and d in frequency, b and c
    in money.
    """
    people = frame(
        orders=[9, 1, 3, 3, 1, 0],
        recency_days=[1, 10, 10, 50, 90, np.nan],
        window_orders=[9, 1, 3, 3, 1, 0],
        window_revenue=[900.0, 500, 500, 100, 0, -7],
    )
    made = rfm(people)
    assert made.r_score.tolist()[:5] == [5, 3, 3, 2, 1]
    assert made.f_score.tolist()[:5] == [5, 1, 3, 3, 1]
    assert made.m_score.tolist()[:5] == [5, 3, 3, 2, 1]
    assert made.loc["f", ["r_score", "f_score", "m_score"]].isna().all()
    assert made.rfm_segment.tolist() == [
        "champions",
        "about_to_sleep",
        "need_attention",
        "at_risk",
        "lost",
        "prospect",
    ]


def test_rfm_with_cut_points_by_hand():
    """Three scores: recency up to 30 and up to 90 days, from 2 and from 5 orders, from 100 and from
    500 of money.
    """
    people = frame(
        orders=1,
        recency_days=[30, 31, 90, 91],
        window_orders=[5, 4, 2, 1],
        window_revenue=[500.0, 499.99, 100, 99],
    )
    cuts = {"recency": [30, 90], "frequency": [2, 5], "money": [100, 500]}
    made = rfm(people, scores=3, cuts=cuts)
    assert made.r_score.tolist() == [3, 2, 2, 1]
    assert made.f_score.tolist() == [3, 2, 2, 1]
    assert made.m_score.tolist() == [3, 2, 2, 1]
    assert made.rfm_segment.tolist() == ["champions", "need_attention", "need_attention", "lost"]


def test_rfm_weights_by_hand():
    """Ranks 1, 2, 3 of three: scores 1, 2, 4; recency is the same for all: 1. Money alone names the
    segment.
    """
    people = frame(orders=1, recency_days=5, window_orders=[1, 2, 3], window_revenue=[30.0, 20, 10])
    by_money = rfm(people, weights={"frequency": 0.001, "money": 1000})
    assert by_money.rfm_segment.tolist() == ["cannot_lose", "hibernating", "lost"]
    assert rfm(people, weights={"recency": 2}).rfm_score.tolist() == [
        (2 * 1 + 1 + 4) / 4,
        (2 + 2 + 2) / 4,
        (2 + 4 + 1) / 4,
    ]


@pytest.mark.parametrize("scores", range(3, 11))
def test_any_number_of_scores_uses_the_corners_of_the_names(scores):
    """The best of all is a champion, the worst lost, and a late buyer with few orders new."""
    count = scores * 4
    people = pd.DataFrame(
        {
            "customer_id": [f"c{n:03}" for n in range(count)],
            "orders": 1,
            "recency_days": range(count, 0, -1),
        }
        | {"window_orders": range(1, count + 1), "window_revenue": np.arange(count, dtype=float)}
    )
    made = rfm(people, scores=scores)
    assert made.r_score.value_counts().tolist() == [4] * scores
    assert (made.rfm_segment.iloc[0], made.rfm_segment.iloc[-1]) == ("lost", "champions")
    reverse = rfm(people.assign(recency_days=range(1, count + 1)), scores=scores)
    assert (reverse.rfm_segment.iloc[0], reverse.rfm_segment.iloc[-1]) == (
        "new_customers",
        "cannot_lose",
    )


def test_a_companys_own_segment_names():
    people = frame(
        orders=1, recency_days=[1, 2, 3], window_orders=[3, 2, 1], window_revenue=[3.0, 2, 1]
    )
    names = [
        ["low now", "mid now", "top now"],
        ["low", "mid", "top"],
        ["low ago", "mid ago", "top ago"],
    ]
    made = rfm(people, scores=3, names=names)
    assert made.rfm_segment.tolist() == ["top now", "mid", "low ago"]
    assert segment_names(
        [["a", "b", "b"], ["c", "c", "c"], ["d", "e", "f"]], 3
    ).to_numpy().tolist() == [
        [3, "a", 1, 1],
        [3, "b", 2, 3],
        [2, "c", 1, 3],
        [1, "d", 1, 1],
        [1, "e", 2, 2],
        [1, "f", 3, 3],
    ]


def test_the_definition_printed_is_the_one_applied():
    """With four scores the middles lie at 1/8, 3/8, 5/8 and 7/8 of the five rows: rows 1, 2, 4 and
    5; the third is unused.
    """
    names = segment_names(scores=4)
    assert set(names.recency) == {1, 2, 3, 4}
    assert "need_attention" not in set(names.segment)
    best = names[names.recency == 4].set_index("segment")[["fm_low", "fm_high"]].to_numpy().tolist()
    assert best == [[1, 1], [2, 2], [3, 4]]


def test_who_stayed_away_for_the_whole_window_is_neither_new_nor_promising():
    people = frame(
        orders=1, recency_days=[400, 500, 600, 700, 800], window_orders=0, window_revenue=0.0
    )
    assert rfm(people).rfm_segment.tolist() == ["hibernating"] * 4 + ["lost"]


def test_all_eleven_usual_names_are_used_and_explained():
    used = {name for row in RFM_SEGMENTS for name in row}
    assert used == set(rfm.classes) - {"prospect"}
    assert len(used) == 11


def test_the_grid_counts_everybody_with_scores():
    people = pd.DataFrame({"r_score": [5, 5, 1, None], "f_score": [5, 5, 2, None]}, dtype="Int64")
    grid = score_grid(people)
    assert grid.index.tolist() == [5, 4, 3, 2, 1]
    assert grid.columns.tolist() == [1, 2, 3, 4, 5]
    assert (grid.loc[5, 5], grid.loc[1, 2], grid.to_numpy().sum()) == (2, 1, 3)
