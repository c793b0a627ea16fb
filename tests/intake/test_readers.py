import csv
import datetime as dt
import gzip
import io
import itertools
import json
import sqlite3
import zipfile
from contextlib import closing

import duckdb
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analysis import files
from analysis.errors import InputError
from analysis.intake import dataset, readers
from analysis.intake.dataset import TableFile
from analysis.intake.readers import Piece
from analysis.schema import RECORDS

COLUMNS = {"customer_id": "id", "date": "day", "amount": "eur"}
HEADER = "id,day,eur\n"
ROW = "7,2024-01-05,5.00\n"
FORMATS = pytest.mark.parametrize(("format", "blank"), [("csv", ","), ("whitespace", " ")])


def lines(batches):
    """The rows of some batches, in the order of their lines, as dicts of what is not empty."""
    found = [row for batch in batches for row in batch.to_pylist()]
    return [
        {k: v for k, v in row.items() if v is not None}
        for row in sorted(found, key=lambda row: row["line"])
    ]


def of(rows, column):
    return [row.get(column) for row in rows]


@pytest.fixture(scope="module")
def read(shop):
    """The rows of a file of orders as they stream."""

    def rows(content, **table):
        found = shop(content, **table)
        (piece,) = readers.pieces(found, "transactions")
        return lines(readers.stream(piece, "transactions", found.file))

    return rows


@pytest.fixture
def read_all(company):
    """The rows of all pieces of transactions by piece; `files` are bytes by name, or functions that
    write to a path.
    """

    def rows(table, files=None, make=None, **settings):
        base = {"columns": COLUMNS}
        described = [base | one for one in table] if isinstance(table, list) else base | table
        found = company(
            files or {}, {"transactions": json.loads(json.dumps(described))}, **settings
        )
        for name, write in (make or {}).items():
            write(found.file.parent / name)
        return {
            piece.name: lines(readers.stream(piece, "transactions", found.file))
            for piece in readers.pieces(found, "transactions")
        }

    return rows


# --- text files -----------------------------------------------------------------------------------
# --------------------


@FORMATS
def test_fields_are_text_with_their_line(read, format, blank):
    log = read((HEADER + ROW + "8,2024-01-06,1e3\n").replace(",", blank), format=format)
    assert log == [
        {"line": 2, "customer_id": "7", "date": "2024-01-05", "amount": "5.00"},
        {"line": 3, "customer_id": "8", "date": "2024-01-06", "amount": "1e3"},
    ]


@FORMATS
def test_ids_are_never_read_as_numbers_or_as_missing(read, format, blank):
    ids = ["007", "7", "1234567890123456789", "1e5", "Null", "NA", "nan", "true", "#1"]
    log = read(
        (HEADER + "".join(f"{i},2024-01-05,5\n" for i in ids)).replace(",", blank), format=format
    )
    assert of(log, "customer_id") == ids


def test_only_blanks_are_missing_whatever_their_script(read):
    log = read(HEADER + " \u3000\t,2024-01-05,5\n\u00a0 7\u3000,2024-01-05,\n")
    assert of(log, "customer_id") == [None, "7"] and of(log, "amount") == ["5", None]


def test_full_width_digits_are_digits_where_a_number_or_a_day_is_read_but_an_id_stays(read):
    log = read(HEADER + "１２,２０２４-01-05,１，５\n".replace("，", "."))
    assert log == [{"line": 2, "customer_id": "１２", "date": "2024-01-05", "amount": "1.5"}]


@FORMATS
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_line_ends_of_all_systems(read, format, blank, ends):
    log = read((HEADER + ROW + ROW).replace(",", blank).replace("\n", ends), format=format)
    assert of(log, "amount") == ["5.00", "5.00"] and of(log, "line") == [2, 3]


@FORMATS
def test_missing_columns_are_named_and_the_found_ones_listed(read, format, blank):
    with pytest.raises(InputError) as error:
        read("id,when,eur\n7,2024-01-05,5\n".replace(",", blank), format=format)
    for words in ("date (day)", "found: id, when, eur", "tables.transactions.columns", "shop.yml"):
        assert words in str(error.value)


@FORMATS
@pytest.mark.parametrize("content", ["", "\n", "\r\n\r\n"])
def test_an_empty_file_is_an_input_error(read, format, blank, content):
    with pytest.raises(InputError, match=r"orders\.csv: the file is empty; export it again"):
        read(content, format=format)


@FORMATS
@pytest.mark.parametrize("header", [HEADER, HEADER.strip()])
def test_a_header_alone_has_no_rows(read, format, blank, header):
    assert read(header.replace(",", blank), format=format) == []


@FORMATS
@pytest.mark.parametrize("bad", ["8,2024-01-06", "8,2024-01-06,5,6"])
def test_a_wrong_field_count_is_handed_on_with_its_line(read, format, blank, bad):
    log = read((HEADER + ROW + bad + "\n" + ROW + ROW).replace(",", blank), format=format)
    assert log[1] == {"line": 3, "fields": bad.count(",") + 1}
    assert of(log, "line") == [2, 3, 4, 5] and of(log, "customer_id") == ["7", None, "7", "7"]


def test_wrong_field_counts_far_down_a_file_of_many_blocks(read, monkeypatch):
    monkeypatch.setattr(readers, "BLOCK_BYTES", 1 << 16)
    rows = [f"{line},2024-01-05,5" + ",6" * (line % 9_000 == 0) for line in range(2, 40_002)]
    log = read(HEADER + "\n".join(rows))
    assert of(log, "line") == list(range(2, 40_002))
    assert [row["line"] for row in log if "fields" in row] == [9_000, 18_000, 27_000, 36_000]
    assert all(row["customer_id"] == str(row["line"]) for row in log if "fields" not in row)


