import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from analysis.segments.rfm import RFM_SEGMENTS, rfm, score, score_grid
from tests.segments.made import frame


def test_scores_by_rank_with_ties_at_the_lowest():
    for values, scores in (
        ([50, 10, 40, 20, 30], [5, 1, 4, 2, 3]),
        ([10, 10, 20, 30, 30], [1, 1, 3, 4, 4]),
        ([1, 2, 2, 2, 2], [1, 2, 2, 2, 2]),
        ([7, 7, 7], [1, 1, 1]),
        ([1, 2, 3, 4, 5, 6, 7], [1, 1, 2, 3, 3, 4, 5]),
        ([-1, 0], [1, 3]),
    ):
        assert score(pd.Series(values)).tolist() == scores
    unknown = score(pd.Series([10, np.nan, 20, 30, 40, 50]))
    assert unknown.isna().tolist() == [False, True, False, False, False, False]
    assert unknown.dropna().tolist() == [1, 2, 3, 4, 5]


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30))
def test_scores_follow_values_and_equal_values_score_alike(values):
    scores = score(pd.Series(values))
    assert scores.between(1, 5).all()
    best = scores.groupby(values).agg(["min", "max"])
    assert (best["min"] == best["max"]).all() and best["min"].is_monotonic_increasing


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
    segments = ["champions", "about_to_sleep", "need_attention", "at_risk", "lost", "prospect"]
    assert made.rfm_segment.tolist() == segments
    grid = score_grid(made)
    assert (grid.index.tolist(), grid.columns.tolist()) == ([5, 4, 3, 2, 1], [1, 2, 3, 4, 5])
    assert (grid.loc[5, 5], grid.loc[3, 1], grid.to_numpy().sum()) == (1, 1, 5)


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
    for column in ("r_score", "f_score", "m_score"):
        assert made[column].tolist() == [3, 2, 2, 1]
    assert made.rfm_segment.tolist() == ["champions", "need_attention", "need_attention", "lost"]


def test_rfm_weights_by_hand():
    """Ranks 1, 2, 3 of three: scores 1, 2, 4; recency is the same for all: 1. Money alone names the
    segment; without money frequency stands for it.
    """
    people = frame(orders=1, recency_days=5, window_orders=[1, 2, 3], window_revenue=[30.0, 20, 10])
    by_money = rfm(people, weights={"frequency": 0.001, "money": 1000})
    assert by_money.rfm_segment.tolist() == ["cannot_lose", "hibernating", "lost"]
    twice = [(2 * 1 + 1 + 4) / 4, (2 + 2 + 2) / 4, (2 + 4 + 1) / 4]
    assert rfm(people, weights={"recency": 2}).rfm_score.tolist() == twice
    without = rfm(people.assign(window_revenue=np.nan))
    assert without.rfm_segment.tolist() == ["lost", "hibernating", "cannot_lose"]


def test_any_number_of_scores_uses_the_corners_of_the_names():
    """The best of all is a champion, the worst lost, and a late buyer with few orders new."""
    for scores in (3, 4, 10):
        count = scores * 4
        numbers = np.arange(1, count + 1)
        people = pd.DataFrame(
            {"customer_id": numbers.astype(str), "orders": 1, "recency_days": numbers[::-1]}
        ).assign(window_orders=numbers, window_revenue=numbers.astype(float))
        made = rfm(people, scores=scores)
        assert made.r_score.value_counts().tolist() == [4] * scores
        assert made.rfm_segment.iloc[[0, -1]].tolist() == ["lost", "champions"]
        reverse = rfm(people.assign(recency_days=numbers), scores=scores)
        assert reverse.rfm_segment.iloc[[0, -1]].tolist() == ["new_customers", "cannot_lose"]


def test_of_four_scores_the_middles_decide_and_a_companys_own_names_are_used():
    """The middles of four scores lie at 1/8, 3/8, 5/8 and 7/8 of five rows: the third is unused."""
    people = frame(
        orders=1, recency_days=[4, 3, 2, 1], window_orders=[1, 2, 3, 4], window_revenue=1.0
    )
    names = [[f"{row}{column}" for column in "abcde"] for row in "54321"]
    made = rfm(people, scores=4, names=names, weights={"money": 1e-9})
    assert made.rfm_segment.tolist() == ["1a", "2b", "4d", "5e"]


def test_who_stayed_away_for_the_whole_window_is_neither_new_nor_promising():
    away = frame(orders=1, recency_days=[400, 500, 600, 700, 800], window_orders=0)
    made = rfm(away.assign(window_revenue=0.0))
    assert made.rfm_segment.tolist() == ["hibernating"] * 4 + ["lost"]


def test_all_eleven_usual_names_are_used_and_explained():
    used = {name for row in RFM_SEGMENTS for name in row}
    assert used == set(rfm.classes) - {"prospect"} and len(used) == 11
