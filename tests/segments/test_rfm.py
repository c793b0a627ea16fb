import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import customers
from analysis.intake import cleaning
from analysis.segments import registry
from analysis.segments.lifecycle import Limits, Rhythm, limits
from analysis.segments.rfm import RFM_SEGMENTS, cut_points, rfm, score, score_grid
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
    ranked = pd.Series([False, False, *[True] * 5])
    assert score(pd.Series([9, 0, 1, 2, 3, 4, 5]), ranked=ranked).tolist() == [1, 1, 1, 2, 3, 4, 5]
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
    """Of the active, whose pauses have a chance above one in five, the last third of that chance
    scores 3 and the first 5. b and e tie in frequency, c and d in frequency, b and c in money.
    """
    people = frame(
        orders=[9, 1, 3, 3, 1, 0],
        stage=["loyal", "new", "repeat", "silent", "lost", "prospect"],
        pause_chance=[0.74, 0.46, 0.21, 0.19, 0.01, np.nan],
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
        orders=2,
        stage="silent",
        pause_chance=0.1,
        recency_days=[30, 31, 90, 91],
        window_orders=[5, 4, 2, 1],
        window_revenue=[500.0, 499.99, 100, 99],
    )
    cuts = {"recency": [30, 90], "frequency": [2, 5], "money": [100, 500]}
    made = rfm(people, scores=3, cuts=cuts)
    for column in ("r_score", "f_score", "m_score"):
        assert made[column].tolist() == [3, 2, 2, 1]
    assert made.rfm_segment.tolist() == ["champions", "need_attention", "need_attention", "lost"]


def test_cut_points_are_the_least_of_each_score_by_hand():
    people = frame(window_orders=[0, 1, 2, 2, 9], window_revenue=[0.0, 5.0, 7.0, 30.0, 20.0])
    scored = frame(f_score=[1, 1, 3, 3, 5], m_score=[1, 1, 2, 5, 4])
    never = float("inf")
    assert cut_points(people, scored) == {
        "frequency": [2.0, 2.0, 9.0, 9.0],
        "money": [7.0, 20.0, 20.0, 30.0],
    }
    assert cut_points(people, scored, 6)["money"] == [7.0, 20.0, 20.0, 30.0, never]
    unknown = scored.assign(m_score=pd.Series([None] * 5, dtype="Int64"))
    assert list(cut_points(people, unknown)) == ["frequency"]


@given(
    st.lists(
        st.tuples(st.integers(1, 12), st.integers(0, 400), st.integers(1, 9)),
        min_size=1,
        max_size=10,
    )
)
def test_their_own_cut_points_score_customers_as_their_ranks_do(rows):
    orders, recency, money = map(list, zip(*rows, strict=True))
    people = frame(
        orders=orders,
        window_orders=[n if days < 365 else 0 for n, days in zip(orders, recency, strict=True)],
        window_revenue=[float(m) if d < 365 else 0.0 for m, d in zip(money, recency, strict=True)],
        recency_days=recency,
        stage="repeat",
        pause_chance=0.5,
    )
    by_rank = rfm(people).reset_index()
    by_cuts = rfm(people, cuts=cut_points(people, by_rank)).reset_index()
    pd.testing.assert_frame_equal(by_rank, by_cuts)


def test_rfm_weights_by_hand():
    """Ranks 1, 2, 3 of three: scores 1, 2, 4; all are lost: 1. Money alone names the segment;
    without money frequency stands for it.
    """
    people = frame(orders=3, stage="lost", pause_chance=0.01, window_orders=[1, 2, 3])
    people["window_revenue"] = [30.0, 20, 10]
    by_money = rfm(people, weights={"frequency": 0.001, "money": 1000})
    assert by_money.rfm_segment.tolist() == ["cannot_lose", "hibernating", "lost"]
    twice = [(2 * 1 + 1 + 4) / 4, (2 + 2 + 2) / 4, (2 + 4 + 1) / 4]
    assert rfm(people, weights={"recency": 2}).rfm_score.tolist() == twice
    without = rfm(people.assign(window_revenue=np.nan))
    assert without.rfm_segment.tolist() == ["lost", "hibernating", "cannot_lose"]


GONE = {"lost", "hibernating", "at_risk", "cannot_lose"}
CUSTOMER = st.tuples(
    st.integers(1, 9),  # orders
    st.floats(0, 1),  # of which share in the value window
    st.sampled_from(["silent", "lost", "active"]),
    st.floats(0, 1),  # chance of the pause
    st.sampled_from([-5.0, 0.0, 10.0, 20.0, 1000.0]),
)