@pytest.mark.parametrize(
    "bad", ['"8,2024-01-06,5', '8,"2024-01-06,5', '"8"x,2024-01-06,5', '8,"a"",2024-01-06']
)
@pytest.mark.parametrize("after", [ROW, "", ROW * 3 + '9,"x",1\n', "\n" + ROW])
def test_a_quote_that_is_not_closed_names_its_line(read, bad, after):
    with pytest.raises(InputError, match=r"orders\.csv: line 4: .*quote"):
        read(HEADER + ROW + ROW + bad + "\n" + after)


def test_a_quote_that_is_not_closed_far_down_names_its_line(read, monkeypatch):
    monkeypatch.setattr(readers, "BLOCK_BYTES", 1 << 12)
    with pytest.raises(InputError, match=r"orders\.csv: line 3002: .*quote"):
        read(HEADER + ROW * 3_000 + '"8,2024-01-06,5\n' + ROW * 3_000)


def test_two_quotes_that_are_not_closed_do_not_pair(read):
    """Two rows that a lenient reader takes for one."""
    with pytest.raises(InputError, match=r"line 2: .*quote"):
        read(HEADER + '8,"2024\n9,2024"-01-05,5\n')


def test_a_quote_in_the_header_that_is_not_closed(read):
    with pytest.raises(
        InputError, match=r"orders\.csv: line 1: .*quote that is not closed"
    ) as error:
        read('id,"day,eur\n' + ROW)
    assert "2024" not in str(error.value)


def test_inches_are_no_quotes(read):
    log = read(
        'id,day,eur,note\n7,2024-01-05,5,5" pipe\n8,2024-01-05,5,a 2" by 4"'
        ' board\n"9",2024-01-05,5,"5"""\n'
    )
    assert of(log, "customer_id") == ["7", "8", "9"] and of(log, "line") == [2, 3, 4]


def test_zero_bytes_stay_in_their_field(read):
    assert of(read(HEADER + "7\0,2024-01-05,5\n"), "customer_id") == ["7\0"]
    assert of(read(HEADER + "\n7\0,2024-01-05,5\n"), "customer_id") == ["7\0"]


def test_a_line_without_end_is_refused_before_it_fills_the_memory(read, monkeypatch):
    monkeypatch.setattr(readers, "LONGEST_LINE", 1 << 16)
    monkeypatch.setattr(readers, "BLOCK_BYTES", 1 << 14)
    with pytest.raises(InputError, match="a line does not end"):
        read(HEADER + ROW + "\0" * 200_000)


def test_columns_are_found_by_header_in_any_order_with_blanks_and_extras(read):
    log = read(" eur , note,id, day\n5,hello,7,2024-01-05\n")
    assert log == [{"line": 2, "customer_id": "7", "date": "2024-01-05", "amount": "5"}]


@pytest.mark.parametrize("written", ["ｉｄ", "id\u3000", '"id\n"', "\u00a0 id"])
def test_a_header_with_blanks_line_breaks_and_full_width_letters_is_normal(read, written):
    assert of(read(f"{written},day,eur\n" + ROW), "customer_id") == ["7"]


def test_the_dataset_file_may_write_a_column_as_the_file_does(read):
    columns = {"customer_id": "ｉｄ ", "date": "订单 日期（天）"}
    assert of(read("id,订单  日期(天)\n7,2024-01-05\n", columns=columns), "date") == ["2024-01-05"]


@pytest.mark.parametrize(
    "row", ["7,x,2024-01-05,y,5\n", '7,"x",2024-01-05,y,5\n', "\n7,x,2024-01-05,y,5\n"]
)
def test_a_column_without_a_name_is_called_by_its_position(read, row):
    columns = {"customer_id": "id", "date": "day", "product": "2", "channel": "4"}
    (found,) = read("id,,day,,eur\n" + row, columns=columns)
    assert found | {"line": 2} == {
        "line": 2,
        "customer_id": "7",
        "date": "2024-01-05",
        "product": "x",
        "channel": "y",
    }


@FORMATS
@pytest.mark.parametrize("header", ["id,id,day,eur", "id,ｉｄ,day,eur"])
def test_a_header_that_stands_twice_is_an_input_error(read, format, blank, header):
    with pytest.raises(
        InputError,
        match=r"orders\.csv: the header repeats 'id'; give each column a name of its own",
    ):
        read(f"{header}\n7,8,2024-01-05,5\n".replace(",", blank), format=format)


@pytest.mark.parametrize(
    "columns",
    [
        {"customer_id": "line", "date": "day"},
        {"customer_id": "id", "date": "day", "product": "fields"},
    ],
)
def test_columns_may_have_the_names_of_ours(read, columns):
    (row,) = read("line,fields,day,id\na,b,2024-01-05,c\n", columns=columns)
    assert row == {"line": 2} | {
        ours: {"line": "a", "fields": "b", "day": "2024-01-05", "id": "c"}[t]
        for ours, t in columns.items()
    }


def test_one_column_may_have_two_meanings(read):
    columns = {"customer_id": "id", "date": "day", "order_id": "id"}
    assert read(HEADER + ROW, columns=columns) == [
        {"line": 2, "customer_id": "7", "date": "2024-01-05", "order_id": "7"}
    ]


