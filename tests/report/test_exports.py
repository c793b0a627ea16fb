import csv
import dataclasses
import datetime as dt
import io
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from analysis import schema
from analysis.report import exports
from analysis.report.text import Language
from analysis.run import stage as runs
from analysis.segments import registry, rfm
from analysis.strategy import picture

DANGEROUS = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM(A1)",
    "=cmd|' /C calc'!A0",
    "-5",
]
IDS = [
    "007",
    "1234567890123456789",
    "0",
    "1e5",
    "2026-01-01",
    "TRUE",
    "NULL",
    "NA",
    "Überkunde",
    "客户",
]

SAY = Language()
SAY.labels |= registry.labels()


def read_csv(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def read_xlsx(path):
    return [list(row) for row in load_workbook(path).active.iter_rows()]


def texts(*values, dtype=object):
    return pd.DataFrame({"customer_id": pd.Series(values, dtype=dtype)})


@pytest.fixture
def written(tmp_path):
    """Write a frame both ways; give the CSV's rows and the XLSX's cells, headings first."""

    def write(frame):
        exports.write_csv(frame, tmp_path / "list.csv")
        exports.write_xlsx(frame, tmp_path / "list.xlsx", "list")
        return read_csv(tmp_path / "list.csv"), read_xlsx(tmp_path / "list.xlsx")

    return write


@pytest.mark.parametrize("dtype", [object, "str", "string"])
@pytest.mark.parametrize("text", DANGEROUS)
def test_a_text_that_would_run_gets_an_apostrophe(written, text, dtype):
    rows, cells = written(texts(text, dtype=dtype))
    assert rows[1] == [f"'{text}"]
    assert cells[1][0].data_type == "s"
    assert cells[1][0].value == f"'{text}".replace("\r", "\n")  # XML makes one line end of all


@pytest.mark.parametrize("text", DANGEROUS)
def test_a_heading_that_would_run_gets_an_apostrophe(written, text):
    rows, cells = written(pd.DataFrame({text: ["x"]}))
    assert rows[0] == [f"'{text}"]
    assert cells[0][0].data_type == "s"
    assert cells[0][0].value.startswith("'")


def test_a_categorical_text_that_would_run_gets_an_apostrophe(written):
    rows, cells = written(texts("=1+1", dtype="category"))
    assert rows[1] == ["'=1+1"]
    assert cells[1][0].data_type == "s"


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=20))
def test_no_neutral_text_begins_like_a_formula_or_holds_control_characters(text):
    neutral = exports.neutral(text)
    assert not neutral or neutral[0] not in "=+-@\t\r\n＝＋－＠"
    assert not [c for c in neutral if ord(c) < 32 and c not in "\t\r\n"]


@settings(max_examples=50)
@given(st.text(st.characters(categories=["L", "N", "Zs"]), max_size=20))
def test_plain_text_is_left_as_it_is(text):
    assert exports.neutral(text) == text


def test_a_control_character_does_not_hide_a_formula(written):
    rows, cells = written(texts("\x00=1+1", "a\x0bb\x1fc"))
    assert [row[0] for row in rows[1:]] == ["'=1+1", "abc"]
    assert [(row[0].data_type, row[0].value) for row in cells[1:]] == [("s", "'=1+1"), ("s", "abc")]


def test_a_workbook_with_noncharacters_can_be_opened(written):
    _, cells = written(texts("a\uffffb"))
    assert cells[1][0].data_type == "s"


def test_ids_come_back_as_the_texts_they_were(written):
    rows, cells = written(texts(*IDS))
    assert [row[0] for row in rows[1:]] == IDS
    assert [(row[0].data_type, row[0].value) for row in cells[1:]] == [("s", i) for i in IDS]


def test_an_id_that_reads_like_a_spreadsheet_error_stays_text(written):
    _, cells = written(texts("#N/A"))
    assert cells[1][0].data_type == "s"


def test_negative_numbers_stay_numbers(written):
    frame = pd.DataFrame(
        {"whole": [-3], "part": [-1.25], "exact": pd.Series([Decimal("-0.10")], dtype=object)}
    )
    rows, cells = written(frame)
    assert rows[1] == ["-3", "-1.25", "-0.10"]
    assert [(cell.data_type, cell.value) for cell in cells[1]] == [
        ("n", -3),
        ("n", -1.25),
        ("n", -0.1),
    ]


