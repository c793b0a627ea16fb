"""Charts of data quality."""

import pandas as pd
from matplotlib.axes import Axes

from analysis.report.charts.base import (
    ACCENT,
    INK,
    MOST_BARS,
    MOST_LETTERS,
    SOFT,
    WARN,
    chart,
    legend_below,
    months,
    numbers,
    percents,
    tall,
)
from analysis.report.text import say

OUTCOME_COLOURS = {"kept": ACCENT, "merged": SOFT, "rejected": WARN}
ODDITY_COLOURS = {"jump": WARN, "silent_day": INK}


@chart("What became of the rows of each file", x="share of rows")
def outcomes(ax: Axes, account: pd.DataFrame) -> None:
    """What became of the rows of each file, as shares. Columns: source, outcome, rows."""
    rows = account.pivot_table(index="source", columns="outcome", values="rows", aggfunc="sum")
    shares = rows.reindex(columns=list(OUTCOME_COLOURS)).fillna(0).iloc[::-1]
    shares = shares.div(shares.sum(axis=1), axis=0)
    left = shares.cumsum(axis=1) - shares
    for outcome, colour in OUTCOME_COLOURS.items():
        label = say.word(outcome)
        ax.barh(range(len(shares)), shares[outcome], 0.6, left[outcome], color=colour, label=label)
    # Of a long name its end, which tells files apart
    _named_bars(
        ax, [n if len(n) <= MOST_LETTERS else f"…{n[1 - MOST_LETTERS :]}" for n in shares.index]
    )
    legend_below(ax)


@chart("Columns with gaps", x="share of rows with a value")
def completeness(ax: Axes, gaps: pd.DataFrame) -> None:
    """The columns with most gaps over all files. Columns: table, column, rows, filled."""
    cells = gaps.assign(cells=gaps.filled * gaps.rows)
    sums = cells.groupby(["table", "column"], sort=False)[["cells", "rows"]].sum()
    share = (sums.cells / sums.rows).sort_values(kind="stable", ascending=False).tail(MOST_BARS)
    ax.barh(range(len(share)), share, 0.7, color=ACCENT)
    names = [f"{say.field(f'{table}_records')}: {say.field(name)}" for table, name in share.index]
    _named_bars(ax, names)
    ax.set_xlim(0, 1)


def _named_bars(ax: Axes, names: list[str]) -> None:
    """Names beside bars of shares, and room for them."""
    ax.set_yticks(range(len(names)), names)
    ax.grid(False, axis="y")
    tall(ax, len(names))
    percents(ax, "x")


@chart("Order lines by day", y="order lines")
def daily_lines(ax: Axes, daily: pd.DataFrame) -> None:
    """Lines by day, the odd days marked. Columns: day, lines, oddity."""
    ax.plot(daily.day, daily.lines, color=ACCENT, lw=0.6)
    for oddity, odd in daily[daily.oddity != ""].groupby("oddity"):
        colour, label = ODDITY_COLOURS[str(oddity)], say.word(oddity)
        ax.plot(odd.day, odd.lines, "o", ms=4, color=colour, label=label)
    if daily.oddity.any():
        legend_below(ax)
    ax.set_ylim(bottom=0)
    months(ax)
    numbers(ax)


@chart("Profiles not updated for longer", x="days since the last update", y="share of profiles")
def staleness(ax: Axes, stale: pd.DataFrame) -> None:
    """Share of profiles not updated for longer than some days. Columns: older_than_days, share."""
    days = [say.form("int", days) for days in stale.older_than_days]
    ax.bar(days, stale.share, 0.6, color=ACCENT)
    percents(ax)