@pytest.mark.parametrize("separator", [";", "\t", "|", "¦", " ", "；"])
def test_separator_is_as_declared(read, separator):
    content = (
        (HEADER + '7,2024-01-05,"12,50"\n')
        .replace(",", separator)
        .replace(f"12{separator}50", "12,50")
    )
    assert of(read(content, separator=separator), "amount") == ["12,50"]


def test_tsv_files_are_separated_by_tabs(read_all):
    content = (HEADER + ROW).replace(",", "\t")
    found = read_all(
        {"path": ["a.tsv", "b.TSV.gz"]},
        {"a.tsv": content, "b.TSV.gz": gzip.compress(content.encode())},
    )
    assert [of(rows, "customer_id") for rows in found.values()] == [["7"], ["7"]]


@pytest.mark.parametrize(
    ("above", "header", "line"),
    [
        ("", 1, 2),
        ("Orders of my shop\n", 2, 3),
        ("Orders\n\nof 2024\n", 4, 5),
        ('"a\nb",1\n', 3, 4),
        ("\n\n", 1, 4),
    ],
)
def test_the_header_stands_where_it_is_declared(read, above, header, line):
    assert read(above + HEADER + ROW, header=header)[0]["line"] == line


@FORMATS
def test_a_file_without_header_has_numbered_columns(read, format, blank):
    columns = {"customer_id": "1", "date": "2", "amount": "3"}
    log = read(
        (ROW + "8,2024-01-06,6\n").replace(",", blank), format=format, header=0, columns=columns
    )
    assert of(log, "customer_id") == ["7", "8"] and of(log, "line") == [1, 2]


def test_a_title_above_the_header_is_told_with_its_remedy(read):
    with pytest.raises(
        InputError,
        match=(
            r"found: Orders of my shop\. Correct .*columns, or separator, or header where a title"
        ),
    ):
        read("Orders of my shop\n" + HEADER + ROW * 3)


def test_most_lines_unlike_the_header_are_told_with_the_remedy(read):
    said = (
        r"orders\.csv: line 3: 4 fields where the header has 3, as in most lines.*else correct"
        r" separator"
    )
    with pytest.raises(InputError, match=said):
        read(HEADER + ROW + "7,2024-01-05,5,00\n" * 9)
    with pytest.raises(InputError, match="4 fields where the header has 3"):
        read(
            "id,fields,line\n" + "7,2024-01-05,5,00\n" * 9,
            columns={"customer_id": "id", "date": "fields"},
        )


@pytest.mark.parametrize(
    "above",
    [
        "7,2024-01-05,5\n\n",
        '"a\nb",2024-01-05,5\n',
        '"a\r\n",2024-01-05,5\n',
        '"a\rb",2024-01-05,5\n',
        '\n"7",2024,5\n',
    ],
)
def test_line_is_that_of_the_file(read, above):
    assert of(read(HEADER + above + ROW), "line")[-1] == 4


def test_blank_lines_are_no_rows(read):
    assert of(read(HEADER + "\n" + ROW + "\n\n" + ROW + "\n"), "line") == [3, 6]
    assert of(read("id day eur\n\n7 2024-01-05 5\n\n", format="whitespace"), "line") == [3]


def test_a_long_csv_keeps_the_order_of_its_lines(read):
    log = read(HEADER + "".join(f"{line},2024-01-05,5\n" for line in range(2, 150_002)))
    assert of(log, "line") == list(range(2, 150_002)) == [int(i) for i in of(log, "customer_id")]


def test_a_long_whitespace_file_loses_nothing_between_batches(read, monkeypatch):
    monkeypatch.setattr(readers, "BATCH_ROWS", 100)
    log = read(
        "id day eur\n" + "".join(f"{line} 2024-01-05 5\n" for line in range(2, 303)),
        format="whitespace",
    )
    assert [int(i) for i in of(log, "customer_id")] == of(log, "line") == list(range(2, 303))


def test_what_is_clean_goes_the_fast_way(read, monkeypatch):
    """Also with quotes, line breaks in fields and rows of a wrong length."""
    monkeypatch.setattr(readers, "_parsed_exactly", None)
    log = read(HEADER + ROW + '8,"2024-01-06, ""noon""\nor later",5\n9,2024\n"","",""\n' + ROW)
    assert of(log, "line") == [2, 3, 5, 6, 7] and log[2] == {"line": 5, "fields": 2}
    assert log[1]["date"] == '2024-01-06, "noon"\nor later'


# --- any text, in any blocks
# ------------------------------------------------------------------------------------------


def expected(text, width):
    """What Python's reader finds: (line, fields or how many), and where it gives up."""
    reader, begins, rows = csv.reader(io.StringIO(text, newline=""), strict=True), 1, []
    try:
        for fields in reader:
            if fields:
                rows.append(
                    (
                        begins,
                        (
                            [f.strip() or None for f in fields]
                            if len(fields) == width
                            else len(fields)
                        ),
                    )
                )
            begins = reader.line_num + 1
    except csv.Error:
        return None, begins
    return rows[1:], None


def streamed(content, folder, names, block, **described):
    """What the stream finds when a file is cut into blocks of some size."""
    (folder / "orders.csv").write_bytes(content)
    file = TableFile(
        path="orders.csv",
        columns=dict(zip(["customer_id", "order_id", "product"], names, strict=True)),
        **described,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "BLOCK_BYTES", block)
        patch.setattr(readers, "_check_header", lambda batch, width: None)
        patch.setattr(readers, "BATCH_ROWS", 7)
        found = lines(
            readers.stream(
                Piece("orders.csv", file, folder / "orders.csv"),
                "transactions",
                folder / "shop.yml",
            )
        )
    return [(row["line"], row.get("fields") or [row.get(c) for c in file.columns]) for row in found]


