"""Charts of segments."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.report.charts.base import (
    ACCENT,
    INK,
    LOWER_IS_BETTER,
    MOST_BARS,
    MOST_ITEMS,
    MOST_OF_A_HABIT,
    SOFT,
    WARN,
    WHISKERS,
    bars,
    by_class,
    chart,
    heat,
    numbers,
    own,
    percents,
    tall,
)
from analysis.report.text import say
from analysis.schema import UNKNOWN

# How the medians of features are written.
FORMS = {
    "recency_days": "int",
    "frequency": "int",
    "age_days": "int",
    "window_revenue": "compact",
    "order_value": "compact",
    "night_share": "whole_percent",
    "discount_share": "whole_percent",
}


@chart("Share of customers and of revenue")
def segment_sizes(ax: Axes, groups: pd.DataFrame) -> None:
    """Share of customers and of revenue by group. Index: group; columns: customers, revenue_share."""
    places = np.arange(len(groups))[::-1]
    ax.barh(
        places + 0.2,
        groups.customers / groups.customers.sum(),
        0.38,
        color=SOFT,
        label=say("customers"),
    )
    ax.barh(places - 0.2, groups.revenue_share.fillna(0), 0.38, color=ACCENT, label=say("revenue"))
    ax.set_yticks(places, [say.word(name) for name in groups.index])
    ax.grid(False, axis="y")
    ax.legend()
    percents(ax, "x")


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
    shares = shares if "measure" in shares else shares.assign(measure="")
    for (measure, curve), colour in zip(
        shares.groupby("measure", sort=False), (ACCENT, WARN), strict=False
    ):
        ax.plot(
            curve.customers,
            curve.value,
            color=colour,
            lw=2,
            ls="--" if len(ax.lines) else "-",
            label=say.word(measure),
        )
    ax.plot([0, 1], [0, 1], color=INK, lw=0.8, ls=":")
    if len(ax.lines) > 2:
        ax.legend(loc="lower right")
    percents(ax, "x")
    percents(ax, "y")


@chart("Customers by class of revenue and of profit", x="class by profit", y="class by revenue")
def class_grid(ax: Axes, counts: pd.DataFrame) -> None:
    """Customers by class of revenue (index) and of profit (columns)."""
    heat(ax, counts)


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
    places = -(np.arange(len(classes)) + 1.4 * starts.cumsum().to_numpy())
    ax.barh(places, classes.share, 0.8, color=ACCENT)
    ax.set_yticks(places, [own(say.word(group)) for group in classes.group])
    for place, name in zip(places[starts], classes.segmentation[starts], strict=True):
        ax.text(0, place + 1, say.word(name), weight="bold", va="center")
    ax.set_ylim(places.min() - 0.7, -0.4)
    # type: ignore[union-attr]
    ax.figure.set_figheight(1.1 + 0.2 * (len(classes) + 1.4 * starts.sum()))
    ax.grid(False, axis="y")
    percents(ax, "x")


@chart("What goes with what", x="strength (0 to 1)")
def associations(ax: Axes, links: pd.DataFrame) -> None:
    """How strongly attributes go with outcomes. Columns: a, b, strength, low, high, notable."""
    shown = links.dropna(subset="strength").head(MOST_BARS).iloc[::-1]
    names = [
        f"{own(say.field(a))} – {say.heading(b)}" for a, b in zip(shown.a, shown.b, strict=True)
    ]
    places, size = np.arange(len(shown)), shown.strength.abs()
    limits = shown[["low", "high"]].abs().to_numpy().T
    ends = np.where(
        shown.low * shown.high < 0,
        [np.zeros(len(shown)), limits.max(axis=0)],
        np.sort(limits, axis=0),
    )
    for marked, colour, word in ((True, ACCENT, "notable"), (False, SOFT, "within_chance")):
        some = (shown.notable == marked).to_numpy()
        if some.any():
            ax.barh(places[some], size[some], 0.7, color=colour, label=say.word(word))
    ax.hlines(places, *ends, color=INK, lw=0.8)
    ax.set_yticks(places, names)
    ax.set_xlim(0, max(0.3, 1.05 * ends.max()))
    ax.grid(False, axis="y")
    ax.figure.legend(ncols=2, loc="outside lower center")
    tall(ax, len(shown) + 2)
    numbers(ax, "short", "x")


@chart("Revenue per customer by class", x="revenue per customer in the value window")
def value_by_class(ax: Axes, by: pd.DataFrame) -> None:
    """Revenue per customer by class of one attribute. Columns: group, revenue_each, low, high,
    differs, customers.
    """
    places, right = np.arange(len(by))[::-1], WHISKERS * max(by.revenue_each.max(), 0) or 1.0
    ax.hlines(places, by.low, by.high.clip(upper=2 * right), color=INK, lw=1)
    known = by.group != UNKNOWN
    for some, colour, word in (
        (by.differs, WARN, "differs"),
        (known & ~by.differs, ACCENT, "within_chance"),
        (~known, SOFT, ""),
    ):
        if some.any():
            ax.plot(
                by.revenue_each[some],
                places[some],
                "o",
                ms=6,
                color=colour,
                label=say.word(word) if word else None,
            )
    average = by.revenue[known].sum() / max(by.customers[known].sum(), 1)
    ax.axvline(
        average, color=INK, lw=0.8, ls=":", label=say("average of those whose class is known")
    )
    ax.set_yticks(
        places,
        [
            f"{own(say.word(name))} ({say.form('int', n)})"
            for name, n in zip(by.group, by.customers, strict=True)
        ],
    )
    ax.set_xlim(min(0, by.low.min(skipna=True)) if by.low.notna().any() else 0, right)
    ax.set_ylim(-0.6, len(by) - 0.4)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.grid(False, axis="y")
    ax.figure.legend(loc="outside lower center")
    tall(ax, len(by) + 4)
    numbers(ax, "money", "x")


@chart("Stages of each class")
def stage_by_class(ax: Axes, shares: pd.DataFrame) -> None:
    """Share of each class (index) in each stage (columns); empty where the count is not shown."""
    by_class(shares, ax)


@chart("Customers and revenue by interest", x="share")
def interest_sizes(ax: Axes, groups: pd.DataFrame) -> None:
    """Share of customers and of revenue by interest. Index: interest; columns: customers,
    revenue_share.

    The MOST_ITEMS with most customers, then the others together, then those without.
    """
    named = groups.drop(index="no_interest", errors="ignore").sort_values(
        "customers", ascending=False, kind="stable"
    )
    rest = {
        say("All others"): named.iloc[MOST_ITEMS:],
        say.word("no_interest"): groups[groups.index == "no_interest"],
    }
    shown = named.head(MOST_ITEMS).rename(index=own)[["customers", "revenue_share"]]
    for name, rows in rest.items():
        if len(rows):
            shown = pd.concat([shown, rows[["customers", "revenue_share"]].sum().to_frame(name).T])
    places = np.arange(len(shown))[::-1]
    ax.barh(
        places + 0.2,
        shown.customers / groups.customers.sum(),
        0.38,
        color=SOFT,
        label=say("customers"),
    )
    ax.barh(places - 0.2, shown.revenue_share.fillna(0), 0.38, color=ACCENT, label=say("revenue"))
    ax.set_yticks(places, list(shown.index))
    tall(ax, int(1.6 * len(shown)))
    ax.grid(False, axis="y")
    ax.figure.legend(ncols=2, loc="outside lower center")
    percents(ax, "x")


@chart("Asked about and never bought", x="customers")
def open_needs(ax: Axes, table: pd.DataFrame) -> None:
    """Who asks for what without having it. Index: need; columns: buyers, prospects."""
    shown = table.head(MOST_ITEMS)
    places = np.arange(len(shown))[::-1]
    total = shown.buyers + shown.prospects
    ax.barh(places, shown.buyers, 0.7, color=ACCENT, label=say("customers who bought other things"))
    ax.barh(
        places,
        shown.prospects,
        0.7,
        left=shown.buyers,
        color=SOFT,
        label=say("prospects (no order yet)"),
    )
    for place, count in zip(places, total, strict=True):
        ax.annotate(
            say.form("int", count), (count, place), (3, 0), textcoords="offset points", va="center"
        )
    ax.set_yticks(places, [own(name) for name in shown.index])
    ax.margins(x=0.1)
    tall(ax, 2 * len(shown))
    ax.grid(False, axis="y")
    numbers(ax, axis="x")
    ax.figure.legend(ncols=2, loc="outside lower center")


@chart("How well groups fit", x="number of groups (framed: the one taken)")
def cluster_quality(ax: Axes, quality: pd.DataFrame) -> None:
    """The criteria by number of groups, the darker the better, the chosen number framed.

    Columns: k, silhouette, calinski_harabasz, davies_bouldin, stability, chosen.
    """
    criteria = quality.set_index("k")[
        ["silhouette", "calinski_harabasz", "davies_bouldin", "stability"]
    ].T
    better = criteria.mul([-1 if name in LOWER_IS_BETTER else 1 for name in criteria.index], axis=0)
    span = better.max(axis=1) - better.min(axis=1)
    shade = better.sub(better.min(axis=1), axis=0).div(span.where(span > 0), axis=0).fillna(0.5)
    cells(
        ax,
        shade,
        criteria.map(lambda value: say.form("short", value)),
        cmap="GnBu",
        vmin=0,
        vmax=1.25,
        white=0.9,
    )
    ax.set_yticks(range(len(criteria)), [say.heading(name) for name in criteria.index])
    ax.set_xticks(range(len(quality)), [str(k) for k in quality.k])
    for place in np.flatnonzero(quality.chosen):
        ax.axvspan(place - 0.5, place + 0.5, fill=False, edgecolor=WARN, lw=2.5, clip_on=False)


@chart("What marks each group")
def cluster_features(ax: Axes, apart: pd.DataFrame, medians: pd.DataFrame) -> None:
    """Groups (index) by features (columns): the shade is the group's distance from the mean of all,
    in standard deviations (`apart`); in the cells its `medians`, each feature in its form.
    """
    apart = apart.reindex(index=medians.index)
    texts = pd.DataFrame(
        {f: [say.form(FORMS[f], value) for value in medians[f]] for f in apart}, apart.index
    )
    cells(ax, apart, texts, cmap="BrBG", vmin=-2, vmax=2, white=1.4)
    ax.set_xticks(
        range(apart.shape[1]), [textwrap.fill(say.heading(feature), 11) for feature in apart]
    )
    ax.set_yticks(range(len(apart)), [textwrap.fill(say.word(name), 18) for name in apart.index])
    ax.tick_params(length=0)
    tall(ax, 2 * len(apart))  # a name takes two lines or three


def cells(
    ax: Axes, shade: pd.DataFrame, texts: pd.DataFrame, white: float, **colours: object
) -> None:
    """Cells with a text each, shaded by another table; the text is white where the shade is beyond
    `white`.
    """
    # type: ignore[arg-type]
    ax.imshow(shade.to_numpy(float), aspect="auto", interpolation="nearest", **colours)
    for (row, column), value in np.ndenumerate(shade.to_numpy(float)):
        ax.text(
            column,
            row,
            texts.iloc[row, column],
            ha="center",
            va="center",
            color="white" if abs(value) > white else INK,
        )
    ax.grid(False)
