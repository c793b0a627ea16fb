"""Charts of movement."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.report.charts.base import TIER_COLOURS, chart, heat, numbers
from analysis.report.text import say


@chart("Customers by tier at each month end", y="customers")
def tier_history(ax: Axes, counts: pd.DataFrame, full_from: Any = None) -> None:
    """Customers by month end (index) and tier (columns). Month ends before `full_from` are pale."""
    places, bottom = np.arange(len(counts)), np.zeros(len(counts))
    full = np.zeros(len(counts), bool) if full_from is None else counts.index >= full_from
    for tier in reversed(counts.columns):
        for some, alpha in ((~full, 0.35), (full, 1.0)):
            heights = counts[tier].to_numpy()[some]
            colour = TIER_COLOURS[tier]
            ax.bar(places[some], heights, bottom=bottom[some], color=colour, alpha=alpha)
        bottom += counts[tier].to_numpy()
    for tier in counts.columns:
        ax.bar(0, 0, color=TIER_COLOURS[tier], label=say.word(tier))
    every = max(1, len(counts) // 4)
    ax.set_xticks(places[::-every], [f"{end:%Y-%m}" for end in counts.index[::-every]])
    numbers(ax)
    ax.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.12))


@chart("Where customers moved", x="tier now", y="tier before")
def migration(ax: Axes, table: pd.DataFrame) -> None:
    """Customers by tier before (index) and after (columns)."""
    heat(ax, table)
