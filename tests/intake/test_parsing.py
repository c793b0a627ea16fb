import datetime as dt
import io
import re
import unicodedata
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import ibis
import openpyxl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analysis.errors import InputError
from analysis.intake import parsing, store
from tests.intake.reading import fold, parsed

HEADER = "id,day,eur\n"
SALES = {"path": "*.csv", "columns": {"customer_id": "id", "date": "day", "amount": "eur"}}


# Numbers


def numbers(texts, decimal=".", kind=parsing.MONEY):
    rows = ibis.memtable(pa.table({"n": range(len(texts)), "text": pa.array(texts, pa.string())}))
    found = (
        rows.select("n", number=parsing.read_number(rows.text, decimal, kind))
        .order_by("n")
        .to_pyarrow()
    )
    return found["number"].to_pylist()


WRITTEN = {
    "¥1,234.50": "1234.50",
    "1'234'567.8": "1234567.8",
    "1’234.50": "1234.50",
    "1 234.50": "1234.50",
    "(5.00)": "-5",
    "-(5.00)": "-5",
    "¥(1,234.50)": "-1234.50",
    "(¥1,234.50)": "-1234.50",
    "5.00-": "-5",
    "−5": "-5",
    "- 5": "-5",
    "-¥5": "-5",
    "¥-5": "-5",
    "100元": "100",
    "USD 5": "5",
    "5 eur": "5",
    "RMB5": "5",
    ".5": "0.5",
    "5.": "5",
    "+5": "5",
    "1e3": "1000",
    "1e-12": "1e-12",
    "999999999999999.999999999999": "999999999999999.999999999999",
    "1,000,000,000,000,000": "1e15",
}


def test_fault_10_numbers_as_people_write_them():
    assert dict(zip(WRITTEN, numbers(list(WRITTEN)), strict=True)) == {
        text: Decimal(n) for text, n in WRITTEN.items()
    }


def test_fault_10_a_decimal_comma_never_makes_a_hundredfold():
    texts = [
        "12,50",
        "1,23,456",
        "1234,567",
        "0,123",
        "01,234",
        "12 50",
        "12€50",
        "12$50",
        "12_50",
        "1,234,5",
        "1.234.567",
        "1,234,",
    ]
    assert numbers(texts) == [None] * len(texts)


def test_fault_10_with_a_decimal_comma_declared():
    texts = {
        "1.234,50": "1234.50",
        "12,50": "12.50",
        "1.234": "1234",
        "1 234,5": "1234.5",
        "€ 1.234,50-": "-1234.50",
    }
    assert numbers(list(texts), ",") == [Decimal(number) for number in texts.values()]
    assert numbers(["12.50", "1,234.50", "1.5", "1,234,567"], ",") == [None] * 4


def test_a_text_that_is_no_number_gives_nothing():
    texts = {
        "",
        "-",
        ".",
        "()",
        "$",
        "USD",
        "TBD",
        "N/A",
        "1/2",
        "5 Mio",
        "5 pcs",
        "0x10",
        "--5",
        "5--",
        "(-5)",
        "((5))",
        "(5",
        "$$5",
        "nan",
    }
    assert numbers([*texts]) == [None] * len(texts)


def test_numbers_too_large_for_money_give_nothing():
    assert numbers(["1e26", "1" + "0" * 26, "1e400"]) == [None] * 3


CURRENCIES = ["$", "€", "¥", "£", "元", "RMB", "USD", "eur", "CHF"]


@pytest.mark.xfail(
    strict=True,
    reason="numbers that a workbook holds as numbers are read with the decimal mark of its texts",
)
def test_fault_10_a_number_in_a_workbook_needs_no_decimal_mark(company, judge_all):
    book, packed = openpyxl.Workbook(), io.BytesIO()
    for row in (
        ["id", "day", "eur"],
        ["7", dt.datetime(2024, 1, 5), 123.456],
        ["7", dt.datetime(2024, 1, 5), "1.234,50"],
    ):
        book.active.append(row)
    book.save(packed)
    table = SALES | {"path": "o.xlsx", "decimal": ","}
    judged = judge_all(company({"o.xlsx": packed.getvalue()}, {"transactions": table}))[
        "transactions"
    ]
    assert judged.order_by("line").amount.to_pyarrow().to_pylist() == [
        Decimal("123.456"),
        Decimal("1234.50"),
    ]


