"""What a manager reads: what notebooks show, and the HTML pages made of them."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mistune
import pandas as pd
from jinja2 import Environment, FileSystemLoader
from pandas.api.types import is_number, is_numeric_dtype

from analysis.report.text import say
from analysis.schema import SHOWN

if TYPE_CHECKING:  # whoever needs them has them, and others would wait
    from matplotlib.axes import Axes
    from nbformat import NotebookNode

TEMPLATES = Path(__file__).with_name("templates")
# The key figures of the index, in this order: what a manager asks first.
INDEX_CARDS = (
    "customers",
    "window_revenue",
    "expected_spend",
    "clv",
    "expected_leavers",
    "warned",
    "strategic",
    "plan_cost",
    "plan_value",
)
BESIDE = "beside"  # the form of the ends of an interval: that of the column before them
UNKNOWN = "–"  # as say.form writes it
MOST_OPEN = 10
MAX_TABLE_ROWS = 50  # of a table on a page; the files hold the rest


@cache
def _environment() -> Environment:
    found = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True)
    found.globals["say"] = say
    return found


def _fragment(macro: str, *arguments: Any) -> str:
    return str(getattr(_environment().get_template("fragments.html.j2").module, macro)(*arguments))


def _style(*names: str) -> str:
    return "".join((TEMPLATES / name).read_text("utf-8") for name in names)


@cache
def _in_notebook() -> str:
    """What leads an output, so that it looks in JupyterLab as it does on the page."""
    style = _style("notebook.css") % _style("fragments.css")
    return f'<div class="customer-matrix"><style>{style}</style>'


def _show(fragment: str, text: str) -> None:
    """Display in the notebook; the mark tells the page that this output is ours."""
    from IPython.display import display

    shown = {"text/html": f"{_in_notebook()}{fragment}</div>", "text/plain": text}
    display(shown, raw=True, metadata={"customer_matrix": True})


class Page:
    """What one notebook shows. Keeps its cards, findings and chosen pictures for the index, and the
    figures of its cards for who compares runs. What is shown is displayed, or added to `body`.
    """

    def __init__(self, body: list[str] | None = None) -> None:
        self.body = body
        self.findings: list[dict[str, str]] = []
        self.cards_shown: dict[str, tuple[str, str]] = {}
        self.figures: dict[str, dict[str, Any]] = {}
        self.parts: dict[str, str] = {}
        self.terms: list[tuple[str, str]] = []
        self.said_last = ""

    def cards(self, days: int | None = None, **figures: tuple[str, str, Any]) -> None:
        """Key figures as cards: name=(label, form, value); the label may say the {days:int}. What
        is not known has none.
        """
        cards = {
            name: (say(label, days=days), say.form(form, value))
            for name, (label, form, value) in figures.items()
            if pd.notna(value)
        }
        if not cards:
            return
        self.cards_shown |= cards
        for name, (label, _) in cards.items():
            _, form, value = figures[name]
            if is_number(value):
                self.figures[name] = {"label": label, "form": form, "value": float(value)}
        text = "; ".join(f"{label}: {value}" for label, value in cards.values())
        self._show(_fragment("cards", list(cards.values())), text)

    def finding(
        self, text: str, many: str | None = None, /, *, part: str = "", **values: Any
    ) -> None:
        """A sentence that states a result, with its numbers; `many` is its plural.

        Where a number of it is not known, that is said instead. `part` is where the index shows it:
        headline, alert, care, standing, course, matrix, or, by default, among what each
        page found.
        """
        if say.unknown(text, values):
            self.caveat("There is too little data to say more here.")
            return
        self.said_last = said = say(text, many, **values)
        self.findings.append({"part": part, "text": said})
        self._show(_fragment("finding", said), said)

    def caveat(self, text: str, many: str | None = None, /, **values: Any) -> None:
        """What to bear in mind."""
        said = say(text, many, **values)
        if said != self.said_last:  # once in a row
            self._show(_fragment("caveat", said), said)
        self.said_last = said

    def explain(self, term: str, meaning: str) -> None:
        """Have the glossary explain a term."""
        self.terms.append((term, meaning))

    def figure(self, ax: "Axes", alt: str) -> None:
        """Axes as a picture, with what they show in words."""
        if not ax.has_data():
            self.caveat("There is too little data to say more here.")
            return
        from analysis.report.charts import svg

        said = say(alt)
        self._show(_fragment("figure", ax.get_title(loc="left"), svg(ax), said), said)

    def table(
        self,
        frame: pd.DataFrame,
        caption: str,
        columns: Sequence[str],
        rows: int = MAX_TABLE_ROWS,
        shown_as: Mapping[str, Any] | None = None,
        folded: bool | None = None,
    ) -> None:
        """The first `rows` of a frame: of `columns` those it has, headed and written as the schema
        says (SHOWN) or `shown_as`, entries of a registry that begin with heading and form. The ends
        of an interval (form BESIDE) stand with the figure before them. Of one that is
        `folded`, as by default of more than MOST_OPEN rows, only the caption shows until asked for.
        """
        if len(frame) == 0:
            return
        shown = frame[[column for column in columns if column in frame]].head(rows)
        as_said = {**SHOWN, **(shown_as or {})}
        headings: list[str] = []
        numeric: list[bool] = []
        cells: list[list[str]] = [[] for _ in range(len(shown))]
        form, ends = "", []
        for column in shown:
            own = as_said[column][1]
            if own == BESIDE:
                ends.append(map(partial(say.form, form), shown[column]))
                if len(ends) == 2:
                    for row, low, high in zip(cells, *ends, strict=True):
                        row[-1] = _between(row[-1], low, high)
                    ends = []
                continue
            form = own
            headings.append(say(as_said[column][0]))
            numeric.append(is_numeric_dtype(shown[column]) or form in ("money", "exact", "figure"))
            for row, value in zip(cells, shown[column], strict=True):
                row.append(say.form(form, value))
        text = shown.to_string(index=False, na_rep="–")
        folds = len(cells) > MOST_OPEN if folded is None else folded
        self._show(_fragment("table", say(caption), headings, numeric, cells, folds), text)
        if len(shown) < len(frame):
            self.caveat(
                "The first {shown:int} of {all:int} rows.", shown=len(shown), all=len(frame)
            )

    def piece(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """A piece of the first page, which shows it too: scorecards, matrix or decisions (macros of
        fragments.html.j2, which say what `rows` must have); nothing where there are none.
        """
        if rows:
            self.parts[name] = _fragment(name, rows)
            self._show(self.parts[name], pd.DataFrame(rows).to_string())

    def heading(self, text: str, level: int = 2) -> None:
        """The heading of a section, already in the report's language."""
        self._show(_fragment("heading", text, level), text)

    def facts(self, facts: Mapping[str, str]) -> None:
        """What is known, each below its label; what is not known has none."""
        if known := {label: value for label, value in facts.items() if value}:
            text = "\n".join(f"{label}: {value}" for label, value in known.items())
            self._show(_fragment("facts", known), text)

    def beside(self, *columns: "Page") -> None:
        """What other pages hold, side by side where there is room."""
        bodies = ["\n".join(column.body or []) for column in columns]
        self._show(_fragment("beside", bodies), "\n\n".join(bodies))

    def links(self, names: Sequence[str]) -> None:
        """Files beside the page."""
        self._show(_fragment("links", names), "\n".join(names))

    def _show(self, fragment: str, text: str) -> None:
        if self.body is None:
            _show(fragment, text)
        else:
            self.body.append(fragment)

    def save(self, path: Path) -> None:
        """Keep what the index needs, as JSON."""
        kept = {
            "findings": self.findings,
            "cards": self.cards_shown,
            "figures": self.figures,
            "parts": self.parts,
            "terms": self.terms,
        }
        path.write_text(json.dumps(kept, ensure_ascii=False), "utf-8")


