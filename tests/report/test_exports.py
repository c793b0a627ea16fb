import csv
import dataclasses
import datetime as dt
import io
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook
from xlsxwriter import Workbook
from xlsxwriter.exceptions import InvalidWorksheetName

from analysis import schema
from analysis.errors import InputError
from analysis.report import exports, workbook
from analysis.report.text import say
from analysis.run import stage as runs
from analysis.segments import registry, rfm
from analysis.strategy import picture

DANGEROUS = [
    *("=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", "-5"),
    *("＝1+1", "＋1", "－1", "＠SUM(A1)", "\ufeff=1"),
]
IDS = [
    *("007", "1234567890123456789", "0", "1e5", "2026-01-01", "TRUE", "NULL", "NA", "#N/A"),
    *("Überkunde", "客户"),
]


def read_csv(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def read_xlsx(path):
    return [list(row) for row in load_workbook(path).active.iter_rows()]


def values(path):
    return [[cell.value for cell in row] for row in read_xlsx(path)]


def texts(*given, dtype=object):
    return pd.DataFrame({"customer_id": pd.Series(given, dtype=dtype)})


@pytest.fixture
def written(tmp_path):
    """Write a frame both ways; give the CSV's rows and the XLSX's cells, headings first."""

    def write(frame):
        exports.write(frame, tmp_path / "list.CSV")
        exports.write(frame, tmp_path / "list.xlsx")
        return read_csv(tmp_path / "list.CSV"), read_xlsx(tmp_path / "list.xlsx")

    return write


def test_a_text_or_heading_that_would_run_gets_an_apostrophe(written):
    safe = [f"'{text}" for text in DANGEROUS]
    lines = [text.replace("\r", "\n") for text in safe]  # XML makes one line end of all
    for dtype in (object, "str", "string", "category"):
        rows, cells = written(texts(*DANGEROUS, dtype=dtype))
        assert [row[0] for row in rows[1:]] == safe
        assert [(row[0].data_type, row[0].value) for row in cells[1:]] == [("s", t) for t in lines]
    rows, cells = written(pd.DataFrame({text: ["x"] for text in DANGEROUS}))
    assert rows[0] == safe
    assert [(cell.data_type, cell.value) for cell in cells[0]] == [("s", t) for t in lines]


@given(st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=20))
def test_no_neutral_text_begins_like_a_formula_or_holds_control_characters(text):
    neutral = exports.neutral(text)
    assert not neutral or neutral[0] not in "=+-@\t\r\n＝＋－＠"
    assert not [c for c in neutral if ord(c) < 32 and c not in "\t\r\n"]
    if all(c.isalnum() for c in text):
        assert neutral == text


def test_characters_that_no_workbook_may_hold_are_left_out_and_hide_no_formula(written):
    rows, cells = written(texts("\x00=1+1", "a\x0bb\x1fc", "a\uffffb"))
    assert [row[0] for row in rows[1:]] == ["'=1+1", "abc", "ab"]
    assert [row[0].value for row in cells[1:]] == ["'=1+1", "abc", "ab"]


def test_ids_come_back_as_the_texts_they_were_and_stay_so_when_edited(written):
    rows, cells = written(texts(*IDS).assign(name="007", phone="007"))
    assert [row[0] for row in rows[1:]] == IDS
    assert [(row[0].data_type, row[0].value) for row in cells[1:]] == [("s", i) for i in IDS]
    assert [cell.number_format for cell in cells[1]] == ["@", "General", "@"]


