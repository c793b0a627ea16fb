"""What a manager reads: findings, cards, tables and pictures in a notebook, and the HTML pages made
of them.
"""

import copy
import html
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from IPython.display import display
from jinja2 import Environment, FileSystemLoader
from matplotlib.axes import Axes
from pandas.api.types import is_numeric_dtype

from analysis.report import charts
from analysis.report.text import N_, say
from analysis.schema import SHOWN

if TYPE_CHECKING:  # it takes a second to import, which every notebook would wait for
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
GLOSSARY = (
    (N_("Order"), N_("A day on which a customer bought; several purchases on one day count once.")),
    (
        N_("Value window"),
        N_("The trailing days that count as value today, 365 unless set otherwise."),
    ),
    (
        N_("Tier"),
        N_(
            "Strategic, important, ordinary or potential (no order yet), by revenue and profit"
            " today, value to come and time as a customer."
        ),
    ),
    (
        N_("Risk"),
        N_(
            "Probability of leaving (usually: no order) within the horizon. Medium begins where a"
            " message pays, high where a call does."
        ),
    ),
    (
        N_("Calibrated"),
        N_("A risk is calibrated if of those with a risk of 30 %, 30 in 100 do leave."),
    ),
    (
        N_("Brier score"),
        N_(
            "Mean squared difference between the risk and what came (1 left, 0 stayed): the"
            " smaller, the better."
        ),
    ),
    (
        N_("Lifetime value"),
        N_(
            "Discounted money expected of a customer over the coming years; revenue where no margin"
            " is known."
        ),
    ),
    (
        N_("Unseen time"),
        N_(
            "The last stretch of the data, kept from the model so that its forecast can be checked."
        ),
    ),
    (
        N_("BG/NBD"),
        N_(
            "A model of repeat buying: each customer orders at an own rate and may leave after any"
            " order."
        ),
    ),
    (
        N_("Gamma-Gamma"),
        N_(
            "A model of the value of an order: each customer's own mean, drawn towards that of all"
            " where orders are few."
        ),
    ),
    (
        N_("AUC"),
        N_(
            "How often, of a leaver and a stayer, the leaver was given the higher risk. 50 % is"
            " chance."
        ),
    ),
    (
        N_("Held back"),
        N_(
            "Customers drawn by lot who are left alone, so that the effect on the others can be"
            " measured."
        ),
    ),
    (
        N_("95 % interval"),
        N_(
            "Where the true mean or share lies, in 19 of 20 cases, if the customers seen stand for"
            " others like them."
        ),
    ),
    (
        N_("Adjusted Rand"),
        N_("How far two divisions into groups agree: 1 is the same, 0 is what chance does."),
    ),
    (
        N_("Silhouette, Calinski-Harabasz, Davies-Bouldin"),
        N_(
            "Measures of groups that are compact and far apart; of the first two much is good, of"
            " the third little."
        ),
    ),
)
MAX_TABLE_ROWS = 50  # of a table on a page; the files hold the rest


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True)


def _fragment(macro: str, *arguments: Any) -> str:
    return str(getattr(_environment().get_template("fragments.html.j2").module, macro)(*arguments))


def _show(fragment: str, text: str) -> None:
    """Display in the notebook; the mark tells the page template that this output is ours."""
    display(
        {"text/html": fragment, "text/plain": text}, raw=True, metadata={"customer_matrix": True}
    )


