import ast
import contextlib
import datetime as dt
import io
import json
import re
from urllib.parse import quote, unquote

import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from analysis.report import charts
from analysis.report import page as report
from analysis.report.text import FOLDER, Language

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


def say_about(**texts):
    """English with some messages replaced by those given, as findings__x."""
    say = Language("en")
    say.catalogue = {group: dict(inside) for group, inside in say.catalogue.items()}
    for key, text in texts.items():
        group, name = key.split("__")
        say.catalogue[group][name] = text
    return say


SAY = say_about(
    findings__x="{text}!",
    caveats__x="{text}!",
    cards__x="Card",
    columns__a="A",
    columns__b="B",
    tables__x="Table",
)


def shown(show, say=SAY):
    """What a call of a page displays, as HTML: outside of a notebook IPython prints it as a
    literal.
    """
    page, printed = report.Page(say), io.StringIO()
    with contextlib.redirect_stdout(printed):
        show(page)
    html = "".join(ast.literal_eval(line)["text/html"] for line in printed.getvalue().splitlines())
    return page, BeautifulSoup(html, "html.parser")


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
@settings(max_examples=50)
@given(HOSTILE)
def test_findings_and_caveats_are_escaped(text):
    for kind in ("finding", "caveat"):
        _, soup = shown(lambda page, kind=kind: getattr(page, kind)("x", text=text))
        [tag] = soup.find_all(True)
        assert tag.name == "p"
        assert tag.get_text() == f"{text}!"


@settings(max_examples=50)
@given(HOSTILE)
def test_cards_are_escaped(text):
    page, soup = shown(lambda page: page.cards(x=("word", text)))
    assert soup.find("dd").get_text() == SAY.word(text)
    assert {tag.name for tag in soup.find_all(True)} == {"dl", "div", "dt", "dd"}
    assert page.cards_shown == {"x": ("Card", SAY.word(text))}


@settings(max_examples=50)
@given(HOSTILE, HOSTILE, HOSTILE)
def test_tables_are_escaped_in_caption_headings_and_cells(caption, heading, text):
    say = say_about(
        tables__x=caption.translate({ord("{"): "", ord("}"): ""}),
        columns__a=heading.translate({ord("{"): "", ord("}"): ""}),
    )
    _, soup = shown(lambda page: page.table(pd.DataFrame({"a": [text]}), "x", {"a": "word"}), say)
    assert soup.find("caption").get_text() == say("tables.x")
    assert soup.find("th").get_text() == say("columns.a")
    assert soup.find("td").get_text() == say.word(text)
    assert {tag.name for tag in soup.find_all(True)} == {
        "div",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }


@pytest.mark.parametrize(
    "alt", ['" onload="alert(1)', "<script>", "</figure><script>alert(1)</script>"]
)
def test_what_tells_a_picture_in_words_is_escaped(alt):
    say = say_about(charts__stage_sizes={"title": alt, "alt": alt})
    _, soup = shown(lambda page: page.figure(charts.stage_sizes, pd.Series({alt: 1})), say)
    figure = soup.find("figure")
    assert figure["aria-label"] == alt
    assert set(figure.attrs) == {"role", "aria-label"}
    assert alt in [text.get_text() for text in soup.find_all("text")]
    assert not soup.find_all("script")


@settings(max_examples=50)
@given(HOSTILE)
def test_title_and_facts_of_a_page_are_escaped(text):
    facts = FACTS | {"title": text, "day": text, "lines": [(text, text)]}
    html = report.page(text, "<p>body</p>", SAY, facts, home="index.html")
    soup = BeautifulSoup(html, "html.parser")
    # The parser folds blanks that stand alone.
    assert soup.find("title").get_text().split() == f"{text} · {text} · 2026-11-01".split()
    assert soup.find("dl", class_="facts").find("dd").get_text().split() == text.split()
    assert soup.find("p", class_="where").find("a").get_text().split() == text.split()
    assert_safe(html)


# What a page shows and keeps
def test_a_table_shows_its_first_rows_in_the_forms_given():
    frame = pd.DataFrame({"b": [0.5] + [1.0] * 99, "a": ["new"] * 100, "hidden": "x"})
    _, soup = shown(lambda page: page.table(frame, "x", {"a": "word", "b": "percent"}))
    rows = [
        [cell.get_text() for cell in row.find_all("td")]
        for row in soup.find("tbody").find_all("tr")
    ]
    assert len(rows) == report.MAX_TABLE_ROWS
    assert rows[:2] == [["New", "50.0\N{NO-BREAK SPACE}%"], ["New", "100.0\N{NO-BREAK SPACE}%"]]
    assert [cell.get("class") for cell in soup.find("tbody").find("tr").find_all("td")] == [
        ["short"],
        ["n"],
    ]


def test_a_table_without_rows_is_not_shown():
    _, soup = shown(lambda page: page.table(pd.DataFrame({"a": []}), "x", {"a": "word"}))
    assert soup.get_text() == ""


def test_a_sentence_whose_number_is_not_known_is_a_caveat_and_no_finding():
    page, soup = shown(lambda page: page.finding("x", text=float("nan")))
    assert page.findings == []
    assert soup.find("p")["class"] == ["caveat"]
    assert "nan" not in soup.get_text()


def test_a_picture_of_nothing_is_a_caveat():
    page, soup = shown(lambda page: page.figure(charts.stage_sizes, pd.Series(dtype=float)))
    assert page.pictures == {}
    assert soup.find("p")["class"] == ["caveat"]
    assert not soup.find_all("svg")