FIELD = st.text(st.sampled_from('ab",\n\r 张é\U0001f600'), max_size=5)
ROWS = st.lists(
    st.one_of(
        st.lists(FIELD, min_size=3, max_size=3),
        st.lists(FIELD, min_size=1, max_size=5),
        st.just([]),
    ),
    max_size=12,
)
BLOCKS = st.integers(3, 200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("written")


@given(
    ROWS,
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    BLOCKS,
    st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16"]),
    st.booleans(),
)
@example([["a", "b\n\n", "c"]] * 9, csv.QUOTE_ALL, "\r\n", 16, "utf-8", True)
@settings(max_examples=250)
def test_what_a_csv_writer_wrote_is_read_as_it_was(
    folder, rows, quoting, ends, block, encoding, ended
):
    text = io.StringIO(newline="")
    csv.writer(text, quoting=quoting, lineterminator=ends).writerows([["a", "b", "c"], *rows])
    written = text.getvalue() if ended else text.getvalue().removesuffix(ends)
    found = streamed(written.encode(encoding), folder, "abc", block)
    assert found == expected(written, 3)[0]
    whole = [[f.strip() or None for f in row] for row in rows if len(row) == 3]
    if quoting == csv.QUOTE_ALL:
        assert [fields for _, fields in found if isinstance(fields, list)] == whole


@given(st.text(st.sampled_from('ab,,""\n\r'), max_size=60), BLOCKS)
@example('a",b,"""\r\nab"",b",a"bbb""', 16)
@example('x,y,z\n8,"2\n9,2"4,5\n', 200)
@settings(max_examples=300)
def test_any_text_is_read_as_python_reads_it_or_refused_with_the_same_line(folder, text, block):
    rows, broken = expected("a,b,c\n" + text, 3)
    if broken is None:
        assert streamed(("a,b,c\n" + text).encode(), folder, "abc", block) == rows
    else:
        with pytest.raises(InputError, match=rf"^orders\.csv: line {broken}: "):
            streamed(("a,b,c\n" + text).encode(), folder, "abc", block)


def test_every_place_a_block_may_end(folder):
    """Quotes, doubled quotes and line breaks of all kinds inside and between fields."""
    text = 'a,b,c\r\n1,"x\r\ny","z""\n"\r\n2,,\r\r\n\n3,"""","é"\n"",4\n"\r5",张,6\n'
    rows, _ = expected(text, 3)
    for block in range(3, len(text.encode()) + 2):
        assert streamed(text.encode(), folder, "abc", block) == rows


@given(
    st.lists(
        st.lists(st.text(st.sampled_from("ab张\u3000 \t\n"), max_size=4), max_size=4), max_size=9
    ),
    BLOCKS,
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_any_text_between_blanks_is_read_by_its_words(folder, rows, block, ends):
    text = "a b c\n" + "\n".join(" ".join(row) for row in rows) + "\n"
    words = [(n, fields) for n, line in enumerate(text.split("\n"), 1) if (fields := line.split())][
        1:
    ]
    found = streamed(text.replace("\n", ends).encode(), folder, "abc", block, format="whitespace")
    assert found == [(n, fields if len(fields) == 3 else len(fields)) for n, fields in words]


# --- encodings and packed files
# ---------------------------------------------------------------------------------------

TEXT = "编号,日期,金额\n张三,2024-01-05,5\n王\U0001f600,2024-01-06,6\n"
CHINESE = {"customer_id": "编号", "date": "日期", "amount": "金额"}


@FORMATS
@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (TEXT.encode(), "utf-8-sig"),
        (TEXT.encode("utf-8-sig"), "utf-8-sig"),
        (TEXT.encode("gb18030"), "gb18030"),
        (("\ufeff" + TEXT).encode("gb18030"), "gb18030"),
        (TEXT.replace("\U0001f600", "").encode("gbk"), "gb18030"),
        (TEXT.encode("utf-16"), "utf-16"),
        (("\ufeff" + TEXT).encode("utf-16-be"), "utf-16"),
    ],
    ids=["utf-8", "utf-8 with mark", "gb18030", "gb18030 with mark", "gbk", "utf-16", "utf-16-be"],
)
def test_the_encoding_is_found(read, tmp_path, content, encoding, format, blank):
    (tmp_path / "f").write_bytes(content)
    assert readers.encoding_of(tmp_path / "f") == encoding
    if format == "csv":
        assert of(read(content, columns=CHINESE), "customer_id")[0] == "张三"
        return
    words = content.decode(encoding).replace(",", " ").encode(encoding)
    assert of(read(words, columns=CHINESE, format=format), "customer_id")[0] == "张三"


@pytest.mark.parametrize("block", [16, 17, 50, 1 << 24])
def test_all_encodings_give_the_same_rows(read, monkeypatch, block):
    """Also where a block ends within a letter."""
    monkeypatch.setattr(readers, "BLOCK_BYTES", block)
    text = TEXT + "".join(f"客户{n}€,2024-01-05,{n}\r\n" for n in range(50))
    rows = read(text.encode(), columns=CHINESE)
    assert len(rows) == 52
    for encoding in ("gb18030", "utf-16", "utf-8-sig"):
        assert read(text.encode(encoding), columns=CHINESE) == rows
    for encoding in ("utf-16-le", "utf-16-be", "utf-32", "gb18030", "utf8"):
        assert read(text.encode(encoding), columns=CHINESE, encoding=encoding) == rows


