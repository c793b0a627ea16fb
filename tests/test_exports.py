import csv
import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from analysis import exports

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
IDS = ["007", "1234567890123456789", "0", "1e5", "2026-01-01", "TRUE", "NULL", "NA", "Überkunde", "客户"]


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
    frame = pd.DataFrame({"whole": [-3], "part": [-1.25], "exact": pd.Series([Decimal("-0.10")], dtype=object)})
    rows, cells = written(frame)
    assert rows[1] == ["-3", "-1.25", "-0.10"]
    assert [(cell.data_type, cell.value) for cell in cells[1]] == [("n", -3), ("n", -1.25), ("n", -0.1)]


def test_days_are_written_without_a_time(written):
    rows, cells = written(pd.DataFrame({"due": pd.to_datetime(["2026-11-01"])}))
    assert rows[1] == ["2026-11-01"]
    assert cells[1][0].value == dt.datetime(2026, 11, 1)
    assert "h" not in cells[1][0].number_format


def test_what_is_missing_is_an_empty_cell(written):
    frame = pd.DataFrame(
        {"id": ["1", "2"], "name": ["a", None], "cost": [1.5, float("nan")], "due": [pd.Timestamp("2026-11-01"), pd.NaT]}
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
    assert (tmp_path / "list.csv").read_bytes() == b"\xef\xbb\xbfcustomer_id\r\n" + "客户".encode() + b"\r\n"


def test_the_frame_is_not_changed(written):
    frame = pd.DataFrame({"=name": ["=1", "-2"], "n": [1, 2]})
    before = frame.copy(deep=True)
    written(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_a_frame_without_rows_still_has_its_headings(written):
    rows, cells = written(pd.DataFrame({"a": pd.Series(dtype=str), "b": pd.Series(dtype=float)}))
    assert rows == [["a", "b"]]
    assert [[cell.value for cell in row] for row in cells] == [["a", "b"]]
