"""Charts of churn."""

from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.report.charts.base import (
    ACCENT,
    CURVES,
    HORIZONS,
    INK,
    MOST_STEPS,
    WARN,
    bars,
    chart,
    legend_below,
    numbers,
    percents,
    tall,
)
from analysis.report.text import say


@chart("Did as many leave as the model said?", x="predicted share", y="share that left")
def calibration(ax: Axes, table: pd.DataFrame) -> None:
    """Columns: predicted, actual, low, high."""
    spread = np.abs(np.vstack([table.actual - table.low, table.high - table.actual]))
    ax.plot([0, 1], [0, 1], color=INK, lw=0.8, ls=":", label=say("perfect forecast"))
    style: dict[str, Any] = {"color": ACCENT, "marker": "o", "capsize": 2, "lw": 1, "ls": "none"}
    ax.errorbar(table.predicted, table.actual, spread, label=say("counted"), **style)
    percents(ax, "x")
    percents(ax, "y")
    ax.legend()


@chart(
    "Who left, by tenth of predicted risk",
    x="tenth of customers, highest risk first",
    y="share that left",
)
def leavers_by_decile(ax: Axes, table: pd.DataFrame, base: float) -> None:
    """Columns: decile, actual. `base`: the share of all that left."""
    ax.bar(table.decile, table.actual, color=ACCENT)
    ax.axhline(base, color=WARN, ls="--", lw=1.2, label=say("average of all"))
    ax.set_xticks(table.decile)
    percents(ax)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1))


@chart("Customers by risk", x="risk of no order", y="customers")
def risk_spread(ax: Axes, risk: pd.Series) -> None:
    """Customers by their risk."""
    ax.hist(risk, bins=20, range=(0, 1), color=ACCENT)
    percents(ax, "x")
    numbers(ax)


@chart("What the risk goes by", x="mean effect on the log odds of leaving")
def churn_drivers(ax: Axes, effects: pd.Series) -> None:
    """Mean effect by concept, the strongest first."""
    bars(ax, effects, "number")
    tall(ax, len(effects))


@chart(
    "What calling would have earned",
    x="customers called, those with most to gain first",
    y="money within the horizon",
)
def profit_curve(ax: Axes, curve: pd.DataFrame) -> None:
    """Columns: contacted, profit, expected."""
    ax.plot(curve.contacted, curve.profit, color=ACCENT, label=say("counted"))
    ax.plot(curve.contacted, curve.expected, color=INK, lw=1, ls="--", label=say("expected"))
    ax.axhline(0, color=INK, lw=0.8)
    best = curve.profit.idxmax()
    ax.plot(curve.contacted[best], curve.profit[best], "o", color=WARN)
    numbers(ax, axis="x")
    numbers(ax, "compact")
    ax.legend()


@chart("Share that has not ordered again", x="days since an order", y="share of customers")
def survival_curves(ax: Axes, curves: pd.DataFrame, horizon_days: int = 0) -> None:
    """Share that has not ordered again by days since an order, a curve for each group, up to
    HORIZONS times the horizon, where a dotted line stands if any was watched so long (0: all days).
    Columns: group, days, not_yet, low, high.
    """
    last = min(curves.days.max(), HORIZONS * horizon_days or np.inf)
    grid = np.arange(0, last + 1, max(1, np.ceil(last / MOST_STEPS)))
    lines = zip(curves.groupby("group", sort=False), cycle(CURVES), strict=False)
    for (name, curve), (colour, style) in lines:
        days = grid[grid <= curve.days.max()]
        steps = curve.iloc[curve.days.searchsorted(days, side="right") - 1]
        ax.fill_between(days, steps.low, steps.high, step="post", color=colour, alpha=0.18, lw=0)
        ax.step(
            days, steps.not_yet, where="post", color=colour, ls=style, lw=1.8, label=say.word(name)
        )
    if 0 < horizon_days <= last:
        ax.axvline(
            horizon_days, color=INK, lw=0.8, ls=":", label=say("time ahead that is predicted")
        )
    ax.set_xlim(0, max(last, 1))
    ax.set_ylim(0, 1.02)  # a curve at the top keeps its width
    percents(ax)
    numbers(ax, axis="x")
    legend_below(ax)