def _between(value: str, low: str, high: str) -> str:
    """A figure with its interval, where that is known."""
    if UNKNOWN in (value, low, high):
        return value
    return say("{value:text} ({low:text} to {high:text})", value=value, low=low, high=high)


class _Markdown(mistune.HTMLRenderer):
    """Text cells as HTML; keeps the headings of second order with the anchors they get."""

    def __init__(self) -> None:
        super().__init__(escape=True)
        self.anchors: list[str] = []
        self.sections: list[dict[str, str]] = []

    def heading(self, text: str, level: int, **attributes: Any) -> str:
        plain = html.unescape(re.sub(r"<[^>]*>", "", text))
        anchor = re.sub(r"\W+", "-", plain).strip("-")
        anchor += f"-{len(self.anchors)}" if anchor in self.anchors or not anchor else ""
        self.anchors.append(anchor)
        if level == 2:
            self.sections.append({"href": anchor, "text": plain})
        return f'<h{level} id="{anchor}">{text}</h{level}>\n'


def title(notebook: "NotebookNode") -> str:
    """The heading of first order, in the report's language."""
    return say.translated(notebook.cells[0].source).splitlines()[0].lstrip("# ").strip()


def is_for_analysts(cell: "NotebookNode") -> bool:
    """Whether a cell is left out of the page, as what to try in JupyterLab."""
    return "analyst" in cell.metadata.get("tags", ())


