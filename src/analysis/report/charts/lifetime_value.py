"""Charts of lifetime value."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.report.charts.base import (
    ACCENT,
    INK,
    SOFT,
    WARN,
    bars,
    chart,
    legend_below,
    months,
    numbers,
)
from analysis.report.text import say


@chart("Lifetime value by what is known of the customer", x="lifetime value")
def value_by_standing(ax: Axes, groups: pd.DataFrame) -> None:
    """Lifetime value by group (index). Columns: clv."""
    bars(ax, groups.clv, "money")


@chart("Customers by number of repeat orders", x="repeat orders", y="customers")
def repeat_frequency(ax: Axes, table: pd.DataFrame) -> None:
    """Columns: repeats (last: or more), actual, model."""
    ax.bar(table.repeats - 0.2, table.actual, 0.4, color=SOFT, label=say("counted"))
    ax.bar(table.repeats + 0.2, table.model, 0.4, color=ACCENT, label=say("modelled"))
    ax.set_xticks(table.repeats, [*map(str, table.repeats[:-1]), f"{table.repeats.iloc[-1]}+"])
    numbers(ax)
    ax.legend()


def actual_expected(
    ax: Axes, x: pd.Series, actual: pd.Series, expected: pd.Series, **style: Any
) -> None:
    ax.plot(x, actual, color=INK, lw=1.4, label=say("counted"), **style)
    ax.plot(x, expected, color=WARN, lw=1.8, ls="--", label=say("expected"), **style)
    ax.legend()


def by_week(ax: Axes, table: pd.DataFrame, origin: Any) -> None:
    actual_expected(ax, table.week, table.actual, table.expected)
    if origin is not None:
        end = pd.Timestamp(origin)
        late = end > table.week.min() + (table.week.max() - table.week.min()) / 2
        ax.axvline(end, color=INK, lw=0.8, ls=":")
        ax.annotate(
            say("data of the model end"),
            (end, 0),
            (-3 if late else 3, 3),
            ha="right" if late else "left",
            textcoords="offset points",
            xycoords=("data", "axes fraction"),
        )
    months(ax)
    numbers(ax)


@chart("Repeat orders by week", y="repeat orders a week")
def tracking_weekly(ax: Axes, table: pd.DataFrame, origin: Any = None) -> None:
    """Columns: week, actual, expected. `origin`: where the model's data end."""
    by_week(ax, table, origin)


@chart("Orders of a customer by the calendar", y="times the usual rate")
def calendar_rate(ax: Axes, table: pd.DataFrame, origin: Any = None) -> None:
    """Columns: week, rate. `origin`: where the log ends."""
    end = pd.Timestamp(origin if origin is not None else table.week.max())
    past, ahead = table[table.week <= end], table[table.week >= end]
    ax.plot(past.week, past.rate, color=INK, lw=1.4, label=say("as the log tells"))
    ax.plot(ahead.week, ahead.rate, color=WARN, lw=1.8, ls="--", label=say("expected"))
    ax.set_ylim(bottom=0)
    months(ax)
    ax.legend()


@chart("Revenue of the quarters to come", y="revenue")
def revenue_to_come(ax: Axes, table: pd.DataFrame) -> None:
    """Columns: quarter (its last day), revenue_today, revenue_new."""
    new, today = table.revenue_new, table.revenue_today
    wide = (table.quarter.max() - table.quarter.min()) / max(len(table), 2)
    ax.bar(table.quarter, today, wide, color=ACCENT, label=say("today's customers"))
    ax.bar(table.quarter, new, wide, bottom=today, color=SOFT, label=say("still to be won"))
    numbers(ax, "money")
    months(ax)
    legend_below(ax)


@chart("Repeat orders, added up", y="repeat orders so far")
def tracking_cumulative(ax: Axes, table: pd.DataFrame, origin: Any = None) -> None:
    """The same, added up."""
    by_week(ax, table.set_index("week").cumsum().reset_index(), origin)


@chart(
    "Orders in unseen time, by orders before",
    x="repeat orders before (last: or more)",
    y="orders per customer",
)
def conditional_expectation(ax: Axes, table: pd.DataFrame) -> None:
    """Columns: repeats (last: or more), actual, expected."""
    actual_expected(ax, table.repeats, table.actual, table.expected, marker="o")


@chart("Orders expected of a customer", x="days since the last order", y="repeat orders")
def frequency_recency(ax: Axes, surface: pd.DataFrame) -> None:
    """Expected orders by frequency (index) and recency_days (columns)."""
    mesh = ax.contourf(surface.columns, surface.index, surface.to_numpy(), levels=12, cmap="GnBu")
    ax.figure.colorbar(mesh, ax=ax, label=say("expected orders"))
    ax.grid(False)