@st.composite
def written_numbers(draw, mark):
    """A number as a text in one of the usual styles, and itself."""
    whole, places = draw(st.integers(0, 10**15)), draw(st.text("0123456789", max_size=12))
    grouped = f"{whole:,}".replace(
        ",", draw(st.sampled_from(["", "," if mark == "." else ".", "'", "’", " "]))
    )
    text = ("" if whole == 0 and places and draw(st.booleans()) else grouped) + (
        mark + places if places else ""
    )
    ahead, behind = "{} {}", "{} {}"
    money = draw(st.sampled_from([None, *CURRENCIES]))
    ahead, behind = (
        (f"{money}{gap}{{}}" for gap in ("", " ")),
        (f"{{}}{gap}{money}" for gap in ("", " ")),
    )
    currency = draw(st.sampled_from([*ahead, *behind])) if money else "{}"
    sign, minus = draw(
        st.sampled_from(
            [("{}", 0), ("+{}", 0), *((s, 1) for s in ("-{}", "−{}", "–{}", "- {}", "{}-", "({})"))]
        )
    )
    written = (
        sign.format(currency.format(text))
        if draw(st.booleans())
        else currency.format(sign.format(text))
    )
    return written, Decimal(f"{'-' if minus else ''}{whole}.{places or 0}")


@given(st.lists(written_numbers("."), min_size=1, max_size=60))
@settings(max_examples=25)
def test_any_number_in_any_style_is_read_back_exactly(written):
    texts, expected = zip(*written, strict=True)
    assert dict(zip(texts, numbers(texts), strict=True)) == dict(zip(texts, expected, strict=True))


@given(st.lists(written_numbers(","), min_size=1, max_size=60))
@settings(max_examples=15)
def test_any_number_with_a_decimal_comma_is_read_back_exactly(written):
    texts, expected = zip(*written, strict=True)
    assert dict(zip(texts, numbers(texts, ","), strict=True)) == dict(
        zip(texts, expected, strict=True)
    )


PLAIN = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)[.]?", re.I
)  # the engine passes over a last point
GROUPED = re.compile(r"(?=.*\d)(\d*|[1-9]\d{0,2}((,\d{3})+|('\d{3})+|( \d{3})+))(\.\d+)?")
HEAD, TAIL = re.compile(r"(¥|€|USD)\s*"), re.compile(r"\s*(¥|€|USD)$")


def number_by_hand(text):
    """The number, found by taking off signs, brackets and currencies from the outside, each at most
    once.
    """
    if plain := PLAIN.fullmatch(text):
        return Decimal(plain[1]).quantize(Decimal("1e-12"), ROUND_HALF_UP)
    off, body = [], text
    while True:
        body, before = body.strip(), body
        if "head" not in off and HEAD.match(body):
            body, off = HEAD.sub("", body, count=1), [*off, "head"]
        elif "tail" not in off and TAIL.search(body):
            body, off = TAIL.sub("", body), [*off, "tail"]
        elif body[:1] in ("+", "-", "−") and not {"+", "-"} & {*off}:
            body, off = body[1:], [*off, "+" if body[0] == "+" else "-"]
        elif body[-1:] in ("-", "−") and "minus behind" not in off:
            body, off = body[:-1], [*off, "minus behind"]
        elif body[:1] == "(" and body[-1:] == ")" and "brackets" not in off:
            body, off = body[1:-1], [*off, "brackets"]
        if body == before:
            break
    signs = [sign for sign in off if sign not in ("head", "tail")]
    if not GROUPED.fullmatch(body) or (len(signs) > 1 and signs != ["-", "brackets"]):
        return None
    return Decimal(re.sub("[,' ]", "", body)) * (1 if signs in ([], ["+"]) else -1)


PIECES = [
    "0",
    "1",
    "12",
    "123",
    "000",
    "50",
    ".",
    ",",
    "'",
    " ",
    "-",
    "−",
    "+",
    "(",
    ")",
    "¥",
    "€",
    "USD",
    "e",
    "_",
    "%",
    "x",
    "/",
]