def notebook_page(notebook: "NotebookNode", facts: dict[str, Any]) -> str:
    """An executed notebook as a page of its own: text and results, no code."""
    renderer = _Markdown()
    markdown = mistune.create_markdown(renderer=renderer, plugins=["table"])
    parts, folded = [], 0  # the level of the heading that a fold is open of
    for cell in (cell for cell in notebook.cells if not is_for_analysts(cell)):
        if cell.cell_type != "markdown":
            parts.append(_own_outputs(cell))
            continue
        text = str(markdown(say.translated(cell.source)))
        level = int(text[2]) if re.match("<h[1-6]", text) else 9
        if level <= folded:
            parts.append("</div></details>")
            folded = 0
        if "fold" in cell.metadata.get("tags", ()) and not folded:
            heading, ends, rest = text.partition(f"</h{level}>")
            parts.append(f'<details class="folded"><summary>{heading}{ends}</summary><div>{rest}')
            folded = level
        else:
            parts.append(f'<section class="text">{text}</section>')
    parts.append("</div></details>" if folded else "")
    parts.insert(1, _fragment("contents", say("Contents"), renderer.sections))
    return page(title(notebook), "\n".join(parts), facts, home="index.html")


def _own_outputs(cell: "NotebookNode") -> str:
    """What our own functions displayed; all other output stays out of the page."""
    shown = (
        output.data["text/html"]
        for output in cell.get("outputs", ())
        if output.get("metadata", {}).get("customer_matrix")
    )
    return "\n".join(text.removeprefix(_in_notebook()).removesuffix("</div>") for text in shown)


def page(heading: str, body: str, facts: dict[str, Any], home: str = "", prefix: str = "") -> str:
    """A whole HTML page around a body that is already safe. Its header leads to the other pages of
    the run (`pages` of facts: file name and title), `prefix` to their folder.
    """
    style, template = _style("fragments.css", "page.css"), _environment().get_template
    return template("page.html.j2").render(
        title=heading, body=body, facts=facts, style=style, home=home, prefix=prefix
    )


def index_page(
    kept: dict[str, dict[str, Any]],
    titles: dict[str, str],
    files: Sequence[str],
    facts: dict[str, Any],
    prefix: str = "",
) -> str:
    """The page a manager opens first: cards, the matrix, the decisions, and what each page found.

    `kept` is what each page saved, by stage; `prefix` leads from this page's folder to the others.
    """
    cards = {name: card for page in kept.values() for name, card in page["cards"].items()}
    parts = {name: shown for page in kept.values() for name, shown in page["parts"].items()}
    findings = [finding for page in kept.values() for finding in page["findings"]]
    body = (
        _environment()
        .get_template("index.html.j2")
        .render(
            facts=facts,
            cards=[cards[name] for name in INDEX_CARDS if name in cards],
            parts=parts,
            findings=findings,
            kept=kept,
            titles=titles,
            files=files,
            prefix=prefix,
            terms=[term for page in kept.values() for term in page["terms"]],
        )
    )
    heading = say("The customers of {company}", company=facts["title"])
    return page(heading, body, facts, prefix=prefix)
