"""What all pictures share: a DataFrame in, matplotlib axes out, in one style and language."""

import functools
import io
import re
import textwrap
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from analysis.report.text import printable, say

INK, ACCENT, SOFT, WARN, GRID = "#1f2d3a", "#0b6e75", "#9cc9cb", "#c8553d", "#dfe5e8"
TIER_COLOURS = {
    "strategic": ACCENT,
    "important": "#57a6a9",
    "ordinary": "#cfe3e3",
    "potential": "#e9c46a",
}
CARE_COLOURS = {
    "action": INK,
    "follow_up": ACCENT,
    "refresh": "#cfe3e3",
    "birthday": "#e9c46a",
    "anniversary": WARN,
}
ROUND = (1, 2, 5, 10)  # of which the steps along an axis are multiples
INCHES = (4.5, 2.9)  # so that text of 10 points has 11 pixels where a phone shows it 360 wide
DARK = "#10181e"  # on shades, which are as light by night
# What stands in the page's own colours, so that a picture is readable by day and by night.
OF_PAGE = {INK: "--ink", ACCENT: "--accent", SOFT: "--pale-accent", WARN: "--warn", GRID: "--line"}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "customer-matrix",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
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
LINE = 46  # letters that fit below a picture
MOST_LETTERS = 24  # of a label beside a bar
HORIZONS = 3  # that curves of waits show; few wait longer, and their intervals fill the picture
MOST_STEPS = 120  # of a curve; finer ones no phone would show
MOST_WEEKS = 8  # that are named below bars
CURVES = [(WARN, "-"), (ACCENT, "--"), (INK, "-."), (SOFT, "-")]  # told apart without colours, too
CHARTS: dict[str, Callable[..., Axes]] = {}  # all there are, by name


def chart(
    title: str = "", x: str = "", y: str = ""
) -> Callable[[Callable[..., None]], Callable[..., Axes]]:
    """Make a function that draws a frame on axes one that takes the frame and returns its own axes.

    Of a frame without rows the axes stay empty. Title and labels are said in the report's language.
    """

    def styled(draw: Callable[..., None]) -> Callable[..., Axes]:
        @functools.wraps(draw)
        def drawn(frame: Any, **options: Any) -> Axes:
            with matplotlib.rc_context(STYLE):
                ax = Figure(figsize=INCHES, layout="constrained").add_subplot()
                if len(frame):
                    draw(ax, frame, **options)
                label, beside = (textwrap.fill(say(one), LINE) for one in (x, y))
                ax.set(title=say(title), ylabel=beside)
                ax.set_xlabel(label, loc="right")  # in the middle it were cut below short bars
            return ax

        CHARTS[draw.__name__] = drawn
        return drawn

    return styled


def svg(ax: Axes) -> str:
    """The axes' figure without its title as an SVG element whose text stays text; equal data gives
    equal bytes.
    """
    picture, title = io.StringIO(), ax.get_title(loc="left")
    ax.set_title("", loc="left")
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the reader's browser has it
        figure: Any = ax.figure
        # savefig would draw it twice
        FigureCanvasSVG(figure).print_svg(picture, metadata={"Date": None, "Creator": None})
        ax.set_title(title, loc="left")
    element = printable(picture.getvalue())
    element = element[element.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    for colour, name in OF_PAGE.items():
        element = element.replace(f": {colour}", f": var({name})")
    head, rest = element.split(">", 1)
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    if figure.get_figwidth() < INCHES[0]:  # made for phones, and no larger elsewhere
        head += f' style="max-width:{7 * figure.get_figwidth():g}rem"'
    return head + ">" + rest


def numbers(ax: Axes, form: str = "int", axis: str = "y") -> None:
    """Round numbers along an axis, so few that they do not touch; money in few letters."""
    along, short = getattr(ax, f"{axis}axis"), "compact" if form == "money" else form
    along.set_major_formatter(FuncFormatter(lambda value, _: say.form(short, value)))
    most = 3 if axis == "x" and form in ("money", "number") else 5
    along.set_major_locator(MaxNLocator(most, steps=ROUND, integer=form == "int"))


def percents(ax: Axes, axis: str = "y") -> None:
    along = getattr(ax, f"{axis}axis")
    along.set_major_formatter(PercentFormatter(1.0, decimals=None, symbol=" %"))
    along.set_major_locator(MaxNLocator(4 if axis == "x" else 6, steps=ROUND))


def months(ax: Axes) -> None:
    """Few enough dates to be read on a phone, written the same in every language."""
    ax.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=5))
    ax.xaxis.set_major_formatter(DateFormatter("%Y-%m"))


