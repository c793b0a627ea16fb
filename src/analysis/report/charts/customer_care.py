"""Charts of customer care."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.report.charts.base import (
    ACCENT,
    CARE_COLOURS,
    INK,
    MOST_BARS,
    MOST_WEEKS,
    SOFT,
    WARN,
    WHISKERS,
    chart,
    months,
    numbers,
    own,
    percents,
    tall,
)
from analysis.report.text import say


def _beside(ax: Axes, x: float, y: float, text: str) -> None:
    ax.annotate(text, (x, y), (4, 0), textcoords="offset points", va="center")


@chart("Share of customers and of the cost by level", x="share")
def loyalty_levels(ax: Axes, levels: pd.DataFrame) -> None:
    """Share of customers and of the cost by level, the lowest at the bottom. Columns: level,
    customers, cost.
    """
    places = np.arange(len(levels))
    customers = levels.customers / levels.customers.sum()
    costs = levels.cost / max(levels.cost.sum(), np.finfo(float).tiny)
    ax.barh(places + 0.2, customers, 0.38, color=SOFT, label=say("customers"))
    ax.barh(places - 0.2, costs, 0.38, color=ACCENT, label=say("cost"))
    for place, share, cost in zip(places, costs, levels.cost, strict=True):
        _beside(ax, share, place - 0.2, say.form("compact", cost))
    ax.set_yticks(places, [own(say.word(name)) for name in levels.level])
    ax.margins(x=0.16)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.grid(False, axis="y")
    ax.figure.legend(ncols=2, loc="outside lower center")
    tall(ax, 2 * len(levels) + 3)
    percents(ax, "x")


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
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    numbers(ax)
    ax.figure.legend(ncols=2, loc="outside lower center")


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
    tiers = list(dict.fromkeys(table.tier))[::-1]
    kinds = table.groupby("kind", sort=False)
    for (kind, rows), colour, up in zip(kinds, (ACCENT, WARN), (0.15, -0.15), strict=False):
        places = rows.tier.map(tiers.index) + up
        ax.hlines(places, rows.low, rows.high, color=colour, lw=1)
        ax.plot(rows.score, places, "o", ms=6, color=colour, label=say.word(kind))
        for place, high, answers in zip(places, rows.high, rows.answers, strict=True):
            if answers:
                _beside(ax, high, place, f"({say.form('int', answers)})")
    ax.set_yticks(range(len(tiers)), [say.word(tier) for tier in tiers])
    ax.set_ylim(-0.6, len(tiers) - 0.4)
    ax.margins(x=0.12)
    ax.grid(False, axis="y")
    ax.figure.legend(loc="outside lower center")
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
    places = np.arange(len(shown))[::-1]
    right = WHISKERS * max([1.0, *shown.ratio])
    ax.axvline(1, color=INK, lw=0.8, ls=":", label=say("as expected"))
    ax.hlines(places, shown.low, shown.high.clip(upper=2 * right), color=INK, lw=1)
    notable = shown.beyond_chance.to_numpy(bool)
    for some, colour, word in ((~notable, ACCENT, "left_ratio"), (notable, WARN, "beyond_chance")):
        if some.any():
            ax.plot(shown.ratio[some], places[some], "o", ms=6, color=colour, label=say.word(word))
    drawn = say("drawn towards that of all")
    ax.plot(shown.shrunk, places, "D", ms=4, color=INK, mfc="white", label=drawn)
    names = [own(say.word(name)) for name in shown.owner]
    sizes = [say.form("int", measured) for measured in shown.measured]
    ax.set_yticks(places, [f"{name} ({n})" for name, n in zip(names, sizes, strict=True)])
    ax.set_xlim(0, min(right, 1.05 * max([1.5, *shown.high])))
    ax.set_ylim(-0.6, max(len(shown), 1) - 0.4)
    ax.grid(False, axis="y")
    ax.figure.legend(ncols=2, loc="outside lower center")
    tall(ax, len(shown) + 4)
    numbers(ax, "short", "x")
