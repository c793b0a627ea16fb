import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import customers
from analysis.segments import rfm as segments
from analysis.segments import summaries
from analysis.segments.rfm import STAGES

NOW = dt.date(1998, 6, 30)  # end of CDNOW


def frame(**columns):
    count = max(len(values) for values in columns.values() if isinstance(values, list))
    return pd.DataFrame({"customer_id": list("abcdefghij"[:count])} | columns)


@pytest.fixture(scope="module")
def sample(cdnow_sample):
    return customers.at(cdnow_sample, NOW, 365)


@pytest.fixture(scope="module")
def sample_segments(sample):
    return segments.segment(sample)


def test_moves_between_stages_by_hand():
    then = pd.DataFrame(
        {
            "customer_id": list("abcde"),
            "stage": ["prospect", "new", "new", "silent", "silent"],
            "orders": [0, 1, 1, 3, 3],
        }
    )
    stages = ["new", "repeat", "silent", "silent", "loyal", "new"]
    now = frame(stage=stages, orders=[1, 2, 1, 3, 5, 1])
    moves = summaries.stage_moves(then, now)
    assert moves.index.tolist() == ["prospect", "new", "silent"]
    assert moves.loc["new"].to_dict() == {
        "prospect": 0,
        "new": 0,
        "repeat": 0.5,
        "loyal": 0,
        "silent": 0.5,
        "lost": 0,
    }
    assert moves.sum(axis=1).eq(1).all()
    ordered = summaries.conversion(then, now).set_index("stage")
    assert ordered.customers.to_dict() == {"prospect": 1, "new": 2, "silent": 2}
    assert ordered.share.to_dict() == {"prospect": 1, "new": 0.5, "silent": 0.5}


def test_groups_by_hand():
    people = frame(
        orders=[1, 2, 3],
        window_orders=[1, 2, 4],
        window_revenue=[10.0, 60, 30],
        recency_days=[5, 7, 9],
    )
    made = summaries.by_group(people, pd.Series(["x", "y", "x"], index=list("abc")))
    assert made.index.tolist() == ["y", "x"]
    assert made.loc["x"].to_dict() == {
        "customers": 2,
        "revenue": 40,
        "revenue_share": 0.4,
        "orders": 2.5,
        "recency_days": 7,
    }


def test_group_shares_are_unknown_without_money():
    people = frame(orders=[1], window_orders=[1], window_revenue=[0.0], recency_days=[5])
    assert summaries.by_group(people, pd.Series(["x"], index=["a"])).revenue_share.isna().all()


def test_score_grid_counts_everybody_with_scores(sample_segments):
    grid = summaries.score_grid(sample_segments)
    assert grid.index.tolist() == [5, 4, 3, 2, 1]
    assert grid.columns.tolist() == [1, 2, 3, 4, 5]
    assert grid.to_numpy().sum() == 2_357
    assert grid.loc[5, 5] == ((sample_segments.r_score == 5) & (sample_segments.f_score == 5)).sum()


def test_concentration_by_hand():
    curve = summaries.concentration(pd.Series([10, 70, -5, 20, np.nan]), points=5)
    assert curve.customers.tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert curve.value.tolist() == pytest.approx([0, 0.7, 0.9, 1, 1, 1])
    assert summaries.concentration(pd.Series([0, -1])).empty


def test_concentration_with_losses_by_hand():
    """70, 20, 10 and a loss of 20 of a net 80: 87.5, 112.5, 125 and 100 %."""
    curve = summaries.concentration(pd.Series([70, 20, 10, -20]), points=4, losses=True)
    assert curve.value.tolist() == pytest.approx([0, 0.875, 1.125, 1.25, 1])
    assert summaries.concentration(pd.Series([5, -5]), losses=True).empty


def test_overview_counts_everybody_in_every_segmentation(sample, sample_segments):
    made = [segments.rfm, segments.abc, segments.lifecycle]
    table = summaries.overview(sample, sample_segments, made)
    assert table.groupby("segmentation").customers.sum().to_dict() == dict.fromkeys(
        ["rfm", "abc", "lifecycle"], 2_357
    )
    stages = table[table.segmentation == "lifecycle"].group.tolist()
    assert stages == [stage for stage in STAGES if (sample_segments.stage == stage).any()]
    assert table.groupby("segmentation").revenue.sum().to_numpy() == pytest.approx(
        sample.window_revenue.sum()
    )


def test_shares_of_few_customers_are_no_headline():
    known = pd.DataFrame({"stage": ["new", "lost"], "customers": [29, 30], "share": [0.9, 0.1]})
    shares = summaries.shares_of(known)
    assert (shares["lost"], np.isnan(shares["new"]), np.isnan(shares["prospect"])) == (
        0.1,
        True,
        True,
    )


@given(st.lists(st.floats(-1e5, 1e6), min_size=1, max_size=30))
def test_concentration_rises_to_the_whole(values):
    curve = summaries.concentration(pd.Series(values))
    assert curve.empty == (max(values) <= 0)
    if len(curve):
        assert curve.value.is_monotonic_increasing
        assert curve.value.iloc[-1] == pytest.approx(1)
