"""The invented company's files, read by csv and openpyxl alone, against the truth written beside
them.
"""

import csv
import gzip
import io
import json
import os
import re
import subprocess
import sys
import unicodedata
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pytest

from analysis import files
from analysis.intake import dataset, readers
from analysis.samples import company as demo_company
from analysis.samples import crm_demo

CRM = ("订单_2023_2024.csv", "订单_2024_2025.csv")
WEB = "webshop_orders.csv"
SEPARATORS = {"loan_applications.csv": ";", "tickets.txt": "\t"}
ORDER_FILES = pytest.mark.parametrize("name", [*CRM, WEB])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The company that all tests read, and what another process with other hashes writes."""
    there = tmp_path_factory.mktemp("there")
    code = (
        "from pathlib import Path; from analysis.samples import crm_demo;"
        f" crm_demo.write(Path({str(there)!r}))"
    )
    subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": "7"}, check=True
    )
    return readers.sample_path("crm_demo"), there


@pytest.fixture(scope="module")
def folder(folders):
    return folders[0]


@pytest.fixture(scope="module")
def truth(folder):
    return json.loads((folder / "truth" / "truth.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def customers(folder):
    return pd.read_parquet(folder / "truth" / "customers.parquet")


@pytest.fixture(scope="module")
def rows(folder, truth):
    """By file: the header, and the fields of each row by its line."""

    def read(name):
        raw = (folder / name).read_bytes()
        text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode(
            truth["files"][name]["encoding"]
        )
        reader = csv.reader(
            io.StringIO(text, newline=""), delimiter=SEPARATORS.get(name, ","), strict=True
        )
        header, found, begins = next(reader), {}, 2
        for fields in reader:
            if fields:
                found[begins] = fields
            begins = reader.line_num + 1
        return [title.strip() for title in header], found

    return {name: read(name) for name in truth["files"] if name != "accounts.xlsx"}


@pytest.fixture(scope="module")
def accounts(folder):
    book = openpyxl.load_workbook(folder / "accounts.xlsx", read_only=True)
    cells = [[(cell.data_type, cell.value) for cell in row] for row in book["客户"].iter_rows()]
    types, found = (pd.DataFrame([[cell[n] for cell in row] for row in cells]) for n in (0, 1))
    found.columns = types.columns = found.iloc[0]
    return book.sheetnames, types.iloc[1:], found.iloc[1:].reset_index(drop=True)


@pytest.fixture(scope="module")
def company():
    """What `write` draws first, and so what its files show."""
    return demo_company.draw(np.random.default_rng(2026))


def records(rows, name):
    header, found = rows[name]
    return pd.DataFrame(
        [fields for fields in found.values() if len(fields) == len(header)], columns=header
    )


def number(text):
    """An amount as these files write it, or None."""
    plain = unicodedata.normalize("NFKC", text).strip().lstrip("¥").replace(",", "")
    if plain.startswith("("):
        plain = f"-{plain.strip('()')}"
    return float(plain) if re.fullmatch(r"-?\d+(\.\d+)?", plain) else None


OURS = {
    "order": ("订单编号", "Invoice No"),
    "customer": ("客户编号", "Customer ID"),
    "date": ("下单时间", "Order Date"),
    "product": ("产品名称", "Product"),
    "quantity": ("数量", "Quantity"),
    "amount": ("订单金额", "Unit Price"),
    "status": ("订单状态",),
    "currency": ("币种", "Currency"),
    "remark": ("备注",),
}
DATES = {
    "": r"(\d{4})-(\d\d)-(\d\d) \d\d:\d\d:\d\d",
    WEB: r"(\d\d)/(\d\d)/(\d{4}) \d\d:\d\d [+-]\d{4}",
}


@pytest.fixture(scope="module")
def orders(rows):
    """By file of orders, its rows by line: OURS as they stand there, fields (too many or few), day
    (as text), money.
    """

    def read(name):
        header, found = rows[name]
        frame = pd.DataFrame(
            [(fields + [""] * 2)[: len(header)] for fields in found.values()],
            index=list(found),
            columns=header,
        )
        theirs = {
            ours: next((title for title in titles if title in header), None)
            for ours, titles in OURS.items()
        }
        frame = pd.DataFrame(
            {ours: frame[title] if title else "" for ours, title in theirs.items()}
        )
        day = frame.date.str.extract(f"^{DATES.get(name, DATES[''])}$")
        day = (
            day[2] + "-" + day[1] + "-" + day[0]
            if name == WEB
            else day[0] + "-" + day[1] + "-" + day[2]
        )
        money = frame.amount.map(number).astype(float)
        if name == WEB:
            pieces = pd.to_numeric(frame.quantity, errors="coerce")
            money = money * pieces.where(~frame.order.str.startswith("C"), -pieces.abs())
        money = money.where(~frame.status.isin(["已退款", "退货"]), -money.abs()).round(2)
        return frame.assign(
            day=day, money=money, fields=[len(fields) - len(header) for fields in found.values()]
        )

    return {name: read(name) for name in (*CRM, WEB)}


@pytest.fixture(scope="module")
def reasons(orders):
    """By file of orders, what the plainest reading says against each row."""
    both = pd.concat(orders, names=["file", "line"])
    year = both.day.str[:4]
    against = {
        "wrong_field_count": both.fields != 0,
        "no_customer": both.customer.str.strip() == "",
        "date_unreadable": both.day.isna(),
        "date_missing": both.day == "1900-01-01",
        "date_impossible": (year < "1970") | (year > "2100"),
        "after_as_of": year > "2025",
        "amount_unreadable": both.money.isna(),
        "void_status": both.status == "已取消",
    }
    reason = pd.Series(np.select(list(against.values()), list(against), ""), both.index)
    good = both[reason == ""].assign(customer=both.customer.str.strip())
    repeats = good.duplicated(["order", "product", "customer", "day", "money"])
    reason[repeats.index[repeats]] = "repeats_order_line"
    return {name: reason[name] for name in orders}


# Files


def test_the_same_seed_writes_the_same_bytes(folders):
    here, there = folders
    names = sorted(str(path.relative_to(here)) for path in here.rglob("*") if path.is_file())
    assert names == sorted(
        str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()
    )
    other = [name for name in names if (here / name).read_bytes() != (there / name).read_bytes()]
    assert other == [], f"of another version? then remove {here}"


def test_no_file_tells_when_it_was_made(folder):
    with zipfile.ZipFile(folder / "accounts.xlsx") as book:
        assert {entry.date_time for entry in book.infolist()} == {(1980, 1, 31, 0, 0, 0)}
        assert (
            re.findall(rb"\d{4}-\d\d-\d\dT[^<]*", book.read("docProps/core.xml"))
            == [b"2026-01-01T00:00:00Z"] * 2
        )
    assert (folder / "web_visits.csv.gz").read_bytes()[4:8] == bytes(4)


def test_another_seed_is_another_company(company):
    other = demo_company.draw(np.random.default_rng(1))
    assert not other.accounts.rate.equals(company.accounts.rate)


def test_at_writes_once(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(crm_demo, "write", lambda folder: (folder.mkdir(), written.append(folder)))
    assert crm_demo.at(tmp_path / "demo") == crm_demo.at(tmp_path / "demo") == tmp_path / "demo"
    assert len(written) == 1 and [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_the_dataset_file_names_columns_that_are_there(rows, accounts, folder):
    settings = dataset.load(files.ROOT / "data" / "crm_demo.yml")
    headers = {name: header for name, (header, _) in rows.items()} | {
        "accounts.xlsx": list(accounts[2].columns)
    }
    named = {}
    for table in type(settings.tables).model_fields:
        for file in settings.files(table):
            columns = {*file.columns.values(), *file.attributes.values()}
            named |= {sample.removeprefix("crm_demo/"): columns for sample in file.sample}
    assert (
        named.keys() == headers.keys() == {path.name for path in folder.iterdir() if path.is_file()}
    )
    assert {
        name: columns - set(headers[name])
        for name, columns in named.items()
        if columns - set(headers[name])
    } == {}


# Dirt


def test_every_row_is_accounted_for(rows, accounts, truth):
    for name, told in truth["files"].items():
        found = len(accounts[2]) if name == "accounts.xlsx" else len(rows[name][1])
        assert found == told["rows"] == sum(outcome["rows"] for outcome in told["outcomes"]), name
    assert (
        100_000
        < sum(len(rows[name][1]) for name in (*CRM, WEB))
        - truth["files"][CRM[1]]["planted"]["overlap"]["rows"]
        < 150_000
    )


@ORDER_FILES
def test_a_plain_reading_comes_to_the_outcomes_told(orders, reasons, truth, name):
    told, reason = truth["files"][name], reasons[name]
    assert reason.value_counts().to_dict() == {
        outcome["reason"]: outcome["rows"] for outcome in told["outcomes"]
    }
    kept = orders[name][reason == ""]
    assert {c: f"{money:.2f}" for c, money in kept.groupby("currency").money.sum().items()} == told[
        "money_kept"
    ]


LOOKS = {  # kind: which rows of a file of orders look like it
    "customer_empty": lambda t: t.customer == "",
    "customer_blank": lambda t: (t.customer != "") & (t.customer.str.strip() == ""),
    "customer_null": lambda t: t.customer == "Null",
    "customer_padded": lambda t: (
        (t.customer != t.customer.str.strip()) & (t.customer.str.strip() != "")
    ),
    "date_empty": lambda t: t.date == "",
    "date_word": lambda t: t.date == "下周三",
    "date_other_format": lambda t: t.day.isna() & t.date.str.contains(r"\d"),
    "year_1900": lambda t: t.day.str.startswith("1900", na=False),
    "year_9999": lambda t: t.day.str.startswith("9999", na=False),
    "after_as_of": lambda t: t.day.str.startswith("2026", na=False),
    "amount_yen": lambda t: t.amount.str.startswith("¥"),
    "amount_full_width": lambda t: t.amount.str.contains("[０-９]"),
    "amount_in_brackets": lambda t: t.amount.str.startswith("("),
    "amount_word": lambda t: t.amount == "面议",
    "amount_empty": lambda t: t.amount == "",
    "price_word": lambda t: t.amount == "on request",
    "quantity_word": lambda t: t.quantity == "若干",
    "negative_amount": lambda t: t.amount.str.startswith("-") & ~t.quantity.str.startswith("-"),
    "negative_quantity": lambda t: t.quantity.str.startswith("-"),
    "cancellation_number": lambda t: t.order.str.startswith("C") & t.quantity.str.startswith("-"),
    "cancellation_number_only": lambda t: (
        t.order.str.startswith("C") & ~t.quantity.str.startswith("-")
    ),
    "status_word": lambda t: t.status.isin(["已退款", "退货"]),
    "status_moves_on": lambda t: t.status == "已发货",
    "void_status": lambda t: t.status == "已取消",
    "line_break": lambda t: t.remark.str.contains("\n"),
    "one_field_more": lambda t: t.fields == 1,
    "one_field_less": lambda t: t.fields == -1,
}
OTHERS_TOO = (
    "customer_null",
    "negative_amount",
    "negative_quantity",
)  # also look so: that account, before_sale, cancellations


@ORDER_FILES
def test_each_fault_stands_on_the_lines_told_and_nowhere_else(orders, truth, name):
    planted, frame = truth["files"][name]["planted"], orders[name]
    for kind in LOOKS.keys() & planted.keys():
        told = set(planted[kind]["lines"])
        lines = set(frame.index[LOOKS[kind](frame)]) - set(planted["exact_duplicate"]["lines"])
        assert told <= lines if kind in OTHERS_TOO else told == lines, kind
        assert len(told) == planted[kind]["rows"] > 0


@ORDER_FILES
def test_duplicates_follow_their_originals_and_blank_lines_are_blank(rows, truth, name):
    found, planted = rows[name][1], truth["files"][name]["planted"]
    before = dict(zip(list(found)[1:], found, strict=False))
    assert all(found[line] == found[before[line]] for line in planted["exact_duplicate"]["lines"])
    assert (
        not set(planted["blank_line"]["lines"]) & set(found) and planted["blank_line"]["rows"] == 15
    )


def test_the_exports_overlap_by_half_a_year(orders, reasons, truth):
    lines = truth["files"][CRM[1]]["planted"]["overlap"]["lines"]
    assert set(reasons[CRM[1]][lines]) == {"repeats_order_line"}
    days = orders[CRM[1]].day[lines]
    assert (days.min(), days.max()) == ("2024-04-01", "2024-09-30")


@pytest.mark.parametrize(("name", "sale", "back"), [(CRM[0], "SO", "TH"), (WEB, "", "C")])
def test_returns_name_the_sale_they_take_back(orders, reasons, truth, name, sale, back):
    kept = orders[name][reasons[name] == ""].reset_index(names="line")
    returned, sold = (
        kept[kept.order.str.startswith(back)],
        kept[kept.order.str.fullmatch(rf"{sale}\d+") & (kept.money > 0)],
    )
    returned, sold = (
        returned.assign(order=returned.order.str[len(back) :]),
        sold.assign(order=sold.order.str[len(sale) :]),
    )
    pairs = returned.merge(sold, on=["order", "product"], suffixes=("", "_sold"))
    early = pairs.line.isin(
        truth["files"][name]["planted"].get("before_sale", {"lines": []})["lines"]
    )
    assert len(pairs) > 0.95 * len(returned) > 300 and (pairs.money == -pairs.money_sold).all()
    assert ((pairs.day < pairs.day_sold) == early).all() and early.any() == (name == CRM[0])


# Accounts


def test_the_workbook_has_a_cover_texts_for_names_and_cells_of_dates(accounts, truth):
    sheets, types, table = accounts
    assert sheets == ["封面", "客户"]
    assert set(types["Account Number"]) == set(types["Account Name"]) == {"s"} and set(
        types["Created Time"]
    ) == {"d"}
    attacked = truth["files"]["accounts.xlsx"]["planted"]["attack"]["lines"]
    assert set(table["Account Name"].iloc[[line - 2 for line in attacked]]) == set(crm_demo.ATTACKS)


def test_ids_are_texts_of_every_kind(accounts):
    ids = accounts[2]["Account Number"]
    assert (
        ids.is_unique
        and {4, 19} == set(ids[ids != "Null"].str.len())
        and (ids == "Null").sum() == 1
    )


def test_empty_and_stale_profiles_are_as_many_as_told(accounts, truth):
    table, told = accounts[2], truth["files"]["accounts.xlsx"]
    for column in ("Industry", "Billing City", "Employees", "Rating", "Birthday"):
        assert (
            (table[column].isna() | (table[column] == "")).sum()
            == told["planted"][f"empty_{column}"]["rows"]
            == 300
        )
    stale = pd.to_datetime(table["Modified Time"]) < pd.Timestamp("2025-12-31") - pd.Timedelta(
        days=told["stale_days"]
    )
    assert stale.sum() == told["stale"] > 300


def test_some_who_order_have_no_profile_and_some_profiles_never_ordered(
    accounts, orders, truth, customers
):
    listed = set(accounts[2]["Account Number"])
    ordered = {customer.strip() for frame in orders.values() for customer in frame.customer}
    unlisted = set(truth["files"]["accounts.xlsx"]["unlisted"])
    assert ordered - listed - {""} == unlisted & ordered and len(unlisted) == 25
    silent, prospects = listed - ordered, set(customers[customers.group == "prospect"].customer_id)
    assert (
        prospects <= silent and len(prospects) == 600 and len(silent - prospects) < 30
    )  # faults hide the only order of some


def plain(name):
    text = unicodedata.normalize("NFKC", name).casefold()
    text = text.replace("有限责任公司", "有限公司").replace("company limited", "co., ltd.")
    return re.sub(r"\s", "", text)


KEYS = {
    "phone": ("Phone", lambda text: re.sub(r"\D", "", text)),
    "tax_id": ("Tax ID", str.upper),
    "name": ("Account Name", plain),
}


@pytest.mark.parametrize("by", KEYS)
def test_duplicate_accounts_share_what_is_told_and_nobody_else_does(accounts, truth, by):
    column, bare = KEYS[by]
    table = accounts[2].set_index("Account Number")[column]
    groups = table.map(bare).groupby(table.map(bare)).groups
    found = {frozenset(ids) for ids in groups.values() if len(ids) > 1}
    assert found == {
        frozenset((p["customer_id"], p["duplicate"])) for p in truth["duplicates"] if p["by"] == by
    }
    assert len(found) == 20 and all(table[list(pair)].nunique() == 2 for pair in found)


def test_nobody_can_be_reached(accounts):
    table = accounts[2]
    assert (
        table["Phone"].str.replace("-", "").str.fullmatch(r"12\d{9}|\+999\d{9}").all()
    )  # no numbers of anybody
    assert table["Tax ID"].str.upper().str.startswith("ZZ").all()
    assert (
        table["Email"].str.endswith(".example").all()
        and table["Account Owner"].str.endswith(".example").all()
    )


# Behaviour


def test_orders_come_at_the_true_rate_until_the_account_leaves(company):
    accounts = company.accounts
    orders = (
        company.lines.drop_duplicates("order")
        .groupby("account")
        .size()
        .reindex(accounts.index, fill_value=0)
    )
    expected = accounts.buyer + accounts.rate / 365 * (
        np.minimum(accounts.leaves, demo_company.DAYS) - accounts["first"]
    )
    caused = company.members.groupby("account").caused.sum().reindex(accounts.index, fill_value=0)
    repeats = (expected - accounts.buyer).sum()
    assert abs((orders - caused - expected).sum()) < 4 * np.sqrt(repeats)
    days = (company.lines.moment - pd.Timestamp("2023-01-01")).dt.days
    late = days > accounts.leaves[company.lines.account].to_numpy()
    assert set(company.lines.account[late]) <= set(company.members.account[company.members.caused])


def test_groups_behave_as_told(company):
    lines = company.lines.drop_duplicates("order")
    group = company.accounts.group[lines.account].to_numpy()
    hour, month, year = lines.moment.dt.hour, lines.moment.dt.month, lines.moment.dt.year
    night = (hour >= 22) | (hour < 2)
    assert night[group == "night"].mean() > 0.85 > 0.1 > night[group != "night"].mean()
    assert (
        month.isin([6, 11])[group == "discount"].mean()
        > 0.6
        > 0.25
        > month.isin([6, 11])[group == "steady"].mean()
    )
    assert lines.web[group == "key"].mean() < 0.1
    spent = company.lines.groupby("account").cents.sum().groupby(company.accounts.group).mean()
    assert spent["key"] > 8 * spent["steady"]
    weekend = (lines.moment.dt.weekday >= 5)[group == "steady"].mean()
    assert weekend < 0.12
    per_year = pd.crosstab(group, year)
    assert per_year.loc["growing", 2025] > 1.3 * per_year.loc["growing", 2023]


def test_latent_interests_are_asked_about_and_never_bought(rows, customers, company):
    names = np.array([*demo_company.CATEGORIES, ""], dtype=object)
    bought = company.lines.category.to_numpy()
    assert not (names[company.accounts.latent[company.lines.account]] == bought).any()
    single = names[company.accounts.interest[company.lines.account]]
    assert (bought[single != ""] == single[single != ""]).all()
    asked = records(rows, "互动记录.csv").merge(
        customers, left_on="客户编号", right_on="customer_id"
    )
    asked = asked[asked.latent_interest != ""]
    assert abs((asked.产品类别 == asked.latent_interest).mean() - demo_company.ASKS_LATENT) < 0.03


def test_satisfaction_falls_before_an_account_leaves(rows, customers):
    given = records(rows, "feedback.csv").merge(
        customers, left_on="Account", right_on="customer_id"
    )
    given = given[(given.Type == "csat") & ~given.Date.str.startswith("9999")]
    leaving = (given.dropout_day - pd.to_datetime(given.Date)).dt.days < demo_company.UNHAPPY_DAYS
    score = given.Score.astype(int)
    assert score.between(1, 5).all() and score[leaving].mean() < 3 < 4 < score[~leaving].mean()


# Campaigns


@pytest.fixture(scope="module")
def measured(rows, orders, reasons, truth):
    """Per campaign: its members with their orders in as many days before and after, as the files
    alone tell.
    """
    kept = pd.concat(
        [frame[(reasons[name] == "") & (frame.money > 0)] for name, frame in orders.items()]
    )
    kept = kept.assign(
        customer=kept.customer.str.strip(), date=pd.to_datetime(kept.day)
    ).drop_duplicates(["customer", "order"])
    members = records(rows, "campaigns.csv")

    def counted(campaign):
        of, start = (
            members[members.campaign_id == campaign["campaign_id"]],
            pd.Timestamp(campaign["date"]),
        )
        days = (kept.date - start).dt.days
        windows = {
            "after": days.between(1, campaign["window_days"]),
            "before": days.between(-200, -1),
        }
        return of.assign(
            **{
                name: (
                    kept[w].groupby("customer").size().reindex(of.customer, fill_value=0).to_numpy()
                )
                for name, w in windows.items()
            }
        )

    return {
        campaign["campaign_id"]: (campaign, counted(campaign)) for campaign in truth["campaigns"]
    }


def difference(of, column):
    """Treated less control, and its standard error."""
    arms = [of[of.arm == arm][column] for arm in ("treat", "control")]
    return arms[0].mean() - arms[1].mean(), np.sqrt(sum(arm.var() / len(arm) for arm in arms))


CAMPAIGNS = pytest.mark.parametrize("campaign_id", [c.campaign_id for c in demo_company.CAMPAIGNS])


@CAMPAIGNS
def test_control_groups_are_drawn_by_lot(measured, campaign_id):
    campaign, of = measured[campaign_id]
    assert (
        (of.arm == "treat").sum() == campaign["treated"]
        and len(of) == campaign["accounts"]
        and of.customer.is_unique
    )
    assert abs((of.arm == "control").mean() - campaign["control"]) < 0.001
    apart, error = difference(of, "before")
    assert abs(apart) < 3 * error
    assert set(of.cost[of.arm == "control"]) == {"0.00"} and set(
        of.responded[of.arm == "control"]
    ) == {""}


@CAMPAIGNS
def test_the_planted_effect_is_in_the_orders(measured, campaign_id):
    campaign, of = measured[campaign_id]
    apart, error = difference(of, "after")
    assert abs(apart - campaign["effect"]) < 3 * error
    assert abs(campaign["caused"] / campaign["treated"] - campaign["effect"]) < 0.05
    assert (of.responded == "yes").sum() > 0.05 * campaign["treated"]


def test_one_effect_is_clear_one_smaller_and_one_none(measured):
    large, small, none = (measured[c.campaign_id] for c in demo_company.CAMPAIGNS)
    apart, error = difference(large[1], "after")
    assert apart > 4 * error
    assert large[0]["effect"] > small[0]["effect"] > none[0]["effect"] == 0 == none[0]["caused"]
