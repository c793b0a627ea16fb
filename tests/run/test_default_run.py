"""The default run, CDNOW master, against what lifetimes' file itself says when pandas reads it; and
the run of the invented company, which has everything that a company can have.
"""

import json
import re
import subprocess
from pathlib import Path

import nbformat
import openpyxl
import pandas as pd
import pytest

from analysis import files, schema
from analysis.intake import readers
from analysis.run import stage as runs
from analysis.segments.registry import SEGMENTATIONS
from tests.run.test_pipeline import command


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("default")
    done = command("run", "data/cdnow.yml", home=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def table(published: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(published))
    return lambda name: runs.read_table(name, runs.table_path("cdnow", name))


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    log = pd.read_csv(
        readers.sample_path("cdnow"), sep=r"\s+", dtype={"customer_id": str, "date": str}
    )
    return log.assign(date=pd.to_datetime(log.date, format="%Y%m%d"))


def text(page: Path) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.read_text("utf-8")))


# type: ignore[no-untyped-def]
def test_customers_are_those_of_the_file(table, raw: pd.DataFrame) -> None:
    by = raw.groupby("customer_id")
    customers = table("customers").set_index("customer_id")
    assert len(customers) == 23_570
    pd.testing.assert_series_equal(customers.orders, by.date.nunique(), check_names=False)
    pd.testing.assert_series_equal(
        customers.revenue, by.dollar_value.sum(), check_names=False, rtol=1e-12
    )
    assert (customers.frequency == customers.orders - 1).all()
    last = (pd.Timestamp("1998-06-30") - by.date.max()).dt.days
    pd.testing.assert_series_equal(customers.recency_days, last, check_names=False)


# type: ignore[no-untyped-def]
def test_the_index_says_the_figures_of_the_tables(table, published: Path) -> None:
    index = text(published / "reports" / "cdnow" / "index.html")
    clv = table("clv")
    for said in (
        "69,659",
        "$2,500,315.63",
        f"{clv.expected_orders.sum():,.0f}",
        f"${clv.clv.sum():,.0f}",
    ):
        assert said in index, said


def test_summaries_are_those_that_the_notebooks_keep(published: Path) -> None:
    """Every cell ran, and the checked one shows what it shows in git."""
    for stage, facts in json.loads(next(published.rglob("run.json")).read_text())["stages"].items():
        done, kept = (
            nbformat.read(folder / f"{stage}.ipynb", as_version=4).cells[-1]
            for folder in (published / facts["folder"], runs.NOTEBOOKS)
        )
        assert done.outputs[-1].data == kept.outputs[-1].data, stage


def test_every_page_has_its_pictures_and_no_request_to_anywhere(published: Path) -> None:
    pictures = {
        page.name: page.read_text("utf-8").count("<figure")
        for page in (published / "reports" / "cdnow" / "1998-06-30").glob("*.html")
    }
    least = {
        "01_data_quality": 1,
        "02_segments": 5,
        "03_lifetime_value": 5,
        "04_churn": 3,
        "05_strategy": 2,
        "07_customer_care": 1,
        "08_steering": 2,
    }
    assert (
        all(pictures[f"{stage}.html"] >= count for stage, count in least.items())
        and pictures["index.html"] == 1
    )
    for page in (published / "reports").rglob("*.html"):
        links = re.findall(r'(?:href|src|xlink:href)="([^"#]+)"', page.read_text("utf-8"))
        assert all(
            link.startswith("data:image/png") or (page.parent / link).is_file() for link in links
        ), page


def test_groupings_that_lack_a_column_are_named_with_it(published: Path) -> None:
    page = text(published / "reports" / "cdnow" / "1998-06-30" / "02_segments.html")
    lacking = page[page.index("Groupings left out") :]
    for grouping, column in {
        "ABC by profit": "Cost",
        "Time of day": "Time of day",
        "Channel": "Channel",
        "Interest": "Category",
    }.items():
        assert f"{grouping} Order lines {column}" in lacking, grouping


# type: ignore[no-untyped-def]
def test_the_matrix_on_the_index_counts_every_customer(table, published: Path) -> None:
    matrix = table("matrix")
    counts = matrix.groupby(["tier", "stage"]).size()
    assert counts.sum() == 23_570
    index = (published / "reports" / "cdnow" / "index.html").read_text("utf-8")
    assert all(f">{count:,}</text>" in index for count in counts)
    pd.testing.assert_series_equal(
        matrix.set_index("customer_id").revenue,
        table("customers").set_index("customer_id").window_revenue,
        check_names=False,
    )


# type: ignore[no-untyped-def]
def test_everybody_whom_the_plan_reaches_is_exported(table, published: Path) -> None:
    made = table("plan")
    reached = made[made.status == "planned"]
    assert len(made) == 23_570 and 0 < len(reached) < len(made)
    folder = published / "reports" / "cdnow" / "1998-06-30"
    csv = pd.read_csv(folder / "plan.csv", dtype={"customer_id": str}, encoding="utf-8-sig")
    assert set(csv.customer_id) == set(reached.customer_id) and len(csv) == len(reached)
    sheet = openpyxl.load_workbook(folder / "plan.xlsx", read_only=True).active
    assert sum(1 for _ in sheet.iter_rows(values_only=True)) == len(reached) + 1


def test_no_generated_file_is_tracked() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "data", "models", "reports"],
        cwd=files.ROOT,
        capture_output=True,
        text=True,
    ).stdout
    assert {Path(line).suffix for line in tracked.split()} <= {".yml", ""}


# The invented company
@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    done = command("run", "data/crm_demo.yml", home=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_all_segmentations_are_made_where_there_is_everything(
    demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(demo))
    made = runs.read_table("segments", runs.table_path("crm_demo", "segments"))
    assert {entry.class_column for entry in SEGMENTATIONS.values()} <= set(made.columns)
    page = text(demo / "reports" / "crm_demo" / "2025-12-31" / "02_segments.html")
    assert "too little data" not in page and "Groupings left out" not in page
    matrix = schema.read("matrix", runs.table_path("crm_demo", "matrix"))
    assert ((matrix.tier == "potential") == (matrix.stage == "prospect")).all()
    known = [
        set(schema.read(name, runs.table_path("crm_demo", name)).customer_id)
        for name in ("customers", "segments", "plan")
    ]
    buyers = [
        set(schema.read(name, runs.table_path("crm_demo", name)).customer_id)
        for name in ("clv", "churn")
    ]
    assert known == [set(matrix.customer_id)] * 3
    assert buyers == [set(matrix.customer_id[matrix.tier != "potential"])] * 2


def test_no_page_shows_who_or_how_to_reach_somebody(demo: Path) -> None:
    """Of contacts, telephones and e-mails in the accounts; a name that is a region or a product too
    is left aside.
    """
    sheet = openpyxl.load_workbook(readers.sample_path("crm_demo/accounts.xlsx"), read_only=True)[
        "客户"
    ]
    rows = [
        ["" if cell is None else str(cell) for cell in row]
        for row in sheet.iter_rows(values_only=True)
    ]
    head = next(row for row in rows if "Contact Name" in row)
    places = [head.index(name) for name in ("Contact Name", "Phone", "Email")]
    told = {row[n] for row in rows[rows.index(head) + 1 :] for n in places}
    assert len(told) > 1_000
    pages = " ".join(text(page) for page in (demo / "reports").rglob("*.html"))
    assert not {name for name in told if len(name) > 3 and name in pages}
