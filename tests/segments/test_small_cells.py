import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from analysis.schema import STAGES
from analysis.segments import attributes, small_cells
from analysis.segments.small_cells import OTHER, THRESHOLD, UNKNOWN
from tests.segments.made import series

ROW = st.lists(st.sampled_from([0, 0, 1, 2, 3, 4, 5, 9, 30]), min_size=4, max_size=4)
# Children by county and schooling (Federal Committee on Statistical Methodology, Statistical Policy
# Working Paper 22, 2005, chapter 2).
DELINQUENT = np.array([[15, 1, 3, 1], [20, 10, 10, 15], [3, 10, 10, 2], [12, 14, 7, 2]])


def crossed(table):
    """An attribute and an outcome, keyed by customer_id, with these counts by class."""
    rows, columns = np.indices(table.shape).reshape(2, -1).repeat(table.ravel(), axis=1)
    return series([f"row {n}" for n in rows]), series([f"column {n}" for n in columns])


def attack(counts, hidden, lowest=0):
    """How far apart the least and the most are that each hidden count can be, by linear programming
    from all totals.
    """
    cells = np.argwhere(hidden)
    lines = [cells[:, axis] == n for axis in (0, 1) for n in range(counts.shape[axis])]
    known = {"A_eq": np.array(lines, float), "bounds": (lowest, None), "method": "highs"}
    totals = [*(counts * hidden).sum(1), *(counts * hidden).sum(0)]
    for aim in np.eye(len(cells)):
        least, most = (linprog(sign * aim, b_eq=totals, **known).x @ aim for sign in (1, -1))
        yield round(most - least, 6)


@given(st.lists(ROW, min_size=2, max_size=5).map(np.array))
@settings(max_examples=12)
def test_nobody_can_work_out_a_hidden_count_of_persons(table):
    attribute, outcome = crossed(table)
    shown = small_cells.cross(attribute, outcome, persons=True)
    if shown.empty:
        assert table.sum() < THRESHOLD
        return
    visible = shown.drop(columns="customers").to_numpy(float, na_value=np.nan)
    assert not ((visible > 0) & (visible < THRESHOLD)).any()
    assert (shown.customers >= THRESHOLD).all() and shown.customers.sum() == table.sum()
    pooled = [small_cells.grouped(values, attribute.index, True) for values in (attribute, outcome)]
    counts, hidden = pd.crosstab(*pooled).to_numpy(), np.isnan(visible)
    assert (counts[~hidden] == visible[~hidden]).all()
    assert all(apart >= 1 for apart in attack(counts, hidden))
    for axis in (0, 1):
        sums, several = (counts * hidden).sum(axis), hidden.sum(axis)
        assert (sums[several > 0] >= THRESHOLD).all() and (several[several > 0] >= 2).all()


def test_what_can_move_is_what_linear_programming_says():
    rng = np.random.default_rng(5)
    for _ in range(8):
        counts, hidden = rng.integers(0, 6, (4, 4)), rng.random((4, 4)) < 0.5
        hidden &= counts >= small_cells.LOWEST
        moves = small_cells._can_move(counts, hidden)[hidden]
        truth = [apart > 0.5 for apart in attack(counts, hidden, small_cells.LOWEST)]
        assert moves.tolist() == truth


def test_what_needs_no_protection_is_shown_whole():
    companies = small_cells.cross(*crossed(np.array([[1, 2], [3, 40]])), persons=False)
    assert companies.to_numpy().tolist() == [[1, 2, 3], [3, 40, 43]]
    large = np.array([[5, 0, 20], [10, 30, 0]])
    shown = small_cells.cross(*crossed(large), persons=True).iloc[:, :-1]
    assert shown.to_numpy().tolist() == large.tolist()
    assert small_cells.cross(None, series([1]), persons=False).empty


def test_a_published_table_that_gives_a_count_away_is_seen_through_and_protected():
    hidden = np.array([[0, 1, 1, 1], [0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1]], bool)
    assert np.argwhere(hidden & ~small_cells._can_move(DELINQUENT, hidden)).tolist() == [[0, 3]]
    hidden = small_cells.suppressed(DELINQUENT)
    assert hidden[DELINQUENT < THRESHOLD].all() and hidden.sum() <= 10
    assert all(apart >= 1 for apart in attack(DELINQUENT, hidden))


def test_what_is_hidden_beside_a_small_count_is_cheap_and_no_zero():
    """The 2 alone would follow from the totals: beside it, and across, the smallest that is known
    to be there.
    """
    counts = np.array([[2, 8, 0], [7, 6, 20], [30, 40, 50]])
    assert small_cells.suppressed(counts).astype(int).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_where_the_crossing_line_hides_something_already_a_larger_count_is_hidden():
    """The 20 rather than the 9 below the 2, and the 50 of the first row rather than the 42 below
    the 3.
    """
    counts = np.array([[2, 3, 50, 60], [20, 3, 3, 60], [9, 40, 50, 70], [45, 41, 42, 43]])
    for table in (counts, counts.T):
        hidden = small_cells.suppressed(table)
        assert np.argwhere(hidden if table is counts else hidden.T).tolist() == [
            [row, column] for row in (0, 1) for column in (0, 1, 2)
        ]


def test_classes_and_outcomes_keep_their_order_and_unknown_is_a_class():
    attribute = attributes.classify(series(["65+", "19-24", "25-34"] * 10)).iloc[:27]
    outcome = series(list(STAGES) * 5).astype(pd.CategoricalDtype(STAGES))
    shown = small_cells.cross(attribute, outcome, persons=False)
    assert shown.index.tolist() == ["19-24", "25-34", "65+", UNKNOWN]
    assert shown.columns.tolist() == [*STAGES, "customers"]
    assert small_cells.shares(shown).sum(axis=1).tolist() == pytest.approx([1] * 4)


def test_pooling_takes_the_next_smallest_until_nobody_stands_out():
    values = series(["a"] * 2 + ["b"] * 6 + ["c"] * 9).astype("category")
    assert small_cells.pooled(values, 5).value_counts().to_dict() == {"c": 9, OTHER: 8}
    assert small_cells.pooled(values, 2).value_counts().to_dict() == {"c": 9, "b": 6, "a": 2}