@given(
    st.lists(
        st.lists(st.sampled_from(PIECES), max_size=7).map("".join).map(str.strip),
        min_size=30,
        max_size=300,
    )
)
@settings(max_examples=30)
def test_what_is_read_as_a_number_agrees_with_another_parser(texts):
    wrong = {
        text: n
        for text, n in zip(texts, numbers(texts), strict=True)
        if n is not None and n != number_by_hand(text)
    }
    assert not wrong


def test_a_placeholder_is_no_currency():
    assert numbers(["0xxx", "0 XXX", "12 XTS", "12 XOF"]) == [None, None, None, 12]


# Days and moments


def moments(texts, date_format, zone="UTC"):
    rows = ibis.memtable(pa.table({"n": range(len(texts)), "text": pa.array(texts, pa.string())}))
    found = (
        rows.select("n", moment=parsing.read_moment(rows.text, date_format, zone))
        .order_by("n")
        .to_pyarrow()
    )
    return found["moment"].to_pylist()


def test_fault_8_one_date_format_holds_for_a_whole_column():
    texts = ["01/02/2024", "13/02/2024", "02/13/2024"]
    assert moments(texts, "%d/%m/%Y") == [dt.datetime(2024, 2, 1), dt.datetime(2024, 2, 13), None]
    assert moments(texts, "%m/%d/%Y") == [dt.datetime(2024, 1, 2), None, dt.datetime(2024, 2, 13)]
    assert moments(texts, "iso") == [None] * 3


@pytest.mark.parametrize(
    ("date_format", "text", "moment"),
    [
        ("%Y%m%d", "20240131", dt.datetime(2024, 1, 31)),
        ("excel", "45322", dt.datetime(2024, 1, 31)),
        ("excel", "45322.75", dt.datetime(2024, 1, 31, 18)),
        ("excel", "2024-01-31", dt.datetime(2024, 1, 31)),
        ("epoch_s", "1706659200", dt.datetime(2024, 1, 31)),
        ("epoch_ms", "1706659200000", dt.datetime(2024, 1, 31)),
        ("epoch_ms", "1706745599999", dt.datetime(2024, 1, 31, 23, 59, 59)),
        ("epoch_s", "-1", dt.datetime(1969, 12, 31, 23, 59, 59)),
    ],
)
def test_fault_9_days_written_as_numbers(date_format, text, moment):
    assert moments([text], date_format) == [moment]


@pytest.mark.parametrize(
    ("date_format", "text"),
    [
        ("%Y%m%d", "45322"),
        ("%Y%m%d", "1706659200"),
        ("%Y%m%d", "2024131"),
        ("excel", "20240131"),
        ("excel", "1706659200000"),
        ("excel", "0"),
        ("epoch_s", "1706659200000"),
        ("epoch_s", "1e300"),
        ("epoch_ms", "soon"),
        ("iso", "20240131"),
        ("iso", "45322"),
    ],
)
def test_fault_9_a_number_out_of_the_formats_range_is_no_day(date_format, text):
    assert moments([text], date_format) == [None]


def test_fault_10_chinese_dates():
    texts = ["2024年1月5日", "2024年01月05日", "2024年13月5日", "2024年1月5号"]
    day = dt.datetime(2024, 1, 5)
    assert moments(texts, "%Y年%m月%d日") == [day, day, None, None]
    assert moments(["2024年1月5日 9:05"], "%Y年%m月%d日 %H:%M") == [dt.datetime(2024, 1, 5, 9, 5)]


def test_a_text_that_is_no_day_gives_nothing():
    texts = [
        "2024-02-30",
        "2023-02-29",
        "2024-13-01",
        "2024-01-05x",
        "soon",
        "10:00",
        "2024-01",
        "now",
        "",
    ]
    assert moments(texts, "iso") == moments(texts, "%Y-%m-%d") == [None] * len(texts)


@given(
    st.lists(
        st.tuples(st.integers(1970, 2099), st.integers(0, 13), st.integers(0, 32)),
        min_size=1,
        max_size=60,
    )
)
@settings(max_examples=6)
def test_only_days_of_the_calendar_are_days(parts):
    def by_hand(year, month, day):
        try:
            return dt.datetime(year, month, day)
        except ValueError:
            return None

    expected = [by_hand(*part) for part in parts]
    assert moments(["{}-{:02}-{:02}".format(*part) for part in parts], "iso") == expected
    assert moments(["{2}/{1}/{0}".format(*part) for part in parts], "%d/%m/%Y") == expected
    assert moments(["{}{:02}{:02}".format(*part) for part in parts], "%Y%m%d") == expected