def test_an_encoding_is_never_guessed_beyond_those_but_may_be_declared(read):
    content = "id,day,eur\nMüller,2024-01-05,5\nÅse,2024-01-05,5\nZoë,2024-01-05,€5\n".encode(
        "cp1252"
    )
    with pytest.raises(
        InputError,
        match=r"orders\.csv: line 2: neither UTF-8, UTF-16 nor GB18030; save the file as UTF-8",
    ):
        read(content)
    assert of(read(content, encoding="cp1252"), "customer_id") == ["Müller", "Åse", "Zoë"]
    assert of(read(content, encoding="cp1252"), "amount")[2] == "€5"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"\xef\xbb\xbf" + (HEADER + ROW).encode() + b"\xe9s,2024-01-05,5\n", 3),
        ((HEADER + ROW).encode("utf-16") + b"\x00\xd8\x41\x00", 3),
        ((HEADER + ROW).encode("utf-16") + b"\x00", 3),
        ((HEADER + ROW * 9).encode() + ("张" * 10).encode() + b"\n" + "张".encode()[:2], 12),
        ((HEADER + "é,2024-01-05,5\n" * 20).encode() + b"\xe9s,2024-01-05,5\n", 22),
        (HEADER.encode() + b"\xff\xff,2024-01-05,5\n", 2),
    ],
    ids=[
        "another encoding below a mark",
        "half a UTF-16 pair",
        "odd byte",
        "cut short",
        "another encoding below",
        "no text",
    ],
)
@pytest.mark.parametrize("format", ["csv", "whitespace"])
def test_what_is_not_readable_names_the_line(read, content, line, format):
    with pytest.raises(InputError, match=rf"orders\.csv: line {line}: neither UTF-8"):
        read(content, format=format)


@pytest.mark.parametrize("encoding", ["latin-9000", "base64", "rot13", "undefined", "utf-8\0"])
def test_an_encoding_that_is_none_is_told_with_examples(read, encoding):
    with pytest.raises(InputError, match=r"orders\.csv: no encoding .*; write e\.g\. utf-8"):
        read(HEADER + ROW, encoding=encoding)


def test_a_wrong_declared_encoding_is_told(read):
    with pytest.raises(
        InputError, match=r"orders\.csv: line 2 is not utf-8; correct encoding, or leave it out"
    ):
        read(
            TEXT.encode("gb18030").replace("编号,日期,金额".encode("gb18030"), b"id,day,eur"),
            encoding="utf-8",
        )


def test_utf16_without_its_mark_is_told_with_its_remedy(read):
    with pytest.raises(InputError, match=r"zero bytes.*write encoding: utf-16-le"):
        read((HEADER + ROW).encode("utf-16-le"))
    assert of(read((HEADER + ROW).encode("utf-16-le"), encoding="utf-16-le"), "customer_id") == [
        "7"
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_packed_files_are_read_as_the_open_ones(read_all, encoding):
    content = (HEADER + ROW * 1_000).encode(encoding)
    found = read_all(
        {"path": ["a.csv", "a.csv.gz"]}, {"a.csv": content, "a.csv.gz": gzip.compress(content)}
    )
    assert found["a.csv"] == found["a.csv.gz"] and len(found["a.csv"]) == 1_000


def test_a_packed_file_that_unpacks_to_too_much_is_refused(read_all):
    packed = gzip.compress(HEADER.encode() + ROW.encode() * 100_000)
    with pytest.raises(
        InputError,
        match=r"o\.csv\.gz: unpacks to more than 1 MB; if that is right, raise max_unpacked_mb",
    ):
        read_all({"path": "o.csv.gz", "max_unpacked_mb": 1}, {"o.csv.gz": packed})
    assert (
        len(read_all({"path": "o.csv.gz", "max_unpacked_mb": 2}, {"o.csv.gz": packed})["o.csv.gz"])
        == 100_000
    )


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[:-9], lambda b: b"id,day", lambda b: b[:40] + b"\xff" + b[41:], lambda b: b[:4]],
)
def test_a_damaged_packed_file_is_an_input_error(read_all, damage):
    packed = gzip.compress(HEADER.encode() + b"".join(b"%d,2024-01-05,5\n" % n for n in range(999)))
    with pytest.raises(InputError, match=r"o\.csv\.gz: not readable as gzip: .*; pack it again"):
        read_all({"path": "o.csv.gz"}, {"o.csv.gz": damage(packed)})


# --- where files lie
# --------------------------------------------------------------------------------------------------


def test_several_files_keep_their_order_and_a_star_that_of_the_names(read_all):
    files = dict.fromkeys(("b.csv", "a.csv", "x-2.csv", "x-10.csv", "x-1.csv"), HEADER + ROW)
    assert list(read_all({"path": ["b.csv", "x-*.csv", "a.csv"]}, files)) == [
        "b.csv",
        "x-1.csv",
        "x-10.csv",
        "x-2.csv",
        "a.csv",
    ]


def test_a_file_that_is_named_twice_is_read_once(read_all):
    files = {"a.csv": HEADER + ROW, "b.csv": HEADER + ROW}
    assert list(read_all({"path": ["b.csv", "*.csv", "./a.csv"]}, files)) == ["b.csv", "a.csv"]


