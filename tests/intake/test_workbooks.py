import datetime as dt
import zipfile
from decimal import Decimal

import openpyxl
import pytest

from analysis.errors import InputError
from analysis.intake import workbooks
from analysis.intake.rows import as_typed
from tests.intake.reading import HEADER, ROW, of


def workbook(sheets):
    def write(path):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for name, rows in sheets.items():
            page = book.create_sheet(name)
            for number, row in enumerate(rows, start=1):
                for column, value in enumerate(row, start=1):
                    if value is not None:
                        page.cell(number, column, value)
        book.save(path)

    return write


NAMES = ["id", "day", "eur"]
DAY = dt.datetime(2024, 1, 5)


def in_sheet(read_all, *rows, **table):
    return read_all({"path": "o.xlsx"} | table, make={"o.xlsx": workbook({"Sheet": rows})})


def test_cells_are_the_texts_a_person_would_have_typed(read_all):
    rows = [
        ["007", DAY, 5],
        [7, dt.datetime(2024, 1, 5, 10, 30), 5.25],
        [8.0, "05.01.2024", "5,00"],
        [123456789012345, 45296, -0.1],
        ["NA", 45296.4375, 1e3],
        [True, dt.date(2024, 1, 5), "=1+1"],
    ]
    (found,) = in_sheet(read_all, NAMES, *rows).values()
    assert of(found, "customer_id") == ["007", "7", "8", "123456789012345", "NA", "True"]
    days = ["2024-01-05", "2024-01-05 10:30:00", "05.01.2024", "45296", "45296.4375", "2024-01-05"]
    assert of(found, "date") == days
    assert of(found, "amount") == [
        "5",
        "5.25",
        "5,00",
        "-0.1",
        "1000",
        None,
    ]  # a formula that was never worked out


def test_a_number_in_a_sheet_is_one_whatever_decimal_mark_the_texts_have(
    company, judge_all, tmp_path
):
    rows = [[7, DAY, 123.456], [7, 45296.4375, 5], [7, DAY, "1.234,50"]]
    workbook({"Sheet": [NAMES, *rows]})(tmp_path / "o.xlsx")
    table = {"path": "o.xlsx", "decimal": ",", "date_format": "excel"}
    table["columns"] = {"customer_id": "id", "date": "day", "amount": "eur"}
    files = {"o.xlsx": (tmp_path / "o.xlsx").read_bytes()}
    judged = judge_all(company(files, {"transactions": table}))["transactions"].order_by("line")
    amounts = judged.amount.to_pyarrow().to_pylist()
    assert amounts == [Decimal("123.456"), Decimal(5), Decimal("1234.50")]
    assert judged.moment.to_pyarrow().to_pylist()[1] == dt.datetime(2024, 1, 5, 10, 30)


def test_numbers_beyond_the_digits_of_a_spreadsheet_are_told_and_refused_as_ids(
    company, judge_all, tmp_path
):
    rows = [[f"{n}", DAY, 1234567890123450.0 + n] for n in (0, 10, 20)]
    workbook({"Sheet": [NAMES, *rows]})(tmp_path / "o.xlsx")
    files = {"o.xlsx": (tmp_path / "o.xlsx").read_bytes()}
    table = {"path": "o.xlsx", "columns": {"customer_id": "eur", "date": "day"}}
    with pytest.raises(InputError, match=r"3 of 3 order lines .* export them as text"):
        judge_all(company(files, {"transactions": table}))
    table["columns"] = {"customer_id": "id", "date": "day", "amount": "eur"}
    rows[0][2] = 1234567890.25  # money of any size is read as it stands
    workbook({"Sheet": [NAMES, *[[r[0], r[1], r[2] / 10] for r in rows]]})(tmp_path / "o.xlsx")
    files = {"o.xlsx": (tmp_path / "o.xlsx").read_bytes()}
    judged = judge_all(company(files, {"transactions": table}))["transactions"].order_by("line")
    assert judged.amount.to_pyarrow().to_pylist()[1:] == [
        Decimal("123456789012346"),
        Decimal("123456789012347"),
    ]
    assert list(map(as_typed, (999999999999999.0, 1e15, -1.5e15, 1e16, 0.5))) == [
        "999999999999999",
        "1.000000000000000e+15",
        "-1.500000000000000e+15",
        "1e+16",
        "0.5",
    ]


def test_empty_rows_and_cells_at_the_end_are_no_fault(read_all):
    rows = [
        NAMES,
        ["7", DAY, 5],
        [],
        [None, "\u3000", None],
        ["8"],
        ["9", DAY, 5, None],
        ["9", DAY, 5, "note"],
    ]
    (found,) = in_sheet(read_all, *rows).values()
    assert of(found, "line") == [2, 4, 5, 6, 7]
    assert of(found, "customer_id") == ["7", None, "8", "9", None] and of(found, "fields")[-1] == 4