def test_each_column_of_dates_has_its_own_format():
    form = {"birthday": "%d.%m.%Y", "updated": "excel", "first_contact": "epoch_ms"}
    rows = parsed(
        [("7", "31.01.1980", "45322", "1706659200000", "2024-01-31")],
        ["customer_id", "birthday", "updated", "first_contact", "contract_end"],
        "customers",
        date_format=form,
    )
    found = (
        rows.select("birthday", "updated", "first_contact", "contract_end")
        .to_pyarrow()
        .to_pylist()[0]
    )
    assert list(found.values()) == [dt.date(1980, 1, 31), *[dt.date(2024, 1, 31)] * 3]


def test_fault_15_an_offset_in_the_text_is_minded():
    texts = {
        "2024-01-05 23:59:00+08:00": dt.datetime(2024, 1, 5, 23, 59),
        "2024-01-05T23:59:00+0800": dt.datetime(2024, 1, 5, 23, 59),
        "2024-01-05T16:00Z": dt.datetime(2024, 1, 6),
        "2024-1-5 9:00Z": dt.datetime(2024, 1, 5, 17),
        "2024-01-05 16:00:00 UTC": dt.datetime(2024, 1, 6),
        "2024-01-05 11:00:00-05": dt.datetime(2024, 1, 6),
        "2024-01-05 11:00:00 America/New_York": dt.datetime(2024, 1, 6),
        "2024-01-05 23:59": dt.datetime(2024, 1, 5, 23, 59),  # clock time of the zone already
        "2024-01-05": dt.datetime(2024, 1, 5),
        "2024-01-05 10:00:00 PM": None,
    }
    assert dict(zip(texts, moments(list(texts), "iso", "Asia/Shanghai"), strict=True)) == texts
    assert moments(["05/01/2024 23:59 +0800"], "%d/%m/%Y %H:%M %z", "America/New_York") == [
        dt.datetime(2024, 1, 5, 10, 59)
    ]


EXCEL_ZERO = dt.datetime(1899, 12, 30)
WRITERS = [  # format, and how a moment with its zone is written in it
    ("iso", lambda m: m.strftime("%Y-%m-%d %H:%M:%S")),
    ("iso", lambda m: m.replace(tzinfo=None).isoformat()),
    ("iso", lambda m: m.isoformat()),
    ("iso", lambda m: m.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
    ("excel", lambda m: repr((m.replace(tzinfo=None) - EXCEL_ZERO) / dt.timedelta(days=1))),
    ("epoch_s", lambda m: str(int(m.timestamp()))),
    ("epoch_ms", lambda m: str(int(m.timestamp()) * 1000 + 999)),
    ("%Y%m%d%H%M%S", lambda m: m.strftime("%Y%m%d%H%M%S")),
    ("%d/%m/%Y %H:%M:%S", lambda m: m.strftime("%d/%m/%Y %H:%M:%S")),
    ("%d/%m/%Y %H:%M:%S", lambda m: f"{m.day}/{m.month}/{m.year} {m.hour}:{m.minute}:{m.second}"),
    ("%m/%d/%y %I:%M:%S %p", lambda m: m.strftime("%m/%d/%y %I:%M:%S %p")),
    ("%-d.%-m.%Y %H:%M:%S", lambda m: f"{m.day}.{m.month}.{m.year} {m:%H:%M:%S}"),
    ("%Y年%m月%d日 %H:%M:%S", lambda m: f"{m.year}年{m.month}月{m.day}日 {m:%H:%M:%S}"),
    ("%d-%b-%Y %H:%M:%S", lambda m: m.strftime("%d-%b-%Y %H:%M:%S")),
    ("%d %B %Y %H:%M:%S", lambda m: m.strftime("%d %B %Y %H:%M:%S")),
    ("%Y-%j %H:%M:%S", lambda m: m.strftime("%Y-%j %H:%M:%S")),
    ("%Y-%m-%d %H:%M:%S.%f", lambda m: m.strftime("%Y-%m-%d %H:%M:%S.%f")),
    (
        "%Y-%m-%d %H:%M:%S %z",
        lambda m: m.astimezone(ZoneInfo("Asia/Kolkata")).strftime("%Y-%m-%d %H:%M:%S %z"),
    ),
]
INSTANTS = st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2037, 12, 30)).map(
    lambda m: m.replace(microsecond=0, tzinfo=dt.UTC)
)