def test_days_are_written_without_a_time(written):
    rows, cells = written(pd.DataFrame({"due": pd.to_datetime(["2026-11-01"])}))
    assert rows[1] == ["2026-11-01"]
    assert cells[1][0].value == dt.datetime(2026, 11, 1)
    assert "h" not in cells[1][0].number_format


def test_what_is_missing_is_an_empty_cell(written):
    frame = pd.DataFrame(
        {
            "id": ["1", "2"],
            "name": ["a", None],
            "cost": [1.5, float("nan")],
            "due": [pd.Timestamp("2026-11-01"), pd.NaT],
        }
    )
    rows, cells = written(frame)
    assert rows[2] == ["2", "", "", ""]
    assert [cell.value for cell in cells[2]] == ["2", None, None, None]


def test_separators_quotes_and_line_ends_inside_a_text_stay_in_its_cell(written):
    text = 'a,"b";c\r\n=1+1'
    rows, cells = written(pd.DataFrame({"name": [text], "next": ["x"]}))
    assert rows[1] == [text, "x"]
    assert cells[1][0].value == text.replace("\r\n", "\n")


def test_csv_is_utf8_with_a_byte_order_mark_and_windows_line_ends(tmp_path):
    exports.write_csv(texts("客户"), tmp_path / "list.csv")
    assert (
        tmp_path / "list.csv"
    ).read_bytes() == b"\xef\xbb\xbfcustomer_id\r\n" + "客户".encode() + b"\r\n"