def test_a_sheet_may_have_a_title_or_no_header(read_all):
    titled = in_sheet(read_all, ["Orders of 2024"], [], NAMES, ["7", DAY, 5], header=2)
    assert titled["o.xlsx"] == [
        {"line": 4, "customer_id": "7", "date": "2024-01-05", "amount": "5"}
    ]
    columns = {"customer_id": "1", "date": "2", "amount": "3"}
    bare = in_sheet(read_all, ["7", DAY, 5], ["8", DAY, 5], header=0, columns=columns)
    assert of(bare["o.xlsx"], "customer_id") == ["7", "8"] and of(bare["o.xlsx"], "line") == [1, 2]


def test_headers_of_a_sheet_are_normal_unique_and_may_be_blank(read_all):
    (found,) = in_sheet(
        read_all, ["ｉｄ\n", None, "day ", None, "eur", None], ["7", "x", DAY, "y", 5]
    ).values()
    assert found == [{"line": 2, "customer_id": "7", "date": "2024-01-05", "amount": "5"}]
    with pytest.raises(InputError, match=r"o\.xlsx: the header repeats 'id'"):
        in_sheet(read_all, ["id", "id", "day", "eur"], ["7", "8", DAY, 5])


def test_of_several_sheets_one_is_named(read_all):
    book = workbook(
        {
            "Notes": [["Orders, see the other"]],
            "Orders": [NAMES, ["7", DAY, 5]],
            "订单": [NAMES, ["8", DAY, 5]],
        }
    )
    with pytest.raises(
        InputError, match=r"o\.xlsx: has several sheets; name one as sheet: Notes, Orders, 订单"
    ):
        read_all({"path": "o.xlsx"}, make={"o.xlsx": book})
    with pytest.raises(
        InputError, match=r"o\.xlsx:Order: has no sheet 'Order'; found: Notes, Orders, 订单"
    ):
        read_all({"path": "o.xlsx", "sheet": "Order"}, make={"o.xlsx": book})
    both = [{"path": "o.xlsx", "sheet": "订单"}, {"path": "o.xlsx", "sheet": "Orders"}]
    found = read_all(both, make={"o.xlsx": book})
    assert {name: of(rows, "customer_id") for name, rows in found.items()} == {
        "o.xlsx:订单": ["8"],
        "o.xlsx:Orders": ["7"],
    }


def test_a_sheet_of_charts_holds_no_rows(read_all, tmp_path):
    def charted(path):
        book = openpyxl.Workbook()
        for row in (NAMES, ["7", DAY, 5]):
            book.active.append(row)
        chart = openpyxl.chart.BarChart()
        chart.add_data(openpyxl.chart.Reference(book.active, min_col=3, min_row=1, max_row=2))
        book.create_chartsheet("Chart").add_chart(chart)
        book.save(path)

    assert of(read_all({"path": "o.xlsx"}, make={"o.xlsx": charted})["o.xlsx"], "customer_id") == [
        "7"
    ]
    charted(tmp_path / "o.xlsx")
    assert list(workbooks.sheets(tmp_path / "o.xlsx")) == ["Sheet"]


def test_an_empty_sheet_is_an_input_error(read_all):
    with pytest.raises(InputError, match=r"o\.xlsx: the file is empty"):
        in_sheet(read_all)


def packed_with(content):
    def write(path):
        workbook({"Sheet": [NAMES, ["7", DAY, 5]]})(path)
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("xl/media/image1.png", content)

    return write


def test_a_workbook_that_unpacks_to_too_much_is_refused_unread(read_all):
    with pytest.raises(
        InputError,
        match=r"o\.xlsx: unpacks to more than 1 MB; if that is right, raise max_unpacked_mb",
    ):
        read_all(
            {"path": "o.xlsx", "max_unpacked_mb": 1}, make={"o.xlsx": packed_with(bytes(1_100_000))}
        )
    found = read_all(
        {"path": "o.xlsx", "max_unpacked_mb": 2}, make={"o.xlsx": packed_with(bytes(1_100_000))}
    )
    assert len(found["o.xlsx"]) == 1


def rewritten(change):
    """A workbook whose first sheet has other bytes."""

    def write(path):
        workbook({"Sheet": [NAMES, *[["7", DAY, 5]] * 2_000]})(path.with_suffix(".whole"))
        with (
            zipfile.ZipFile(path.with_suffix(".whole")) as whole,
            zipfile.ZipFile(path, "w") as packed,
        ):
            for name in whole.namelist():
                content = whole.read(name)
                packed.writestr(name, change(content) if name.endswith("sheet1.xml") else content)

    return write


