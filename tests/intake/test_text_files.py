import csv
import gzip
import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analysis.errors import InputError
from analysis.intake import readers, text_files
from analysis.intake import rows as batches
from analysis.intake.rows import MEGABYTE, Piece
from analysis.intake.table_files import TableFile
from tests.intake.reading import HEADER, ROW, lines, of

FORMATS = pytest.mark.parametrize(("format", "blank"), [("csv", ","), ("whitespace", " ")])


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
    monkeypatch.setattr(text_files, "BLOCK_BYTES", 1 << 16)
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
    monkeypatch.setattr(text_files, "BLOCK_BYTES", 1 << 12)
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
    monkeypatch.setattr(text_files, "LONGEST_LINE", 1 << 16)
    monkeypatch.setattr(text_files, "BLOCK_BYTES", 1 << 14)
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
    log = read(HEADER + "".join(f"{line},2024-01-05,5\n" for line in range(2, 60_002)))
    assert of(log, "line") == list(range(2, 60_002)) == [int(i) for i in of(log, "customer_id")]


def test_a_long_whitespace_file_loses_nothing_between_batches(read, monkeypatch):
    monkeypatch.setattr(batches, "BATCH_ROWS", 100)
    log = read(
        "id day eur\n" + "".join(f"{line} 2024-01-05 5\n" for line in range(2, 303)),
        format="whitespace",
    )
    assert [int(i) for i in of(log, "customer_id")] == of(log, "line") == list(range(2, 303))


def test_what_is_clean_goes_the_fast_way(read, monkeypatch):
    """Also with quotes, line breaks in fields and rows of a wrong length."""
    monkeypatch.setattr(text_files._Csv, "parsed_exactly", None)
    log = read(HEADER + ROW + '8,"2024-01-06, ""noon""\nor later",5\n9,2024\n"","",""\n' + ROW)
    assert of(log, "line") == [2, 3, 5, 6, 7] and log[2] == {"line": 5, "fields": 2}
    assert log[1]["date"] == '2024-01-06, "noon"\nor later'


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
        patch.setattr(text_files, "BLOCK_BYTES", block)
        patch.setattr(text_files, "_check_header", lambda batch, width: None)
        patch.setattr(batches, "BATCH_ROWS", 7)
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
@settings(max_examples=70)
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
@settings(max_examples=70)
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
    assert text_files.encoding_of(tmp_path / "f") == encoding
    if format == "csv":
        assert of(read(content, columns=CHINESE), "customer_id")[0] == "张三"
        return
    words = content.decode(encoding).replace(",", " ").encode(encoding)
    assert of(read(words, columns=CHINESE, format=format), "customer_id")[0] == "张三"


@pytest.mark.parametrize("block", [17, 1 << 24])
def test_all_encodings_give_the_same_rows(read, monkeypatch, block):
    """Also where a block ends within a letter."""
    monkeypatch.setattr(text_files, "BLOCK_BYTES", block)
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


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_packed_files_are_read_as_the_open_ones(read_all, encoding):
    content = (HEADER + ROW * 1_000).encode(encoding)
    found = read_all(
        {"path": ["a.csv", "a.csv.gz"]}, {"a.csv": content, "a.csv.gz": gzip.compress(content)}
    )
    assert found["a.csv"] == found["a.csv.gz"] and len(found["a.csv"]) == 1_000


def test_a_packed_file_that_unpacks_to_too_much_is_refused(read_all):
    just = (HEADER + ROW * 60_000).encode()[: MEGABYTE - 1].rpartition(b"\n")[0] + b"\n"
    just = just.replace(b",5.00\n", b",5.00" + b" " * (MEGABYTE - len(just)) + b"\n", 1)
    assert len(just) == MEGABYTE
    assert read_all({"path": "j.csv.gz", "max_unpacked_mb": 1}, {"j.csv.gz": gzip.compress(just)})
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
