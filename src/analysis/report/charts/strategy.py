"""Charts of strategy."""

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from analysis.report.charts.base import (
    ACCENT,
    GRID,
    INK,
    LABEL_WIDTH,
    MOST_BARS,
    SOFT,
    WARN,
    bars,
    chart,
    dots,
    heat,
    labelled,
    legend_below,
    numbers,
    own,
    percents,
    tall,
)
from analysis.report.text import say


@chart(
    "How often one of three things proposed was bought",
    x="share of customers who bought something new",
)
def hit_rates(ax: Axes, board: pd.DataFrame) -> None:
    """What is proposed here on top, then other rules. Columns: model, hit, low, high."""
    places = labelled(ax, [textwrap.fill(say.word(name), LABEL_WIDTH) for name in board.model])
    ax.barh(places, board.hit, 0.7, color=[ACCENT, *[SOFT] * (len(board) - 1)])
    ax.hlines(places, board.low, board.high, color=INK, lw=1)
    tall(ax, 2 * len(board))
    percents(ax, "x")


@chart("What each campaign changed", x="extra orders per treated customer")
def campaign_effects(ax: Axes, measured: pd.DataFrame) -> None:
    """Extra orders per treated customer by campaign, the largest on top, with 95 % intervals:
    filled where customers were held back by lot, hollow where none were. Columns: campaign_id,
    proof, orders_effect, orders_low, orders_high.
    """
    known = measured[measured.orders_low.notna()].astype({"orders_effect": float})
    shown = known.sort_values("orders_effect", ascending=False, kind="stable").head(MOST_BARS)
    kinds = [
        (shown.proof.eq(proof).to_numpy(), ACCENT, inside, say.word(proof))
        for proof, inside in (("random", ACCENT), ("observational", "white"))
    ]
    ax.axvline(0, color=INK, lw=0.8)
    names = [own(str(name)) for name in shown.campaign_id]
    dots(ax, names, shown.orders_effect, shown[["orders_low", "orders_high"]], *kinds)
    if len(shown):
        legend_below(ax)
    tall(ax, len(shown) + 3)
    numbers(ax, "short", "x")


@chart("Risk of each class")
def risk_by_class(ax: Axes, shares: pd.DataFrame) -> None:
    """Share of each class (index) in each band of risk (columns); hatched where it is not shown."""
    hatched: dict[str, Any] = {"fill": False, "hatch": "////", "ec": GRID}
    heat(ax, shares.rename(index=lambda name: own(say.word(name))), "whole_percent")
    for row, column in np.argwhere(shares.isna().to_numpy()):
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, lw=0, **hatched))
    if shares.isna().any(axis=None):
        label = say("not shown, because few persons stand there or near")
        ax.figure.legend(handles=[Patch(label=label, **hatched)], loc="outside lower center")
    tall(ax, len(shares) + 2)


@chart("Assumed gain of each action, cost deducted", x="assumed value less cost")
def action_gain(ax: Axes, gain: pd.Series) -> None:
    """Expected value less cost by rule (index)."""
    bars(ax, gain, "money")


@chart("The margin from which each action pays", x="share of revenue that must stay")
def margins_needed(ax: Axes, needed: pd.Series) -> None:
    """Share of revenue that covers the cost, by rule (index)."""
    bars(ax, needed, "whole_percent")


@chart("What other budgets would bring", x="budget", y="money above the cost")
def budget_curve(ax: Axes, curve: pd.DataFrame, plans: pd.DataFrame) -> None:
    """The most profit by budget (budget, profit); `plans` (factor, budget, profit) are marked."""
    ax.plot(curve.budget, curve.profit, color=ACCENT, label=say("at most"))
    own = plans.factor == 1
    for some, colour, size, word in ((own, WARN, 7, "the_plan"), (~own, INK, 5, "half_or_double")):
        if some.any():
            marked, label = plans[some], say.word(word)
            ax.plot(marked.budget, marked.profit, "o", ms=size, color=colour, label=label)
    numbers(ax, "compact", "x")
    numbers(ax, "compact")
    legend_below(ax)