def test_the_frame_is_not_changed(written):
    frame = pd.DataFrame({"=name": ["=1", "-2"], "n": [1, 2]})
    before = frame.copy(deep=True)
    written(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_a_frame_without_rows_still_has_its_headings(written):
    rows, cells = written(pd.DataFrame({"a": pd.Series(dtype=str), "b": pd.Series(dtype=float)}))
    assert rows == [["a", "b"]]
    assert [[cell.value for cell in row] for row in cells] == [["a", "b"]]


# Workbooks
@pytest.mark.parametrize(
    "value", [float("inf"), float("-inf"), Decimal("NaN"), Decimal("Infinity"), pd.NaT, pd.NA, None]
)
def test_a_workbook_shows_nothing_for_a_number_that_is_none(tmp_path, value):
    exports.write_xlsx(
        pd.DataFrame({"n": pd.Series([value, 1], dtype=object)}), tmp_path / "list.xlsx", "list"
    )
    assert [row[0].value for row in read_xlsx(tmp_path / "list.xlsx")] == ["n", None, 1]


def test_values_of_every_kind_come_back_from_a_workbook(tmp_path):
    frame = pd.DataFrame(
        {
            "flag": [True, False],
            "whole": [-(2**53), 10**15],
            "nullable": pd.array([1, None], dtype="Int64"),
            "part": [0.1, 1e-300],
            "exact": [Decimal("1E+3"), Decimal("0.10")],
            "numpy": pd.Series([np.int64(3), np.float64(0.5)], dtype=object),
            "day": [dt.date(1970, 1, 1), dt.date(2100, 12, 31)],
            "moment": pd.to_datetime(["2024-02-29 23:59:59", None]),
            "text": [" two  spaces & <b>\n", "客户 😀"],
        }
    )
    exports.write_xlsx(frame, tmp_path / "list.xlsx", "list")
    first, second = ([cell.value for cell in row] for row in read_xlsx(tmp_path / "list.xlsx")[1:])
    days = [dt.datetime(1970, 1, 1), dt.datetime(2024, 2, 29)]
    assert first == [True, -(2**53), 1, 0.1, 1000, 3, *days, " two  spaces & <b>\n"]
    assert second == [
        False,
        10**15,
        None,
        1e-300,
        0.1,
        0.5,
        dt.datetime(2100, 12, 31),
        None,
        "客户 😀",
    ]


def test_ids_of_a_workbook_are_formatted_as_text(tmp_path):
    exports.write_xlsx(
        pd.DataFrame({"customer_id": ["007"], "name": ["007"]}), tmp_path / "list.xlsx", "list"
    )
    _, [customer, name] = read_xlsx(tmp_path / "list.xlsx")
    assert (customer.number_format, name.number_format) == ("@", "General")


def test_rows_that_one_sheet_cannot_hold_go_on_in_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(exports, "SHEET_ROWS", 4)
    exports.write_xlsx(pd.DataFrame({"n": range(7)}), tmp_path / "list.xlsx", "list")
    book = load_workbook(tmp_path / "list.xlsx")
    found = {page.title: [cell.value for [cell] in page.iter_rows()] for page in book}
    assert found == {"list": ["n", 0, 1, 2], "list 2": ["n", 3, 4, 5], "list 3": ["n", 6]}


@pytest.mark.parametrize("rows", [3, 6])
def test_rows_that_just_fit_need_no_further_sheet(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(exports, "SHEET_ROWS", 4)
    exports.write_xlsx(pd.DataFrame({"n": range(rows)}), tmp_path / "list.xlsx", "list")
    assert len(load_workbook(tmp_path / "list.xlsx").sheetnames) == rows // 3


@pytest.mark.parametrize(
    "name", ["a" * 40, "a/b:c*d?[e]\\f", "'quoted'", "", "客户" * 30, "a\x00b"]
)
def test_any_name_becomes_a_name_of_sheets_that_spreadsheets_take(tmp_path, monkeypatch, name):
    monkeypatch.setattr(exports, "SHEET_ROWS", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exports.write_xlsx(pd.DataFrame({"n": range(12)}), tmp_path / "list.xlsx", name)
    names = load_workbook(tmp_path / "list.xlsx").sheetnames
    assert len(set(names)) == 12
    assert all(0 < len(name) <= 31 and not set(name) & set("[]:*?/\\'") for name in names)


def test_a_text_longer_than_a_cell_is_cut(tmp_path):
    exports.write_xlsx(texts("&" * 40_000), tmp_path / "list.xlsx", "list")
    assert read_xlsx(tmp_path / "list.xlsx")[1][0].value == "&" * 32_767


def test_a_text_that_looks_like_the_writers_own_xml_is_shown_as_it_is(tmp_path):
    rich = "<r><t>hello</t></r><row/></r>"
    exports.write_xlsx(texts(rich, "http://a.example", "12"), tmp_path / "list.xlsx", "list")
    book = load_workbook(tmp_path / "list.xlsx")
    cells = [row[0] for row in book.active.iter_rows()][1:]
    assert [cell.value for cell in cells] == [f"'{rich}", "http://a.example", "12"]
    assert all(cell.data_type == "s" and cell.hyperlink is None for cell in cells)


def test_a_full_disk_is_told_as_such(tmp_path):
    class Full(io.BytesIO):
        def write(self, content):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        exports.write_xlsx(texts("7"), Full(), "list")


def test_the_same_frame_gives_the_same_workbook():
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        exports.write_xlsx(texts(*IDS), file, "list")
    assert files[0].getvalue() == files[1].getvalue()


# Update lists for CRM systems
SOME = ["007", "1234567890123456789"]
DUE = pd.Timestamp("2026-11-05")


def found(ids=SOME, arm="treat"):
    """What the strategy hands over, for these customers."""
    matrix = pd.DataFrame(
        {
            "customer_id": ids,
            "tier": "strategic",
            "stage": "loyal",
            "risk_band": "high",
            "reason": "A twice",
        }
    )
    rfm = pd.DataFrame(
        {"customer_id": ids, "rfm_segment": "champions", "stage": "loyal", "abc_revenue": "A"}
    )
    clv = pd.DataFrame({"customer_id": ids, "clv": 1234.5678, "expected_orders": 1.0})
    churn = pd.DataFrame({"customer_id": ids, "churn_risk": 0.8251, "risk_band": "high"})
    plan = pd.DataFrame(
        {
            "customer_id": ids,
            "action": "Write, and call",
            "due": DUE,
            "arm": arm,
            "owner": "Ms Smith",
        }
    )
    return matrix, rfm, clv, churn, plan


def consent(**by_id):
    return pd.DataFrame(
        {"customer_id": list(by_id), "consent": pd.Series(list(by_id.values()), dtype=object)}
    )


def updates(*schema):
    return exports.crm_updates(SAY.word, *schema)


@pytest.fixture
def update(tmp_path):
    """Write an update list for a CRM; give all of its files' rows and names."""

    def write(crm, frame):
        paths = exports.write_updates(frame, crm, tmp_path)
        read = {
            "zoho": read_csv,
            "fxiaoke": lambda path: [[cell.value for cell in row] for row in read_xlsx(path)],
        }[crm]
        return [read(path) for path in paths], [path.name for path in paths]

    return write


@pytest.fixture
def limits(monkeypatch):
    """Change what a CRM takes."""

    def change(crm, **given):
        monkeypatch.setitem(exports.CRMS, crm, dataclasses.replace(exports.CRMS[crm], **given))

    return change


def test_an_update_list_for_zoho_is_as_its_documentation_asks(update, tmp_path):
    update("zoho", updates(*found(SOME[:1])))
    assert (
        (tmp_path / "zoho_updates.csv").read_bytes()
        == b'Account Number,Customer Segment,Customer Tier,Lifecycle Stage,Churn Risk,Churn Risk Percent,Lifetime Value,Next Action,Next Action Due,Held Back\r\n007,Champions,Strategic,Loyal,High,82.5,1234.57,"Write, and call",11/05/2026,false\r\n'
    )


def test_an_update_list_for_fxiaoke_is_a_workbook_with_chinese_headings(update, tmp_path):
    [rows], names = update("fxiaoke", updates(*found(SOME[:1])))
    assert names == ["fxiaoke_updates.xlsx"]
    assert rows == [
        [*exports.CRMS["fxiaoke"].fields.values()],
        [
            "007",
            "Champions",
            "Strategic",
            "Loyal",
            "High",
            82.5,
            1234.57,
            "Write, and call",
            DUE.to_pydatetime(),
            "否",
        ],
    ]
    assert all(any("\u4e00" <= sign <= "\u9fff" for sign in heading) for heading in rows[0])
    key = read_xlsx(tmp_path / "fxiaoke_updates.xlsx")[1][0]
    assert (key.data_type, key.number_format) == ("s", "@")


@pytest.mark.parametrize("crm", exports.CRMS)
def test_a_crm_is_described_whole(crm):
    wants = exports.CRMS[crm]
    assert next(iter(wants.fields)) == "customer_id"
    assert set(wants.fields) <= set(updates(*found()))
    assert len(set(wants.fields.values())) == len(wants.fields) <= wants.max_columns
    assert wants.file in ("csv", "xlsx") and (wants.date_format or wants.file == "xlsx")


def test_zohos_limits_are_those_it_documents():
    wants = exports.CRMS["zoho"]
    assert (wants.max_rows, wants.max_columns, wants.max_bytes) == (25_000, 200, 25 * 10**6)


@pytest.mark.parametrize("crm", exports.CRMS)
def test_nothing_but_ids_and_computed_columns_leaves(update, crm):
    contacts = pd.DataFrame(
        {
            "customer_id": SOME,
            "name": "Li Lei",
            "email": "li@example.com",
            "phone": "+86",
            "consent": True,
        }
    )
    [rows], _ = update(crm, updates(*found(), contacts))
    said = " ".join(str(cell) for row in rows for cell in row)
    assert not [
        word for word in ("Li Lei", "example.com", "+86", "Smith", "A twice") if word in said
    ]


@pytest.mark.parametrize("crm", exports.CRMS)
def test_ids_of_update_lists_come_back_as_they_were(update, crm):
    [rows], _ = update(crm, updates(*found(IDS)))
    assert sorted(row[0] for row in rows[1:]) == sorted(IDS)


@settings(max_examples=30)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1),
        min_size=1,
        unique=True,
    )
)
def test_any_id_that_is_no_formula_comes_back_from_zohos_file(tmp_path_factory, ids):
    folder = tmp_path_factory.mktemp("ids")
    ids = [customer for customer in ids if exports.neutral(customer) == customer] or ["0"]
    [path] = exports.write_updates(updates(*found(ids)), "zoho", folder)
    with path.open(encoding="utf-8", newline="") as file:
        assert sorted(row[0] for row in list(csv.reader(file))[1:]) == sorted(ids)