def flipped(path):
    """A workbook with one bit changed in the middle of its sheet."""
    rewritten(lambda content: content)(path)
    content = bytearray(path.read_bytes())
    content[content.find(b"sheet1.xml") + 60_000] ^= 1
    path.write_bytes(content)


BOMB = b'<!DOCTYPE x [<!ENTITY a0 "ha">' + b"".join(
    b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12)
)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text(HEADER + ROW),
        lambda path: path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)),
        lambda path: zipfile.ZipFile(path, "w").writestr("readme.txt", "no workbook"),
        rewritten(lambda content: content[: len(content) // 2]),
        rewritten(
            lambda content: (
                BOMB
                + b"]><worksheet><sheetData><row><c><v>&a11;</v></c></row></sheetData></worksheet>"
            )
        ),
        flipped,
    ],
    ids=[
        "csv",
        "old or locked workbook",
        "other zip",
        "cut sheet",
        "entities that unfold",
        "damaged",
    ],
)
def test_what_is_no_whole_workbook_is_an_input_error(read_all, write):
    with pytest.raises(
        InputError,
        match=r"o\.xlsx: (not readable as a workbook .*; save it again|the file is empty)",
    ):
        read_all({"path": "o.xlsx"}, make={"o.xlsx": write})


def test_a_workbook_of_another_name_is_read_where_declared(read_all):
    make = {"export.xls": workbook({"Sheet": [NAMES, ["7", DAY, 5]]})}
    assert of(
        read_all({"path": "export.xls", "format": "excel"}, make=make)["export.xls"], "customer_id"
    ) == ["7"]


def far_cell(place):
    def write(path):
        book = openpyxl.Workbook()
        for row in (NAMES, ["7", DAY, 5]):
            book.active.append(row)
        book.active[place] = "x"
        book.save(path)

    return write


def test_a_cell_far_away_does_not_fill_the_memory_with_blanks(read_all):
    with pytest.raises(InputError, match=r"o\.xlsx: a sheet spans 17,179,869,184 cells, more than"):
        read_all({"path": "o.xlsx"}, make={"o.xlsx": far_cell("XFD1048576")})
    found = read_all({"path": "o.xlsx"}, make={"o.xlsx": far_cell("AB4000")})
    assert of(found["o.xlsx"], "line") == [2, 4000] and of(found["o.xlsx"], "fields") == [None, 28]


def test_positions_of_columns():
    assert [workbooks._position(a) for a in (b"A", b"Z", b"AA", b"XFD")] == [1, 26, 27, 16_384]


def open_document(rows):
    """An .ods file, of XML for its rows."""

    def write(path):
        names = "urn:oasis:names:tc:opendocument:xmlns"
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
            packed.writestr(
                "META-INF/manifest.xml",
                f'<manifest:manifest xmlns:manifest="{names}:manifest:1.0"/>',
            )
            packed.writestr(
                "content.xml",
                f'<office:document-content xmlns:office="{names}:office:1.0"'
                f' xmlns:table="{names}:table:1.0" xmlns:text="{names}:text:1.0"><office:body>'
                f'<office:spreadsheet><table:table table:name="Orders">{rows}</table:table>'
                "</office:spreadsheet></office:body></office:document-content>",
            )

    return write


def open_row(*cells, repeated=""):
    kinds = {str: "string", float: "float", dt.date: "date"}
    places = {str: "string-value", float: "value", dt.date: "date-value"}
    return "".join(
        [
            "<table:table-row>",
            *(
                f'<table:table-cell {repeated} office:value-type="{kinds[type(c)]}"'
                f' office:{places[type(c)]}="{c}"><text:p>{c}</text:p></table:table-cell>'
                for c in cells
            ),
            "</table:table-row>",
        ]
    )


def test_an_open_document_is_read_as_a_workbook(read_all):
    rows = open_row(*NAMES) + open_row("007", dt.date(2024, 1, 5), 5.0)
    found = read_all({"path": "o.ods"}, make={"o.ods": open_document(rows)})
    assert found["o.ods"] == [
        {"line": 2, "customer_id": "007", "date": "2024-01-05", "amount": "5"}
    ]
    wide = open_row(*NAMES) + open_row("x", repeated='table:number-columns-repeated="900000"')
    with pytest.raises(InputError, match=r"o\.ods: a sheet spans 900,000,000 cells"):
        read_all({"path": "o.ods"}, make={"o.ods": open_document(wide)})
