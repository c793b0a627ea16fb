"""Pictures: a DataFrame in, matplotlib Axes out. Words come from the catalogue, under charts.<function name>."""

import io
import re
import textwrap
import unicodedata
import warnings
from collections.abc import Callable
from itertools import cycle
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from analysis.disclosure import UNKNOWN
from analysis.messages import Say, printable
from analysis.segments import lifecycle

INK, ACCENT, SOFT, WARN, GRID = "#1f2d3a", "#0b6e75", "#9cc9cb", "#c8553d", "#dfe5e8"
TIER_COLOURS = {"strategic": "#0b6e75", "important": "#57a6a9", "ordinary": "#cfe3e3", "potential": "#e9c46a"}
CARE_COLOURS = {"follow_up": "#0b6e75", "refresh": "#cfe3e3", "birthday": "#e9c46a", "anniversary": "#c8553d"}
WIDTH, HEIGHT = 5.6, 3.3  # inches: text of 9 points stays readable when a phone shows it 360 pixels wide
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "customer-matrix",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "legend.frameon": False,
}
MOST_BARS = 24  # in one picture; more could not be read on a phone
MOST_OF_A_HABIT = 6  # classes
MOST_ITEMS = 12  # of the company's categories in one picture; the others are one bar
LABEL_WIDTH = 22  # of a company's own words, in latin letters; a Chinese one is as wide as two
WHISKERS = 2.5  # times the largest mean; an interval may reach further than a picture can show
LOWER_IS_BETTER = ("davies_bouldin",)
MOST_LETTERS = 24  # of a label beside a bar
HORIZONS = 3  # that curves of waits show; few wait longer, and their intervals fill the picture
MOST_STEPS = 120  # of a curve; finer ones no phone would show
MOST_WEEKS = 8  # that are named below bars
CURVES = [(WARN, "-"), (ACCENT, "--"), (INK, "-."), (SOFT, "-")]  # told apart without colours, too
Chart = Callable[..., Axes]
matplotlib.use("agg")


def svg(chart: Chart, frame: Any, say: Say, **options: Any) -> str:
    """The chart as an SVG element whose text stays text; the same data gives the same bytes."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, options.pop("height", HEIGHT)), layout="constrained")
        chart(frame, say, figure.add_subplot(), **options)
        picture = io.StringIO()
        with warnings.catch_warnings():  # the reader's browser has the glyphs
            warnings.filterwarnings("ignore", "Glyph")
            figure.savefig(picture, format="svg", metadata={"Date": None, "Creator": None})
    element = printable(picture.getvalue())
    element = element[element.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    return re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", element, count=1), count=1)


def _label(ax: Axes, say: Say, name: str) -> Axes:
    words = say.catalogue["charts"][name]
    ax.set(title=words.get("title", ""), xlabel=words.get("x", ""), ylabel=words.get("y", ""))
    return ax


def _numbers(ax: Axes, say: Say, form: str = "int", axis: str = "y") -> None:
    getattr(ax, f"{axis}axis").set_major_formatter(FuncFormatter(lambda value, _: say.form(form, value)))


def _percents(ax: Axes, axis: str = "y") -> None:
    getattr(ax, f"{axis}axis").set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))


def _months(ax: Axes) -> None:
    """Few enough dates to be read on a phone, written the same in every language."""
    ax.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=6))
    ax.xaxis.set_major_formatter(DateFormatter("%Y-%m"))


def _heat(ax: Axes, table: pd.DataFrame, say: Say, form: str = "int", words: bool = True) -> None:
    """Cells shaded by their value, which stands in them; the grid of lines is off."""
    values = table.to_numpy(float)
    top = np.nanmax(values) if values.size and np.isfinite(values).any() and np.nanmax(values) > 0 else 1.0
    ax.imshow(np.sqrt(np.clip(values, 0, None) / top), cmap="GnBu", vmin=0, vmax=1.25, aspect="auto", interpolation="nearest")
    for (row, column), value in np.ndenumerate(values):
        ax.text(column, row, say.form(form, value), ha="center", va="center", color="white" if value > 0.7 * top else INK)
    name = say.word if words else str
    ax.set_xticks(range(table.shape[1]), [name(c) for c in table.columns])
    ax.set_yticks(range(table.shape[0]), [name(r) for r in table.index])
    ax.grid(False)


def _bars(ax: Axes, heights: pd.Series, say: Say, form: str = "int", colour: str = ACCENT) -> None:
    """Horizontal bars, the first on top, each with its number."""
    places = np.arange(len(heights))[::-1]
    ax.barh(places, heights.fillna(0), color=colour)
    for place, height in zip(places, heights, strict=True):
        ax.annotate(
            say.form(form, height), (0 if np.isnan(height) else height, place), (3, 0), textcoords="offset points", va="center"
        )
    ax.set_yticks(places, [say.word(name) for name in heights.index])
    ax.margins(x=0.16)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.grid(False, axis="y")
    _numbers(ax, say, form, "x")


# 01 data quality
def outcomes(account: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """What became of the rows of each file, as shares. Columns: source, outcome, rows."""
    rows = account.pivot_table(index="source", columns="outcome", values="rows", aggfunc="sum", fill_value=0).iloc[::-1]
    left = np.zeros(len(rows))
    for outcome, colour in {"kept": ACCENT, "merged": SOFT, "rejected": WARN}.items():
        share = (rows[outcome] / rows.sum(axis=1)).to_numpy() if outcome in rows else np.zeros(len(rows))
        ax.barh(range(len(rows)), share, 0.6, left=left, color=colour, label=say.word(outcome))
        left += share
    ax.set_yticks(range(len(rows)), [_short(name) for name in rows.index])
    _tall(ax, len(rows))
    ax.grid(False, axis="y")
    ax.figure.legend(ncols=3, loc="outside lower center")
    _percents(ax, "x")
    return _label(ax, say, "outcomes")


def completeness(gaps: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """The columns with most gaps over all files. Columns: table, column, rows, filled."""
    cells = gaps.assign(cells=gaps.filled * gaps.rows).groupby(["table", "column"], sort=False)[["cells", "rows"]].sum()
    share = (cells.cells / cells.rows).sort_values(kind="stable", ascending=False).tail(MOST_BARS)
    ax.barh(range(len(share)), share, 0.7, color=ACCENT)
    ax.set_yticks(range(len(share)), [f"{say.field(f'{table}_records')}: {say.field(name)}" for table, name in share.index])
    _tall(ax, len(share))
    ax.grid(False, axis="y")
    ax.set_xlim(0, 1)
    _percents(ax, "x")
    return _label(ax, say, "completeness")


def daily_lines(daily: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Lines by day, the odd days marked. Columns: day, lines, oddity."""
    ax.plot(daily.day, daily.lines, color=ACCENT, lw=0.6)
    for oddity, colour in {"jump": WARN, "silent_day": INK}.items():
        odd = daily[daily.oddity == oddity]
        if len(odd):
            ax.plot(odd.day, odd.lines, ls="none", marker="o", ms=4, color=colour, label=say.word(oddity))
    if (daily.oddity != "").any():
        ax.legend()
    ax.set_ylim(bottom=0)
    _months(ax)
    _numbers(ax, say)
    return _label(ax, say, "daily_lines")


