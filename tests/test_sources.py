import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import sources
from analysis.errors import InputError

HEADER = "id,day,eur\n"
ROW = "7,2024-01-05,5.00\n"
FORMATS = pytest.mark.parametrize(("format", "blank"), [("csv", ","), ("whitespace", " ")])


@pytest.fixture(scope="module")
def read(shop, engine):
    def rows(content, **table):
        return sources.read_log(shop(content, **table), engine).to_pandas()

    return rows


def test_cdnow_is_read_whole(cdnow):
    assert cdnow.count().execute() == 69_659


@FORMATS
def test_fields_are_text_with_file_and_line(read, format, blank):
    log = read((HEADER + ROW + "8,2024-01-06,1e3\n").replace(",", blank), format=format)
    assert log.to_dict("list") == {
        "source": ["orders.csv"] * 2,
        "line": [2, 3],
        "customer_id": ["7", "8"],
        "date": ["2024-01-05", "2024-01-06"],
        "amount": ["5.00", "1e3"],
    }


@FORMATS
def test_ids_are_never_read_as_numbers_or_as_missing(read, format, blank):
    ids = ["007", "7", "1234567890123456789", "1e5", "Null", "NA", "nan", "true"]
    log = read((HEADER + "".join(f"{i},2024-01-05,5\n" for i in ids)).replace(",", blank), format=format)
    assert log.customer_id.tolist() == ids


@FORMATS
def test_byte_order_mark_is_no_part_of_the_first_header(read, format, blank):
    assert read(("\ufeff" + HEADER + ROW).replace(",", blank), format=format).customer_id.tolist() == ["7"]


@FORMATS
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_line_ends_of_all_systems(read, format, blank, ends):
    log = read((HEADER + ROW + ROW).replace(",", blank).replace("\n", ends), format=format)
    assert log.amount.tolist() == ["5.00", "5.00"]


@FORMATS
def test_missing_columns_are_named_and_the_found_ones_listed(read, format, blank):
    with pytest.raises(InputError) as error:
        read("id,when,eur\n7,2024-01-05,5\n".replace(",", blank), format=format)
    for words in ("date (day)", "found: id, when, eur", "tables.transactions.columns", "shop.yml"):
        assert words in str(error.value)


@FORMATS
@pytest.mark.parametrize("header", [HEADER, HEADER.strip()])
def test_a_header_without_rows_is_said(read, format, blank, header):
    with pytest.raises(InputError, match=r"orders\.csv: no rows below the header"):
        read(header.replace(",", blank), format=format)


@FORMATS
def test_an_empty_file_is_an_input_error(read, format, blank):
    with pytest.raises(InputError, match="file is empty"):
        read("", format=format)


def test_a_missing_file_names_the_key_to_correct(shop, engine):
    settings = shop(HEADER + ROW)
    sources.file_of(settings).unlink()
    with pytest.raises(InputError, match=r"orders\.csv: no such file; correct tables\.transactions\.path"):
        sources.read_log(settings, engine)


@pytest.mark.parametrize("bad", ["8 2024-01-06", "8 2024-01-06 5 6"])
def test_wrong_field_count_names_the_line_of_a_whitespace_file(read, bad):
    with pytest.raises(InputError, match=rf"line 3: {len(bad.split())} fields where the first line has 3"):
        read((HEADER + ROW).replace(",", " ") + bad + "\n", format="whitespace")


@pytest.mark.parametrize("bad", ["8,2024-01-06", "8,2024-01-06,5,6"])
def test_wrong_field_count_of_a_csv_is_an_input_error(read, bad):
    with pytest.raises(InputError, match=r"orders\.csv"):
        read(HEADER + ROW + bad + "\n" + ROW)


@pytest.mark.parametrize("bad", ["8,2024-01-06", "8,2024-01-06,5,6", '"8,2024-01-06,5'])
def test_a_broken_csv_line_is_named(read, bad):
    with pytest.raises(InputError, match=r"(?i)line:? 3"):
        read(HEADER + ROW + bad + "\n" + ROW)


