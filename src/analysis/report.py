"""What a manager reads: findings, cards, tables and pictures in a notebook, and the HTML pages made of them."""

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
from pandas.api.types import is_numeric_dtype

from analysis import charts
from analysis.messages import Say

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
MAX_TABLE_ROWS = 50  # of a table on a page; the files hold the rest


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True)


def _fragment(macro: str, *arguments: Any) -> str:
    return str(getattr(_environment().get_template("fragments.html.j2").module, macro)(*arguments))


def _show(fragment: str, text: str) -> None:
    """Display in the notebook; the mark tells the page template that this output is ours."""
    display({"text/html": fragment, "text/plain": text}, raw=True, metadata={"customer_matrix": True})


class Page:
    """What one notebook shows. Keeps its findings, cards and chosen pictures for the index."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.findings: list[dict[str, str]] = []
        self.cards_shown: dict[str, tuple[str, str]] = {}
        self.pictures: dict[str, dict[str, str]] = {}
        self.terms: list[str] = []

    def cards(self, days: int | None = None, **figures: tuple[str, Any]) -> None:
        """Key figures as cards: name=(form, value); the label is the message cards.<name>, which may say the days."""
        cards = {name: (self.say(f"cards.{name}", days=days), self.say.form(*figure)) for name, figure in figures.items()}
        self.cards_shown |= cards
        items = list(cards.values())
        _show(_fragment("cards", items), "; ".join(f"{label}: {value}" for label, value in items))

    def finding(self, key: str, **values: Any) -> None:
        """A sentence that states a result: the message findings.<key> with its numbers.

        Where a number of it is not known, that is said instead.
        """
        if self.say.unknown(f"findings.{key}", values):
            self.caveat("not_known")
            return
        text = self.say(f"findings.{key}", **values)
        self.findings.append({"key": key, "text": text})
        _show(_fragment("finding", text), text)

    def caveat(self, key: str, **values: Any) -> None:
        """What to bear in mind: the message caveats.<key>."""
        text = self.say(f"caveats.{key}", **values)
        _show(_fragment("caveat", text), text)

    def explain(self, *segmentations: str) -> None:
        """Have the glossary explain these segmentations."""
        self.terms += segmentations

    def figure(self, chart: charts.Chart, frame: Any, **options: Any) -> None:
        """A chart; what it shows is also told in words, by the message charts.<name>.alt."""
        name = chart.__name__
        if len(frame) == 0:
            self.caveat("nothing_to_show")
            return
        alt = self.say(f"charts.{name}.alt")
        picture = charts.svg(chart, frame, self.say, **options)
        self.pictures[name] = {"picture": picture, "alt": alt}
        _show(_fragment("figure", picture, alt), alt)

    def table(self, frame: pd.DataFrame, name: str, forms: dict[str, str], rows: int = MAX_TABLE_ROWS) -> None:
        """The first `rows` of a frame, each column in a form of the catalogue; caption tables.<name>, headings columns.*.
        Columns that the frame lacks are left out."""
        if len(frame) == 0:
            return
        forms = {column: form for column, form in forms.items() if column in frame}
        shown = frame.head(rows)
        numeric = [is_numeric_dtype(frame[column]) or forms[column] in ("money", "exact") for column in forms]
        cells = [
            [self.say.form(forms[c], value) for c, value in zip(forms, row, strict=True)]
            for row in shown[list(forms)].itertuples(index=False)
        ]
        headings = [self.say(f"columns.{column}") for column in forms]
        fragment = _fragment("table", self.say(f"tables.{name}"), headings, numeric, cells)
        _show(fragment, shown[list(forms)].to_string(index=False))
        if len(shown) < len(frame):
            cut = self.say("page.first_rows", shown=len(shown), all=len(frame))
            _show(_fragment("caveat", cut), cut)

    def save(self, path: Path) -> None:
        """Keep what the index needs, as JSON."""
        kept = {"findings": self.findings, "cards": self.cards_shown, "pictures": self.pictures, "terms": self.terms}
        path.write_text(json.dumps(kept, ensure_ascii=False), "utf-8")


def contents(body: str) -> list[dict[str, str]]:
    """The headings of second order of a page, in order, with the anchors they got: href, text (plain)."""
    found = re.findall(r'<h2 id="([^"]*)">(.*?)<a class="anchor-link"', body, re.DOTALL)
    return [{"href": html.unescape(anchor), "text": html.unescape(re.sub(r"<[^>]*>", "", text))} for anchor, text in found]


def title(notebook: "NotebookNode") -> str:
    """The heading of first order."""
    return str(notebook.cells[0].source).splitlines()[0].lstrip("# ").strip()


def translate(notebook: "NotebookNode", say: Say, stage: str) -> "NotebookNode":
    """The notebook with its text cells in the catalogue's language, by cell id; English is the notebook itself."""
    texts = say.catalogue.get("notebooks", {}).get(stage, {})
    said = copy.deepcopy(notebook)
    for cell in said.cells:
        if cell.cell_type == "markdown":
            cell.source = texts.get(cell.id, cell.source)
    return said


def notebook_page(notebook: "NotebookNode", stage: str, say: Say, facts: dict[str, Any]) -> str:
    """An executed notebook as a page of its own: text and results, no code."""
    from nbconvert import HTMLExporter

    said = translate(notebook, say, stage)
    exporter = HTMLExporter(template_name="report", extra_template_basedirs=[str(TEMPLATES)])
    body, _ = exporter.from_notebook_node(said)
    after_title = body.index("</section>") + len("</section>")
    table = _fragment("contents", say("page.contents"), contents(body))
    return page(title(said), body[:after_title] + table + body[after_title:], say, facts, home="index.html")


def page(heading: str, body: str, say: Say, facts: dict[str, Any], home: str = "") -> str:
    """A whole HTML page around a body that is already safe."""
    style = (TEMPLATES / "page.css").read_text("utf-8")
    return (
        _environment().get_template("page.html.j2").render(title=heading, body=body, say=say, facts=facts, style=style, home=home)
    )


def index_page(
    kept: dict[str, dict[str, Any]],
    titles: dict[str, str],
    files: Sequence[str],
    say: Say,
    facts: dict[str, Any],
    prefix: str = "",
) -> str:
    """The page a manager opens first: cards, the matrix, the decisions, and what each page found.

    `kept` is what each page saved, by stage; `prefix` leads from this page's folder to the others.
    """
    strategy = kept["05_strategy"]
    texts = {stage: [f["text"] for f in page["findings"]] for stage, page in kept.items()}
    cards = {name: card for page in kept.values() for name, card in page["cards"].items()}
    explained = [say.catalogue["segmentations"][name] for page in kept.values() for name in page["terms"]]
    decisions = [f["text"] for f in strategy["findings"] if f["key"].startswith("decision")]
    body = (
        _environment()
        .get_template("index.html.j2")
        .render(
            say=say,
            facts=facts,
            cards=[cards[name] for name in INDEX_CARDS if name in cards],
            matrix=strategy["pictures"]["matrix"]
            | {"findings": [f["text"] for f in strategy["findings"] if f["key"] == "matrix"]},
            decisions=decisions,
            pages=[{"href": f"{prefix}{stage}.html", "title": titles[stage], "findings": texts[stage][:3]} for stage in kept],
            files=[{"href": prefix + name, "name": name} for name in files],
            glossary=[(g["term"], g["meaning"]) for g in [*say.catalogue["glossary"].values(), *explained]],
        )
    )
    return page(say("index.title", company=facts["title"]), body, say, facts)
