import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import customers
from analysis.schema import STAGES
from analysis.segments import abc, registry, summaries

NOW = dt.date(1998, 6, 30)  # end of CDNOW


def frame(**columns):
    count = max(len(values) for values in columns.values() if isinstance(values, list))
    return pd.DataFrame({"customer_id": list("abcdefghij"[:count])} | columns)


@pytest.fixture(scope="module")
def sample(cdnow_sample):
    return customers.at(cdnow_sample, NOW, 365)


@pytest.fixture(scope="module")
def sample_segments(sample):
    return registry.segment(sample)


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
    made = registry.ALWAYS
    table = summaries.overview(sample, sample_segments, made)
    assert table.groupby("segmentation").customers.sum().to_dict() == dict.fromkeys(
        ["rfm", "abc", "lifecycle"], 2_357
    )
    stages = table[table.segmentation == "lifecycle"].group.tolist()
    assert stages == [stage for stage in STAGES if (sample_segments.stage == stage).any()]
    assert table.groupby("segmentation").revenue.sum().to_numpy() == pytest.approx(
        sample.window_revenue.sum()
    )


@given(st.lists(st.floats(-1e5, 1e6), min_size=1, max_size=30))
def test_concentration_rises_to_the_whole(values):
    curve = summaries.concentration(pd.Series(values))
    assert curve.empty == (max(values) <= 0)
    if len(curve):
        assert curve.value.is_monotonic_increasing
        assert curve.value.iloc[-1] == pytest.approx(1)


def test_classes_by_revenue_and_by_profit_are_compared_by_hand():
    """Of 26 positive profit b holds 20 (77 %), with c 24 (92 %), with a all; d and e cost money, of
    f nothing is known.
    """
    people = frame(window_revenue=[60.0, 25, 10, 5, -3, 0])
    people["window_profit"] = [2.0, 20, 4, -5, -3, np.nan]
    segmented = registry.segment(people, [abc.abc, abc.abc_profit])
    facts = {"a": 2, "differ": 4, "loss": 2, "lost": 8.0}
    assert summaries.profit_facts(people, segmented) == facts
    apart = summaries.disagreements(people, segmented)
    assert apart.customer_id.tolist() == ["d", "a", "c", "e"]
    assert apart.margin.iloc[:3].tolist() == pytest.approx([-1, 2 / 60, 0.4])
    assert np.isnan(apart.margin.iloc[3])
    grid = summaries.class_grid(segmented)
    assert grid.index.tolist() == ["A", "B", "C", "none"]
    assert grid.columns.tolist() == ["A", "B", "C", "none", "loss", "unknown"]
    assert grid.loc["A"].tolist() == [1, 1, 0, 0, 0, 0]
    assert grid.to_numpy().sum() == 6


def test_curves_are_of_revenue_and_of_profit_where_it_is_known():
    people = frame(window_revenue=[3.0, 1])
    assert set(summaries.concentrations(people).measure) == {"revenue"}
    both = summaries.concentrations(people.assign(window_profit=[2.0, -1]))
    assert both.groupby("measure").value.max().to_dict() == {"revenue": 1, "profit": 2}


def test_what_is_left_out_is_listed_by_the_column_it_lacks():
    made = summaries.left_out({"needs": ["interactions.category", "transactions.category"]})
    assert made.to_numpy().tolist() == [
        ["needs", "interactions", "category"],
        ["needs", "transactions", "category"],
    ]
