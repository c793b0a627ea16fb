"""What a run of a small shop publishes; before a release, that of the invented company, too."""

import re
import subprocess
from pathlib import Path

import nbformat
import openpyxl
import pandas as pd
import pytest

from analysis import files
from analysis.intake import readers
from analysis.report.text import say as words
from analysis.run import stage as runs
from analysis.segments.registry import SEGMENTATIONS
from tests.run.shop import AS_OF, command, say, shop_log

# Of a small shop without products, owners and outcomes to measure.
MAY_BE_EMPTY = {
    "rejects", "winback", "campaign_effects", "foretold", "recommendations", "care", "scorecard",
    "record", "lessons",
}  # fmt: skip


def table(name: str, dataset: str = "shop") -> pd.DataFrame:
    return runs.read_table(name, runs.table_path(dataset, name))


def text(page: Path) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.read_text("utf-8")))


def test_every_table_is_published_and_keeps_its_contract(inside: Path) -> None:
    for name in runs.MAKER:
        code, printed = say("path", "shop", name)
        if name in runs.OPTIONAL:
            assert code == 2 and f"shop has no {name}" in printed
            continue
        assert code == 0
        assert len(runs.read_table(name, Path(printed.strip()))) > 0 or name in MAY_BE_EMPTY


def test_tables_agree_with_the_file_and_with_each_other(inside: Path) -> None:
    by = shop_log().astype({"date": "datetime64[ns]"}).groupby("id")
    customers = table("customers").set_index("customer_id")
    for ours, theirs in {
        "orders": by.date.nunique(),
        "revenue": by.amount.sum(),
        "recency_days": (pd.Timestamp(AS_OF) - by.date.max()).dt.days,
    }.items():
        pd.testing.assert_series_equal(customers[ours], theirs, check_names=False, rtol=1e-12)
    for name in ("segments", "matrix", "plan", "clv", "churn"):
        assert set(table(name).customer_id) == set(customers.index), name
    matrix = table("matrix").set_index("customer_id")
    pd.testing.assert_series_equal(matrix.revenue, customers.window_revenue, check_names=False)


def test_the_index_says_the_figures_of_the_tables(inside: Path) -> None:
    index = inside / "reports" / "shop" / "index.html"
    clv, counts = table("clv"), table("matrix").groupby(["tier", "stage"]).size()
    assert words.form("money", clv.clv.sum()) in text(index)
    assert all(f"<b>{count:,}</b>" in index.read_text("utf-8") for count in counts)


def sales_actions(pages: Path) -> pd.DataFrame:
    """What the lists for people and for CRM systems have customers be done: list, customer, action,
    channel, due (channel empty where a list has none).
    """
    found = []
    crm = {"customer_id": "Account Number", "action": "Next Action", "due": "Next Action Due"}
    for path in pages.glob("*.csv"):
        table = pd.read_csv(path, dtype="str", encoding="utf-8-sig")
        ours = {name: words.heading(name) for name in ("customer_id", "action", "channel", "due")}
        names = crm if "Account Number" in table else ours
        if path.stem == "care":
            table = table[table[words.heading("what")] == words.word("action")]
            names = ours | {"action": words.heading("detail"), "due": words.heading("day")}
        if {names["action"], names["due"]} <= set(table):
            part = table.rename(columns={theirs: name for name, theirs in names.items()})
            found.append(part.reindex(columns=list(ours)).assign(list=path.stem))
    every = pd.concat(found, ignore_index=True)
    every["due"] = pd.to_datetime(every.due, format="mixed")
    return every[every.due.notna()]


def one_action_each(pages: Path, dataset: str) -> set[str]:
    """Check that no customer has two actions, channels or dates in any two lists, and who is held
    back none; returns the lists that name actions.
    """
    every = sales_actions(pages)
    each = every.groupby("customer_id")[["action", "channel", "due"]]
    assert each.agg(lambda told: len(set(told.dropna())) == 1 or told.isna().all()).all(axis=None)
    plan = table("plan", dataset)
    assert set(every.customer_id) == set(plan.customer_id[plan.status == "planned"])
    return set(every.list)


def test_nobody_has_two_sales_actions_in_any_two_lists(inside: Path) -> None:
    lists = one_action_each(inside / "reports" / "shop" / AS_OF, "shop")
    assert lists == {"plan", "warnings", "winback", "zoho_updates"}


def test_the_manifest_says_what_was_run(inside: Path) -> None:
    manifest = runs.published("shop")
    assert manifest is not None
    assert manifest["status"] == "published" and manifest["as_of"] == AS_OF
    assert manifest["data"]["pieces"]["transactions"] == [
        {"name": "transactions.csv", "rows": len(shop_log()), "encoding": "UTF-8"}
    ]
    stages = manifest["stages"].values()
    assert all(stage["peak_mb"] > 0 and stage["seconds"] > 0 for stage in stages)
    assert {"pandas", "duckdb", "Python"} <= set(manifest["versions"])


