import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.segments import abc, lifecycle, registry, summaries
from tests.segments.made import frame


def test_groups_by_hand():
    people = frame(
        orders=[1, 2, 3, 1],
        window_orders=[1, 2, 4, 1],
        window_revenue=[10.0, 60, 30, np.nan],
        recency_days=[5, 7, 9, 1],
    )
    made = summaries.by_group(people, pd.Series(["x", "y", "x"], index=list("abc")))
    assert made.index.tolist() == ["y", "x"] and made.index.name == "group"
    of_x = {"customers": 2, "revenue": 40, "revenue_share": 0.4, "orders": 2.5, "recency_days": 7}
    assert made.loc["x"].to_dict() == of_x
    nothing = summaries.by_group(people.assign(window_revenue=0.0), pd.Series("x", list("abcd")))
    assert nothing.revenue_share.isna().all()
    assert np.isnan(summaries.known_sum(people.window_revenue.tail(1)))


def test_overview_counts_everybody_in_the_order_of_the_classes():
    people = frame(
        orders=[1, 1, 2, 0, 1],
        frequency=[0, 0, 1, 0, 0],
        age_days=[1, 900, 9, np.nan, 2],
        recency_days=[1, 900, 9, np.nan, 2],
        window_orders=[1, 1, 2, 0, 1],
        window_revenue=[10.0, 60, 30, 0, 5],
        revenue=[10.0, 60, 30, 0, 5],
    )
    made = [lifecycle.lifecycle, abc.abc]
    options = {"lifecycle": {"silent_days": 30, "lost_days": 60}}
    table = summaries.overview(people, registry.segment(people, made, **options), made)
    stages = table[table.segmentation == "lifecycle"].set_index("group")
    assert stages.index.tolist() == ["prospect", "new", "repeat", "lost"]
    assert stages.customers.tolist() == [1, 2, 1, 1]
    assert stages.customers_share.tolist() == [0.2, 0.4, 0.2, 0.2]
    assert stages.revenue.tolist() == [0, 15, 30, 60]
    assert table[table.segmentation == "abc"].group.tolist() == ["A", "B", "C", "none"]


def test_concentration_by_hand():
    """70, 20, 10 and a loss of 20 of a net 80: 87.5, 112.5, 125 and 100 %."""
    curve = summaries.concentration(pd.Series([10, 70, -5, 20, np.nan]), points=5)
    assert curve.customers.tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert curve.value.tolist() == pytest.approx([0, 0.7, 0.9, 1, 1, 1])
    losses = summaries.concentration(pd.Series([70, 20, 10, -20]), losses=True, points=4)
    assert losses.value.tolist() == pytest.approx([0, 0.875, 1.125, 1.25, 1])
    assert summaries.concentration(pd.Series([5, -5]), losses=True).empty
    people = frame(window_revenue=[3.0, 1])
    assert set(summaries.concentrations(people).measure) == {"revenue"}
    both = summaries.concentrations(people.assign(window_profit=[2.0, -1]))
    assert both.groupby("measure").value.max().to_dict() == {"revenue": 1, "profit": 2}


@given(st.lists(st.floats(-1e5, 1e6), min_size=1, max_size=30))
def test_concentration_rises_to_the_whole(values):
    curve = summaries.concentration(pd.Series(values))
    assert curve.empty == (max(values) <= 0)
    assert curve.value.is_monotonic_increasing
    assert curve.empty or curve.value.iloc[-1] == pytest.approx(1)


def test_classes_by_revenue_and_by_profit_are_compared_by_hand():
    """Of 26 positive profit b holds 20 (77 %), with c 24 (92 %), with a all; d and e cost money, of
    f nothing is known.
    """
    people = frame(window_revenue=[60.0, 25, 10, 1, -3, 0])
    people["window_profit"] = [2.0, 20, 4, -1, -3, np.nan]
    segmented = registry.segment(people, [abc.abc, abc.abc_profit])
    assert summaries.losses(people) == {"loss": 2, "lost": 4.0}
    apart = summaries.disagreements(people, segmented)
    assert apart.customer_id.to_dict() == dict(enumerate("dace"))
    assert apart.margin.iloc[:3].tolist() == pytest.approx([-1, 2 / 60, 0.4])
    assert np.isnan(apart.margin.iloc[3])
