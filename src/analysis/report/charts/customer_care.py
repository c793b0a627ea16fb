"""Charts of customer care."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.report.charts.base import (
    ACCENT,
    CARE_COLOURS,
    INK,
    MOST_BARS,
    MOST_WEEKS,
    WARN,
    WHISKERS,
    beside,
    chart,
    dots,
    labelled,
    legend_below,
    months,
    numbers,
    own,
    shares_of_two,
    tall,
)
from analysis.report.text import say


@chart("Share of customers and of the cost by level", x="share")
def loyalty_levels(ax: Axes, levels: pd.DataFrame) -> None:
    """Share of customers and of the cost by level, the lowest at the bottom. Columns: level,
    customers, cost.
    """
    levels = levels[::-1]
    costs = levels.cost / max(levels.cost.sum(), np.finfo(float).tiny)
    names = [own(say.word(name)) for name in levels.level]
    places = shares_of_two(ax, names, levels.customers, costs, say("cost"))
    for place, share, cost in zip(places, costs, levels.cost, strict=True):
        beside(ax, share, place - 0.2, say.form("compact", cost))
    ax.margins(x=0.2)
    tall(ax, 2 * len(levels) + 3)


@chart("What is due by week", x="week from", y="to do")
def care_load(ax: Axes, load: pd.DataFrame) -> None:
    """What is due by week, stacked by kind. Columns: week (its Monday), what, tasks."""
    weeks = load.pivot(index="week", columns="what", values="tasks").fillna(0)
    bottom, places = np.zeros(len(weeks)), np.arange(len(weeks))
    for kind in [kind for kind in CARE_COLOURS if kind in weeks]:
        colour, name = CARE_COLOURS[kind], say.word(kind)
        ax.bar(places, weeks[kind], 0.7, bottom=bottom, color=colour, label=name)
        bottom += weeks[kind].to_numpy()
    every = int(np.ceil(len(weeks) / MOST_WEEKS))
    ax.set_xticks(places[::every], [f"{week:%m-%d}" for week in weeks.index[::every]])
    ax.grid(False, axis="x")
    numbers(ax)
    legend_below(ax)


@chart("Net promoter score over time", y="points (-100 to 100)")
def nps_over_time(ax: Axes, periods: pd.DataFrame) -> None:
    """Net promoter score by period, with 95 % intervals. Columns: period_end, score, low, high
    (points).
    """
    known = periods.dropna(subset="score")
    spread = np.abs(np.vstack([known.score - known.low, known.high - known.score]))
    ax.axhline(0, color=INK, lw=0.8)
    ax.errorbar(known.period_end, known.score, spread, color=ACCENT, fmt="o", capsize=2, lw=1)
    months(ax)
    numbers(ax)


@chart("Satisfaction by tier", x="points of 100")
def satisfaction_by_tier(ax: Axes, table: pd.DataFrame) -> None:
    """Satisfaction by tier, with 95 % intervals, a dot for each kind. Columns: kind, tier, answers,
    score, low, high (points).
    """
    tiers = list(dict.fromkeys(table.tier))
    at = dict(zip(tiers, labelled(ax, [say.word(tier) for tier in tiers]), strict=True))
    kinds = table.groupby("kind", sort=False)
    for (kind, rows), colour, up in zip(kinds, (ACCENT, WARN), (0.15, -0.15), strict=False):
        places = rows.tier.map(at) + up
        ax.hlines(places, rows.low, rows.high, color=colour, lw=1)
        ax.plot(rows.score, places, "o", ms=6, color=colour, label=say.word(kind))
        for place, high, answers in zip(places, rows.high, rows.answers, strict=True):
            if answers:
                beside(ax, high, place, f"({say.form('int', answers)})")
    ax.set_ylim(-0.6, len(tiers) - 0.4)
    ax.margins(x=0.18)
    legend_below(ax)
    tall(ax, 2 * len(tiers) + 4)
    numbers(ax, axis="x")


@chart(
    "Customers who left against those expected",
    x="times as many as expected (1: as their risks said)",
)
def owner_retention(ax: Axes, card: pd.DataFrame) -> None:
    """Customers who left over those expected, by owner, with 95 % intervals, those with most on
    top; of many owners both ends.

    Columns: owner, measured, ratio, low, high, shrunk, beyond_chance.
    """
    known = card.dropna(subset=["ratio", "low"])
    shown = known.sort_values("shrunk", ascending=False, kind="stable")
    if len(shown) > MOST_BARS:
        shown = pd.concat([shown.head(MOST_BARS // 2), shown.tail(MOST_BARS // 2)])
    right, notable = WHISKERS * max([1.0, *shown.ratio]), shown.beyond_chance.to_numpy(bool)
    ax.axvline(1, color=INK, lw=0.8, ls=":", label=say("as expected"))
    sizes = zip(shown.owner, shown.measured, strict=True)
    places = dots(
        ax,
        [f"{own(say.word(name))} ({say.form('int', n)})" for name, n in sizes],
        shown.ratio,
        shown[["low", "high"]].clip(upper=2 * right),
        (~notable, ACCENT, ACCENT, say.word("left_ratio")),
        (notable, WARN, WARN, say.word("beyond_chance")),
    )
    drawn = say("drawn towards that of all")
    ax.plot(shown.shrunk, places, "D", ms=4, color=INK, mfc="white", label=drawn)
    ax.set_xlim(0, min(right, 1.05 * max([1.5, *shown.high])))
    legend_below(ax)
    tall(ax, len(shown) + 4)
    numbers(ax, "short", "x")