def test_a_page_keeps_what_the_index_needs(tmp_path):
    def show(page):
        page.finding("x", text="客户 <b>")
        page.cards(x=("int", 1234))
        page.figure(charts.stage_sizes, pd.Series({"new": 1}))

    page, _ = shown(show)
    page.save(tmp_path / "page.json")
    kept = json.loads((tmp_path / "page.json").read_text("utf-8"))
    assert kept["findings"] == [{"key": "x", "text": "客户 <b>!"}]
    assert kept["cards"] == {"x": ["Card", "1,234"]}
    assert kept["pictures"]["stage_sizes"]["picture"].startswith("<svg")


# A notebook's page
def own(html):
    return new_output(
        "display_data",
        {"text/html": html, "text/plain": "plain"},
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
    ]
    return new_notebook(cells=cells)


def test_a_page_holds_our_outputs_and_nothing_else(notebook):
    html = report.notebook_page(notebook, "01_data_quality", SAY, FACTS)
    assert '<p class="finding">Ours</p>' in html
    assert "foreign" not in html
    assert "plain" not in BeautifulSoup(html, "html.parser").get_text()


def test_a_page_holds_no_code(notebook):
    html = report.notebook_page(notebook, "01_data_quality", SAY, FACTS)
    assert not [code for code in ("secret_code", "more_code", "never_shown") if code in html]


def test_a_page_is_safe(notebook):
    assert_safe(report.notebook_page(notebook, "01_data_quality", SAY, FACTS))


def test_a_page_has_the_text_a_title_and_working_contents(notebook):
    html = report.notebook_page(notebook, "01_data_quality", SAY, FACTS)
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
    soup = BeautifulSoup(
        report.notebook_page(notebook, "01_data_quality", SAY, FACTS), "html.parser"
    )
    link = soup.find("nav").find("a")["href"].removeprefix("#")
    # A browser looks for the fragment as it stands in an address, then for the same decoded.
    address = quote(link, safe="!#$%&'()*+,/:;=?@[\\]^_{|}~")
    assert soup.find(id=address) or soup.find(id=unquote(address))


def test_the_notebook_is_left_as_it_was(notebook):
    before = json.dumps(notebook)
    say = say_about()
    say.catalogue["notebooks"] = {"01_data_quality": {"title": "# Der Titel"}}
    report.notebook_page(notebook, "01_data_quality", say, FACTS)
    assert json.dumps(notebook) == before


def test_text_cells_are_translated_by_their_id(notebook):
    say = say_about()
    say.catalogue["notebooks"] = {
        "01_data_quality": {"title": "# Der Titel", "first": "## Erster Teil"},
        "other": {"second": "## Nie"},
    }
    soup = BeautifulSoup(
        report.notebook_page(notebook, "01_data_quality", say, FACTS), "html.parser"
    )
    assert soup.find("title").get_text().startswith("Der Titel")
    assert [link.get_text() for link in soup.find("nav").find_all("a")] == [
        "Erster Teil",
        "Second part",
    ]


# The index
def kept_by_stage():
    kept = {
        stage: {
            "findings": [{"key": f"k{n}", "text": f"Finding {n} of {stage} <b>"} for n in range(5)],
            "cards": {},
            "pictures": {},
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
        {"key": "matrix", "text": "The matrix <i>says</i>."},
        {"key": "decision_pays", "text": "Write <script>alert(1)</script>."},
        {"key": "decision_does_not_pay", "text": "Do not call."},
    ]
    kept["05_strategy"]["pictures"]["matrix"] = {
        "picture": "<svg><text>cells</text></svg>",
        "alt": 'Cells "of" all',
    }
    return kept


def index(say=SAY, prefix=""):
    titles = {stage: f"Title of {stage}" for stage in STAGES}
    return report.index_page(kept_by_stage(), titles, ["plan.csv", "plan.xlsx"], say, FACTS, prefix)


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
    assert soup.find("figure").find("svg").get_text() == "cells"
    assert soup.find("figure")["aria-label"] == 'Cells "of" all'
    assert soup.find("p", class_="finding").get_text() == "The matrix <i>says</i>."
    decisions = [item.get_text() for item in soup.find("ol", class_="decisions").find_all("li")]
    assert decisions == ["Write <script>alert(1)</script>.", "Do not call."]
    assert "The customers of Shop <script>alert(1)</script> & Co" in soup.find("h1").get_text()
    assert [h3.get_text() for h3 in soup.find_all("h3")] == [
        f"Title of {stage}" for stage in STAGES
    ]
    assert "Finding 2 of 02_segments <b>" in soup.get_text()
    assert len(soup.find("dl", class_="glossary").find_all("dt")) == len(
        Language("en").catalogue["glossary"]
    )


def test_the_index_is_safe():
    assert_safe(index())


def test_the_index_says_nothing_that_another_language_cannot_translate(tmp_path):
    def wrapped(node):
        return (
            {key: wrapped(inside) for key, inside in node.items()}
            if isinstance(node, dict)
            else f"⟦{node}⟧"
        )

    english = yaml.safe_load((FOLDER / "en.yml").read_text("utf-8"))
    (tmp_path / "eo.yml").write_text(yaml.safe_dump(wrapped(english), allow_unicode=True), "utf-8")
    soup = BeautifulSoup(index(Language("eo", folder=tmp_path)), "html.parser")
    assert soup.find("html")["lang"] == "eo"
    given = " ".join(
        [
            json.dumps(kept_by_stage()),
            *FACTS["day"],
            str(FACTS),
            "plan.csv plan.xlsx Title of",
            *STAGES,
        ]
    )
    body = re.sub(r"⟦[^⟧]*⟧", "", soup.find("body").get_text(" "))
    assert [word for word in re.findall(r"[A-Za-z]{3,}", body) if word not in given] == []
