"""The sheet of a customer: what stands on it, what never does, and who can read it."""

import re
import stat
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

import analysis
from analysis.report import text
from analysis.report.privacy import KEY, file_stem
from tests.run.shop import AS_OF, later, say, shop_log

MARKUP = "<script>alert(1)</script>"
REACH = {
    "contact": "Wilhelmina Krautz",
    "title": "Head of <i>purchasing</i>",
    "phone": "13812345678",
    "email": "wk@acme.example",
}
TAX = "DE811128135"


def records(one: str, consent: bool = True) -> dict[str, Any]:
    """A profile, contacts and words of a customer, as a run keeps them."""
    source = {"source": "by hand", "customer_id": one}
    day = pd.to_datetime
    profile = REACH | source | {"company": f"Acme {MARKUP}", "tax_id": TAX, "consent": consent}
    profile |= {"owner": "sam@shop.example", "industry": "Mills", "updated": day("2024-01-05")}
    profile |= {"desk": "call 13912345678", "need": "100-500 units", "line": 2}
    contacts = [
        ("2024-05-02", "visit", "sam@shop.example", "Gears", "wk@acme.example wants rebate"),
        ("2024-06-20", "web", None, "Bolts", None),
        ("2024-04-01", "phone", "sam@shop.example", None, "Wilhelmina Krautz was away"),
    ]
    made = pd.DataFrame(contacts, columns=["day", "channel", "owner", "product", "note"])
    said = [
        ("2024-06-01", "csat", 2.0, None, f"ring 13812345678 {MARKUP}"),
        ("2024-05-10", "complaint", None, None, "never came"),
        ("2024-03-01", "complaint", None, "2024-03-09", None),
        ("2024-02-01", "complaint", None, "2024-08-09", None),
        ("2022-09-01", "complaint", None, None, None),
    ]
    words = pd.DataFrame(said, columns=["day", "kind", "score", "closed", "comment"])
    words["closed"] = day(words.closed)
    frames = {"interactions": made, "feedback": words}
    logs = {
        n: f.assign(day=day(f.day), line=range(2, 2 + len(f)), **source) for n, f in frames.items()
    }
    own = pa.Table.from_pylist([profile])  # of a table, columns of the company's own are kept
    return {"profiles": own} | logs


def sheet_of(home: Path, *arguments: str) -> tuple[Path, BeautifulSoup]:
    code, printed = say("sheet", "shop", *arguments)
    assert code == 0, printed
    [path] = map(Path, printed.split())
    assert path.parent == home / "reports" / "shop" / "sheets"
    return path, BeautifulSoup(path.read_text("utf-8"), "html.parser")


def labelled(soup: BeautifulSoup) -> dict[str, str]:
    return {row.dt.text: row.dd.text for row in soup.select("main dl > div")}


def table(soup: BeautifulSoup, caption: str) -> list[list[str]]:
    [found] = [t for t in soup.find_all("table") if t.caption.text == caption]
    return [[cell.text for cell in row.find_all("td")] for row in found.tbody.find_all("tr")]


def test_a_sheet_tells_what_the_tables_and_the_log_say(copied: Path) -> None:
    later(**records("0000"))
    _, soup = sheet_of(copied, "0000")
    shop, log = analysis.open("shop", AS_OF), shop_log()
    facts, mine = labelled(soup), log[(log.id == "0000") & (log.date <= AS_OF)]
    assert soup.h1.text == f"Acme {MARKUP} (0000)" and not soup.find_all("script")
    window = mine[mine.date > "2023-07-01"].amount.sum()  # 365 days to the end of June
    assert facts["Net revenue of the last 12 months"] == text.say.form("money", window)
    assert facts["Last order"] == "Jun 30, 2024" and facts["Last contact by us"] == "May 2, 2024"
    assert facts["Open complaints"] == "2"  # that of February was closed after the day
    assert facts["Account owner"] == "sam" and facts["Industry"] == "Mills"
    assert facts["Need"] == "100-500 units" and facts["Updated"] == "Jan 5, 2024"
    matrix = shop.matrix.set_index("customer_id").loc["0000"]
    assert facts["Tier"].lower() == f"{matrix.tier}: {matrix.reason}".lower()
    assert facts["Risk of leaving"].startswith(f"{100 * matrix.churn_risk:.1f}\xa0% in 91 days")
    days = mine.groupby("date").amount.sum()[::-1].head(10)
    assert [row[1] for row in table(soup, "The last orders")] == [
        text.say.form("money", x) for x in days
    ]
    assert table(soup, "What the customer said") == [
        ["Jun 1, 2024", "Satisfaction: 2 of 5", f"ring ••• {MARKUP}"],
        ["May 10, 2024", "Complaint, open", "never came"],
        ["Mar 1, 2024", "Complaint, closed Mar 9, 2024", "–"],
        ["Feb 1, 2024", "Complaint, open", "–"],
    ]
    assert table(soup, "The last contacts") == [
        ["May 2, 2024", "Gears", "visit, sam", "••• wants rebate"],
        ["Apr 1, 2024", "–", "phone, sam", "••• was away"],
    ]
    plan = shop.plan.set_index("customer_id").loc["0000"]
    first = soup.find("p", class_="finding").text
    assert (plan.action in first) if plan.status == "planned" else first.startswith("No action")
    assert len(soup.find_all("figure")) == 1 and not soup.select("main details")


