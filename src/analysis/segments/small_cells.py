"""Counts of customers by two groupings, so shown that they point at nobody where customers are
natural persons.
"""

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

from analysis.schema import UNKNOWN

OTHER = "other"  # the only classes that are not in the company's own words
# Fewer customers than this are not counted. Agencies ask for 3 or 5 in a cell (UNECE and Eurostat,
# Glossary of Statistical Disclosure Control, 2005: threshold rule), and 10 where anybody may read
# (Brandt and others, 2010).
THRESHOLD = 5
LOWEST = 1  # count that may be moved down no more: nobody is to be sure even if nothing hidden is 0


def in_order(values: pd.Series, names: Sequence[Hashable], ordered: bool = False) -> pd.Series:
    """The values as categories in the order of `names`, those that occur; `other` and `unknown`
    last.
    """
    kept = [name for name in names if name not in (OTHER, UNKNOWN)]
    filled = values.astype(pd.CategoricalDtype([*kept, OTHER, UNKNOWN], ordered)).fillna(UNKNOWN)
    return filled.cat.remove_unused_categories()


def pooled(values: pd.Series, threshold: int) -> pd.Series:
    """Classes of fewer than `threshold` customers together as `other`, and with them the next
    smallest until they are enough.
    """
    sizes = values.value_counts().loc[lambda size: size > 0].sort_index().sort_values(kind="stable")
    pool = set(sizes.index[sizes < threshold])
    pool |= {OTHER} & set(sizes.index) if pool else set()
    for name in sizes.index:
        if 0 < sizes[list(pool)].sum() < threshold:
            pool.add(name)
    names = list(values.cat.categories)
    return in_order(values.map({name: OTHER if name in pool else name for name in names}), names)


def grouped(values: pd.Series, customers: pd.Index, persons: bool) -> pd.Series:
    """The class of each of the customers, in order; small ones pooled where they are natural
    persons.
    """
    whole = values.reindex(customers)
    classes = whole if isinstance(whole.dtype, pd.CategoricalDtype) else whole.astype("category")
    found = in_order(whole, list(classes.cat.categories))
    return pooled(found, THRESHOLD) if persons else found


def _can_move(counts: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Which hidden cells could hold another count under the same totals of rows and columns.

    A cell moves along with others around a closed path of hidden cells, up and down in turn; what
    can be reached from where is asked of the graph of rows and columns, without the cell itself.
    """
    rows, size = counts.shape[0], sum(counts.shape)
    moves = np.zeros(counts.shape, bool)
    for row, column in np.argwhere(hidden):
        open_ = hidden.copy()
        open_[row, column] = False
        reach = np.eye(size, dtype=bool)
        reach[:rows, rows:] |= open_  # up: from the row to the column
        reach[rows:, :rows] |= (open_ & (counts > LOWEST)).T  # down: from the column to the row
        for _ in range(size.bit_length()):
            reach = reach @ reach
        down = counts[row, column] > LOWEST and reach[row, rows + column]
        moves[row, column] = down or reach[rows + column, row]
    return moves


def _candidates(counts: np.ndarray, hidden: np.ndarray, threshold: int) -> np.ndarray:
    """The cells one of which is to be hidden next: in a line that tells (one hidden count, or
    hidden counts that are too few together), else beside a cell that cannot move, else any; none
    where all is safe.
    """
    stuck = hidden & ~_can_move(counts, hidden)
    tells = [
        hidden.any(axis, keepdims=True)
        & (
            (hidden.sum(axis, keepdims=True) < 2)
            | ((counts * hidden).sum(axis, keepdims=True) < threshold)
        )
        for axis in (1, 0)
    ]
    for lines in (*tells, stuck.any(1)[:, None] | stuck.any(0), stuck.any()):
        if (cells := ~hidden & lines).any():
            return cells
    return np.zeros(hidden.shape, bool)


def suppressed(counts: np.ndarray, threshold: int = THRESHOLD) -> np.ndarray:
    """Which counts not to show, so that the totals of rows and columns do not give away one that is
    small.

    Counts from 1 to threshold - 1; then, one by one, those that keep each line from telling: two or
    more are hidden in it, together at least `threshold`, and each could hold another count. The
    cheapest is hidden first: where the crossing line hides something already, and small; a 0, which
    may be known, only at last. Source: Hundepool and others, Statistical Disclosure Control (2012),
    chapter 4, cell suppression.
    """
    hidden = (counts > 0) & (counts < threshold)
    while (choice := _candidates(counts, hidden, threshold)).any():
        crossed = np.add.outer(hidden.any(1).astype(int), hidden.any(0))
        cells = (tuple(cell) for cell in np.argwhere(choice))
        cost = {cell: (counts[cell] == 0, -crossed[cell], counts[cell], cell) for cell in cells}
        hidden[min(cost, key=cost.__getitem__)] = True
    return hidden


def cross(attribute: pd.Series | None, outcome: pd.Series, persons: bool) -> pd.DataFrame:
    """Customers by class of an attribute (index) and of an outcome (columns), with the total of
    each row in `customers`.

    Both keyed by customer_id; the customers are those of `outcome`, and who has no class is
    `unknown`. Where they are natural persons (`persons`), classes under THRESHOLD stand together as
    `other` and small counts are empty (`suppressed`); nothing is shown of fewer customers than
    that. Each table is safe by itself. Two that share a class, or sums of classes, may give each
    other away: of persons show few, and no outcome that is part of another.
    """
    if attribute is None or (persons and len(outcome) < THRESHOLD):
        return pd.DataFrame({"customers": pd.Series(dtype="int64")}, pd.Index([], name="group"))
    rows, columns = (grouped(values, outcome.index, persons) for values in (attribute, outcome))
    counts = pd.crosstab(rows, columns, dropna=False).to_numpy()
    hide = persons and min(counts.shape) > 1
    hidden = suppressed(counts) if hide else np.zeros(counts.shape, bool)
    names = pd.Index(list(rows.cat.categories), name="group")
    shown = pd.DataFrame(counts, names, list(columns.cat.categories)).astype("Int64").mask(hidden)
    return shown.assign(customers=counts.sum(axis=1))


def shares(counts: pd.DataFrame) -> pd.DataFrame:
    """What share of its row each count of `cross` is; empty where the count is not shown."""
    total = counts.customers.astype(float)
    return counts.drop(columns="customers").astype(float).div(total, axis=0)
