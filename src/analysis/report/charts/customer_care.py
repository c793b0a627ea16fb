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


@chart("Share of customers and of the cost by level", x="share")
def loyalty_levels(ax: Axes, levels: pd.DataFrame) -> None:
    """Share of customers and of the cost by level, the lowest at the bottom. Columns: level,
    customers, cost.
    """
    places, shares = (
        np.arange(len(levels)),
        levels.cost / max(levels.cost.sum(), np.finfo(float).tiny),
    )
    ax.barh(
        places + 0.2,
        levels.customers / levels.customers.sum(),
        0.38,
        color=SOFT,
        label=say("customers"),
    )
    ax.barh(places - 0.2, shares, 0.38, color=ACCENT, label=say("cost"))
    for place, share, cost in zip(places, shares, levels.cost, strict=True):
        ax.annotate(
            say.form("compact", cost),
            (share, place - 0.2),
            (3, 0),
            textcoords="offset points",
            va="center",
        )
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
    weeks = load.pivot_table(
        index="week", columns="what", values="tasks", aggfunc="sum", fill_value=0
    )
    bottom, places = np.zeros(len(weeks)), np.arange(len(weeks))
    kinds = [kind for kind in CARE_COLOURS if kind in weeks]
    for kind in kinds:
        ax.bar(
            places, weeks[kind], 0.7, bottom=bottom, color=CARE_COLOURS[kind], label=say.word(kind)
        )
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
    ax.errorbar(
        known.period_end, known.score, spread, color=ACCENT, marker="o", capsize=2, lw=1, ls="none"
    )
    months(ax)
    numbers(ax)


@chart("Satisfaction by tier", x="points of 100")
def satisfaction_by_tier(ax: Axes, table: pd.DataFrame) -> None:
    """Satisfaction by tier, with 95 % intervals, a dot for each kind. Columns: kind, tier, answers,
    score, low, high (points).
    """
    tiers = list(dict.fromkeys(table.tier))
    for (kind, rows), colour, up in zip(
        table.groupby("kind", sort=False), (ACCENT, WARN), (0.15, -0.15), strict=False
    ):
        places = np.array([len(tiers) - 1 - tiers.index(tier) for tier in rows.tier]) + up
        ax.hlines(places, rows.low, rows.high, color=colour, lw=1)
        ax.plot(rows.score, places, "o", ms=6, color=colour, label=say.word(kind))
        for place, row in zip(places, rows.itertuples(), strict=True):
            if row.answers:
                count = f"({say.form('int', row.answers)})"
                ax.annotate(
                    count, (row.high, place), (4, 0), textcoords="offset points", va="center"
                )
    ax.set_yticks(range(len(tiers)), [say.word(tier) for tier in reversed(tiers)])
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
    known = card.dropna(subset=["ratio", "low"]).sort_values(
        "shrunk", ascending=False, kind="stable"
    )
    shown = (
        known
        if len(known) <= MOST_BARS
        else pd.concat([known.head(MOST_BARS // 2), known.tail(MOST_BARS // 2)])
    )
    places, right = (
        np.arange(len(shown))[::-1],
        WHISKERS * max(shown.ratio.max(), 1.0) if len(shown) else 1.0,
    )
    ax.axvline(1, color=INK, lw=0.8, ls=":", label=say("as expected"))
    ax.hlines(places, shown.low, shown.high.clip(upper=2 * right), color=INK, lw=1)
    notable = shown.beyond_chance.to_numpy(bool)
    for some, colour, word in ((~notable, ACCENT, "left_ratio"), (notable, WARN, "beyond_chance")):
        if some.any():
            ax.plot(shown.ratio[some], places[some], "o", ms=6, color=colour, label=say.word(word))
    ax.plot(
        shown.shrunk,
        places,
        "D",
        ms=4,
        color=INK,
        mfc="white",
        label=say("drawn towards that of all"),
    )
    names = [
        f"{own(say.word(name))} ({say.form('int', n)})"
        for name, n in zip(shown.owner, shown.measured, strict=True)
    ]
    ax.set_yticks(places, names)
    ax.set_xlim(0, min(right, 1.05 * max(shown.high.max(), 1.5)) if len(shown) else 2)
    ax.set_ylim(-0.6, max(len(shown), 1) - 0.4)
    ax.grid(False, axis="y")
    ax.figure.legend(ncols=2, loc="outside lower center")
    tall(ax, len(shown) + 4)
    numbers(ax, "short", "x")