def test_contact_details_stand_on_no_sheet_but_one_that_asks(copied: Path) -> None:
    later(**records("0000"))
    hidden = [x.encode() for x in (REACH["phone"], REACH["email"], "Krautz", "purchasing")]
    path, _ = sheet_of(copied, "0000")
    assert not [x for x in [*hidden, b"13912345678", TAX.encode()] if x in path.read_bytes()]
    again, soup = sheet_of(copied, "0000", "--contacts")
    facts = labelled(soup)
    assert again == path and facts["Contact"] == REACH["contact"]
    assert (facts["Phone"], facts["E-mail"]) == (REACH["phone"], REACH["email"])
    assert not [x for x in (b"13912345678", TAX.encode()) if x in path.read_bytes()]
    assert facts["Title"] == REACH["title"] and not soup.find_all("i")


def test_who_has_not_agreed_to_be_contacted_is_reached_by_no_sheet(copied: Path) -> None:
    later(**records("0000", consent=False))
    hidden = [x.encode() for x in (REACH["phone"], REACH["email"], "Krautz", "purchasing")]
    path, soup = sheet_of(copied, "0000", "--contacts")
    assert labelled(soup)["Contact"] == "has not agreed to be contacted"
    assert not [x for x in hidden if x in path.read_bytes()]


def test_only_the_owner_of_the_files_can_read_them_and_clean_removes_them(copied: Path) -> None:
    folder = copied / "reports" / "shop" / "sheets"
    folder.mkdir(mode=0o755)
    path, _ = sheet_of(copied, "0000")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert say("clean")[0] == 0 and not folder.exists()
    assert (copied / "reports" / "shop" / "index.html").is_file()


def test_a_prospect_has_what_is_known_and_nothing_else(copied: Path) -> None:
    old = analysis.open("shop")
    empty = {"orders": 0, "frequency": 0, "repeat_valued": 0, "window_orders": 0}
    add = {
        "customers": empty,
        "matrix": {"tier": "potential", "stage": "prospect", "risk_band": "none", "reason": "new"},
        "plan": {"rule": "newsletter", "status": "not_worth", "cost": 0.0, "expected_value": 0.0}
        | {"arm": "none", "account_owner": "without_owner"},
    }
    tables = {
        name: pd.concat([old[name], pd.DataFrame([row | {"customer_id": "P1"}])], ignore_index=True)
        for name, row in add.items()
    }
    later(**tables)
    path, soup = sheet_of(copied, "P1")
    assert labelled(soup) == {"Tier": "Potential: new", "Stage": "Prospect"}
    assert soup.find("p", class_="finding").text == "No action: none pays."
    assert not soup.find_all(["table", "figure"]) and not re.search("nan|NaT|–", soup.main.text)
    assert path.name != "customer-P1.html"  # a file system may take it for that of p1


def test_strategic_and_warned_are_those_of_the_tables(copied: Path) -> None:
    shop = analysis.open("shop")
    top = shop.matrix.customer_id[shop.matrix.tier == "strategic"]
    losing = shop.churn.customer_id[shop.churn.warned]
    code, printed = say("sheet", "shop", "--strategic", "--warned", "0000")
    named = {Path(line).stem for line in printed.split()}
    assert code == 0 and named == {f"customer-{one}" for one in {"0000", *top, *losing}}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["00001"], "shop has no customer '00001' on 2024-06-30; did you mean 0001?"),
        (["zz"], "known: 0000, 0001, 0002"),
        ([], "Name a customer by id, or give --strategic or --warned"),
        (["0000", "--run", "nowhere"], "shop has no run 'nowhere'"),
    ],
)
def test_who_is_not_there_is_said_in_a_line(copied: Path, asked: list[str], words: str) -> None:
    code, printed = say("sheet", "shop", *asked)
    assert code == 2 and words in printed and len(printed.splitlines()) == 1, printed
    assert len(printed) < 200 and not (copied / "reports" / "shop" / "sheets").exists()


def test_an_id_that_reaches_somebody_stands_in_no_name_and_on_no_sheet(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY, raising=False)
    old, phone = analysis.open("shop"), "13812345678"
    names = [name for name in old if "customer_id" in old[name] and name != "rejects"]
    changed = {
        n: old[n].assign(customer_id=old[n].customer_id.replace("0000", phone)) for n in names
    }
    later(**{n: f.convert_dtypes(dtype_backend="pyarrow") for n, f in changed.items()})
    path, soup = sheet_of(copied, phone)
    assert soup.h1.text == "Customer •••" and phone not in path.name
    assert phone not in path.read_text("utf-8")
    assert sheet_of(copied, phone)[0] == path, "the name stays"
    assert table(soup, "The last orders")


ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=80)
NASTY = [
    "../../x",
    "/etc/passwd",
    "CON",
    "nul",
    "a" * 300,
    "A",
    "a",
    "ä",
    "a.",
    "..",
    "客户",
    "-",
    " ",
]


@given(st.lists(ids | st.sampled_from(NASTY), unique=True, min_size=2, max_size=20))
def test_names_of_files_are_safe_and_no_two_ids_share_one(some: list[str]) -> None:
    names = [file_stem(one, b"secret") for one in some]
    assert len(set(names)) == len(some)
    assert all(re.fullmatch(r"customer-[a-z0-9-]*(\.[0-9a-f]{16})?", name) for name in names)
    assert max(map(len, names)) <= 80
    hashed = [(a, b) for a, b in zip(some, names, strict=True) if "." in b]
    assert all(file_stem(one, b"another") != name for one, name in hashed)
