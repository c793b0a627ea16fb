import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from analysis.schema import STAGES
from analysis.segments import attributes, small_cells
from analysis.segments.small_cells import OTHER, THRESHOLD, UNKNOWN

COUNTS = st.lists(
    st.lists(st.sampled_from([0, 0, 1, 2, 3, 4, 5, 9, 30]), min_size=4, max_size=4),
    min_size=2,
    max_size=5,
)


def series(values):
    return pd.Series(
        values, pd.Index([f"c{n:05d}" for n in range(len(values))], name="customer_id")
    )


def crossed(table):
    """An attribute and an outcome, keyed by customer_id, with these counts by class."""
    rows, columns = np.indices(table.shape).reshape(2, -1).repeat(table.ravel(), axis=1)
    return series([f"row {n}" for n in rows]), series([f"column {n}" for n in columns])


def attack(counts, hidden, lowest=0):
    """The least and most each hidden count can be, by linear programming from all totals."""
    cells = np.argwhere(hidden)
    lines = [cells[:, 0] == n for n in range(counts.shape[0])] + [
        cells[:, 1] == n for n in range(counts.shape[1])
    ]
    totals = [*(counts * hidden).sum(1), *(counts * hidden).sum(0)]
    for cell in range(len(cells)):
        aim = (np.arange(len(cells)) == cell).astype(float)
        ends = [
            linprog(
                sign * aim,
                A_eq=np.array(lines, float),
                b_eq=totals,
                bounds=(lowest, None),
                method="highs",
            ).x[cell]
            for sign in (1, -1)
        ]
        yield np.round(ends, 6)


@given(COUNTS.map(np.array))
@settings(max_examples=20)
def test_nobody_can_work_out_a_hidden_count_of_persons(table):
    attribute, outcome = crossed(table)
    shown = small_cells.cross(attribute, outcome, persons=True)
    if shown.empty:
        assert table.sum() < THRESHOLD
        return
    true = small_cells.cross(attribute, outcome, persons=False)
    kept = shown.drop(columns="customers")
    visible = kept.to_numpy(float, na_value=np.nan)
    assert not ((visible > 0) & (visible < THRESHOLD)).any()
    assert (shown.customers >= THRESHOLD).all()
    assert shown.customers.sum() == table.sum()
    groups, outcomes = (
        small_cells.grouped(values, attribute.index, True) for values in (attribute, outcome)
    )
    counts, hidden = pd.crosstab(groups, outcomes).to_numpy(), np.isnan(visible)
    assert (counts[~hidden] == visible[~hidden]).all()
    assert all(most - least >= 1 for least, most in attack(counts, hidden))
    for axis in (0, 1):
        sums, several = (counts * hidden).sum(axis), hidden.sum(axis)
        assert (sums[several > 0] >= THRESHOLD).all()
        assert (several[several > 0] >= 2).all()
    if not hidden.any() and OTHER not in shown.index and OTHER not in shown.columns:
        pd.testing.assert_frame_equal(shown, true)


def test_what_can_move_is_what_linear_programming_says():
    rng = np.random.default_rng(5)
    for _ in range(8):
        counts, hidden = rng.integers(0, 6, (4, 4)), rng.random((4, 4)) < 0.5
        hidden &= counts >= small_cells.LOWEST
        moves = small_cells._can_move(counts, hidden)[hidden]
        assert moves.tolist() == [
            most - least > 0.5 for least, most in attack(counts, hidden, small_cells.LOWEST)
        ]


def test_counts_of_companies_are_all_shown():
    attribute, outcome = crossed(np.array([[1, 2], [3, 40]]))
    assert small_cells.cross(attribute, outcome, persons=False).to_numpy().tolist() == [
        [1, 2, 3],
        [3, 40, 43],
    ]


def test_a_table_without_small_counts_is_shown_whole():
    table = np.array([[5, 0, 20], [10, 30, 0]])
    assert (
        small_cells.cross(*crossed(table), persons=True).iloc[:, :-1].to_numpy().tolist()
        == table.tolist()
    )


DELINQUENT = np.array(
    [[15, 1, 3, 1], [20, 10, 10, 15], [3, 10, 10, 2], [12, 14, 7, 2]]
)  # children by county and schooling


def test_a_published_table_that_gives_a_count_away_is_seen_through():
    """Federal Committee on Statistical Methodology, Statistical Policy Working Paper 22 (2005),
    chapter 2.
    """
    hidden = np.array([[0, 1, 1, 1], [0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1]], bool)
    assert np.argwhere(hidden & ~small_cells._can_move(DELINQUENT, hidden)).tolist() == [[0, 3]]


def test_a_published_table_is_protected_with_few_counts_hidden():
    hidden = small_cells.suppressed(DELINQUENT)
    assert hidden[DELINQUENT < THRESHOLD].all()
    assert hidden.sum() <= 10
    assert all(most - least >= 1 for least, most in attack(DELINQUENT, hidden))


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
