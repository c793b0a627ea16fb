"""Charts of data quality."""

import numpy as np
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
    months,
    numbers,
    percents,
    tall,
)
from analysis.report.text import say


@chart("What became of the rows of each file", x="share of rows")
def outcomes(ax: Axes, account: pd.DataFrame) -> None:
    """What became of the rows of each file, as shares. Columns: source, outcome, rows."""
    rows = account.pivot_table(
        index="source", columns="outcome", values="rows", aggfunc="sum", fill_value=0
    ).iloc[::-1]
    left = np.zeros(len(rows))
    for outcome, colour in {"kept": ACCENT, "merged": SOFT, "rejected": WARN}.items():
        share = (
            (rows[outcome] / rows.sum(axis=1)).to_numpy()
            if outcome in rows
            else np.zeros(len(rows))
        )
        ax.barh(range(len(rows)), share, 0.6, left=left, color=colour, label=say.word(outcome))
        left += share
    ax.set_yticks(range(len(rows)), [short(name) for name in rows.index])
    tall(ax, len(rows))
    ax.grid(False, axis="y")
    ax.figure.legend(ncols=3, loc="outside lower center")
    percents(ax, "x")


@chart("Columns with gaps", x="share of rows with a value")
def completeness(ax: Axes, gaps: pd.DataFrame) -> None:
    """The columns with most gaps over all files. Columns: table, column, rows, filled."""
    cells = (
        gaps.assign(cells=gaps.filled * gaps.rows)
        .groupby(["table", "column"], sort=False)[["cells", "rows"]]
        .sum()
    )
    share = (cells.cells / cells.rows).sort_values(kind="stable", ascending=False).tail(MOST_BARS)
    ax.barh(range(len(share)), share, 0.7, color=ACCENT)
    ax.set_yticks(
        range(len(share)),
        [f"{say.field(f'{table}_records')}: {say.field(name)}" for table, name in share.index],
    )
    tall(ax, len(share))
    ax.grid(False, axis="y")
    ax.set_xlim(0, 1)
    percents(ax, "x")


@chart("Order lines by day", y="order lines")
def daily_lines(ax: Axes, daily: pd.DataFrame) -> None:
    """Lines by day, the odd days marked. Columns: day, lines, oddity."""
    ax.plot(daily.day, daily.lines, color=ACCENT, lw=0.6)
    for oddity, colour in {"jump": WARN, "silent_day": INK}.items():
        odd = daily[daily.oddity == oddity]
        if len(odd):
            ax.plot(
                odd.day,
                odd.lines,
                ls="none",
                marker="o",
                ms=4,
                color=colour,
                label=say.word(oddity),
            )
    if (daily.oddity != "").any():
        ax.legend()
    ax.set_ylim(bottom=0)
    months(ax)
    numbers(ax)


@chart("Profiles not updated for longer", x="days since the last update", y="share of profiles")
def staleness(ax: Axes, stale: pd.DataFrame) -> None:
    """Share of profiles not updated for longer than some days. Columns: older_than_days, share."""
    ax.bar(
        [say.form("int", days) for days in stale.older_than_days], stale.share, 0.6, color=ACCENT
    )
    percents(ax)


def short(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else f"…{name[1 - MOST_LETTERS :]}"