class Page:
    """What one notebook shows. Keeps its cards, findings and chosen pictures for the index."""

    def __init__(self) -> None:
        self.findings: list[dict[str, str]] = []
        self.cards_shown: dict[str, tuple[str, str]] = {}
        self.pictures: dict[str, dict[str, str]] = {}
        self.terms: list[tuple[str, str]] = []

    def cards(self, days: int | None = None, **figures: tuple[str, str, Any]) -> None:
        """Key figures as cards: name=(label, form, value); the label may say the {days:int}."""
        cards = {
            name: (say(label, days=days), say.form(form, value))
            for name, (label, form, value) in figures.items()
        }
        self.cards_shown |= cards
        items = list(cards.values())
        _show(_fragment("cards", items), "; ".join(f"{label}: {value}" for label, value in items))

    def finding(
        self, text: str, many: str | None = None, /, *, part: str = "", **values: Any
    ) -> None:
        """A sentence that states a result, with its numbers; `many` is its plural.

        Where a number of it is not known, that is said instead. `part` is where the index shows it:
        matrix, decision, or, by default, among what each page found.
        """
        if say.unknown(text, values):
            self.caveat("There is too little data to say more here.")
            return
        said = say(text, many, **values)
        self.findings.append({"part": part, "text": said})
        _show(_fragment("finding", said), said)

    def caveat(self, text: str, many: str | None = None, /, **values: Any) -> None:
        """What to bear in mind."""
        said = say(text, many, **values)
        _show(_fragment("caveat", said), said)

    def explain(self, term: str, meaning: str) -> None:
        """Have the glossary explain a term."""
        self.terms.append((term, meaning))

    def figure(self, ax: Axes, alt: str, part: str = "") -> None:
        """Axes as a picture, with what they show in words; `part` is where the index shows it, if
        it does.
        """
        if not ax.has_data():
            self.caveat("There is too little data for a picture here.")
            return
        picture, alt = charts.svg(ax), say(alt)
        if part:
            self.pictures[part] = {"picture": picture, "alt": alt}
        _show(_fragment("figure", picture, alt), alt)

    def table(
        self, frame: pd.DataFrame, caption: str, columns: Sequence[str], rows: int = MAX_TABLE_ROWS
    ) -> None:
        """The first `rows` of a frame: of `columns` those it has, headed and written as the schema
        says (SHOWN).
        """
        if len(frame) == 0:
            return
        columns = [column for column in columns if column in frame]
        shown = frame[columns].head(rows)
        forms = [SHOWN[column][1] for column in columns]
        numeric = [
            is_numeric_dtype(frame[column]) or form in ("money", "exact")
            for column, form in zip(columns, forms, strict=True)
        ]
        cells = [
            [say.form(form, value) for form, value in zip(forms, row, strict=True)]
            for row in shown.itertuples(index=False)
        ]
        headings = [say(SHOWN[column][0]) for column in columns]
        _show(
            _fragment("table", say(caption), headings, numeric, cells), shown.to_string(index=False)
        )
        if len(shown) < len(frame):
            cut = say("The first {shown:int} of {all:int} rows.", shown=len(shown), all=len(frame))
            _show(_fragment("caveat", cut), cut)

    def save(self, path: Path) -> None:
        """Keep what the index needs, as JSON."""
        kept = {
            "findings": self.findings,
            "cards": self.cards_shown,
            "pictures": self.pictures,
            "terms": self.terms,
        }
        path.write_text(json.dumps(kept, ensure_ascii=False), "utf-8")


def contents(body: str) -> list[dict[str, str]]:
    """The headings of second order of a page, in order, with the anchors they got: href, text
    (plain).
    """
    found = re.findall(r'<h2 id="([^"]*)">(.*?)<a class="anchor-link"', body, re.DOTALL)
    return [
        {"href": html.unescape(anchor), "text": html.unescape(re.sub(r"<[^>]*>", "", text))}
        for anchor, text in found
    ]


def title(notebook: "NotebookNode") -> str:
    """The heading of first order."""
    return str(notebook.cells[0].source).splitlines()[0].lstrip("# ").strip()


def translated(notebook: "NotebookNode") -> "NotebookNode":
    """The notebook with its text cells in the report's language."""
    said = copy.deepcopy(notebook)
    for cell in said.cells:
        if cell.cell_type == "markdown":
            cell.source = say.translated(cell.source)
    return said


def notebook_page(notebook: "NotebookNode", facts: dict[str, Any]) -> str:
    """An executed notebook as a page of its own: text and results, no code."""
    from nbconvert import HTMLExporter

    said = translated(notebook)
    exporter = HTMLExporter(template_name="report", extra_template_basedirs=[str(TEMPLATES)])
    body, _ = exporter.from_notebook_node(said)
    after_title = body.index("</section>") + len("</section>")
    table = _fragment("contents", say("Contents"), contents(body))
    whole = body[:after_title] + table + body[after_title:]
    return page(title(said), whole, facts, home="index.html")


def page(heading: str, body: str, facts: dict[str, Any], home: str = "") -> str:
    """A whole HTML page around a body that is already safe."""
    style = (TEMPLATES / "page.css").read_text("utf-8")
    template = _environment().get_template("page.html.j2")
    return template.render(title=heading, body=body, say=say, facts=facts, style=style, home=home)


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
    pictures = {part: shown for page in kept.values() for part, shown in page["pictures"].items()}
    findings = [finding for page in kept.values() for finding in page["findings"]]
    terms = [term for page in kept.values() for term in page["terms"]]
    body = (
        _environment()
        .get_template("index.html.j2")
        .render(
            say=say,
            facts=facts,
            cards=[cards[name] for name in INDEX_CARDS if name in cards],
            matrix=pictures.get("matrix"),
            said=[finding["text"] for finding in findings if finding["part"] == "matrix"],
            decisions=[finding["text"] for finding in findings if finding["part"] == "decision"],
            pages=[
                {
                    "href": f"{prefix}{stage}.html",
                    "title": titles[stage],
                    "findings": [finding["text"] for finding in page["findings"]][:3],
                }
                for stage, page in kept.items()
            ],
            files=[{"href": prefix + name, "name": name} for name in files],
            glossary=[(say(term), say(meaning)) for term, meaning in [*GLOSSARY, *terms]],
        )
    )
    return page(say("The customers of {company}", company=facts["title"]), body, facts)
