"""ABC: the customers who together bring most of the money, those who bring most of the rest, and
the others.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.intake.dataset import Dataset
from analysis.report.text import N_
from analysis.schema import TEXT, Column
from analysis.segments.segmentation import first_that_holds, segmentation

ABC_CUTS = (0.80, 0.95)  # Pareto's usual cuts of the cumulative total; the rest is C
# Shares of a total closer than this are equal: floats differ when the currency is scaled.
TIE = 1e-9
CLASSES = {"A": N_("A"), "B": N_("B"), "C": N_("C"), "none": N_("None")}


def held_above(values: pd.Series) -> pd.Series:
    """The share of the positive total that customers of higher value hold, the same for equal
    values: 0 for the highest, 1 at or below zero.
    """
    money = values[values > 0].astype(float).sort_values(ascending=False)
    above = (money.cumsum() - money) / max(money.sum(), np.finfo(float).tiny)
    return above.groupby(money).transform("first").reindex(values.index, fill_value=1.0)


def abc_classes(values: pd.Series, cuts: Sequence[float] = ABC_CUTS) -> pd.Series:
    """A, B, C by `held_above`; `none` at or below zero."""
    above = held_above(values)
    a, b = (above < cut - TIE for cut in cuts)
    return first_that_holds({"none": ~(values > 0), "A": a, "B": b}, "C")


def _cuts(settings: Dataset) -> dict[str, Any]:
    return {"cuts": (settings.abc_a, settings.abc_b)}


@segmentation(
    N_("ABC by revenue"),
    N_(
        "A: the customers who together bring the first 80 % of revenue unless set otherwise; B: up"
        " to 95 %; C: the rest; none: at or below zero, returns deducted."
    ),
    "abc_revenue",
    CLASSES,
    {"abc_revenue": Column(TEXT, "A, B, C by revenue in the value window, none at or below zero")},
    options=_cuts,
    always=True,
)
def abc(people: pd.DataFrame, cuts: Sequence[float] = ABC_CUTS) -> pd.DataFrame:
    """ABC by net revenue in the value window. Columns: abc_revenue."""
    revenue = people.set_index("customer_id").window_revenue
    return abc_classes(revenue, cuts).to_frame("abc_revenue")


@segmentation(
    N_("ABC by profit"),
    N_(
        "A: the customers who together bring the first 80 % of profit unless set otherwise; B: up"
        " to 95 %; C: the rest; loss: cost the company money; unknown: too few costs are known."
    ),
    "abc_profit",
    CLASSES | {"loss": N_("Loss"), "unknown": N_("Unknown")},
    {
        "abc_profit": Column(
            TEXT, "A, B, C by profit in the value window; none, loss, or unknown without costs"
        )
    },
    needs=("transactions.cost",),
    options=_cuts,
)
def abc_profit(people: pd.DataFrame, cuts: Sequence[float] = ABC_CUTS) -> pd.DataFrame:
    """ABC by profit in the value window. Columns: abc_profit."""
    profit = people.set_index("customer_id").window_profit
    classes = abc_classes(profit, cuts).mask(profit < 0, "loss").mask(profit.isna(), "unknown")
    return classes.to_frame("abc_profit")
