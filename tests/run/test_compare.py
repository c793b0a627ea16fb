"""What changed between two runs, on the terminal, as lists and as a page."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from bs4 import BeautifulSoup

import analysis
from analysis import files
from analysis.errors import InputError
from analysis.report.privacy import HIDDEN
from analysis.run import compare
from analysis.run import stage as runs
from tests.run.shop import AS_OF, later, say

FOLDER = Path("reports") / "shop" / "comparisons"


@pytest.fixture(scope="module")
def compared(tried: Path) -> tuple[Path, str]:
    """The page of the published run and the trial, and what was printed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUSTOMER_MATRIX_HOME", str(tried))
        code, printed = say("compare", "shop", AS_OF, "half")
    assert code == 0, printed
    page = tried / FOLDER / f"{AS_OF}_to_half.html"
    assert printed.strip().splitlines()[-1] == str(page)
    return page, printed


def test_key_figures_are_those_of_the_pages(with_trial: Path, compared: tuple[Path, str]) -> None:
    index = (with_trial / "reports" / "shop" / "index.html").read_text("utf-8")
    trial = with_trial / "reports" / "shop" / "trials" / "half" / "index.html"
    for content, column in ((index, 1), (trial.read_text("utf-8"), 2)):
        soup = BeautifulSoup(content, "html.parser")
        shown = soup.select("dl.cards:not(.score) div")
        cards = {card.dt.text: card.dd.text for card in shown}
        assert len(cards) >= 6
        assert compared[1].index("Rows read") < compared[1].index("Cost of the plan")
        lines = [re.split(r"\s{2,}", line.strip()) for line in compared[1].splitlines()]
        told = {line[0]: line[column] for line in reversed(lines) if len(line) > 2}
        for label, value in cards.items():
            assert told[label] == value, label


def test_tables_of_python_terminal_and_lists_agree(
    with_trial: Path, compared: tuple[Path, str]
) -> None:
    page, printed = compared
    shop = analysis.open("shop")
    found = shop.compare("half")
    assert found.equals(shop.compare(analysis.open("shop", "half")))
    listed = pd.read_csv(page.with_suffix(".csv"), encoding="utf-8-sig")
    assert listed.measure.tolist() == found.measure.tolist()
    assert listed.before.tolist() == pytest.approx(found.before.tolist())
    tiers = analysis.open("shop").matrix.tier.value_counts()
    after = analysis.open("shop", "half").matrix.tier.value_counts()
    for tier, row in found[found.part == "tier"].set_index("measure").iterrows():
        assert (row.before, row.after) == (tiers.get(tier, 0), after.get(tier, 0))
        assert re.search(rf"{tier.capitalize()}\s+{row.before:,.0f}\s+{row.after:,.0f}\s", printed)
    moved = shop.moved("half")
    customers = pd.read_csv(
        page.with_name(f"{page.stem}_customers.csv"), dtype="str", encoding="utf-8-sig"
    )
    assert customers.Customer.tolist() == moved.customer_id.tolist() and len(moved) > 10
    plan = found[(found.part == "lists") & (found.measure == "plan")].iloc[0]
    reached = [run.plan[run.plan.status == "planned"] for run in (shop, shop.against("half"))]
    assert [plan.before, plan.after] == [len(reached[0]), len(reached[1])]
    assert plan.joined == len(set(reached[1].customer_id) - set(reached[0].customer_id))


def test_the_page_looks_like_the_others_and_links_to_what_is_there(
    compared: tuple[Path, str],
) -> None:
    page = compared[0]
    soup = BeautifulSoup(content := page.read_text("utf-8"), "html.parser")
    assert "Content-Security-Policy" in content and "<script" not in content
    links = [a["href"] for a in soup.find_all("a")]
    assert links == ["../index.html", f"{page.stem}.csv", f"{page.stem}_customers.csv"]
    assert all((page.parent / link).is_file() for link in links)
    assert soup.h1.text == "What changed: Jun 30, 2024 to Jun 30, 2024, trial half"
    captions = [caption.text for caption in soup.find_all("caption")]
    assert captions[:3] == ["Key figures", "The last three whole months", "Tiers"]
    assert "value_window_days 365 → 182" in soup.text and "drawn anew" in soup.text
    cells = [cell.text for cell in soup.find_all("td")]
    assert cells and not [cell for cell in cells if re.search(r"\d\.\d{6,}|\bnan\b|<NA>", cell)]