def staleness(stale: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Share of profiles not updated for longer than some days. Columns: older_than_days, share."""
    ax.bar([say.form("int", days) for days in stale.older_than_days], stale.share, 0.6, color=ACCENT)
    _percents(ax)
    return _label(ax, say, "staleness")


def _tall(ax: Axes, bars: int) -> None:
    """Room for each bar's label."""
    ax.figure.set_figheight(1.1 + 0.22 * bars)  # type: ignore[union-attr]


def _own(name: str) -> str:
    """A company's own name, cut at the end where it is too wide for a label."""
    widths = np.cumsum([2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in name])
    return name if not len(widths) or widths[-1] <= LABEL_WIDTH else f"{name[: int((widths < LABEL_WIDTH).sum())].rstrip()}…"


def _short(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else f"…{name[1 - MOST_LETTERS :]}"


# 02 segments
def segment_sizes(groups: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Share of customers and of revenue by group. Index: group; columns: customers, revenue_share."""
    places = np.arange(len(groups))[::-1]
    ax.barh(places + 0.2, groups.customers / groups.customers.sum(), 0.38, color=SOFT, label=say("words.customers"))
    ax.barh(places - 0.2, groups.revenue_share.fillna(0), 0.38, color=ACCENT, label=say("words.revenue"))
    ax.set_yticks(places, [say.word(name) for name in groups.index])
    ax.grid(False, axis="y")
    ax.legend()
    _percents(ax, "x")
    return _label(ax, say, "segment_sizes")


def rfm_grid(counts: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Customers by recency score (index, 5 first) and frequency score (columns)."""
    _heat(ax, counts, say, words=False)
    return _label(ax, say, "rfm_grid")


def pareto(shares: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Cumulative shares. Columns: customers, value; measure where there are several curves."""
    shares = shares if "measure" in shares else shares.assign(measure="")
    for (measure, curve), colour in zip(shares.groupby("measure", sort=False), (ACCENT, WARN), strict=False):
        ax.plot(curve.customers, curve.value, color=colour, lw=2, ls="--" if len(ax.lines) else "-", label=say.word(measure))
    ax.plot([0, 1], [0, 1], color=INK, lw=0.8, ls=":")
    if len(ax.lines) > 2:
        ax.legend(loc="lower right")
    _percents(ax, "x")
    _percents(ax, "y")
    return _label(ax, say, "pareto")


def class_grid(counts: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Customers by class of revenue (index) and of profit (columns)."""
    _heat(ax, counts, say)
    return _label(ax, say, "class_grid")


def stage_sizes(counts: pd.Series, say: Say, ax: Axes) -> Axes:
    """Customers by stage (index)."""
    _bars(ax, counts, say)
    return _label(ax, say, "stage_sizes")


def stage_moves(shares: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Shares of those in a stage then (index) by their stage now (columns)."""
    _heat(ax, shares.where(shares > 0), say, "whole_percent")
    return _label(ax, say, "stage_moves")


def habits(classes: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Share of those whose habit shows by class, a block of bars for each habit. Columns: segmentation, group, share."""
    classes = classes.groupby("segmentation", sort=False).head(MOST_OF_A_HABIT)
    starts = ~classes.segmentation.duplicated()
    places = -(np.arange(len(classes)) + 1.4 * starts.cumsum().to_numpy())
    ax.barh(places, classes.share, 0.8, color=ACCENT)
    ax.set_yticks(places, [_own(say.word(group)) for group in classes.group])
    for place, name in zip(places[starts], classes.segmentation[starts], strict=True):
        ax.text(0, place + 1, say.word(name), weight="bold", va="center")
    ax.set_ylim(places.min() - 0.7, -0.4)
    ax.figure.set_figheight(1.1 + 0.2 * (len(classes) + 1.4 * starts.sum()))  # type: ignore[union-attr]
    ax.grid(False, axis="y")
    _percents(ax, "x")
    return _label(ax, say, "habits")


def associations(links: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """How strongly attributes go with outcomes. Columns: a, b, strength, low, high, notable."""
    shown = links.dropna(subset="strength").head(MOST_BARS).iloc[::-1]
    headings = say.catalogue["columns"]
    names = [f"{_own(say.field(a))} – {headings.get(b, say.field(b))}" for a, b in zip(shown.a, shown.b, strict=True)]
    places, size = np.arange(len(shown)), shown.strength.abs()
    limits = shown[["low", "high"]].abs().to_numpy().T
    ends = np.where(shown.low * shown.high < 0, [np.zeros(len(shown)), limits.max(axis=0)], np.sort(limits, axis=0))
    for marked, colour, word in ((True, ACCENT, "notable"), (False, SOFT, "within_chance")):
        some = (shown.notable == marked).to_numpy()
        if some.any():
            ax.barh(places[some], size[some], 0.7, color=colour, label=say(f"words.{word}"))
    ax.hlines(places, *ends, color=INK, lw=0.8)
    ax.set_yticks(places, names)
    ax.set_xlim(0, max(0.3, 1.05 * ends.max()))
    ax.grid(False, axis="y")
    ax.figure.legend(ncols=2, loc="outside lower center")
    _tall(ax, len(shown) + 2)
    _numbers(ax, say, "short", "x")
    return _label(ax, say, "associations")


def value_by_class(by: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Revenue per customer by class of one attribute. Columns: group, revenue_each, low, high, differs, customers."""
    places, right = np.arange(len(by))[::-1], WHISKERS * max(by.revenue_each.max(), 0) or 1.0
    ax.hlines(places, by.low, by.high.clip(upper=2 * right), color=INK, lw=1)
    known = by.group != UNKNOWN
    for some, colour, word in ((by.differs, WARN, "differs"), (known & ~by.differs, ACCENT, "within_chance"), (~known, SOFT, "")):
        if some.any():
            ax.plot(by.revenue_each[some], places[some], "o", ms=6, color=colour, label=say(f"words.{word}") if word else None)
    average = by.revenue[known].sum() / max(by.customers[known].sum(), 1)
    ax.axvline(average, color=INK, lw=0.8, ls=":", label=say("words.average_known"))
    ax.set_yticks(
        places, [f"{_own(say.word(name))} ({say.form('int', n)})" for name, n in zip(by.group, by.customers, strict=True)]
    )
    ax.set_xlim(min(0, by.low.min(skipna=True)) if by.low.notna().any() else 0, right)
    ax.set_ylim(-0.6, len(by) - 0.4)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.grid(False, axis="y")
    ax.figure.legend(loc="outside lower center")
    _tall(ax, len(by) + 4)
    _numbers(ax, say, "money", "x")
    return _label(ax, say, "value_by_class")


def stage_by_class(shares: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Share of each class (index) in each stage (columns); empty where the count is not shown."""
    return _label(_by_class(shares, say, ax), say, "stage_by_class")


def _by_class(shares: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Shares of each class (index) by another grouping (columns), hatched where the count is not shown."""
    _heat(ax, shares, say, "whole_percent")
    for row, column in np.argwhere(shares.isna().to_numpy()):
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch="////", ec=GRID, lw=0))
    ax.set_yticks(range(len(shares)), [_own(say.word(name)) for name in shares.index])
    if shares.isna().any(axis=None):
        hatched = Patch(fill=False, hatch="////", ec=GRID, label=say("words.not_shown"))
        ax.figure.legend(handles=[hatched], loc="outside lower center")
    _tall(ax, len(shares) + 2)
    return ax


def interest_sizes(groups: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Share of customers and of revenue by interest. Index: interest; columns: customers, revenue_share.

    The MOST_ITEMS with most customers, then the others together, then those without.
    """
    named = groups.drop(index="no_interest", errors="ignore").sort_values("customers", ascending=False, kind="stable")
    rest = {
        say("words.other_items"): named.iloc[MOST_ITEMS:],
        say("words.no_interest"): groups[groups.index == "no_interest"],
    }
    shown = named.head(MOST_ITEMS).rename(index=_own)[["customers", "revenue_share"]]
    for name, rows in rest.items():
        if len(rows):
            shown = pd.concat([shown, rows[["customers", "revenue_share"]].sum().to_frame(name).T])
    places = np.arange(len(shown))[::-1]
    ax.barh(places + 0.2, shown.customers / groups.customers.sum(), 0.38, color=SOFT, label=say("words.customers"))
    ax.barh(places - 0.2, shown.revenue_share.fillna(0), 0.38, color=ACCENT, label=say("words.revenue"))
    ax.set_yticks(places, list(shown.index))
    _tall(ax, int(1.6 * len(shown)))
    ax.grid(False, axis="y")
    ax.figure.legend(ncols=2, loc="outside lower center")
    _percents(ax, "x")
    return _label(ax, say, "interest_sizes")


def open_needs(table: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Who asks for what without having it. Index: need; columns: buyers, prospects."""
    shown = table.head(MOST_ITEMS)
    places = np.arange(len(shown))[::-1]
    total = shown.buyers + shown.prospects
    ax.barh(places, shown.buyers, 0.7, color=ACCENT, label=say("words.buyers"))
    ax.barh(places, shown.prospects, 0.7, left=shown.buyers, color=SOFT, label=say("words.prospects"))
    for place, count in zip(places, total, strict=True):
        ax.annotate(say.form("int", count), (count, place), (3, 0), textcoords="offset points", va="center")
    ax.set_yticks(places, [_own(name) for name in shown.index])
    ax.margins(x=0.1)
    _tall(ax, 2 * len(shown))
    ax.grid(False, axis="y")
    _numbers(ax, say, axis="x")
    ax.figure.legend(ncols=2, loc="outside lower center")
    return _label(ax, say, "open_needs")


def cluster_quality(quality: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """The criteria by number of groups, the darker the better, the chosen number framed.

    Columns: k, silhouette, calinski_harabasz, davies_bouldin, stability, chosen.
    """
    criteria = quality.set_index("k")[["silhouette", "calinski_harabasz", "davies_bouldin", "stability"]].T
    better = criteria.mul([-1 if name in LOWER_IS_BETTER else 1 for name in criteria.index], axis=0)
    span = better.max(axis=1) - better.min(axis=1)
    shade = better.sub(better.min(axis=1), axis=0).div(span.where(span > 0), axis=0).fillna(0.5)
    _cells(ax, shade, criteria.map(lambda value: say.form("short", value)), cmap="GnBu", vmin=0, vmax=1.25, white=0.9)
    ax.set_yticks(range(len(criteria)), [say(f"columns.{name}") for name in criteria.index])
    ax.set_xticks(range(len(quality)), [str(k) for k in quality.k])
    for place in np.flatnonzero(quality.chosen):
        ax.axvspan(place - 0.5, place + 0.5, fill=False, edgecolor=WARN, lw=2.5, clip_on=False)
    return _label(ax, say, "cluster_quality")


def cluster_features(apart: pd.DataFrame, say: Say, ax: Axes, medians: pd.DataFrame, forms: dict[str, str]) -> Axes:
    """Groups (index) by features (columns): the shade is the group's distance from the mean of all, in standard
    deviations (`apart`); in the cells its `medians`, each feature in its form."""
    apart = apart.reindex(index=medians.index)
    texts = pd.DataFrame({f: [say.form(forms[f], value) for value in medians[f]] for f in apart}, apart.index)
    _cells(ax, apart, texts, cmap="BrBG", vmin=-2, vmax=2, white=1.4)
    ax.set_xticks(range(apart.shape[1]), [textwrap.fill(say(f"columns.{feature}"), 11) for feature in apart])
    ax.set_yticks(range(len(apart)), [textwrap.fill(say.word(name), 18) for name in apart.index])
    ax.tick_params(length=0)
    _tall(ax, 2 * len(apart))  # a name takes two lines or three
    return _label(ax, say, "cluster_features")


def _cells(ax: Axes, shade: pd.DataFrame, texts: pd.DataFrame, white: float, **colours: object) -> None:
    """Cells with a text each, shaded by another table; the text is white where the shade is beyond `white`."""
    ax.imshow(shade.to_numpy(float), aspect="auto", interpolation="nearest", **colours)  # type: ignore[arg-type]
    for (row, column), value in np.ndenumerate(shade.to_numpy(float)):
        ax.text(column, row, texts.iloc[row, column], ha="center", va="center", color="white" if abs(value) > white else INK)
    ax.grid(False)


# 03 lifetime value
def value_by_standing(groups: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Lifetime value by group (index). Columns: clv."""
    _bars(ax, groups.clv, say, "money")
    return _label(ax, say, "value_by_standing")


def repeat_frequency(table: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Columns: repeats (last: or more), actual, model."""
    ax.bar(table.repeats - 0.2, table.actual, 0.4, color=SOFT, label=say("words.actual"))
    ax.bar(table.repeats + 0.2, table.model, 0.4, color=ACCENT, label=say("words.model"))
    ax.set_xticks(table.repeats, [*map(str, table.repeats[:-1]), f"{table.repeats.iloc[-1]}+"])
    _numbers(ax, say)
    ax.legend()
    return _label(ax, say, "repeat_frequency")


def _actual_expected(ax: Axes, x: pd.Series, actual: pd.Series, expected: pd.Series, say: Say, **style: Any) -> None:
    ax.plot(x, actual, color=INK, lw=1.4, label=say("words.actual"), **style)
    ax.plot(x, expected, color=WARN, lw=1.8, ls="--", label=say("words.expected"), **style)
    ax.legend()


def tracking_weekly(table: pd.DataFrame, say: Say, ax: Axes, origin: Any = None) -> Axes:
    """Repeat orders week by week. Columns: week, actual, expected. `origin`: where the model's data end."""
    _actual_expected(ax, table.week, table.actual, table.expected, say)
    _origin(ax, origin, say)
    _months(ax)
    _numbers(ax, say)
    return _label(ax, say, "tracking_weekly")


def tracking_cumulative(table: pd.DataFrame, say: Say, ax: Axes, origin: Any = None) -> Axes:
    """The same, added up."""
    _actual_expected(ax, table.week, table.actual.cumsum(), table.expected.cumsum(), say)
    _origin(ax, origin, say)
    _months(ax)
    _numbers(ax, say)
    return _label(ax, say, "tracking_cumulative")


def _origin(ax: Axes, origin: Any, say: Say) -> None:
    if origin is not None:
        ax.axvline(pd.Timestamp(origin), color=INK, lw=0.8, ls=":")
        ax.annotate(
            say("words.model_ends"),
            (pd.Timestamp(origin), 0),
            (3, 3),
            textcoords="offset points",
            xycoords=("data", "axes fraction"),
        )


def conditional_expectation(table: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Columns: repeats (last: or more), actual, expected."""
    _actual_expected(ax, table.repeats, table.actual, table.expected, say, marker="o")
    return _label(ax, say, "conditional_expectation")


def frequency_recency(surface: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Expected orders by frequency (index) and recency_days (columns)."""
    mesh = ax.contourf(surface.columns, surface.index, surface.to_numpy(), levels=12, cmap="GnBu")
    ax.figure.colorbar(mesh, ax=ax, label=say("charts.frequency_recency.scale"))
    ax.grid(False)
    return _label(ax, say, "frequency_recency")


# 04 churn
def calibration(table: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Columns: predicted, actual, low, high."""
    spread = np.abs(np.vstack([table.actual - table.low, table.high - table.actual]))
    ax.plot([0, 1], [0, 1], color=INK, lw=0.8, ls=":", label=say("words.perfect"))
    ax.errorbar(
        table.predicted, table.actual, spread, color=ACCENT, marker="o", capsize=2, lw=1, ls="none", label=say("words.actual")
    )
    _percents(ax, "x")
    _percents(ax, "y")
    ax.legend()
    return _label(ax, say, "calibration")


def leavers_by_decile(table: pd.DataFrame, say: Say, ax: Axes, base: float) -> Axes:
    """Columns: decile, actual. `base`: the share of all that left."""
    ax.bar(table.decile, table.actual, color=ACCENT)
    ax.axhline(base, color=WARN, ls="--", lw=1.2, label=say("words.average"))
    ax.set_xticks(table.decile)
    _percents(ax)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1))
    return _label(ax, say, "leavers_by_decile")


def risk_spread(risk: pd.Series, say: Say, ax: Axes) -> Axes:
    """Customers by their risk."""
    ax.hist(risk, bins=20, range=(0, 1), color=ACCENT)
    _percents(ax, "x")
    _numbers(ax, say)
    return _label(ax, say, "risk_spread")


def churn_drivers(effects: pd.Series, say: Say, ax: Axes) -> Axes:
    """Mean effect by concept, the strongest first."""
    _bars(ax, effects, say, "number")
    _tall(ax, len(effects))
    return _label(ax, say, "churn_drivers")


def profit_curve(curve: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Columns: contacted, profit, expected."""
    ax.plot(curve.contacted, curve.profit, color=ACCENT, label=say("words.actual"))
    ax.plot(curve.contacted, curve.expected, color=INK, lw=1, ls="--", label=say("words.expected"))
    ax.axhline(0, color=INK, lw=0.8)
    best = curve.profit.idxmax()
    ax.plot(curve.contacted[best], curve.profit[best], "o", color=WARN)
    _numbers(ax, say, axis="x")
    _numbers(ax, say, "compact")
    ax.legend()
    return _label(ax, say, "profit_curve")


def survival_curves(curves: pd.DataFrame, say: Say, ax: Axes, horizon_days: int = 0) -> Axes:
    """Share that has not ordered again by days since an order, a curve for each group, up to HORIZONS times the horizon,
    where a dotted line stands if any was watched so long (0: all days). Columns: group, days, not_yet, low, high."""
    last = min(curves.days.max(), HORIZONS * horizon_days or np.inf)
    grid = np.arange(0, last + 1, max(1, np.ceil(last / MOST_STEPS)))
    lines = zip(curves.groupby("group", sort=False), cycle(CURVES), strict=False)
    for (name, curve), (colour, style) in lines:
        days = grid[grid <= curve.days.max()]
        steps = curve.iloc[curve.days.searchsorted(days, side="right") - 1]
        ax.fill_between(days, steps.low, steps.high, step="post", color=colour, alpha=0.18, lw=0)
        ax.step(days, steps.not_yet, where="post", color=colour, ls=style, lw=1.8, label=say.word(name))
    if 0 < horizon_days <= last:
        ax.axvline(horizon_days, color=INK, lw=0.8, ls=":", label=say("words.horizon"))
    ax.set_xlim(0, max(last, 1))
    ax.set_ylim(0, 1.02)  # a curve at the top keeps its width
    _percents(ax)
    _numbers(ax, say, axis="x")
    ax.figure.legend(ncols=2, loc="outside lower center")
    return _label(ax, say, "survival_curves")


# 05 strategy
def matrix(cells: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """The cells of the matrix, shaded by value to come: customers, revenue, and the risk where it is above the average.

    Columns: tier, stage, customers, revenue, clv, risk. Stages go down and tiers across, so that a phone shows it all.
    """
    tiers = [tier for tier in TIER_COLOURS if (cells.tier == tier).any()]
    stages = [stage for stage in lifecycle.classes if (cells.stage == stage).any()]
    value = cells.assign(clv=cells.clv.fillna(0).clip(lower=0)).pivot(index="stage", columns="tier", values="clv")
    grid = value.reindex(index=stages, columns=tiers).to_numpy(float)  # a cell that nobody is in stays white
    top = max(np.nanmax(grid, initial=0.0), np.finfo(float).tiny)
    ax.imshow(np.sqrt(grid / top), cmap="GnBu", vmin=0, vmax=1.7, aspect="auto", interpolation="nearest")
    usual = (cells.risk * cells.customers).sum() / max(cells.customers[cells.risk.notna()].sum(), 1)
    for cell in cells.itertuples():
        place = (tiers.index(cell.tier), stages.index(cell.stage))
        _matrix_cell(ax, place, cell, say, warn=bool(cell.risk > usual))
    ax.set_xticks(range(len(tiers)), [say.word(tier) for tier in tiers])
    ax.set_yticks(range(len(stages)), [say.word(stage) for stage in stages])
    ax.xaxis.tick_top()
    ax.grid(False)
    ax.figure.set_figheight(1 + 0.55 * len(stages))  # type: ignore[union-attr]
    return _label(ax, say, "matrix")


def _matrix_cell(ax: Axes, place: tuple[int, int], cell: Any, say: Say, warn: bool) -> None:
    lines = [
        say.form("int", cell.customers),
        say.form("compact", cell.revenue),
        f"{say('words.risk')} {say.form('whole_percent', cell.risk)}",
    ]
    known = [True, cell.revenue == cell.revenue and cell.stage != "prospect", cell.risk == cell.risk]
    for up, line, shown, weight in zip((9, 0, -9), lines, known, ("bold", "normal", "normal"), strict=True):
        if shown:
            colour = WARN if warn and up == -9 else INK
            ax.annotate(line, place, (0, up), textcoords="offset points", ha="center", va="center", weight=weight, color=colour)


def hit_rates(board: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """How often one of the things proposed was bought, the first on top. Columns: model, hit, low, high."""
    places = np.arange(len(board))[::-1]
    colours = [ACCENT if name == "proposed" else SOFT for name in board.model]
    ax.barh(places, board.hit, 0.7, color=colours)
    ax.hlines(places, board.low, board.high, color=INK, lw=1)
    ax.set_yticks(places, [textwrap.fill(say.word(name), LABEL_WIDTH) for name in board.model])
    _tall(ax, 2 * len(board))
    ax.grid(False, axis="y")
    _percents(ax, "x")
    return _label(ax, say, "hit_rates")


def risk_by_class(shares: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Share of each class (index) in each band of risk (columns); empty where the count is not shown."""
    return _label(_by_class(shares, say, ax), say, "risk_by_class")


def action_gain(gain: pd.Series, say: Say, ax: Axes) -> Axes:
    """Expected value less cost by rule (index)."""
    _bars(ax, gain, say, "money")
    return _label(ax, say, "action_gain")


def loyalty_levels(levels: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Share of customers and of the cost by level, the lowest at the bottom. Columns: level, customers, cost."""
    places, shares = np.arange(len(levels)), levels.cost / max(levels.cost.sum(), np.finfo(float).tiny)
    ax.barh(places + 0.2, levels.customers / levels.customers.sum(), 0.38, color=SOFT, label=say("words.customers"))
    ax.barh(places - 0.2, shares, 0.38, color=ACCENT, label=say("words.cost"))
    for place, share, cost in zip(places, shares, levels.cost, strict=True):
        ax.annotate(say.form("compact", cost), (share, place - 0.2), (3, 0), textcoords="offset points", va="center")
    ax.set_yticks(places, [_own(say.word(name)) for name in levels.level])
    ax.margins(x=0.16)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.grid(False, axis="y")
    ax.figure.legend(ncols=2, loc="outside lower center")
    _tall(ax, 2 * len(levels) + 3)
    _percents(ax, "x")
    return _label(ax, say, "loyalty_levels")


def care_load(load: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """What is due by week, stacked by kind. Columns: week (its Monday), what, tasks."""
    weeks = load.pivot_table(index="week", columns="what", values="tasks", aggfunc="sum", fill_value=0)
    bottom, places = np.zeros(len(weeks)), np.arange(len(weeks))
    kinds = [kind for kind in CARE_COLOURS if kind in weeks]
    for kind in kinds:
        ax.bar(places, weeks[kind], 0.7, bottom=bottom, color=CARE_COLOURS[kind], label=say.word(kind))
        bottom += weeks[kind].to_numpy()
    every = int(np.ceil(len(weeks) / MOST_WEEKS))
    ax.set_xticks(places[::every], [f"{week:%m-%d}" for week in weeks.index[::every]])
    ax.grid(False, axis="x")
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    _numbers(ax, say)
    ax.figure.legend(ncols=2, loc="outside lower center")
    return _label(ax, say, "care_load")


def budget_curve(curve: pd.DataFrame, say: Say, ax: Axes, plans: pd.DataFrame) -> Axes:
    """The most profit by budget (columns budget, profit), with plans marked: columns factor (1: the plan), budget, profit."""
    ax.plot(curve.budget, curve.profit, color=ACCENT, label=say("words.at_most"))
    own = plans.factor == 1
    for some, colour, size, word in ((own, WARN, 7, "the_plan"), (~own, INK, 5, "half_or_double")):
        if some.any():
            ax.plot(plans.budget[some], plans.profit[some], "o", ms=size, color=colour, label=say(f"words.{word}"))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    _numbers(ax, say, "compact", "x")
    _numbers(ax, say, "compact")
    ax.figure.legend(ncols=3, loc="outside lower center")
    return _label(ax, say, "budget_curve")


def campaign_effects(measured: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Extra orders per treated customer by campaign, the largest on top, with 95 % intervals: filled where customers were held
    back by lot, hollow where none were. Columns: campaign_id, proof, orders_effect, orders_low, orders_high."""
    shown = measured[measured.orders_low.notna()].sort_values("orders_effect", ascending=False, kind="stable").head(MOST_BARS)
    places = np.arange(len(shown))[::-1]
    ax.axvline(0, color=INK, lw=0.8)
    ax.hlines(places, shown.orders_low.astype(float), shown.orders_high.astype(float), color=INK, lw=1)
    for proof, inside in (("random", ACCENT), ("observational", "white")):
        some = (shown.proof == proof).to_numpy()
        if some.any():
            style: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 6, "color": ACCENT, "mfc": inside}
            ax.plot(shown.orders_effect[some].astype(float), places[some], label=say.word(proof), **style)
    ax.set_yticks(places, [_own(str(name)) for name in shown.campaign_id])
    ax.set_ylim(-0.6, len(shown) - 0.4)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.grid(False, axis="y")
    if len(shown):
        ax.figure.legend(ncols=2, loc="outside lower center")
    _tall(ax, len(shown) + 3)
    _numbers(ax, say, "short", "x")
    return _label(ax, say, "campaign_effects")


def nps_over_time(periods: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Net promoter score by period, with 95 % intervals. Columns: period_end, score, low, high (points)."""
    known = periods.dropna(subset="score")
    spread = np.abs(np.vstack([known.score - known.low, known.high - known.score]))
    ax.axhline(0, color=INK, lw=0.8)
    ax.errorbar(known.period_end, known.score, spread, color=ACCENT, marker="o", capsize=2, lw=1, ls="none")
    _months(ax)
    _numbers(ax, say)
    return _label(ax, say, "nps_over_time")


def satisfaction_by_tier(table: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Satisfaction by tier, with 95 % intervals, a dot for each kind. Columns: kind, tier, answers, score, low, high (points)."""
    tiers = list(dict.fromkeys(table.tier))
    for (kind, rows), colour, up in zip(table.groupby("kind", sort=False), (ACCENT, WARN), (0.15, -0.15), strict=False):
        places = np.array([len(tiers) - 1 - tiers.index(tier) for tier in rows.tier]) + up
        ax.hlines(places, rows.low, rows.high, color=colour, lw=1)
        ax.plot(rows.score, places, "o", ms=6, color=colour, label=say.word(kind))
        for place, row in zip(places, rows.itertuples(), strict=True):
            if row.answers:
                count = f"({say.form('int', row.answers)})"
                ax.annotate(count, (row.high, place), (4, 0), textcoords="offset points", va="center")
    ax.set_yticks(range(len(tiers)), [say.word(tier) for tier in reversed(tiers)])
    ax.set_ylim(-0.6, len(tiers) - 0.4)
    ax.margins(x=0.12)
    ax.grid(False, axis="y")
    ax.figure.legend(loc="outside lower center")
    _tall(ax, 2 * len(tiers) + 4)
    _numbers(ax, say, axis="x")
    return _label(ax, say, "satisfaction_by_tier")


def owner_retention(card: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Customers who left over those expected, by owner, with 95 % intervals, those with most on top; of many owners both ends.

    Columns: owner, measured, ratio, low, high, shrunk, beyond_chance.
    """
    known = card.dropna(subset=["ratio", "low"]).sort_values("shrunk", ascending=False, kind="stable")
    shown = known if len(known) <= MOST_BARS else pd.concat([known.head(MOST_BARS // 2), known.tail(MOST_BARS // 2)])
    places, right = np.arange(len(shown))[::-1], WHISKERS * max(shown.ratio.max(), 1.0) if len(shown) else 1.0
    ax.axvline(1, color=INK, lw=0.8, ls=":", label=say("words.as_expected"))
    ax.hlines(places, shown.low, shown.high.clip(upper=2 * right), color=INK, lw=1)
    notable = shown.beyond_chance.to_numpy(bool)
    for some, colour, word in ((~notable, ACCENT, "left_ratio"), (notable, WARN, "beyond_chance")):
        if some.any():
            ax.plot(shown.ratio[some], places[some], "o", ms=6, color=colour, label=say(f"words.{word}"))
    ax.plot(shown.shrunk, places, "D", ms=4, color=INK, mfc="white", label=say("words.drawn_to_all"))
    names = [f"{_own(say.word(name))} ({say.form('int', n)})" for name, n in zip(shown.owner, shown.measured, strict=True)]
    ax.set_yticks(places, names)
    ax.set_xlim(0, min(right, 1.05 * max(shown.high.max(), 1.5)) if len(shown) else 2)
    ax.set_ylim(-0.6, max(len(shown), 1) - 0.4)
    ax.grid(False, axis="y")
    ax.figure.legend(ncols=2, loc="outside lower center")
    _tall(ax, len(shown) + 4)
    _numbers(ax, say, "short", "x")
    return _label(ax, say, "owner_retention")


# 06 monitoring
def tier_history(counts: pd.DataFrame, say: Say, ax: Axes, full_from: Any = None) -> Axes:
    """Customers by month end (index) and tier (columns). Month ends before `full_from` are pale."""
    places, bottom = np.arange(len(counts)), np.zeros(len(counts))
    pale = [0.35 if full_from is None or end < full_from else 1.0 for end in counts.index]
    for tier in reversed(counts.columns):
        for place, height, base, alpha in zip(places, counts[tier], bottom, pale, strict=True):
            ax.bar(place, height, bottom=base, color=TIER_COLOURS[tier], alpha=alpha)
        bottom += counts[tier].to_numpy()
    for tier in counts.columns:
        ax.bar(0, 0, color=TIER_COLOURS[tier], label=say.word(tier))
    every = max(1, len(counts) // 6)
    ax.set_xticks(places[::-every], [f"{end:%Y-%m}" for end in counts.index[::-every]])
    _numbers(ax, say)
    ax.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    return _label(ax, say, "tier_history")


def migration(table: pd.DataFrame, say: Say, ax: Axes) -> Axes:
    """Customers by tier before (index) and after (columns)."""
    _heat(ax, table, say)
    return _label(ax, say, "migration")
