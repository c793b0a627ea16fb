"""Charts of segments."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.report.charts.base import (
    ACCENT,
    DARK,
    INK,
    MOST_BARS,
    MOST_ITEMS,
    MOST_OF_A_HABIT,
    SOFT,
    WARN,
    WHISKERS,
    bars,
    chart,
    dots,
    heat,
    labelled,
    legend_below,
    numbers,
    own,
    percents,
    shaded,
    shares_of_two,
    tall,
)
from analysis.report.text import say
from analysis.schema import SHOWN, UNKNOWN

ACROSS = 4  # numbers of seven letters that fit side by side on a phone


@chart("Share of customers and of revenue")
def segment_sizes(ax: Axes, groups: pd.DataFrame) -> None:
    """Shares by group. Index: group; columns: customers, revenue_share."""
    names = [say.word(name) for name in groups.index]
    revenue = groups.revenue_share.astype(float).fillna(0)
    shares_of_two(ax, names, groups.customers, revenue, say("revenue"))
    tall(ax, int(1.6 * len(groups)))


@chart(
    "Customers by recency and frequency score",
    x="frequency score (the highest: most orders)",
    y="recency score (the highest: latest)",
)
def rfm_grid(ax: Axes, counts: pd.DataFrame) -> None:
    """Customers by recency score (index, 5 first) and frequency score (columns)."""
    heat(ax, counts, words=False)


@chart(
    "How the total spreads over customers",
    x="share of customers, the most valuable first",
    y="share of the total",
)
def pareto(ax: Axes, shares: pd.DataFrame) -> None:
    """Cumulative shares. Columns: customers, value; measure where there are several curves."""
    curves = shares.groupby("measure" if "measure" in shares else lambda _: "", sort=False)
    styles = ((ACCENT, "-"), (WARN, "--"))
    for (measure, curve), (colour, line) in zip(curves, styles, strict=False):
        label = say.word(measure)
        ax.plot(curve.customers, curve.value, color=colour, lw=2, ls=line, label=label)
    ax.plot([0, 1], [0, 1], color=INK, lw=0.8, ls=":")
    if len(curves) > 1:
        ax.legend(loc="lower right")
    percents(ax, "x")
    percents(ax, "y")


@chart("Customers by stage", x="customers")
def stage_sizes(ax: Axes, counts: pd.Series) -> None:
    """Customers by stage (index)."""
    bars(ax, counts)


@chart("Where customers of each stage are now", x="stage now", y="stage then")
def stage_moves(ax: Axes, shares: pd.DataFrame) -> None:
    """Shares of those in a stage then (index) by their stage now (columns)."""
    heat(ax, shares.where(shares > 0), "whole_percent")


@chart("How customers buy", x="share of customers whose habit shows")
def habits(ax: Axes, classes: pd.DataFrame) -> None:
    """Share of those whose habit shows by class, a block of bars for each habit. Columns:
    segmentation, group, share.
    """
    classes = classes.groupby("segmentation", sort=False).head(MOST_OF_A_HABIT)
    starts = ~classes.segmentation.duplicated()
    ax.grid(False, axis="y")
    places = -(np.arange(len(classes)) + 1.4 * starts.cumsum().to_numpy())
    ax.barh(places, classes.share, 0.8, color=ACCENT)
    ax.set_yticks(places, [own(say.word(group)) for group in classes.group])
    for place, name in zip(places[starts], classes.segmentation[starts], strict=True):
        ax.text(0, place + 1, say.word(name), weight="bold", va="center")
    ax.set_ylim(places.min() - 0.7, 0.2)
    tall(ax, len(classes) + 1.4 * starts.sum())
    percents(ax, "x")


@chart("What goes with what", x="strength (0 to 1)")
def associations(ax: Axes, links: pd.DataFrame) -> None:
    """How strongly attributes go with outcomes, as far as it is known, with 95 % intervals.
    Columns: a, b, strength, low, high, notable.
    """
    shown = links.dropna(subset="strength").head(MOST_BARS)
    if shown.empty:
        return
    pairs = zip(shown.a, shown.b, strict=True)
    places = labelled(ax, [f"{own(say.field(a))} – {say.heading(b)}" for a, b in pairs])
    limits = np.sort(shown[["low", "high"]].abs().to_numpy(), axis=1)
    limits[shown.low * shown.high < 0, 0] = 0
    for notable, colour, label in ((True, ACCENT, "notable"), (False, SOFT, "within_chance")):
        some = (shown.notable == notable).to_numpy()
        if some.any():
            strength = shown.strength.abs()[some]
            ax.barh(places[some], strength, 0.7, color=colour, label=say.word(label))
    ax.hlines(places, *limits.T, color=INK, lw=0.8)
    ax.set_xlim(0, max(0.3, 1.05 * limits.max()))
    legend_below(ax)
    tall(ax, len(shown) + 2)
    numbers(ax, "short", "x")


@chart("Revenue per customer by class", x="revenue per customer in the value window")
def value_by_class(ax: Axes, by: pd.DataFrame) -> None:
    """Revenue per customer by class of one attribute; an interval beyond the picture is cut.
    Columns: group, revenue, revenue_each, low, high, differs, customers.
    """
    sizes = zip(by.group, by.customers, strict=True)
    names = [f"{own(say.word(name))} ({say.form('int', n)})" for name, n in sizes]
    right, known = WHISKERS * max(by.revenue_each.max(), 0) or 1.0, by.group != UNKNOWN
    dots(
        ax,
        names,
        by.revenue_each,
        by[["low", "high"]].clip(upper=2 * right),
        (by.differs, WARN, WARN, say.word("differs")),
        (known & ~by.differs, ACCENT, ACCENT, say.word("within_chance")),
        (~known, SOFT, SOFT, None),
    )
    average = by.revenue[known].sum() / max(by.customers[known].sum(), 1)
    of_known = say("average of those whose class is known")
    ax.axvline(average, color=INK, lw=0.8, ls=":", label=of_known)
    ax.set_xlim(np.fmin(0, by.low.min()), right)
    legend_below(ax)
    tall(ax, len(by) + 4)
    numbers(ax, "money", "x")


@chart("Customers and revenue by interest", x="share")
def interest_sizes(ax: Axes, groups: pd.DataFrame) -> None:
    """Shares by interest. Index: interest; columns: customers, revenue_share.

    The MOST_ITEMS with most customers, then the others together, then those without.
    """
    named = groups.drop(index="no_interest", errors="ignore")
    named = named.sort_values("customers", ascending=False, kind="stable").rename(index=own)
    others = named.iloc[MOST_ITEMS:].sum().to_frame(say("All others")).T
    without = groups[groups.index == "no_interest"].rename(index=say.word)
    parts = [named.head(MOST_ITEMS), others.head(int(len(named) > MOST_ITEMS)), without]
    shown = pd.concat(parts)
    revenue = shown.revenue_share.astype(float).fillna(0)
    shares_of_two(ax, list(shown.index), shown.customers, revenue, say("revenue"))
    tall(ax, int(1.6 * len(shown)))


@chart("Asked about and never bought", x="customers")
def open_needs(ax: Axes, table: pd.DataFrame) -> None:
    """Who asks for what without having it. Index: need; columns: buyers, prospects."""
    shown = table.head(MOST_ITEMS)
    places = labelled(ax, [own(name) for name in shown.index])
    buyers, prospects = shown.buyers, shown.prospects
    ax.barh(places, buyers, 0.7, color=ACCENT, label=say("customers who bought other things"))
    label = say("prospects (no order yet)")
    ends = ax.barh(places, prospects, 0.7, left=buyers, color=SOFT, label=label)
    ax.bar_label(ends, [say.form("int", count) for count in buyers + prospects], padding=3)
    ax.margins(x=0.16)
    tall(ax, 2 * len(shown))
    numbers(ax, axis="x")
    legend_below(ax)


@chart("What marks each group")
def cluster_features(ax: Axes, apart: pd.DataFrame, medians: pd.DataFrame) -> None:
    """Groups (index) by features (columns), ACROSS of them side by side and the next below: the
    shade is the group's distance from the mean of all, in standard deviations (`apart`); in the
    cells its `medians`, each feature in its form.
    """
    apart, high = apart.reindex(index=medians.index), len(medians) + 1  # below their headings
    blocks = -(-apart.shape[1] // ACROSS)
    shades = np.full((high * blocks, ACROSS), np.nan)
    for place, feature in enumerate(apart):
        top, column = high * (place // ACROSS), place % ACROSS
        shades[top + 1 : top + high, column] = apart[feature]
        heading = textwrap.fill(say.heading(feature), 10)
        ax.text(column, top + 0.4, heading, ha="center", va="bottom")
        form = SHOWN[feature][1].replace("money", "compact")
        for row, median in enumerate(medians[feature], top + 1):
            colour = "white" if abs(shades[row, column]) > 1.4 else DARK
            text = say.form(form, median)
            ax.text(column, row, text, ha="center", va="center", color=colour)
    names = ["", *(textwrap.fill(say.word(name), 16) for name in apart.index)]
    shaded(ax, shades, names * blocks, [], cmap="BrBG", vmin=-2, vmax=2)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    tall(ax, 2 * len(shades))  # a name takes two lines or three
