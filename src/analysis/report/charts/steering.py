"""Charts of steering."""

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from analysis.report.charts.base import (
    ACCENT,
    INK,
    SOFT,
    WARN,
    beside,
    chart,
    labelled,
    legend_below,
    numbers,
    percents,
    shaded,
)
from analysis.report.text import say

MOST_COHORTS = 18
WAY_COLOURS = {"better": ACCENT, "worse": WARN, "": SOFT}
NARROW = 4.0  # inches, in which text is 11 pixels high on a phone
GAP, LINE = 0.06, 0.42  # of the height between classes; inches that a label of two lines takes


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


@chart("Who moved, of all in the class")
def flow(ax: Axes, moves: pd.DataFrame, days: Sequence[dt.date] = ()) -> None:
    """Bands of who moved from the class before, on the left, to that of now, as wide as there are
    customers; who stayed has none. Columns: before, after, way, customers; the two `days`.
    """
    order = [*dict.fromkeys([*moves.before, *moves.after])]
    moved = moves[moves.before != moves.after]
    if moved.empty:
        return
    most = max(moved.before.nunique(), moved.after.nunique())
    height = LINE * max(most, 5)
    ax.figure.set_size_inches(NARROW, 1.0 + height)  # type: ignore[union-attr]
    scale = (1 - GAP * (most - 1)) / moved.customers.sum()
    tops = {}
    for x, side, other in ((0, "before", "after"), (1, "after", "before")):
        by_class = moved.groupby(side).customers.sum()
        names = [name for name in order if name in by_class]
        sizes = scale * by_class[names].to_numpy()
        room = (1 - sizes.sum()) / max(len(names) - 1, 1)
        starts = 1 - np.concatenate([[0], np.cumsum(sizes + room)[:-1]])
        ax.bar([x] * len(names), -sizes, 0.03, bottom=starts, color=INK, zorder=2)
        all_of = moves.groupby(side).customers.sum()
        for name, place in zip(names, _apart(starts - sizes / 2, LINE / height), strict=True):
            text = say("{moved:int} of {all:int}", moved=by_class[name], all=all_of[name])
            at, edge = (1.05, "left") if x else (-0.05, "right")
            ax.text(at, place, f"{say.word(name)}\n{text}", ha=edge, va="center")
        rank = {name: place for place, name in enumerate(order)}
        ordered = moved.assign(mine=moved[side].map(rank), theirs=moved[other].map(rank))
        ordered = ordered.sort_values(["mine", "theirs"])
        done = ordered.groupby("mine").customers.cumsum() - ordered.customers
        tops[side] = ordered[side].map(dict(zip(names, starts, strict=True))) - scale * done
    for row, way, size in zip(moved.index, moved.way, moved.customers, strict=True):
        left, right = tops["before"][row], tops["after"][row]
        _band(ax, left, right, scale * size, WAY_COLOURS[way])
        if scale * size > 0.4 * LINE / height:
            ax.text(0.05, left - scale * size / 2, say.form("int", size), va="center")
    for x, day in enumerate(days):
        edge = "left" if x else "right"
        ax.text(x, 1.13, f"{day:%Y-%m-%d}", ha=edge, va="bottom", weight="bold")
    for way in [way for way in WAY_COLOURS if way in {*moved.way}]:
        ax.fill([], [], color=WAY_COLOURS[way], alpha=0.5, label=say.word(way or say("neither")))
    legend_below(ax)
    ax.set(xlim=(-0.8, 1.8), ylim=(-0.08, 1.2))
    ax.axis("off")


def _apart(places: np.ndarray, least: float) -> np.ndarray:
    """Places from the top down, moved so that no two are nearer than `least`, the last not below
    0.
    """
    steps = least * np.arange(len(places))
    return np.maximum(np.minimum.accumulate(places + steps) - steps, steps[::-1])


def _band(ax: Axes, left: float, right: float, size: float, colour: str) -> None:
    up = [(0, left), (0.5, left), (0.5, right), (1, right)]
    down = [(1, right - size), (0.5, right - size), (0.5, left - size), (0, left - size)]
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3]
    ax.add_patch(PathPatch(Path([*up, *down], codes), color=colour, alpha=0.5, lw=0))