def test_values_of_every_kind_come_back(written):
    frame = pd.DataFrame(
        {
            "flag": [True, False],
            "whole": [-(2**53), 10**15],
            "nullable": pd.array([1, None], dtype="Int64"),
            "part": [0.1, 1e-300],
            "exact": [Decimal("1E+3"), Decimal("-0.10")],
            "numpy": pd.Series([np.int64(3), np.bool_(True)], dtype=object),
            "day": [dt.date(1970, 1, 1), dt.date(2100, 12, 31)],
            "moment": pd.to_datetime(["2024-02-29 23:59:59", None]),
            "text": [' two  spaces & <b>"\n', "客户 😀"],
            "none": [None, pd.NA],
        }
    )
    before = frame.copy(deep=True)
    rows, [_, first, second] = written(frame)
    pd.testing.assert_frame_equal(frame, before)
    days = [dt.datetime(1970, 1, 1), dt.datetime(2024, 2, 29)]
    text = ' two  spaces & <b>"\n'
    assert [c.value for c in first] == [True, -(2**53), 1, 0.1, 1000, 3, *days, text, None]
    last = [dt.datetime(2100, 12, 31), None, "客户 😀", None]
    assert [c.value for c in second] == [False, 10**15, None, 1e-300, -0.1, True, *last]
    assert [c.number_format for c in first[6:9]] == ["yyyy-mm-dd", "yyyy-mm-dd", "General"]
    assert rows[1][6:] == ["1970-01-01", "2024-02-29", text, ""]
    assert rows[2][3:] == ["1e-300", "-0.10", "True", "2100-12-31", "", "客户 😀", ""]
    endless = pd.Series(
        [np.inf, -np.inf, Decimal("NaN"), Decimal("Infinity"), pd.NaT, 1], dtype=object
    )
    _, cells = written(pd.DataFrame({"n": endless}))
    assert [row[0].value for row in cells] == ["n", *[None] * 5, 1]


def test_separators_quotes_and_line_ends_inside_a_text_stay_in_its_cell(written):
    text = 'a,"b";c\r\n=1+1'
    rows, cells = written(pd.DataFrame({"name": [text], "next": ["x"]}))
    assert rows[1] == [text, "x"]
    assert cells[1][0].value == text.replace("\r\n", "\n")


def test_csv_is_utf8_with_a_byte_order_mark_and_windows_line_ends(tmp_path):
    exports.write_csv(texts("客户"), tmp_path / "list.csv")
    expected = b"\xef\xbb\xbfcustomer_id\r\n" + "客户".encode() + b"\r\n"
    assert (tmp_path / "list.csv").read_bytes() == expected


def test_a_frame_without_rows_still_has_its_headings(written):
    rows, cells = written(pd.DataFrame({"a": pd.Series(dtype=str), "b": pd.Series(dtype=float)}))
    assert rows == [["a", "b"]] == [[cell.value for cell in row] for row in cells]


@pytest.mark.parametrize("name", ["list.txt", "list"])
def test_another_ending_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"is no format for a list; name it \.csv or \.xlsx"):
        exports.write(texts("7"), tmp_path / name)


def test_the_most_that_a_sheet_holds_is_what_its_program_takes():
    sheet, book = workbook.FrameSheet(), Workbook(io.BytesIO())
    assert (sheet.xls_rowmax, sheet.xls_strmax) == (workbook.SHEET_ROWS, workbook.CELL_TEXT)
    book.add_worksheet("x" * workbook.SHEET_NAME)
    with pytest.raises(InvalidWorksheetName):
        book.add_worksheet("y" * (workbook.SHEET_NAME + 1))
    book.close()


# Workbooks
def test_rows_that_one_sheet_cannot_hold_go_on_in_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "SHEET_ROWS", 4)
    expected = {"list": ["n", 0, 1, 2], "list 2": ["n", 3, 4, 5], "list 3": ["n", 6]}
    for rows, sheets in ((7, 3), (6, 2), (3, 1)):
        exports.write_xlsx(pd.DataFrame({"n": range(rows)}), tmp_path / "list.xlsx", "list")
        book = load_workbook(tmp_path / "list.xlsx")
        found = {page.title: [cell.value for [cell] in page.iter_rows()] for page in book}
        assert found == dict(list(expected.items())[:sheets])