def test_what_data_say_is_text_on_the_page_and_no_formula_in_the_list(copied: Path) -> None:
    """Actions and the title are the user's words."""
    hostile = "=cmd|' /C calc'!A0 <script>alert(1)</script>"
    title = "<b>Shop</b> & <img src=x onerror=alert(1)>"
    plan = analysis.open("shop").plan
    first = plan[plan.status == "planned"].index[:3]
    plan.loc[first, "action"] = hostile
    day = later(title, plan=plan)
    page, _ = compare.compare("shop", AS_OF, day)
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    assert not soup.find_all(["script", "img", "b"]) and title in soup.header.text
    assert [cell.text for cell in soup.find_all("td")].count(hostile) >= 3
    customers = page.with_name(f"{page.stem}_customers.csv")
    listed = pd.read_csv(customers, dtype="str", encoding="utf-8-sig")
    assert set(listed.After.dropna()) == {f"'{hostile}"}
    assert set(listed.Customer) == set(plan.customer_id[first])
    found = analysis.open("shop", AS_OF).compare(day)
    assert found.changed.sum() == len(listed) and not found[["joined", "left"]].any(axis=None)


def test_ids_that_reach_somebody_are_hidden_on_the_page(copied: Path) -> None:
    """As on all pages; tables of customers are about the same ids."""
    old = analysis.open("shop")
    changed = {}
    for name in ("matrix", "plan", "churn", "winback"):
        frame = old[name]
        first = old.winback.customer_id[0] if len(old.winback) else old.matrix.customer_id[0]
        frame["customer_id"] = frame.customer_id.replace(first, "ann@example.com")
        changed[name] = frame
    page, _ = compare.compare("shop", AS_OF, later(**changed))
    content = page.read_text("utf-8")
    assert "example.com" not in content and HIDDEN in content
    assert "ann@example.com" in page.with_name(f"{page.stem}_customers.csv").read_text("utf-8")


@pytest.mark.parametrize(
    ("runs_named", "words"),
    [
        ((AS_OF, "1999-01-01"), "shop has no run '1999-01-01'; there are 2024-06-30"),
        (("none", AS_OF), "shop has no run 'none'"),
        ((AS_OF, "<x>"), "shop has no run '<x>'"),
    ],
)
def test_a_run_that_there_is_not_is_named(
    inside: Path, runs_named: tuple[str, str], words: str
) -> None:
    code, printed = say("compare", "shop", *runs_named)
    assert code == 2 and words in printed and len(printed.splitlines()) == 1
    assert not (inside / FOLDER).exists()


def test_only_runs_of_one_company_are_compared(copied: Path) -> None:
    other = copied / "data" / "processed" / "store"
    shutil.copytree(copied / "data" / "processed" / "shop", other)
    with pytest.raises(InputError, match="store is another company than shop"):
        analysis.open("shop").compare(analysis.open("store"))


def test_runs_without_key_figures_are_compared_by_the_rest(copied: Path) -> None:
    """As those of an older version, which had no table kpis."""
    manifest = files.processed("shop", AS_OF) / runs.MANIFEST
    older = runs.read_json(manifest)
    del older["tables"]["kpis"]
    files.replace(manifest, json.dumps(older).encode())
    for facts in runs.published("shop")["stages"].values():  # type: ignore[index]
        page = copied / facts["folder"] / "page.json"
        kept = json.loads(page.read_text("utf-8"))
        del kept["figures"]
        page.write_text(json.dumps(kept), "utf-8")
        made = runs.read_json(page.parent / runs.FACTS)
        made["files"][page.name] = next(iter(files.fingerprint([page]).values()))
        (page.parent / runs.FACTS).write_text(json.dumps(made), "utf-8")
    _, lines = compare.compare("shop", AS_OF, AS_OF)
    assert lines[0] == "What changed: Jun 30, 2024 to Jun 30, 2024" and lines[2] == "Tiers"
    assert lines[-1].endswith("kept no key figures; run it again.")