@given(
    st.lists(INSTANTS, min_size=1, max_size=40),
    st.sampled_from(["UTC", "Asia/Shanghai", "America/New_York"]),
)
@settings(max_examples=20)
@example(
    [
        dt.datetime(2024, 11, 3, 5, 30, tzinfo=dt.UTC),
        dt.datetime(2024, 11, 3, 6, 30, tzinfo=dt.UTC),
    ],
    "America/New_York",
)
def test_any_moment_in_any_format_is_read_back(instants, zone):
    here = [instant.astimezone(ZoneInfo(zone)) for instant in instants]
    texts = {f"w{n}": [write(moment) for moment in here] for n, (_, write) in enumerate(WRITERS)}
    rows = ibis.memtable(pa.table({"n": range(len(here))} | texts))
    read = {
        f"w{n}": parsing.read_moment(rows[f"w{n}"], form, zone)
        for n, (form, _) in enumerate(WRITERS)
    }
    found = rows.select("n", **read).order_by("n").to_pyarrow()
    expected = [moment.replace(tzinfo=None) for moment in here]
    for n, (form, _) in enumerate(WRITERS):
        assert (form, found[f"w{n}"].to_pylist()) == (form, expected)


def test_fault_15_days_are_cut_in_the_datasets_zone():
    texts = ["2024-01-05 23:59:00+08:00", "2024-01-05 23:59:00-05:00", "2024-01-05 23:59:00"]
    for zone, days in {
        "Asia/Shanghai": [5, 6, 5],
        "America/New_York": [5, 5, 5],
        "Asia/Tokyo": [6, 6, 5],
    }.items():
        rows = parsed(
            [("7", text) for text in texts], ["customer_id", "date"], within={"time_zone": zone}
        )
        assert [day.day for day in rows.order_by("line").day.to_pyarrow().to_pylist()] == days


def test_moments_have_a_clock_only_where_the_text_says_one():
    rows = parsed(
        [("7", "2024-01-05 09:30"), ("7", "2024-01-06"), ("7", "never")], ["customer_id", "date"]
    )
    found = rows.order_by("line").to_pyarrow()
    assert found["day"].to_pylist() == [dt.date(2024, 1, 5), dt.date(2024, 1, 6), None]
    assert found["moment"].to_pylist() == [dt.datetime(2024, 1, 5, 9, 30), None, None]


# Flags


def flags(texts):
    rows = ibis.memtable(pa.table({"n": range(len(texts)), "text": pa.array(texts, pa.string())}))
    return (
        rows.select("n", flag=parsing.read_flag(rows.text))
        .order_by("n")
        .to_pyarrow()["flag"]
        .to_pylist()
    )


def test_yes_and_no_in_their_forms():
    assert flags(["true", "TRUE", "Yes", "y", "1", "x", "是", "已"]) == [True] * 8
    assert flags(["false", "No", "N", "0", "否", "未"]) == [False] * 6


@given(st.lists(st.text(max_size=6), min_size=1, max_size=50))
@settings(max_examples=10)
def test_any_other_word_is_neither_yes_nor_no(texts):
    others = [text for text in texts if text.lower() not in (*parsing.YES, *parsing.NO)]
    assert flags(others) == [None] * len(others)


CONSENTS = {  # consent, opt_out: may be contacted
    ("yes", "no"): True,
    ("yes", "yes"): False,
    ("no", "no"): False,
    ("no", "yes"): False,
    ("yes", None): None,
    ("no", None): False,
    ("maybe", "no"): None,
    ("maybe", "yes"): False,
    (None, None): None,
}


def test_nobody_who_said_no_in_one_of_two_columns_may_be_contacted():
    rows = parsed(
        [("7", *said) for said in CONSENTS], ["customer_id", "consent", "opt_out"], "customers"
    )
    assert rows.order_by("line").to_pyarrow()["consent"].to_pylist() == list(CONSENTS.values())