def test_a_star_passes_over_folders_and_goes_into_them_where_it_is_doubled(read_all):
    def folder(path):
        path.mkdir()
        (path / "deep.csv").write_text(HEADER + ROW)

    files = {"a.csv": HEADER + ROW}
    assert list(read_all({"path": "*.csv"}, files, {"year.csv": folder})) == ["a.csv"]
    assert list(read_all({"path": "**/*.csv"}, files, {"year.csv": folder})) == [
        "a.csv",
        "deep.csv",
    ]


def test_files_of_the_same_name_are_told_apart_by_their_folders(read_all):
    def folder(path):
        path.mkdir()
        (path / "orders.csv").write_text(HEADER + ROW)

    found = read_all(
        {"path": ["2023/orders.csv", "2024/*.csv"]}, make={"2023": folder, "2024": folder}
    )
    assert list(found) == ["2023/orders.csv", "2024/orders.csv"]


def test_paths_may_be_absolute_or_lead_upwards(read_all, tmp_path):
    (tmp_path / "orders.csv").write_text(HEADER + ROW)
    assert list(read_all({"path": str(tmp_path / "orders.csv")})) == ["orders.csv"]
    assert list(read_all({"path": str(tmp_path / "*.csv")})) == ["orders.csv"]
    found = read_all({"path": "../*/here.csv"}, {"here.csv": HEADER + ROW})
    assert "here.csv" in {name.rpartition("/")[2] for name in found}


def test_descriptions_in_a_list_are_read_each_in_its_own_way(read_all):
    table = [
        {"path": "a.csv"},
        {"path": "b.txt", "separator": ";", "columns": {"customer_id": "Kunde", "date": "Tag"}},
    ]
    found = read_all(table, {"a.csv": HEADER + ROW, "b.txt": "Tag;Kunde\n05.01.2024;9\n"})
    assert of(found["b.txt"], "customer_id") == ["9"] and of(found["b.txt"], "date") == [
        "05.01.2024"
    ]


@pytest.mark.parametrize("path", ["none.csv", "none/*.csv", ["orders.csv", "none.csv"]])
def test_a_missing_file_names_the_key_to_correct(read_all, path):
    with pytest.raises(
        InputError,
        match=r"none.*\.csv: no such file; correct tables\.transactions\.path in .*company\.yml",
    ):
        read_all({"path": path}, {"orders.csv": HEADER + ROW})


def test_a_folder_is_no_file(read_all):
    with pytest.raises(
        InputError,
        match=r"year: a folder; name its files in .*company\.yml \(tables\.transactions\.path\)",
    ):
        read_all({"path": "year"}, make={"year": lambda path: path.mkdir()})


def test_a_preview_is_the_head_of_a_file(tmp_path):
    (tmp_path / "o.csv").write_text(HEADER + "8,2024\n" + ROW * 9)
    header, rows = readers.preview(TableFile(path="o.csv", columns={}), tmp_path / "o.csv", rows=4)
    assert header == ["id", "day", "eur"] and rows == [["7", "2024-01-05", "5.00"]] * 4


# --- workbooks ------------------------------------------------------------------------------------
# --------------------


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


def test_empty_rows_and_cells_at_the_end_are_no_fault(read_all):
    rows = [
        NAMES,
        ["7", DAY, 5],
        [],
        [None, " ", None],
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
    assert readers.sheets(tmp_path / "o.xlsx") == ["Sheet"]


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
        InputError, match=r"o\.xlsx: not readable as a workbook \(.*; save it again as \.xlsx"
    ):
        read_all({"path": "o.xlsx"}, make={"o.xlsx": write})


def test_a_workbook_of_another_name_is_read_where_declared(read_all):
    make = {"export.xls": workbook({"Sheet": [NAMES, ["7", DAY, 5]]})}
    assert of(
        read_all({"path": "export.xls", "format": "excel"}, make=make)["export.xls"], "customer_id"
    ) == ["7"]


# --- Parquet and databases in files
# -----------------------------------------------------------------------------------


def parquet(**columns):
    def write(path):
        pq.write_table(
            pa.table(columns or {"id": ["007"], "day": [dt.date(2024, 1, 5)], "eur": [5.0]}), path
        )

    return write


def test_parquet_columns_are_texts(read_all):
    columns = {
        "id": pa.array([7.0, None, 1e16, 0.5]),
        "day": pa.array([DAY, dt.datetime(2024, 1, 5, 10, 30), None, DAY]),
        "eur": pa.array([5, 5, 5, 5], pa.int64()),
    }
    (found,) = read_all({"path": "o.parquet"}, make={"o.parquet": parquet(**columns)}).values()
    assert of(found, "customer_id") == [
        "7",
        None,
        "1e+16",
        "0.5",
    ]  # ids beside an empty cell are kept as floating numbers
    assert of(found, "date") == [
        "2024-01-05 00:00:00",
        "2024-01-05 10:30:00",
        None,
        "2024-01-05 00:00:00",
    ]
    assert of(found, "line") == [1, 2, 3, 4] and of(found, "amount") == ["5"] * 4