def test_a_broken_csv_line_far_down_is_an_input_error(read):
    with pytest.raises(InputError, match=r"(?i)line:? 30,?002"):
        read(HEADER + ROW * 30_000 + "8,2024-01-06,5,6\n")


def test_columns_are_found_by_header_in_any_order_with_blanks_and_extras(read):
    log = read(" eur , note,id, day\n5,hello,7,2024-01-05\n")
    assert log[["customer_id", "date", "amount"]].to_numpy().tolist() == [["7", "2024-01-05", "5"]]


def test_separator_is_as_declared(read):
    log = read((HEADER + "7;2024-01-05;12,50\n").replace("id,day,eur", "id;day;eur"), separator=";")
    assert log.amount.tolist() == ["12,50"]


def test_lines_of_a_long_csv_are_numbered_in_the_files_order(read):
    """Long enough that DuckDB reads it on several cores."""
    log = read(HEADER + "".join(f"{line},2024-01-05,5\n" for line in range(2, 150_002)))
    assert len(log) == 150_000
    assert (log.customer_id.astype(int) == log.line).all()


def test_a_long_whitespace_file_loses_nothing_between_batches(read):
    count = sources.BATCH_LINES + 1
    log = read("id day eur\n" + "".join(f"{line} 2024-01-05 5\n" for line in range(2, count + 2)), format="whitespace")
    assert log.customer_id.astype(int).tolist() == log.line.tolist() == list(range(2, count + 2))


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


@given(st.lists(st.tuples(st.just("7") | TEXT.map(lambda t: f"n{t}"), TEXT, TEXT), min_size=1, max_size=8))
@settings(max_examples=25)
def test_quoted_text_comes_back_as_written(read, rows):
    """Blanks alone may come back as nothing."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("id", "day", "eur"), *rows])
    log = read(text.getvalue())[["customer_id", "date", "amount"]].fillna("")
    assert [tuple(row) for row in log.to_numpy()] == rows


def test_ids_that_begin_with_a_hash_are_not_comments(read):
    assert read(HEADER + "#1,2024-01-05,5\n#2,2024-01-05,5\n7,2024-01-05,5\n").customer_id.tolist() == ["#1", "#2", "7"]


@pytest.mark.parametrize(
    "above", ["7,2024-01-05,5\n\n", '"a\nb",2024-01-05,5\n'], ids=["below a blank line", "below a quoted line break"]
)
def test_line_is_that_of_the_file(read, above):
    assert read(HEADER + above + ROW).line.tolist()[-1] == 4


def test_a_title_above_the_header_is_told_with_its_remedy(read):
    with pytest.raises(InputError, match=r"line 2: 3 fields where the first line has 1.*delete a title"):
        read("Orders of my shop\n" + HEADER + ROW)


def test_a_header_that_stands_twice_is_an_input_error(read):
    with pytest.raises(InputError, match="id"):
        read("id,id,day,eur\n7,8,2024-01-05,5\n")


@pytest.mark.parametrize("header", ["id id day eur", "line id day eur"])
def test_odd_headers_of_a_whitespace_file_are_read_or_an_input_error(read, header):
    try:
        assert read(f"{header}\n1 7 2024-01-05 5\n", format="whitespace").customer_id.tolist() == ["7"]
    except InputError as error:
        assert "id" in str(error)


@FORMATS
def test_chinese_and_utf16_exports_are_read(read, format, blank):
    text = (HEADER + "张三,2024-01-05,5\n").replace(",", blank)
    assert read(text.encode("gb18030"), format=format).customer_id.tolist() == ["张三"]
    assert read(text.encode("utf-16"), format=format).customer_id.tolist() == ["张三"]


def test_an_undecodable_whitespace_file_is_an_input_error(read):
    with pytest.raises(InputError, match=r"orders\.csv"):
        read(b"id day eur\n\xff\xff 2024-01-05 5\n", format="whitespace")


def test_blank_lines_of_a_whitespace_file_are_no_rows(read):
    assert read("id day eur\n7 2024-01-05 5\n\n", format="whitespace").line.tolist() == [2]