@given(st.lists(CUSTOMER, min_size=1, max_size=30), st.integers(3, 10))
def test_segments_mean_what_stages_say_whatever_the_scores(rows, scores):
    people = pd.DataFrame(rows, columns=["orders", "share", "stage", "pause_chance", "money"])
    active = people.orders.map(lambda n: "new" if n == 1 else "loyal" if n >= 5 else "repeat")
    people = people.assign(
        customer_id=people.index.astype(str),
        stage=people.stage.where(people.stage != "active", active),
        window_orders=(people.orders * people.share).round().astype(int),
    )
    people["window_revenue"] = people.money.where(people.window_orders > 0, 0.0)
    made = rfm(people, scores=scores).reset_index(drop=True)
    assert set(made[["r_score", "f_score", "m_score"]].to_numpy().ravel()) <= {
        *range(1, scores + 1)
    }
    assert set(made.rfm_segment[people.stage == "lost"]) <= GONE
    assert set(made.rfm_segment[people.stage == "silent"]) <= GONE - {"lost"}
    here = ~people.stage.isin(["lost", "silent"])
    assert not set(made.rfm_segment[here & (people.window_orders > 0)]) & GONE
    assert "lost" not in set(made.rfm_segment[here])
    assert people.orders[made.rfm_segment == "new_customers"].eq(1).all()
    best = made[here].groupby(people.pause_chance[here]).r_score.agg(["min", "max"])
    assert (best["min"] == best["max"]).all() and best["min"].is_monotonic_increasing
    alike = made.groupby([people[c] for c in people if c not in ("customer_id", "share")])
    assert alike.rfm_segment.nunique().eq(1).all()
    money = people.assign(window_revenue=people.window_revenue * 100)
    pd.testing.assert_frame_equal(rfm(money, scores=scores).reset_index(drop=True), made)


@pytest.mark.parametrize("days_ago", [0, 1, 30, 300])
def test_two_hundred_equal_customers_are_equally_active(days_ago):
    """All ordered once, on one day, and nobody knows how long they usually pause."""
    people = pd.DataFrame({"customer_id": range(200)}).astype(str).assign(
        orders=1, frequency=0, recency_days=days_ago, age_days=days_ago, revenue=9.0,
        window_orders=1, window_revenue=9.0,
    )  # fmt: skip
    made = registry.segment(people)
    assert set(made.stage) == {"new"}
    assert len(set(made.rfm_segment)) == 1 and not set(made.rfm_segment) & GONE


def test_days_all_longer_by_the_same_factor_change_no_segment():
    """But of whom the pause is within a day of a limit, which is a whole number of days."""
    rng = np.random.default_rng(3)
    orders, age = rng.geometric(0.3, 500), rng.integers(100, 2_000, 500).astype(float)
    people = pd.DataFrame({"customer_id": range(500), "orders": orders}).astype(
        {"customer_id": str}
    )
    people = people.assign(frequency=orders - 1, age_days=age, revenue=9.0, window_orders=orders)
    people["recency_days"] = np.where(orders > 1, np.floor(age * rng.beta(1, orders)), age)
    people["window_revenue"] = orders * rng.lognormal(3, 1, 500)
    short, long = (
        registry.segment(
            people.assign(**{name: people[name] * by for name in ("age_days", "recency_days")}),
            lifecycle={"learned": Limits(Rhythm(2.0, 90.0 * by), 1.5, 1.2)},
        )
        for by in (1, 7)
    )
    near = [abs(people.recency_days - short[f"{s}_after_days"]) <= 1 for s in ("silent", "lost")]
    assert len(set(short.rfm_segment)) >= 9
    columns = ["stage", "r_score", "f_score", "m_score", "rfm_segment"]
    far = ~(near[0] | near[1]).to_numpy(bool)
    assert far.sum() > 480
    pd.testing.assert_frame_equal(short.loc[far, columns], long.loc[far, columns])


def test_of_cdnow_recent_buyers_are_champions_and_every_group_that_there_can_be_is_filled(cdnow):
    """New customers there are none: all came in the first quarter of 1997 (Fader & Hardie), and who
    of them ordered once had paused for over a year.
    """
    people = customers.at(cleaning.transactions(cdnow), dt.date(1998, 6, 30), 365, [91])
    made = registry.segment(people, lifecycle={"learned": limits(people, 91)})
    assert set(made.rfm_segment) == set(rfm.classes) - {"prospect", "new_customers"}
    days = people.recency_days.groupby(made.rfm_segment).median()
    assert days.champions < days.loyal < days.need_attention < days.cannot_lose < days.lost
    assert days.champions < 31


def test_of_other_scores_the_middles_decide_and_a_companys_own_names_are_used():
    """The middles of four scores lie at 1/8, 3/8, 5/8 and 7/8 of five columns: the third is
    unused. The rows are the lost, the silent and thirds of the active.
    """
    people = frame(
        orders=1,
        stage=["lost", "silent", "new", "new"],
        pause_chance=[0.01, 0.1, 0.3, 0.9],
        window_orders=[1, 2, 3, 4],
        window_revenue=1.0,
    )
    names = [[f"{row}{column}" for column in "abcde"] for row in "54321"]
    made = rfm(people, scores=4, names=names, weights={"money": 1e-9})
    assert made.rfm_segment.tolist() == ["1a", "2b", "3d", "5e"]


def test_who_stayed_away_for_the_whole_window_is_neither_new_nor_promising():
    away = frame(orders=1, stage=["new", "silent", "lost"], pause_chance=[0.9, 0.1, 0.01])
    made = rfm(away.assign(window_orders=0, window_revenue=0.0))
    assert made.rfm_segment.tolist() == ["hibernating", "hibernating", "lost"]


def test_all_eleven_usual_names_are_used_and_explained():
    used = {name for row in RFM_SEGMENTS for name in row}
    assert used == set(rfm.classes) - {"prospect"} and len(used) == 11