def test_parquet_keeps_text_ids_decimals_and_moments_with_their_zone(read_all):
    moment = pa.array([dt.datetime(2024, 1, 5, 23, 30, tzinfo=dt.UTC)], pa.timestamp("us", "UTC"))
    columns = {"id": ["007"], "day": moment, "eur": pa.array([5], pa.decimal128(12, 2))}
    (found,) = read_all({"path": "o.parquet"}, make={"o.parquet": parquet(**columns)}).values()
    assert found[0]["customer_id"] == "007" and found[0]["amount"] == "5.00"
    assert dt.datetime.fromisoformat(found[0]["date"]) == dt.datetime(
        2024, 1, 5, 23, 30, tzinfo=dt.UTC
    )


def test_several_parquet_files_and_a_folder_of_them(read_all):
    def folder(path):
        path.mkdir()
        for name in "ab":
            parquet(id=[name], day=[DAY], eur=[5])(path / f"{name}.parquet")

    make = {"2023.parquet": parquet(), "2024.parquet": parquet()}
    assert list(read_all({"path": "20*.parquet"}, make=make)) == ["2023.parquet", "2024.parquet"]
    found = read_all({"path": "orders", "format": "parquet"}, make={"orders": folder})
    assert of(found["orders"], "customer_id") == ["a", "b"] and of(found["orders"], "line") == [
        1,
        2,
    ]


def test_a_query_of_parquet_names_the_files_beside_it(read_all):
    make = {"o.parquet": parquet(), "rate.parquet": parquet(rate=[2.5])}
    query = "SELECT id, day, eur * rate AS eur FROM 'o.parquet', 'rate.parquet' ;"
    assert of(
        read_all({"path": "o.parquet", "query": query}, make=make)["o.parquet"], "amount"
    ) == ["12.5"]


def sqlite(*statements):
    def write(path):
        with closing(sqlite3.connect(path)) as base:
            for statement in statements:
                base.execute(statement)
            base.commit()

    return write


def duck(*statements):
    def write(path):
        with duckdb.connect(str(path)) as base:
            for statement in statements:
                base.execute(statement)

    return write


ORDERS = (
    "CREATE TABLE orders (id TEXT, day TEXT, eur REAL)",
    (
        "INSERT INTO orders VALUES ('007', '2024-01-05', 5), ('Null', '2024-01-06', 5.25), (NULL,"
        " '2024-01-07', NULL)"
    ),
)
FILES = pytest.mark.parametrize(
    ("name", "made"), [("o.sqlite", sqlite), ("o.db", sqlite), ("o.duckdb", duck)]
)


@FILES
def test_a_table_and_a_query_of_a_database_file(read_all, name, made):
    whole = read_all({"path": name, "table": "orders"}, make={name: made(*ORDERS)})
    assert of(whole[f"{name}:orders"], "customer_id") == ["007", "Null", None]
    assert of(whole[f"{name}:orders"], "amount") == ["5", "5.25", None] and of(
        whole[f"{name}:orders"], "line"
    ) == [1, 2, 3]
    query = "SELECT id, day, eur + 1 AS eur FROM orders ORDER BY day DESC -- newest first"
    assert of(
        read_all({"path": name, "query": query}, make={name: made(*ORDERS)})[name], "customer_id"
    ) == [None, "Null", "007"]


@FILES
def test_tables_of_one_database_are_told_apart(read_all, name, made):
    query = "SELECT * FROM orders WHERE id = '007'"
    both = [
        {"path": name, "table": "orders"},
        {"path": name, "query": query},
        {"path": name, "query": query},
    ]
    found = read_all(both, make={name: made(*ORDERS)})
    assert [len(rows) for rows in found.values()] == [3, 1, 1] and len(found) == 3


@FILES
def test_a_table_may_have_a_name_of_any_letters(read_all, name, made):
    statements = [statement.replace("orders", '"order ""lines"" 订单"') for statement in ORDERS]
    found = read_all({"path": name, "table": 'order "lines" 订单'}, make={name: made(*statements)})
    assert [len(rows) for rows in found.values()] == [3]


@FILES
def test_columns_of_a_database_may_have_any_name(read_all, name, made):
    statements = (
        'CREATE TABLE orders ("line" TEXT, "fields" TEXT, "ｉｄ " TEXT, "an ""odd"" one" TEXT)',
    )
    statements += ("INSERT INTO orders VALUES ('a', '2024-01-05', '007', 'b')",)
    columns = {"customer_id": "id", "date": "fields", "product": "line", "channel": 'an "odd" one'}
    (found,) = read_all(
        {"path": name, "table": "orders", "columns": columns}, make={name: made(*statements)}
    ).values()
    assert found == [
        {"line": 1, "customer_id": "007", "date": "2024-01-05", "product": "a", "channel": "b"}
    ]


def test_a_table_may_be_named_with_its_schema(read_all):
    make = {
        "o.duckdb": duck("CREATE SCHEMA crm", *(s.replace("orders", "crm.orders") for s in ORDERS))
    }
    assert (
        len(read_all({"path": "o.duckdb", "table": "crm.orders"}, make=make)["o.duckdb:crm.orders"])
        == 3
    )


@FILES
@pytest.mark.parametrize(
    "asked",
    [
        {"table": "order"},
        {"query": "SELECT * FROM nowhere"},
        {"query": "SELEC * FROM orders"},
        {"query": "DELETE FROM orders"},
        {"query": "DROP TABLE orders"},
        {"query": "SELECT 1; DELETE FROM orders"},
        {"query": "CREATE TEMP TABLE x (y TEXT)"},
        {"query": "COPY orders TO 'orders.csv'"},
    ],
)
def test_a_query_that_cannot_be_read_is_one_line_and_alters_nothing(
    read_all, tmp_path, monkeypatch, name, made, asked
):
    monkeypatch.chdir(tmp_path)
    made(*ORDERS)(tmp_path / name)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(
        InputError, match=rf"{name}.*: ((SQLite|DuckDB) says: .*; correct|the query gives no rows)"
    ) as error:
        read_all({"path": str(tmp_path / name)} | asked)
    assert "\n" not in str(error.value)
    assert (tmp_path / name).read_bytes() == before and [
        path.name for path in tmp_path.iterdir()
    ] == [name]