def test_any_name_becomes_a_name_of_sheets_that_spreadsheets_take(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "SHEET_ROWS", 2)
    for name in ("a" * 40, "a/b:c*d?[e]\\f", "'quoted'", "", "客户" * 30, "a\x00b"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exports.write_xlsx(pd.DataFrame({"n": range(12)}), tmp_path / "list.xlsx", name)
        names = load_workbook(tmp_path / "list.xlsx").sheetnames
        assert len(set(names)) == 12
        assert all(0 < len(name) <= 31 and not set(name) & set("[]:*?/\\'") for name in names)


def test_texts_are_never_links_or_xml_and_are_cut_where_a_cell_ends(tmp_path):
    rich = "<r><t>hello</t></r><row/></r>"
    exports.write_xlsx(
        texts(rich, "http://a.example", "&" * 40_000, "_x0041_"), tmp_path / "list.xlsx", "l"
    )
    [_, *cells] = [row[0] for row in load_workbook(tmp_path / "list.xlsx").active.iter_rows()]
    assert [cell.value for cell in cells[:3]] == [rich, "http://a.example", "&" * 32_767]
    assert all(cell.data_type == "s" and cell.hyperlink is None for cell in cells)
    assert cells[3].value == "_x005F_x0041_"  # Excel shows _x0041_, and would else show A


def test_a_full_disk_is_told_as_such():
    class Full(io.BytesIO):
        def write(self, content):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        exports.write_xlsx(texts("7"), Full(), "list")


def test_the_same_frame_gives_the_same_workbook_with_its_size_written_in_it():
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        exports.write_xlsx(texts(*IDS).assign(n=1), file, "list")
    assert files[0].getvalue() == files[1].getvalue()
    assert load_workbook(files[0], read_only=True).active.calculate_dimension() == "A1:B12"


# Lists for people
@pytest.fixture
def listed(tmp_path):
    """Write a list for people both ways in a language and a currency."""

    def write(frame, currency="CNY"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(say, "currency", currency)
            exports.write_list(frame, tmp_path / "list.csv")
            exports.write_list(frame, tmp_path / "list.xlsx")
        return read_csv(tmp_path / "list.csv"), read_xlsx(tmp_path / "list.xlsx")

    return write


PEOPLE = pd.DataFrame(
    {
        "customer_id": ["007", "0812345678901234567"],
        "owner": ["account_manager", "Li"],
        "risk_band": ["high", None],
        "expected_value": [697.978143, np.nan],
        "churn_risk": [0.12345, 1.0],
        "customers": [1_234.0, np.nan],
        "orders": [1.004, 2.0],
        "due": pd.to_datetime(["2026-01-31", None]),
        "lost": [True, False],
        "p": [0.123456, 1.0],
    }
)


def test_a_list_for_people_has_headings_words_and_money_as_people_write_them(listed):
    before = PEOPLE.copy(deep=True)
    rows, cells = listed(PEOPLE)
    pd.testing.assert_frame_equal(PEOPLE, before)
    headings = [say.heading(name) for name in PEOPLE]
    assert headings[:5] == ["Customer", "Owner", "Risk", "Expected to bring", "Risk now"]
    assert rows[0] == [cell.value for cell in cells[0]] == headings
    assert rows[1] == [
        "007", "account manager", "High", "697.98", "12.3%", "1234", "1.0", "2026-01-31", "Yes",
        "0.123456",
    ]  # fmt: skip
    assert rows[2] == ["0812345678901234567", "Li", "", "", "100.0%", "", "2.0", "", "No", "1.0"]
    assert [cell.value for cell in cells[1]][:6] == [
        "007", "account manager", "High", 697.98, 0.123, 1234,
    ]  # fmt: skip
    formats = ["@", "General", "General", "#,##0.00", "0.0%", "#,##0", "#,##0.00"]
    assert [cell.number_format for cell in cells[1]][:7] == formats


@pytest.mark.parametrize(
    ("currency", "money", "form"),
    [("JPY", 698, "#,##0"), ("EUR", 697.98, "#,##0.00"), ("KWD", 697.978, "#,##0.000")],
)
def test_money_of_a_list_has_the_decimals_of_its_currency(listed, currency, money, form):
    """ISO 4217: the yen has none, the euro two, the Kuwaiti dinar three."""
    _, cells = listed(pd.DataFrame({"cost": [697.978143]}), currency)
    assert (cells[1][0].value, cells[1][0].number_format) == (money, form)


def test_ends_of_an_interval_are_written_as_what_they_are_of(listed):
    rows, _ = listed(pd.DataFrame({"share": [0.5], "low": [0.25], "cost": [2.346], "high": [9.0]}))
    assert rows[1] == ["50.0%", "25.0%", "2.35", "9.0"]


def test_two_columns_with_one_heading_are_told_apart(listed):
    rows, cells = listed(pd.DataFrame({"reasons": ["a"], "detail": ["b"], "why": ["c"]}))
    assert rows[0] == [c.value for c in cells[0]] == ["Why", "Why (detail)", "Why (why)"]
    assert rows[1] == ["a", "b", "c"]


def test_a_list_for_people_runs_nothing_either(listed):
    rows, _ = listed(pd.DataFrame({"company": ["=1+1"], "owner": ["@x"]}))
    assert rows[1] == ["'=1+1", "'@x"]


# Update lists for CRM systems
SOME = ["007", "1234567890123456789"]
DUE = pd.Timestamp("2026-11-05")
ROW = ["007", "Champions", "Strategic", "Loyal", "High", 82.5, 1234.57, "Write, and call"]


def found(ids=SOME, held_back=False):
    """What the strategy hands over, for these customers."""
    frame = pd.DataFrame({"customer_id": ids})
    return (
        frame.assign(tier="strategic", stage="loyal", risk_band="high", reason="A twice"),
        frame.assign(rfm_segment="champions", stage="loyal", abc_revenue="A"),
        frame.assign(clv=1234.5678, expected_orders=1.0),
        frame.assign(churn_risk=0.8251, risk_band="high"),
        frame.assign(action="Write, and call", due=DUE, held_back=held_back, owner="Ms Smith"),
    )


def allowed(**by_id):
    return pd.DataFrame({"customer_id": list(by_id), "may_contact": list(by_id.values())})


@pytest.fixture(autouse=True, scope="module")
def words():
    """With the words of segmentations, as a stage knows them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(say, "labels", say.labels | registry.labels())
        yield


def updates(*tables):
    everybody = tables[0][["customer_id"]].assign(may_contact=True)
    return exports.crm_updates(*tables, everybody)


@pytest.fixture
def update(tmp_path):
    """Write an update list for a CRM; give all of its files' rows by name."""

    def write(crm, frame):
        for old in tmp_path.glob("*_updates*"):
            old.unlink()
        exports.write_updates(frame, crm, tmp_path)
        read = read_csv if exports.CRMS[crm].file == "csv" else values
        return {path.name: read(path) for path in sorted(tmp_path.glob(f"{crm}_updates*"))}

    return write


@pytest.fixture
def limits(monkeypatch):
    """Change what a CRM takes."""

    def change(crm, **given):
        monkeypatch.setitem(exports.CRMS, crm, dataclasses.replace(exports.CRMS[crm], **given))

    return change


def test_an_update_list_for_zoho_is_as_its_documentation_asks(update, tmp_path):
    update("zoho", updates(*found(SOME[:1])))
    assert (tmp_path / "zoho_updates.csv").read_bytes() == (
        b"Account Number,Customer Segment,Customer Tier,Lifecycle Stage,Churn Risk,"
        b"Churn Risk Percent,Lifetime Value,Next Action,Next Action Due,Held Back\r\n"
        b'007,Champions,Strategic,Loyal,High,82.5,1234.57,"Write, and call",11/05/2026,false\r\n'
    )
    wants = exports.CRMS["zoho"]
    assert (wants.max_rows, wants.max_bytes) == (25_000, 25 * 10**6)


def test_an_update_list_for_fxiaoke_is_a_workbook_with_chinese_headings(update, tmp_path):
    headings = [*exports.CRMS["fxiaoke"].fields.values()]
    assert update("fxiaoke", updates(*found(SOME[:1]))) == {
        "fxiaoke_updates.xlsx": [headings, [*ROW, DUE.to_pydatetime(), "否"]]
    }
    assert all(any("\u4e00" <= sign <= "\u9fff" for sign in heading) for heading in headings)
    key = read_xlsx(tmp_path / "fxiaoke_updates.xlsx")[1][0]
    assert (key.data_type, key.number_format) == ("s", "@")


def test_every_crm_is_described_whole_and_gets_ids_and_computed_columns_only(update):
    contacts = texts(*SOME).assign(name="Li Lei", email="li@b.example", phone="+86", consent=True)
    for crm, wants in exports.CRMS.items():
        assert next(iter(wants.fields)) == "customer_id"
        assert set(wants.fields) <= set(updates(*found()))
        assert len(set(wants.fields.values())) == len(wants.fields) <= 100
        assert wants.file in ("csv", "xlsx") and (wants.date_format or wants.file == "xlsx")
        [rows] = update(crm, updates(*found(), contacts)).values()
        said = " ".join(str(cell) for row in rows for cell in row)
        assert not any(word in said for word in ("Li Lei", "b.example", "+86", "Smith", "A twice"))
        [rows] = update(crm, updates(*found(IDS))).values()
        assert sorted(row[0] for row in rows[1:]) == sorted(IDS)
        assert update(crm, updates(*(table.head(0) for table in found()))) == {}


ID = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1)


@given(st.lists(ID, min_size=1, unique=True))
def test_any_id_that_is_no_formula_comes_back_from_zohos_file(tmp_path_factory, ids):
    folder = tmp_path_factory.mktemp("ids")
    ids = [customer for customer in ids if exports.neutral(customer) == customer] or ["0"]
    exports.write_updates(updates(*found(ids)), "zoho", folder)
    with (folder / "zoho_updates.csv").open(encoding="utf-8", newline="") as file:
        assert sorted(row[0] for row in list(csv.reader(file))[1:]) == sorted(ids)


def test_no_text_of_an_update_list_would_run(update):
    matrix, rfm_, clv, churn, plan = found(DANGEROUS)
    told = {"tier": DANGEROUS, "rfm_segment": DANGEROUS, "action": DANGEROUS}
    rows = updates(matrix, rfm_, clv, churn, plan).sort_values("customer_id").assign(**told)
    for crm in exports.CRMS:
        [[_, *cells]] = update(crm, rows).values()
        assert all(row[place].startswith("'") for row in cells for place in (0, 1, 2, 7))


def test_characters_that_zoho_refuses_are_written_wide_but_not_in_ids(update):
    *others, plan = found(['a"|<b>'])
    plan["action"] = 'Language "<hello>" | wave'
    [[_, row]] = update("zoho", updates(*others, plan)).values()
    assert (row[0], row[7]) == ('a"|<b>', "Language ＂＜hello＞＂ ｜ wave")


def test_the_held_back_and_who_has_not_agreed_get_no_date_and_the_reason(update):
    ids, held_back = ["1", "2", "3", "4", "5"], [True, False, False, False, True]
    *whole, plan = found(ids, held_back)
    plan.loc[0, ["action", "due"]] = say.word("held_back"), pd.NaT  # as the plan says it
    listed = updates(
        *whole,
        plan,
        allowed(**{"1": True, "2": True, "3": True, "4": False, "5": False}),
    )
    assert listed.may_contact.tolist() == [True, True, True, False, False]
    reasons = [say.word("held_back"), *["Write, and call"] * 2, *[say.word("no_consent")] * 2]
    [[_, *rows]] = update("zoho", listed).values()
    dates = ["", "11/05/2026", "11/05/2026", "", ""]
    held = ["true", "false", "false", "false", "true"]
    assert [row[7:] for row in rows] == [
        list(row) for row in zip(reasons, dates, held, strict=True)
    ]
    [[_, *rows]] = update("fxiaoke", listed).values()
    assert [row[8] for row in rows] == [None, DUE.to_pydatetime(), DUE.to_pydatetime(), None, None]
    assert [row[9] for row in rows] == ["是", "否", "否", "否", "是"]


def test_what_is_not_known_of_a_customer_is_an_empty_cell(update):
    matrix, rfm_, clv, churn, plan = found(["new"])
    listed = updates(
        matrix, rfm_, clv.head(0), churn.assign(churn_risk=np.nan), plan.assign(due=pd.NaT)
    )
    [[_, row]] = update("zoho", listed).values()
    assert row[5:9] == ["", "", "Write, and call", ""]
    [[_, row]] = update("fxiaoke", listed).values()
    assert row[5:9] == [None, None, "Write, and call", None]


def test_every_class_is_said_in_words():
    names = {
        "tier": picture.TIERS,
        "risk_band": picture.RISKS,
        "stage": schema.STAGES,
        "rfm_segment": [*{name for row in rfm.RFM_SEGMENTS for name in row}, "prospect"],
    }
    for column, classes in names.items():
        ids = [*map(str, range(len(classes)))]
        first = texts(*ids).assign(**{column: [*classes]})
        assert set(updates(first, *found(ids))[column]) <= set(say.labels.values())


def test_the_order_of_rows_does_not_matter_and_nothing_given_is_changed(tmp_path):
    whole = found([f"={i:03d}" for i in range(50)], held_back=True)
    before = [table.copy(deep=True) for table in whole]
    exports.write_updates(updates(*whole), "zoho", tmp_path)
    for table, was in zip(whole, before, strict=True):
        pd.testing.assert_frame_equal(table, was)
    mixed = [table.sample(frac=1, random_state=seed) for seed, table in enumerate(whole)]
    pd.testing.assert_frame_equal(updates(*whole), updates(*mixed))


def test_a_long_list_is_split_at_the_limit_of_rows(update, limits):
    for crm in exports.CRMS:
        limits(crm, max_rows=10)
        for rows, sizes in ((9, [9]), (10, [10]), (11, [10, 1]), (25, [10, 10, 5])):
            ids = [f"{i:03d}" for i in range(rows)]
            parts = update(crm, updates(*found(ids)))
            ends = [""] if len(sizes) == 1 else [f"_{n}" for n in range(1, len(sizes) + 1)]
            assert [*parts] == [f"{crm}_updates{end}.{exports.CRMS[crm].file}" for end in ends]
            assert [len(part) - 1 for part in parts.values()] == sizes
            assert [row[0] for part in parts.values() for row in part[1:]] == ids
            assert len({tuple(part[0]) for part in parts.values()}) == 1
    limits("zoho", max_rows=1)
    parts = update("zoho", updates(*found([f"{i:03d}" for i in range(12)])))
    assert next(iter(parts)) == "zoho_updates_01.csv"  # sorted as the rows are
    assert [part[1][0] for part in parts.values()] == [f"{i:03d}" for i in range(12)]


def test_a_heavy_list_is_halved_until_each_file_is_small_enough(tmp_path, update, limits):
    ids = [f"客户\n{i:03d}" for i in range(100)]
    for size in (300, 5_000):
        limits("zoho", max_bytes=size)
        parts = update("zoho", updates(*found(ids)))
        assert all(path.stat().st_size <= size for path in tmp_path.iterdir())
        assert [row[0] for part in parts.values() for row in part[1:]] == ids
    limits("zoho", max_bytes=len(exact := (tmp_path / "zoho_updates_1.csv").read_bytes()))
    first = [row[0] for row in next(iter(parts.values()))[1:]]
    assert len(update("zoho", updates(*found(first)))) == 1
    limits("zoho", max_bytes=len(exact) - 1)
    assert len(update("zoho", updates(*found(first)))) == 2
    limits("zoho", max_bytes=10)  # a row too large alone is still written
    assert len(update("zoho", updates(*found()))) == 2


@pytest.mark.parametrize("recorded", [True, False, None])
def test_a_stage_brings_the_lists_beside_its_pages_and_heeds_consent(shop, tmp_path, recorded):
    inputs = {}
    if recorded is not None:
        columns = {"customer_id": SOME, "source": "accounts.csv", "line": [1, 2]}
        profiles = pd.DataFrame(columns | ({"consent": [True, False]} if recorded else {}))
        inputs["profiles"] = str(tmp_path / "profiles.parquet")
        schema.write("profiles", profiles, tmp_path / "profiles.parquet")
    company = shop("id,day,eur\n007,2026-01-01,1\n")
    stage = runs.Stage("05_strategy", company, dt.date(2026, 10, 29), tmp_path, inputs)
    assert stage.export_updates(*found()).may_contact.tolist() == [True, not recorded]
    names = {path.name for path in (tmp_path / "pages").iterdir()}
    assert names == {"fxiaoke_updates.xlsx", "zoho_updates.csv"}
