"""Charts of steering."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.report.charts.base import (
    ACCENT,
    INK,
    WARN,
    beside,
    chart,
    labelled,
    numbers,
    percents,
    shaded,
)
from analysis.report.text import say

MOST_COHORTS = 18


@chart("What came in by month")
def revenue_by_month(ax: Axes, figures: pd.DataFrame) -> None:
    """Bars of a figure by month. Columns: month_end, value."""
    places = np.arange(len(figures))
    ax.bar(places, figures.value, 0.8, color=ACCENT)
    every = max(1, len(figures) // 4)
    ends = [f"{end:%Y-%m}" for end in figures.month_end]
    ax.set_xticks(places[::-every], ends[::-every])
    ax.grid(False, axis="x")
    numbers(ax, "money")


@chart("What customers changed")
def revenue_courses(ax: Axes, courses: pd.DataFrame) -> None:
    """Bars to the right of what came, to the left of what went. Columns: course, change."""
    places = labelled(ax, [say.word(name) for name in courses.course])
    ax.barh(places, courses.change, color=np.where(courses.change < 0, WARN, ACCENT))
    for place, change in zip(places, courses.change, strict=True):
        beside(ax, max(change, 0.0), place, say.form("compact", change))
    ax.axvline(0, color=INK, lw=0.8)
    ax.margins(x=0.2)
    numbers(ax, "money", "x")


@chart("Who order again, by month of the first order", x="months later")
def cohorts(ax: Axes, table: pd.DataFrame) -> None:
    """Shades of active_share by cohort and age. Columns: cohort, age, active_share."""
    percents(_by_age(ax, table[table.age > 0], "active_share"))


@chart("What a customer has brought, by month of the first order", x="months later")
def cohort_revenue(ax: Axes, table: pd.DataFrame) -> None:
    """Shades of revenue_each by cohort and age. Columns: cohort, age, revenue_each."""
    numbers(_by_age(ax, table.dropna(subset="revenue_each"), "revenue_each"), "money")


def _by_age(ax: Axes, table: pd.DataFrame, column: str) -> Axes:
    """The newest cohorts below; the axes of the scale."""
    shades = table.pivot(index="cohort", columns="age", values=column).iloc[-MOST_COHORTS:]
    shades = shades[[age for age in shades if age < MOST_COHORTS]].dropna(axis=1, how="all")
    rows = [f"{end:%Y-%m}" for end in shades.index]
    columns = [str(age) if age % 3 == 0 else "" for age in shades]
    top = np.nanmax(shades.to_numpy(float), initial=0) or 1.0
    shaded(ax, shades, rows, columns, cmap="GnBu", vmin=0, vmax=top)
    ax.figure.set_figheight(1.4 + 0.2 * len(rows))  # type: ignore[union-attr]
    return ax.figure.colorbar(ax.images[0], ax=ax, shrink=0.6).ax