@pytest.mark.parametrize("crm", exports.CRMS)
@pytest.mark.parametrize("text", DANGEROUS)
def test_no_text_of_an_update_list_would_run(update, crm, text):
    matrix, rfm, clv, churn, plan = found([text])
    rows = updates(
        matrix.assign(tier=text), rfm.assign(rfm_segment=text), clv, churn, plan.assign(action=text)
    )
    [[_, cells]], _ = update(crm, rows)
    assert all(cells[place].startswith("'") for place in (0, 1, 2, 7))


def test_characters_that_zoho_refuses_are_written_wide_but_not_in_ids(update):
    matrix, *others, plan = found(['a"|<b>'])
    [[_, row]], _ = update(
        "zoho", updates(matrix, *others, plan.assign(action='Language "<hello>" | wave'))
    )
    assert row[0] == 'a"|<b>'
    assert row[7] == "Language ＂＜hello＞＂ ｜ wave"


def test_the_held_back_get_no_action_and_are_marked(update):
    matrix, *others, plan = found(["1", "2", "3"])
    plan["arm"] = ["control", "treat", "exempt"]
    [[_, *rows]], _ = update("zoho", updates(matrix, *others, plan))
    action = SAY.word("held_back")
    assert [row[7:] for row in rows] == [
        [action, "", "true"],
        *[["Write, and call", "11/05/2026", "false"]] * 2,
    ]
    [[_, *rows]], _ = update("fxiaoke", updates(matrix, *others, plan))
    assert [row[8:] for row in rows] == [[None, "是"], *[[DUE.to_pydatetime(), "否"]] * 2]


