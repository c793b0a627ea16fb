"""The pages as a browser shows them: what a reader on a phone, at a desk, by night, without a mouse
or on paper gets. Needs Chromium on the machine; nothing is downloaded.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from analysis.report import charts
from analysis.report import page as report
from analysis.report.charts import base
from tests.run.shop import AS_OF

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")
LEAST_LETTERS = 11  # pixels high, of a picture on a phone
A4 = {"width": 703, "height": 1032}  # pixels of a page of paper within its margins
MOST_BYTES = 300_000
OPEN = "document.querySelectorAll('details').forEach(fold => { fold.open = true })"
# Pictures are said in words, and of many rows three are like the others.
WITHOUT = """document.querySelectorAll('figure svg, table:not(.matrix) tbody tr:nth-child(n+4)')
  .forEach(one => one.remove())"""
CUT = """() => {
  const found = [], wide = document.documentElement.clientWidth
  if (document.documentElement.scrollWidth > wide) found.push('the page is wider than the window')
  for (const one of document.querySelectorAll('main *, header *, footer *')) {
    if (one.closest('svg, thead') || !one.checkVisibility()) continue
    const box = one.getBoundingClientRect(), table = one.closest('.scroll[tabindex]')
    const right = table ? table.getBoundingClientRect().left + table.scrollWidth : wide
    const text = [...one.childNodes].some(n => n.nodeType == 3 && n.data.trim())
    const inside = one.clientWidth == 0 || one.scrollWidth <= one.clientWidth + 1
    if (text && (!inside || box.left < -1 || box.right > right + 1))
      found.push(`${one.tagName} ${one.textContent.trim().slice(0, 40)}`)
  }
  return found
}"""
IN_PICTURES = """() => {
  const found = []
  for (const picture of document.querySelectorAll('figure svg')) {
    const of = picture.closest('figure').querySelector('figcaption').textContent
    const frame = picture.getBoundingClientRect(), scale = picture.getScreenCTM().a
    const texts = [...picture.querySelectorAll('text')].filter(t => t.textContent.trim())
    const boxes = texts.map(text => [text.textContent, text.getBoundingClientRect(), text])
    for (const [text, box, element] of boxes) {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 ||
          box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        found.push(`${of}: cut: ${text}`)
      const high = parseFloat(getComputedStyle(element).fontSize) * scale
      if (high < LEAST) found.push(`${of}: ${high} pixels high: ${text}`)
    }
    boxes.forEach(([text, a], n) => boxes.slice(n + 1).forEach(([other, b]) => {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left)
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)
      if (across > 2 && down > 0.3 * Math.min(a.height, b.height))
        found.push(`${of}: ${text} over ${other}`)
    }))
  }
  return found
}""".replace("LEAST", str(LEAST_LETTERS))
UNREACHED = """() => [...document.querySelectorAll('a[href], summary')]
  .filter(one => !one.dataset.reached || (one.matches('summary') && !one.parentNode.open))
  .map(one => one.textContent.trim())"""
REACHED = """() => {
  const one = document.activeElement, mark = getComputedStyle(one).outlineStyle
  if (one === document.body || one.dataset.reached) return 'done'
  one.dataset.reached = 'yes'
  return mark === 'none' ? 'unmarked' : one.matches('summary') ? 'fold' : 'other'
}"""
LOST = """() => [...document.querySelectorAll('a[href^="#"]')]
  .filter(one => !document.getElementById(decodeURIComponent(one.hash.slice(1))))
  .map(one => one.hash)"""
HOSTILE = (
    "<script>window.ran = 1</script><img src='https://example.org/x' onerror='window.ran = 1'>"
)
LONG, CHINESE = "Donaudampfschifffahrt" * 4, "华东大客户与渠道合作伙伴" * 4


def hostile(folder: Path) -> Path:
    """A page of long, wide, Chinese and hostile text, with a table longer than a page of paper."""
    body: list[str] = []
    shown = report.Page(body)
    shown.heading(LONG, 1)
    shown.heading(CHINESE)
    shown.finding("{text}", text=HOSTILE)
    shown.finding("{text}", text=LONG)
    shown.cards(a=("Customers", "text", "CN¥123,456,789"), b=("Share of customers", "text", "-"))
    texts = [HOSTILE, LONG, CHINESE, "short", "客户"]
    wide = {f"c{n}": texts[n % 5 :] + texts[: n % 5] for n in range(7)} | {"n": [1e6] * 5}
    columns = {name: (f"Column {name}", "text") for name in wide} | {"n": ("Revenue", "money")}
    table = pd.DataFrame(wide)
    shown.table(table, "A wide table", [*wide], shown_as=columns)
    shown.table(pd.concat([table] * 12), "A long one", ["c0"], shown_as=columns)
    cell = {"stage": CHINESE, "count": "1,234", "moved": "+3", "money": "$1K", "risk": "50 %"}
    who = {"who": LONG, "money": "$9", "risk": "9 %", "why": CHINESE, "owner": "a", "action": "b"}
    cell |= {"percent": 50, "shade": 100, "action": LONG, "customers": [who]}
    shown.piece("matrix", [{"tier": CHINESE, "count": "9", "cells": [cell] * 6}])
    row = dict.fromkeys(("count", "cost", "pays", "proof", "owner", "due"), "9")
    shown.piece("decisions", [row | {"action": LONG, "sentence": HOSTILE, "customers": [who]}])
    names = pd.Series(range(1, 6), index=texts)
    shown.figure(charts.stage_sizes(names.rename(index=base.own)), HOSTILE)
    facts = {"title": HOSTILE, "as_of": AS_OF, "day": AS_OF, "lines": [(CHINESE, LONG)]}
    path = folder / "hostile.html"
    path.write_text(report.page(LONG, "".join(body), facts), "utf-8")
    return path


@pytest.fixture(scope="module")
def pages(home: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    shop = home / "reports" / "shop"
    made = [shop / "index.html", *sorted((shop / AS_OF).glob("0*.html"))]
    return [*made, hostile(tmp_path_factory.mktemp("hostile"))]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        yield driver.chromium.launch(executable_path=CHROMIUM)


@pytest.fixture
def window(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


def faults(window: Page, pages: list[Path], script: str) -> list[str]:
    """What a script finds on each page as it comes, and with all its folds open."""
    found = []
    for path in pages:
        window.goto(path.as_uri())
        found += [f"{path.stem}: {fault}" for fault in window.evaluate(script)]
        window.evaluate(OPEN)
        found += [f"{path.stem}, open: {fault}" for fault in window.evaluate(script)]
    return found


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_is_cut_or_wider_than_the_window(
    window: Page, pages: list[Path], width: int
) -> None:
    window.set_viewport_size({"width": width, "height": 900})
    assert not (found := faults(window, pages, CUT)), "\n".join(found)


def test_pictures_are_read_on_a_phone(window: Page, pages: list[Path]) -> None:
    """No text leaves its picture, covers another or is too small."""
    window.set_viewport_size({"width": 390, "height": 900})
    assert not (found := faults(window, pages, IN_PICTURES)), "\n".join(found)


@pytest.mark.parametrize(
    ("scheme", "width", "rules"),
    [("light", 1280, None), ("dark", 390, ["color-contrast"])],
)
def test_rules_of_accessibility_hold(
    window: Page, pages: list[Path], scheme: str, width: int, rules: list[str] | None
) -> None:
    """Those of axe, contrast among them, with all folds open."""
    window.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    window.set_viewport_size({"width": width, "height": 900})
    found = []
    for path in pages:
        window.goto(path.as_uri())
        window.evaluate(OPEN)
        window.evaluate(WITHOUT)
        done = Axe().run(window, options={"runOnly": rules} if rules else {})
        found += [
            (path.stem, broken["id"], broken["nodes"][0]["html"])
            for broken in done.response["violations"]
        ]
    assert found == []


def test_every_link_and_fold_is_reached_and_opened_by_keyboard(
    window: Page, pages: list[Path]
) -> None:
    for path in pages:
        window.goto(path.as_uri())
        window.keyboard.press("Tab")
        while (reached := window.evaluate(REACHED)) != "done":
            assert reached != "unmarked", path.stem
            if reached == "fold":
                window.keyboard.press("Enter")
            window.keyboard.press("Tab")
        assert window.evaluate(UNREACHED) == [], path.stem
        assert window.evaluate(LOST) == [], path.stem
        for link in window.query_selector_all("a:not([href^='#'])"):
            assert (path.parent / link.get_attribute("href")).is_file()  # type: ignore[operator]


def test_a_link_is_followed_by_keyboard(window: Page, pages: list[Path]) -> None:
    index, first = pages[:2]
    window.goto(index.as_uri())
    window.keyboard.press("Tab")
    window.keyboard.press("Enter")
    window.wait_for_url(first.as_uri())


def test_no_request_leaves_and_no_script_runs(window: Page, pages: list[Path]) -> None:
    """Nothing is said to the console, where a browser tells what the page's policy forbids."""
    asked, told = [], []
    window.on("request", lambda request: asked.append(request.url))
    window.on("console", lambda message: told.append(message.text))
    window.on("pageerror", lambda error: told.append(str(error)))
    for path in pages:
        window.goto(path.as_uri(), wait_until="networkidle")
        assert window.evaluate("window.ran") is None
        assert window.query_selector("script, main img") is None
        assert path.stat().st_size < MOST_BYTES
    assert asked == [path.as_uri() for path in pages]
    assert told == []