def test_every_notebook_begins_with_nothing(inside: Path) -> None:
    """Though a kernel performs several: its cells are numbered from one."""
    for name, facts in runs.published("shop")["stages"].items():  # type: ignore[index]
        done = nbformat.read(inside / facts["folder"] / f"{name}.ipynb", as_version=4)
        counts = [cell.execution_count for cell in done.cells if cell.cell_type == "code"]
        assert counts == list(range(1, len(counts) + 1)), name


def test_pages_stand_alone_and_have_their_pictures(inside: Path) -> None:
    least = {"01": 1, "02": 4, "03": 4, "04": 3, "05": 1, "06": 0, "07": 1, "08": 2, "in": 0}
    for page in (inside / "reports" / "shop").rglob("*.html"):
        content = page.read_text("utf-8")
        assert "<script" not in content and "Content-Security-Policy" in content
        assert "src=" not in content and "@import" not in content and "url(http" not in content
        assert "open_stage" not in content, "code belongs into the notebook, not the page"
        assert content.count("<figure") >= least[page.name[:2]], page
        for link in re.findall(r'(?:href|xlink:href)="([^"#]+)"', content):
            assert link.startswith("data:image/png") or (page.parent / link).is_file(), link


def test_numbers_are_written_for_people(inside: Path) -> None:
    for page in (inside / "reports" / "shop").rglob("*.html"):
        odd = r"\d\.\d{6,}|\d,\d{3}\.\d\s?%|\b(?:nan|NaT)\b"
        cells = re.findall(r"<td[^>]*>([^<]*)</td>", page.read_text("utf-8"))
        assert [cell for cell in cells if re.search(odd, cell)] == [], page


def test_groupings_that_lack_a_column_are_named_with_it(inside: Path) -> None:
    page = text(inside / "reports" / "shop" / AS_OF / "02_segments.html")
    lacking = page[page.index("Groupings left out") :]
    for grouping, column in {"ABC by profit": "Cost", "Interest": "Category"}.items():
        assert f"{grouping} Order lines {column}" in lacking, grouping


def test_everybody_whom_the_plan_reaches_is_exported(inside: Path) -> None:
    made, folder = table("plan"), inside / "reports" / "shop" / AS_OF
    reached = made[made.status == "planned"]
    assert 0 < len(reached) < len(made)
    csv = pd.read_csv(folder / "plan.csv", dtype={"Customer": str}, encoding="utf-8-sig")
    assert set(csv.Customer) == set(reached.customer_id) and len(csv) == len(reached)
    sheet = openpyxl.load_workbook(folder / "plan.xlsx", read_only=True).active
    assert sum(1 for _ in sheet.iter_rows(values_only=True)) == len(reached) + 1


def test_a_manifest_names_tables_that_are_there(inside: Path) -> None:
    path = runs.table_path("shop", "clv")
    away = path.rename(path.with_suffix(".away"))
    code, said = say("path", "shop", "clv")
    assert code == 2 and "is gone; run" in said
    away.rename(path)


def test_no_generated_file_is_tracked() -> None:
    call = ["git", "ls-files", "data", "models", "reports"]
    tracked = subprocess.run(call, cwd=files.ROOT, capture_output=True, text=True).stdout
    assert {Path(line).suffix for line in tracked.split()} <= {".yml", ""}


@pytest.mark.slow
def test_the_invented_company_has_every_grouping_and_no_page_shows_who(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of contacts, telephones and e-mails in the accounts; a name that is a region or a product too
    is left aside.
    """
    done = command("run", "data/crm_demo.yml", home=tmp_path)
    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path))
    columns = {entry.class_column for entry in SEGMENTATIONS.values()}
    assert columns <= set(table("segments", "crm_demo").columns)
    assert "care" in one_action_each(tmp_path / "reports/crm_demo/2025-12-31", "crm_demo")
    page = text(tmp_path / "reports" / "crm_demo" / "2025-12-31" / "02_segments.html")
    assert "too little data" not in page and "Groupings left out" not in page
    matrix = table("matrix", "crm_demo")
    assert ((matrix.tier == "potential") == (matrix.stage == "prospect")).all()
    buyers = set(matrix.customer_id[matrix.tier != "potential"])
    for name, whom in {
        "customers": set(matrix.customer_id),
        "clv": buyers,
        "churn": buyers,
    }.items():
        assert set(table(name, "crm_demo").customer_id) == whom, name
    book = openpyxl.load_workbook(readers.sample_path("crm_demo/accounts.xlsx"), read_only=True)
    rows = [
        ["" if c is None else str(c) for c in r] for r in book["客户"].iter_rows(values_only=True)
    ]
    head = next(row for row in rows if "Contact Name" in row)
    places = [head.index(name) for name in ("Contact Name", "Phone", "Email")]
    told = {row[n] for row in rows[rows.index(head) + 1 :] for n in places}
    assert len(told) > 1_000
    pages = " ".join(text(page) for page in (tmp_path / "reports").rglob("*.html"))
    assert not {name for name in told if len(name) > 3 and name in pages}