def test_only_who_has_consented_gets_an_action_where_consent_is_recorded(update):
    listed = updates(
        *found(["1", "2", "3", "4"], arm=["treat", "treat", "treat", "control"]),
        consent(**{"1": True, "2": False, "3": None}),
    )
    assert listed.may_contact.tolist() == [True, False, False, False]
    [[_, *rows]], _ = update("zoho", listed)
    action = SAY.word("no_consent")
    assert [row[7:9] for row in rows] == [["Write, and call", "11/05/2026"], *[[action, ""]] * 3]
    assert [row[2] for row in rows] == ["Strategic"] * 4


def test_where_nobodys_consent_is_recorded_all_get_their_action():
    listed = updates(*found())
    assert listed.may_contact.all() and (listed.action == "Write, and call").all()


def test_consent_read_as_a_nullable_flag_means_the_same():
    given = consent(**{SOME[0]: True, SOME[1]: None}).astype({"consent": "boolean"})
    assert updates(*found(), given).may_contact.tolist() == [True, False]


def test_what_is_not_known_of_a_customer_is_an_empty_cell(update):
    matrix, rfm, clv, churn, plan = found(["new"])
    listed = updates(
        matrix, rfm, clv.head(0), churn.assign(churn_risk=np.nan), plan.assign(due=pd.NaT)
    )
    assert update("zoho", listed)[0][0][1][5:9] == ["", "", "Write, and call", ""]
    assert update("fxiaoke", listed)[0][0][1][5:9] == [None, None, "Write, and call", None]


@pytest.mark.parametrize("crm", exports.CRMS)
def test_fields_for_which_there_is_no_column_are_left_out(update, crm):
    matrix, _, clv, churn, plan = found()
    [rows], _ = update(
        crm,
        updates(
            matrix,
            clv.drop(columns="clv"),
            churn.drop(columns="churn_risk"),
            plan[["customer_id", "due"]],
        ),
    )
    fields = exports.CRMS[crm].fields
    assert rows[0] == [
        fields[column] for column in ("customer_id", "tier", "stage", "risk_band", "due")
    ]
    assert update(crm, updates(matrix[["customer_id"]]))[0] == [
        [[fields["customer_id"]], *[[i] for i in SOME]]
    ]


@pytest.mark.parametrize("crm", exports.CRMS)
def test_without_customers_there_is_no_file(update, crm):
    assert update(crm, updates(*(table.head(0) for table in found()))) == ([], [])


def test_every_class_is_said_in_the_catalogues_words():
    n = len(picture.RISKS) * len(picture.TIERS)
    names = [*{name for row in rfm.RFM_SEGMENTS for name in row}, "prospect"]
    ids = [f"{i:02d}" for i in range(n)]
    matrix = pd.DataFrame(
        {"customer_id": ids, "tier": [*picture.TIERS] * 5, "risk_band": [*picture.RISKS] * 4}
    )
    listed = updates(
        matrix,
        pd.DataFrame(
            {
                "customer_id": ids,
                "rfm_segment": (names * n)[:n],
                "stage": ([*schema.STAGES] * n)[:n],
            }
        ),
    )
    words = set(SAY.labels.values())
    assert set(listed[["tier", "risk_band", "rfm_segment", "stage"]].to_numpy().ravel()) <= words


def test_the_order_of_rows_does_not_matter(update):
    whole = found([f"{i:03d}" for i in range(50)])
    mixed = [table.sample(frac=1, random_state=seed) for seed, table in enumerate(whole)]
    pd.testing.assert_frame_equal(updates(*whole), updates(*mixed))