def printed(window: Page) -> int:
    """Of how many pages of A4 paper."""
    return len(re.findall(rb"/Type\s*/Page\b", window.pdf(format="A4", prefer_css_page_size=True)))


def test_the_first_page_prints_on_one(window: Page, pages: list[Path]) -> None:
    window.goto(pages[0].as_uri())
    assert printed(window) == 1
    window.evaluate(OPEN)
    assert printed(window) > 1


def test_no_table_or_picture_is_split_that_fits_on_a_page(
    window: Page, tmp_path: Path, pages: list[Path]
) -> None:
    """Three blocks of three fifths of a page each: split, the second would leave two pages."""
    block = '<div style="height:610px"></div>'
    body: list[str] = []
    report.Page(body).table(
        pd.DataFrame({"n": range(35)}), "A table", ["n"], shown_as={"n": ("N", "int")}, folded=False
    )
    facts = {"title": "Shop", "as_of": AS_OF, "day": AS_OF, "lines": []}
    (tmp_path / "x.html").write_text(report.page("x", block + body[0] + block, facts), "utf-8")
    window.set_viewport_size(A4)  # type: ignore[arg-type]
    window.goto((tmp_path / "x.html").as_uri())
    window.emulate_media(media="print")
    high = window.evaluate("document.querySelector('table').offsetHeight")
    assert 500 < high < 900
    assert printed(window) == 3
