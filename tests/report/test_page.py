import ast
import contextlib
import datetime as dt
import io
import json
import re
import subprocess
import sys
from urllib.parse import quote, unquote

import pandas as pd
import pytest
from babel.messages.catalog import Catalog
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from analysis import schema
from analysis.report import charts
from analysis.report import page as report
from analysis.report.text import say

HOSTILE = st.text(
    st.sampled_from("<>&\"'/=;{}%#! scriptonerrorb$\\"), min_size=1
) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        "</p><img src=x onerror=alert(1)>",
        "{{ 7*7 }}",
        "{% raw %}",
        "&lt;b&gt;",
        '" onmouseover="x',
        "<!--",
    ]
)
FACTS = {
    "title": "Shop <script>alert(1)</script> & Co",
    "as_of": "2026-11-01",
    "day": "Nov 1, 2026",
    "as_of_date": dt.date(2026, 11, 1),
    "lines": [("Data", "orders <b>.csv"), ("Day", "Nov 1, 2026")],
}
STAGES = [
    "01_data_quality",
    "02_segments",
    "03_lifetime_value",
    "04_churn",
    "05_strategy",
    "06_campaigns",
    "07_customer_care",
    "08_steering",
]


@pytest.fixture(autouse=True, scope="module")
def columns():
    """Two columns of a table and their headings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(schema.SHOWN, "a", ("A <b>", "word"))
        patch.setitem(schema.SHOWN, "b", ("B", "percent"))
        yield


def shown(show):
    """What a call of a page displays, as HTML: outside of a notebook IPython prints it as a
    literal.
    """
    page, printed = report.Page(), io.StringIO()
    with contextlib.redirect_stdout(printed):
        show(page)
    outputs = [ast.literal_eval(line)["text/html"] for line in printed.getvalue().splitlines()]
    start = '<div class="customer-matrix"><style>'
    assert all(html.startswith(start) and html.endswith("</div>") for html in outputs)
    inside = [html.partition("</style>")[2].removesuffix("</div>") for html in outputs]
    return page, BeautifulSoup("".join(inside), "html.parser")


def resources(html):
    """What a browser would fetch or run."""
    soup = BeautifulSoup(html, "html.parser")
    fetched = [
        tag.get(name, "")
        for tag in soup.find_all(True)
        for name in ("src", "href", "xlink:href", "action", "data", "srcset")
    ]
    return [link for link in fetched if re.match(r"\s*(https?:|//|javascript:|data:)", link)]


def assert_safe(html):
    soup = BeautifulSoup(html, "html.parser")
    assert not soup.find_all(["script", "iframe", "object", "embed", "link", "form", "base"])
    assert "<script" not in html.lower()
    assert not [tag for tag in soup.find_all(True) for name in tag.attrs if name.startswith("on")]
    assert resources(html) == []
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", html)
    [policy] = [
        tag for tag in soup.find_all("meta") if tag.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.split(maxsplit=1) for rule in policy["content"].split("; "))
    assert rules["default-src"] == "'none'"
    assert "script-src" not in rules
    assert policy.find_parent("head") is not None


# Text of the data is text on the page
@given(HOSTILE)
def test_all_that_is_shown_is_escaped(text):
    for kind in ("finding", "caveat"):
        _, soup = shown(lambda page, kind=kind: getattr(page, kind)("{text}!", text=text))
        [tag] = soup.find_all(True)
        assert (tag.name, tag["class"], tag.get_text()) == ("p", [kind], f"{text}!")

    page, soup = shown(lambda page: page.cards(days=7, x=("Card {days:int}", "word", text)))
    assert [tag.name for tag in soup.find_all(True)] == ["dl", "div", "dt", "dd"]
    assert (soup.find("dt").get_text(), soup.find("dd").get_text()) == ("Card 7", say.word(text))
    assert page.cards_shown == {"x": ("Card 7", say.word(text))}
    assert page.figures == {}

    body = []
    page = report.Page(body)
    page.heading(text)
    page.links([text])
    soup = BeautifulSoup("".join(body), "html.parser")
    assert [tag.name for tag in soup.find_all(True)] == ["h2", "ul", "li", "a"]
    assert soup.h2.get_text() == soup.a.get_text() == soup.a["href"] == text

    caption = text.translate({ord("{"): "", ord("}"): ""})
    frame = pd.DataFrame({"a": [text]})
    _, soup = shown(lambda page: page.table(frame, caption, ["a", "not there"]))
    assert soup.find("caption").get_text() == caption
    assert [th.get_text() for th in soup.find_all("th")] == ["A <b>"]
    assert [td.get_text() for td in soup.find_all("td")] == [say.word(text)]
    tags = {"div", "table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert {tag.name for tag in soup.find_all(True)} == tags


@pytest.mark.parametrize(
    "alt", ['" onload="alert(1)', "<script>", "</figure><script>alert(1)</script>"]
)
def test_what_tells_a_picture_in_words_is_escaped(alt):
    ax = charts.stage_sizes(pd.Series({alt: 1}))
    _, soup = shown(lambda page: page.figure(ax, alt))
    figure = soup.find("figure").find("div")
    assert figure.attrs == {"role": "img", "aria-label": alt}
    assert alt in [text.get_text() for text in soup.find_all("text")]
    assert not soup.find_all("script")


@given(HOSTILE)
def test_title_and_facts_of_a_page_are_escaped(text):
    facts = FACTS | {"title": text, "day": text, "lines": [(text, text)]}
    html = report.page(text, "<p>body</p>", facts, home="index.html")
    soup = BeautifulSoup(html, "html.parser")
    # The parser folds blanks that stand alone.
    assert soup.find("title").get_text().split() == f"{text} · {text} · 2026-11-01".split()
    assert soup.find("dl", class_="facts").find("dd").get_text().split() == text.split()
    assert soup.find("p", class_="where").find("a").get_text().split() == text.split()
    assert_safe(html)


# What a page shows and keeps
def test_of_a_folded_table_the_caption_shows():
    _, soup = shown(lambda page: page.table(pd.DataFrame({"a": [1]}), "x & y", ["a"], folded=True))
    assert soup.find("details").find("summary").get_text() == "x & y (1)"
    assert soup.find("details").find("td") and not soup.find("caption")
    assert "open" not in soup.find("details").attrs


def test_a_table_shows_its_first_rows_in_the_forms_of_the_schema():
    frame = pd.DataFrame({"b": [0.5] + [1.0] * 99, "a": ["high"] * 100, "hidden": "x"})
    _, soup = shown(lambda page: page.table(frame, "x", ["a", "b"]))
    table, cut = soup.find("tbody").find_all("tr"), soup.find("p")
    rows = [[cell.get_text() for cell in row.find_all("td")] for row in table]
    assert len(rows) == report.MAX_TABLE_ROWS
    assert rows[:2] == [["High", "50.0\N{NO-BREAK SPACE}%"], ["High", "100.0\N{NO-BREAK SPACE}%"]]
    assert [cell.get("class") for cell in table[0].find_all("td")] == [["short"], ["n"]]
    assert cut.get_text() == "The first 50 of 100 rows."
    _, soup = shown(lambda page: page.table(frame.head(3), "x", ["a"], rows=3))
    assert len(soup.find_all("td")) == 3 and soup.find("p") is None


def test_the_ends_of_an_interval_are_written_as_what_they_are_of():
    frame = pd.DataFrame({"revenue_each": [2000.0], "low": [1500.0], "high": [2500.0]})
    frame = pd.concat([frame, frame.assign(low=float("nan"))])
    _, soup = shown(lambda page: page.table(frame, "x", ["revenue_each", "low", "high"]))
    cells = [cell.get_text() for cell in soup.find_all("td")]
    assert cells == ["$2,000 ($1,500 to $2,500)", "$2,000"]
    assert [cell.get_text() for cell in soup.find_all("th")] == ["Revenue each"]


def test_of_nothing_nothing_is_shown_or_it_is_said():
    _, soup = shown(lambda page: page.table(pd.DataFrame({"a": []}), "x", ["a"]))
    assert soup.get_text() == ""
    ax = charts.stage_sizes(pd.Series(dtype=float))
    page, soup = shown(lambda page: page.figure(ax, "alt"))
    assert soup.find("p")["class"] == ["caveat"]
    assert not soup.find_all("svg")
    page, soup = shown(lambda page: page.finding("{x:int}!", x=float("nan")))
    assert page.findings == [] and soup.find("p")["class"] == ["caveat"]
    assert "nan" not in soup.get_text()


def test_a_page_keeps_what_the_index_needs(tmp_path):
    def show(page):
        page.finding("{text}!", text="客户 <b>")
        page.finding("{n:int} row", "{n:int} rows", n=2, part="decision")
        page.cards(x=("Card", "int", 1234), unknown=("Not known", "money", float("nan")))
        page.figure(charts.stage_sizes(pd.Series({"new": 1})), "not for the index")
        page.piece(
            "scorecards", [{"label": "<b>", "of": "now", "now": "1", "spark": "", "changes": []}]
        )
        page.piece("matrix", [])
        page.explain("Term", "meaning")

    page, _ = shown(show)
    page.save(tmp_path / "page.json")
    kept = json.loads((tmp_path / "page.json").read_text("utf-8"))
    parts = kept.pop("parts")
    assert [*parts] == ["scorecards"] and "&lt;b&gt;" in parts["scorecards"]
    assert kept == {
        "findings": [{"part": "", "text": "客户 <b>!"}, {"part": "decision", "text": "2 rows"}],
        "cards": {"x": ["Card", "1,234"]},
        "figures": {"x": {"label": "Card", "form": "int", "value": 1234.0}},
        "terms": [["Term", "meaning"]],
    }


# A notebook's page
def own(fragment):
    return new_output(
        "display_data",
        {"text/html": f"{report._in_notebook()}{fragment}</div>", "text/plain": "plain"},
        metadata={"customer_matrix": True},
    )


@pytest.fixture
def notebook():
    foreign = [
        new_output("display_data", {"application/javascript": "foreign_javascript()"}),
        new_output("display_data", {"text/vnd.mermaid": "graph TD; foreign_mermaid"}),
        new_output(
            "display_data", {"text/html": "<b>foreign_html</b>", "text/plain": "foreign_plain"}
        ),
        new_output("display_data", {"text/markdown": "[foreign_markdown](javascript:alert(1))"}),
        new_output("display_data", {"image/svg+xml": "<svg><script>foreign_svg</script></svg>"}),
        new_output(
            "execute_result",
            {"text/html": "foreign_result", "text/plain": "foreign_result"},
            execution_count=1,
        ),
        new_output("stream", name="stdout", text="foreign_stream"),
        new_output("stream", name="stderr", text="foreign_stderr"),
        new_output("error", ename="E", evalue="foreign_error", traceback=["foreign_traceback"]),
    ]
    cells = [
        new_markdown_cell("# The title\n\nThe question.", id="title"),
        new_code_cell("secret_code = 1", id="parameters", execution_count=1, outputs=foreign[:5]),
        new_markdown_cell("## First part\n\nText & more.", id="first"),
        new_code_cell(
            "more_code()",
            id="result",
            execution_count=2,
            outputs=[own('<p class="finding">Ours</p>'), *foreign[5:]],
        ),
        new_markdown_cell("## Second part\n\n### Below\n\nText.", id="second"),
        new_code_cell("never_shown", id="empty"),
        new_markdown_cell("## never_read", id="try_this", metadata={"tags": ["analyst"]}),
    ]
    return new_notebook(cells=cells)


def test_a_page_holds_our_outputs_and_nothing_else(notebook):
    html = report.notebook_page(notebook, FACTS)
    assert '<p class="finding">Ours</p>\n' in html and "customer-matrix" not in html
    assert "foreign" not in html
    assert "plain" not in BeautifulSoup(html, "html.parser").get_text()


def test_what_is_displayed_in_a_notebook_is_ours_and_comes_onto_the_page(monkeypatch):
    outputs = []

    def displayed(data, raw=False, metadata=None):
        assert raw  # by its types, and not as a dictionary
        outputs.append(new_output("display_data", data, metadata=metadata))

    monkeypatch.setattr("IPython.display.display", displayed)
    report.Page().finding("{n:int} rows", n=1234)
    cells = [new_markdown_cell("# Title"), new_code_cell("x", outputs=outputs)]
    html = report.notebook_page(new_notebook(cells=cells), FACTS)
    assert "1,234 rows" in html and "customer-matrix" not in html


def test_a_page_holds_no_code_and_nothing_for_analysts(notebook):
    html = report.notebook_page(notebook, FACTS)
    absent = ("secret_code", "more_code", "never_shown", "never_read")
    assert not [text for text in absent if text in html]


def test_a_page_is_safe(notebook):
    assert_safe(report.notebook_page(notebook, FACTS))


def test_a_page_has_the_text_a_title_and_working_contents(notebook):
    html = report.notebook_page(notebook, FACTS)
    soup = BeautifulSoup(html, "html.parser")
    assert soup.find("title").get_text().startswith("The title · ")
    assert [p for p in soup.find_all("p") if p.get_text() == "Text & more."]
    links = soup.find("nav").find_all("a")
    assert [link.get_text() for link in links] == ["First part", "Second part"]
    for link in links:
        assert soup.find(id=link["href"].removeprefix("#")).name == "h2"
    assert soup.find("h1").find_next("nav").find_next("h2")["id"] == "First-part"
    assert soup.find("p", class_="where").find("a")["href"] == "index.html"


@pytest.mark.parametrize(
    "heading",
    [
        "Who moved down, and why",
        "Ours & theirs",
        "客户 分层",
        'A "b"',
        pytest.param("Is 5 % much?"),
        pytest.param("Über *alles*"),
        pytest.param("`x` < y"),
    ],
)
def test_contents_lead_to_headings_of_any_letters(notebook, heading):
    notebook.cells[2].source = f"## {heading}\n\nText."
    soup = BeautifulSoup(report.notebook_page(notebook, FACTS), "html.parser")
    link = soup.find("nav").find("a")["href"].removeprefix("#")
    # A browser looks for the fragment as it stands in an address, then for the same decoded.
    address = quote(link, safe="!#$%&'()*+,/:;=?@[\\]^_{|}~")
    assert soup.find(id=address) or soup.find(id=unquote(address))


def test_a_heading_that_comes_twice_gets_two_anchors(notebook):
    notebook.cells[4].source = "## First part\n\n<script>alert(1)</script> [x](javascript:alert(1))"
    html = report.notebook_page(notebook, FACTS)
    assert_safe(html)
    links = [a["href"] for a in BeautifulSoup(html, "html.parser").find("nav").find_all("a")]
    assert len(set(links)) == 2 and all(f'id="{link[1:]}"' in html for link in links)


def test_text_cells_are_translated_and_the_notebook_is_left_as_it_was(notebook, monkeypatch):
    before = json.dumps(notebook)
    german = Catalog("de")
    german.add("# The title\n\nThe question.", "# Der Titel")
    german.add(notebook.cells[2].source, "## Erster Teil")
    monkeypatch.setattr(say, "catalogue", german)
    soup = BeautifulSoup(report.notebook_page(notebook, FACTS), "html.parser")
    assert soup.find("title").get_text().startswith("Der Titel")
    links = [link.get_text() for link in soup.find("nav").find_all("a")]
    assert links == ["Erster Teil", "Second part"]
    assert json.dumps(notebook) == before


# The index
def kept_by_stage():
    kept = {
        stage: {
            "findings": [{"part": "", "text": f"Finding {n} of {stage} <b>"} for n in range(5)],
            "cards": {},
            "parts": {},
            "terms": [],
        }
        for stage in STAGES
    }
    kept["02_segments"]["cards"] = {
        "window_revenue": ["Revenue", "1 & more"],
        "unasked": ["Unasked", "2"],
    }
    kept["01_data_quality"]["cards"] = {"customers": ["Customers", "3"]}
    kept["05_strategy"]["findings"] = [
        {"part": "matrix", "text": "The matrix <i>says</i>."},
        {"part": "headline", "text": "Worse: <script>alert(1)</script>."},
        {"part": "alert", "text": "Alert: north."},
    ]
    kept["05_strategy"]["parts"] = {
        "matrix": "<table class='matrix'><td>cells</td></table>",
        "decisions": "<table class='decisions'><td>Do not call.</td></table>",
    }
    return kept


def index(prefix=""):
    titles = {stage: f"Title of {stage}" for stage in STAGES}
    return report.index_page(kept_by_stage(), titles, ["plan.csv", "plan.xlsx"], FACTS, prefix)


@pytest.mark.parametrize("prefix", ["", "2026-11-01/"])
def test_the_index_leads_to_every_page_and_file(prefix):
    links = [
        link["href"] for link in BeautifulSoup(index(prefix=prefix), "html.parser").find_all("a")
    ]
    assert links == [f"{prefix}{stage}.html" for stage in STAGES] + [
        f"{prefix}plan.csv",
        f"{prefix}plan.xlsx",
    ]


def test_the_index_is_complete_when_forwarded_alone():
    soup = BeautifulSoup(index(), "html.parser")
    cards = [card.get_text() for card in soup.find("dl", class_="cards").find_all("dt")]
    assert cards == ["Customers", "Revenue"]
    main = [*soup.find("main").find_all(recursive=False)]
    shown = " ".join(piece.get_text() for piece in main if piece.name != "details")
    order = ["Worse: <script>alert(1)</script>.", "Alert: north.", "cells", "Do not call."]
    assert [shown.index(text) for text in order] == sorted(shown.index(text) for text in order)
    assert "The matrix <i>says</i>." in soup.get_text()
    assert "The customers of Shop <script>alert(1)</script> & Co" in soup.find("h1").get_text()
    assert [h3.get_text() for h3 in soup.find_all("h3")] == [
        f"Title of {stage}" for stage in STAGES
    ]
    assert "Finding 2 of 02_segments <b>" in soup.get_text()
    terms = soup.find("dl", class_="glossary").find_all("dt")
    assert len(terms) > 10


def test_the_index_is_safe():
    assert_safe(index())


def test_the_index_says_nothing_that_another_language_cannot_translate(monkeypatch):
    def wrapped(text, many=None, values=None):
        return f"⟦{text}⟧" if text else ""

    monkeypatch.setattr(say, "translated", wrapped)
    given = " ".join(
        [json.dumps(kept_by_stage()), str(FACTS), "plan.csv plan.xlsx Title of", *STAGES]
    )
    soup = BeautifulSoup(index(), "html.parser")
    body = re.sub(r"⟦[^⟧]*⟧", "", soup.find("body").get_text(" "))
    assert [word for word in re.findall(r"[A-Za-z]{3,}", body) if word not in given] == []


# In JupyterLab
def test_an_output_brings_its_style_and_the_page_has_it_once(notebook):
    lead = report._in_notebook()
    assert "float:none" in lead and ".cards" in lead and "%s" not in lead
    html = report.notebook_page(notebook, FACTS)
    assert html.count(".finding{margin") == 1


def test_looking_at_charts_leaves_an_analysts_own_plots_alone():
    code = "import matplotlib; matplotlib.use('svg'); import analysis.report.charts;"
    code += "assert matplotlib.get_backend() == 'svg'; import matplotlib.pyplot as plt;"
    code += "assert matplotlib.rcParams['font.size'] == 10 and not plt.get_fignums()"
    subprocess.run([sys.executable, "-c", code], check=True)