def shaded(
    ax: Axes, shades: Any, rows: Iterable[str], columns: Iterable[str], **scale: Any
) -> None:
    """Cells with these shades (cmap, vmin, vmax as of imshow) and names; no grid of lines."""
    ax.imshow(shades, aspect="auto", interpolation="nearest", **scale)
    for axis, names in ((ax.xaxis, [*columns]), (ax.yaxis, [*rows])):
        axis.set_ticks(range(len(names)), names)
    ax.grid(False)


def heat(ax: Axes, table: pd.DataFrame, form: str = "int", words: bool = True) -> None:
    """Cells shaded by their value, which stands in them."""
    values, name = table.to_numpy(float), say.word if words else str
    top = np.fmax.reduce(values, axis=None, initial=0) or 1.0
    shades = np.sqrt(np.clip(values, 0, None) / top)
    shaded(ax, shades, map(name, table.index), map(name, table), cmap="GnBu", vmin=0, vmax=1.25)
    for (row, column), value in np.ndenumerate(values):
        on_shade = "white" if value > 0.7 * top else DARK
        colour = INK if np.isnan(value) else on_shade  # which has no shade
        ax.text(column, row, say.form(form, value), ha="center", va="center", color=colour)


def labelled(ax: Axes, names: Sequence[str]) -> np.ndarray:
    """The places of horizontal bars with these labels, the first on top; lines run across only."""
    places = np.arange(len(names))[::-1]
    ax.set_yticks(places, names)
    ax.grid(False, axis="y")
    return places


def beside(ax: Axes, x: float, y: float, text: str) -> None:
    """A text to the right of a place, for which the layout makes room."""
    ax.annotate(text, (x, y), (3, 0), textcoords="offset points", va="center", clip_on=False)


def bars(ax: Axes, heights: pd.Series, form: str = "int") -> None:
    """Horizontal bars, the first on top, each with its number."""
    places, ends = labelled(ax, [say.word(name) for name in heights.index]), heights.fillna(0)
    ax.barh(places, ends, color=ACCENT)
    for place, height, end in zip(places, heights, ends, strict=True):
        beside(ax, end, place, say.form(form, height))
    ax.margins(x=0.4 if form == "money" else 0.18)
    numbers(ax, form, "x")


def shares_of_two(
    ax: Axes, names: Sequence[str], customers: pd.Series, other: pd.Series, word: str
) -> np.ndarray:
    """A pair of bars for each group: its share of the customers, and of something else (`word`)."""
    places = labelled(ax, names)
    ax.barh(places + 0.2, customers / customers.sum(), 0.38, color=SOFT, label=say("customers"))
    ax.barh(places - 0.2, other, 0.38, color=ACCENT, label=word)
    percents(ax, "x")
    legend_below(ax)
    return places


Kind = tuple[Any, str, str, str | None]  # which rows, colour, filling and name of their dots


def dots(
    ax: Axes, names: Sequence[str], middle: pd.Series, ends: pd.DataFrame, *kinds: Kind
) -> np.ndarray:
    """Dots with their intervals (`ends`: low, high), the first on top."""
    places = labelled(ax, names)
    ax.hlines(places, *ends.to_numpy(float).T, color=INK, lw=1)
    for some, colour, filling, name in kinds:
        if some.any():
            ax.plot(middle[some], places[some], "o", ms=6, color=colour, mfc=filling, label=name)
    ax.set_ylim(-0.6, max(len(names), 1) - 0.4)
    return places


def legend_below(ax: Axes) -> None:
    """The legend under the picture, where it covers nothing, in as few lines as it fits."""
    widest = max(map(letters, ax.get_legend_handles_labels()[1]), default=0)
    ax.figure.legend(ncols=max(1, LINE // (widest + 6)), loc="outside lower center")


def tall(ax: Axes, bars: int) -> None:
    """Room for each bar's label."""
    ax.figure.set_figheight(1.1 + 0.22 * bars)  # type: ignore[union-attr]


def letters(text: str) -> int:
    """How wide a text is, in latin letters."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text)


def own(name: str) -> str:
    """A company's own name, cut at the end where it is too wide for a label."""
    widths = np.cumsum([letters(one) for one in name])
    if not name or widths[-1] <= LABEL_WIDTH:
        return name
    return f"{name[: int((widths < LABEL_WIDTH).sum())].rstrip()}…"
