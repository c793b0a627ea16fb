import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.segments.abc import abc, abc_classes, abc_profit, held_above


def test_the_share_held_by_those_above_by_hand():
    """Of 100, 50 is the most; the two of 20 hold the same, in any order; losses count as none."""
    values = pd.Series([20.0, -3, 50, 20, 10, 0, np.nan], index=list("abcdefg"))
    held = {"a": 0.5, "b": 1, "c": 0, "d": 0.5, "e": 0.9, "f": 1, "g": 1}
    assert held_above(values).to_dict() == pytest.approx(held)
    assert held_above(values[::-1]).to_dict() == pytest.approx(held)


def test_abc_by_hand():
    for values, classes in (
        ([4, 6, 10, 20, 60], "C B B A A"),
        ([50, 20, 20, 5, 5], "A A A B B"),
        ([95, 5], "A C"),
        ([1, 1, 1, 1], "A A A A"),
        ([100, 0, -3, np.nan], "A none none none"),
        ([0, -1], "none none"),
    ):
        assert abc_classes(pd.Series(values, dtype=float)).tolist() == classes.split()
    assert abc_classes(pd.Series([50.0, 30, 20]), (0.5, 0.8)).tolist() == ["A", "B", "C"]


@given(st.lists(st.floats(-1e6, 1e6) | st.sampled_from([1.0, 2.0]), min_size=1, max_size=30))
def test_abc_never_ranks_less_money_higher(values):
    classes = abc_classes(pd.Series(values))
    letters = [letter for _, letter in sorted(zip(values, classes, strict=True), reverse=True)]
    rank = ["A", "B", "C", "none"].index
    assert list(map(rank, letters)) == sorted(map(rank, letters))
    assert [letter == "none" for letter in classes] == [value <= 0 for value in values]


def test_by_profit_losses_and_unknown_costs_are_classes_of_their_own():
    """Of 26 positive profit b holds 20 (77 %), with c 24 (92 %), with a all."""
    people = pd.DataFrame(
        {"customer_id": list("abcdef"), "window_profit": [2.0, 20, 4, -5, 0, np.nan]}
    )
    people["window_revenue"] = [60.0, 25, 10, 5, -3, 0]
    made = abc_profit(people).abc_profit.to_dict()
    assert made == {"a": "B", "b": "A", "c": "A", "d": "loss", "e": "none", "f": "unknown"}
    assert abc(people).abc_revenue.tolist() == ["A", "A", "B", "C", "none", "none"]
    assert abc(people, cuts=(0.5, 0.6)).abc_revenue.tolist() == ["A", "C", "C", "C", "none", "none"]