def test_what_goes_wrong_between_rows_is_an_input_error(read_all):
    bad = "INSERT INTO orders VALUES (CAST(x'ff41' AS TEXT), '2024-01-05', 1)"
    with pytest.raises(InputError, match=r"o\.sqlite:orders: SQLite says: Could not decode"):
        read_all({"path": "o.sqlite", "table": "orders"}, make={"o.sqlite": sqlite(*ORDERS, bad)})
    query = "SELECT id, day, CAST('x' || id AS INTEGER) AS eur FROM orders"
    with pytest.raises(
        InputError,
        match=r"o\.duckdb: DuckDB says: Conversion Error.*; correct path, table or query",
    ):
        read_all({"path": "o.duckdb", "query": query}, make={"o.duckdb": duck(*ORDERS)})


@pytest.mark.parametrize("format", ["parquet", "sqlite", "duckdb"])
def test_a_file_of_another_format_is_an_input_error(read_all, format):
    table = {} if format == "parquet" else {"table": "orders"}
    with pytest.raises(
        InputError, match=r"o\.csv.*: (SQLite|DuckDB) says: .*; correct path, table or query"
    ):
        read_all({"path": "o.csv", "format": format} | table, {"o.csv": HEADER + ROW * 1_000})


def test_a_column_that_a_query_gives_twice_is_an_input_error(read_all):
    query = "SELECT a.id, b.id, a.day, a.eur FROM orders a, orders b"
    with pytest.raises(InputError, match="the header repeats 'id'"):
        read_all({"path": "o.sqlite", "query": query}, make={"o.sqlite": sqlite(*ORDERS)})


def test_the_tables_of_an_sqlite_file(tmp_path):
    sqlite(*ORDERS, "CREATE VIEW newest AS SELECT * FROM orders")(tmp_path / "o.db")
    assert readers.sqlite_tables(tmp_path / "o.db") == ["newest", "orders"]


# --- samples --------------------------------------------------------------------------------------
# --------------------


def test_cdnow_is_read_whole(cdnow):
    assert cdnow.count().execute() == 69_659


def test_complete_journey_is_read_whole():
    found = dataset.load(files.ROOT / "data" / "complete_journey.yml")
    every = [(piece, table) for table in RECORDS for piece in readers.pieces(found, table)]
    assert {
        piece.name: sum(map(len, readers.stream(piece, table, found.file)))
        for piece, table in every
    } == {
        "transactions.parquet": 1_469_307,
        "demographics.parquet": 801,
        "campaigns.parquet": 6_589,
        "products.parquet": 92_331,
    }


def test_the_demo_company_is_read_whole_with_the_lines_that_were_spoilt(crm_demo):
    rows = pd.concat(
        [
            judged.select("source", "line", "fields").to_pandas()
            for judged in crm_demo.judged.values()
        ]
    )
    truth = crm_demo.truth["files"]
    assert rows.groupby(rows.source.str.partition(":")[0]).size().to_dict() == {
        name: f["rows"] for name, f in truth.items()
    }
    for name, file in truth.items():
        spoilt = [
            file["planted"].get(kind, {"lines": []})["lines"]
            for kind in ("one_field_more", "one_field_less")
        ]
        wrong = rows[rows.fields.notna() & (rows.source == name)]
        assert sorted(wrong.line) == sorted(itertools.chain(*spoilt))


def test_an_unknown_sample_is_told_with_the_nearest():
    with pytest.raises(InputError, match=r"no sample 'cdnov'; did you mean cdnow\?"):
        readers.sample_path("cdnov")
    with pytest.raises(InputError, match=r"known: cdnow, complete_journey, crm_demo"):
        readers.sample_path("xyz/orders.csv")


def test_a_sample_without_its_package_is_told(monkeypatch):
    monkeypatch.setitem(readers.SAMPLES, "cdnow", ("no_such_package", "x"))
    with pytest.raises(
        InputError, match=r"needs the package no_such_package; install requirements\.lock"
    ):
        readers.sample_path("cdnow")


def test_no_source_alters_what_it_reads(read_all):
    files = {"a.csv": HEADER + ROW, "b.csv.gz": gzip.compress((HEADER + ROW).encode())}
    make = {"c.xlsx": workbook({"Sheet": [NAMES, ["7", DAY, 5]]}), "d.parquet": parquet()}
    make |= {"e.sqlite": sqlite(*ORDERS), "f.duckdb": duck(*ORDERS)}
    seen = {}

    def remember(path):
        for name in [*files, *make]:
            seen[path.parent / name] = (path.parent / name).read_bytes()

    table = [
        {"path": name} | ({"table": "orders"} if name[0] in "ef" else {})
        for name in [*files, *make]
    ]
    assert len(read_all(table, files, make | {"remembered": remember})) == 6
    assert all(path.read_bytes() == content for path, content in seen.items()) and len(seen) == 6
    assert {p.name for p in next(iter(seen)).parent.iterdir()} == {p.name for p in seen} | {
        "company.yml"
    }
