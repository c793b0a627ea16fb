"""Charts of campaigns."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.report.charts.base import ACCENT, INK, MOST_BARS, chart, numbers, own, tall
from analysis.report.text import say


@chart("What each campaign changed", x="extra orders per treated customer")
def campaign_effects(ax: Axes, measured: pd.DataFrame) -> None:
    """Extra orders per treated customer by campaign, the largest on top, with 95 % intervals:
    filled where customers were held back by lot, hollow where none were. Columns: campaign_id,
    proof, orders_effect, orders_low, orders_high.
    """
    known = measured[measured.orders_low.notna()].astype(
        dict.fromkeys(["orders_effect", "orders_low", "orders_high"], float)
    )
    ranked = known.sort_values("orders_effect", ascending=False, kind="stable")
    shown = ranked.head(MOST_BARS).reset_index(drop=True)
    places = len(shown) - 1 - shown.index.to_numpy()
    ax.axvline(0, color=INK, lw=0.8)
    ax.hlines(places, shown.orders_low, shown.orders_high, color=INK, lw=1)
    for proof, inside in (("random", ACCENT), ("observational", "white")):
        some = (shown.proof == proof).to_numpy()
        effects = shown.orders_effect[some]
        if some.any():
            name = say.word(proof)
            ax.plot(effects, places[some], "o", ms=6, color=ACCENT, mfc=inside, label=name)
    ax.set_yticks(places, [own(str(name)) for name in shown.campaign_id])
    ax.set_ylim(-0.6, len(shown) - 0.4)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.grid(False, axis="y")
    if len(shown):
        ax.figure.legend(ncols=2, loc="outside lower center")
    tall(ax, len(shown) + 3)
    numbers(ax, "short", "x")