def test_opt_out_is_the_contrary_of_consent():
    rows = parsed(
        [("7", "yes"), ("8", "no"), ("9", "perhaps"), ("10", None)],
        ["customer_id", "opt_out"],
        "customers",
    )
    found = rows.order_by("line").to_pyarrow()
    assert found["consent"].to_pylist() == [False, True, None, None]
    assert "opt_out" not in found.column_names
    assert found["found_opt_out"].to_pylist() == [None, None, "xxxxxxx", None]


# Masks


def masked(texts):
    return parsing.mask(
        ibis.memtable(
            {"n": range(len(texts)), "text": texts}, schema={"n": "int64", "text": "string"}
        ).text
    )


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=20),
        min_size=1,
        max_size=10,
    )
)
@settings(max_examples=40)
def test_masks_keep_the_shape_and_leak_no_letter_or_digit(texts):
    """Unassigned characters are left out: Unicode is newer in one of the two libraries."""
    assert masked(texts).execute().tolist() == ["".join(map(fold, text)) for text in texts]


def test_no_letter_or_digit_of_any_script_passes_the_mask():
    content = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code))[0] in "LN"]
    assert set(masked(content).execute()) == {"x", "9"}


def test_vowel_signs_are_content_too():
    assert not set(masked(["किरण", "ชื่อ"]).execute().str.cat()) & set("किरणชื่อ")


# Currencies


def test_fault_18_two_currencies_are_refused_with_their_counts(company, tmp_path):
    files = {
        "a.csv": (
            "id,day,eur,cur\n7,2024-01-05,5,CNY\n7,2024-01-05,5,usd\n7,2024-01-05,5,USD\n7,2024-01-05,€5,\n7,2024-01-05,5,\n"
        )
    }
    table = SALES | {"columns": SALES["columns"] | {"currency": "cur"}}
    with pytest.raises(
        InputError, match=r"besides lines in CNY there are 2 in USD, 1 in EUR; say under rates"
    ):
        store.gather(company(files, {"transactions": table}, currency="CNY"), tmp_path)


def test_fault_18_a_sign_in_the_amount_is_a_currency_too(company, tmp_path):
    files = {
        "a.csv": (
            HEADER
            + "7,2024-01-05,5\n7,2024-01-05,$5\n7,2024-01-05,¥5\n7,2024-01-05,5元\n7,2024-01-05,5"
            " RMB\n"
        )
    }
    with pytest.raises(InputError, match=r"besides lines in CNY there are 1 in USD"):
        store.gather(company(files, {"transactions": SALES}, currency="CNY"), tmp_path)


def test_shared_signs_are_the_datasets_own_currency():
    rows = [("7", "2024-01-05", "$5"), ("7", "2024-01-05", "¥5")]
    for home, foreign in {"USD": [None, "CNY"], "JPY": ["USD", None], "CAD": [None, "CNY"]}.items():
        lines = parsed(rows, ["customer_id", "date", "amount"], within={"currency": home})
        assert lines.order_by("line").foreign.to_pyarrow().to_pylist() == foreign


def test_fault_34_another_column_named_as_currency_is_not_shown(company, tmp_path):
    files = {
        "a.csv": (
            "id,day,eur,cur\n"
            + "".join(f"7,2024-01-05,5,Anna Müller 1380013800{n}\n" for n in range(10))
        )
    }
    table = SALES | {"columns": SALES["columns"] | {"currency": "cur"}}
    with pytest.raises(InputError, match="besides lines in USD there are 10 in x") as error:
        store.gather(company(files, {"transactions": table}), tmp_path)
    assert not re.search("anna|ller|138", str(error.value), re.I)


@given(st.lists(st.decimals(Decimal("-1e15"), Decimal("1e15"), places=12), min_size=1, max_size=40))
@settings(max_examples=8)
def test_fault_17_money_is_read_and_summed_without_rounding(amounts):
    lines = parsed(
        [("7", "2024-01-05", str(amount)) for amount in amounts], ["customer_id", "date", "amount"]
    )
    assert lines.amount.sum().execute() == sum(amounts)