def test_what_it_is_made_of_is_not_changed(tmp_path):
    given = (*found(["=1", "2"], arm="control"), consent(**{"2": False}))
    before = [table.copy(deep=True) for table in given]
    exports.write_updates(updates(*given), "zoho", tmp_path)
    for table, was in zip(given, before, strict=True):
        pd.testing.assert_frame_equal(table, was)


@pytest.mark.parametrize("crm", exports.CRMS)
@pytest.mark.parametrize(
    ("rows", "sizes"), [(9, [9]), (10, [10]), (11, [10, 1]), (25, [10, 10, 5])]
)
def test_a_long_list_is_split_at_the_limit_of_rows(update, limits, crm, rows, sizes):
    limits(crm, max_rows=10)
    parts, names = update(crm, updates(*found([f"{i:03d}" for i in range(rows)])))
    assert [len(part) - 1 for part in parts] == sizes
    assert [row[0] for part in parts for row in part[1:]] == [f"{i:03d}" for i in range(rows)]
    assert len({tuple(part[0]) for part in parts}) == 1
    assert len(names) == 1 or names == [
        f"{crm}_updates_{n}.{exports.CRMS[crm].file}" for n in range(1, len(parts) + 1)
    ]


def test_numbers_of_files_sort_as_the_files_do(update, limits):
    limits("zoho", max_rows=1)
    parts, names = update("zoho", updates(*found([f"{i:03d}" for i in range(12)])))
    assert names == sorted(names) and names[0] == "zoho_updates_01.csv"
    assert [part[1][0] for part in parts] == [f"{i:03d}" for i in range(12)]


@pytest.mark.parametrize("size", [300, 1_000, 10_000])
def test_a_heavy_list_is_split_at_the_limit_of_bytes_also_inside_wide_characters(
    tmp_path, limits, size
):
    limits("zoho", max_bytes=size)
    ids = [f"客户\n{i:03d}" for i in range(200)]
    paths = exports.write_updates(updates(*found(ids)), "zoho", tmp_path)
    assert all(path.stat().st_size <= size for path in paths)
    assert len(paths) > 1
    assert [row[0] for path in paths for row in read_csv(path)[1:]] == ids


def test_a_row_that_is_too_large_alone_is_still_written(tmp_path, limits):
    limits("zoho", max_bytes=10)
    assert len(exports.write_updates(updates(*found()), "zoho", tmp_path)) == 2


def test_a_full_list_for_zoho_is_split_as_documented(tmp_path):
    paths = exports.write_updates(
        updates(*found([f"{i:06d}" for i in range(25_001)])), "zoho", tmp_path
    )
    assert [len(read_csv(path)) for path in paths] == [25_001, 2]


def test_more_fields_than_the_crm_takes_are_refused(tmp_path, limits):
    limits("zoho", max_columns=3)
    with pytest.raises(ValueError, match="zoho: 10 fields, but it takes 3"):
        exports.write_updates(updates(*found()), "zoho", tmp_path)


@pytest.mark.parametrize("recorded", [True, False])
def test_a_stage_brings_the_lists_beside_its_pages_and_heeds_consent(shop, tmp_path, recorded):
    columns = {"customer_id": SOME, "source": "accounts.csv", "line": [1, 2]} | (
        {"consent": [True, False]} if recorded else {}
    )
    schema.write("profiles", pd.DataFrame(columns), tmp_path / "profiles.parquet")
    settings = shop("id,day,eur\n007,2026-01-01,1\n")
    stage = runs.Stage(
        "05_strategy",
        settings,
        dt.date(2026, 10, 29),
        tmp_path,
        {"profiles": str(tmp_path / "profiles.parquet")},
    )
    listed = stage.export_updates(*found())
    assert listed.may_contact.tolist() == [True, not recorded]
    assert sorted(path.name for path in (tmp_path / "pages").iterdir()) == [
        "fxiaoke_updates.xlsx",
        "zoho_updates.csv",
    ]


def test_a_stage_of_a_company_without_profiles_brings_them_too(shop, tmp_path):
    stage = runs.Stage(
        "05_strategy", shop("id,day,eur\n007,2026-01-01,1\n"), dt.date(2026, 10, 29), tmp_path, {}
    )
    assert stage.export_updates(*found()).may_contact.all()
